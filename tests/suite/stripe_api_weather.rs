//! The backend on Stripe's API in bad weather: what is lost is asked for again by the same name, what is certain is
//! said, and no error repeats a secret.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use serde_json::json;
use stripe_projects_mcp::{
    backend::{
        Backend, BackendError, Refusal, Scope, Setup,
        stripe_api::{ApiBase, ApiConfig, RetryPolicy},
    },
    project::ResourceId,
    secret::Secret,
};

use crate::{
    stripe_api::{QUICK, Subject, access, fres_1, order},
    stripe_double::{CANARY, CREDENTIAL, Double, KEY, Reply, ok, raw, refusal, resource, status},
};

#[tokio::test]
async fn every_try_of_a_create_is_the_same_request() {
    let subject = Subject::new();
    for weather in [
        [Reply::Drop, raw(500, b"oops"), refusal(409, "lock_timeout")],
        [refusal(429, "rate_limit"), refusal(409, "idempotency_key_in_use"), raw(503, b"")],
    ] {
        let replies = weather.into_iter().chain([ok(&resource("complete"))]);
        subject.stripe.on(CREATE, replies);
        let before = subject.creates();
        subject.backend.provision(&order("storm")).await.unwrap();
        let tries = &subject.stripe.requests(CREATE)[before..];
        assert_eq!(tries.len(), 4);
        for again in &tries[1..] {
            assert_eq!(again.headers["idempotency-key"], tries[0].headers["idempotency-key"]);
            assert_eq!(again.body, tries[0].body);
        }
    }
}

#[tokio::test]
async fn stripe_is_given_the_time_that_it_asks_for() {
    let subject = Subject::new();
    let busy = || refusal(429, "rate_limit").with("retry-after", "1");
    subject.stripe.on(CREATE, [busy(), ok(&resource("complete"))]);
    let patient = RetryPolicy { longest_pause: Duration::from_secs(2), ..QUICK };
    let begun = Instant::now();
    subject.with(access(&subject.stripe), patient).provision(&order("a")).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    // But no longer than we have.
    subject.stripe.on(CREATE, [refusal(429, "rate_limit").with("retry-after", "99999")]);
    let error = subject.backend.provision(&order("b")).await.unwrap_err();
    assert!(matches!(error, BackendError::Unavailable { .. }), "it was turned away each time: {error}");
    assert_eq!(subject.creates(), 2 + 4);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again_and_nothing_is_bought_twice() {
    let lost: [&dyn Fn() -> Reply; 4] =
        [&|| Reply::Drop, &|| raw(500, b""), &|| raw(200, b"{\"id\":"), &|| raw(200, &vec![b' '; 5 << 20])];
    for reply in lost {
        let subject = Subject::new();
        subject.stripe.on(CREATE, [reply()]);
        let order = order("lost");
        let error = subject.backend.provision(&order).await.unwrap_err();
        assert!(matches!(error, BackendError::Unknown { .. }), "{error}");
        let error = subject.backend.observe(Scope::Order(&order.id)).await.unwrap_err();
        assert!(matches!(error, BackendError::Unknown { .. }), "still: {error}");

        // Another process, another minute.
        subject.stripe.on(CREATE, [ok(&resource("complete"))]);
        let backend = subject.with(access(&subject.stripe), QUICK);
        let seen = backend.observe(Scope::Order(&order.id)).await.unwrap();
        assert_eq!(seen[0].resource, fres_1());
        assert_eq!(backend.provision(&order).await.unwrap().resource, fres_1());
        let tries = subject.stripe.requests(CREATE);
        assert!(tries.iter().all(|again| again.body == tries[0].body), "word for word");
        let key = format!("{}-create", order.id.as_str());
        assert!(tries.iter().all(|again| again.headers["idempotency-key"] == key));
    }
}

#[tokio::test]
async fn a_closed_door_does_not_say_what_became_of_an_order() {
    let subject = Subject::new();
    subject.stripe.on(CREATE, [Reply::Drop, refusal(401, "invalid_api_key")]);
    let order_ = order("door");
    let error = subject.backend.provision(&order_).await.unwrap_err();
    assert!(matches!(error, BackendError::Unknown { .. }), "the first try may have arrived: {error}");
    let error = subject.backend.provision(&order_).await.unwrap_err();
    assert!(matches!(error, BackendError::Unknown { .. }), "and so it stays: {error}");
    let error = subject.backend.provision(&order("other")).await.unwrap_err();
    assert!(matches!(error, BackendError::Unauthenticated), "{error}");
    let mismatch = json!({ "error": { "code": "idempotency_key_reused", "type": "idempotency_error" } });
    subject.stripe.on(CREATE, [status(409, &mismatch)]);
    let before = subject.creates();
    let error = subject.backend.provision(&order("mixed-up")).await.unwrap_err();
    assert!(matches!(error, BackendError::Unknown { .. }), "{error}");
    assert_eq!(subject.creates(), before + 1, "and asking again is no help");
}

#[tokio::test]
async fn an_order_that_stripe_may_have_forgotten_is_not_sent_again() {
    let subject = Subject::new();
    subject.stripe.on(CREATE, [Reply::Drop]);
    let order = order("old");
    subject.backend.provision(&order).await.unwrap_err();
    let note = format!("order/{}", order.id.as_str());
    let text = subject.ledger.kv().get_note("stripe-api", &note).unwrap().unwrap();
    let mut sent: serde_json::Value = serde_json::from_str(&text).unwrap();
    sent["at_ms"] = json!(sent["at_ms"].as_i64().unwrap() - 24 * 60 * 60 * 1000);
    subject.ledger.kv().put_note("stripe-api", &note, &sent.to_string()).unwrap();
    let before = subject.creates();
    for outcome in [
        subject.backend.provision(&order).await.map(|_| ()),
        subject.backend.observe(Scope::Order(&order.id)).await.map(|_| ()),
    ] {
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains("too long ago"), "{error}");
        assert!(!error.is_definite());
    }
    assert_eq!(subject.creates(), before);
}

#[tokio::test]
async fn what_can_never_be_used_is_removed_before_it_is_reported() {
    let remove = "POST /v2/provisioning/resources/fres_1/remove";
    for (status, what) in [("errored", "did not do it"), ("needs_information", "more information: company_name")] {
        let subject = Subject::new();
        subject.stripe.on(CREATE, [ok(&resource("pending"))]);
        subject.stripe.on(LOOK, [ok(&resource("pending")), ok(&resource(status))]);
        subject.stripe.on(remove, [ok(&resource("removed"))]);
        let order = order("a");
        let error = subject.backend.provision(&order).await.unwrap_err();
        assert!(error.is_definite() && error.to_string().ends_with(what), "{error}");
        assert_eq!(subject.stripe.requests(remove).len(), 1);
        assert_eq!(subject.backend.observe(Scope::Order(&order.id)).await.unwrap(), []);
    }
    // What waits for information may be billed until it is gone.
    let subject = Subject::new();
    subject.stripe.on(CREATE, [ok(&resource("needs_information"))]);
    subject.stripe.on(remove, [refusal(400, "not_now")]);
    let error = subject.backend.provision(&order("a")).await.unwrap_err();
    assert!(matches!(error, BackendError::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn once_it_is_ordered_no_error_says_that_nothing_happened() {
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
        let subject = Subject::new();
        subject.stripe.on(CREATE, [ok(&resource("pending"))]);
        subject.stripe.on(line, [reply]);
        let order = order("a");
        let error = subject.backend.provision(&order).await.unwrap_err();
        assert!(!error.is_definite(), "{line}: {error}");
        subject.stripe.on(LOOK, [ok(&resource("complete"))]);
        subject.stripe.on(REVEAL, [ok(&crate::stripe_double::revealed())]);
        subject.backend.provision(&order).await.unwrap();
        assert_eq!(subject.creates(), 1);
    }
}

#[tokio::test]
async fn a_refused_order_is_named_by_what_to_do_and_leaves_nothing() {
    for (reply, what) in [
        (refusal(402, "card_declined"), "the payment method was declined"),
        (refusal(403, "requirements_outstanding"), "not eligible for Stripe Projects"),
        (refusal(403, "forbidden"), "does not accept who we are"),
        (refusal(400, "plan_required"), "wants a plan to exist first"),
        (refusal(400, "tos_acceptance_required"), "terms of service have not been accepted"),
        (refusal(400, "usage_limit_reached"), "monthly limit of 0 USD is used up"),
        (refusal(400, "mystery"), "did not do it (mystery)"),
        (refusal(400, CREDENTIAL), "did not do it (invalid_request_error)"),
        (refusal(404, "resource_missing"), "does not have the service supermemory/memory, or not at the moment"),
        (status(404, &json!({ "error": { "param": "project" } })), "is not the one that it was"),
        (status(400, &json!({ "error": { "param": "configuration.plan" } })), "as the registry has it: plan"),
    ] {
        let subject = Subject::new();
        subject.stripe.on(CREATE, [reply]);
        let order = order("no");
        let error = subject.backend.provision(&order).await.unwrap_err();
        assert!(error.is_definite() && error.to_string().ends_with(what), "{error}");
        subject.stripe.on(CREATE, [ok(&resource("complete"))]);
        assert_eq!(subject.backend.observe(Scope::Order(&order.id)).await.unwrap(), [], "and it is not sent again");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_said_in_words() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plain = Double::stripe();
    for (base, words) in [
        (format!("http://{nobody}"), "no connection to the API came about"),
        (format!("https://{}", plain.address), "no encrypted connection to the API came about"),
    ] {
        let subject = Subject::new();
        let access = ApiConfig { base: ApiBase::parse(&base).unwrap(), ..access(&subject.stripe) };
        let error = subject.with(access, QUICK).provision(&order("a")).await.unwrap_err();
        assert!(matches!(&error, BackendError::Unavailable { why } if why == words), "{error}");
    }
    assert_eq!(plain.lines(), [""; 0], "nothing is said in the clear");

    // A create that never left is known not to have happened.
    let subject = Subject::new();
    let order = order("a");
    let away = ApiConfig { base: ApiBase::parse(&format!("http://{nobody}")).unwrap(), ..access(&subject.stripe) };
    for key in ["project", "workspace"] {
        subject.ledger.kv().put_note("stripe-api", key, "\"x\"").unwrap();
    }
    let error = subject.with(away, QUICK).provision(&order).await.unwrap_err();
    assert!(matches!(error, BackendError::Unavailable { .. }), "{error}");
    assert_eq!(subject.backend.observe(Scope::Order(&order.id)).await.unwrap(), []);
}

#[tokio::test]
async fn a_key_that_stripe_does_not_give_out_is_not_sent() {
    let subject = Subject::new();
    for (key, setup) in [
        (None, Setup::KeyMissing),
        (Some(""), Setup::KeyMissing),
        (Some("rk_test_"), Setup::KeyUnfit),
        (Some("rk_test_abc\n"), Setup::KeyUnfit),
        (Some(" rk_test_abc"), Setup::KeyUnfit),
        (Some("pk_test_abc"), Setup::KeyUnfit),
        (Some("sk_prod_abc"), Setup::KeyUnfit),
    ] {
        let access = ApiConfig { key: key.map(|key| Secret::new(key.to_owned())), ..access(&subject.stripe) };
        let error = subject.with(access, QUICK).provision(&order("a")).await.unwrap_err();
        assert!(matches!(&error, BackendError::NotSetUp(missing) if *missing == setup), "{key:?}: {error}");
    }
    subject.with(ApiConfig { key: None, ..access(&subject.stripe) }, QUICK).reconcile_limits().await.unwrap();
    assert_eq!(subject.stripe.lines(), [""; 0]);
}

#[tokio::test]
async fn no_error_contains_what_stripe_was_told_or_told_us() {
    let subject = Subject::new();
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
            subject.stripe.on(line, [reply.clone()]);
        }
        let order = order("a");
        let outcomes = [
            subject.backend.provision(&order).await.map(|_| ()),
            subject.backend.observe(Scope::Order(&order.id)).await.map(|_| ()),
            subject.backend.observe(Scope::Resources(&[fres_1()])).await.map(|_| ()),
            subject.backend.reveal(&fres_1()).await.map(|_| ()),
            subject.backend.rotate(&fres_1()).await.map(|_| ()),
            subject.backend.teardown(&fres_1()).await,
            subject.backend.reveal(&ResourceId::new(KEY.to_owned())).await.map(|_| ()),
        ];
        let errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
        assert!(errors.len() > 3, "{errors:?}");
        let shown = format!("{errors:?} {}", errors.iter().map(ToString::to_string).collect::<String>());
        for secret in [KEY, CREDENTIAL, "canary"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_certain_failure_while_settling_is_no_limit_lost() {
    let subject = Subject::new();
    subject.backend.provision(&order("a")).await.unwrap();
    subject.ledger.kv().put_note("stripe-api", "limit/supermemory", "900").unwrap();
    subject.stripe.on(LIMIT, [refusal(400, "no")]);
    let error = subject.backend.reconcile_limits().await.unwrap_err();
    assert!(matches!(error, BackendError::Refused(Refusal::LimitNotSet { .. })), "{error}");
    subject.stripe.on(LIMIT, [ok(&json!({}))]);
    subject.backend.reconcile_limits().await.unwrap();
    assert_eq!(subject.ledger.kv().get_note("stripe-api", "limit/supermemory").unwrap().unwrap(), "0");
}

const CREATE: &str = "POST /v2/provisioning/resources";
const LIMIT: &str = "POST /v2/provisioning/payment_profile/update_limit";
const LOOK: &str = "GET /v2/provisioning/resources/fres_1";
const REMOVE: &str = "POST /v2/provisioning/resources/fres_1/remove";
const REVEAL: &str = "POST /v2/provisioning/resources/fres_1/reveal_access_configuration";
const ROTATE: &str = "POST /v2/provisioning/resources/fres_1/rotate_credentials";
