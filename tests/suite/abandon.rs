//! A purchase of which nobody can tell any more: a human gives it up, and nobody else, and only that.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::{
    lines::until,
    workspace::{Kind, Ran, Workspace},
};

#[test]
fn a_human_gives_up_what_nobody_can_tell_of() {
    for is_bought in [false, true] {
        let here = lost(is_bought);
        let again = here.json(&PROVISION);
        assert_eq!(again["code"], "outcome_unknown", "{again}");
        let (message, hint) = (again["message"].as_str().unwrap(), again["hint"].as_str().unwrap());
        assert!(message.contains("https://dashboard.stripe.com shows whether there is a resource called memory-"));
        assert!(hint.contains("`stripe-projects-mcp abandon memory`"), "{hint}");
        let advice = journal(&here)["advice"].as_str().unwrap().to_owned();
        assert!(advice.contains("`stripe-projects-mcp abandon memory`"), "{advice}");
        assert_eq!(here.run(&["teardown", "memory", "--yes"]).code, 6, "nobody knows what to tear down");

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
        assert_eq!(here.billed().len(), 1 + usize::from(is_bought), "what exists is left to the human, as he was told");
        assert_eq!(here.ledger().audit().first_broken_row().unwrap(), None);
    }
}

/// As long as the backend can tell, it is asked and believed, whatever the human would give up.
#[test]
fn what_the_backend_can_still_tell_is_settled_and_not_given_up() {
    for is_bought in [false, true] {
        let here = fresh(is_bought);
        let settled = here.json(&["abandon", "memory", "--yes"]);
        assert_eq!((&settled["came_of_it"], &settled["project"]["status"]), (&json!("found"), &json!("active")));
        assert_eq!(here.billed().len(), 1);
        assert!(here.owner_of(&here.variable("SUPERMEMORY_API_KEY").unwrap()).is_some());
    }
    let here = fresh(false);
    here.simulator().plan(&json!({ "on": CREATE, "fault": "declined", "times": 9 }));
    let settled = here.json(&["abandon", "memory", "--yes"]);
    assert_eq!((&settled["came_of_it"], &settled["project"]["status"]), (&json!("never_was"), &json!("failed")));
    assert!(here.billed().is_empty());
}

/// That it does not answer now is no reason: tomorrow it may.
#[test]
fn a_backend_that_does_not_say_now_is_not_one_that_never_will() {
    let here = lost(false);
    let mut command = here.command(&["abandon", "memory", "--yes"]);
    let ran = Ran::from(command.env("STRIPE_API_KEY", "rk_live_0123456789").output().unwrap());
    assert_eq!(ran.code, 6, "{ran:?}");
    assert_eq!(here.json(&["list"])["live_count"], 1);
    assert_eq!(here.json(&["abandon", "memory", "--yes"])["came_of_it"], "given_up");
}

#[test]
fn nothing_else_can_be_forgotten() {
    for kind in Kind::ALL {
        let here = Workspace::on(kind);
        assert_eq!(here.json(&["abandon", "memory", "--yes"])["code"], "project_not_found");
        here.ok(&PROVISION);
        assert_eq!(here.json(&["abandon", "memory", "--yes"])["code"], "nothing_to_forget");
        let open = "UPDATE projects SET status = 'rotating';
            INSERT INTO journal (project, operation, was_status, was_version, opened_at)
            SELECT row, 'rotate', 'active', key_version, 0 FROM projects";
        sql(&here, open);
        let refused = here.run(&["abandon", "memory", "--yes"]);
        assert_eq!(refused.code, 3, "{refused:?}");
        assert_eq!(here.json(&["rotate", "memory"])["status"], "active", "what was open is as it was");
    }
    let here = lost(false);
    let wrong = here.json(&["abandon", "memory", "--yes", "--backend", "simulated"]);
    assert_eq!(wrong["code"], "wrong_backend");
}

/// Where the backend shows everything, what was given up and turns up later is said.
#[test]
fn what_turns_up_later_is_drift() {
    for kind in [Kind::Simulated, Kind::StripeCli] {
        let here = Workspace::on(kind);
        here.ok(&PROVISION);
        sql(&here, "UPDATE projects SET status = 'failed'; UPDATE deliveries SET held = 0");
        let report = here.json(&["doctor"]);
        let drift = report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "drift").unwrap();
        assert_eq!(drift["state"], "problem", "{report:#}");
    }
}

#[cfg(unix)]
#[test]
fn at_a_terminal_it_is_asked_and_told_what_it_means() {
    use crate::pseudo_terminal::Terminal;
    let here = lost(true);
    for (keys, code, live) in [("n\r", 3, 1), ("\x03", 130, 1), ("y\r", 0, 0)] {
        let terminal = Terminal::start(&here.command(&["abandon", "memory"]), 100);
        terminal.until("nothing here will list it").until("Give memory up? [y/N] ").press(keys);
        let left = terminal.left();
        assert_eq!((left.code, &here.json(&["list"])["live_count"]), (code, &json!(live)), "{keys:?}: {}", left.screen);
    }
}

/// A purchase whose answer was lost so long ago that Stripe may have forgotten it.
fn lost(is_bought: bool) -> Workspace {
    let here = fresh(is_bought);
    let ledger = here.ledger();
    let (id, text) = ledger.kv().list_notes("stripe-api", "order/").unwrap().remove(0);
    let mut sent: Value = serde_json::from_str(&text).unwrap();
    sent["at_ms"] = json!(sent["at_ms"].as_i64().unwrap() - 24 * 60 * 60 * 1000);
    ledger.kv().put_note("stripe-api", &format!("order/{id}"), &sent.to_string()).unwrap();
    here
}

/// A purchase whose process was killed while it waited for an answer that never came.
fn fresh(is_bought: bool) -> Workspace {
    let here = Workspace::on(Kind::StripeApi);
    let fault = if is_bought { "drop_after" } else { "drop_before" };
    here.simulator().plan(&json!({ "on": CREATE, "fault": fault, "times": 99 }));
    let mut child = here.command(&PROVISION).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the order is sent", || {
        let sent = here.ledger().exists() && !here.ledger().kv().list_notes("stripe-api", "order/").unwrap().is_empty();
        (sent && (!is_bought || !here.billed().is_empty())).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    here.simulator().clear_up();
    here
}

fn journal(here: &Workspace) -> Value {
    let report = here.json(&["doctor"]);
    report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "journal").unwrap().clone()
}

fn sql(here: &Workspace, change: &str) {
    rusqlite::Connection::open(here.state().join("ledger.db")).unwrap().execute_batch(change).unwrap();
}

const PROVISION: [&str; 3] = ["provision", "memory", "supermemory"];

const CREATE: &str = "POST /v2/provisioning/resources";
