//! Faults of Stripe's API. A lost response is requested again with the same key, a definite failure is reported, and no
//! error repeats a secret.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use backends::{
    Backend, BackendError, Refusal, Scope, Setup,
    stripe_api::{ApiBase, ApiConfig, RetryPolicy},
};
use domain::{project::ResourceId, secret::Secret};
use serde_json::json;

use crate::{
    mock_stripe_api::{CANARY, CREDENTIAL, KEY, MockStripeApi, Reply, ok, raw, refusal, resource, status},
    stripe_api::{QUICK, StripeApiHarness, access, fres_1, order},
};

#[tokio::test]
async fn each_create_retry_is_the_same_request() {
    let harness = StripeApiHarness::new();
    for faults in [
        [Reply::Drop, raw(500, b"oops"), refusal(409, "lock_timeout")],
        [refusal(429, "rate_limit"), refusal(409, "idempotency_key_in_use"), raw(503, b"")],
    ] {
        let replies = faults.into_iter().chain([ok(&resource("complete"))]);
        harness.stripe.on(CREATE, replies);
        let before = harness.creates();
        harness.backend.provision(&order("storm")).await.unwrap();
        let tries = &harness.stripe.requests_to(CREATE)[before..];
        assert_eq!(tries.len(), 4);
        for again in &tries[1..] {
            assert_eq!(again.headers["idempotency-key"], tries[0].headers["idempotency-key"]);
            assert_eq!(again.body, tries[0].body);
        }
    }
}

#[tokio::test]
async fn retry_after_is_respected() {
    let harness = StripeApiHarness::new();
    let busy = || refusal(429, "rate_limit").with("retry-after", "1");
    harness.stripe.on(CREATE, [busy(), ok(&resource("complete"))]);
    let slow_retries = RetryPolicy { longest_pause: Duration::from_secs(2), ..QUICK };
    let started = Instant::now();
    harness.restart(access(&harness.stripe), slow_retries).provision(&order("a")).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
    // But no longer than the deadline allows.
    harness.stripe.on(CREATE, [refusal(429, "rate_limit").with("retry-after", "99999")]);
    let error = harness.backend.provision(&order("b")).await.unwrap_err();
    assert!(matches!(error, BackendError::Unavailable { .. }), "it was turned away each time: {error}");
    assert_eq!(harness.creates(), 2 + 4);
}

#[tokio::test]
async fn lost_response_is_requested_again_and_buys_once() {
    let lost: [&dyn Fn() -> Reply; 4] =
        [&|| Reply::Drop, &|| raw(500, b""), &|| raw(200, b"{\"id\":"), &|| raw(200, &vec![b' '; 5 << 20])];
    for reply in lost {
        let harness = StripeApiHarness::new();
        harness.stripe.on(CREATE, [reply()]);
        let order = order("lost");
        let error = harness.backend.provision(&order).await.unwrap_err();
        assert!(matches!(error, BackendError::Unknown { .. }), "{error}");
        let error = harness.backend.observe(Scope::Order(&order.id)).await.unwrap_err();
        assert!(matches!(error, BackendError::Unknown { .. }), "still: {error}");

        // Another process, another minute.
        harness.stripe.on(CREATE, [ok(&resource("complete"))]);
        let backend = harness.restart(access(&harness.stripe), QUICK);
        let observed = backend.observe(Scope::Order(&order.id)).await.unwrap();
        assert_eq!(observed[0].resource, fres_1());
        assert_eq!(backend.provision(&order).await.unwrap().resource, fres_1());
        let tries = harness.stripe.requests_to(CREATE);
        assert!(tries.iter().all(|again| again.body == tries[0].body), "word for word");
        let key = format!("{}-create", order.id.as_str());
        assert!(tries.iter().all(|again| again.headers["idempotency-key"] == key));
    }
}

#[tokio::test]
async fn rejected_retry_leaves_the_outcome_unknown() {
    let harness = StripeApiHarness::new();
    harness.stripe.on(CREATE, [Reply::Drop, refusal(401, "invalid_api_key")]);
    let order_ = order("lost");
    let error = harness.backend.provision(&order_).await.unwrap_err();
    assert!(matches!(error, BackendError::Unknown { .. }), "the first try may have arrived: {error}");
    let error = harness.backend.provision(&order_).await.unwrap_err();
    assert!(matches!(error, BackendError::Unknown { .. }), "and so it stays: {error}");
    let error = harness.backend.provision(&order("other")).await.unwrap_err();
    assert!(matches!(error, BackendError::Unauthenticated), "{error}");
    let mismatch = json!({ "error": { "code": "idempotency_key_reused", "type": "idempotency_error" } });
    harness.stripe.on(CREATE, [status(409, &mismatch)]);
    let before = harness.creates();
    let error = harness.backend.provision(&order("mixed-up")).await.unwrap_err();
    assert!(matches!(error, BackendError::Unknown { .. }), "{error}");
    assert_eq!(harness.creates(), before + 1, "and another request does not help");
}

#[tokio::test]
async fn order_older_than_its_idempotency_key_is_not_resent() {
    let harness = StripeApiHarness::new();
    harness.stripe.on(CREATE, [Reply::Drop]);
    let order = order("old");
    harness.backend.provision(&order).await.unwrap_err();
    let key = format!("order/{}", order.id.as_str());
    let text = harness.ledger.kv().get_note("stripe-api", &key).unwrap().unwrap();
    let mut note: serde_json::Value = serde_json::from_str(&text).unwrap();
    note["at_ms"] = json!(note["at_ms"].as_i64().unwrap() - 24 * 60 * 60 * 1000);
    harness.ledger.kv().put_note("stripe-api", &key, &note.to_string()).unwrap();
    let before = harness.creates();
    for outcome in [
        harness.backend.provision(&order).await.map(|_| ()),
        harness.backend.observe(Scope::Order(&order.id)).await.map(|_| ()),
    ] {
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains("too old"), "{error}");
        assert!(!error.is_definite());
    }
    assert_eq!(harness.creates(), before);
}

#[tokio::test]
async fn unusable_resource_is_removed_before_the_report() {
    let remove = "POST /v2/provisioning/resources/fres_1/remove";
    for (status, what) in [("errored", "the provider failed"), ("needs_information", "more information: company_name")]
    {
        let harness = StripeApiHarness::new();
        harness.stripe.on(CREATE, [ok(&resource("pending"))]);
        harness.stripe.on(LOOK, [ok(&resource("pending")), ok(&resource(status))]);
        harness.stripe.on(remove, [ok(&resource("removed"))]);
        let order = order("a");
        let error = harness.backend.provision(&order).await.unwrap_err();
        assert!(error.is_definite() && error.to_string().ends_with(what), "{error}");
        assert_eq!(harness.stripe.requests_to(remove).len(), 1);
        assert_eq!(harness.backend.observe(Scope::Order(&order.id)).await.unwrap(), []);
    }
    // A resource that needs information may be billed until it is removed.
    let harness = StripeApiHarness::new();
    harness.stripe.on(CREATE, [ok(&resource("needs_information"))]);
    harness.stripe.on(remove, [refusal(400, "not_now")]);
    let error = harness.backend.provision(&order("a")).await.unwrap_err();
    assert!(matches!(error, BackendError::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn error_after_an_order_is_never_definite() {
    for (line, reply) in [
        (LOOK, raw(500, b"")),
        (LOOK, refusal(401, "invalid_api_key")),
        (LOOK, refusal(404, "resource_missing")),
        (LOOK, ok(&resource("half_done"))),
        (LOOK, ok(&resource("pending"))),
        (REVEAL, refusal(403, "no")),
        (REVEAL, refusal(404, "resource_missing")),
        (REVEAL, refusal(400, "no")),
        (REVEAL, raw(200, b"[]")),
    ] {
        let harness = StripeApiHarness::new();
        harness.stripe.on(CREATE, [ok(&resource("pending"))]);
        harness.stripe.on(line, [reply]);
        let order = order("a");
        let error = harness.backend.provision(&order).await.unwrap_err();
        assert!(!error.is_definite(), "{line}: {error}");
        harness.stripe.on(LOOK, [ok(&resource("complete"))]);
        harness.stripe.on(REVEAL, [ok(&crate::mock_stripe_api::revealed())]);
        harness.backend.provision(&order).await.unwrap();
        assert_eq!(harness.creates(), 1);
    }
}

#[tokio::test]
async fn refused_order_names_the_next_step_and_leaves_nothing() {
    for (reply, what) in [
        (refusal(402, "card_declined"), "the payment method was declined"),
        (refusal(403, "requirements_outstanding"), "not eligible for Stripe Projects"),
        (refusal(403, "forbidden"), "rejected the key or login"),
        (refusal(400, "plan_required"), "requires a plan"),
        (refusal(400, "tos_acceptance_required"), "terms of service have not been accepted"),
        (refusal(400, "usage_limit_reached"), "monthly limit of 0 USD is used up"),
        (refusal(400, "mystery"), "the provider failed (mystery)"),
        (refusal(400, CREDENTIAL), "the provider failed (invalid_request_error)"),
        (refusal(404, "resource_missing"), "does not offer the service supermemory/memory at the moment"),
        (status(404, &json!({ "error": { "param": "project" } })), "now belongs to another Stripe project"),
        (status(400, &json!({ "error": { "param": "configuration.plan" } })), "configuration in the registry: plan"),
    ] {
        let harness = StripeApiHarness::new();
        harness.stripe.on(CREATE, [reply]);
        let order = order("no");
        let error = harness.backend.provision(&order).await.unwrap_err();
        assert!(error.is_definite() && error.to_string().ends_with(what), "{error}");
        harness.stripe.on(CREATE, [ok(&resource("complete"))]);
        assert_eq!(harness.backend.observe(Scope::Order(&order.id)).await.unwrap(), [], "and it is not sent again");
    }
}

#[tokio::test]
async fn unreachable_api_is_described() {
    let closed_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plain = MockStripeApi::scripted();
    for (base, words) in [
        (format!("http://{closed_port}"), "no connection to the API"),
        (format!("https://{}", plain.address), "the encrypted connection to the API failed"),
    ] {
        let harness = StripeApiHarness::new();
        let access = ApiConfig { base: ApiBase::parse(&base).unwrap(), ..access(&harness.stripe) };
        let error = harness.restart(access, QUICK).provision(&order("a")).await.unwrap_err();
        assert!(matches!(&error, BackendError::Unavailable { why } if why.to_string() == words), "{error}");
    }
    assert_eq!(plain.request_lines(), [""; 0], "nothing is sent in the clear");

    // A create that was never sent has definitely not happened.
    let harness = StripeApiHarness::new();
    let order = order("a");
    let away = ApiConfig { base: ApiBase::parse(&format!("http://{closed_port}")).unwrap(), ..access(&harness.stripe) };
    for key in ["project", "workspace"] {
        harness.ledger.kv().put_note("stripe-api", key, "\"x\"").unwrap();
    }
    let error = harness.restart(away, QUICK).provision(&order).await.unwrap_err();
    assert!(matches!(error, BackendError::Unavailable { .. }), "{error}");
    assert_eq!(harness.backend.observe(Scope::Order(&order.id)).await.unwrap(), []);
}

#[tokio::test]
async fn malformed_api_key_is_not_sent() {
    let harness = StripeApiHarness::new();
    for (key, setup) in [
        (None, Setup::KeyMissing),
        (Some(""), Setup::KeyMissing),
        (Some("rk_test_"), Setup::KeyUnfit),
        (Some("rk_test_abc\n"), Setup::KeyUnfit),
        (Some(" rk_test_abc"), Setup::KeyUnfit),
        (Some("pk_test_abc"), Setup::KeyUnfit),
        (Some("sk_prod_abc"), Setup::KeyUnfit),
    ] {
        let access = ApiConfig { key: key.map(|key| Secret::new(key.to_owned())), ..access(&harness.stripe) };
        let error = harness.restart(access, QUICK).provision(&order("a")).await.unwrap_err();
        assert!(matches!(&error, BackendError::NotSetUp(missing) if *missing == setup), "{key:?}: {error}");
    }
    harness.restart(ApiConfig { key: None, ..access(&harness.stripe) }, QUICK).reconcile_limits().await.unwrap();
    assert_eq!(harness.stripe.request_lines(), [""; 0]);
}

#[tokio::test]
async fn errors_contain_no_sent_or_received_secret() {
    let harness = StripeApiHarness::new();
    let quoting = json!({ "error": { "code": CANARY, "type": KEY, "param": KEY, "message": CANARY } });
    let mut odd = resource(CREDENTIAL);
    odd["needs_information_schema"] = json!({ "properties": { CREDENTIAL: {} } });
    let mut wanting = odd.clone();
    wanting["status"] = json!("needs_information");
    for reply in [
        status(400, &quoting),
        status(401, &quoting),
        status(500, &quoting),
        ok(&json!(CANARY)),
        ok(&odd),
        ok(&wanting),
    ] {
        for line in [CREATE, LOOK, REVEAL, ROTATE, REMOVE] {
            harness.stripe.on(line, [reply.clone()]);
        }
        let order = order("a");
        let outcomes = [
            harness.backend.provision(&order).await.map(|_| ()),
            harness.backend.observe(Scope::Order(&order.id)).await.map(|_| ()),
            harness.backend.observe(Scope::Resources(&[fres_1()])).await.map(|_| ()),
            harness.backend.reveal(&fres_1()).await.map(|_| ()),
            harness.backend.rotate(&fres_1()).await.map(|_| ()),
            harness.backend.teardown(&fres_1()).await,
            harness.backend.reveal(&ResourceId::new(KEY.to_owned())).await.map(|_| ()),
        ];
        let errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
        assert!(errors.len() > 3, "{errors:?}");
        let text = format!("{errors:?} {}", errors.iter().map(ToString::to_string).collect::<String>());
        for secret in [KEY, CREDENTIAL, "canary"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn definite_failure_while_reconciling_keeps_the_limit() {
    let harness = StripeApiHarness::new();
    harness.backend.provision(&order("a")).await.unwrap();
    harness.ledger.kv().put_note("stripe-api", "limit/supermemory", "900").unwrap();
    harness.stripe.on(LIMIT, [refusal(400, "no")]);
    let error = harness.backend.reconcile_limits().await.unwrap_err();
    assert!(matches!(error, BackendError::Refused(Refusal::LimitNotSet { .. })), "{error}");
    harness.stripe.on(LIMIT, [ok(&json!({}))]);
    harness.backend.reconcile_limits().await.unwrap();
    assert_eq!(harness.ledger.kv().get_note("stripe-api", "limit/supermemory").unwrap().unwrap(), "0");
}

const CREATE: &str = "POST /v2/provisioning/resources";
const LIMIT: &str = "POST /v2/provisioning/payment_profile/update_limit";
const LOOK: &str = "GET /v2/provisioning/resources/fres_1";
const REMOVE: &str = "POST /v2/provisioning/resources/fres_1/remove";
const REVEAL: &str = "POST /v2/provisioning/resources/fres_1/reveal_access_configuration";
const ROTATE: &str = "POST /v2/provisioning/resources/fres_1/rotate_credentials";
