//! Idempotency, and the faults that a client can inject into the simulator.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    simulator::create,
    simulator_client::{Response, Simulator},
};

#[test]
fn repeated_request_gets_the_same_response_and_acts_once() {
    let here = Simulator::start();
    let first = here.post_as("k1", "resources", &search());
    let again = here.post_as("k1", "resources", &search());
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    assert_ne!(first.header("request-id"), again.header("request-id"));
    assert_eq!(here.resources(), 1);

    let other = json!({ "provider": "exa", "service_ref": "api", "configuration": {}, "name": "other" });
    for answer in [here.post_as("k1", "resources", &other), here.post_as("k1", "projects", &json!({ "name": "x" }))] {
        assert_eq!((answer.status, answer.text_at("/error/type")), (400, "idempotency_error"));
    }
    let id = first.text_at("/id").to_owned();
    let key = reveal(&here, &id);
    here.post_as("r1", &format!("resources/{id}/rotate_credentials"), &json!({}));
    let rotated = reveal(&here, &id);
    here.post_as("r1", &format!("resources/{id}/rotate_credentials"), &json!({}));
    assert_eq!(reveal(&here, &id), rotated, "a repeated rotation is one");
    assert_ne!(key, rotated);
    // A reveal is not idempotent: with the same key it returns the current state.
    let path = format!("resources/{id}/reveal_access_configuration");
    assert_eq!(here.post_as("v1", &path, &json!({})).body["configuration"]["API_KEY"], rotated);
    here.post_as("r2", &format!("resources/{id}/rotate_credentials"), &json!({}));
    assert_ne!(here.post_as("v1", &path, &json!({})).body["configuration"]["API_KEY"], rotated);

    let here = here.restart();
    let later = here.post_as("k1", "resources", &search());
    assert_eq!((&later.text, later.header("idempotent-replayed")), (&first.text, "true"), "also after a restart");
    assert_eq!(here.resources(), 1);
}

#[test]
fn stored_response_contains_no_credential() {
    let here = Simulator::start();
    let id = create(&here, "exa", "api", &json!({}));
    let path = format!("resources/{id}/reveal_access_configuration");
    let key = here.post_as("v", &path, &json!({})).body["configuration"]["API_KEY"].as_str().unwrap().to_owned();
    for file in here.workspace.files() {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()), "{}", file.display());
    }
}

#[test]
fn failed_request_is_retried_with_the_same_key() {
    let here = Simulator::start();
    let wrong = json!({ "provider": "exa", "service_ref": "api" });
    assert_eq!(here.post_as("k", "resources", &wrong).status, 400);
    here.inject(&json!({ "on": CREATE, "fault": "declined" }));
    assert_eq!(here.post_as("k", "resources", &search()).error(), (402, "card_declined"));
    assert_eq!(here.post_as("k", "resources", &search()).status, 200);
    assert_eq!(here.resources(), 1);
}

#[test]
fn concurrent_duplicate_gets_a_conflict() {
    let here = Simulator::start();
    here.inject(&json!({ "on": CREATE, "fault": "slow", "ms": 1500, "times": 8 }));
    let request = || here.request(Method::POST, "resources").header("idempotency-key", "k").json(&search());
    let answers = here.send_concurrently((0..8).map(|_| request()).collect());
    let (done, rejected): (Vec<Response>, Vec<Response>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((done.len(), rejected.len()), (1, 7));
    for answer in rejected {
        assert_eq!(
            (answer.error(), answer.text_at("/error/type")),
            ((409, "idempotency_key_in_use"), "idempotency_error")
        );
    }
    assert_eq!(here.resources(), 1);
    here.send(here.bare_request(Method::DELETE, "/_simulator/faults")).unwrap();
    assert_eq!(here.post_as("k", "resources", &search()).text, done[0].text);
}

#[test]
fn different_idempotency_keys_do_not_block_each_other() {
    let here = Simulator::start();
    let request =
        |n: usize| here.request(Method::POST, "resources").header("idempotency-key", n.to_string()).json(&search());
    let answers = here.send_concurrently((0..24).map(request).collect());
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(here.resources(), 24);
}

#[test]
fn refused_request_has_no_effect() {
    let here = Simulator::start();
    for (fault, status, code) in [
        ("rate_limited", 429, "rate_limit"),
        ("conflict", 409, "lock_timeout"),
        ("error_before", 500, "api_error"),
        ("declined", 402, "card_declined"),
        ("requirement", 403, "requirements_outstanding"),
    ] {
        here.inject(&json!({ "on": CREATE, "fault": fault }));
        let answer = here.post_as("k", "resources", &search());
        assert_eq!(answer.error(), (status, code));
        assert_eq!(answer.header("retry-after"), if fault == "rate_limited" { "0" } else { "" });
        assert_eq!(here.resources(), 0, "{fault}");
    }
    here.inject(&json!({ "on": CREATE, "fault": "drop_before" }));
    assert!(here.try_post_as("k", "resources", &search()).is_err(), "no answer at all");
    assert_eq!(here.resources(), 0);
    assert_eq!(here.post_as("k", "resources", &search()).status, 200);
}

#[test]
fn response_lost_after_the_effect_is_returned_on_retry() {
    for fault in ["error_after", "drop_after", "garbage"] {
        let here = Simulator::start();
        here.inject(&json!({ "on": CREATE, "fault": fault }));
        match here.try_post_as("k", "resources", &search()) {
            Ok(answer) if fault == "error_after" => assert_eq!(answer.error(), (500, "api_error")),
            Ok(answer) => assert_eq!((fault, answer.status, answer.body), ("garbage", 200, Value::Null)),
            Err(_) => assert_eq!(fault, "drop_after"),
        }
        assert_eq!(here.resources(), 1, "{fault}");
        let response = here.post_as("k", "resources", &search());
        assert_eq!((response.status, response.header("idempotent-replayed")), (200, "true"), "{fault}");
        assert_eq!(here.get(&format!("resources/{}", response.text_at("/id"))).text_at("/status"), "complete");
        assert_eq!(here.resources(), 1, "{fault}");
    }
}

#[test]
fn pending_ends_after_the_given_polls() {
    let here = Simulator::start();
    for (on, fault, word) in [(CREATE, "pending", "pending"), (CREATE, "unknown_status", "reticulating")] {
        here.inject(&json!({ "on": on, "fault": fault, "polls": 2 }));
        let created = here.post("resources", &search());
        let id = created.text_at("/id");
        assert_eq!(created.text_at("/status"), word);
        let reveal = format!("resources/{id}/reveal_access_configuration");
        assert_eq!(here.post(&reveal, &json!({})).error(), (400, "resource_not_complete"));
        let looks: Vec<_> =
            (0..3).map(|_| here.get(&format!("resources/{id}")).text_at("/status").to_owned()).collect();
        assert_eq!(looks, [word, word, "complete"]);
        assert_eq!(here.post(&reveal, &json!({})).status, 200);
    }
    let id = create(&here, "exa", "api", &json!({}));
    let key = reveal(&here, &id);
    let look = || here.get(&format!("resources/{id}")).text_at("/status").to_owned();
    here.inject(&json!({ "on": "POST /v2/provisioning/resources/{id}/rotate_credentials", "fault": "pending" }));
    assert_eq!(here.post(&format!("resources/{id}/rotate_credentials"), &json!({})).text_at("/status"), "pending");
    assert_eq!((look(), look()), ("pending".to_owned(), "complete".to_owned()));
    assert_ne!(reveal(&here, &id), key);
    here.inject(&json!({ "on": "POST /v2/provisioning/resources/{id}/remove", "fault": "pending", "polls": 0 }));
    assert_eq!(here.post(&format!("resources/{id}/remove"), &json!({})).text_at("/status"), "pending");
    assert_eq!(look(), "removed");
    here.inject(&json!({ "on": "GET /v2/provisioning/resources/{id}", "fault": "unknown_status" }));
    assert_eq!((look(), look()), ("reticulating".to_owned(), "removed".to_owned()));
}

#[test]
fn errored_creation_is_free_and_errored_rotation_keeps_the_key() {
    let here = Simulator::start();
    here.inject(&json!({ "on": CREATE, "fault": "errored" }));
    let errored = here.post("resources", &search());
    assert_eq!(errored.text_at("/status"), "errored");
    assert!(!errored.text_at("/error_message").is_empty());
    assert_eq!(here.resources(), 0);
    assert_eq!(
        here.post(&format!("resources/{}/remove", errored.text_at("/id")), &json!({})).text_at("/status"),
        "removed"
    );

    let id = create(&here, "exa", "api", &json!({}));
    let key = reveal(&here, &id);
    for verb in ["rotate_credentials", "remove"] {
        here.inject(&json!({ "on": format!("POST /v2/provisioning/resources/{{id}}/{verb}"), "fault": "errored" }));
        assert_eq!(here.post(&format!("resources/{id}/{verb}"), &json!({})).text_at("/status"), "errored");
        assert_eq!(here.owner_of(&key).as_deref(), Some(id.as_str()), "{verb}");
    }
    assert_eq!(here.post(&format!("resources/{id}/rotate_credentials"), &json!({})).text_at("/status"), "complete");
    assert_eq!(here.owner_of(&key), None);
}

#[test]
fn needed_information_can_be_submitted() {
    let here = Simulator::start();
    let schema = json!({ "type": "object", "required": ["region"], "properties": { "region": { "type": "string" } } });
    here.inject(&json!({ "on": CREATE, "fault": "needs_information", "schema": schema }));
    let created = here.post("resources", &search());
    let path = format!("resources/{}/submit_information", created.text_at("/id"));
    assert_eq!((created.text_at("/status"), &created.body["needs_information_schema"]), ("needs_information", &schema));
    let missing = here.post(&path, &json!({ "submitted_information": {} }));
    assert_eq!(missing.text_at("/error/param"), "submitted_information.region");
    assert_eq!(
        here.post(&path, &json!({ "submitted_information": { "region": "eu" } })).text_at("/status"),
        "complete"
    );
    assert_eq!(here.post(&path, &json!({ "submitted_information": {} })).error(), (400, "nothing_to_submit"));

    here.inject(&json!({ "on": "POST /v2/provisioning/provider_connection_requests", "fault": "needs_information" }));
    let request = here.post("provider_connection_requests", &json!({ "provider": "exa", "configuration": {} }));
    let path = format!("provider_connection_requests/{}/submit_information", request.text_at("/id"));
    assert_eq!(request.text_at("/request_status"), "needs_information");
    let submitted = here.post(&path, &json!({ "information": { "company_name": "x" } }));
    assert_eq!(submitted.text_at("/request_status"), "complete");
}

#[test]
fn slow_request_completes_after_its_client_left() {
    let here = Simulator::start();
    here.inject(&json!({ "on": CREATE, "fault": "slow", "ms": 2000 }));
    let hasty = here.request(Method::POST, "resources").header("idempotency-key", "k").json(&search());
    assert!(here.send(hasty.timeout(Duration::from_secs(1))).unwrap_err().is_timeout());
    let deadline = Instant::now() + Duration::from_secs(20);
    while here.resources() == 0 {
        assert!(Instant::now() < deadline, "the request was forgotten");
        std::thread::yield_now();
    }
    assert_eq!(here.post_as("k", "resources", &search()).header("idempotent-replayed"), "true");
}

#[test]
fn meaningless_fault_is_refused() {
    let here = Simulator::start();
    for wrong in [
        json!({}),
        json!({ "on": "POST", "fault": "pending" }),
        json!({ "on": CREATE, "fault": "rain" }),
        json!({ "on": CREATE, "fault": "pending", "ms": 5 }),
    ] {
        let answer = here.send(here.bare_request(Method::POST, "/_simulator/faults").json(&wrong)).unwrap();
        assert_eq!(answer.status, 400, "{wrong}");
    }
    assert_eq!(here.get("/_simulator/nothing").error(), (404, "url_unrecognized"));
    here.inject(&json!({ "on": CREATE, "fault": "error_before", "times": 9 }));
    here.send(here.bare_request(Method::DELETE, "/_simulator/faults")).unwrap();
    assert_eq!(here.post("resources", &search()).status, 200);
}

fn search() -> Value {
    json!({ "provider": "exa", "service_ref": "api", "configuration": {} })
}

fn reveal(here: &Simulator, id: &str) -> Value {
    here.post(&format!("resources/{id}/reveal_access_configuration"), &json!({})).body["configuration"]["API_KEY"]
        .clone()
}

const CREATE: &str = "POST /v2/provisioning/resources";
