//! Projects with a lifetime or of a session are torn down. Disabled tools cannot be called.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::{
    lifetime::Lifetime,
    money::Cents,
    name::{ProjectName, ProviderKey},
};
use files::env_file::Replace;
use serde_json::{Value, json};
use stripe_projects_mcp::{
    provisioner::{Principal, ProvisionRequest, Session},
    settings::Settings,
};
use tokio::runtime::Builder;

use crate::{
    raw_client::{RawClient, until},
    workspace::{BackendKind, Workspace},
};

#[test]
fn lifetime_is_shown_and_one_above_the_maximum_refused() {
    let workspace = Workspace::new();
    workspace.write("providers.toml", REGISTRY);
    let usual = workspace.json(&["provision", "usual", "search"]);
    assert_eq!(hours_left(&usual), 8);
    let short = workspace.json(&["provision", "short", "search", "--expires-in", "60m"]);
    assert_eq!(hours_left(&short), 1);
    let mut agent = RawClient::initialize(&workspace);
    let ask = |agent: &mut RawClient, expires_in: &str| {
        agent.call("provision", &json!({ "name": "long", "provider": "search", "expires_in": expires_in }))
    };
    assert_eq!(ask(&mut agent, "25h")["code"], "expiry_above_maximum");
    assert_eq!(ask(&mut agent, "forever")["code"], "invalid_duration");
    assert_eq!(hours_left(&ask(&mut agent, "1d")), 24);
    agent.disconnect();
    assert_eq!(hours_left(&workspace.json(&["extend", "short", "7d"])), 7 * 24, "your choice wins");
    assert_eq!(workspace.json(&["extend", "unknown", "1h"])["code"], "project_not_found");
    let forever = Workspace::new();
    assert_eq!(forever.json(&["provision", "memory", "search"])["expires_at"], Value::Null);
}

#[test]
fn only_expired_projects_are_reaped() {
    for kind in BackendKind::ALL {
        let workspace = Workspace::on(kind);
        workspace.ok(&["provision", "short", "supermemory", "--expires-in", "1h"]);
        workspace.ok(&["provision", "long", "tts", "--expires-in", "2h"]);
        assert_eq!(workspace.ok(&["reap"]).stdout, "Nothing has expired, and no cap is used up.\n");
        expire(&workspace, "short");
        assert_eq!(workspace.ok(&["reap"]).stdout, "short: torn_down\n", "{kind:?}");
        assert_eq!(
            (workspace.billed_resources().len(), workspace.json(&["list"])["live_count"].as_u64()),
            (1, Some(1)),
            "{kind:?}"
        );
        assert_eq!(workspace.variable("SUPERMEMORY_API_KEY"), None, "{kind:?}");
    }
}

#[test]
fn server_reaps_at_start_and_while_running() {
    let workspace = Workspace::new();
    for name in ["first", "second"] {
        workspace.ok(&["provision", name, "search", "--expires-in", "1h"]);
    }
    expire(&workspace, "first");
    let server = RawClient::initialize(&workspace);
    until("the first is reaped", || (workspace.billed_resources().len() == 1).then_some(()));
    expire(&workspace, "second");
    until("the second is reaped", || workspace.billed_resources().is_empty().then_some(()));
    let output = server.disconnect();
    assert!(output.stderr.contains("its lifetime is over: torn_down"), "{output:?}");
}

#[test]
fn session_end_tears_down_its_projects_except_kept_ones() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "mine", "search"]);
    let mut agent = RawClient::start(workspace.command(&["serve", "--session", "--grace", "1m"]));
    agent.initialize_as("lines");
    for name in ["kept", "taken"] {
        assert_eq!(agent.call("provision", &json!({ "name": name, "provider": "search" }))["status"], "active");
    }
    workspace.ok(&["keep", "kept"]);
    assert_eq!(agent.disconnect().code, 0);
    let ends = |name: &str| {
        let list = workspace.json(&["list"]);
        let project = list["projects"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned();
        project.unwrap()["expires_at"].clone()
    };
    assert!(ends("taken").is_string(), "its grace has begun");
    assert_eq!((ends("kept"), ends("mine")), (Value::Null, Value::Null));
    expire(&workspace, "taken");
    assert_eq!(workspace.ok(&["reap"]).stdout, "taken: torn_down\n");
}

/// The end of a session reports whether projects remain to be torn down later.
#[test]
fn session_end_reports_whether_projects_remain() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let workspace = Workspace::new();
    workspace.ok(&["provision", "mine", "search"]);
    for takes in [false, true] {
        let settings = Settings::resolve(workspace.options()).unwrap();
        let session = Session::begin(Lifetime::parse("1m").unwrap()).unwrap();
        let provisioner = settings.provisioner(runtime.handle().clone()).unwrap().in_session(session);
        let principal = Principal::agent("a test");
        if takes {
            let (name, provider) = (ProjectName::parse("taken").unwrap(), ProviderKey::parse("search").unwrap());
            let request =
                ProvisionRequest { name, provider, cap: Cents::ZERO, lifetime: None, replace: Replace::OursOnly };
            provisioner.projects.provision(&request, &principal).unwrap();
        }
        assert_eq!(provisioner.lifetimes.end_session(&principal).unwrap(), takes);
    }
}

/// A killed session reports nothing; the next process finds its lock free.
#[test]
fn killed_session_is_ended_by_the_next_process() {
    let workspace = Workspace::new();
    let mut command = workspace.command(&["serve", "--session", "--grace", "1m"]);
    command.env("RUST_LOG", "off");
    let mut agent = RawClient::start(command);
    agent.initialize_as("lines");
    agent.call("provision", &json!({ "name": "taken", "provider": "search" }));
    workspace.ok(&["reap"]);
    assert_eq!(workspace.json(&["list"])["projects"][0]["expires_at"], Value::Null, "the session lives");
    agent.kill();
    workspace.ok(&["reap"]);
    assert!(workspace.json(&["list"])["projects"][0]["expires_at"].is_string(), "its grace has begun");
}

#[test]
fn disabled_tools_are_neither_listed_nor_callable() {
    let workspace = Workspace::new();
    for (flags, offered) in [
        (&["serve", "--read-only"][..], &["list_projects"][..]),
        (&["serve", "--tools", "list_projects,provision"], &["list_projects", "provision"]),
    ] {
        let mut agent = RawClient::start(workspace.command(flags));
        agent.initialize_as("lines");
        let listed = agent.request("tools/list", &json!({}))["result"]["tools"].take();
        let names: Vec<&str> = listed.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names, offered);
        let answer = agent.request("tools/call", &json!({ "name": "teardown", "arguments": { "name": "x" } }));
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(agent.call("list_projects", &json!({}))["projects"].is_array());
        agent.disconnect();
    }
    assert_eq!(workspace.run(&["serve", "--tools", "provision,destroy"]).code, 2);
    assert_eq!(workspace.run(&["serve", "--read-only", "--tools", "provision"]).code, 2);
    assert_eq!(workspace.run(&["serve", "--session", "--grace", "soon"]).code, 2);
}

/// Expires a project.
fn expire(workspace: &Workspace, name: &str) {
    let ledger = rusqlite::Connection::open(workspace.state().join("ledger.db")).unwrap();
    ledger.busy_timeout(Duration::from_secs(10)).unwrap();
    let changed = ledger.execute("UPDATE projects SET expires_at = 1 WHERE name = ?1", [name]).unwrap();
    assert_eq!(changed, 1);
}

fn hours_left(project: &Value) -> u64 {
    let at = project["expires_at"].as_str().unwrap_or_else(|| panic!("{project}"));
    let at: domain::clock::Timestamp = at.parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let remaining = u128::try_from(at.as_millisecond()).unwrap() - now;
    u64::try_from((remaining + 1_800_000) / 3_600_000).unwrap()
}

const REGISTRY: &str = "version = 1
[providers.search]
label = 'Exa'
service = 'exa/api'
env_var = 'EXA_API_KEY'
default_cap_usd = 5
default_expires_in = '8h'
max_expires_in = '24h'
docs = 'https://example.com'
";
