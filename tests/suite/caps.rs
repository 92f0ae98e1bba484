//! Enforcement of per-project caps where Stripe limits spending per provider. Any process that observes a used-up cap
//! suspends the project.

use serde_json::{Value, json};

use crate::{
    raw_client::{RawClient, until},
    workspace::{BackendKind, Workspace},
};

#[test]
fn used_up_cap_is_suspended_by_the_next_observer() {
    for look in [&["list"][..], &["reap"]] {
        let workspace = project_with_usage(999);
        workspace.ok(look);
        assert!(workspace.variable("SUPERMEMORY_API_KEY").is_some(), "{look:?}: a cent is left");
        let key = workspace.variable("SUPERMEMORY_API_KEY").unwrap();
        workspace.fake_stripe().bill("supermemory", 1);
        let output = workspace.ok(look);
        assert!((output.stdout + &output.stderr).contains("suspended"), "{look:?}");
        assert_eq!(workspace.read(".env"), "USER_LINES=1\n", "{look:?}");
        assert_eq!(workspace.json(&["list"])["projects"][0]["status"], "suspended", "{look:?}");
        assert_eq!(workspace.json(&["resume", "memory"])["code"], "cap_reached", "{look:?}");
        let audit = workspace.ok(&["audit", "--json", "--project", "memory", "--outcome", "intended"]).stdout;
        let why: Value = serde_json::from_str(audit.lines().find(|row| row.contains("\"suspend\"")).unwrap()).unwrap();
        assert_eq!(why["detail"]["because"], "cap_reached", "{look:?}");

        // In another month the user resumes it, with another key.
        workspace.fake_stripe().start_new_month();
        assert_eq!(workspace.json(&["resume", "memory"])["status"], "active", "{look:?}");
        assert_ne!(workspace.variable("SUPERMEMORY_API_KEY").unwrap(), key, "{look:?}: the old key came back");
        workspace.ok(look);
        assert_eq!(workspace.json(&["list"])["projects"][0]["status"], "active", "{look:?}");
    }
}

#[test]
fn server_enforces_caps_unprompted() {
    let workspace = project_with_usage(1_000);
    let agent = RawClient::initialize(&workspace);
    until("the suspension", || workspace.variable("SUPERMEMORY_API_KEY").is_none().then_some(()));
    agent.disconnect();
    assert_eq!(workspace.json(&["list"])["projects"][0]["status"], "suspended");
}

/// Stripe's usage of a provider covers all its services, so neither project's usage is known.
#[test]
fn shared_usage_is_left_to_stripes_limit() {
    let workspace = project_with_usage(0);
    workspace.ok(&["provision", "notes", "supermemory", "--cap", "10"]);
    workspace.fake_stripe().bill("supermemory", 1_500);
    workspace.ok(&["reap"]);
    let statuses = workspace.json(&["list"]);
    let statuses: Vec<&Value> =
        statuses["projects"].as_array().unwrap().iter().map(|project| &project["status"]).collect();
    assert_eq!(statuses, ["active", "active"]);
}

/// A suspended project cannot spend, so the backend is not asked and need not answer.
#[test]
fn suspended_project_is_not_observed() {
    let workspace = project_with_usage(1_000);
    workspace.ok(&["suspend", "memory"]);
    workspace.fake_stripe().inject_faults(json!([{ "verb": "status", "fault": "garbage", "times": 3 }]));
    let output = workspace.ok(&["reap"]);
    assert_eq!((output.stdout + &output.stderr).find("not known"), None);
}

/// The backend stops the key and restores it when the month begins; the variable stays.
#[test]
fn backend_that_enforces_caps_suspends_by_itself() {
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

/// The backend is not asked for usage, so it need not answer.
#[test]
fn backend_that_enforces_caps_is_not_asked_for_usage() {
    let workspace = Workspace::on(BackendKind::StripeApi);
    workspace.ok(&["provision", "memory", "supermemory", "--cap", "10"]);
    let output = workspace.cli(&["reap"]).env("STRIPE_API_KEY", "rk_live_0123456789").succeed();
    assert!(!output.stderr.contains("usage could not be read"), "{output:?}");
}

#[test]
fn reap_without_usage_reports_it_and_reaps() {
    let workspace = project_with_usage(1_000);
    workspace.fake_stripe().inject_faults(json!([{ "verb": "status", "fault": "garbage", "times": 3 }]));
    let output = workspace.run(&["reap"]);
    assert!(output.code == 0 && output.stderr.contains("usage could not be read"), "{output:?}");
    assert!(workspace.variable("SUPERMEMORY_API_KEY").is_some());
}

/// Creates a project with a cap of 10 USD and that many used cents.
fn project_with_usage(cents: u64) -> Workspace {
    let workspace = Workspace::on(BackendKind::StripeCli);
    workspace.write(".env", "USER_LINES=1\n");
    workspace.ok(&["provision", "memory", "supermemory", "--cap", "10"]);
    workspace.fake_stripe().bill("supermemory", cents);
    workspace
}
