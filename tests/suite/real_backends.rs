//! The whole house over the real backends, through the real binary: what a person with a Stripe account would see.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    lines::{Lines, until},
    simulator_client::Running,
    workspace::{Kind, Ran, Workspace},
};

const REAL: [Kind; 2] = [Kind::StripeApi, Kind::StripeCli];

#[test]
fn a_project_lives_and_dies_the_same_over_every_backend() {
    for kind in Kind::ALL {
        let workspace = Workspace::on(kind);
        let made = workspace.json(&["provision", "memory", "supermemory", "--cap", "5"]);
        assert_eq!((&made["status"], &made["key_version"]), (&json!("active"), &json!(1)), "{kind:?}: {made}");
        let first = workspace.variable("SUPERMEMORY_API_KEY").unwrap();
        assert!(workspace.owner_of(&first).is_some(), "{kind:?}");

        let rotated = workspace.json(&["rotate", "memory"]);
        assert_eq!(rotated["key_version"], 2, "{kind:?}: {rotated}");
        let second = workspace.variable("SUPERMEMORY_API_KEY").unwrap();
        assert!(workspace.owner_of(&first).is_none() && workspace.owner_of(&second).is_some(), "{kind:?}");
        assert_eq!(workspace.json(&["list"])["projects"][0]["status"], "active", "{kind:?}");

        let gone = workspace.json(&["teardown", "memory", "--yes"]);
        assert_eq!(gone["status"], "torn_down", "{kind:?}: {gone}");
        assert!(workspace.owner_of(&second).is_none() && workspace.billed().is_empty(), "{kind:?}");
        assert_eq!(workspace.read(".env"), "", "{kind:?}");
    }
}

#[test]
fn a_limit_is_the_sum_of_the_caps_and_says_so() {
    for kind in REAL {
        let workspace = Workspace::on(kind);
        let one = workspace.json(&["provision", "one", "supermemory", "--cap", "5"]);
        assert_eq!(one["cap_enforced_by"], "stripe, per provider and month", "{kind:?}");
        assert_eq!(limit(&workspace), 500, "{kind:?}");
        workspace.ok(&["provision", "two", "supermemory", "--cap", "7.50"]);
        assert_eq!(limit(&workspace), 1250, "{kind:?}");
        for project in workspace.json(&["list"])["projects"].as_array().unwrap() {
            let said = project["cap_enforced_by"].as_str().unwrap();
            assert!(said.contains("share one limit"), "{kind:?}: {said}");
        }
        // One that comes to nothing leaves the limit as it was.
        forbid_creation(&workspace);
        let refused = workspace.json(&["provision", "three", "supermemory", "--cap", "3"]);
        assert_eq!(refused["code"], "provider_failed", "{kind:?}: {refused}");
        assert_eq!(limit(&workspace), 1250, "{kind:?}");
        workspace.ok(&["teardown", "one", "--yes"]);
        assert_eq!(limit(&workspace), 750, "{kind:?}");
        workspace.ok(&["teardown", "two", "--yes"]);
        assert_eq!(limit(&workspace), 0, "{kind:?}");
    }
}

/// A process that died between the end of a project and the limit: the next start makes up for it.
#[test]
fn a_limit_that_was_left_too_high_is_lowered_by_the_next_start() {
    for kind in REAL {
        let workspace = Workspace::on(kind);
        workspace.ok(&["provision", "one", "supermemory", "--cap", "5"]);
        workspace.ok(&["provision", "two", "supermemory", "--cap", "7"]);
        let ledger = rusqlite::Connection::open(workspace.state().join("ledger.db")).unwrap();
        ledger.execute("UPDATE projects SET status = 'failed' WHERE name = 'two'", []).unwrap();
        drop(ledger);
        assert_eq!(limit(&workspace), 1200, "{kind:?}");
        let server = Lines::greet(&workspace);
        until("the limit is lowered", || (limit(&workspace) == 500).then_some(()));
        assert_eq!(server.leave().code, 0);
    }
}

#[test]
fn a_limit_that_stripe_does_not_take_means_no_provision() {
    let workspace = Workspace::on(Kind::StripeApi);
    plan(&workspace, &json!({ "on": "POST /v2/provisioning/payment_profile/update_limit", "fault": "declined" }));
    let refused = workspace.json(&["provision", "memory", "supermemory"]);
    assert_eq!(refused["code"], "limit_not_set", "{refused}");
    let workspace = Workspace::on(Kind::StripeCli);
    workspace.stand_in().weather(json!([
        { "verb": "billing update", "fault": "error", "code": "INVALID_ARGUMENT", "message": "no" },
    ]));
    let refused = workspace.json(&["provision", "memory", "supermemory"]);
    assert_eq!(refused["code"], "limit_not_set", "{refused}");
    assert!(workspace.billed().is_empty());
}

#[test]
fn a_person_is_told_where_to_go() {
    let workspace = Workspace::new();
    let simulator = Running::start(&workspace, &["--unlinked", "supermemory"]);
    let provision = || {
        let mut command = workspace.command(&["provision", "memory", "supermemory", "--json", "--accept-tos"]);
        command.env("STRIPE_PROJECTS_BACKEND", "stripe-api").env("STRIPE_API_KEY", "rk_test_0123456789");
        command.env("STRIPE_PROJECTS_STRIPE_API_BASE", &simulator.base);
        serde_json::from_str::<Value>(&Ran::from(command.output().unwrap()).stdout).unwrap()
    };
    let refused = provision();
    assert_eq!(refused["code"], "needs_link", "{refused}");
    let url = refused["hint"].as_str().unwrap().split(' ').find(|word| word.starts_with("http")).unwrap().to_owned();
    simulator.open(&url);
    assert_eq!(provision()["status"], "active");

    let workspace = Workspace::on(Kind::StripeCli);
    workspace.stand_in().unlink("supermemory");
    let refused = workspace.json(&["provision", "memory", "supermemory"]);
    assert_eq!(refused["code"], "provider_not_linked", "{refused}");
    assert!(refused["hint"].as_str().unwrap().contains("stripe projects link supermemory"));
    workspace.stand_in().link("supermemory");
    assert_eq!(workspace.json(&["provision", "memory", "supermemory"])["status"], "active");
}

#[test]
fn what_is_missing_is_said_at_once() {
    let api = |key: &str| {
        let workspace = Workspace::on(Kind::StripeApi);
        let mut command = workspace.command(&["provision", "memory", "supermemory", "--json"]);
        command.env("STRIPE_API_KEY", key);
        Ran::from(command.output().unwrap())
    };
    let cli = |prepare: &dyn Fn(&Workspace, &mut Command)| {
        let workspace = Workspace::on(Kind::StripeCli);
        let mut command = workspace.command(&["provision", "memory", "supermemory", "--json"]);
        prepare(&workspace, &mut command);
        let begun = Instant::now();
        let ran = Ran::from(command.output().unwrap());
        assert!(begun.elapsed() < Duration::from_secs(5), "{ran:?}");
        ran
    };
    for (ran, code) in [
        (api(""), "api_key_missing"),
        (api("pk_live_0123456789"), "api_key_unfit"),
        (api("rk_test_with a blank"), "api_key_unfit"),
        (
            cli(&|_, command| {
                command.env("STRIPE_PROJECTS_STRIPE_BIN", "/nowhere/stripe");
            }),
            "stripe_cli_missing",
        ),
        (cli(&|workspace, _| workspace.stand_in().log_out()), "not_logged_in"),
        (
            cli(&|workspace, _| workspace.stand_in().weather(json!([{ "fault": "plugin_missing", "times": 9 }]))),
            "not_logged_in",
        ),
        (
            cli(&|workspace, _| workspace.stand_in().weather(json!([{ "fault": "cli_too_old", "times": 9 }]))),
            "stripe_cli_too_old",
        ),
        (
            cli(&|workspace, _| workspace.stand_in().weather(json!([{ "fault": "not_eligible", "times": 9 }]))),
            "account_not_eligible",
        ),
    ] {
        let said: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!((&said["code"], ran.code), (&json!(code), 5), "{said}");
        assert!(!said["hint"].as_str().unwrap().is_empty());
    }
}

#[test]
fn a_key_may_come_from_a_file_and_never_from_an_argument() {
    let workspace = Workspace::on(Kind::StripeApi);
    workspace.has_plants();
    workspace.write("key", "rk_test_0123456789\n");
    let mut command = workspace.command(&["provision", "memory", "supermemory", "--stripe-api-key-file", "key"]);
    let ran = Ran::from(command.env_remove("STRIPE_API_KEY").output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = workspace.run(&["list", "--stripe-api-key-file", "nowhere"]);
    assert!(ran.code == 2 && ran.stderr.contains("there is no file"), "{ran:?}");
    assert_eq!(workspace.run(&["list", "--stripe-api-key", "rk_test_0123456789"]).code, 2);
}

#[test]
fn a_key_with_every_right_earns_a_warning() {
    let workspace = Workspace::on(Kind::StripeApi);
    let list = |key: &str| Ran::from(workspace.command(&["list"]).env("STRIPE_API_KEY", key).output().unwrap()).stderr;
    assert!(list("sk_live_0123456789abcdef0123").contains("warning: STRIPE_API_KEY is a live secret key"));
    for quiet in ["rk_live_0123456789abcdef0123", "sk_test_0123456789abcdef0123"] {
        assert_eq!(list(quiet), "");
    }
}

/// What Stripe's support asks for is beside each outcome.
#[test]
fn the_audit_has_the_ids_of_the_requests() {
    let workspace = Workspace::on(Kind::StripeApi);
    workspace.ok(&["provision", "memory", "supermemory"]);
    forbid_creation(&workspace);
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

/// Nothing is asked before a tool is called, so the first answer takes as long as ever.
#[test]
fn a_start_asks_nobody() {
    let workspace = Workspace::on(Kind::StripeCli);
    let mut lines = Lines::greet(&workspace);
    lines.ask("tools/list", &json!({}));
    lines.call("list_projects", &json!({}));
    assert_eq!(lines.leave().code, 0);
    assert_eq!(workspace.stand_in().calls(), Vec::<String>::new());
    assert!(workspace.files().is_empty());
}

#[test]
fn a_client_that_asks_for_it_hears_how_long_it_waits() {
    let workspace = Workspace::on(Kind::StripeCli);
    workspace.stand_in().weather(json!([{ "verb": "status", "fault": "slow", "ms": 4500 }]));
    let mut lines = Lines::greet(&workspace);
    let arguments = json!({ "name": "memory", "provider": "supermemory" });
    let params = json!({ "name": "provision", "arguments": arguments, "_meta": { "progressToken": "t" } });
    let answer = lines.ask("tools/call", &params);
    assert_eq!(answer["result"]["structuredContent"]["status"], "active", "{answer}");
    let told: Vec<Value> =
        lines.answers().into_iter().filter(|said| said["method"] == "notifications/progress").collect();
    assert!(told.len() >= 2, "{told:?}");
    assert!(told.iter().all(|said| said["params"]["progressToken"] == "t"), "{told:?}");
    assert!(told[0]["params"]["progress"].as_f64() < told[1]["params"]["progress"].as_f64());
    lines.leave();
}

/// A client that gives up, or is killed, half way through a purchase: it is finished, or it is in the journal.
#[test]
fn a_call_that_nobody_waits_for_is_finished_or_journaled() {
    for kind in REAL {
        let workspace = Workspace::on(kind);
        slow_creation(&workspace, 3000);
        let mut lines = Lines::greet(&workspace);
        let id = lines.send_call("provision", &json!({ "name": "memory", "provider": "supermemory" }));
        until("it has begun", || (workspace.state().join("ledger.db").exists()).then_some(()));
        until("it is intended", || workspace.ledger().projects().unsettled().ok().filter(|open| !open.is_empty()));
        let cancelled = json!({ "requestId": id, "reason": "changed my mind" });
        lines.say(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled }).to_string());
        assert_eq!(lines.leave().code, 0, "{kind:?}");
        let again = workspace.json(&["provision", "memory", "supermemory"]);
        let is_there = again["status"] == "active" || again["code"] == "already_exists";
        assert!(is_there, "{kind:?}: {again}");
        assert_eq!(workspace.billed().len(), 1, "{kind:?}");
        assert!(workspace.owner_of(&workspace.variable("SUPERMEMORY_API_KEY").unwrap()).is_some(), "{kind:?}");
    }
}

#[test]
fn words_without_deeds_are_seen_through() {
    let workspace = Workspace::on(Kind::StripeCli);
    workspace.ok(&["provision", "memory", "supermemory"]);
    let key = workspace.variable("SUPERMEMORY_API_KEY");
    workspace.stand_in().weather(json!([{ "verb": "rotate", "fault": "no_change" }]));
    assert_eq!(workspace.json(&["rotate", "memory"])["code"], "rotation_not_effective");
    assert_eq!(workspace.variable("SUPERMEMORY_API_KEY"), key);

    workspace.stand_in().weather(json!([{ "verb": "remove", "fault": "survives" }]));
    let refused = workspace.json(&["teardown", "memory", "--yes"]);
    assert_eq!(refused["code"], "teardown_incomplete", "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("stripe still lists memory-"), "{refused}");
    let listed = workspace.json(&["list"]);
    assert_eq!((&listed["live_count"], &listed["projects"][0]["status"]), (&json!(1), &json!("tearing_down")));
    assert_eq!(workspace.json(&["teardown", "memory", "--yes"])["status"], "torn_down");
    assert!(workspace.billed().is_empty());
}

#[test]
fn a_project_of_another_backend_is_left_alone() {
    let workspace = Workspace::on(Kind::StripeCli);
    workspace.ok(&["provision", "memory", "supermemory"]);
    let ran = workspace.run(&["rotate", "memory", "--backend", "simulated"]);
    assert!(ran.code == 3 && ran.stderr.contains("--backend stripe-cli"), "{ran:?}");
    assert_eq!(workspace.billed().len(), 1);
    workspace.ok(&["provision", "web", "search", "--backend", "simulated"]);
    for backend in ["simulated", "stripe-cli"] {
        let list = workspace.json(&["list", "--backend", backend]);
        let statuses: Vec<_> = list["projects"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
        assert_eq!(statuses, ["active", "active"], "{backend} is not asked about what it cannot know");
    }
}

/// Its key could be read by anybody on the way.
#[test]
fn a_key_goes_nowhere_in_the_clear() {
    let workspace = Workspace::new();
    for base in ["http://api.stripe.com", "https://u:p@api.stripe.com", "ftp://x", "api.stripe.com", "https://x/?q=1"] {
        let ran = workspace.run(&["list", "--backend", "stripe-api", "--stripe-api-base", base]);
        assert!(ran.code == 2 && !ran.stderr.contains(base), "{ran:?}");
    }
}

/// What a real provider's connection string looks like reaches the env file, and a shell.
#[test]
fn a_connection_string_is_delivered() {
    let workspace = Workspace::on(Kind::StripeCli);
    workspace.stand_in().set("neon/postgres", "connection_string", json!(true));
    let made = workspace.json(&["provision", "db", "postgres"]);
    assert_eq!((&made["status"], &made["api_key_masked"]), (&json!("active"), &json!("…")), "{made}");
    let shell = Command::new("sh").args(["-c", ". ./.env; echo $DATABASE_URL"]).current_dir(workspace.path()).output();
    let read = String::from_utf8(shell.unwrap().stdout).unwrap();
    assert!(read.starts_with("postgresql://") && workspace.owner_of(read.trim()).is_some(), "{read}");
}

/// In cents, as the world behind has it.
fn limit(workspace: &Workspace) -> u64 {
    if workspace.kind() == Kind::StripeCli {
        return workspace.stand_in().limit("supermemory");
    }
    let world = rusqlite::Connection::open(workspace.state().join("simulated.db")).unwrap();
    let sql = "SELECT cents FROM limits WHERE provider = 'supermemory'";
    world.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap().into()
}

fn forbid_creation(workspace: &Workspace) {
    let no = json!({ "verb": "add", "fault": "error", "code": "provider_failure", "message": "no" });
    foul_creation(workspace, &no, &json!({ "fault": "errored" }));
}

fn slow_creation(workspace: &Workspace, ms: u32) {
    let slow = json!({ "verb": "add", "fault": "slow", "ms": ms });
    foul_creation(workspace, &slow, &json!({ "fault": "slow", "ms": ms }));
}

/// What the next creation meets, in the words of the stand-in and of the simulator.
fn foul_creation(workspace: &Workspace, stand_in: &Value, simulator: &Value) {
    if workspace.kind() == Kind::StripeCli {
        return workspace.stand_in().weather(json!([stand_in]));
    }
    let mut fault = simulator.clone();
    fault["on"] = json!("POST /v2/provisioning/resources");
    fault["times"] = json!(1);
    plan(workspace, &fault);
}

fn plan(workspace: &Workspace, fault: &Value) {
    workspace.simulator().plan(fault);
}

/// A half-read folder or a file in the way would show as a leftover here.
#[test]
fn nothing_in_the_plain_is_left_in_the_state_folder() {
    let workspace = Workspace::on(Kind::StripeCli);
    workspace.ok(&["provision", "memory", "supermemory"]);
    workspace.ok(&["rotate", "memory"]);
    let key = workspace.variable("SUPERMEMORY_API_KEY").unwrap();
    for file in workspace.files().into_iter().filter(|file| !file.ends_with(".env")) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()), "{}", file.display());
    }
}
