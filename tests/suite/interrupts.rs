//! The point up to which a command can be called off: every use case tells of it before it writes anything, also the
//! one that nobody thought of.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serde_json::json;
use stripe_projects_mcp::{
    approval::{Answer, ApprovalId},
    env_file::Replace,
    lifetime::Lifetime,
    money::{Cents, MicroUsd},
    name::{ProjectName, ProviderKey},
    policy::Asker,
    provisioner::{Phase, Principal, ProvisionRequest, Provisioner},
    settings::{CliOptions, Settings},
};
use tokio::runtime::{Builder, Runtime};

use crate::{lines::Lines, workspace::Workspace};

/// Whoever closes the gate at that point finds everything as it was before the command.
#[test]
fn whatever_writes_says_so_before_it_does() {
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
        let here = ready_for(operation);
        let before = written(&here);
        let (provisioner, _runtime) = provisioner(&here);
        let stopped =
            provisioner.with_phase_hook(Arc::new(|reached| assert_ne!(reached, Phase::Checked, "stops here")));
        let stopped = AssertUnwindSafe(stopped);
        catch_unwind(|| operate(&stopped, operation)).expect_err(operation);
        assert_eq!(written(&here), before, "{operation}");
    }
}

#[test]
fn what_only_looks_is_never_too_late_to_be_called_off() {
    let here = ready_for("extend");
    let (provisioner, _runtime) = provisioner(&here);
    let looking =
        provisioner.with_phase_hook(Arc::new(|reached| assert_ne!(reached, Phase::Checked, "nothing is written")));
    let _: (_, _) = (looking.show(&name()).unwrap(), looking.approvals().unwrap());
    let _: (_, _) = (looking.verify_audit().unwrap(), looking.registry().unwrap());
}

fn operate(provisioner: &Provisioner, operation: &str) {
    let principal = Principal { door: "cli", actor: "a test".to_owned(), asker: Asker::Human };
    let (name, hour) = (name(), Lifetime::parse("1h").unwrap());
    let decide = |answer| {
        let id: ApprovalId = provisioner.approvals().unwrap().remove(0).id;
        drop(provisioner.decide(&id, answer, &principal).unwrap());
    };
    match operation {
        "accept" => drop(provisioner.accept_audit(&principal).unwrap()),
        "approve" => decide(Answer::Accepted),
        "deliver" => provisioner.deliver_again(&name, &principal).unwrap(),
        "deny" => decide(Answer::Declined),
        "extend" => drop(provisioner.extend(&name, hour, &principal).unwrap()),
        "abandon" => drop(provisioner.abandon(&name, &principal, |_| Ok(())).unwrap()),
        "keep" => drop(provisioner.keep(&name, &principal).unwrap()),
        "provision" => {
            let provider = ProviderKey::parse("search").unwrap();
            let wanted =
                ProvisionRequest { name, provider, cap: Cents::ZERO, lifetime: None, replace: Replace::OursOnly };
            drop(provisioner.provision(&wanted, &principal).unwrap());
        }
        "reap" => drop(provisioner.reap(&principal).unwrap()),
        "resume" => drop(provisioner.resume(&name, &principal).unwrap()),
        "rotate" => drop(provisioner.rotate(&name, &principal).unwrap()),
        "suspend" => drop(provisioner.suspend(&name, &principal).unwrap()),
        "teardown" => drop(provisioner.teardown(&name, &principal).unwrap()),
        _ => drop(provisioner.record_usage(&name, MicroUsd::new(1), &principal).unwrap()),
    }
}

/// A workspace in which there is something for that operation to do.
fn ready_for(operation: &str) -> Workspace {
    let here = Workspace::new();
    if operation == "provision" {
        here.run(&["provision", "nothing", "nobody"]); // so that there is a ledger to compare
        return here;
    }
    here.ok(&["provision", "victim", "search", "--expires-in", "1h"]);
    match operation {
        "accept" => std::fs::write(here.state().join("audit.head"), format!("v1 99 {}\n", "0".repeat(64))).unwrap(),
        "approve" | "deny" => {
            let wanted = json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 80 });
            let mut agent = Lines::greet(&here);
            assert_eq!(agent.call("provision", &wanted)["code"], "approval_required");
            assert_eq!(agent.leave().code, 0);
        }
        "abandon" => undo(
            &here,
            "UPDATE projects SET status = 'provisioning', resource = NULL, key_version = 0;
            INSERT INTO journal (project, operation, was_status, was_version, opened_at)
            SELECT row, 'provision', 'provisioning', 0, 0 FROM projects",
        ),
        "reap" => undo(&here, "UPDATE projects SET expires_at = 0"),
        "resume" => drop(here.ok(&["suspend", "victim"])),
        _ => {}
    }
    here
}

fn undo(here: &Workspace, change: &str) {
    rusqlite::Connection::open(here.state().join("ledger.db")).unwrap().execute_batch(change).unwrap();
}

/// Everything that a call could have written: the audit, what is live and how, the requests, and the files.
fn written(here: &Workspace) -> String {
    let ledger = here.ledger();
    let hashes: Vec<String> = ledger.audit().rows().unwrap().into_iter().map(|row| row.hash).collect();
    let approvals = ledger.approvals().list(9, stripe_projects_mcp::clock::Timestamp::now()).unwrap();
    let billed = here.billed();
    let files = (here.read(".env"), here.read(".stripe-projects/audit.head"));
    format!("{hashes:?}\n{:?}\n{approvals:?}\n{billed:?}\n{files:?}", ledger.projects().all_live().unwrap())
}

fn provisioner(here: &Workspace) -> (Provisioner, Runtime) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let options = CliOptions { dir: Some(here.path()), ..CliOptions::default() };
    (Settings::resolve(options).unwrap().provisioner(runtime.handle().clone()), runtime)
}

fn name() -> ProjectName {
    ProjectName::parse("victim").unwrap()
}
