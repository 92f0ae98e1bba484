//! The whole program over the real backends, as a user with a Stripe account sees it.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    raw_client::{RawClient, until},
    simulator_client::SimulatorProcess,
    workspace::{BackendKind, CommandOutput, Workspace},
};

const REAL: [BackendKind; 2] = [BackendKind::StripeApi, BackendKind::StripeCli];

#[test]
fn lifecycle_is_the_same_over_every_backend() {
    for kind in BackendKind::ALL {
        let workspace = Workspace::on(kind);
        let response = workspace.json(&["provision", "memory", "supermemory", "--cap", "5"]);
        assert_eq!(
            (&response["status"], &response["key_version"]),
            (&json!("active"), &json!(1)),
            "{kind:?}: {response}"
        );
        let first = workspace.variable("SUPERMEMORY_API_KEY").unwrap();
        assert!(workspace.owner_of(&first).is_some(), "{kind:?}");

        let rotated = workspace.json(&["rotate", "memory"]);
        assert_eq!(rotated["key_version"], 2, "{kind:?}: {rotated}");
        let second = workspace.variable("SUPERMEMORY_API_KEY").unwrap();
        assert!(workspace.owner_of(&first).is_none() && workspace.owner_of(&second).is_some(), "{kind:?}");
        assert_eq!(workspace.json(&["list"])["projects"][0]["status"], "active", "{kind:?}");

        let gone = workspace.json(&["teardown", "memory", "--yes"]);
        assert_eq!(gone["status"], "torn_down", "{kind:?}: {gone}");
        assert!(workspace.owner_of(&second).is_none() && workspace.billed_resources().is_empty(), "{kind:?}");
        assert_eq!(workspace.read(".env"), "", "{kind:?}");
    }
}

#[test]
fn limit_is_the_sum_of_the_caps() {
    for kind in REAL {
        let workspace = Workspace::on(kind);
        let one = workspace.json(&["provision", "one", "supermemory", "--cap", "5"]);
        assert_eq!(one["cap_enforced_by"], "stripe, per provider and month", "{kind:?}");
        assert_eq!(limit(&workspace), 500, "{kind:?}");
        workspace.ok(&["provision", "two", "supermemory", "--cap", "7.50"]);
        assert_eq!(limit(&workspace), 1250, "{kind:?}");
        for project in workspace.json(&["list"])["projects"].as_array().unwrap() {
            let enforcement = project["cap_enforced_by"].as_str().unwrap();
            assert!(enforcement.contains("share one limit"), "{kind:?}: {enforcement}");
        }
        // A failed provision leaves the limit unchanged.
        fail_creation(&workspace);
        let error = workspace.json(&["provision", "three", "supermemory", "--cap", "3"]);
        assert_eq!(error["code"], "provider_failed", "{kind:?}: {error}");
        assert_eq!(limit(&workspace), 1250, "{kind:?}");
        workspace.ok(&["teardown", "one", "--yes"]);
        assert_eq!(limit(&workspace), 750, "{kind:?}");
        workspace.ok(&["teardown", "two", "--yes"]);
        assert_eq!(limit(&workspace), 0, "{kind:?}");
    }
}

/// A process that dies between the end of a project and the limit change leaves the limit too high.
#[test]
fn limit_left_too_high_is_lowered_by_the_next_start() {
    for kind in REAL {
        let workspace = Workspace::on(kind);
        workspace.ok(&["provision", "one", "supermemory", "--cap", "5"]);
        workspace.ok(&["provision", "two", "supermemory", "--cap", "7"]);
        workspace.sql("UPDATE projects SET status = 'failed' WHERE name = 'two'");
        assert_eq!(limit(&workspace), 1200, "{kind:?}");
        let server = RawClient::initialize(&workspace);
        until("the limit is lowered", || (limit(&workspace) == 500).then_some(()));
        assert_eq!(server.disconnect().code, 0);
    }
}

#[test]
fn refused_limit_prevents_provisioning() {
    let workspace = Workspace::on(BackendKind::StripeApi);
    inject(&workspace, &json!({ "on": "POST /v2/provisioning/payment_profile/update_limit", "fault": "declined" }));
    let error = workspace.json(&["provision", "memory", "supermemory"]);
    assert_eq!(error["code"], "limit_not_set", "{error}");
    let workspace = Workspace::on(BackendKind::StripeCli);
    workspace.fake_stripe().inject_faults(json!([
        { "verb": "billing update", "fault": "error", "code": "INVALID_ARGUMENT", "message": "no" },
    ]));
    let error = workspace.json(&["provision", "memory", "supermemory"]);
    assert_eq!(error["code"], "limit_not_set", "{error}");
    assert!(workspace.billed_resources().is_empty());
}

#[test]
fn pending_link_is_shown_to_the_user() {
    let workspace = Workspace::new();
    let simulator = SimulatorProcess::start(&workspace, &["--unlinked", "supermemory"]);
    let provision = || {
        let call = workspace.cli(&["provision", "memory", "supermemory", "--accept-tos"]);
        let call = call.env("STRIPE_PROJECTS_BACKEND", "stripe-api").env("STRIPE_API_KEY", "rk_test_0123456789");
        call.env("STRIPE_PROJECTS_STRIPE_API_BASE", &simulator.base).json()
    };
    let error = provision();
    assert_eq!(error["code"], "needs_link", "{error}");
    let url = error["hint"].as_str().unwrap().split(' ').find(|part| part.starts_with("http")).unwrap().to_owned();
    simulator.open(&url);
    assert_eq!(provision()["status"], "active");

    let workspace = Workspace::on(BackendKind::StripeCli);
    workspace.fake_stripe().unlink("supermemory");
    let error = workspace.json(&["provision", "memory", "supermemory"]);
    assert_eq!(error["code"], "provider_not_linked", "{error}");
    assert!(error["hint"].as_str().unwrap().contains("stripe projects link supermemory"));
    workspace.fake_stripe().link("supermemory");
    assert_eq!(workspace.json(&["provision", "memory", "supermemory"])["status"], "active");
}

#[test]
fn missing_prerequisites_are_reported_immediately() {
    let api = |key: &str| {
        let workspace = Workspace::on(BackendKind::StripeApi);
        workspace.cli(&["provision", "memory", "supermemory", "--json"]).env("STRIPE_API_KEY", key).run()
    };
    let cli = |prepare: &dyn Fn(&Workspace, &mut Command)| {
        let workspace = Workspace::on(BackendKind::StripeCli);
        let mut command = workspace.command(&["provision", "memory", "supermemory", "--json"]);
        prepare(&workspace, &mut command);
        let started = Instant::now();
        let output = CommandOutput::from(command.output().unwrap());
        assert!(started.elapsed() < Duration::from_secs(5), "{output:?}");
        output
    };
    for (output, code) in [
        (api(""), "api_key_missing"),
        (api("pk_live_0123456789"), "api_key_unfit"),
        (api("rk_test_with a blank"), "api_key_unfit"),
        (
            cli(&|_, command| {
                command.env("STRIPE_PROJECTS_STRIPE_BIN", "/nowhere/stripe");
            }),
            "stripe_cli_missing",
        ),
        (cli(&|workspace, _| workspace.fake_stripe().log_out()), "not_logged_in"),
        (
            cli(&|workspace, _| {
                workspace.fake_stripe().inject_faults(json!([{ "fault": "plugin_missing", "times": 9 }]));
            }),
            "not_logged_in",
        ),
        (
            cli(&|workspace, _| workspace.fake_stripe().inject_faults(json!([{ "fault": "cli_too_old", "times": 9 }]))),
            "stripe_cli_too_old",
        ),
        (
            cli(&|workspace, _| {
                workspace.fake_stripe().inject_faults(json!([{ "fault": "not_eligible", "times": 9 }]));
            }),
            "account_not_eligible",
        ),
    ] {
        let response: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!((&response["code"], output.code), (&json!(code), 5), "{response}");
        assert!(!response["hint"].as_str().unwrap().is_empty());
    }
}

#[test]
fn api_key_is_read_from_a_file_and_never_an_argument() {
    let workspace = Workspace::on(BackendKind::StripeApi);
    workspace.allow_planted_keys();
    workspace.write("key", "rk_test_0123456789\n");
    let call = workspace.cli(&["provision", "memory", "supermemory", "--stripe-api-key-file", "key"]);
    call.env_remove("STRIPE_API_KEY").succeed();
    let output = workspace.run(&["list", "--stripe-api-key-file", "nowhere"]);
    assert!(output.code == 2 && output.stderr.contains("there is no file"), "{output:?}");
    assert_eq!(workspace.run(&["list", "--stripe-api-key", "rk_test_0123456789"]).code, 2);
}

#[test]
fn unrestricted_key_causes_a_warning() {
    let workspace = Workspace::on(BackendKind::StripeApi);
    let list = |key: &str| workspace.cli(&["list"]).env("STRIPE_API_KEY", key);
    assert!(list("sk_live_0123456789abcdef0123").run().stderr.contains("warning: STRIPE_API_KEY is a live secret key"));
    for quiet in ["rk_live_0123456789abcdef0123", "sk_test_0123456789abcdef0123"] {
        list(quiet).stderr("").run();
    }
}

/// Each outcome has the request id that Stripe's support asks for.
#[test]
fn audit_has_the_request_ids() {
    let workspace = Workspace::on(BackendKind::StripeApi);
    workspace.ok(&["provision", "memory", "supermemory"]);
    fail_creation(&workspace);
    workspace.run(&["provision", "other", "supermemory"]);
    workspace.ok(&["teardown", "memory", "--yes"]);
    let mut rows = workspace.ledger().audit().rows().unwrap();
    rows.retain(|row| row.outcome != "called");
    for row in rows.iter().filter(|row| row.outcome != "intended") {
        let detail: Value = serde_json::from_str(&row.detail).unwrap();
        let ids = detail["request_ids"].as_array().unwrap_or_else(|| panic!("{}: {detail}", row.action));
        assert!(!ids.is_empty() && ids.iter().all(|id| id.as_str().unwrap().starts_with("req_")), "{detail}");
    }
    assert_eq!(workspace.ledger().audit().first_broken_row().unwrap(), None);
}

/// The server sends no request before a tool call, so the first answer is fast.
#[test]
fn server_start_sends_no_request() {
    let workspace = Workspace::on(BackendKind::StripeCli);
    workspace.connect();
    let calls = workspace.fake_stripe().calls();
    let mut client = RawClient::initialize(&workspace);
    client.request("tools/list", &json!({}));
    client.call("list_projects", &json!({}));
    assert_eq!(client.disconnect().code, 0);
    assert_eq!(workspace.fake_stripe().calls(), calls);
}

#[test]
fn client_with_a_progress_token_gets_progress() {
    let workspace = Workspace::on(BackendKind::StripeCli);
    workspace.fake_stripe().inject_faults(json!([{ "verb": "status", "fault": "slow", "ms": 4500 }]));
    let mut client = RawClient::initialize(&workspace);
    let arguments = json!({ "name": "memory", "provider": "supermemory" });
    let params = json!({ "name": "provision", "arguments": arguments, "_meta": { "progressToken": "t" } });
    let answer = client.request("tools/call", &params);
    assert_eq!(answer["result"]["structuredContent"]["status"], "active", "{answer}");
    let progress: Vec<Value> =
        client.messages().into_iter().filter(|message| message["method"] == "notifications/progress").collect();
    assert!(progress.len() >= 2, "{progress:?}");
    assert!(progress.iter().all(|message| message["params"]["progressToken"] == "t"), "{progress:?}");
    assert!(progress[0]["params"]["progress"].as_f64() < progress[1]["params"]["progress"].as_f64());
    client.disconnect();
}

/// A purchase whose client cancels or is killed is completed or stays in the journal.
#[test]
fn cancelled_call_is_completed_or_journaled() {
    for kind in REAL {
        let workspace = Workspace::on(kind);
        delay_creation(&workspace, 3000);
        let mut client = RawClient::initialize(&workspace);
        let id = client.send_call("provision", &json!({ "name": "memory", "provider": "supermemory" }));
        until("it has begun", || (workspace.state().join("ledger.db").exists()).then_some(()));
        until("it is intended", || workspace.ledger().projects().unsettled().ok().filter(|open| !open.is_empty()));
        let cancelled = json!({ "requestId": id, "reason": "changed my mind" });
        client.write_line(
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled }).to_string(),
        );
        assert_eq!(client.disconnect().code, 0, "{kind:?}");
        let again = workspace.json(&["provision", "memory", "supermemory"]);
        let is_there = again["status"] == "active" || again["code"] == "already_exists";
        assert!(is_there, "{kind:?}: {again}");
        assert_eq!(workspace.billed_resources().len(), 1, "{kind:?}");
        assert!(workspace.owner_of(&workspace.variable("SUPERMEMORY_API_KEY").unwrap()).is_some(), "{kind:?}");
    }
}

#[test]
fn unperformed_rotation_and_teardown_are_detected() {
    let workspace = Workspace::on(BackendKind::StripeCli);
    workspace.ok(&["provision", "memory", "supermemory"]);
    let key = workspace.variable("SUPERMEMORY_API_KEY");
    workspace.fake_stripe().inject_faults(json!([{ "verb": "rotate", "fault": "no_change" }]));
    assert_eq!(workspace.json(&["rotate", "memory"])["code"], "rotation_not_effective");
    assert_eq!(workspace.variable("SUPERMEMORY_API_KEY"), key);

    workspace.fake_stripe().inject_faults(json!([{ "verb": "remove", "fault": "survives" }]));
    let error = workspace.json(&["teardown", "memory", "--yes"]);
    assert_eq!(error["code"], "teardown_incomplete", "{error}");
    assert!(error["message"].as_str().unwrap().contains("stripe still lists memory-"), "{error}");
    let listed = workspace.json(&["list"]);
    assert_eq!((&listed["live_count"], &listed["projects"][0]["status"]), (&json!(1), &json!("tearing_down")));
    assert_eq!(workspace.json(&["teardown", "memory", "--yes"])["status"], "torn_down");
    assert!(workspace.billed_resources().is_empty());
}

#[test]
fn project_of_another_backend_is_unchanged() {
    let workspace = Workspace::on(BackendKind::StripeCli);
    workspace.ok(&["provision", "memory", "supermemory"]);
    let output = workspace.run(&["rotate", "memory", "--backend", "simulated"]);
    assert!(output.code == 3 && output.stderr.contains("--backend stripe-cli"), "{output:?}");
    assert_eq!(workspace.billed_resources().len(), 1);
    workspace.ok(&["provision", "web", "search", "--backend", "simulated"]);
    for backend in ["simulated", "stripe-cli"] {
        let list = workspace.json(&["list", "--backend", backend]);
        let statuses: Vec<_> = list["projects"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
        assert_eq!(statuses, ["active", "active"], "{backend} is not asked about unknown resources");
    }
}

/// A key sent in the clear could be read on the way.
#[test]
fn api_key_is_never_sent_in_the_clear() {
    let workspace = Workspace::new();
    for base in ["http://api.stripe.com", "https://u:p@api.stripe.com", "ftp://x", "api.stripe.com", "https://x/?q=1"] {
        let output = workspace.run(&["list", "--backend", "stripe-api", "--stripe-api-base", base]);
        assert!(output.code == 2 && !output.stderr.contains(base), "{output:?}");
    }
}

/// A real provider's connection string reaches the env file, and a shell.
#[test]
fn connection_string_is_delivered() {
    let workspace = Workspace::on(BackendKind::StripeCli);
    workspace.fake_stripe().set("neon/postgres", "connection_string", json!(true));
    let response = workspace.json(&["provision", "db", "postgres"]);
    assert_eq!((&response["status"], &response["api_key_masked"]), (&json!("active"), &json!("…")), "{response}");
    let shell = Command::new("sh").args(["-c", ". ./.env; echo $DATABASE_URL"]).current_dir(workspace.path()).output();
    let read = String::from_utf8(shell.unwrap().stdout).unwrap();
    assert!(read.starts_with("postgresql://") && workspace.owner_of(read.trim()).is_some(), "{read}");
}

/// Returns the limit in cents, as the counterpart has it.
fn limit(workspace: &Workspace) -> u64 {
    if workspace.kind() == BackendKind::StripeCli {
        return workspace.fake_stripe().limit("supermemory");
    }
    let world = rusqlite::Connection::open(workspace.state().join("simulated.db")).unwrap();
    let sql = "SELECT cents FROM limits WHERE provider = 'supermemory'";
    world.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap().into()
}

fn fail_creation(workspace: &Workspace) {
    let no = json!({ "verb": "add", "fault": "error", "code": "provider_failure", "message": "no" });
    inject_on_creation(workspace, &no, &json!({ "fault": "errored" }));
}

fn delay_creation(workspace: &Workspace, ms: u32) {
    let slow = json!({ "verb": "add", "fault": "slow", "ms": ms });
    inject_on_creation(workspace, &slow, &json!({ "fault": "slow", "ms": ms }));
}

/// Injects a fault for the next creation into the fake Stripe CLI or the simulator.
fn inject_on_creation(workspace: &Workspace, fake_stripe: &Value, simulator: &Value) {
    if workspace.kind() == BackendKind::StripeCli {
        return workspace.fake_stripe().inject_faults(json!([fake_stripe]));
    }
    let mut fault = simulator.clone();
    fault["on"] = json!("POST /v2/provisioning/resources");
    fault["times"] = json!(1);
    inject(workspace, &fault);
}

fn inject(workspace: &Workspace, fault: &Value) {
    workspace.simulator().inject(fault);
}

/// Neither a partly read folder nor a temporary file may remain.
#[test]
fn state_folder_keeps_no_plain_text_key() {
    let workspace = Workspace::on(BackendKind::StripeCli);
    workspace.ok(&["provision", "memory", "supermemory"]);
    workspace.ok(&["rotate", "memory"]);
    let key = workspace.variable("SUPERMEMORY_API_KEY").unwrap();
    for file in workspace.files().into_iter().filter(|file| !file.ends_with(".env")) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()), "{}", file.display());
    }
}
