//! Forms after a denial: a quiet time for the provider, a bounded number an hour, and none that no person reads.

use std::{sync::Arc, time::Duration};

use domain::approval::{Answer, ApprovalId};
use rmcp::transport::async_rw::AsyncRwTransport;
use serde_json::{Value, json};
use stripe_projects_mcp::{app::App, mcp, provisioner::Principal};

use crate::{
    alerts_receiver::Harness,
    client::{ERAS, Era},
    elicitation_host::{ElicitationSupport, Host, Reply, approve},
};

const MINUTE: Duration = Duration::from_secs(60);

/// An agent that asks for one cent more after each denial.
#[test]
fn rising_caps_show_one_form_per_quiet_time() {
    for era in ERAS {
        let harness = Harness::without_alerts();
        harness.block_on(async {
            let host = person(&harness, era, Reply::Decline).await;
            for cents in 0..200 {
                let response = host.provision(asking("memory", "supermemory", 60.0 + f64::from(cents) / 100.0)).await;
                assert_eq!(response["code"], "approval_declined", "{response}");
            }
            assert_eq!(host.elicitations().len(), 1, "{era:?}");
            // 5, 10, 20, 40, 80, 160 and 320 minutes of quiet.
            let mut forms = Vec::new();
            for minute in (5..400).step_by(5) {
                harness.advance(5 * MINUTE);
                let cap = 65.0 + f64::from(minute) / 100.0;
                host.provision(asking(&format!("n{minute}"), "supermemory", cap)).await;
                if host.elicitations().len() > forms.len() + 1 {
                    forms.push(minute);
                }
            }
            assert_eq!(forms, [5, 15, 35, 75, 155, 315], "{era:?}");
            assert!(harness.workspace.billed_resources().is_empty());
        });
    }
}

/// A denial is about one provider, and about what needs a person.
#[test]
fn quiet_time_holds_back_only_that_provider() {
    let harness = Harness::without_alerts();
    harness.block_on(async {
        let host = person(&harness, Era::Legacy, Reply::Decline).await;
        host.provision(asking("a", "supermemory", 80.0)).await;
        let held = host.provision(asking("b", "supermemory", 81.0)).await;
        assert_eq!(held["code"], "approval_declined");
        let message = held["message"].as_str().unwrap();
        assert!(message.starts_with("a request for supermemory was denied (ap-"), "{held}");
        assert!(!held["hint"].as_str().unwrap().contains("stripe-projects-mcp"), "an agent runs no command: {held}");
        let small = host.provision(json!({ "name": "c", "provider": "supermemory" })).await;
        assert_eq!(small["status"], "active", "what needs no person goes on: {small}");
        assert_eq!(host.elicitations().len(), 1);
        assert_eq!(host.provision(asking("d", "vector-db", 90.0)).await["code"], "approval_declined");
        assert_eq!(host.elicitations().len(), 2, "another provider is asked about");
        // Another key of the registry for the same provider is the same provider.
        let registry = files::registry::BUILTIN.replace("[providers.supermemory]", "[providers.notes]");
        harness.workspace.write("providers.toml", registry);
        assert_eq!(host.provision(asking("e", "notes", 80.0)).await["code"], "approval_declined");
        assert_eq!(host.elicitations().len(), 2);
    });
}

#[test]
fn yes_brings_the_quiet_time_back_to_five_minutes() {
    let harness = Harness::without_alerts();
    harness.block_on(async {
        let host = person(&harness, Era::Legacy, Reply::Decline).await;
        for (wait, name) in [(0, "a"), (6, "b"), (11, "c")] {
            harness.advance(wait * MINUTE);
            host.provision(asking(name, "supermemory", 80.0)).await;
        }
        assert_eq!((host.elicitations().len(), quiet_minutes(&harness)), (3, Some(20)));
        let approvals = harness.provisioner().approvals;
        let newest = approvals.list().unwrap().pop().unwrap().id;
        approvals.decide(&newest, Answer::Accepted, &Principal::person("maria")).unwrap();
        assert_eq!(quiet_minutes(&harness), None, "a yes ends the quiet time");
        assert_eq!(host.provision(asking("c", "supermemory", 80.0)).await["status"], "active");
        host.provision(asking("d", "supermemory", 80.0)).await;
        assert_eq!((host.elicitations().len(), quiet_minutes(&harness)), (4, Some(5)));
    });
}

#[test]
fn cleared_quiet_time_shows_forms_again() {
    let harness = Harness::without_alerts();
    harness.block_on(async {
        let host = person(&harness, Era::Legacy, Reply::Decline).await;
        host.provision(asking("a", "supermemory", 80.0)).await;
        host.provision(asking("b", "supermemory", 80.0)).await;
        assert_eq!(host.elicitations().len(), 1);
        let ended = harness.provisioner().approvals.end_quiet_times(&Principal::person("maria")).unwrap();
        assert_eq!(ended, 1);
        host.provision(asking("b", "supermemory", 80.0)).await;
        assert_eq!((host.elicitations().len(), quiet_minutes(&harness)), (2, Some(5)));
        let cleared = harness.workspace.json(&["approvals", "--clear"]);
        assert!(cleared["quiet_times_ended"].is_u64(), "{cleared}");
        assert_eq!(quiet_minutes(&harness), None);
        assert_eq!(harness.workspace.json(&["approvals", "--clear"])["quiet_times_ended"], 0);
    });
}

#[test]
fn forms_are_bounded_by_hour_and_workspace() {
    for (policy, most) in
        [("", 6), ("[policy]\nmax_forms_per_hour = 2\n", 2), ("[policy]\nmax_forms_per_hour = 60\n", 6)]
    {
        let harness = Harness::without_alerts();
        harness.set_policy(policy);
        harness.block_on(async {
            let host = person(&harness, Era::Legacy, Reply::Cancel).await;
            for number in 0..9 {
                let response = host.provision(asking(&format!("n{number}"), "supermemory", 80.0)).await;
                let code = if number < most { "approval_cancelled" } else { "approval_required" };
                assert_eq!(response["code"], code, "{number}: {response}");
                assert!(response["hint"].as_str().unwrap().contains("stripe-projects-mcp approve ap-"), "{response}");
            }
            assert_eq!(host.elicitations().len(), most);
            harness.advance(61 * MINUTE);
            host.provision(asking("later", "supermemory", 80.0)).await;
            assert_eq!(host.elicitations().len(), most + 1, "an hour later");
        });
    }
}

/// A host without a user declines at once: that is no decision, and more forms would reach no person either.
#[test]
fn answer_within_a_second_ends_the_forms_of_a_session() {
    for era in ERAS {
        for (reply, code) in [
            (Reply::Decline, "approval_declined"),
            (Reply::Accept(json!({ "approve": false })), "approval_declined"),
            (Reply::Cancel, "approval_cancelled"),
            (Reply::AcceptWithoutContent, "approval_unclear"),
        ] {
            let harness = Harness::without_alerts();
            harness.block_on(async {
                let host = connect(&harness, era, reply.clone(), Arc::new(|| ())).await;
                let first = host.provision(asking("a", "supermemory", 80.0)).await;
                assert_eq!(first["code"], code, "{era:?}: {first}");
                assert_eq!(quiet_minutes(&harness), None);
                for name in ["a", "b"] {
                    let again = host.provision(asking(name, "supermemory", 80.0)).await;
                    assert_eq!(again["code"], "approval_required", "{era:?} {reply:?}: {again}");
                }
                assert_eq!(host.elicitations().len(), 1, "{era:?} {reply:?}");
                let approvals = harness.provisioner().approvals;
                let id = approvals.list().unwrap()[0].id.clone();
                approvals.decide(&id, Answer::Accepted, &Principal::person("maria")).unwrap();
                assert_eq!(host.provision(asking("a", "supermemory", 80.0)).await["status"], "active", "{era:?}");
                let other = person(&harness, era, approve()).await;
                assert_eq!(other.provision(asking("b", "supermemory", 80.0)).await["status"], "active");
                assert_eq!(other.elicitations().len(), 1, "another session shows forms");
            });
        }
    }
}

/// Returns how long the present quiet time was at its begin, if there is one.
fn quiet_minutes(harness: &Harness) -> Option<i64> {
    let now = harness.clock().now();
    let newest =
        harness.provisioner().approvals.list().unwrap().into_iter().filter_map(|approval| approval.quiet_until);
    newest.filter(|until| *until > now).max().map(|until| (until.as_second() - now.as_second() + 59) / 60)
}

/// Connects a host whose user needs two seconds for an answer.
async fn person(harness: &Harness, era: Era, reply: Reply) -> Host {
    let shift = harness.clock_shifter();
    connect(harness, era, reply, Arc::new(move || shift(2000))).await
}

async fn connect(harness: &Harness, era: Era, reply: Reply, before: Arc<dyn Fn() + Send + Sync>) -> Host {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (input, output) = tokio::io::split(ours);
    let app = Arc::new(App::new(Arc::new(harness.provisioner()), Arc::new(|warning| panic!("{warning}"))));
    let timeout = Duration::from_secs(60);
    tokio::spawn(mcp::serve_over(app, mcp::ToolFilter::everything(), input, output, timeout));
    let (input, output) = tokio::io::split(theirs);
    let transport = AsyncRwTransport::new_client(input, output);
    Host::over_after("a host", transport, era, ElicitationSupport::Forms, reply, before).await
}

fn asking(name: &str, provider: &str, cap: f64) -> Value {
    json!({ "name": name, "provider": provider, "spend_cap_usd": cap })
}

/// An id that a person can type is unlikely to be guessed or drawn twice.
#[test]
fn ids_have_eight_letters() {
    let id = ApprovalId::random().unwrap();
    assert_eq!(id.as_str().len(), "ap-".len() + 8);
}
