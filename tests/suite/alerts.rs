//! Alerts about budgets: each threshold once, signed, kept until somebody has it, and sent nowhere it must not go.

use std::{process::Stdio, thread, time::Duration};

use proptest::prelude::*;
use serde_json::json;
use stripe_projects_mcp::{
    alerts::{CLAIM_DURATION, Notice, RETRY_WINDOW, Undelivered, reached},
    clock::Timestamp,
    ledger::{Crossing, Event, Outbox, Outcome, Verdict},
    money::MicroUsd,
    name::ProjectName,
};

use crate::{
    alerts_receiver::{House, Message, Receiver, SECRET, list, notices, principal, spend},
    lines::{Lines, until},
    workspace::Ran,
};

/// Longer than any pause between two tries.
const FOUR_HOURS: Duration = Duration::from_secs(4 * 60 * 60);

#[test]
fn a_message_says_what_was_reached_and_is_signed() {
    let receiver = Receiver::start();
    let house = House::telling(&receiver);
    house.provision("memory");
    let provisioner = house.provisioner();
    spend(&provisioner, "memory", "5.5");
    assert_eq!(provisioner.deliver_alerts().unwrap(), 1);

    let message = only(receiver.seen());
    assert_eq!(message.signed_at(SECRET), house.seconds());
    let (alert, id) = (only(house.alerts()), message.id().to_owned());
    assert!(id.starts_with("evt_") && id.len() == 36, "{id}");
    let expected = json!({
        "id": alert.id,
        "type": "budget.threshold_reached",
        "created": house.seconds(),
        "data": {
            "name": "memory",
            "provider": "search",
            "project_id": alert.project_id.as_str(),
            "threshold_percent": 50,
            "spend_cap_usd": 10.0,
            "usage_usd": 5.5,
        },
    });
    assert_eq!(message.body, expected);
}

#[test]
fn each_threshold_is_told_once_however_often_usage_is_looked_at() {
    let receiver = Receiver::start();
    let house = House::telling(&receiver);
    house.provision("memory");
    for (usd, thresholds) in
        [("4.999999", &[][..]), ("0.000001", &[50]), ("2.99", &[50]), ("0.01", &[50, 80]), ("2", &[50, 80, 100])]
    {
        spend(&house.provisioner(), "memory", usd);
        for _ in 0..2 {
            let again = house.provisioner();
            list(&again);
            again.show(&name("memory")).unwrap();
            again.deliver_alerts().unwrap();
        }
        assert_eq!(receiver.thresholds(), thresholds, "after {usd}");
    }
    let mut ids: Vec<_> = receiver.seen().iter().map(|message| message.id().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let raised = house.workspace.ledger().audit().rows().unwrap();
    assert_eq!(raised.iter().filter(|row| row.channel == "alerts" && row.name.as_deref() == Some("memory")).count(), 3);
    assert_eq!(house.workspace.ledger().audit().first_broken_row().unwrap(), None);
}

#[test]
fn a_jump_over_several_thresholds_raises_each() {
    let receiver = Receiver::start();
    let house = House::telling(&receiver);
    house.provision("memory");
    let provisioner = house.provisioner();
    let heard = notices(&provisioner);
    spend(&provisioner, "memory", "12");
    assert_eq!(provisioner.deliver_alerts().unwrap(), 3);
    assert_eq!(receiver.thresholds(), [50, 80, 100]);
    assert!(receiver.seen().iter().all(|message| message.body["data"]["usage_usd"] == 12.0));
    let lines: Vec<_> = heard.lock().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(lines, [50, 80, 100].map(|percent| format!("memory has used {percent} % of its cap: 12 of 10 USD")));
}

/// Nobody recorded it through us: the world was found that way.
#[test]
fn usage_that_only_a_list_finds_is_told_too() {
    let receiver = Receiver::start();
    let house = House::telling(&receiver);
    for name in ["one", "two", "three"] {
        house.provision(name);
    }
    let world = house.workspace.world();
    let resource = house.workspace.ledger().projects().live(&name("two")).unwrap().unwrap().resource.unwrap();
    world.accrue(&resource, MicroUsd::parse_usd("8").unwrap()).unwrap();
    let provisioner = house.provisioner();
    list(&provisioner);
    provisioner.deliver_alerts().unwrap();
    assert_eq!(receiver.thresholds(), [50, 80]);
    assert!(receiver.seen().iter().all(|message| message.body["data"]["name"] == "two"));
}

#[test]
fn a_name_that_is_used_again_has_thresholds_of_its_own() {
    let receiver = Receiver::start();
    let house = House::telling(&receiver);
    for _ in 0..2 {
        house.provision("memory");
        let provisioner = house.provisioner();
        spend(&provisioner, "memory", "5");
        provisioner.deliver_alerts().unwrap();
        provisioner.teardown(&name("memory"), &principal()).unwrap();
    }
    assert_eq!(receiver.thresholds(), [50, 50]);
}

#[test]
fn what_the_receiver_turns_away_comes_again_under_the_same_id_and_a_new_time() {
    let receiver = Receiver::start();
    receiver.script(&[500, 404, 302, 200]);
    let house = House::telling(&receiver);
    house.provision("memory");
    let provisioner = house.provisioner();
    let heard = notices(&provisioner);
    spend(&provisioner, "memory", "5");
    let mut times = Vec::new();
    for arrived in [0, 0, 0, 1] {
        times.push(house.seconds());
        assert_eq!(house.provisioner().deliver_alerts().unwrap() + provisioner.deliver_alerts().unwrap(), arrived);
        house.pass(FOUR_HOURS);
    }
    assert_eq!(provisioner.deliver_alerts().unwrap(), 0, "it has arrived");
    let seen = receiver.seen();
    assert_eq!(seen.len(), 4, "a redirect was followed, or a try was not made: {seen:?}");
    assert!(seen.iter().all(|message| message.id() == seen[0].id() && message.text == seen[0].text));
    assert_eq!(seen.iter().map(|message| message.signed_at(SECRET)).collect::<Vec<_>>(), times);
    assert!(heard.lock().unwrap().iter().all(|notice| matches!(notice, Notice::Raised(_))), "the other one tried");
}

#[test]
fn a_receiver_that_is_away_gets_it_when_it_is_back() {
    let gone = Receiver::start();
    let (address, house) = (gone.address, House::telling(&gone));
    drop(gone);
    house.provision("memory");
    let provisioner = house.provisioner();
    let heard = notices(&provisioner);
    spend(&provisioner, "memory", "8");
    until("the port is free", || std::net::TcpStream::connect(address).is_err().then_some(()));
    // One try says enough for the moment: the second alert is not tried in the same breath.
    assert_eq!(provisioner.deliver_alerts().unwrap(), 0);
    let undelivered =
        heard.lock().unwrap().iter().filter(|notice| matches!(notice, Notice::Undelivered { .. })).count();
    assert_eq!(undelivered, 1);
    let last = heard.lock().unwrap().last().unwrap().to_string();
    let said = "the alert that memory has used 50 % of its cap was not delivered (try 1): the receiver could not be \
        reached; it is kept and sent again later";
    assert_eq!(last, said);
    drop(provisioner);

    // The process has ended; the outbox has not.
    house.pass(FOUR_HOURS);
    let back = Receiver::on(address);
    assert_eq!(house.provisioner().deliver_alerts().unwrap(), 2);
    let (mut told, mut kept) =
        (ids(&back.seen()), house.alerts().into_iter().map(|alert| alert.id).collect::<Vec<_>>());
    told.sort();
    kept.sort();
    assert_eq!(told, kept);
}

#[test]
fn after_three_days_it_is_given_up_and_said() {
    let receiver = Receiver::start();
    receiver.script(&[500; 100]);
    let house = House::telling(&receiver);
    house.provision("memory");
    let provisioner = house.provisioner();
    let heard = notices(&provisioner);
    spend(&provisioner, "memory", "5");
    let (began, mut tries) = (house.seconds(), 0);
    let given_up = loop {
        provisioner.deliver_alerts().unwrap();
        tries += 1;
        match heard.lock().unwrap().last().unwrap() {
            Notice::GivenUp { why, .. } => break why.clone(),
            Notice::Undelivered { attempts, .. } => assert_eq!(*attempts, tries),
            other => panic!("{other:?}"),
        }
        house.pass(FOUR_HOURS);
    };
    assert_eq!(given_up, Undelivered::Status(500));
    let days = Duration::from_secs(u64::try_from(house.seconds() - began).unwrap());
    assert!(days <= RETRY_WINDOW && days + 2 * FOUR_HOURS >= RETRY_WINDOW, "{days:?}");
    house.pass(RETRY_WINDOW);
    assert_eq!(provisioner.deliver_alerts().unwrap(), 0);
    assert_eq!(receiver.seen().len(), usize::try_from(tries).unwrap());
}

#[test]
fn two_processes_do_not_send_the_same_alert_at_the_same_time() {
    let receiver = Receiver::start();
    let house = House::telling(&receiver);
    house.provision("memory");
    spend(&house.provisioner(), "memory", "5");
    receiver.close();
    thread::scope(|scope| {
        let first = scope.spawn(|| house.provisioner().deliver_alerts().unwrap());
        until("the first is at it", || (receiver.seen().len() == 1).then_some(()));
        for _ in 0..8 {
            assert_eq!(house.provisioner().deliver_alerts().unwrap(), 0);
        }
        receiver.open();
        assert_eq!(first.join().unwrap(), 1);
    });
    assert_eq!(house.provisioner().deliver_alerts().unwrap(), 0);
    assert_eq!(receiver.seen().len(), 1);

    // And when they all begin together.
    spend(&house.provisioner(), "memory", "5");
    let arrived: u32 = thread::scope(|scope| {
        let start = |_| scope.spawn(|| house.provisioner().deliver_alerts().unwrap());
        let started: Vec<_> = (0..8).map(start).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(arrived, 2);
    let mut thresholds = receiver.thresholds();
    thresholds.sort_unstable();
    assert_eq!(thresholds, [50, 80, 100]);
}

/// The receiver has it, and nobody wrote that down.
#[test]
fn a_process_that_dies_between_sending_and_saying_so_has_it_sent_again_under_the_same_id() {
    let receiver = Receiver::start();
    receiver.close();
    let house = House::telling(&receiver);
    house.provision("memory");
    // The real binary, killed while it waits for the answer; its clock is the real one, so ours follows it.
    let mut command = house.workspace.command(&["usage", "record", "memory", "5"]);
    let mut child = command
        .env("STRIPE_PROJECTS_ALERT_SECRET", SECRET)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("it is sent", || (receiver.seen().len() == 1).then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    receiver.open();

    let real = Timestamp::now().as_second();
    house.pass(Duration::from_secs(u64::try_from(real - house.seconds()).unwrap()));
    let provisioner = house.provisioner();
    assert_eq!(provisioner.deliver_alerts().unwrap(), 0, "until its time is up, the dead one may be alive");
    house.pass(CLAIM_DURATION + Duration::from_secs(1));
    assert_eq!(provisioner.deliver_alerts().unwrap(), 1);
    let seen = receiver.seen();
    assert_eq!((seen.len(), seen[0].id()), (2, seen[1].id()));
    house.pass(FOUR_HOURS);
    assert_eq!(provisioner.deliver_alerts().unwrap(), 0);
}

/// A late answer of a sender whose time was up does not undo what the next one did.
#[test]
fn a_claim_that_ran_out_changes_nothing() {
    let receiver = Receiver::start();
    let house = House::telling(&receiver);
    house.provision("memory");
    let provisioner = house.provisioner();
    spend(&provisioner, "memory", "5");
    let (ledger, now) = (house.workspace.ledger(), house.clock().now());
    let slow = ledger.alerts().claim_alert(now, now.checked_add(CLAIM_DURATION).unwrap()).unwrap().unwrap();
    assert!(!ledger.alerts().has_due_alert(now).unwrap());
    house.pass(CLAIM_DURATION);
    assert_eq!(provisioner.deliver_alerts().unwrap(), 1);
    ledger.alerts().settle_alert(&slow, Outcome::Later(house.clock().now())).unwrap();
    assert_eq!(provisioner.deliver_alerts().unwrap(), 0);
    assert_eq!(receiver.seen().len(), 1);
}

#[test]
fn nothing_is_sent_unsigned_and_nothing_is_lost() {
    let receiver = Receiver::start();
    let house = House::telling(&receiver);
    house.provision("memory");
    let unsigned = house.unsigned();
    let heard = notices(&unsigned);
    spend(&unsigned, "memory", "5");
    for _ in 0..3 {
        assert_eq!(unsigned.deliver_alerts().unwrap(), 0);
        house.pass(RETRY_WINDOW);
    }
    assert!(receiver.seen().is_empty());
    let unsendable = heard.lock().unwrap().iter().filter(|notice| matches!(notice, Notice::Unsendable { .. })).count();
    assert_eq!(unsendable, 1, "said once");
    assert_eq!(house.provisioner().deliver_alerts().unwrap(), 1);
    only(receiver.seen()).signed_at(SECRET);
}

/// Who names a receiver later does not want the news of last month.
#[test]
fn without_a_receiver_alerts_are_only_told() {
    let receiver = Receiver::start();
    let house = House::silent();
    house.provision("memory");
    let provisioner = house.provisioner();
    let heard = notices(&provisioner);
    spend(&provisioner, "memory", "5");
    assert_eq!(provisioner.deliver_alerts().unwrap(), 0);
    assert!(matches!(only(heard.lock().unwrap().clone()), Notice::Raised(_)));
    house.tell(&format!("url = 'http://{}'\nallow_hosts = ['127.0.0.1']", receiver.address));
    assert_eq!(provisioner.deliver_alerts().unwrap(), 0);
    spend(&provisioner, "memory", "3");
    assert_eq!(provisioner.deliver_alerts().unwrap(), 1);
    assert_eq!(receiver.thresholds(), [80]);
}

#[test]
fn a_running_server_tells_and_sends_what_another_process_raised() {
    let receiver = Receiver::start();
    let house = House::telling(&receiver);
    house.provision("memory");
    let mut command = house.workspace.command(&["serve"]);
    command.env("STRIPE_PROJECTS_ALERT_SECRET", SECRET);
    let mut server = Lines::start(command);
    server.hello("lines");
    house.workspace.ok(&["usage", "record", "memory", "8"]); // without a secret, so it is left to the server
    until("it is sent", || (receiver.seen().len() == 2).then_some(()));
    let line = "alert: memory has used 80 % of its cap: 8 of 10 USD";
    until("it is told", || server.errors().contains(line).then_some(()));
    // What the server learns itself is told as well, and once.
    let resource = house.workspace.ledger().projects().live(&name("memory")).unwrap().unwrap().resource.unwrap();
    let rest = MicroUsd::parse_usd("2").unwrap();
    house.workspace.world().accrue(&resource, rest).unwrap();
    server.call("list_projects", &json!({}));
    assert!(server.errors().contains("alert: memory has used 100 % of its cap: 10 of 10 USD"), "{}", server.errors());
    until("it is sent", || (receiver.seen().len() == 3).then_some(()));
    let left = server.leave();
    assert_eq!(left.stderr.matches("alert:").count(), 3, "{left:?}");
    assert!(!format!("{left:?}").contains("canary"));
}

#[test]
fn usage_record_says_what_it_raised_and_what_did_not_arrive() {
    let receiver = Receiver::start();
    receiver.script(&[500]);
    let house = House::telling(&receiver);
    house.provision("memory");
    let run = |usd: &str, secret: Option<&str>| {
        let mut command = house.workspace.command(&["usage", "record", "memory", usd, "--json"]);
        command.envs(secret.map(|secret| ("STRIPE_PROJECTS_ALERT_SECRET", secret)));
        let ran = Ran::from(command.output().unwrap());
        assert_eq!(ran.code, 0, "{ran:?}");
        serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap();
        ran.stderr
    };
    let told = |percent: u8, used: &str| format!("alert: memory has used {percent} % of its cap: {used} of 10 USD\n");
    let kept = "; it is kept and sent again later\n";
    assert_eq!(run("1", Some(SECRET)), "");
    let undelivered = "warning: the alert that memory has used 50 % of its cap was not delivered (try 1): the receiver \
        answered 500";
    assert_eq!(run("4", Some(SECRET)), format!("{}{undelivered}{kept}", told(50, "5")));
    assert_eq!(run("3", Some(SECRET)), told(80, "8"));
    let unsigned = "warning: alerts are kept and not sent: there is no secret in STRIPE_PROJECTS_ALERT_SECRET to sign \
        them with\n";
    assert_eq!(run("2", None), format!("{}{unsigned}", told(100, "10")));
    assert_eq!(receiver.thresholds(), [50, 80]);
}

#[test]
fn the_secret_is_nowhere() {
    let receiver = Receiver::start();
    receiver.script(&[500, 302]);
    let house = House::telling(&receiver);
    house.provision("memory");
    let mut said = String::new();
    for usd in ["5", "3", "2"] {
        let mut command = house.workspace.command(&["usage", "record", "memory", usd]);
        let output = command.env("STRIPE_PROJECTS_ALERT_SECRET", SECRET).output().unwrap();
        said.extend([format!("{output:?}"), String::from_utf8(output.stderr).unwrap()]);
    }
    said.extend([format!("{:?}", house.provisioner()), format!("{:?}", receiver.seen())]);
    assert_eq!(receiver.seen().len(), 3);
    assert!(said.contains("memory has used") && !said.contains(SECRET), "{said}");
    let files = house.workspace.files();
    assert!(files.iter().any(|file| file.ends_with("ledger.db")), "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "{}", file.display());
    }
    // Nor the key or its mask in what is sent.
    let mask = house.workspace.ledger().projects().newest(&name("memory")).unwrap().unwrap().mask.unwrap();
    assert!(receiver.seen().iter().all(|message| !message.text.contains(mask.as_str().trim_start_matches('…'))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is spent in whatever order, looked at by whomever, each threshold is raised and sent once.
    #[test]
    fn each_threshold_once_in_whatever_order(steps in prop::collection::vec((0_u64..400, any::<bool>()), 1..8)) {
        let receiver = Receiver::start();
        let house = House::telling(&receiver);
        house.provision("memory");
        let mut provisioner = house.provisioner();
        let mut used = 0;
        for (cents, anew) in steps {
            if used >= 1000 {
                break; // it is suspended, and takes no more
            }
            spend(&provisioner, "memory", &format!("{}.{:02}", cents / 100, cents % 100));
            used += cents;
            if anew {
                provisioner = house.provisioner();
                list(&provisioner);
            }
            provisioner.deliver_alerts().unwrap();
        }
        let expected: Vec<u64> = [50, 80, 100].into_iter().filter(|percent| used >= percent * 10).collect();
        prop_assert_eq!(receiver.thresholds(), expected);
    }

    /// Meters correct themselves: usage may go down again, and nothing is raised twice for that.
    #[test]
    fn usage_that_goes_up_and_down_raises_each_threshold_once(usages in prop::collection::vec(0_u64..15, 1..12)) {
        let house = House::silent();
        house.provision("memory");
        let ledger = house.workspace.ledger();
        let project = ledger.projects().live(&name("memory")).unwrap().unwrap();
        for (place, usd) in usages.iter().enumerate() {
            let usage = MicroUsd::new(usd * 1_000_000);
            let thresholds = reached(project.cap, usage);
            let crossing = Crossing { project: &project, usage, thresholds };
            let highest = usages[..place].iter().max().copied().unwrap_or_default();
            let before = reached(project.cap, MicroUsd::new(highest * 1_000_000));
            let unraised = ledger.alerts().unraised(&[crossing]).unwrap();
            prop_assert_eq!(unraised.is_empty(), thresholds.len() <= before.len());
            let ids: Vec<_> = thresholds.iter().map(|threshold| format!("evt_{place}_{threshold}")).collect();
            let event = Event {
                at: house.clock().now(),
                channel: "alerts",
                actor: String::new(),
                action: "raise alert",
                verdict: Verdict::Done,
                detail: json!({}),
            };
            let raised = ledger.alerts().raise(&[(crossing, ids)], Outbox::Local, &event).unwrap();
            prop_assert_eq!(raised.len(), thresholds.len().saturating_sub(before.len()));
        }
        let highest = usages.iter().max().copied().unwrap_or_default() * 1_000_000;
        let expected = reached(project.cap, MicroUsd::new(highest));
        let raised: Vec<_> = house.alerts().into_iter().map(|alert| alert.threshold).collect();
        prop_assert_eq!(raised, expected);
    }
}

fn only<T: std::fmt::Debug>(mut all: Vec<T>) -> T {
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn ids(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| message.id().to_owned()).collect()
}

fn name(text: &str) -> ProjectName {
    ProjectName::parse(text).unwrap()
}
