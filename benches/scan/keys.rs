//! Creates ledgers with many delivered keys.

use std::{
    fs,
    path::{Path, PathBuf},
};

use domain::{
    clock::Clock,
    money::Cents,
    name::{EnvVar, ProjectName, ProviderKey, ServiceRef},
    project::{Delivery, ProjectId, ResourceId},
    secret::Secret,
    workspace::{Place, WorkspaceId},
};
use files::fs::{create_private_folder, folder_identity};
use serde_json::Value;
use storage::ledger::{Event, Grant, Ledger, LifetimeTerms, NewProject, OperationId, Registration, Verdict};
use stripe_projects_mcp::error::Error;

use super::tree::Rng;

#[derive(Clone, Copy)]
pub enum Kind {
    /// Keys with a prefix, keys without one, and connection strings, a third each.
    Mixed,
    /// Keys in the format of the simulated backend.
    Prefixed,
}

/// Records `count` keys as delivered and returns one of them.
pub fn deliver(workspace: &Path, kind: Kind, count: usize) -> String {
    fs::create_dir(workspace).unwrap();
    let state = state_of(workspace);
    create_private_folder(&state).unwrap();
    let place = Place { path: workspace.to_owned(), identity: Some(folder_identity(workspace).unwrap()) };
    let registration =
        Registration { place, id: WorkspaceId::random().unwrap(), at: Clock::system().now(), for_agent: false };
    let ledger = Ledger::of(&state).in_folder(registration);
    let cap = Cents::new(1_000).unwrap();
    let draft = NewProject {
        op: OperationId::random().unwrap(),
        id: ProjectId::random().unwrap(),
        name: ProjectName::parse("many").unwrap(),
        provider: ProviderKey::parse("search").unwrap(),
        service: ServiceRef::parse("exa/api").unwrap(),
        backend: "simulated".to_owned(),
        env_file: workspace.join(".env"),
    };
    let deliveries = vec![Delivery { env_var: EnvVar::parse("MANY_KEY").unwrap(), credential: None }];
    let started = ledger.journal().begin_provision(&draft, &event(Verdict::Intended), |_| {
        Ok::<_, Error>(Grant {
            cap,
            period: domain::budget::CapPeriod::Month,
            deliveries: deliveries.clone(),
            term: LifetimeTerms::default(),
        })
    });
    let mut intent = started.unwrap();
    let mut rng = Rng::new(42);
    let keys: Vec<String> = (0..count).map(|number| key(kind, number, &mut rng)).collect();
    let secrets: Vec<Secret> = keys.iter().cloned().map(Secret::new).collect();
    ledger
        .journal()
        .record(&mut intent, &ResourceId::new("fres_1".to_owned()), &secrets, Clock::system().now())
        .unwrap();
    let status = intent.when_done();
    ledger.journal().close(intent, status, &event(Verdict::Done)).unwrap();
    keys[0].clone()
}

/// Returns the state folder of a workspace, beside it.
pub fn state_of(workspace: &Path) -> PathBuf {
    workspace.with_extension("state")
}

fn key(kind: Kind, number: usize, rng: &mut Rng) -> String {
    match (kind, number % 3) {
        (Kind::Prefixed, _) => format!("sk_proj_sim_{}", rng.hex(32)),
        (Kind::Mixed, 0) => {
            let prefix = ["sk_proj_sim_", "sk-or-v1-", "bb_live_", "am_us_", "fc-", "sm_", "sk_"][number / 3 % 7];
            format!("{prefix}{}", rng.hex(40))
        }
        (Kind::Mixed, 1) => rng.hex(32 + 4 * (number % 5)),
        (Kind::Mixed, _) => {
            format!("postgresql://u{number}:{}@ep-{}.example.com/db?sslmode=require", rng.hex(24), rng.hex(number % 20))
        }
    }
}

fn event(verdict: Verdict) -> Event {
    let at = Clock::system().now();
    Event { at, channel: "cli", actor: "a benchmark".to_owned(), action: "provision", verdict, detail: Value::Null }
}
