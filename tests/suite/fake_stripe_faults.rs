//! Each fault of the fake Stripe CLI has the effect and timing of its name.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    fake_stripe_behavior::{EXA, code, key, ready, variable},
    raw_client::until,
};

#[test]
fn fault_strikes_before_or_after_the_effect() {
    for (fault, made, has_envelope) in [
        (json!({ "fault": "die_before" }), false, false),
        (json!({ "fault": "die_after" }), true, false),
        (json!({ "fault": "truncated" }), true, false),
        (json!({ "fault": "garbage" }), true, false),
        (json!({ "fault": "two_envelopes" }), true, false),
        (json!({ "fault": "error", "code": "UNKNOWN_ERROR", "message": "no" }), false, true),
        (json!({ "fault": "error_after", "code": "UNKNOWN_ERROR", "message": "no" }), true, true),
        (json!({ "fault": "not_eligible" }), false, true),
        (json!({ "fault": "merchant_mismatch" }), false, true),
        (json!({ "fault": "slow", "ms": 1 }), true, true),
        (json!({ "fault": "exit", "status": 7 }), true, true),
    ] {
        let (fake_stripe, folder) = ready();
        let before = fake_stripe.resources().len();
        let mut fault = fault;
        fault["verb"] = json!("add");
        fake_stripe.inject_faults(json!([fault]));
        let output = fake_stripe.run(folder.path(), &EXA);
        assert_eq!(fake_stripe.resources().len() - before, usize::from(made), "{fault}");
        let envelope = output.stdout.find('{').map(|start| serde_json::from_str::<Value>(&output.stdout[start..]));
        assert_eq!(matches!(envelope, Some(Ok(_))), has_envelope, "{fault}: {output:?}");
        assert_eq!(fake_stripe.pending_faults().len(), 0, "{fault} is used up");
    }
}

#[test]
fn leak_flood_and_line_break_are_injected() {
    let (fake_stripe, folder) = ready();
    fake_stripe.inject_faults(json!([
        { "verb": "add", "fault": "newline_credential" },
        { "verb": "add", "fault": "huge" },
        { "verb": "rotate", "fault": "leaky" },
    ]));
    let flood = fake_stripe.run(folder.path(), &EXA);
    assert!(flood.stdout.len() > 5_000_000);
    let broken = key(&fake_stripe, "search");
    assert!(broken.contains('\n'));
    fake_stripe.run(folder.path(), &["env", "--pull"]);
    let file = fs::read_to_string(folder.path().join(".env")).unwrap();
    assert!(file.contains(&format!("SEARCH_API_KEY=\"{broken}\"\n")), "{file:?}");
    let leak = fake_stripe.run(folder.path(), &["rotate", "search", "--yes"]);
    let key = key(&fake_stripe, "search");
    assert!(leak.stderr.contains(&key) && leak.stdout.contains(&key));
    fake_stripe.run(folder.path(), &["env", "--pull"]);
    assert_eq!(variable(folder.path(), ".env", "SEARCH_API_KEY"), Some(key), "the broken entry was replaced whole");
}

#[test]
fn unready_resource_has_no_value() {
    let (fake_stripe, folder) = ready();
    fake_stripe.inject_faults(json!([{ "verb": "add", "fault": "not_ready", "polls": 2 }]));
    let added = fake_stripe.envelope(folder.path(), &EXA);
    assert_eq!(added["data"]["service"]["status"], "pending");
    assert!(added["data"]["service"]["key"].as_str().unwrap().starts_with("fres_"));
    assert_eq!(code(&fake_stripe.envelope(folder.path(), &["env", "--pull"])), "PROJECT_ENVIRONMENT_HAS_NO_RESOURCES");
    let values: Vec<Value> = (0..3)
        .map(|_| fake_stripe.envelope(folder.path(), &["status"])["data"]["services"][0]["status"].clone())
        .collect();
    assert_eq!(values, ["pending", "pending", "complete"]);
    assert_eq!(fake_stripe.envelope(folder.path(), &["env", "--pull"])["ok"], true);
}

#[test]
fn listing_can_prove_nothing() {
    let (fake_stripe, folder) = ready();
    fake_stripe.run(folder.path(), &EXA);
    let output_with = |fault: &str| {
        fake_stripe.inject_faults(json!([{ "fault": fault }]));
        fake_stripe.envelope(folder.path(), &["status"])["data"].clone()
    };
    assert_eq!(output_with("no_lists").get("services"), None);
    assert_eq!(output_with("repeated_row")["services"].as_array().unwrap().len(), 2);
    assert_eq!(output_with("unnamed_row")["services"][0].get("name"), None);
    assert_ne!(output_with("other_project")["project"]["id"], fake_stripe.project_id());
}

#[test]
fn half_written_state_is_repaired_by_pull() {
    let (fake_stripe, folder) = ready();
    fake_stripe.inject_faults(json!([{ "verb": "add", "fault": "half_written_state" }]));
    fake_stripe.run(folder.path(), &EXA);
    assert_eq!(code(&fake_stripe.envelope(folder.path(), &["status"])), "UNKNOWN_ERROR");
    assert_eq!(code(&fake_stripe.envelope(folder.path(), &EXA)), "UNKNOWN_ERROR");
    let id = fake_stripe.project_id();
    assert_eq!(fake_stripe.envelope(folder.path(), &["pull", &id, "--skip-skills", "--yes"])["ok"], true);
    assert_eq!(fake_stripe.envelope(folder.path(), &["status"])["data"]["services"][0]["name"], "search");

    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(code(&fake_stripe.envelope(elsewhere.path(), &["pull", "project_none", "--yes"])), "INVALID_ARGUMENT");
    assert_eq!(fake_stripe.envelope(elsewhere.path(), &["pull", &id, "--yes"])["ok"], true);
}

#[test]
fn hang_holds_stdout_until_the_group_is_killed() {
    for (fault, made) in [("hang", 0), ("hang_after", 1)] {
        let (fake_stripe, folder) = ready();
        let before = fake_stripe.resources().len();
        fake_stripe.inject_faults(json!([{ "verb": "add", "fault": fault }]));
        let arguments = [&["projects"], &EXA[..]].concat();
        let mut command = fake_stripe.command(folder.path(), &arguments);
        let mut child = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        until("it hangs", || fake_stripe.has_hung().then_some(()));
        assert_eq!(fake_stripe.resources().len() - before, made, "{fault}: the world is not locked meanwhile");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(fake_stripe.still_hangs(), "{fault}: the helper outlives its parent");
        let group = format!("-{}", child.id());
        assert!(Command::new("kill").args(["-KILL", "--", &group]).status().unwrap().success());
        until("nothing hangs", || (!fake_stripe.still_hangs()).then_some(()));
    }
}
