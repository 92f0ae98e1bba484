//! The kill switch, over every backend: what is suspended is dead, and stays dead until a human says otherwise.

use serde_json::{Value, json};
use stripe_projects_mcp::name::ProjectName;

use crate::{
    lines::Lines,
    workspace::{Kind, Workspace},
};

#[test]
fn a_suspended_key_is_dead_and_resume_delivers_another() {
    for kind in Kind::ALL {
        let workspace = Workspace::on(kind);
        workspace.write(".env", "MINE=1\n");
        workspace.ok(&["provision", "memory", "supermemory"]);
        let first = key(&workspace);
        let suspended = workspace.json(&["suspend", "memory"]);
        assert_eq!(
            (&suspended["status"], &suspended["env_written_to"]),
            (&json!("suspended"), &Value::Null),
            "{kind:?}"
        );
        assert!(workspace.owner_of(&first).is_none(), "{kind:?}: the key still works");
        assert_eq!(workspace.read(".env"), "MINE=1\n", "{kind:?}");
        assert_eq!(workspace.json(&["suspend", "memory"])["status"], "suspended", "{kind:?}: safe to repeat");
        assert_eq!(workspace.json(&["list"])["projects"][0]["status"], "suspended", "{kind:?}");

        // Nor is there a way around it.
        assert_eq!(workspace.json(&["rotate", "memory"])["code"], "suspended", "{kind:?}");
        let mut agent = Lines::greet(&workspace);
        assert_eq!(agent.call("rotate_key", &json!({ "name": "memory" }))["code"], "suspended", "{kind:?}");
        let again = agent.call("provision", &json!({ "name": "memory", "provider": "supermemory" }));
        assert_eq!(again["code"], "already_exists", "{kind:?}");
        agent.leave();
        assert_eq!(workspace.read(".env"), "MINE=1\n", "{kind:?}");

        let resumed = workspace.json(&["resume", "memory"]);
        assert_eq!((&resumed["status"], &resumed["key_version"]), (&json!("active"), &json!(2)), "{kind:?}: {resumed}");
        let second = key(&workspace);
        assert!(workspace.owner_of(&second).is_some() && workspace.owner_of(&first).is_none(), "{kind:?}");
        assert_eq!(workspace.json(&["resume", "memory"])["status"], "active", "{kind:?}: safe to repeat");
        workspace.ok(&["suspend", "memory"]);
        workspace.ok(&["teardown", "memory", "--yes"]);
        assert!(workspace.billed().is_empty() && workspace.owner_of(&second).is_none(), "{kind:?}");
    }
}

#[test]
fn a_used_up_cap_is_not_resumed() {
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
fn a_suspension_that_cannot_be_certain_says_so_and_is_finished_by_the_next_call() {
    let workspace = Workspace::on(Kind::StripeCli);
    workspace.ok(&["provision", "memory", "supermemory"]);
    let first = key(&workspace);
    workspace.stand_in().weather(json!([{ "verb": "rotate", "fault": "garbage" }]));
    let unsure = workspace.json(&["suspend", "memory"]);
    assert_eq!(unsure["code"], "suspension_incomplete", "{unsure}");
    assert!(unsure["hint"].as_str().unwrap().contains("suspend memory"), "{unsure}");
    assert_eq!(workspace.json(&["suspend", "memory"])["status"], "suspended");
    assert!(workspace.owner_of(&first).is_none());
}

#[test]
fn to_suspend_what_is_suspended_begins_nothing() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "memory", "supermemory"]);
    for _ in 0..2 {
        workspace.ok(&["suspend", "memory"]);
    }
    assert_eq!(intents(&workspace, "suspend"), 1);
}

/// The backend says for certain that it will not: nothing stays open, and the next call asks anew.
#[test]
fn a_resumption_that_is_refused_is_over() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "memory", "supermemory"]);
    workspace.ok(&["suspend", "memory"]);
    let project = workspace.ledger().projects().live(&ProjectName::parse("memory").unwrap()).unwrap().unwrap();
    workspace.world().teardown(project.resource.as_ref().unwrap()).unwrap();
    for asked in 1..=2 {
        let refused = workspace.run(&["resume", "memory"]);
        assert!(refused.code != 0 && refused.code != 6, "{refused:?}");
        assert_eq!(intents(&workspace, "resume"), asked);
        assert!(workspace.ledger().projects().unsettled().unwrap().is_empty(), "it stayed open");
    }
}

/// What it did is not known, so the intent stays open, and the next call finds out.
#[test]
fn a_resumption_that_cannot_be_certain_says_so_and_is_finished_by_the_next_call() {
    let workspace = Workspace::on(Kind::StripeApi);
    workspace.ok(&["provision", "memory", "supermemory"]);
    workspace.ok(&["suspend", "memory"]);
    let reveal = "POST /v2/provisioning/resources/{id}/reveal_access_configuration";
    workspace.simulator().plan(&json!({ "on": reveal, "fault": "garbage", "times": 9 }));
    let unsure = workspace.json(&["resume", "memory"]);
    assert_eq!(unsure["code"], "outcome_unknown", "{unsure}");
    assert_eq!(workspace.ledger().projects().unsettled().unwrap().len(), 1, "it was closed");
    workspace.simulator().clear_up();
    assert_eq!(workspace.json(&["resume", "memory"])["status"], "active");
    assert_eq!(intents(&workspace, "resume"), 1, "what was open is what was finished");
    assert!(workspace.owner_of(&key(&workspace)).is_some());
}

#[test]
fn all_at_once_and_each_is_told_of() {
    let workspace = Workspace::new();
    for name in ["a", "b", "c"] {
        workspace.ok(&["provision", name, "search"]);
    }
    let keys: Vec<String> =
        workspace.read(".env").lines().map(|line| line.split_once('=').unwrap().1.to_owned()).collect();
    let told = workspace.ok(&["suspend", "--all"]).stdout;
    assert_eq!(told, "a: suspended\nb: suspended\nc: suspended\n");
    assert!(keys.len() == 3 && keys.iter().all(|key| workspace.owner_of(key).is_none()));
    let refused = workspace.run(&["teardown", "--all"]);
    assert!(refused.code == 3 && refused.stderr.contains("--yes"), "{refused:?}");
    let gone = workspace.json(&["teardown", "--all", "--yes"]);
    let statuses: Vec<&Value> =
        gone["projects"].as_array().unwrap().iter().map(|one| &one["project"]["status"]).collect();
    assert_eq!(statuses, ["torn_down"; 3]);
    assert!(workspace.billed().is_empty());
    assert_eq!(workspace.ok(&["suspend", "--all"]).stdout, "No live projects.\n");
    for wrong in [&["suspend"][..], &["suspend", "a", "--all"], &["teardown", "a", "--all", "--yes"]] {
        assert_eq!(workspace.run(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn one_that_fails_does_not_save_the_others() {
    let workspace = Workspace::on(Kind::StripeCli);
    workspace.ok(&["provision", "a", "supermemory"]);
    workspace.ok(&["provision", "b", "tts"]);
    workspace.stand_in().set("supermemory/memory", "unrotatable", json!(true));
    let ran = workspace.run(&["suspend", "--all"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (5, "b: suspended\n"), "{ran:?}");
    assert!(ran.stderr.starts_with("a: error: "), "{ran:?}");
}

/// How often such an operation was begun.
fn intents(workspace: &Workspace, action: &str) -> usize {
    let rows = workspace.ledger().audit().rows().unwrap();
    rows.iter().filter(|row| row.action == action && row.outcome == "intended").count()
}

fn key(workspace: &Workspace) -> String {
    workspace.variable("SUPERMEMORY_API_KEY").unwrap()
}
