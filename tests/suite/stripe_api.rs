//! The backend on Stripe's API against a double: exactly what is asked, in which order, and how often.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use stripe_projects_mcp::{
    backend::{
        Backend, BackendError, Consent, Order, Refusal, Scope, Setup, collect_request_ids,
        stripe_api::{ApiBase, ApiConfig, RetryPolicy, StripeApi},
    },
    clock::Timestamp,
    ledger::{Event, Grant, Intent, Ledger, LedgerError, LifetimeTerms, NewProject, OperationId, Verdict},
    money::Cents,
    name::{ProjectName, ProviderKey, ServiceRef},
    project::{ProjectId, ResourceId, Status},
    secret::Secret,
};
use tempfile::TempDir;

use crate::stripe_double::{
    CREDENTIAL, Double, KEY, ok, providers, raw, refusal, resource, revealed, row, services, status,
};

/// A backend whose Stripe is a double.
pub struct Subject {
    pub stripe: Double,
    pub backend: StripeApi,
    pub ledger: Arc<Ledger>,
    folder: TempDir,
}

impl Subject {
    pub fn new() -> Self {
        Self::of(Double::stripe())
    }

    pub fn of(stripe: Double) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::of(folder.path()));
        let backend = StripeApi::new(access(&stripe), Arc::clone(&ledger), folder.path().to_owned(), QUICK);
        Self { stripe, backend, ledger, folder }
    }

    /// The same workspace after a restart.
    pub fn with(&self, access: ApiConfig, pace: RetryPolicy) -> StripeApi {
        StripeApi::new(access, Arc::clone(&self.ledger), self.folder.path().to_owned(), pace)
    }

    pub fn creates(&self) -> usize {
        self.stripe.requests("POST /v2/provisioning/resources").len()
    }

    /// Has the ledger know of an order, as the provisioner does before it places one.
    fn commit(&self, order: &Order) -> Intent {
        let draft = NewProject {
            op: OperationId::random().unwrap(),
            id: order.id.clone(),
            name: order.name.clone(),
            provider: ProviderKey::parse("supermemory").unwrap(),
            service: order.service.clone(),
            backend: self.backend.name().to_owned(),
            env_file: self.folder.path().join(".env"),
        };
        let grant = Grant { cap: order.cap, deliveries: Vec::new(), term: LifetimeTerms::default() };
        self.ledger
            .journal()
            .begin_provision::<LedgerError>(&draft, &event(Verdict::Intended), |_| Ok(grant.clone()))
            .unwrap()
    }
}

#[tokio::test]
async fn a_provision_asks_exactly_this() {
    let subject = Subject::new();
    let order = order("my-app");
    let intent = subject.commit(&order);
    let (service, ids) = collect_request_ids(subject.backend.provision(&order)).await;
    let service = service.unwrap();
    assert_eq!(service.resource.as_str(), "fres_1");
    let fingerprint = Secret::new(CREDENTIAL.to_owned()).fingerprint();
    assert_eq!(service.credentials.pick(Some("API_KEY")).unwrap().fingerprint(), fingerprint);

    let seen = subject.stripe.seen();
    assert_eq!(
        subject.stripe.lines(),
        [
            "GET /v2/provisioning/catalog/providers?limit=100",
            "GET /v2/provisioning/catalog/services?limit=100&provider_name=Super+Memory",
            "GET /v2/provisioning/catalog/services?limit=100&page=pt_2",
            "POST /v2/provisioning/projects",
            "GET /v2/provisioning/provider_connections?limit=100",
            "POST /v2/provisioning/payment_profile/update_limit",
            "POST /v2/provisioning/resources",
            "POST /v2/provisioning/resources/fres_1/reveal_access_configuration",
        ]
    );
    assert_eq!(ids, vec!["req_200"; seen.len()]);
    for request in &seen {
        assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
        assert_eq!(request.headers["stripe-version"], "2026-10-14.preview");
        assert!(!request.headers.contains_key("stripe-context"));
        let (is_post, path) = (request.line.starts_with("POST"), &request.line);
        assert_eq!(is_post, request.headers.get("content-type").is_some_and(|kind| kind == "application/json"));
        let is_change = is_post && !path.ends_with("reveal_access_configuration");
        assert_eq!(is_change, request.headers.contains_key("idempotency-key"), "{path}");
    }
    let body = |place: usize| serde_json::from_str::<Value>(&seen[place].body).unwrap();
    let workspace = body(3)["name"].as_str().unwrap().to_owned();
    assert_eq!(seen[3].headers["idempotency-key"], format!("{workspace}-create"));
    let limits = json!({ "currency": "usd", "max_amount": "1000", "recurring_interval": "month" });
    assert_eq!(body(5), json!({ "livemode": false, "provider": "prvdr_1", "usage_limits": limits }));
    assert_eq!(seen[6].headers["idempotency-key"], format!("{}-create", order.id.as_str()));
    let name = format!("my-app-{}", &order.id.as_str()[5..17]);
    assert_eq!(
        body(6),
        json!({ "configuration": { "plan": "free" }, "livemode": false, "name": name, "project": "proj_at_stripe",
                "provider": "prvdr_1", "service_ref": "memory" })
    );
    assert_eq!(body(7), json!({}));

    // Submitted again, it is looked at and revealed; nothing is created.
    subject.backend.provision(&order).await.unwrap();
    assert_eq!(
        subject.stripe.lines()[8..],
        ["GET /v2/provisioning/resources/fres_1", "POST /v2/provisioning/resources/fres_1/reveal_access_configuration",]
    );

    // Its end leaves a limit that is too high, which is settled.
    subject.ledger.journal().close(intent, Status::Failed, &event(Verdict::Failed)).unwrap();
    subject.backend.reconcile_limits().await.unwrap();
    let last = subject.stripe.seen().pop().unwrap();
    assert!(last.body.contains(r#""max_amount":"0""#) && last.body.contains("prvdr_1"), "{}", last.body);
    subject.backend.reconcile_limits().await.unwrap();
    assert_eq!(subject.stripe.lines().len(), 11, "settled once");
}

#[tokio::test]
async fn a_live_key_acts_in_live_mode_and_for_the_context_that_is_given() {
    let subject = Subject::new();
    let key = Some(Secret::new("sk_live_51abc".to_owned()));
    let live = ApiConfig { key, context: Some("acct_7".to_owned()), ..access(&subject.stripe) };
    subject.with(live, QUICK).provision(&order("live")).await.unwrap();
    let create = &subject.stripe.requests("POST /v2/provisioning/resources")[0];
    assert!(create.body.contains(r#""livemode":true"#), "{}", create.body);
    assert_eq!(create.headers["stripe-context"], "acct_7");
    // The ledger now remembers resources that another account does not have: to it they would all look removed.
    let theirs = subject.backend.teardown(&fres_1()).await.unwrap_err();
    assert!(matches!(theirs, BackendError::NotSetUp(Setup::WrongAccount)), "{theirs}");
}

#[tokio::test]
async fn a_plan_comes_first_and_once() {
    let subject = Subject::new();
    let planned = |name| Order { plan: Some(ServiceRef::parse("supermemory/startup").unwrap()), ..order(name) };
    let plan = json!({ "id": "fres_plan", "status": "complete" });
    let create = "POST /v2/provisioning/resources";
    subject.stripe.on(create, [ok(&plan), ok(&resource("complete"))]);
    subject.stripe.on("GET /v2/provisioning/resources/fres_plan", [ok(&plan)]);
    let first = planned("first");
    subject.backend.provision(&first).await.unwrap();
    subject.backend.provision(&planned("second")).await.unwrap();
    let refs: Vec<_> = subject.stripe.requests(create).iter().map(|seen| service_ref(&seen.body)).collect();
    assert_eq!(refs, ["startup", "memory", "memory"]);
    let key = &subject.stripe.requests(create)[0].headers["idempotency-key"];
    assert_eq!(*key, format!("{}-plan", first.id.as_str()));

    // A plan that was removed is ordered anew.
    subject.stripe.on("GET /v2/provisioning/resources/fres_plan", [refusal(404, "resource_missing")]);
    subject.stripe.on(create, [ok(&plan), ok(&resource("complete"))]);
    subject.backend.provision(&planned("third")).await.unwrap();
    let refs: Vec<_> = subject.stripe.requests(create).iter().map(|seen| service_ref(&seen.body)).collect();
    assert_eq!(refs[3..], ["startup", "memory"]);
}

#[tokio::test]
async fn what_a_person_must_do_is_said_before_anything_is_bought() {
    let subject = Subject::new();
    let refused = |order: Order| {
        let backend = &subject.backend;
        async move { backend.provision(&order).await.unwrap_err() }
    };
    let error = refused(Order { terms_accepted: false, ..order("a") }).await;
    assert!(matches!(error, BackendError::NeedsConsent(Consent::Terms)), "{error}");
    assert_eq!(subject.stripe.lines(), [""; 0]);
    let error = refused(Order { paid: false, ..order("a") }).await;
    assert!(matches!(error, BackendError::NeedsConsent(Consent::Price)), "{error}");
    let one_page = services(&[row("prvdr_1", "memory", "paid")], None);
    subject.stripe.on("GET /v2/provisioning/catalog/services", [ok(&one_page)]);
    let odd = json!({ "plan": "gold" }).as_object().unwrap().clone();
    let error = refused(Order { config: odd, ..order("a") }).await;
    assert!(
        matches!(&error, BackendError::Refused(Refusal::Configuration { fields }) if fields == &["plan"]),
        "{error}"
    );
    let error = refused(Order { service: ServiceRef::parse("super-memory/none").unwrap(), ..order("a") }).await;
    assert!(matches!(error, BackendError::Refused(Refusal::ServiceMissing { .. })), "{error}");
    subject.stripe.on("POST /v2/provisioning/payment_profile/update_limit", [refusal(400, "no_payment_method")]);
    let error = refused(order("a")).await;
    assert!(matches!(error, BackendError::Refused(Refusal::LimitNotSet { .. })), "{error}");
    assert_eq!(subject.creates(), 0);
}

#[tokio::test]
async fn a_provider_that_is_not_connected_is_connected_or_linked_by_a_person() {
    let subject = Subject::new();
    let connections = "GET /v2/provisioning/provider_connections";
    let requests = "POST /v2/provisioning/provider_connection_requests";
    let looks = "GET /v2/provisioning/provider_connection_requests/pcr_1";
    let expired = json!({ "id": "c", "provider": "prvdr_1", "status": "expired" });
    subject.stripe.on(connections, [ok(&json!({ "data": [expired] }))]);
    let request = |status: &str, url: Option<&str>| {
        let schema = json!({ "properties": { "region": {} } });
        ok(&json!({ "id": "pcr_1", "request_status": status, "redirect_url": url, "needs_information_schema": schema,
                    "error": { "code": "denied", "message": "m" } }))
    };
    let link = "https://connect.example/x?state=1";
    subject.stripe.on(requests, [request("pending_auth", Some(link))]);
    let error = subject.backend.provision(&order("a")).await.unwrap_err();
    assert!(matches!(&error, BackendError::NeedsLink { url } if url == link), "{error:?}");
    let body: Value = serde_json::from_str(&subject.stripe.requests(requests)[0].body).unwrap();
    assert_eq!(body, json!({ "configuration": {}, "project": "proj_at_stripe", "provider": "prvdr_1" }));

    for (status, url, what) in [
        ("pending_auth", Some("http://connect.example"), "unexpected redirect_url (…)"),
        ("pending_auth", Some("https://u:p@connect.example"), "unexpected redirect_url (…)"),
        ("half_way", None, "unexpected request_status (half_way)"),
        ("needs_information", None, "wants more information: region"),
        ("error", None, "did not do it (denied)"),
    ] {
        subject.stripe.on(requests, [request(status, url)]);
        let error = subject.backend.provision(&order("a")).await.unwrap_err();
        assert!(error.to_string().ends_with(what), "{error}");
    }
    assert_eq!(subject.creates(), 0);
    subject.stripe.on(requests, [request("requested", None)]);
    subject.stripe.on(looks, [request("requested", None), request("complete", None)]);
    subject.backend.provision(&order("a")).await.unwrap();
    assert_eq!(subject.stripe.requests(looks).len(), 2);
}

#[tokio::test]
async fn a_rotation_is_waited_for_and_each_one_is_its_own() {
    let subject = Subject::new();
    let rotate = "POST /v2/provisioning/resources/fres_1/rotate_credentials";
    subject.stripe.on(rotate, [raw(500, b""), ok(&resource("pending"))]);
    let look = "GET /v2/provisioning/resources/fres_1";
    subject.stripe.on(look, [ok(&resource("pending")), ok(&resource("complete"))]);
    subject.backend.rotate(&fres_1()).await.unwrap();
    subject.backend.suspend(&fres_1()).await.unwrap();
    let keys: Vec<_> =
        subject.stripe.requests(rotate).iter().map(|seen| seen.headers["idempotency-key"].clone()).collect();
    assert_eq!(keys[0], keys[1], "a try of the same rotation");
    assert_ne!(keys[1], keys[2], "another rotation");
    let reveals = "POST /v2/provisioning/resources/fres_1/reveal_access_configuration";
    assert_eq!(subject.stripe.requests(reveals).len(), 1, "a suspension is told to nobody");

    // Refused in whatever words: what is gone is gone.
    subject.stripe.on(rotate, [refusal(400, "resource_not_complete")]);
    subject.stripe.on(look, [ok(&resource("removed"))]);
    let gone = subject.backend.rotate(&fres_1()).await.unwrap_err();
    assert!(matches!(gone, BackendError::NotFound), "{gone}");
    let gone = subject.backend.resume(&fres_1()).await.unwrap_err();
    assert!(matches!(gone, BackendError::NotFound), "{gone}");
    subject.stripe.on(look, [ok(&resource("complete"))]);
    subject.backend.resume(&fres_1()).await.unwrap();
    let error = subject.backend.rotate(&fres_1()).await.unwrap_err();
    assert!(error.is_definite() && error.to_string().ends_with("(resource_not_complete)"), "{error}");
}

#[tokio::test]
async fn a_teardown_waits_for_the_end_and_may_be_repeated() {
    let subject = Subject::new();
    let remove = "POST /v2/provisioning/resources/fres_1/remove";
    let look = "GET /v2/provisioning/resources/fres_1";
    subject
        .stripe
        .on(remove, [ok(&resource("pending")), refusal(400, "already_removed"), refusal(404, "resource_missing")]);
    subject.stripe.on(look, [ok(&resource("pending")), ok(&resource("removed"))]);
    for _ in 0..3 {
        subject.backend.teardown(&fres_1()).await.unwrap();
    }
    assert_eq!(subject.stripe.requests(remove).len(), 3);
    subject.stripe.on(remove, [ok(&resource("pending"))]);
    subject.stripe.on(look, [ok(&resource("pending"))]);
    let error = subject.backend.teardown(&fres_1()).await.unwrap_err();
    assert!(matches!(error, BackendError::Unknown { .. }), "timeout ends: {error}");
    subject.backend.teardown(&ResourceId::new("../projects".to_owned())).await.unwrap();
    assert!(subject.stripe.lines().iter().all(|line| !line.contains("..")), "what is no id is asked about nowhere");
}

#[tokio::test]
async fn observations_say_what_is_there_or_that_nobody_knows() {
    let subject = Subject::new();
    let everything = subject.backend.observe(Scope::Everything).await.unwrap_err();
    assert!(matches!(everything, BackendError::Unknown { .. }), "{everything}");
    let ids: Vec<_> = (0..20).map(|n| ResourceId::new(format!("fres_{n}"))).collect();
    for n in 0..20 {
        let there = json!({ "id": format!("fres_{n}"), "status": if n % 2 == 0 { "removed" } else { "complete" } });
        subject.stripe.on(&format!("GET /v2/provisioning/resources/fres_{n}"), [ok(&there)]);
    }
    subject.stripe.on("GET /v2/provisioning/resources/fres_3", [refusal(404, "resource_missing")]);
    let seen = subject.backend.observe(Scope::Resources(&ids)).await.unwrap();
    let seen: Vec<_> = seen.iter().map(|observed| observed.resource.as_str()).collect();
    assert_eq!(seen, ["fres_1", "fres_5", "fres_7", "fres_9", "fres_11", "fres_13", "fres_15", "fres_17", "fres_19"]);
    subject.stripe.on("GET /v2/provisioning/resources/fres_19", [status(500, &json!({}))]);
    let error = subject.backend.observe(Scope::Resources(&ids)).await.unwrap_err();
    assert!(matches!(error, BackendError::Unavailable { .. }), "less is no answer: {error}");

    let order = order("mine");
    assert_eq!(subject.backend.observe(Scope::Order(&order.id)).await.unwrap(), []);
    subject.stripe.on("GET /v2/provisioning/resources/fres_1", [ok(&resource("complete"))]);
    subject.backend.provision(&order).await.unwrap();
    let seen = subject.backend.observe(Scope::Order(&order.id)).await.unwrap();
    assert_eq!((seen[0].resource.as_str(), seen[0].order.as_ref()), ("fres_1", Some(&order.id)));
}

#[tokio::test]
async fn a_key_goes_to_the_list_that_was_asked_for_and_nowhere_else() {
    let (subject, stranger) = (Subject::new(), Double::silent());
    for next in [
        format!("http://{}/v2/provisioning/catalog/providers", stranger.address),
        format!("//{}/v2/provisioning/catalog/providers", stranger.address),
        "/v2/elsewhere".to_owned(),
    ] {
        let mut page = providers();
        page["next_page_url"] = json!(next);
        subject.stripe.on("GET /v2/provisioning/catalog/providers", [ok(&page)]);
        let error = subject.backend.provision(&order("a")).await.unwrap_err();
        assert!(matches!(error, BackendError::Malformed { what: "next_page_url", .. }), "{error}");
    }
    let circle = json!({ "data": [], "next_page_url": "/v2/provisioning/catalog/providers" });
    subject.stripe.on("GET /v2/provisioning/catalog/providers", [ok(&circle)]);
    subject.backend.provision(&order("a")).await.unwrap_err();
    let moved = raw(307, b"").with("location", &format!("http://{}/", stranger.address));
    subject.stripe.on("GET /v2/provisioning/catalog/providers", [moved]);
    let error = subject.backend.provision(&order("a")).await.unwrap_err();
    assert!(matches!(&error, BackendError::Malformed { what: "HTTP status", got } if got == "307"), "{error}");
    assert_eq!(stranger.lines(), [""; 0]);
}

#[tokio::test]
async fn credentials_are_texts_or_an_error() {
    let subject = Subject::new();
    let reveal = "POST /v2/provisioning/resources/fres_1/reveal_access_configuration";
    for (configuration, what) in [
        (json!({}), "unexpected credentials (none)"),
        (json!({ "API_KEY": "" }), "unexpected credential (API_KEY)"),
        (json!({ "API_KEY": { "nested": CREDENTIAL } }), "unexpected credential (API_KEY)"),
        (json!({ CREDENTIAL: 1 }), "unexpected credential (…)"),
        (json!(CREDENTIAL), "unexpected answer (…)"),
    ] {
        subject.stripe.on(reveal, [ok(&json!({ "configuration": configuration }))]);
        let error = subject.backend.reveal(&fres_1()).await.unwrap_err();
        assert!(error.to_string().ends_with(what), "{error}");
    }
    // One that is still being made has credentials in a moment.
    subject.stripe.on(reveal, [refusal(400, "not_complete"), ok(&revealed())]);
    let look = "GET /v2/provisioning/resources/fres_1";
    subject.stripe.on(look, [ok(&resource("pending")), ok(&resource("complete"))]);
    subject.backend.reveal(&fres_1()).await.unwrap();
}

pub fn access(stripe: &Double) -> ApiConfig {
    let base = ApiBase::parse(&format!("http://{}", stripe.address)).unwrap();
    ApiConfig { base, key: Some(Secret::new(KEY.to_owned())), context: None }
}

pub fn order(name: &str) -> Order {
    Order {
        id: ProjectId::random().unwrap(),
        name: ProjectName::parse(name).unwrap(),
        service: ServiceRef::parse("supermemory/memory").unwrap(),
        plan: None,
        config: Map::from_iter([("plan".to_owned(), json!("free"))]),
        credentials: Vec::new(),
        cap: Cents::parse_usd("10").unwrap(),
        paid: true,
        terms_accepted: true,
    }
}

pub fn fres_1() -> ResourceId {
    ResourceId::new("fres_1".to_owned())
}

fn service_ref(body: &str) -> String {
    serde_json::from_str::<Value>(body).unwrap()["service_ref"].as_str().unwrap().to_owned()
}

fn event(verdict: Verdict) -> Event {
    let detail = json!({});
    Event { at: Timestamp::UNIX_EPOCH, channel: "test", actor: String::new(), action: "provision", verdict, detail }
}

pub const QUICK: RetryPolicy = RetryPolicy {
    connect_timeout: Duration::from_secs(2),
    request_timeout: Duration::from_secs(2),
    first_pause: Duration::from_millis(1),
    longest_pause: Duration::from_millis(50),
    most_retries: 3,
    poll_pause: Duration::from_millis(1),
    poll_patience: Duration::from_millis(200),
};
