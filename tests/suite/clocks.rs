//! A clock that is put back, or forward by years, between operations and in the middle of them: nothing is lost, nothing
//! is torn down too early, nothing waits for a time that will not come.

use std::sync::Arc;

use stripe_projects_mcp::{
    env_file::Replace,
    lifetime::Lifetime,
    money::Cents,
    name::{ProjectName, ProviderKey},
    provisioner::{Phase, ProvisionRequest, Provisioner},
};

use crate::{
    alerts_receiver::{House, Receiver, list, principal, spend},
    promises::{MINE, check},
};

#[test]
fn every_operation_between_any_two_times() {
    for jump in JUMPS {
        let house = House::silent();
        house.workspace.write(".env", MINE);
        let run = |work: &dyn Fn(&Provisioner)| {
            house.jump(jump);
            work(&house.provisioner());
            list(&house.provisioner());
        };
        run(&|provisioner| drop(provisioner.provision(&wanted("victim", None), &principal()).unwrap()));
        run(&|provisioner| drop(provisioner.rotate(&name("victim"), &principal()).unwrap()));
        run(&|provisioner| drop(provisioner.suspend(&name("victim"), &principal()).unwrap()));
        run(&|provisioner| drop(provisioner.resume(&name("victim"), &principal()).unwrap()));
        run(&|provisioner| drop(provisioner.extend(&name("victim"), hour(), &principal()).unwrap()));
        run(&|provisioner| drop(provisioner.keep(&name("victim"), &principal()).unwrap()));
        check(&house.workspace, &format!("a clock set by {jump} ms each time"));
        run(&|provisioner| drop(provisioner.teardown(&name("victim"), &principal()).unwrap()));
        run(&|provisioner| drop(provisioner.provision(&wanted("victim", None), &principal()).unwrap()));
        check(&house.workspace, &format!("the same name again, {jump} ms away"));
        let rows = house.workspace.ledger().audit().rows().unwrap();
        assert!(rows.iter().zip(1..).all(|(row, seq)| row.seq == seq), "the order is that of what happened");
    }
}

#[test]
fn the_clock_jumps_at_every_step() {
    for jump in JUMPS {
        let house = House::silent();
        house.workspace.write(".env", MINE);
        for at in Phase::ALL {
            let clock = house.hand();
            let provisioner = house.provisioner().with_phase_hook(Arc::new(move |step| {
                if step == at {
                    clock(jump);
                }
            }));
            let word = format!("{at:?}").to_lowercase();
            provisioner.provision(&wanted(&word, None), &principal()).unwrap();
            provisioner.rotate(&name(&word), &principal()).unwrap();
            provisioner.suspend(&name(&word), &principal()).unwrap();
            provisioner.resume(&name(&word), &principal()).unwrap();
            check(&house.workspace, &format!("{jump} ms at {at:?}"));
            provisioner.teardown(&name(&word), &principal()).unwrap();
            check(&house.workspace, &format!("{jump} ms at {at:?}, torn down"));
        }
    }
}

#[test]
fn a_lifetime_is_not_over_because_the_clock_was_put_back() {
    let house = House::silent();
    house.workspace.write(".env", MINE);
    house.provisioner().provision(&wanted("leased", Some(hour())), &principal()).unwrap();
    house.jump(-YEARS);
    assert!(house.provisioner().reap(&principal()).unwrap().is_empty());
    house.jump(YEARS + HOUR - 1);
    assert!(house.provisioner().reap(&principal()).unwrap().is_empty(), "a millisecond is left");
    house.jump(1);
    assert_eq!(house.provisioner().reap(&principal()).unwrap().len(), 1);
    check(&house.workspace, "a lifetime that is over");
}

/// A machine that starts with its clock years ahead and corrects it later.
#[test]
fn an_alert_does_not_wait_for_the_time_of_a_wrong_clock() {
    let receiver = Receiver::start();
    let house = House::telling(&receiver);
    house.provision("web");
    house.jump(YEARS);
    spend(&house.provisioner(), "web", "8");
    receiver.script(&[500]);
    assert_eq!(house.provisioner().deliver_alerts().unwrap(), 0);
    house.jump(-YEARS);
    let sent = house.provisioner().deliver_alerts().unwrap();
    assert!(sent > 0, "what was put off for ten seconds is sent now, not in years");
    assert_eq!(house.provisioner().deliver_alerts().unwrap(), 0, "and once");
}

/// The clock goes back by less than alerts are ever put off for: the pause is kept, by the new time.
#[test]
fn an_alert_that_was_put_off_waits_for_its_time() {
    let receiver = Receiver::start();
    let house = House::telling(&receiver);
    house.provision("web");
    spend(&house.provisioner(), "web", "5.5");
    receiver.script(&[500]);
    house.provisioner().deliver_alerts().unwrap();
    house.jump(-HOUR);
    assert_eq!(house.provisioner().deliver_alerts().unwrap(), 0, "an hour back is no reason to hurry");
    house.jump(2 * HOUR);
    assert_eq!(house.provisioner().deliver_alerts().unwrap(), 1);
}

fn wanted(word: &str, lifetime: Option<Lifetime>) -> ProvisionRequest {
    let provider = ProviderKey::parse("supermemory").unwrap();
    ProvisionRequest { name: name(word), provider, cap: Cents::ZERO, lifetime, replace: Replace::OursOnly }
}

fn name(word: &str) -> ProjectName {
    ProjectName::parse(word).unwrap()
}

fn hour() -> Lifetime {
    Lifetime::parse("1h").unwrap()
}

/// In milliseconds, as all that follows.
const HOUR: i64 = 60 * 60 * 1000;
const YEARS: i64 = 10 * 365 * 24 * HOUR;

const JUMPS: [i64; 4] = [-YEARS / 20, -HOUR, -1, YEARS / 20];
