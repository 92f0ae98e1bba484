//! A human's yes, asked for at the host: in both eras, with every way to answer, and with every way to cheat.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rmcp::transport::async_rw::AsyncRwTransport;
use rusqlite::Connection;
use serde_json::{Value, json};
use stripe_projects_mcp::{
    mcp,
    settings::{CliOptions, Settings},
};
use tokio::runtime::Handle;

use crate::{
    client::{ERAS, Era},
    lines::{Lines, until},
    person::{Can, Host, Reply, yes},
    simulator_client::Running,
    workspace::Workspace,
};

#[tokio::test]
async fn a_person_at_the_host_says_yes() {
    for era in ERAS {
        for can in [Can::Something, Can::Forms, Can::FormsAndLinks] {
            let here = Workspace::new();
            here.ok(&["provision", "web", "search", "--cap", "7"]);
            let host = Host::connect(&here, era, can, yes()).await;
            let made = host.provision(above()).await;
            assert_eq!((&made["status"], &made["spend_cap_usd"]), (&json!("active"), &json!(80.0)), "{era:?} {can:?}");
            assert!(here.owner_of(&here.variable("SUPERMEMORY_API_KEY").unwrap()).is_some());

            let [question] = &host.asked()[..] else { panic!("asked once: {:?}", host.asked()) };
            let words = question["message"].as_str().unwrap();
            let id = approvals(&here)[0]["id"].as_str().unwrap().to_owned();
            assert_eq!(
                words,
                format!(
                    "a host 1 asks to provision `memory` on supermemory (Supermemory: long-term memory for agents; \
                     supermemory/memory), with a spending cap of 80 USD. It is billed, up to that cap. One project is \
                     live, with a cap of 7 USD. Do you approve? (request {id})"
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
async fn what_needs_no_human_asks_none() {
    for era in ERAS {
        let here = Workspace::new();
        let host = Host::connect(&here, era, Can::FormsAndLinks, Reply::Decline).await;
        let made = host.provision(json!({ "name": "memory", "provider": "supermemory" })).await;
        assert_eq!(made["status"], "active", "{era:?}");
        let refused = host.provision(json!({ "name": "m2", "provider": "supermemory", "spend_cap_usd": 101 })).await;
        assert_eq!(refused["code"], "cap_above_maximum", "no human can grant that either");
        assert!(host.asked().is_empty());
        assert!(approvals(&here).is_empty());
    }
}

#[tokio::test]
async fn every_other_answer_buys_nothing_and_has_a_name() {
    let accept = |content: Value| Reply::Accept(content);
    for era in ERAS {
        for (reply, code, left) in [
            (Reply::Decline, "approval_declined", "denied"),
            (accept(json!({ "approve": false })), "approval_declined", "denied"),
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
            let host = Host::connect(&here, era, Can::Forms, reply.clone()).await;
            let said = host.provision(above()).await;
            assert_eq!(said["code"], code, "{era:?} {reply:?}: {said}");
            assert_eq!(status(&here), left, "{era:?} {reply:?}");
            assert_eq!(host.asked().len(), 1);
            nothing_bought(&here);
            let again = host.provision(above()).await;
            assert_eq!(again["code"], code, "{again}");
            let asked_again = usize::from(left == "pending");
            assert_eq!(host.asked().len(), 1 + asked_again, "a no is not asked about again: {reply:?}");
            assert_eq!(approvals(&here).len(), 1, "and no second request is made of it");
        }
    }
}

/// A host that only knows links, or nothing, is never sent a form; the terminal is.
#[tokio::test]
async fn a_client_is_asked_only_in_a_way_that_it_declared() {
    for era in ERAS {
        for can in [Can::Nothing, Can::Links] {
            let here = Workspace::new();
            let host = Host::connect(&here, era, can, yes()).await;
            let said = host.provision(above()).await;
            assert_eq!(said["code"], "approval_required", "{era:?} {can:?}");
            assert!(host.asked().is_empty());
            let id = approvals(&here)[0]["id"].as_str().unwrap().to_owned();
            here.ok(&["approve", &id, "--yes"]);
            assert_eq!(host.provision(above()).await["status"], "active", "{era:?} {can:?}");
        }
    }
}

#[tokio::test]
async fn a_host_that_cannot_ask_after_all_leaves_it_to_the_terminal() {
    let here = Workspace::new();
    let host = Host::connect(&here, Era::Legacy, Can::Forms, Reply::Fail).await;
    assert_eq!(host.provision(above()).await["code"], "approval_required");
    nothing_bought(&here);
}

#[tokio::test]
async fn nobody_answers_and_the_request_stays_for_later() {
    let here = Workspace::new();
    let host = in_process(&here, Can::Forms, Reply::Never, Duration::from_millis(50)).await;
    let said = host.provision(above()).await;
    assert_eq!(said["code"], "approval_timed_out", "{said}");
    assert_eq!(host.asked().len(), 1);
    nothing_bought(&here);
    let id = approvals(&here)[0]["id"].as_str().unwrap().to_owned();
    assert!(said["hint"].as_str().unwrap().contains(&format!("stripe-projects-mcp approve {id} --dir ")), "{said}");
    here.ok(&["approve", &id, "--yes"]);
    assert_eq!(host.provision(above()).await["status"], "active");
}

/// Whoever leaves, or gives the call up, while a person is being asked has got nothing and lost nothing.
#[test]
fn a_call_given_up_during_the_question_buys_nothing() {
    for leaves in [false, true] {
        let here = Workspace::new();
        let mut host = Lines::open(&here);
        let client = json!({ "name": "a host", "version": "1" });
        let capabilities = json!({ "elicitation": {} });
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": capabilities, "clientInfo": client });
        host.ask("initialize", &params);
        host.say(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
        let call = host.send_call("provision", &above());
        until("the question", || host.answers().into_iter().find(|message| message["method"] == "elicitation/create"));
        let begun = Instant::now();
        if leaves {
            assert_eq!(host.leave().code, 0);
            assert!(begun.elapsed() < Duration::from_secs(4), "the process waits for nobody: {:?}", begun.elapsed());
        } else {
            let params = json!({ "requestId": call, "reason": "enough" });
            host.say(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }).to_string());
            until("the audit", || {
                let rows = here.ledger().audit().rows().unwrap();
                rows.iter().any(|row| row.action == "close approval unanswered").then_some(())
            });
        }
        nothing_bought(&here);
        assert_eq!(status(&here), "pending");
        assert_eq!(here.ledger().audit().first_broken_row().unwrap(), None);
    }
}

/// The state is a stranger's word when it comes back.
#[tokio::test]
async fn a_forged_or_altered_state_is_refused() {
    let (here, elsewhere) = (Workspace::new(), Workspace::new());
    let host = modern(&here).await;
    let state = state_of(&host.once(above(), None).await);
    let theirs = state_of(&modern(&elsewhere).await.once(above(), None).await);
    let mut altered = state.clone();
    let middle = altered.len() / 2;
    altered.replace_range(middle..=middle, if altered[middle..].starts_with('A') { "B" } else { "A" });
    let canary = "sk_live_51Canary0123456789abcdef";
    for forged in ["", "x", "rs1.AAAA.AAAA", canary, &altered, &theirs, &state[..state.len() - 2], &"A".repeat(9000)] {
        let said = host.once(above(), Some((forged, accept()))).await;
        assert_eq!(said["code"], "approval_forged", "{forged}: {said}");
        assert!(!said.to_string().contains("anary"));
        nothing_bought(&here);
    }
    assert_eq!(host.once(above(), Some((&state, accept()))).await["status"], "active", "and the true one still counts");
}

#[tokio::test]
async fn a_state_is_for_one_call_of_one_client() {
    let here = Workspace::new();
    let host = modern(&here).await;
    let state = state_of(&host.once(above(), None).await);
    for other in [
        json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 90 }),
        json!({ "name": "memory", "provider": "supermemory", "spend_cap_usd": 79.99 }),
        json!({ "name": "memory2", "provider": "supermemory", "spend_cap_usd": 80 }),
        json!({ "name": "memory", "provider": "vector-db", "spend_cap_usd": 80 }),
        json!({ "name": "memory", "provider": "supermemory" }),
    ] {
        let said = host.once(other.clone(), Some((&state, accept()))).await;
        assert_eq!(said["code"], "approval_mismatch", "{other}: {said}");
    }
    let stranger = Host::named("another host", here.command(&["serve"]), Era::Modern, Can::Forms, yes()).await;
    assert_eq!(stranger.once(above(), Some((&state, accept()))).await["code"], "approval_mismatch");
    let rows = here.ledger().audit().rows().unwrap();
    let tried: Vec<_> =
        rows.iter().filter(|row| row.outcome != "called" && row.detail.contains("approval_mismatch")).collect();
    assert_eq!((tried.len(), tried[5].actor.as_str()), (6, "another host 1"), "an attempt leaves a trace");
    nothing_bought(&here);
    assert_eq!(status(&here), "pending");
}

#[tokio::test]
async fn a_state_counts_once() {
    for first in [accept(), json!({ "action": "decline" }), json!({ "action": "cancel" }), json!("gibberish")] {
        let here = Workspace::new();
        let host = modern(&here).await;
        let state = state_of(&host.once(above(), None).await);
        let said = host.once(above(), Some((&state, first.clone()))).await;
        let bought = said["status"] == "active";
        assert_eq!(bought, first == accept(), "{said}");
        if bought {
            here.ok(&["teardown", "memory", "--yes"]);
        }
        let replayed = host.once(above(), Some((&state, accept()))).await;
        assert_eq!(replayed["code"], "approval_replayed", "after {first}: {replayed}");
        nothing_bought(&here);
    }
}

/// Of two questions about one request, the later is the one that can be answered.
#[tokio::test]
async fn a_later_question_takes_the_place_of_an_earlier_one() {
    let here = Workspace::new();
    let host = modern(&here).await;
    let first = state_of(&host.once(above(), None).await);
    let second = state_of(&host.once(above(), None).await);
    assert_eq!(host.once(above(), Some((&first, accept()))).await["code"], "approval_replayed");
    assert_eq!(host.once(above(), Some((&second, accept()))).await["status"], "active");
    assert_eq!(approvals(&here).len(), 1);
}

#[tokio::test]
async fn a_state_expires_with_its_request() {
    let here = Workspace::new();
    let host = modern(&here).await;
    let state = state_of(&host.once(above(), None).await);
    age(&here);
    assert_eq!(host.once(above(), Some((&state, accept()))).await["code"], "approval_expired");
    nothing_bought(&here);
    let anew = state_of(&host.once(above(), None).await);
    assert_eq!(host.once(above(), Some((&anew, accept()))).await["status"], "active");
}

/// The seal outlives the process; what it vouches for does, too.
#[tokio::test]
async fn a_question_survives_a_restart_of_the_server() {
    let here = Workspace::new();
    let state = state_of(&modern(&here).await.once(above(), None).await);
    let restarted = modern(&here).await;
    assert_eq!(restarted.once(above(), Some((&state, accept()))).await["status"], "active");

    let state = state_of(&restarted.once(other(), None).await);
    std::fs::remove_dir_all(here.state()).unwrap();
    let without_ledger = modern(&here).await;
    assert_eq!(without_ledger.once(other(), Some((&state, accept()))).await["code"], "approval_forged");
}

/// A state that comes back in the legacy era, where none is given out, gets nobody further.
#[tokio::test]
async fn what_a_client_brings_without_being_asked_counts_for_nothing() {
    let here = Workspace::new();
    for era in ERAS {
        let host = Host::connect(&here, era, Can::Nothing, yes()).await;
        assert_eq!(host.once(above(), Some(("rs1.AAAA.AAAA", accept()))).await["code"], "approval_forged", "{era:?}");
    }
    assert!(here.billed().is_empty() && here.read(".env").is_empty(), "nor does it buy anything");
}

/// What the person has granted is asked for again inside the transaction.
#[tokio::test]
async fn a_yes_lifts_no_rule() {
    let here = Workspace::new();
    let host = modern(&here).await;
    let state = state_of(&host.once(above(), None).await);
    let stricter = include_str!("../../providers.toml").replacen("max_cap_usd = 100", "max_cap_usd = 50", 1);
    here.write("providers.toml", stricter);
    let said = host.once(above(), Some((&state, accept()))).await;
    assert_eq!(said["code"], "cap_above_maximum", "{said}");
    nothing_bought(&here);
}

#[tokio::test]
async fn a_key_in_an_answer_is_neither_said_nor_kept() {
    let canary = "sk_live_51Canary0123456789abcdef";
    for era in ERAS {
        let here = Workspace::new();
        let content = json!({ "approve": canary, canary: canary });
        let host = Host::connect(&here, era, Can::Forms, Reply::Accept(content)).await;
        let said = host.provision(above()).await;
        assert_eq!(said["code"], "approval_unclear");
        assert!(!said.to_string().contains(canary));
        for file in here.files() {
            let bytes = std::fs::read(&file).unwrap();
            assert!(!bytes.windows(canary.len()).any(|part| part == canary.as_bytes()), "{}", file.display());
        }
    }
}

#[tokio::test]
async fn a_link_goes_to_a_person_where_the_host_can_open_it() {
    for era in ERAS {
        for (can, reply, code, asked) in [
            (Can::Links, Reply::Open, None, 1),
            (Can::FormsAndLinks, Reply::Open, None, 1),
            (Can::Links, Reply::AcceptWithoutContent, Some("needs_link"), 1), // said yes, and did not go there
            (Can::Links, Reply::Decline, Some("needs_link"), 1),
            (Can::Links, Reply::Cancel, Some("needs_link"), 1),
            (Can::Forms, Reply::Open, Some("needs_link"), 0),
            (Can::Nothing, Reply::Open, Some("needs_link"), 0),
        ] {
            let here = Workspace::new();
            let simulator = Running::start(&here, &["--unlinked", "exa"]);
            let mut command = here.command(&["serve", "--accept-tos", "--backend", "stripe-api"]);
            command.env("STRIPE_API_KEY", "rk_test_0123456789");
            command.env("STRIPE_PROJECTS_STRIPE_API_BASE", &simulator.base);
            let host = Host::named("a host", command, era, can, reply.clone()).await;
            let said = host.provision(json!({ "name": "web", "provider": "search" })).await;
            assert_eq!(said["code"].as_str(), code, "{era:?} {can:?} {reply:?}: {said}");
            assert_eq!(said["status"] == "active", code.is_none());
            if code.is_some() {
                assert!(said["hint"].as_str().unwrap().contains(&simulator.base), "the text has the link: {said}");
            }
            let questions = host.asked();
            assert_eq!(questions.len(), asked, "{era:?} {can:?} {reply:?}: {questions:?}");
            assert!(questions.iter().all(|question| question["mode"] == "url"), "{questions:?}");
        }
    }
}

async fn modern(workspace: &Workspace) -> Host {
    Host::connect(workspace, Era::Modern, Can::Forms, yes()).await
}

/// A server in this process, so that its timeout is ours to choose.
async fn in_process(workspace: &Workspace, can: Can, reply: Reply, timeout: Duration) -> Host {
    let options = CliOptions { dir: Some(workspace.path()), ..CliOptions::default() };
    let provisioner = Arc::new(Settings::resolve(options).unwrap().provisioner(Handle::current()));
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (input, output) = tokio::io::split(ours);
    tokio::spawn(mcp::serve_over(provisioner, mcp::ToolFilter::everything(), input, output, timeout));
    let (input, output) = tokio::io::split(theirs);
    Host::over("a host", AsyncRwTransport::new_client(input, output), Era::Legacy, can, reply).await
}

fn above() -> Value {
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

/// Of the only request.
fn status(workspace: &Workspace) -> String {
    let [approval] = &approvals(workspace)[..] else { panic!("one request: {:?}", approvals(workspace)) };
    approval["status"].as_str().unwrap().to_owned()
}

fn nothing_bought(workspace: &Workspace) {
    assert_eq!(workspace.world().observe_everything().unwrap().len(), 0);
    assert!(workspace.variable("SUPERMEMORY_API_KEY").is_none());
}

/// As if the time of every request had run out.
fn age(workspace: &Workspace) {
    let ledger = Connection::open(workspace.state().join("ledger.db")).unwrap();
    ledger.execute("UPDATE approvals SET expires_at = created_at", []).unwrap();
}
