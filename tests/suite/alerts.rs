//! Budget alerts: each threshold once, signed, and kept until delivered to the configured receiver.

use std::{process::Stdio, thread, time::Duration};

use backends::alerts::{CLAIM_DURATION, Notice, RETRY_WINDOW, Undelivered, reached};
use domain::{clock::Timestamp, money::MicroUsd, name::ProjectName};
use proptest::prelude::*;
use serde_json::json;
use storage::ledger::{Crossing, Event, Outbox, Outcome, Verdict};

use crate::{
    alerts_receiver::{AlertReceiver, Harness, Message, SECRET, list, notices, principal, spend},
    cli_call::CliCall,
    raw_client::{RawClient, until},
};

/// Longer than any pause between two attempts.
const FOUR_HOURS: Duration = Duration::from_secs(4 * 60 * 60);

#[test]
fn message_names_the_threshold_and_is_signed() {
    let receiver = AlertReceiver::start();
    let harness = Harness::with_alerts_to(&receiver);
    harness.provision("memory");
    let provisioner = harness.provisioner();
    spend(&provisioner, "memory", "5.5");
    assert_eq!(provisioner.alerts.deliver().unwrap(), 1);

    let message = only(receiver.received());
    assert_eq!(message.signed_at(SECRET), harness.seconds());
    let (alert, id) = (only(harness.alerts()), message.id().to_owned());
    assert!(id.starts_with("evt_") && id.len() == 36, "{id}");
    let expected = json!({
        "id": alert.id,
        "type": "budget.threshold_reached",
        "created": harness.seconds(),
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
fn each_threshold_is_reported_once_however_often_usage_is_read() {
    let receiver = AlertReceiver::start();
    let harness = Harness::with_alerts_to(&receiver);
    harness.provision("memory");
    for (usd, thresholds) in
        [("4.999999", &[][..]), ("0.000001", &[50]), ("2.99", &[50]), ("0.01", &[50, 80]), ("2", &[50, 80, 100])]
    {
        spend(&harness.provisioner(), "memory", usd);
        for _ in 0..2 {
            let again = harness.provisioner();
            list(&again);
            again.projects.show(&name("memory")).unwrap();
            again.alerts.deliver().unwrap();
        }
        assert_eq!(receiver.thresholds(), thresholds, "after {usd}");
    }
    let mut ids: Vec<_> = receiver.received().iter().map(|message| message.id().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let raised = harness.workspace.ledger().audit().rows().unwrap();
    assert_eq!(raised.iter().filter(|row| row.channel == "alerts" && row.name.as_deref() == Some("memory")).count(), 3);
    assert_eq!(harness.workspace.ledger().audit().first_broken_row().unwrap(), None);
}

#[test]
fn usage_over_several_thresholds_raises_each() {
    let receiver = AlertReceiver::start();
    let harness = Harness::with_alerts_to(&receiver);
    harness.provision("memory");
    let provisioner = harness.provisioner();
    let notices = notices(&provisioner);
    spend(&provisioner, "memory", "12");
    assert_eq!(provisioner.alerts.deliver().unwrap(), 3);
    assert_eq!(receiver.thresholds(), [50, 80, 100]);
    assert!(receiver.received().iter().all(|message| message.body["data"]["usage_usd"] == 12.0));
    let lines: Vec<_> = notices.lock().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(lines, [50, 80, 100].map(|percent| format!("memory has used {percent} % of its cap: 12 of 10 USD")));
}

/// The usage did not go through this program; a list observes it at the backend.
#[test]
fn usage_observed_only_by_list_is_reported() {
    let receiver = AlertReceiver::start();
    let harness = Harness::with_alerts_to(&receiver);
    for name in ["one", "two", "three"] {
        harness.provision(name);
    }
    let world = harness.workspace.world();
    let resource = harness.workspace.ledger().projects().live(&name("two")).unwrap().unwrap().resource.unwrap();
    world.accrue(&resource, MicroUsd::parse_usd("8").unwrap()).unwrap();
    let provisioner = harness.provisioner();
    list(&provisioner);
    provisioner.alerts.deliver().unwrap();
    assert_eq!(receiver.thresholds(), [50, 80]);
    assert!(receiver.received().iter().all(|message| message.body["data"]["name"] == "two"));
}

#[test]
fn reused_name_has_its_own_thresholds() {
    let receiver = AlertReceiver::start();
    let harness = Harness::with_alerts_to(&receiver);
    for _ in 0..2 {
        harness.provision("memory");
        let provisioner = harness.provisioner();
        spend(&provisioner, "memory", "5");
        provisioner.alerts.deliver().unwrap();
        provisioner.projects.teardown(&name("memory"), &principal()).unwrap();
    }
    assert_eq!(receiver.thresholds(), [50, 50]);
}

#[test]
fn rejected_alert_is_retried_with_the_same_id_and_a_new_time() {
    let receiver = AlertReceiver::start();
    receiver.script(&[500, 404, 302, 200]);
    let harness = Harness::with_alerts_to(&receiver);
    harness.provision("memory");
    let provisioner = harness.provisioner();
    let notices = notices(&provisioner);
    spend(&provisioner, "memory", "5");
    let mut times = Vec::new();
    for arrived in [0, 0, 0, 1] {
        times.push(harness.seconds());
        assert_eq!(harness.provisioner().alerts.deliver().unwrap() + provisioner.alerts.deliver().unwrap(), arrived);
        harness.advance(FOUR_HOURS);
    }
    assert_eq!(provisioner.alerts.deliver().unwrap(), 0, "it has arrived");
    let messages = receiver.received();
    assert_eq!(messages.len(), 4, "a redirect was followed, or a try was not made: {messages:?}");
    assert!(messages.iter().all(|message| message.id() == messages[0].id() && message.text == messages[0].text));
    assert_eq!(messages.iter().map(|message| message.signed_at(SECRET)).collect::<Vec<_>>(), times);
    assert!(notices.lock().unwrap().iter().all(|notice| matches!(notice, Notice::Raised(_))), "the other one tried");
}

#[test]
fn unreachable_receiver_gets_alerts_when_it_is_back() {
    let gone = AlertReceiver::start();
    let (address, harness) = (gone.address, Harness::with_alerts_to(&gone));
    drop(gone);
    harness.provision("memory");
    let provisioner = harness.provisioner();
    let notices = notices(&provisioner);
    spend(&provisioner, "memory", "8");
    until("the port is free", || std::net::TcpStream::connect(address).is_err().then_some(()));
    // One failed attempt is enough for now: the second alert is not attempted in the same run.
    assert_eq!(provisioner.alerts.deliver().unwrap(), 0);
    let undelivered =
        notices.lock().unwrap().iter().filter(|notice| matches!(notice, Notice::Undelivered { .. })).count();
    assert_eq!(undelivered, 1);
    let last = notices.lock().unwrap().last().unwrap().to_string();
    let expected = "the alert that memory has used 50 % of its cap was not delivered (attempt 1): the receiver could not \
        be reached; it is saved and retried later";
    assert_eq!(last, expected);
    drop(provisioner);

    // The process has ended; the outbox remains.
    harness.advance(FOUR_HOURS);
    let back = AlertReceiver::on(address);
    assert_eq!(harness.provisioner().alerts.deliver().unwrap(), 2);
    let (mut received, mut stored) =
        (ids(&back.received()), harness.alerts().into_iter().map(|alert| alert.id).collect::<Vec<_>>());
    received.sort();
    stored.sort();
    assert_eq!(received, stored);
}

#[test]
fn undelivered_alert_is_abandoned_after_three_days() {
    let receiver = AlertReceiver::start();
    receiver.script(&[500; 100]);
    let harness = Harness::with_alerts_to(&receiver);
    harness.provision("memory");
    let provisioner = harness.provisioner();
    let notices = notices(&provisioner);
    spend(&provisioner, "memory", "5");
    let (start, mut tries) = (harness.seconds(), 0);
    let reason = loop {
        provisioner.alerts.deliver().unwrap();
        tries += 1;
        match notices.lock().unwrap().last().unwrap() {
            Notice::GivenUp { why, .. } => break why.clone(),
            Notice::Undelivered { attempts, .. } => assert_eq!(*attempts, tries),
            other => panic!("{other:?}"),
        }
        harness.advance(FOUR_HOURS);
    };
    assert_eq!(reason, Undelivered::Status(500));
    let days = Duration::from_secs(u64::try_from(harness.seconds() - start).unwrap());
    assert!(days <= RETRY_WINDOW && days + 2 * FOUR_HOURS >= RETRY_WINDOW, "{days:?}");
    harness.advance(RETRY_WINDOW);
    assert_eq!(provisioner.alerts.deliver().unwrap(), 0);
    assert_eq!(receiver.received().len(), usize::try_from(tries).unwrap());
}

#[test]
fn two_processes_do_not_send_one_alert_concurrently() {
    let receiver = AlertReceiver::start();
    let harness = Harness::with_alerts_to(&receiver);
    harness.provision("memory");
    spend(&harness.provisioner(), "memory", "5");
    receiver.hold_responses();
    thread::scope(|scope| {
        let first = scope.spawn(|| harness.provisioner().alerts.deliver().unwrap());
        until("the first is at it", || (receiver.received().len() == 1).then_some(()));
        for _ in 0..8 {
            assert_eq!(harness.provisioner().alerts.deliver().unwrap(), 0);
        }
        receiver.release_responses();
        assert_eq!(first.join().unwrap(), 1);
    });
    assert_eq!(harness.provisioner().alerts.deliver().unwrap(), 0);
    assert_eq!(receiver.received().len(), 1);

    // The same when all of them start together.
    spend(&harness.provisioner(), "memory", "5");
    let arrived: u32 = thread::scope(|scope| {
        let start = |_| scope.spawn(|| harness.provisioner().alerts.deliver().unwrap());
        let started: Vec<_> = (0..8).map(start).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(arrived, 2);
    let mut thresholds = receiver.thresholds();
    thresholds.sort_unstable();
    assert_eq!(thresholds, [50, 80, 100]);
}

/// The receiver has the alert, but the delivery was never recorded.
#[test]
fn crash_after_sending_resends_the_same_id() {
    let receiver = AlertReceiver::start();
    receiver.hold_responses();
    let harness = Harness::with_alerts_to(&receiver);
    harness.provision("memory");
    // The real binary, killed while it waits for the response. It uses the real clock, so the test's clock follows it.
    let mut command = harness.command(&["usage", "record", "memory", "5"]);
    let mut child = command
        .env("STRIPE_PROJECTS_ALERT_SECRET", SECRET)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the alert", || (receiver.received().len() == 1).then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    receiver.release_responses();

    let real = Timestamp::now().as_second();
    harness.advance(Duration::from_secs(u64::try_from(real - harness.seconds()).unwrap()));
    let provisioner = harness.provisioner();
    assert_eq!(provisioner.alerts.deliver().unwrap(), 0, "until the claim expires, its sender may be alive");
    harness.advance(CLAIM_DURATION + Duration::from_secs(1));
    assert_eq!(provisioner.alerts.deliver().unwrap(), 1);
    let messages = receiver.received();
    assert_eq!((messages.len(), messages[0].id()), (2, messages[1].id()));
    harness.advance(FOUR_HOURS);
    assert_eq!(provisioner.alerts.deliver().unwrap(), 0);
}

/// A late response to a sender with an expired claim changes nothing.
#[test]
fn expired_claim_changes_nothing() {
    let receiver = AlertReceiver::start();
    let harness = Harness::with_alerts_to(&receiver);
    harness.provision("memory");
    let provisioner = harness.provisioner();
    spend(&provisioner, "memory", "5");
    let (ledger, now) = (harness.workspace.ledger(), harness.clock().now());
    let slow = ledger.alerts().claim_alert(now, now.checked_add(CLAIM_DURATION).unwrap()).unwrap().unwrap();
    assert!(!ledger.alerts().has_due_alert(now).unwrap());
    harness.advance(CLAIM_DURATION);
    assert_eq!(provisioner.alerts.deliver().unwrap(), 1);
    ledger.alerts().settle_alert(&slow, Outcome::Later(harness.clock().now())).unwrap();
    assert_eq!(provisioner.alerts.deliver().unwrap(), 0);
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn missing_secret_sends_nothing_and_loses_nothing() {
    let receiver = AlertReceiver::start();
    let harness = Harness::with_alerts_to(&receiver);
    harness.provision("memory");
    let unsigned = harness.provisioner_without_secret();
    let notices = notices(&unsigned);
    spend(&unsigned, "memory", "5");
    for _ in 0..3 {
        assert_eq!(unsigned.alerts.deliver().unwrap(), 0);
        harness.advance(RETRY_WINDOW);
    }
    assert!(receiver.received().is_empty());
    let unsendable =
        notices.lock().unwrap().iter().filter(|notice| matches!(notice, Notice::Unsendable { .. })).count();
    assert_eq!(unsendable, 1, "reported once");
    assert_eq!(harness.provisioner().alerts.deliver().unwrap(), 1);
    only(receiver.received()).signed_at(SECRET);
}

/// A receiver that is configured later does not get older alerts.
#[test]
fn alerts_without_a_receiver_are_only_reported() {
    let receiver = AlertReceiver::start();
    let harness = Harness::without_alerts();
    harness.provision("memory");
    let provisioner = harness.provisioner();
    let notices = notices(&provisioner);
    spend(&provisioner, "memory", "5");
    assert_eq!(provisioner.alerts.deliver().unwrap(), 0);
    assert!(matches!(only(notices.lock().unwrap().clone()), Notice::Raised(_)));
    harness.set_alerts(&format!("url = 'http://{}'\nallow_hosts = ['127.0.0.1']", receiver.address));
    assert_eq!(provisioner.alerts.deliver().unwrap(), 0);
    spend(&provisioner, "memory", "3");
    assert_eq!(provisioner.alerts.deliver().unwrap(), 1);
    assert_eq!(receiver.thresholds(), [80]);
}

#[test]
fn server_reports_and_sends_alerts_of_another_process() {
    let receiver = AlertReceiver::start();
    let harness = Harness::with_alerts_to(&receiver);
    harness.provision("memory");
    let mut command = harness.command(&["serve"]);
    command.env("STRIPE_PROJECTS_ALERT_SECRET", SECRET);
    let mut server = RawClient::start(command);
    server.initialize_as("lines");
    CliCall::new(harness.command(&["usage", "record", "memory", "8"])).succeed(); // without a secret, so it is left to the server
    until("the alert", || (receiver.received().len() == 2).then_some(()));
    let line = "alert: memory has used 80 % of its cap: 8 of 10 USD";
    until("the report", || server.errors().contains(line).then_some(()));
    // Usage that the server observes itself is reported as well, once.
    let resource = harness.workspace.ledger().projects().live(&name("memory")).unwrap().unwrap().resource.unwrap();
    let rest = MicroUsd::parse_usd("2").unwrap();
    harness.workspace.world().accrue(&resource, rest).unwrap();
    server.call("list_projects", &json!({}));
    assert!(server.errors().contains("alert: memory has used 100 % of its cap: 10 of 10 USD"), "{}", server.errors());
    until("the alert", || (receiver.received().len() == 3).then_some(()));
    let output = server.disconnect();
    assert_eq!(output.stderr.matches("alert:").count(), 3, "{output:?}");
    assert!(!format!("{output:?}").contains("canary"));
}

#[test]
fn usage_record_reports_raised_and_undelivered_alerts() {
    let receiver = AlertReceiver::start();
    receiver.script(&[500]);
    let harness = Harness::with_alerts_to(&receiver);
    harness.provision("memory");
    let run = |usd: &str, secret: Option<&str>| {
        let call = CliCall::new(harness.command(&["usage", "record", "memory", usd, "--json"]));
        let call = secret.into_iter().fold(call, |call, secret| call.env("STRIPE_PROJECTS_ALERT_SECRET", secret));
        let output = call.succeed();
        serde_json::from_str::<serde_json::Value>(&output.stdout).unwrap();
        output.stderr
    };
    let report = |percent: u8, used: &str| format!("alert: memory has used {percent} % of its cap: {used} of 10 USD\n");
    let retry_note = "; it is saved and retried later\n";
    assert_eq!(run("1", Some(SECRET)), "");
    let undelivered = "warning: the alert that memory has used 50 % of its cap was not delivered (attempt 1): the \
        receiver answered 500";
    assert_eq!(run("4", Some(SECRET)), format!("{}{undelivered}{retry_note}", report(50, "5")));
    assert_eq!(run("3", Some(SECRET)), report(80, "8"));
    let unsigned = "warning: alerts are saved and not sent: STRIPE_PROJECTS_ALERT_SECRET is not set\n";
    assert_eq!(run("2", None), format!("{}{unsigned}", report(100, "10")));
    assert_eq!(receiver.thresholds(), [50, 80]);
}

#[test]
fn secret_appears_in_no_output_or_file() {
    let receiver = AlertReceiver::start();
    receiver.script(&[500, 302]);
    let harness = Harness::with_alerts_to(&receiver);
    harness.provision("memory");
    let mut outputs = String::new();
    for usd in ["5", "3", "2"] {
        let mut command = harness.command(&["usage", "record", "memory", usd]);
        let output = command.env("STRIPE_PROJECTS_ALERT_SECRET", SECRET).output().unwrap();
        outputs.extend([format!("{output:?}"), String::from_utf8(output.stderr).unwrap()]);
    }
    outputs.extend([format!("{:?}", harness.provisioner()), format!("{:?}", receiver.received())]);
    assert_eq!(receiver.received().len(), 3);
    assert!(outputs.contains("memory has used") && !outputs.contains(SECRET), "{outputs}");
    let files = harness.workspace.files();
    assert!(files.iter().any(|file| file.ends_with("ledger.db")), "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "{}", file.display());
    }
    // The sent alerts contain neither the key nor its mask.
    let mask = harness.workspace.ledger().projects().newest(&name("memory")).unwrap().unwrap().mask.unwrap();
    assert!(receiver.received().iter().all(|message| !message.text.contains(mask.as_str().trim_start_matches('…'))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// For any order of spending and observing, each threshold is raised and sent once.
    #[test]
    fn each_threshold_is_raised_once_in_any_order(steps in prop::collection::vec((0_u64..400, any::<bool>()), 1..8)) {
        let receiver = AlertReceiver::start();
        let harness = Harness::with_alerts_to(&receiver);
        harness.provision("memory");
        let mut provisioner = harness.provisioner();
        let mut used = 0;
        for (cents, anew) in steps {
            if used >= 1000 {
                break; // suspended, so it can spend no more
            }
            spend(&provisioner, "memory", &format!("{}.{:02}", cents / 100, cents % 100));
            used += cents;
            if anew {
                provisioner = harness.provisioner();
                list(&provisioner);
            }
            provisioner.alerts.deliver().unwrap();
        }
        let expected: Vec<u64> = [50, 80, 100].into_iter().filter(|percent| used >= percent * 10).collect();
        prop_assert_eq!(receiver.thresholds(), expected);
    }

    /// Usage may go down when a meter is corrected; that raises nothing twice.
    #[test]
    fn usage_that_rises_and_falls_raises_each_threshold_once(usages in prop::collection::vec(0_u64..15, 1..12)) {
        let harness = Harness::without_alerts();
        harness.provision("memory");
        let ledger = harness.workspace.ledger();
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
                at: harness.clock().now(),
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
        let raised: Vec<_> = harness.alerts().into_iter().map(|alert| alert.threshold).collect();
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
