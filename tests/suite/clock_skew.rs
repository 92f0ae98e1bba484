//! A clock that is set back or forward by years, between and during operations. Nothing is lost, torn down too early,
//! or delayed forever.

use std::sync::Arc;

use domain::{
    diagnostic::Diagnostic as _,
    lifetime::Lifetime,
    money::Cents,
    name::{ProjectName, ProviderKey},
};
use files::env_file::Replace;
use stripe_projects_mcp::provisioner::{Phase, ProvisionRequest, Provisioner};

use crate::{
    alerts_receiver::{AlertReceiver, Harness, list, principal, spend},
    invariants::{USER_LINES, check},
};

#[test]
fn clock_shift_between_operations_loses_nothing() {
    for jump in SHIFTS {
        let harness = Harness::without_alerts();
        harness.workspace.write(".env", USER_LINES);
        let run = |work: &dyn Fn(&Provisioner)| {
            harness.shift_clock(jump);
            work(&harness.provisioner());
            list(&harness.provisioner());
        };
        run(&|provisioner| provision(&harness, provisioner, "victim"));
        run(&|provisioner| drop(provisioner.projects.rotate(&name("victim"), &principal()).unwrap()));
        run(&|provisioner| drop(provisioner.projects.suspend(&name("victim"), &principal()).unwrap()));
        run(&|provisioner| drop(provisioner.projects.resume(&name("victim"), &principal()).unwrap()));
        run(&|provisioner| drop(provisioner.lifetimes.extend(&name("victim"), hour(), &principal()).unwrap()));
        run(&|provisioner| drop(provisioner.lifetimes.keep(&name("victim"), &principal()).unwrap()));
        check(&harness.workspace, &format!("a clock set by {jump} ms each time"));
        run(&|provisioner| drop(provisioner.projects.teardown(&name("victim"), &principal()).unwrap()));
        run(&|provisioner| provision(&harness, provisioner, "victim"));
        check(&harness.workspace, &format!("the same name again, {jump} ms away"));
        let rows = harness.workspace.ledger().audit().rows().unwrap();
        assert!(rows.iter().zip(1..).all(|(row, seq)| row.seq == seq), "rows are in the order of events");
    }
}

#[test]
fn clock_shift_at_each_step_loses_nothing() {
    for jump in SHIFTS {
        let harness = Harness::without_alerts();
        harness.workspace.write(".env", USER_LINES);
        for at in Phase::ALL {
            let clock = harness.clock_shifter();
            let provisioner = harness.provisioner().with_phase_hook(Arc::new(move |step| {
                if step == at {
                    clock(jump);
                }
            }));
            let text = format!("{at:?}").to_lowercase();
            provision(&harness, &provisioner, &text);
            provisioner.projects.rotate(&name(&text), &principal()).unwrap();
            provisioner.projects.suspend(&name(&text), &principal()).unwrap();
            provisioner.projects.resume(&name(&text), &principal()).unwrap();
            check(&harness.workspace, &format!("{jump} ms at {at:?}"));
            provisioner.projects.teardown(&name(&text), &principal()).unwrap();
            check(&harness.workspace, &format!("{jump} ms at {at:?}, torn down"));
        }
    }
}

#[test]
fn clock_set_back_does_not_end_a_lifetime() {
    let harness = Harness::without_alerts();
    harness.workspace.write(".env", USER_LINES);
    harness.provisioner().projects.provision(&request("leased", Some(hour())), &principal()).unwrap();
    harness.shift_clock(-YEARS);
    assert!(harness.provisioner().lifetimes.reap(&principal()).unwrap().is_empty());
    harness.shift_clock(YEARS + HOUR - 1);
    assert!(harness.provisioner().lifetimes.reap(&principal()).unwrap().is_empty(), "a millisecond is left");
    harness.shift_clock(1);
    assert_eq!(harness.provisioner().lifetimes.reap(&principal()).unwrap().len(), 1);
    check(&harness.workspace, "an expired lifetime");
}

/// A machine that starts with its clock years ahead and corrects it later.
#[test]
fn clock_corrected_by_years_does_not_delay_an_alert() {
    let receiver = AlertReceiver::start();
    let harness = Harness::with_alerts_to(&receiver);
    harness.provision("web");
    harness.shift_clock(YEARS);
    spend(&harness.provisioner(), "web", "8");
    receiver.script(&[500]);
    assert_eq!(harness.provisioner().alerts.deliver().unwrap(), 0);
    harness.shift_clock(-YEARS);
    let deliveries = harness.provisioner().alerts.deliver().unwrap();
    assert!(deliveries > 0, "an alert postponed by ten seconds is sent now, not in years");
    assert_eq!(harness.provisioner().alerts.deliver().unwrap(), 0, "and once");
}

/// The clock goes back by less than the longest pause, so the pause stays.
#[test]
fn postponed_alert_waits_for_its_time() {
    let receiver = AlertReceiver::start();
    let harness = Harness::with_alerts_to(&receiver);
    harness.provision("web");
    spend(&harness.provisioner(), "web", "5.5");
    receiver.script(&[500]);
    harness.provisioner().alerts.deliver().unwrap();
    harness.shift_clock(-HOUR);
    assert_eq!(harness.provisioner().alerts.deliver().unwrap(), 0, "an hour back keeps the pause");
    harness.shift_clock(2 * HOUR);
    assert_eq!(harness.provisioner().alerts.deliver().unwrap(), 1);
}

/// Provisions, after a person has accepted the clock if it went back by more than a day.
fn provision(harness: &Harness, provisioner: &Provisioner, text: &str) {
    if let Err(error) = provisioner.projects.provision(&request(text, None), &principal()) {
        assert_eq!(error.code(), "clock_behind");
        let later = harness.provisioner();
        later.budgets.reset_clock(&principal()).unwrap();
        later.projects.provision(&request(text, None), &principal()).unwrap();
    }
}

fn request(text: &str, lifetime: Option<Lifetime>) -> ProvisionRequest {
    let provider = ProviderKey::parse("supermemory").unwrap();
    ProvisionRequest { name: name(text), provider, cap: Cents::ZERO, lifetime, replace: Replace::OursOnly }
}

fn name(text: &str) -> ProjectName {
    ProjectName::parse(text).unwrap()
}

fn hour() -> Lifetime {
    Lifetime::parse("1h").unwrap()
}

/// In milliseconds, like all constants below.
const HOUR: i64 = 60 * 60 * 1000;
const YEARS: i64 = 10 * 365 * 24 * HOUR;

const SHIFTS: [i64; 4] = [-YEARS / 20, -HOUR, -1, YEARS / 20];
