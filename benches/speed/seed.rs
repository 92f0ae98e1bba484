//! A workspace with many live projects, made without the env file, which would be the slow part.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use serde_json::{Map, Value};
use stripe_projects_mcp::{
    backend::{
        Order,
        simulated::{PaymentMethod, World},
    },
    clock::Clock,
    error::Error,
    ledger::{Draft, Event, Grant, Ledger, Term, Verdict},
    money::Cents,
    name::{EnvVar, ProjectName, ProviderKey, ServiceRef},
    project::{Delivery, ProjectId},
    settings::simulated_world,
};

pub fn seed(workspace: &Path, projects: usize) {
    let state = workspace.join(".stripe-projects");
    fs::create_dir_all(&state).unwrap();
    OpenOptions::new().create(true).append(true).mode(0o600).open(state.join("ledger.db")).unwrap();
    let (ledger, world) = (Ledger::of(&state), World::new(simulated_world(&state), Clock::system()));
    for number in 0..projects {
        one(&ledger, &world, workspace, number);
    }
}

fn one(ledger: &Ledger, world: &World, workspace: &Path, number: usize) {
    let cap = Cents::new(1_000).unwrap();
    let order = Order {
        id: ProjectId::random().unwrap(),
        name: ProjectName::parse(&format!("p{number}")).unwrap(),
        service: ServiceRef::parse(&format!("exa{}/api", number % 100)).unwrap(),
        plan: None,
        config: Map::new(),
        credentials: Vec::new(),
        cap,
        paid: false,
        terms_accepted: true,
    };
    let draft = Draft {
        id: order.id.clone(),
        name: order.name.clone(),
        provider: ProviderKey::parse("search").unwrap(),
        service: order.service.clone(),
        backend: "simulated".to_owned(),
        env_file: workspace.join(".env"),
    };
    let deliveries = vec![Delivery { env_var: EnvVar::parse(&format!("P{number}_KEY")).unwrap(), credential: None }];
    let service = world.provision(&order, PaymentMethod::Succeeds).unwrap();
    let mut intent = ledger
        .begin_provision(draft, &event(Verdict::Intended), |_| {
            Ok::<_, Error>(Grant { cap, deliveries, term: Term::default() })
        })
        .unwrap();
    let key = service.credentials.pick(None).unwrap().clone();
    ledger.record(&mut intent, &service.resource, &[key], Clock::system().now()).unwrap();
    let status = intent.when_done();
    ledger.close(intent, status, &event(Verdict::Done)).unwrap();
}

fn event(verdict: Verdict) -> Event {
    let at = Clock::system().now();
    Event { at, door: "cli", actor: "a benchmark".to_owned(), action: "provision", verdict, detail: Value::Null }
}
