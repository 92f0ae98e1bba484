//! Creates a workspace with many live projects, without an env file.
//!
//! The first project is created by the program's code, the others are copies of its rows, because a hundred thousand synced
//! transactions would take most of the benchmark's time.

use std::{fs, path::Path};

use backends::{
    Order,
    simulated::{PaymentMethod, SimulatedStripe},
};
use domain::{
    clock::Clock,
    money::Cents,
    name::{EnvVar, ProjectName, ProviderKey, ServiceRef},
    project::{Delivery, ProjectId},
    workspace::{Place, WorkspaceId},
};
use files::fs::{create_private_folder, folder_identity};
use rusqlite::Connection;
use serde_json::{Map, Value};
use storage::ledger::{Event, Grant, Ledger, LifetimeTerms, NewProject, OperationId, Registration, Verdict};
use stripe_projects_mcp::{error::Error, settings::simulated_store};

use crate::server;

pub fn seed(workspace: &Path, projects: u32) {
    fs::create_dir(workspace).unwrap();
    let state = server::state_of(workspace);
    create_private_folder(&state).unwrap();
    let store = simulated_store(&state);
    let place = Place { path: workspace.to_owned(), identity: Some(folder_identity(workspace).unwrap()) };
    let registration =
        Registration { place, id: WorkspaceId::random().unwrap(), at: Clock::system().now(), for_agent: false };
    create_one(
        &Ledger::of(&state).in_folder(registration),
        &SimulatedStripe::new(store.clone(), Clock::system()),
        workspace,
    );
    copy(&state.join("ledger.db"), COPIES_IN_THE_LEDGER, projects);
    copy(&store, COPIES_IN_THE_WORLD, projects);
}

fn copy(database: &Path, copies: &[(&str, &[(&str, &str)])], projects: u32) {
    let connection = Connection::open(database).unwrap();
    connection.execute_batch("PRAGMA synchronous = OFF; BEGIN").unwrap();
    for (table, changed) in copies {
        let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
        let columns: Vec<String> =
            statement.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let value = |column: &String| {
            changed.iter().find(|(name, _)| name == column).map_or(column.as_str(), |(_, value)| *value).to_owned()
        };
        let (names, values) = (columns.join(", "), columns.iter().map(value).collect::<Vec<_>>().join(", "));
        let sql = format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?1) \
             INSERT INTO {table} ({names}) SELECT {values} FROM {table}, numbers WHERE n < ?1"
        );
        connection.execute(&sql, [projects]).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
}

fn create_one(ledger: &Ledger, store: &SimulatedStripe, workspace: &Path) {
    let cap = Cents::new(1_000).unwrap();
    let order = Order {
        id: ProjectId::random().unwrap(),
        name: ProjectName::parse("p").unwrap(),
        service: ServiceRef::parse("exa/api").unwrap(),
        plan: None,
        config: Map::new(),
        credentials: Vec::new(),
        cap,
        paid: false,
        terms_accepted: true,
    };
    let draft = NewProject {
        op: OperationId::random().unwrap(),
        id: order.id.clone(),
        name: order.name.clone(),
        provider: ProviderKey::parse("search").unwrap(),
        service: order.service.clone(),
        backend: "simulated".to_owned(),
        env_file: workspace.join(".env"),
    };
    let deliveries = vec![Delivery { env_var: EnvVar::parse("P_KEY").unwrap(), credential: None }];
    let service = store.provision(&order, PaymentMethod::Succeeds).unwrap();
    let mut intent = ledger
        .journal()
        .begin_provision(&draft, &event(Verdict::Intended), |_| {
            Ok::<_, Error>(Grant {
                cap,
                period: domain::budget::CapPeriod::Month,
                deliveries: deliveries.clone(),
                term: LifetimeTerms::default(),
            })
        })
        .unwrap();
    let key = service.credentials.pick(None).unwrap().clone();
    ledger.journal().record(&mut intent, &service.resource, &[key], Clock::system().now()).unwrap();
    let status = intent.when_done();
    ledger.journal().close(intent, status, &event(Verdict::Done)).unwrap();
}

fn event(verdict: Verdict) -> Event {
    let at = Clock::system().now();
    Event { at, channel: "cli", actor: "a benchmark".to_owned(), action: "provision", verdict, detail: Value::Null }
}

/// Tables with the columns that must differ in a copy; all others are copied.
const COPIES_IN_THE_LEDGER: &[(&str, &[(&str, &str)])] = &[
    ("projects", &[("row", "row + n"), ("id", "id || n"), ("name", "name || n"), ("resource", "resource || n")]),
    ("deliveries", &[("project", "project + n"), ("env_var", "env_var || n")]),
    ("credentials", &[("project", "project + n"), ("fingerprint", "fingerprint || n")]),
];

const COPIES_IN_THE_WORLD: &[(&str, &[(&str, &str)])] = &[
    ("resources", &[("row", "row + n"), ("id", "id || n"), ("order_id", "order_id || n"), ("name", "name || n")]),
    ("credentials", &[("resource", "resource + n"), ("seed", "randomblob(16)")]),
];
