//! Budgets through the real binary: what an agent can commit without a person, and what a person sees and changes.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    policy::{agent, cli, config_home},
    raw_client::RawClient,
    workspace::{BackendKind, Workspace},
};

#[test]
fn sixty_projects_of_one_provider_stay_within_its_maximum() {
    let here = Workspace::new();
    let mut agent = RawClient::initialize(&here);
    let answers: Vec<Value> = (0..60).map(|n| provision(&mut agent, &format!("n{n}"), "llm", 20)).collect();
    assert_eq!(answers.iter().filter(|answer| answer["status"] == "active").count(), 5);
    assert_eq!(answers[5]["code"], "approval_required", "{}", answers[5]);
    agent.disconnect();
    assert_eq!(class(&here, "simulated")["committed_usd"], 100.0);
    assert_eq!(class(&here, "real")["committed_usd"], 0.0);
}

#[test]
fn maximum_in_a_policy_bounds_the_sum_of_a_provider() {
    let (here, home) = (Workspace::new(), config_home("[providers.llm]\nmax_cap_usd = 40\n"));
    let mut agent = agent(&here, &home);
    assert_eq!(provision(&mut agent, "a", "llm", 20)["status"], "active");
    assert_eq!(provision(&mut agent, "b", "llm", 20)["status"], "active");
    assert_eq!(provision(&mut agent, "c", "llm", 20)["code"], "budget_exhausted");
    agent.disconnect();
    let refused = cli(&here, &home, &["provision", "c", "llm", "--cap", "1"]).json();
    assert_eq!(refused["code"], "budget_exhausted", "the policy binds a person, too: {refused}");
}

/// Fills the total, spends it, tears everything down, and starts again with the next provider.
#[test]
fn spending_and_tearing_down_does_not_renew_the_budget() {
    for kind in [BackendKind::Simulated, BackendKind::StripeApi] {
        let (here, home) =
            (Workspace::on(kind), config_home("[policy]\ntotal_cap_usd = 200\nmax_live_projects = 20\n"));
        let mut agent = agent(&here, &home);
        let mut granted = 0;
        for provider in ["llm", "search", "browser", "redis", "tts", "scrape", "email"] {
            let mut names = Vec::new();
            for n in 0..4 {
                let name = format!("{provider}-{n}");
                if provision(&mut agent, &name, provider, 10)["status"] == "active" {
                    granted += 10;
                    if kind == BackendKind::Simulated {
                        here.ok(&["usage", "record", &name, "10"]);
                    }
                    names.push(name);
                }
            }
            for name in names {
                assert_eq!(agent.call("teardown", &json!({ "name": name }))["status"], "torn_down");
            }
        }
        assert_eq!(granted, 100, "{kind:?}");
        agent.disconnect();
        let money = if kind == BackendKind::Simulated { "simulated" } else { "real" };
        let class = class_in(&cli(&here, &home, &["budget"]).json(), money);
        assert_eq!((&class["committed_usd"], &class["left_usd"]), (&json!(100.0), &json!(0.0)), "{kind:?}");
        assert_eq!(class["live_count"], 0, "{kind:?}");
    }
}

#[test]
fn teardown_releases_what_was_certainly_not_used() {
    let here = Workspace::new();
    here.ok(&["provision", "a", "llm", "--cap", "20"]);
    here.ok(&["usage", "record", "a", "1.234567"]);
    let view = here.json(&["teardown", "a", "--yes"]);
    assert_eq!(view["usage_usd"], 1.234_567, "the last usage stays: {view}");
    assert!(view["next"].as_str().unwrap().contains("1.24 USD of its cap count"), "{view}");
    assert_eq!(class(&here, "simulated")["committed_usd"], 1.24);
    assert_eq!(here.json(&["list", "--all"])["projects"][0]["usage_usd"], 1.234_567);
    let spend = here.json(&["spend"]);
    let listed = &spend["projects"][0];
    assert_eq!((&listed["committed_usd"], &listed["used_usd"]), (&json!(1.24), &json!(1.234_567)), "{spend}");
    assert_eq!(spend["simulated_committed_usd"], 1.24);
}

#[test]
fn unknown_usage_stays_committed_until_a_person_releases_it() {
    let here = Workspace::on(BackendKind::StripeApi);
    here.ok(&["provision", "a", "llm", "--cap", "20"]);
    let view = here.json(&["teardown", "a", "--yes"]);
    assert!(view["next"].as_str().unwrap().contains("20 USD of its cap stay committed"), "{view}");
    assert_eq!(class(&here, "real")["committed_usd"], 20.0);
    assert_eq!(here.json(&["spend", "--release", "a"])["code"], "not_confirmed");
    assert_eq!(here.json(&["spend", "--release", "b", "--yes"])["code"], "project_not_found");
    assert_eq!(here.json(&["spend", "--release", "a", "--yes"])["committed_usd"], 0.0);
    assert_eq!(here.json(&["spend", "--release", "a", "--yes"])["code"], "nothing_to_release");
    assert_eq!(class(&here, "real")["committed_usd"], 0.0);
    assert!(here.ok(&["audit", "--json"]).stdout.contains("spend --release"));
}

#[test]
fn order_that_was_refused_commits_nothing() {
    let here = Workspace::new();
    let refused = here.json(&["provision", "a", "llm", "--payment-method", "pm_card_chargeDeclined"]);
    assert_eq!(refused["code"], "card_declined", "{refused}");
    assert_eq!(class(&here, "simulated")["committed_usd"], 0.0);
}

#[test]
fn simulation_and_real_money_are_counted_apart() {
    let here = Workspace::on(BackendKind::StripeApi);
    for n in 0..5 {
        here.ok(&["provision", &format!("s{n}"), "llm", "--cap", "20", "--backend", "simulated"]);
    }
    assert_eq!(class(&here, "simulated")["committed_usd"], 100.0);
    let mut agent = RawClient::initialize(&here);
    let real = provision(&mut agent, "r", "llm", 20);
    assert_eq!(
        (&real["status"], &real["simulated"], &real["cap_per"]),
        (&json!("active"), &json!(false), &json!("month"))
    );
    agent.disconnect();
    assert_eq!(class(&here, "real")["committed_usd"], 20.0);
    assert_eq!(class(&here, "simulated")["committed_usd"], 100.0);
}

#[test]
fn eleventh_project_asks_a_person() {
    let here = Workspace::new();
    let mut agent = RawClient::initialize(&here);
    for n in 0..10 {
        assert_eq!(provision(&mut agent, &format!("n{n}"), "search", 1)["status"], "active");
    }
    let answer = provision(&mut agent, "n10", "redis", 1);
    assert_eq!(answer["code"], "approval_required", "{answer}");
    agent.disconnect();
    assert_eq!(
        here.json(&["provision", "n10", "redis", "--cap", "1"])["status"],
        "active",
        "a person needs no approval"
    );
}

#[test]
fn monthly_max_and_max_projects_refuse_a_person_too() {
    let (here, home) = (Workspace::new(), config_home("[policy]\nmonthly_max_usd = 30\nmax_projects = 3\n"));
    assert_eq!(cli(&here, &home, &["provision", "a", "llm", "--cap", "25"]).json()["status"], "active");
    let refused = cli(&here, &home, &["provision", "b", "search", "--cap", "6"]).json();
    assert_eq!(refused["code"], "budget_exhausted", "{refused}");
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("31 USD would be committed in 20") && message.contains("monthly_max_usd"), "{message}");
    for name in ["b", "c"] {
        assert_eq!(cli(&here, &home, &["provision", name, "search", "--cap", "1"]).json()["status"], "active");
    }
    let refused = cli(&here, &home, &["provision", "d", "redis", "--cap", "1"]).json();
    assert_eq!(refused["code"], "project_limit_reached", "{refused}");
}

#[test]
fn approval_form_names_period_sum_and_rule() {
    let here = Workspace::new();
    let mut agent = RawClient::initialize(&here);
    for n in 0..4 {
        provision(&mut agent, &format!("n{n}"), "llm", 20);
    }
    provision(&mut agent, "m", "search", 10);
    let answer = provision(&mut agent, "more", "browser", 15);
    assert_eq!(answer["code"], "approval_required");
    assert!(answer["hint"].as_str().unwrap().starts_with("ask for 10 USD or less, or "), "{answer}");
    agent.disconnect();
}

#[test]
fn agent_raises_a_cap_with_approval_only() {
    for kind in BackendKind::ALL {
        let here = Workspace::on(kind);
        let mut agent = RawClient::initialize(&here);
        assert_eq!(provision(&mut agent, "memory", "supermemory", 20)["status"], "active");
        for cap in [0, 10, 20] {
            assert_eq!(provision(&mut agent, "memory", "supermemory", cap)["code"], "already_exists", "{kind:?} {cap}");
        }
        assert_eq!(provision(&mut agent, "memory", "llm", 40)["code"], "already_exists", "{kind:?}");
        let asked = provision(&mut agent, "memory", "supermemory", 22);
        assert_eq!(asked["code"], "approval_required", "{kind:?}: also below the default cap: {asked}");
        assert_eq!(provision(&mut agent, "memory", "supermemory", 101)["code"], "cap_above_maximum", "{kind:?}");
        let id = here.json(&["approvals"])["approvals"][0]["id"].as_str().unwrap().to_owned();
        here.ok(&["approve", &id, "--yes"]);
        let raised = provision(&mut agent, "memory", "supermemory", 22);
        assert_eq!(
            (&raised["status"], &raised["spend_cap_usd"]),
            (&json!("active"), &json!(22.0)),
            "{kind:?}: {raised}"
        );
        assert_eq!(raised["key_version"], 1, "{kind:?}: the key stays");
        assert_eq!(provision(&mut agent, "memory", "supermemory", 23)["code"], "approval_required", "{kind:?}: once");
        agent.disconnect();
        assert_eq!(here.json(&["spend"])["projects"][0]["committed_usd"], 22.0, "{kind:?}");
        assert_eq!(here.billed_resources().len(), 1, "{kind:?}");
    }
}

#[test]
fn person_changes_a_cap_and_the_limit_follows() {
    for kind in BackendKind::ALL {
        let here = Workspace::on(kind);
        here.ok(&["provision", "memory", "supermemory", "--cap", "20"]);
        assert_eq!(here.json(&["cap", "memory", "50"])["spend_cap_usd"], 50.0, "{kind:?}");
        assert_eq!(here.json(&["spend"])["projects"][0]["committed_usd"], 50.0, "{kind:?}");
        assert_eq!(limit(&here), 5_000, "{kind:?}");
        assert_eq!(here.json(&["cap", "memory", "101"])["code"], "cap_above_maximum", "{kind:?}");
        assert_eq!(here.json(&["cap", "memory", "30"])["spend_cap_usd"], 30.0, "{kind:?}");
        assert_eq!(limit(&here), 3_000, "{kind:?}");
        let committed = here.json(&["spend"])["projects"][0]["committed_usd"].clone();
        // What may have been spent before the cap was lowered is released only where the usage is known.
        assert_eq!(committed, if kind == BackendKind::StripeApi { 50.0 } else { 30.0 }, "{kind:?}");
        assert_eq!(here.json(&["cap", "nothing", "30"])["code"], "project_not_found", "{kind:?}");
        assert_eq!(here.json(&["cap", "memory", "x"])["code"], "invalid_amount", "{kind:?}");
    }
}

#[test]
fn cap_that_the_backend_refuses_stays_as_it_was() {
    let here = Workspace::on(BackendKind::StripeCli);
    here.ok(&["provision", "memory", "supermemory", "--cap", "20"]);
    here.fake_stripe().inject_faults(json!([{ "verb": "billing update", "fault": "error", "code": "INVALID_ARGUMENT", "message": "no", "times": 1 }]));
    let refused = here.json(&["cap", "memory", "50"]);
    assert_eq!(refused["code"], "limit_not_set", "{refused}");
    assert_eq!(here.json(&["list"])["projects"][0]["spend_cap_usd"], 20.0);
    assert_eq!(here.json(&["spend"])["projects"][0]["committed_usd"], 20.0);
    assert_eq!(here.json(&["cap", "memory", "50"])["spend_cap_usd"], 50.0);
}

#[test]
fn resume_of_a_used_up_cap_names_the_command_that_raises_it() {
    let here = Workspace::new();
    here.ok(&["provision", "memory", "supermemory", "--cap", "5"]);
    let key = here.variable("SUPERMEMORY_API_KEY").unwrap();
    here.ok(&["usage", "record", "memory", "5"]);
    assert!(here.owner_of(&key).is_none(), "the key is stopped");
    let refused = here.json(&["resume", "memory"]);
    assert_eq!(refused["code"], "cap_reached", "{refused}");
    assert!(refused["hint"].as_str().unwrap().contains("stripe-projects-mcp cap memory USD"), "{refused}");
    let raised = here.json(&["cap", "memory", "8"]);
    assert_eq!((&raised["status"], &raised["remaining_usd"]), (&json!("active"), &json!(3.0)), "{raised}");
    assert!(here.owner_of(&key).is_some(), "the same key works again");

    // A key that a person suspended stays disabled.
    here.ok(&["suspend", "memory"]);
    assert_eq!(here.json(&["cap", "memory", "9"])["status"], "suspended");
    assert!(here.owner_of(&key).is_none());
    assert_eq!(here.json(&["resume", "memory"])["status"], "active");
}

#[test]
fn budget_writes_the_users_policy_and_keeps_its_bytes() {
    let (here, home) = (
        Workspace::new(),
        config_home("# mine\n[policy]\napproval = 'always' # asks\n\n[alerts]\nurl = 'https://a.example'\n"),
    );
    let before = cli(&here, &home, &["budget"]).json();
    assert_eq!((&before["monthly_budget_usd"], &before["max_live_projects"]), (&json!(100.0), &json!(10)));
    let after = cli(&here, &home, &["budget", "40", "--max-live", "3", "--max", "60.50"]).json();
    assert_eq!((&after["monthly_budget_usd"], &after["max_live_projects"]), (&json!(40.0), &json!(3)));
    assert_eq!(after["monthly_max_usd"], 60.5);
    let text = fs::read_to_string(home.path().join("stripe-projects/policy.toml")).unwrap();
    let new = "max_live_projects = 3\nmonthly_max_usd = 60.50\nmonthly_budget_usd = 40\n";
    assert_eq!(
        text,
        format!("# mine\n[policy]\n{new}approval = 'always' # asks\n\n[alerts]\nurl = 'https://a.example'\n")
    );
    cli(&here, &home, &["budget", "0"]).exit(2);
    cli(&here, &home, &["budget", "--max-live", "0"]).exit(2);
    cli(&here, &home, &["budget", "-5"]).exit(2);

    let fresh = TempDir::new().unwrap();
    cli(&here, &fresh, &["budget", "7"]).succeed();
    assert_eq!(
        fs::read_to_string(fresh.path().join("stripe-projects/policy.toml")).unwrap(),
        "[policy]\nmonthly_budget_usd = 7\n"
    );
}

#[test]
fn workspace_file_cannot_raise_the_monthly_budget() {
    let here = Workspace::new();
    let registry = files::registry::BUILTIN;
    let wide = "monthly_budget_usd = 5000\nmax_live_projects = 500";
    here.write_policy("[policy]\napproval = 'never'\n");
    here.write(
        "providers.toml",
        format!("{registry}\n[policy]\n{wide}\n").replace("max_cap_usd = 100", "max_cap_usd = 900"),
    );
    let mut agent = RawClient::initialize(&here);
    assert_eq!(provision(&mut agent, "a", "llm", 100)["status"], "active");
    assert_eq!(provision(&mut agent, "b", "search", 1)["code"], "approval_required");
    agent.disconnect();
}

#[test]
fn clock_that_went_back_stops_purchases_only() {
    let here = Workspace::new();
    here.ok(&["provision", "a", "llm", "--cap", "20"]);
    here.ok(&["provision", "b", "search", "--cap", "5"]);
    here.sql("UPDATE clock SET seen_at = seen_at + 2 * 86400000");
    let stopped = here.json(&["provision", "c", "search", "--cap", "1"]);
    assert_eq!(stopped["code"], "clock_behind", "{stopped}");
    assert_eq!(here.json(&["cap", "a", "30"])["code"], "clock_behind");
    assert_eq!(here.json(&["cap", "a", "10"])["spend_cap_usd"], 10.0, "less is no purchase");
    here.ok(&["rotate", "a"]);
    here.ok(&["suspend", "a"]);
    here.ok(&["resume", "a"]);
    here.ok(&["teardown", "b", "--yes"]);
    assert!(here.run(&["doctor"]).stdout.contains("clock"), "{:?}", here.run(&["doctor"]));
    assert_eq!(here.run(&["doctor"]).code, 1);
    here.run(&["doctor", "--repair"]); // nothing is asked without a terminal, so nothing is reset
    assert_eq!(here.json(&["provision", "c", "search", "--cap", "1"])["code"], "clock_behind");
    here.ok(&["doctor", "--repair", "--yes"]);
    assert_eq!(here.json(&["provision", "c", "search", "--cap", "1"])["status"], "active");

    // Less than a day behind is not stopped.
    here.sql("UPDATE clock SET seen_at = seen_at + 80000000");
    here.ok(&["provision", "d", "redis", "--cap", "1"]);
}

#[test]
fn four_folders_share_one_budget() {
    let folders = [(); 4].map(|()| Workspace::new());
    let (home, mut granted) = (folders[0].home(), 0);
    for here in &folders {
        let mut command = here.command(&["serve"]);
        command.env("HOME", &home);
        let mut agent = RawClient::start(command);
        agent.initialize_as("lines");
        for (provider, cap) in [("vector-db", 50), ("llm", 20)] {
            if provision(&mut agent, "one", provider, 0)["status"] == "active" {
                granted += cap;
                assert_eq!(agent.call("teardown", &json!({ "name": "one" }))["status"], "torn_down");
                let spend = here.cli(&["spend"]).env("HOME", &home).json();
                assert_eq!(spend["projects"][0]["workspace"], folders[0].path().to_str().unwrap(), "{spend}");
            }
        }
        agent.disconnect();
    }
    assert_eq!(granted, 50 * 4 + 20 * 4, "nothing was used, so everything was released");

    granted = 0;
    for here in &folders {
        let mut command = here.command(&["serve"]);
        command.env("HOME", &home);
        let mut agent = RawClient::start(command);
        agent.initialize_as("lines");
        for (name, provider, cap) in [("v", "vector-db", 50), ("l", "llm", 20)] {
            if provision(&mut agent, name, provider, 0)["status"] == "active" {
                granted += cap;
            }
        }
        agent.disconnect();
    }
    assert_eq!(granted, 90, "50 + 20 + 20 of 100");
}

fn provision(agent: &mut RawClient, name: &str, provider: &str, cap: u32) -> Value {
    agent.call("provision", &json!({ "name": name, "provider": provider, "spend_cap_usd": cap }))
}

fn class(here: &Workspace, money: &str) -> Value {
    class_in(&here.json(&["budget"]), money)
}

fn class_in(budget: &Value, money: &str) -> Value {
    budget["classes"].as_array().unwrap().iter().find(|class| class["money"] == money).unwrap().clone()
}

/// Returns the limit of supermemory at the backend, in cents.
fn limit(here: &Workspace) -> u64 {
    match here.kind() {
        BackendKind::Simulated | BackendKind::StripeApi => {
            here.world().look::<_, storage::store::StoreError>(|account| {
                Ok(account.limit(Some("supermemory")).unwrap().unwrap().cents())
            })
        }
        .unwrap(),
        BackendKind::StripeCli => here.fake_stripe().limit("supermemory"),
    }
}
