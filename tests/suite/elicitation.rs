//! Approvals at the host: in both eras, with every kind of answer, and with forged ones.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{budget::Month, clock::Clock};
use rmcp::transport::async_rw::AsyncRwTransport;
use serde_json::{Value, json};
use stripe_projects_mcp::{app::App, mcp, settings::Settings};
use tokio::runtime::Handle;

use crate::{
    client::{ERAS, Era},
    elicitation_host::{ElicitationSupport, Host, Reply, approve},
    raw_client::{RawClient, until},
    simulator_client::SimulatorProcess,
    workspace::Workspace,
};

#[tokio::test]
async fn approval_at_the_host_provisions() {
    for era in ERAS {
        for support in [ElicitationSupport::Unspecified, ElicitationSupport::Forms, ElicitationSupport::FormsAndUrls] {
            let here = Workspace::new();
            here.ok(&["provision", "web", "search", "--cap", "7"]);
            let host = Host::connect(&here, era, support, approve()).await;
            let response = host.provision(above_default()).await;
            assert_eq!(
                (&response["status"], &response["spend_cap_usd"]),
                (&json!("active"), &json!(80.0)),
                "{era:?} {support:?}"
            );
            assert!(here.owner_of(&here.variable("SUPERMEMORY_API_KEY").unwrap()).is_some());

            let [question] = &host.elicitations()[..] else { panic!("asked once: {:?}", host.elicitations()) };
            let message = question["message"].as_str().unwrap();
            let id = approvals(&here)[0]["id"].as_str().unwrap().to_owned();
            assert_eq!(
                message,
                format!(
                    "a host 1 asks to provision:\nProject: `memory` on supermemory (Supermemory: long-term memory for \
                     agents; supermemory/memory)\nCap: 80.00 USD in total, until torn down. It is billed, up to that \
                     cap.\nVariables: SUPERMEMORY_API_KEY in {}\nWorkspace: {} (simulated backend)\n7 USD are committed in \
                     {}, 0 USD of it by renewals. One project is live, with a cap of 7 USD.\nDo you approve? (request {id})",
                    here.file(".env").display(),
                    here.path().display(),
                    Month::of(Clock::system().now())
                )
            );
            let form = &question["requestedSchema"];
            assert_eq!(form["required"], json!(["approve"]));
            let fields = form["properties"].as_object().unwrap();
            assert_eq!(fields.keys().collect::<Vec<_>>(), ["approve"], "nothing else is asked for");
            assert_eq!((&fields["approve"]["type"], &fields["approve"]["default"]), (&json!("boolean"), &json!(false)));
            assert_eq!(status(&here), "used");
        }
    }
}

#[tokio::test]
async fn call_that_needs_no_approval_elicits_nothing() {
    for era in ERAS {
        let here = Workspace::new();
        let host = Host::connect(&here, era, ElicitationSupport::FormsAndUrls, Reply::Decline).await;
        let response = host.provision(json!({ "name": "memory", "provider": "supermemory" })).await;
        assert_eq!(response["status"], "active", "{era:?}");
        let error = host.provision(json!({ "name": "m2", "provider": "supermemory", "spend_cap_usd": 101 })).await;
        assert_eq!(error["code"], "cap_above_maximum", "no user can grant that either");
        assert!(host.elicitations().is_empty());
        assert!(approvals(&here).is_empty());
    }
}

#[tokio::test]
async fn answers_other_than_approval_buy_nothing() {
    let accept = |content: Value| Reply::Accept(content);
    for era in ERAS {
        for (reply, code, left) in [
            (Reply::Decline, "approval_declined", "pending"),
            (accept(json!({ "approve": false })), "approval_declined", "pending"),
            (Reply::Cancel, "approval_cancelled", "pending"),
            (Reply::AcceptWithoutContent, "approval_unclear", "pending"),
            (accept(json!({})), "approval_unclear", "pending"),
            (accept(json!({ "approve": "true" })), "approval_unclear", "pending"),
            (accept(json!({ "approve": 1 })), "approval_unclear", "pending"),
            (accept(json!({ "approved": true })), "approval_unclear", "pending"),
            (accept(json!([true])), "approval_unclear", "pending"),
            (accept(json!(true)), "approval_unclear", "pending"),
        ] {
            let here = Workspace::new();
            let host = Host::connect(&here, era, ElicitationSupport::Forms, reply.clone()).await;
            let response = host.provision(above_default()).await;
            assert_eq!(response["code"], code, "{era:?} {reply:?}: {response}");
            assert_eq!(status(&here), left, "{era:?} {reply:?}");
            assert_eq!(host.elicitations().len(), 1);
            assert_nothing_bought(&here);
            let again = host.provision(above_default()).await;
            assert_eq!(again["code"], "approval_required", "{again}");
            assert_eq!(host.elicitations().len(), 1, "an answer at once comes from no person: {reply:?}");
            assert_eq!(approvals(&here).len(), 1, "and no second request is made of it");
        }
    }
}

/// A host that supports only URLs, or nothing, never gets a form. The user approves at the terminal.
#[tokio::test]
async fn client_is_asked_only_through_declared_support() {
    for era in ERAS {
        for support in [ElicitationSupport::None, ElicitationSupport::Urls] {
            let here = Workspace::new();
            let host = Host::connect(&here, era, support, approve()).await;
            let response = host.provision(above_default()).await;
            assert_eq!(response["code"], "approval_required", "{era:?} {support:?}");
            assert!(host.elicitations().is_empty());
            let id = approvals(&here)[0]["id"].as_str().unwrap().to_owned();
            here.ok(&["approve", &id, "--yes"]);
            assert_eq!(host.provision(above_default()).await["status"], "active", "{era:?} {support:?}");
        }
    }
}

#[tokio::test]
async fn host_that_fails_to_ask_leaves_it_to_the_terminal() {
    let here = Workspace::new();
    let host = Host::connect(&here, Era::Legacy, ElicitationSupport::Forms, Reply::Fail).await;
    assert_eq!(host.provision(above_default()).await["code"], "approval_required");
    assert_nothing_bought(&here);
}

#[tokio::test]
async fn unanswered_elicitation_leaves_the_request_pending() {
    let here = Workspace::new();
    let host = in_process(&here, ElicitationSupport::Forms, Reply::Never, Duration::from_millis(50)).await;
    let response = host.provision(above_default()).await;
    assert_eq!(response["code"], "approval_timed_out", "{response}");
    assert_eq!(host.elicitations().len(), 1);
    assert_nothing_bought(&here);
    let id = approvals(&here)[0]["id"].as_str().unwrap().to_owned();
    assert!(response["hint"].as_str().unwrap().contains(&format!("stripe-projects-mcp approve {id} ")), "{response}");
    here.ok(&["approve", &id, "--yes"]);
    assert_eq!(host.provision(above_default()).await["status"], "active");
}

/// A client that disconnects or cancels during the elicitation gains and loses nothing.
#[test]
fn call_cancelled_during_elicitation_buys_nothing() {
    for leaves in [false, true] {
        let here = Workspace::new();
        let mut host = RawClient::open(&here);
        let client = json!({ "name": "a host", "version": "1" });
        let capabilities = json!({ "elicitation": {} });
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": capabilities, "clientInfo": client });
        host.request("initialize", &params);
        host.write_line(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
        let call = host.send_call("provision", &above_default());
        until("the question", || host.messages().into_iter().find(|message| message["method"] == "elicitation/create"));
        let started = Instant::now();
        if leaves {
            assert_eq!(host.disconnect().code, 0);
            assert!(started.elapsed() < Duration::from_secs(4), "the process does not wait: {:?}", started.elapsed());
        } else {
            let params = json!({ "requestId": call, "reason": "enough" });
            host.write_line(
                json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }).to_string(),
            );
            until("the audit", || {
                let rows = here.ledger().audit().rows().unwrap();
                rows.iter().any(|row| row.action == "close approval unanswered").then_some(())
            });
        }
        assert_nothing_bought(&here);
        assert_eq!(status(&here), "pending");
        assert_eq!(here.ledger().audit().first_broken_row().unwrap(), None);
    }
}

/// The request state is untrusted input when it comes back.
#[tokio::test]
async fn forged_or_altered_state_is_refused() {
    let (here, elsewhere) = (Workspace::new(), Workspace::new());
    let host = modern(&here).await;
    let state = state_of(&host.call_once(above_default(), None).await);
    let theirs = state_of(&modern(&elsewhere).await.call_once(above_default(), None).await);
    let mut altered = state.clone();
    let middle = altered.len() / 2;
    altered.replace_range(middle..=middle, if altered[middle..].starts_with('A') { "B" } else { "A" });
    let canary = "sk_live_51Canary0123456789abcdef";
    for forged in ["", "x", "rs1.AAAA.AAAA", canary, &altered, &theirs, &state[..state.len() - 2], &"A".repeat(9000)] {
        let response = host.call_once(above_default(), Some((forged, accept()))).await;
        assert_eq!(response["code"], "approval_forged", "{forged}: {response}");
        assert!(!response.to_string().contains("anary"));
        assert_nothing_bought(&here);
    }
    assert_eq!(
        host.call_once(above_default(), Some((&state, accept()))).await["status"],
        "active",
        "and the true one still counts"
    );
}

#[tokio::test]
async fn state_is_for_one_call_of_one_client() {
    let here = Workspace::new();
    let host = modern(&here).await;
    let state = state_of(&host.call_once(above_default(), None).await);
    for other in [
        json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 90 }),
        json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 79.99 }),
        json!({ "name": "memory2", "provider": "supermemory", "spend_cap_usd": 80 }),
        json!({ "name": "memory", "provider": "vector-db", "spend_cap_usd": 80 }),
        json!({ "name": "memory", "provider": "supermemory" }),
        json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 80, "expires_in": "7d" }),
    ] {
        let response = host.call_once(other.clone(), Some((&state, accept()))).await;
        assert_eq!(response["code"], "approval_mismatch", "{other}: {response}");
    }
    let other_client =
        Host::named("another host", here.command(&["serve"]), Era::Modern, ElicitationSupport::Forms, approve()).await;
    assert_eq!(other_client.call_once(above_default(), Some((&state, accept()))).await["code"], "approval_mismatch");
    let rows = here.ledger().audit().rows().unwrap();
    let attempts: Vec<_> =
        rows.iter().filter(|row| row.outcome != "called" && row.detail.contains("approval_mismatch")).collect();
    assert_eq!(attempts.last().unwrap().actor, "another host 1", "an attempt leaves a trace");
    assert_nothing_bought(&here);
    assert_eq!(status(&here), "pending");
}

#[tokio::test]
async fn state_counts_once() {
    for first in [accept(), json!({ "action": "decline" }), json!({ "action": "cancel" }), json!("gibberish")] {
        let here = Workspace::new();
        let host = modern(&here).await;
        let state = state_of(&host.call_once(above_default(), None).await);
        let response = host.call_once(above_default(), Some((&state, first.clone()))).await;
        let bought = response["status"] == "active";
        assert_eq!(bought, first == accept(), "{response}");
        if bought {
            here.ok(&["teardown", "memory", "--yes"]);
        }
        let replayed = host.call_once(above_default(), Some((&state, accept()))).await;
        assert_eq!(replayed["code"], "approval_replayed", "after {first}: {replayed}");
        assert_nothing_bought(&here);
    }
}

/// Of two elicitations for one request, only the later can be answered.
#[tokio::test]
async fn later_elicitation_replaces_an_earlier_one() {
    let here = Workspace::new();
    let host = modern(&here).await;
    let first = state_of(&host.call_once(above_default(), None).await);
    let second = state_of(&host.call_once(above_default(), None).await);
    assert_eq!(host.call_once(above_default(), Some((&first, accept()))).await["code"], "approval_replayed");
    assert_eq!(host.call_once(above_default(), Some((&second, accept()))).await["status"], "active");
    assert_eq!(approvals(&here).len(), 1);
}

#[tokio::test]
async fn state_expires_with_its_request() {
    let here = Workspace::new();
    let host = modern(&here).await;
    let state = state_of(&host.call_once(above_default(), None).await);
    here.expire_approvals();
    assert_eq!(host.call_once(above_default(), Some((&state, accept()))).await["code"], "approval_expired");
    assert_nothing_bought(&here);
    let anew = state_of(&host.call_once(above_default(), None).await);
    assert_eq!(host.call_once(above_default(), Some((&anew, accept()))).await["status"], "active");
}

/// The signing key outlives the process, and so do the states that it signed.
#[tokio::test]
async fn elicitation_survives_a_restart_of_the_server() {
    let here = Workspace::new();
    let state = state_of(&modern(&here).await.call_once(above_default(), None).await);
    let restarted = modern(&here).await;
    assert_eq!(restarted.call_once(above_default(), Some((&state, accept()))).await["status"], "active");

    let state = state_of(&restarted.call_once(other(), None).await);
    std::fs::remove_dir_all(here.state()).unwrap();
    let without_ledger = modern(&here).await;
    assert_eq!(without_ledger.call_once(other(), Some((&state, accept()))).await["code"], "approval_forged");
}

/// The legacy era has no request state, so one in a call has no effect.
#[tokio::test]
async fn unsolicited_elicitation_results_count_for_nothing() {
    let here = Workspace::new();
    for era in ERAS {
        let host = Host::connect(&here, era, ElicitationSupport::None, approve()).await;
        assert_eq!(
            host.call_once(above_default(), Some(("rs1.AAAA.AAAA", accept()))).await["code"],
            "approval_forged",
            "{era:?}"
        );
    }
    assert!(here.billed_resources().is_empty() && here.read(".env").is_empty(), "nor does it buy anything");
}

/// The limits are checked again inside the transaction, after the approval.
#[tokio::test]
async fn approval_overrides_no_limit() {
    let here = Workspace::new();
    let host = modern(&here).await;
    let state = state_of(&host.call_once(above_default(), None).await);
    let stricter = files::registry::BUILTIN.replacen("max_cap_usd = 100", "max_cap_usd = 50", 1);
    here.write("providers.toml", stricter);
    let response = host.call_once(above_default(), Some((&state, accept()))).await;
    assert_eq!(response["code"], "cap_above_maximum", "{response}");
    assert_nothing_bought(&here);
}

#[tokio::test]
async fn key_in_an_elicitation_result_is_not_repeated_or_stored() {
    let canary = "sk_live_51Canary0123456789abcdef";
    for era in ERAS {
        let here = Workspace::new();
        let content = json!({ "approve": canary, canary: canary });
        let host = Host::connect(&here, era, ElicitationSupport::Forms, Reply::Accept(content)).await;
        let response = host.provision(above_default()).await;
        assert_eq!(response["code"], "approval_unclear");
        assert!(!response.to_string().contains(canary));
        for file in here.files() {
            let bytes = std::fs::read(&file).unwrap();
            assert!(!bytes.windows(canary.len()).any(|part| part == canary.as_bytes()), "{}", file.display());
        }
    }
}

#[tokio::test]
async fn link_is_opened_by_a_host_that_supports_urls() {
    for era in ERAS {
        for (support, reply, code, count) in [
            (ElicitationSupport::Urls, Reply::Open, None, 1),
            (ElicitationSupport::FormsAndUrls, Reply::Open, None, 1),
            (ElicitationSupport::Urls, Reply::AcceptWithoutContent, Some("needs_link"), 1), // accepted without opening the link
            (ElicitationSupport::Urls, Reply::Decline, Some("needs_link"), 1),
            (ElicitationSupport::Urls, Reply::Cancel, Some("needs_link"), 1),
            (ElicitationSupport::Forms, Reply::Open, Some("needs_link"), 0),
            (ElicitationSupport::None, Reply::Open, Some("needs_link"), 0),
        ] {
            let here = Workspace::new();
            let simulator = SimulatorProcess::start(&here, &["--unlinked", "exa"]);
            let connect = ["connect", "stripe-api", "--yes", "--accept-tos", "--stripe-api-base", &simulator.base];
            here.cli(&connect).env("STRIPE_API_KEY", "rk_test_0123456789").succeed();
            let mut command = here.command(&["serve", "--backend", "stripe-api"]);
            command.env("STRIPE_API_KEY", "rk_test_0123456789");
            command.env("STRIPE_PROJECTS_STRIPE_API_BASE", &simulator.base);
            let host = Host::named("a host", command, era, support, reply.clone()).await;
            let response = host.provision(json!({ "name": "web", "provider": "search" })).await;
            assert_eq!(response["code"].as_str(), code, "{era:?} {support:?} {reply:?}: {response}");
            assert_eq!(response["status"] == "active", code.is_none());
            if code.is_some() {
                assert!(
                    response["hint"].as_str().unwrap().contains(&simulator.base),
                    "the text has the link: {response}"
                );
            }
            let questions = host.elicitations();
            assert_eq!(questions.len(), count, "{era:?} {support:?} {reply:?}: {questions:?}");
            assert!(questions.iter().all(|question| question["mode"] == "url"), "{questions:?}");
        }
    }
}

async fn modern(workspace: &Workspace) -> Host {
    Host::connect(workspace, Era::Modern, ElicitationSupport::Forms, approve()).await
}

/// Starts a server in this process, with a timeout that the test chooses.
async fn in_process(workspace: &Workspace, support: ElicitationSupport, reply: Reply, timeout: Duration) -> Host {
    let options = workspace.options();
    let provisioner = Arc::new(Settings::resolve(options).unwrap().provisioner(Handle::current()).unwrap());
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (input, output) = tokio::io::split(ours);
    let app = Arc::new(App::new(provisioner, Arc::new(|warning| panic!("{warning}"))));
    tokio::spawn(mcp::serve_over(app, mcp::ToolFilter::everything(), input, output, timeout));
    let (input, output) = tokio::io::split(theirs);
    Host::over("a host", AsyncRwTransport::new_client(input, output), Era::Legacy, support, reply).await
}

fn above_default() -> Value {
    json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 80 })
}

fn other() -> Value {
    json!({ "name": "more", "provider": "supermemory", "spend_cap_usd": 80 })
}

fn accept() -> Value {
    json!({ "action": "accept", "content": { "approve": true } })
}

fn state_of(question: &Value) -> String {
    assert_eq!(question["resultType"], "input_required", "{question}");
    let request = &question["inputRequests"]["approval"];
    assert_eq!((&request["method"], &request["params"]["mode"]), (&json!("elicitation/create"), &json!("form")));
    question["requestState"].as_str().unwrap().to_owned()
}

fn approvals(workspace: &Workspace) -> Vec<Value> {
    workspace.json(&["approvals"])["approvals"].as_array().unwrap().clone()
}

/// Returns the status of the only request.
fn status(workspace: &Workspace) -> String {
    let [approval] = &approvals(workspace)[..] else { panic!("one request: {:?}", approvals(workspace)) };
    approval["status"].as_str().unwrap().to_owned()
}

fn assert_nothing_bought(workspace: &Workspace) {
    assert_eq!(workspace.world().observe_everything().unwrap().len(), 0);
    assert!(workspace.variable("SUPERMEMORY_API_KEY").is_none());
}
