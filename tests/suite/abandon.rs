//! Abandoning a purchase whose outcome can no longer be determined. Only a person does it, and only then.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::{
    raw_client::until,
    workspace::{BackendKind, Workspace},
};

#[test]
fn abandon_ends_an_order_of_unknown_outcome() {
    for is_bought in [false, true] {
        let here = order_of_unknown_outcome(is_bought);
        let again = here.json(&PROVISION);
        assert_eq!(again["code"], "outcome_unknown", "{again}");
        let (message, hint) = (again["message"].as_str().unwrap(), again["hint"].as_str().unwrap());
        assert!(message.contains("look at https://dashboard.stripe.com for a resource called memory-"));
        assert!(hint.contains("`stripe-projects-mcp abandon memory`"), "{hint}");
        let advice = journal(&here)["advice"].as_str().unwrap().to_owned();
        assert!(advice.contains("`stripe-projects-mcp abandon memory`"), "{advice}");
        assert_eq!(here.run(&["teardown", "memory", "--yes"]).code, 6, "the resource is unknown");

        let unasked = here.run(&["abandon", "memory"]);
        assert_eq!(unasked.code, 3, "without a terminal it takes --yes: {unasked:?}");
        assert!(unasked.stderr.contains("it is billed and nothing here will list it"), "{unasked:?}");
        assert_eq!(here.json(&["list"])["live_count"], 1);

        let given_up = here.json(&["abandon", "memory", "--yes"]);
        assert_eq!((&given_up["came_of_it"], &given_up["project"]["status"]), (&json!("given_up"), &json!("failed")));
        let next = given_up["project"]["next"].as_str().unwrap();
        assert!(next.starts_with("If memory-") && next.contains("dashboard.stripe.com"), "{next}");
        let row = here
            .ledger()
            .audit()
            .rows()
            .unwrap()
            .into_iter()
            .find(|row| row.action == "abandon" && row.outcome == "failed");
        let detail: Value = serde_json::from_str(&row.unwrap().detail).unwrap();
        assert_eq!(detail["given_up_by"], "a human");
        assert!(here.ledger().projects().unsettled().unwrap().is_empty());
        assert_eq!(here.json(&["doctor"])["healthy"], true);
        assert_eq!(here.json(&["abandon", "memory", "--yes"])["code"], "project_not_found", "once is enough");

        assert_eq!(here.json(&PROVISION)["status"], "active", "the name and the variable are free");
        assert_eq!(here.billed_resources().len(), 1 + usize::from(is_bought), "the resource stays, as the prompt says");
        assert_eq!(here.ledger().audit().first_broken_row().unwrap(), None);
    }
}

/// As long as the backend knows the outcome, that outcome counts and nothing is abandoned.
#[test]
fn abandon_prefers_what_the_backend_can_determine() {
    for is_bought in [false, true] {
        let here = order_of_killed_process(is_bought);
        let settled = here.json(&["abandon", "memory", "--yes"]);
        assert_eq!((&settled["came_of_it"], &settled["project"]["status"]), (&json!("found"), &json!("active")));
        assert_eq!(here.billed_resources().len(), 1);
        assert!(here.owner_of(&here.variable("SUPERMEMORY_API_KEY").unwrap()).is_some());
    }
    let here = order_of_killed_process(false);
    here.simulator().inject(&json!({ "on": CREATE, "fault": "declined", "times": 9 }));
    let settled = here.json(&["abandon", "memory", "--yes"]);
    assert_eq!((&settled["came_of_it"], &settled["project"]["status"]), (&json!("never_was"), &json!("failed")));
    assert!(here.billed_resources().is_empty());
}

/// A backend that does not answer now may answer tomorrow, so nothing is abandoned.
#[test]
fn temporarily_unknown_order_cannot_be_abandoned() {
    let here = order_of_unknown_outcome(false);
    here.cli(&["abandon", "memory", "--yes"]).env("STRIPE_API_KEY", "rk_live_0123456789").exit(6);
    assert_eq!(here.json(&["list"])["live_count"], 1);
    assert_eq!(here.json(&["abandon", "memory", "--yes"])["came_of_it"], "given_up");
}

#[test]
fn abandon_refuses_projects_in_any_other_state() {
    for kind in BackendKind::ALL {
        let here = Workspace::on(kind);
        assert_eq!(here.json(&["abandon", "memory", "--yes"])["code"], "project_not_found");
        here.ok(&PROVISION);
        assert_eq!(here.json(&["abandon", "memory", "--yes"])["code"], "nothing_to_forget");
        let open = "UPDATE projects SET status = 'rotating';
            INSERT INTO journal (project, operation, was_status, was_version, opened_at)
            SELECT row, 'rotate', 'active', key_version, 0 FROM projects";
        here.sql(open);
        let error = here.run(&["abandon", "memory", "--yes"]);
        assert_eq!(error.code, 3, "{error:?}");
        assert_eq!(here.json(&["rotate", "memory"])["status"], "active", "what was open is as it was");
    }
    let here = order_of_unknown_outcome(false);
    let wrong = here.json(&["abandon", "memory", "--yes", "--backend", "simulated"]);
    assert_eq!(wrong["code"], "wrong_backend");
}

/// A backend that lists everything reports an abandoned order that turns up later.
#[test]
fn abandoned_order_found_later_is_drift() {
    for kind in [BackendKind::Simulated, BackendKind::StripeCli] {
        let here = Workspace::on(kind);
        here.ok(&PROVISION);
        here.sql("UPDATE projects SET status = 'failed'; UPDATE deliveries SET held = 0");
        let report = here.json(&["doctor"]);
        let drift = report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "drift").unwrap();
        assert_eq!(drift["state"], "problem", "{report:#}");
    }
}

#[cfg(unix)]
#[test]
fn abandon_at_a_terminal_asks_and_explains() {
    use crate::pseudo_terminal::Terminal;
    let here = order_of_unknown_outcome(true);
    for (keys, code, live) in [("n\r", 3, 1), ("\x03", 130, 1), ("y\r", 0, 0)] {
        let terminal = Terminal::start(&here.command(&["abandon", "memory"]), 100);
        terminal.until("nothing here will list it").until("Abandon memory? [y/N] ").press(keys);
        let output = terminal.finish();
        assert_eq!(
            (output.code, &here.json(&["list"])["live_count"]),
            (code, &json!(live)),
            "{keys:?}: {}",
            output.screen
        );
    }
}

/// Creates a purchase with a lost response, so long ago that Stripe may have forgotten it.
fn order_of_unknown_outcome(is_bought: bool) -> Workspace {
    let here = order_of_killed_process(is_bought);
    let ledger = here.ledger();
    let (id, text) = ledger.kv().list_notes("stripe-api", "order/").unwrap().remove(0);
    let mut note: Value = serde_json::from_str(&text).unwrap();
    note["at_ms"] = json!(note["at_ms"].as_i64().unwrap() - 24 * 60 * 60 * 1000);
    ledger.kv().put_note("stripe-api", &format!("order/{id}"), &note.to_string()).unwrap();
    here
}

/// Creates a purchase whose process was killed while it waited for a response.
fn order_of_killed_process(is_bought: bool) -> Workspace {
    let here = Workspace::on(BackendKind::StripeApi);
    let fault = if is_bought { "drop_after" } else { "drop_before" };
    here.simulator().inject(&json!({ "on": CREATE, "fault": fault, "times": 99 }));
    let mut child = here.command(&PROVISION).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the order is sent", || {
        let is_sent =
            here.ledger().exists() && !here.ledger().kv().list_notes("stripe-api", "order/").unwrap().is_empty();
        (is_sent && (!is_bought || !here.billed_resources().is_empty())).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    here.simulator().clear_faults();
    here
}

fn journal(here: &Workspace) -> Value {
    let report = here.json(&["doctor"]);
    report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "journal").unwrap().clone()
}

const PROVISION: [&str; 3] = ["provision", "memory", "supermemory"];

const CREATE: &str = "POST /v2/provisioning/resources";
