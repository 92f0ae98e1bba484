//! A cap that is used up ends the spending also where Stripe stops at another limit: whichever process of ours sees it
//! suspends the project.

use serde_json::{Value, json};

use crate::{
    lines::{Lines, until},
    workspace::{Kind, Ran, Workspace},
};

#[test]
fn who_looks_at_a_used_up_cap_suspends_the_project() {
    for look in [&["list"][..], &["reap"]] {
        let workspace = spent(999);
        workspace.ok(look);
        assert!(workspace.variable("SUPERMEMORY_API_KEY").is_some(), "{look:?}: a cent is left");
        let key = workspace.variable("SUPERMEMORY_API_KEY").unwrap();
        workspace.stand_in().bill("supermemory", 1);
        let ran = workspace.ok(look);
        assert!((ran.stdout + &ran.stderr).contains("suspended"), "{look:?}");
        assert_eq!(workspace.read(".env"), "MINE=1\n", "{look:?}");
        assert_eq!(workspace.json(&["list"])["projects"][0]["status"], "suspended", "{look:?}");
        assert_eq!(workspace.json(&["resume", "memory"])["code"], "cap_reached", "{look:?}");
        let audit = workspace.ok(&["audit", "--json", "--project", "memory", "--outcome", "intended"]).stdout;
        let why: Value = serde_json::from_str(audit.lines().find(|row| row.contains("\"suspend\"")).unwrap()).unwrap();
        assert_eq!(why["detail"]["because"], "cap_reached", "{look:?}");

        // In another month the human lets it go on, with another key.
        workspace.stand_in().forget_bills();
        assert_eq!(workspace.json(&["resume", "memory"])["status"], "active", "{look:?}");
        assert_ne!(workspace.variable("SUPERMEMORY_API_KEY").unwrap(), key, "{look:?}: the old key came back");
        workspace.ok(look);
        assert_eq!(workspace.json(&["list"])["projects"][0]["status"], "active", "{look:?}");
    }
}

#[test]
fn a_server_looks_without_being_asked() {
    let workspace = spent(1_000);
    let agent = Lines::greet(&workspace);
    until("the suspension", || workspace.variable("SUPERMEMORY_API_KEY").is_none().then_some(()));
    agent.leave();
    assert_eq!(workspace.json(&["list"])["projects"][0]["status"], "suspended");
}

/// One of two services of a provider: what Stripe says is about both, so nobody knows what one has used.
#[test]
fn what_cannot_be_told_apart_is_left_to_stripe() {
    let workspace = spent(0);
    workspace.ok(&["provision", "notes", "supermemory", "--cap", "10"]);
    workspace.stand_in().bill("supermemory", 1_500);
    workspace.ok(&["reap"]);
    let statuses = workspace.json(&["list"]);
    let statuses: Vec<&Value> =
        statuses["projects"].as_array().unwrap().iter().map(|project| &project["status"]).collect();
    assert_eq!(statuses, ["active", "active"]);
}

/// What is suspended spends nothing: it is not asked about, so that nobody has to answer.
#[test]
fn only_what_can_spend_is_looked_at() {
    let workspace = spent(1_000);
    workspace.ok(&["suspend", "memory"]);
    workspace.stand_in().weather(json!([{ "verb": "status", "fault": "garbage", "times": 3 }]));
    let ran = workspace.ok(&["reap"]);
    assert_eq!((ran.stdout + &ran.stderr).find("not known"), None);
}

/// It stops the key by itself, and begins again by itself when the month does; nobody takes the variable away.
#[test]
fn a_backend_that_enforces_caps_is_left_to_it() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "memory", "supermemory", "--cap", "1"]);
    workspace.ok(&["usage", "record", "memory", "1"]);
    let file = workspace.read(".env");
    for look in [&["list"][..], &["reap"]] {
        workspace.ok(look);
        assert_eq!(workspace.read(".env"), file, "{look:?}");
    }
    let audit = workspace.ok(&["audit", "--json", "--project", "memory"]).stdout;
    assert!(!audit.contains("\"suspend\""), "{audit}");
}

/// It is not even asked what was used, so that it need not answer.
#[test]
fn of_a_backend_that_enforces_caps_nothing_is_asked() {
    let workspace = Workspace::on(Kind::StripeApi);
    workspace.ok(&["provision", "memory", "supermemory", "--cap", "10"]);
    let mut reap = workspace.command(&["reap"]);
    let ran = Ran::from(reap.env("STRIPE_API_KEY", "rk_live_0123456789").output().unwrap());
    assert!(ran.code == 0 && !ran.stderr.contains("usage could not be read"), "{ran:?}");
}

#[test]
fn a_reap_that_cannot_look_says_so_and_reaps() {
    let workspace = spent(1_000);
    workspace.stand_in().weather(json!([{ "verb": "status", "fault": "garbage", "times": 3 }]));
    let ran = workspace.run(&["reap"]);
    assert!(ran.code == 0 && ran.stderr.contains("usage could not be read"), "{ran:?}");
    assert!(workspace.variable("SUPERMEMORY_API_KEY").is_some());
}

/// A project with a cap of ten dollars, of which so many cents are used.
fn spent(cents: u64) -> Workspace {
    let workspace = Workspace::on(Kind::StripeCli);
    workspace.write(".env", "MINE=1\n");
    workspace.ok(&["provision", "memory", "supermemory", "--cap", "10"]);
    workspace.stand_in().bill("supermemory", cents);
    workspace
}
