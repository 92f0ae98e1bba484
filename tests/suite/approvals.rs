//! Approvals given at the terminal: stored, used once, and valid only for what was approved.

use std::{panic::catch_unwind, sync::Arc, thread};

use domain::{
    approval::{Answer, ApprovalError, ApprovalId},
    clock::Clock,
    money::{Cents, MoneyClass},
    name::{EnvVar, ProjectName, ProviderKey, ServiceRef},
    project::{Delivery, ProjectId},
};
use files::env_file::Replace;
use serde_json::{Value, json};
use storage::ledger::{Event, Grant, LifetimeTerms, NewProject, OperationId, Verdict};
use stripe_projects_mcp::{
    error::Error,
    provisioner::{Phase, Principal, ProvisionRequest, Provisioner},
    settings::Settings,
};
use tokio::runtime::{Builder, Runtime};

use crate::{raw_client::RawClient, workspace::Workspace};

#[test]
fn approved_request_lets_one_call_through() {
    let here = Workspace::new();
    let mut agent = RawClient::initialize(&here);
    let response = agent.call("provision", &above_default());
    assert_eq!(response["code"], "approval_required");
    let id = pending(&here);
    assert_eq!(
        response["message"],
        format!("approval required: `memory` on supermemory with a cap of 80 USD (request {id})")
    );
    let hint = response["hint"].as_str().unwrap();
    let command = format!("`stripe-projects-mcp approve {id} --dir '{}'`", here.path().display());
    assert!(hint.contains(&command), "{hint}");
    assert!(hint.contains("ask for 25 USD or less"), "{hint}");
    assert_eq!(hint.matches('`').count(), 2, "one command, which says the folder: {hint}");
    assert_eq!(
        agent.call("provision", &above_default())["message"],
        response["message"],
        "asking again is the same request"
    );
    assert_eq!(approvals(&here).len(), 1);
    let approval = &approvals(&here)[0];
    let keys = [
        "asked_by",
        "backend",
        "cap_per",
        "cap_usd",
        "created_at",
        "env_file",
        "expires_at",
        "expires_in",
        "id",
        "name",
        "provider",
        "quiet_until",
        "service",
        "status",
        "variables",
        "workspace",
    ];
    assert_eq!(approval.as_object().unwrap().keys().collect::<Vec<_>>(), keys);
    assert_eq!((&approval["asked_by"], &approval["cap_usd"]), (&json!("lines 1"), &json!(80.0)));

    // As the hint says it, through a shell, from another folder.
    let typed = command.trim_matches('`').replace("stripe-projects-mcp", crate::workspace::BINARY);
    let mut shell = std::process::Command::new("sh");
    here.prepare(&mut shell);
    let output = shell.args(["-c", &format!("{typed} --yes --json")]).current_dir("/").output().unwrap();
    let approved: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&approved["id"], &approved["status"]), (&json!(id), &json!("approved")));

    assert_eq!(agent.call("provision", &above_default())["status"], "active");
    assert_eq!(approvals(&here)[0]["status"], "used");
    agent.call("teardown", &json!({ "name": "memory" }));
    assert_eq!(agent.call("provision", &above_default())["code"], "approval_required", "it counted once");
    assert_ne!(pending(&here), id);
    assert_eq!(here.ledger().audit().first_broken_row().unwrap(), None);
}

#[test]
fn approval_covers_one_name_provider_and_cap() {
    let here = Workspace::new();
    let mut agent = RawClient::initialize(&here);
    agent.call("provision", &above_default());
    here.ok(&["approve", &pending(&here), "--yes"]);
    for other in [
        json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 80.01 }),
        json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 79 }),
        json!({ "name": "memory", "provider": "vector-db", "spend_cap_usd": 80 }),
        json!({ "name": "memori", "provider": "supermemory", "spend_cap_usd": 80 }),
    ] {
        assert_eq!(agent.call("provision", &other)["code"], "approval_required", "{other}");
    }
    // The registry entry is part of the approval: editing it makes another request.
    let dearer = files::registry::BUILTIN.replacen("config = { plan = \"free\" }", "config = { plan = \"pro\" }", 1);
    here.write("providers.toml", &dearer);
    assert_eq!(agent.call("provision", &above_default())["code"], "approval_required", "another plan");
    here.write("providers.toml", dearer.replace("supermemory/memory", "browserbase/project"));
    assert_eq!(agent.call("provision", &above_default())["code"], "approval_required", "another service");
    assert!(here.world().observe_everything().unwrap().is_empty());

    std::fs::remove_file(here.file("providers.toml")).unwrap();
    let mut elsewhere = here.command(&["serve", "--env-file", "other.env"]);
    elsewhere.env("COLUMNS", "80");
    let mut other_file = RawClient::start(elsewhere);
    other_file.initialize_as("lines");
    assert_eq!(other_file.call("provision", &above_default())["code"], "approval_required", "another env file");
    assert_eq!(agent.call("provision", &above_default())["status"], "active");
}

#[test]
fn denial_holds_until_it_expires() {
    let here = Workspace::new();
    let mut agent = RawClient::initialize(&here);
    agent.call("provision", &above_default());
    let id = pending(&here);
    assert_eq!(here.json(&["deny", &id, "--yes"])["status"], "denied");
    for _ in 0..2 {
        let error = agent.call("provision", &above_default());
        assert_eq!(error["code"], "approval_declined");
        assert_eq!(error["message"], format!("this request was denied ({id})"));
    }
    assert_eq!(here.json(&["deny", &id, "--yes"])["code"], "approval_decided");
    here.expire_approvals();
    assert_eq!(agent.call("provision", &above_default())["code"], "approval_required");
    assert_ne!(pending(&here), id);
}

/// A headless host declines automatically, so a denial can be reversed. So can an unused approval.
#[test]
fn user_may_change_a_decision() {
    let here = Workspace::new();
    let mut agent = RawClient::initialize(&here);
    agent.call("provision", &above_default());
    let id = pending(&here);
    let until = here.json(&["deny", &id, "--yes"])["expires_at"].clone();
    assert_eq!(here.json(&["approve", &id, "--yes"])["status"], "approved");
    assert_eq!(here.json(&["deny", &id, "--yes"])["status"], "denied");
    assert_eq!(agent.call("provision", &above_default())["code"], "approval_declined");
    let approved = here.json(&["approve", &id, "--yes"]);
    assert_eq!((&approved["status"], &approved["expires_at"]), (&json!("approved"), &until), "the expiry stays");
    assert_eq!(agent.call("provision", &above_default())["status"], "active");
    for decision in ["approve", "deny"] {
        assert_eq!(here.json(&[decision, &id])["code"], "approval_decided", "a used approval causes no prompt");
    }
    let decided = here.ledger().audit().rows().unwrap();
    let decided = decided.iter().filter(|row| row.outcome == "done" && row.detail.contains("\"by\":\"terminal\""));
    assert_eq!(decided.map(|row| row.action.as_str()).collect::<Vec<_>>(), ["deny", "approve", "deny", "approve"]);
}

#[test]
fn expired_approval_grants_nothing() {
    let here = Workspace::new();
    let mut agent = RawClient::initialize(&here);
    agent.call("provision", &above_default());
    let id = pending(&here);
    here.expire_approvals();
    assert_eq!(here.json(&["approve", &id, "--yes"])["code"], "approval_expired");
    assert_eq!(approvals(&here)[0]["status"], "expired");

    agent.call("provision", &above_default());
    here.ok(&["approve", &pending(&here), "--yes"]);
    here.expire_approvals();
    assert_eq!(agent.call("provision", &above_default())["code"], "approval_required", "granted, and not used in time");
    assert!(here.world().observe_everything().unwrap().is_empty());
}

#[test]
fn decision_is_read_back_and_needs_a_terminal_or_yes() {
    let here = Workspace::new();
    RawClient::initialize(&here).call("provision", &above_default());
    let id = pending(&here);
    for command in ["approve", "deny"] {
        let output = here.cli(&[command, &id]).stdout("").exit(3);
        assert!(output.stderr.contains("there is no terminal to ask"), "{output:?}");
    }
    assert_eq!(pending(&here), id);
    for (id, code) in
        [("ap-00000000", "approval_not_found"), ("memory", "invalid_approval_id"), ("", "invalid_approval_id")]
    {
        assert_eq!(here.json(&["approve", id, "--yes"])["code"], code);
        assert_eq!(here.json(&["deny", id, "--yes"])["code"], code);
    }
    for canary in ["sk_live_51Canary0123456789abcdef", "4242424242424242", "ap-sk_live_51Canary"] {
        let output = here.run(&["approve", canary, "--yes"]);
        assert_eq!(output.code, 2, "{output:?}");
        assert!(!format!("{output:?}").contains(canary), "{output:?}");
    }
    here.ok(&["approve", &id.to_uppercase(), "--yes"]);
}

/// At a real terminal the prompt repeats the request, and only a yes approves it.
#[cfg(unix)]
#[test]
fn person_at_a_terminal_confirms_by_typing() {
    let here = Workspace::new();
    RawClient::initialize(&here).call("provision", &above_default());
    let id = pending(&here);
    for (typed, code) in [("\n", 3), ("n\n", 3), ("yep\n", 3), ("YES\n", 0)] {
        let output = typing(here.command(&["approve", &id]), typed);
        let env_file = here.file(".env").display().to_string();
        let shown = format!(
            "Project: `memory` on supermemory (Supermemory: long-term memory for agents; supermemory/memory)\n\
             Cap: 80.00 USD in total, until torn down. It is billed, up to that cap.\n\
             Variables: SUPERMEMORY_API_KEY in {env_file}\nWorkspace: {} (simulated backend)\n\
             Approve `memory` on supermemory (supermemory/memory) with a cap of 80 USD, asked by lines 1? [y/N] ",
            here.path().display()
        );
        assert!(output.stderr.starts_with(&shown), "{output:?}");
        assert_eq!(output.code, code, "{typed:?}: {output:?}");
        assert_eq!(approvals(&here)[0]["status"], if code == 0 { "approved" } else { "pending" });
    }
}

/// Runs a command whose stdin is a terminal with that input.
#[cfg(unix)]
fn typing(mut command: std::process::Command, text: &str) -> crate::workspace::CommandOutput {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let terminal = ptsname(&keyboard, Vec::new()).unwrap().into_string().unwrap();
    let terminal = std::fs::File::options().read(true).write(true).open(terminal).unwrap();
    std::io::Write::write_all(&mut std::fs::File::from(keyboard.try_clone().unwrap()), text.as_bytes()).unwrap();
    crate::workspace::CommandOutput::from(command.stdin(terminal).output().unwrap())
}

#[test]
fn approvals_in_a_new_workspace_creates_no_files() {
    let here = Workspace::new();
    assert_eq!(here.json(&["approvals"]), json!({ "approvals": [] }));
    assert_eq!(here.json(&["approve", "ap-7k3f9q2m", "--yes"])["code"], "approval_not_found");
    assert!(here.files().is_empty());
}

#[test]
fn agent_cannot_flood_the_user_with_requests() {
    let here = Workspace::new();
    let mut agent = RawClient::initialize(&here);
    for number in 0..10 {
        assert_eq!(agent.call("provision", &named(&format!("n{number}")))["code"], "approval_required");
    }
    assert_eq!(agent.call("provision", &named("n10"))["code"], "too_many_approvals");
    assert_eq!(agent.call("provision", &named("n3"))["code"], "approval_required", "an existing request stays");
    assert_eq!(approvals(&here).len(), 10);
    let id = approvals(&here)[0]["id"].as_str().unwrap().to_owned();
    here.ok(&["approve", &id, "--yes"]);
    assert_eq!(agent.call("provision", &named("n10"))["code"], "approval_required");
}

#[test]
fn audit_records_requester_decider_and_outcome() {
    let here = Workspace::new();
    let mut agent = RawClient::initialize(&here);
    agent.call("provision", &above_default());
    let id = pending(&here);
    here.cli(&["approve", &id, "--yes"]).env("USER", "maria").succeed();
    agent.call("provision", &above_default());
    let rows = here.ledger().audit().rows().unwrap();
    let actions: Vec<_> = rows
        .iter()
        .filter(|row| row.detail.contains(&id))
        .map(|row| (row.channel.as_str(), row.actor.as_str(), row.action.as_str(), row.name.as_deref()))
        .collect();
    let name = Some("memory");
    let expected = [
        ("mcp", "lines 1", "ask for approval", name),
        ("cli", "maria, no terminal", "approve", name),
        ("cli", "maria, no terminal", "approve", None), // the call itself, after its effect
        ("mcp", "lines 1", "provision", name),
    ];
    assert_eq!(actions, expected);
}

/// A user at the terminal approves by acting; the limits still apply.
#[test]
fn user_at_the_terminal_needs_no_approval() {
    let here = Workspace::new();
    here.write("providers.toml", with_policy("approval = 'always'\ntotal_cap_usd = 100"));
    assert_eq!(here.json(&["provision", "memory", "supermemory", "--cap", "80"])["status"], "active");
    assert_eq!(here.json(&["provision", "more", "supermemory", "--cap", "30"])["code"], "total_cap_reached");
    assert_eq!(here.json(&["approvals"]), json!({ "approvals": [] }));
}

#[test]
fn approval_always_asks_at_any_cap_and_never_at_none() {
    let here = Workspace::new();
    let mut agent = RawClient::initialize(&here);
    here.write("providers.toml", with_policy("approval = 'always'"));
    let response = agent.call("provision", &json!({ "name": "web", "provider": "search" }));
    assert_eq!(response["code"], "approval_required");
    assert!(!response["hint"].as_str().unwrap().contains("or less"), "no lower cap would do: {response}");
    here.ok(&["approve", &pending(&here), "--yes"]);
    assert_eq!(
        agent.call("provision", &json!({ "name": "web", "provider": "search", "spend_cap_usd": 0 }))["status"],
        "active"
    );
    here.write("providers.toml", with_policy("approval = 'never'"));
    assert_eq!(agent.call("provision", &above_default())["code"], "approval_required", "a workspace loosens nothing");
    let own = here.home().join(".config/stripe-projects");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("policy.toml"), "[policy]\napproval = 'never'\n").unwrap();
    assert_eq!(agent.call("provision", &above_default())["status"], "active");
    let beyond = json!({ "name": "beyond", "provider": "supermemory", "spend_cap_usd": 100.01 });
    assert_eq!(agent.call("provision", &beyond)["code"], "cap_above_maximum");
}

#[test]
fn two_servers_racing_on_one_approval_one_wins() {
    for _ in 0..5 {
        let here = Workspace::new();
        let mut agents = [RawClient::initialize(&here), RawClient::initialize(&here)];
        agents[0].call("provision", &above_default());
        here.ok(&["approve", &pending(&here), "--yes"]);
        let responses: Vec<Value> = thread::scope(|scope| {
            let calls = agents.each_mut().map(|agent| scope.spawn(|| agent.call("provision", &above_default())));
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        let won = responses.iter().filter(|response| response["status"] == "active").count();
        let lost = responses.iter().filter(|response| response["code"] == "already_exists").count();
        assert_eq!((won, lost), (1, 1), "{responses:?}");
        assert_eq!(here.world().observe_everything().unwrap().len(), 1);
    }
}

/// The ledger uses an approval once, without relying on any lock.
#[test]
fn ledger_spends_an_approval_once() {
    let here = Workspace::new();
    RawClient::initialize(&here).call("provision", &above_default());
    let id = ApprovalId::parse(&pending(&here)).unwrap();
    here.ok(&["approve", id.as_str(), "--yes"]);
    let successes: usize = thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|number| {
                let (here, id) = (&here, &id);
                scope.spawn(move || begin(here, id, number).is_ok())
            })
            .collect();
        tries.into_iter().map(|one| usize::from(one.join().unwrap())).sum()
    });
    assert_eq!(successes, 1);
    assert_eq!(here.ledger().projects().totals(MoneyClass::Simulated).unwrap().0, 1, "the losers wrote nothing");
}

/// A crash before the intent keeps the approval. A crash after it has used the approval, and is recovered.
#[test]
fn crash_neither_loses_nor_reuses_an_approval() {
    for (step, again) in [(Phase::Locked, "active"), (Phase::Checked, "active"), (Phase::Intended, "approval_required")]
    {
        let here = Workspace::new();
        let (provisioner, _runtime) = provisioner(&here);
        let id = match provisioner.projects.provision(&request(), &agent()).unwrap_err() {
            Error::Approval(ApprovalError::Required(question)) => question.approval.id,
            other => panic!("{other}"),
        };
        provisioner.approvals.decide(&id, Answer::Accepted, &human()).unwrap();
        let dying = provisioner.with_phase_hook(Arc::new(move |reached| assert_ne!(reached, step, "dies here")));
        let dying = std::panic::AssertUnwindSafe(dying);
        catch_unwind(|| dying.projects.provision(&request(), &agent())).unwrap_err();

        let response = RawClient::initialize(&here).call("provision", &above_default());
        let outcome = response.get("status").or(response.get("code")).unwrap();
        assert_eq!(outcome, again, "{step:?}: {response}");
        let live = usize::from(again == "active");
        assert_eq!(here.world().observe_everything().unwrap().len(), live, "{step:?}");
        assert_eq!(here.ledger().audit().first_broken_row().unwrap(), None);
    }
}

/// A request that a person approved is not another one: neither its lease nor its entry may differ.
#[test]
fn approval_covers_the_lease_and_the_whole_entry() {
    let here = Workspace::new();
    let mut agent = RawClient::initialize(&here);
    let mut asked = above_default();
    asked["expires_in"] = json!("30m");
    agent.call("provision", &asked);
    here.ok(&["approve", &pending(&here), "--yes"]);
    assert_eq!(approvals(&here)[0]["expires_in"], "30m");
    for lease in [Value::Null, json!("7d")] {
        let mut other = above_default();
        if !lease.is_null() {
            other["expires_in"] = lease;
        }
        assert_eq!(agent.call("provision", &other)["code"], "approval_required", "{other}");
    }
    for (field, edited) in [
        ("env_var = \"SUPERMEMORY_API_KEY\"", "env_var = \"MEMORY_KEY\""),
        ("credential = \"API_KEY\"", "credential = \"ROOT_KEY\""),
        ("max_cap_usd = 100", "max_cap_usd = 99"),
        ("default_cap_usd = 25", "default_cap_usd = 24"),
        ("paid = true", "paid = false"),
        ("paid = true", "paid = true\nmax_expires_in = \"8h\""),
        ("label = \"Supermemory:", "label = \"Free of charge:"),
    ] {
        let registry = files::registry::BUILTIN.replacen(field, edited, 1);
        assert_ne!(registry, files::registry::BUILTIN, "{field}");
        here.write("providers.toml", registry);
        assert_eq!(agent.call("provision", &asked)["code"], "approval_required", "{edited}");
    }
    std::fs::remove_file(here.file("providers.toml")).unwrap();
    assert!(here.world().observe_everything().unwrap().is_empty());
    assert_eq!(agent.call("provision", &asked)["status"], "active", "and exactly what was approved is granted");
}

/// However many requests the ledger keeps, an id is drawn at once, and what is over is deleted bit by bit.
#[test]
fn filled_table_of_requests_does_not_stop_asking() {
    let here = Workspace::new();
    let mut agent = RawClient::initialize(&here);
    agent.call("provision", &above_default());
    here.sql(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
         INSERT INTO approvals (id, workspace, name, provider, service, service_provider, cap_cents, terms, subject,
             asked_by, created_at, expires_at, status, decided_at)
         SELECT 'ap-' || replace(replace(replace(printf('%08d', i), 'i', '1'), 'l', '1'), 'o', '0'), workspace, 'memory',
             provider, service, service_provider, 8000, 'x' || i, subject, asked_by, 0, 1, 'denied', 1
         FROM n, (SELECT * FROM approvals)",
    );
    let before = count(&here);
    let started = std::time::Instant::now();
    assert_eq!(agent.call("provision", &named("other"))["code"], "approval_required");
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(count(&here) < before, "rows that are over are deleted: {before}");
    assert!(count(&here) > before - 1000, "a bounded number of them");
}

fn count(here: &Workspace) -> i64 {
    let ledger = rusqlite::Connection::open(here.state().join("ledger.db")).unwrap();
    ledger.query_row("SELECT count(*) FROM approvals", [], |row| row.get(0)).unwrap()
}

fn begin(here: &Workspace, id: &ApprovalId, number: usize) -> Result<(), Error> {
    let name = ProjectName::parse(&format!("racer-{number}")).unwrap();
    let draft = NewProject {
        op: OperationId::random().unwrap(),
        id: ProjectId::random().unwrap(),
        name,
        provider: ProviderKey::parse("supermemory").unwrap(),
        service: ServiceRef::parse("supermemory/memory").unwrap(),
        backend: "simulated".to_owned(),
        env_file: here.file(".env"),
    };
    let (at, project) = (Clock::system().now(), draft.id.clone());
    let (actor, detail) = (String::new(), json!({}));
    let event = Event { at, channel: "test", actor, action: "provision", verdict: Verdict::Intended, detail };
    let deliveries = vec![Delivery { env_var: EnvVar::parse(&format!("KEY_{number}")).unwrap(), credential: None }];
    let intent = here.ledger().journal().begin_provision(&draft, &event, |live| {
        if !live.spend(id, &project, at)? {
            return Err(Error::Approval(ApprovalError::Expired));
        }
        Ok(Grant {
            cap: Cents::parse_usd("80").unwrap(),
            period: domain::budget::CapPeriod::Month,
            deliveries: deliveries.clone(),
            term: LifetimeTerms::default(),
        })
    })?;
    let _ = intent.leave_open();
    Ok(())
}

fn provisioner(here: &Workspace) -> (Provisioner, Runtime) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let options = here.options();
    (Settings::resolve(options).unwrap().provisioner(runtime.handle().clone()).unwrap(), runtime)
}

fn request() -> ProvisionRequest {
    ProvisionRequest {
        name: ProjectName::parse("memory").unwrap(),
        provider: ProviderKey::parse("supermemory").unwrap(),
        cap: Cents::parse_usd("80").unwrap(),
        lifetime: None,
        replace: Replace::OursOnly,
    }
}

fn agent() -> Principal {
    Principal::agent("an agent")
}

fn human() -> Principal {
    Principal::person("maria")
}

fn above_default() -> Value {
    named("memory")
}

fn named(name: &str) -> Value {
    json!({ "name": name, "provider": "supermemory", "spend_cap_usd": 80 })
}

fn with_policy(lines: &str) -> String {
    format!("{}\n[policy]\n{lines}\n", files::registry::BUILTIN)
}

fn approvals(workspace: &Workspace) -> Vec<Value> {
    workspace.json(&["approvals"])["approvals"].as_array().unwrap().clone()
}

/// Returns the id of the newest request, which is pending.
fn pending(workspace: &Workspace) -> String {
    let newest = approvals(workspace).pop().unwrap();
    assert_eq!(newest["status"], "pending");
    newest["id"].as_str().unwrap().to_owned()
}
