//! The kill switch, over every backend. A suspended key is revoked and stays so until a person resumes the project.

use domain::name::ProjectName;
use serde_json::{Value, json};

use crate::{
    raw_client::RawClient,
    workspace::{BackendKind, Workspace},
};

/// Nothing was provisioned, so there is neither a state folder nor a ledger.
#[test]
fn suspend_of_an_unknown_project_needs_no_ledger() {
    let workspace = Workspace::new();
    assert_eq!(workspace.json(&["suspend", "memory"])["code"], "project_not_found");
    workspace.ok(&["suspend", "--all"]);
}

#[test]
fn suspend_revokes_the_key_and_resume_delivers_another() {
    for kind in BackendKind::ALL {
        let workspace = Workspace::on(kind);
        workspace.write(".env", "USER_LINES=1\n");
        workspace.ok(&["provision", "memory", "supermemory"]);
        let first = key(&workspace);
        let suspended = workspace.json(&["suspend", "memory"]);
        assert_eq!(
            (&suspended["status"], &suspended["env_written_to"]),
            (&json!("suspended"), &Value::Null),
            "{kind:?}"
        );
        assert!(workspace.owner_of(&first).is_none(), "{kind:?}: the key still works");
        assert_eq!(workspace.read(".env"), "USER_LINES=1\n", "{kind:?}");
        assert_eq!(workspace.json(&["suspend", "memory"])["status"], "suspended", "{kind:?}: safe to repeat");
        assert_eq!(workspace.json(&["list"])["projects"][0]["status"], "suspended", "{kind:?}");

        // Nothing else works around it.
        assert_eq!(workspace.json(&["rotate", "memory"])["code"], "suspended", "{kind:?}");
        let mut agent = RawClient::initialize(&workspace);
        assert_eq!(agent.call("rotate_key", &json!({ "name": "memory" }))["code"], "suspended", "{kind:?}");
        let again = agent.call("provision", &json!({ "name": "memory", "provider": "supermemory" }));
        assert_eq!(again["code"], "already_exists", "{kind:?}");
        agent.disconnect();
        assert_eq!(workspace.read(".env"), "USER_LINES=1\n", "{kind:?}");

        let resumed = workspace.json(&["resume", "memory"]);
        assert_eq!((&resumed["status"], &resumed["key_version"]), (&json!("active"), &json!(2)), "{kind:?}: {resumed}");
        let second = key(&workspace);
        assert!(workspace.owner_of(&second).is_some() && workspace.owner_of(&first).is_none(), "{kind:?}");
        assert_eq!(workspace.json(&["resume", "memory"])["status"], "active", "{kind:?}: safe to repeat");
        workspace.ok(&["suspend", "memory"]);
        workspace.ok(&["teardown", "memory", "--yes"]);
        assert!(workspace.billed_resources().is_empty() && workspace.owner_of(&second).is_none(), "{kind:?}");
    }
}

#[test]
fn used_up_cap_is_not_resumed() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "memory", "supermemory", "--cap", "1"]);
    workspace.ok(&["suspend", "memory"]);
    workspace.ok(&["resume", "memory"]);
    workspace.ok(&["usage", "record", "memory", "1"]);
    workspace.ok(&["suspend", "memory"]);
    assert_eq!(workspace.json(&["resume", "memory"])["code"], "cap_reached");
    assert_eq!(workspace.variable("SUPERMEMORY_API_KEY"), None);
}

#[test]
fn unknown_suspend_is_reported_and_finished_by_the_next_call() {
    let workspace = Workspace::on(BackendKind::StripeCli);
    workspace.ok(&["provision", "memory", "supermemory"]);
    let first = key(&workspace);
    workspace.fake_stripe().inject_faults(json!([{ "verb": "rotate", "fault": "garbage" }]));
    let unsure = workspace.json(&["suspend", "memory"]);
    assert_eq!(unsure["code"], "suspension_incomplete", "{unsure}");
    assert!(unsure["hint"].as_str().unwrap().contains("suspend memory"), "{unsure}");
    assert_eq!(workspace.json(&["suspend", "memory"])["status"], "suspended");
    assert!(workspace.owner_of(&first).is_none());
}

#[test]
fn suspend_of_a_suspended_project_opens_nothing() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "memory", "supermemory"]);
    for _ in 0..2 {
        workspace.ok(&["suspend", "memory"]);
    }
    assert_eq!(intents(&workspace, "suspend"), 1);
}

/// A definite failure leaves nothing open, and the next call asks again.
#[test]
fn refused_resume_is_closed() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "memory", "supermemory"]);
    workspace.ok(&["suspend", "memory"]);
    let project = workspace.ledger().projects().live(&ProjectName::parse("memory").unwrap()).unwrap().unwrap();
    workspace.world().teardown(project.resource.as_ref().unwrap()).unwrap();
    for attempt in 1..=2 {
        let error = workspace.run(&["resume", "memory"]);
        assert!(error.code != 0 && error.code != 6, "{error:?}");
        assert_eq!(intents(&workspace, "resume"), attempt);
        assert!(workspace.ledger().projects().unsettled().unwrap().is_empty(), "it stayed open");
    }
}

/// An unknown outcome leaves the intent open, and the next call reconciles it.
#[test]
fn unknown_resume_is_reported_and_finished_by_the_next_call() {
    let workspace = Workspace::on(BackendKind::StripeApi);
    workspace.ok(&["provision", "memory", "supermemory"]);
    workspace.ok(&["suspend", "memory"]);
    let reveal = "POST /v2/provisioning/resources/{id}/reveal_access_configuration";
    workspace.simulator().inject(&json!({ "on": reveal, "fault": "garbage", "times": 9 }));
    let unsure = workspace.json(&["resume", "memory"]);
    assert_eq!(unsure["code"], "outcome_unknown", "{unsure}");
    assert_eq!(workspace.ledger().projects().unsettled().unwrap().len(), 1, "it was closed");
    workspace.simulator().clear_faults();
    assert_eq!(workspace.json(&["resume", "memory"])["status"], "active");
    assert_eq!(intents(&workspace, "resume"), 1, "the open intent is the finished one");
    assert!(workspace.owner_of(&key(&workspace)).is_some());
}

#[test]
fn suspend_all_reports_each_project() {
    let workspace = Workspace::new();
    for name in ["a", "b", "c"] {
        workspace.ok(&["provision", name, "search"]);
    }
    let keys: Vec<String> =
        workspace.read(".env").lines().map(|line| line.split_once('=').unwrap().1.to_owned()).collect();
    let output = workspace.ok(&["suspend", "--all"]).stdout;
    assert_eq!(output, "a: suspended\nb: suspended\nc: suspended\n");
    assert!(keys.len() == 3 && keys.iter().all(|key| workspace.owner_of(key).is_none()));
    let error = workspace.run(&["teardown", "--all"]);
    assert!(error.code == 3 && error.stderr.contains("--yes"), "{error:?}");
    let gone = workspace.json(&["teardown", "--all", "--yes"]);
    let statuses: Vec<&Value> =
        gone["projects"].as_array().unwrap().iter().map(|one| &one["project"]["status"]).collect();
    assert_eq!(statuses, ["torn_down"; 3]);
    assert!(workspace.billed_resources().is_empty());
    assert_eq!(workspace.ok(&["suspend", "--all"]).stdout, "No live projects.\n");
    for wrong in [&["suspend"][..], &["suspend", "a", "--all"], &["teardown", "a", "--all", "--yes"]] {
        assert_eq!(workspace.run(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn suspend_all_continues_after_a_failure() {
    let workspace = Workspace::on(BackendKind::StripeCli);
    workspace.ok(&["provision", "a", "supermemory"]);
    workspace.ok(&["provision", "b", "tts"]);
    workspace.fake_stripe().set("supermemory/memory", "unrotatable", json!(true));
    let output = workspace.cli(&["suspend", "--all"]).stdout("b: suspended\n").exit(5);
    assert!(output.stderr.starts_with("a: error: "), "{output:?}");
}

/// Counts the intents of such an operation.
fn intents(workspace: &Workspace, action: &str) -> usize {
    let rows = workspace.ledger().audit().rows().unwrap();
    rows.iter().filter(|row| row.action == action && row.outcome == "intended").count()
}

fn key(workspace: &Workspace) -> String {
    workspace.variable("SUPERMEMORY_API_KEY").unwrap()
}
