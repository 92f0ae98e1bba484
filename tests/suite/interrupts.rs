//! The point up to which a command can be cancelled. Every use case reports it before it writes anything.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use domain::{
    approval::{Answer, ApprovalId},
    lifetime::Lifetime,
    money::{Cents, MicroUsd},
    name::{ProjectName, ProviderKey},
};
use files::env_file::Replace;
use serde_json::json;
use stripe_projects_mcp::{
    provisioner::{Phase, Principal, ProvisionRequest, Provisioner},
    settings::Settings,
};
use tokio::runtime::{Builder, Runtime};

use crate::{raw_client::RawClient, workspace::Workspace};

/// Cancelling at that point leaves everything as it was before the command.
#[test]
fn commands_report_the_point_of_no_return_before_writing() {
    for operation in [
        "accept",
        "approve",
        "deliver",
        "deny",
        "extend",
        "abandon",
        "keep",
        "provision",
        "reap",
        "resume",
        "rotate",
        "suspend",
        "teardown",
        "usage record",
    ] {
        let here = prepare(operation);
        let before = snapshot(&here);
        let (provisioner, _runtime) = provisioner(&here);
        let stopped =
            provisioner.with_phase_hook(Arc::new(|reached| assert_ne!(reached, Phase::Checked, "stops here")));
        let stopped = AssertUnwindSafe(stopped);
        catch_unwind(|| operate(&stopped, operation)).expect_err(operation);
        assert_eq!(snapshot(&here), before, "{operation}");
    }
}

#[test]
fn read_only_commands_have_no_point_of_no_return() {
    let here = prepare("extend");
    let (provisioner, _runtime) = provisioner(&here);
    let looking =
        provisioner.with_phase_hook(Arc::new(|reached| assert_ne!(reached, Phase::Checked, "nothing is written")));
    let _: (_, _) = (looking.projects.show(&name()).unwrap(), looking.approvals.list().unwrap());
    let _: (_, _) = (looking.audit.verify().unwrap(), looking.ports.registry().unwrap());
}

fn operate(provisioner: &Provisioner, operation: &str) {
    let principal = Principal::person("a test");
    let (name, hour) = (name(), Lifetime::parse("1h").unwrap());
    let decide = |answer| {
        let id: ApprovalId = provisioner.approvals.list().unwrap().remove(0).id;
        drop(provisioner.approvals.decide(&id, answer, &principal).unwrap());
    };
    match operation {
        "accept" => drop(provisioner.audit.accept(&principal).unwrap()),
        "approve" => decide(Answer::Accepted),
        "deliver" => provisioner.projects.deliver_again(&name, &principal).unwrap(),
        "deny" => decide(Answer::Declined),
        "extend" => drop(provisioner.lifetimes.extend(&name, hour, &principal).unwrap()),
        "abandon" => drop(provisioner.projects.abandon(&name, &principal, |_| Ok(())).unwrap()),
        "keep" => drop(provisioner.lifetimes.keep(&name, &principal).unwrap()),
        "provision" => {
            let provider = ProviderKey::parse("search").unwrap();
            let request =
                ProvisionRequest { name, provider, cap: Cents::ZERO, lifetime: None, replace: Replace::OursOnly };
            drop(provisioner.projects.provision(&request, &principal).unwrap());
        }
        "reap" => drop(provisioner.lifetimes.reap(&principal).unwrap()),
        "resume" => drop(provisioner.projects.resume(&name, &principal).unwrap()),
        "rotate" => drop(provisioner.projects.rotate(&name, &principal).unwrap()),
        "suspend" => drop(provisioner.projects.suspend(&name, &principal).unwrap()),
        "teardown" => drop(provisioner.projects.teardown(&name, &principal).unwrap()),
        _ => drop(provisioner.projects.record_usage(&name, MicroUsd::new(1), &principal).unwrap()),
    }
}

/// Creates a workspace in which that operation has something to do.
fn prepare(operation: &str) -> Workspace {
    let here = Workspace::new();
    if operation == "provision" {
        here.run(&["provision", "nothing", "unknown"]); // creates a ledger to compare
        return here;
    }
    here.ok(&["provision", "victim", "search", "--expires-in", "1h"]);
    match operation {
        "accept" => std::fs::write(here.state().join("audit.head"), format!("v1 99 {}\n", "0".repeat(64))).unwrap(),
        "approve" | "deny" => {
            let arguments = json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 80 });
            let mut agent = RawClient::initialize(&here);
            assert_eq!(agent.call("provision", &arguments)["code"], "approval_required");
            assert_eq!(agent.disconnect().code, 0);
        }
        "abandon" => here.sql(
            "UPDATE projects SET status = 'provisioning', resource = NULL, key_version = 0;
            INSERT INTO journal (project, operation, was_status, was_version, opened_at)
            SELECT row, 'provision', 'provisioning', 0, 0 FROM projects",
        ),
        "reap" => here.sql("UPDATE projects SET expires_at = 0"),
        "resume" => drop(here.ok(&["suspend", "victim"])),
        _ => {}
    }
    here
}

/// Returns everything that a call could have written: audit, projects, requests and files.
fn snapshot(here: &Workspace) -> String {
    let ledger = here.ledger();
    let hashes: Vec<String> = ledger.audit().rows().unwrap().into_iter().map(|row| row.hash).collect();
    let approvals = ledger.approvals().list(9, domain::clock::Timestamp::now()).unwrap();
    let billed = here.billed_resources();
    let files = (here.read(".env"), std::fs::read_to_string(here.state().join("audit.head")).unwrap_or_default());
    format!("{hashes:?}\n{:?}\n{approvals:?}\n{billed:?}\n{files:?}", ledger.projects().all_live().unwrap())
}

fn provisioner(here: &Workspace) -> (Provisioner, Runtime) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let options = here.options();
    (Settings::resolve(options).unwrap().provisioner(runtime.handle().clone()).unwrap(), runtime)
}

fn name() -> ProjectName {
    ProjectName::parse("victim").unwrap()
}
