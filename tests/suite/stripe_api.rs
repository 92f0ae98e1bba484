//! The backend on Stripe's API against a mock: the exact requests and their order.

use std::{sync::Arc, time::Duration};

use backends::{
    Backend, BackendError, Consent, Order, Refusal, Scope, Setup, collect_request_ids,
    stripe_api::{ApiBase, ApiConfig, NAME, RetryPolicy, StripeApi},
};
use domain::{
    clock::Timestamp,
    money::Cents,
    name::{ProjectName, ProviderKey, ServiceRef},
    project::{ProjectId, ResourceId, Status},
    secret::Secret,
};
use serde_json::{Map, Value, json};
use storage::ledger::{Event, Grant, Intent, Ledger, LedgerError, LifetimeTerms, NewProject, OperationId, Verdict};
use stripe_projects_mcp::settings::LedgerNotes;
use tempfile::TempDir;

use crate::mock_stripe_api::{
    CREDENTIAL, KEY, MockStripeApi, ok, providers, raw, refusal, resource, revealed, row, services, status,
};

/// A backend that uses a mock of Stripe's API.
pub struct StripeApiHarness {
    pub stripe: MockStripeApi,
    pub backend: StripeApi,
    pub ledger: Arc<Ledger>,
    folder: TempDir,
}

fn notes(ledger: &Arc<Ledger>) -> Arc<LedgerNotes> {
    Arc::new(LedgerNotes::new(Arc::clone(ledger), NAME))
}

impl StripeApiHarness {
    pub fn new() -> Self {
        Self::with_mock(MockStripeApi::scripted())
    }

    pub fn with_mock(stripe: MockStripeApi) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::of(folder.path()));
        let backend = StripeApi::new(access(&stripe), notes(&ledger), folder.path().to_owned(), QUICK);
        Self { stripe, backend, ledger, folder }
    }

    /// Creates the same backend again, as after a restart.
    pub fn restart(&self, access: ApiConfig, pace: RetryPolicy) -> StripeApi {
        StripeApi::new(access, notes(&self.ledger), self.folder.path().to_owned(), pace)
    }

    pub fn creates(&self) -> usize {
        self.stripe.requests_to("POST /v2/provisioning/resources").len()
    }

    /// Records an order in the ledger, as the provisioner does before placing it.
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
        let grant = Grant {
            cap: order.cap,
            period: domain::budget::CapPeriod::Month,
            deliveries: Vec::new(),
            term: LifetimeTerms::default(),
        };
        self.ledger
            .journal()
            .begin_provision::<LedgerError>(&draft, &event(Verdict::Intended), |_| Ok(grant.clone()))
            .unwrap()
    }
}

#[tokio::test]
async fn provision_sends_exactly_these_requests() {
    let harness = StripeApiHarness::new();
    let order = order("my-app");
    let intent = harness.commit(&order);
    let (service, ids) = collect_request_ids(harness.backend.provision(&order)).await;
    let service = service.unwrap();
    assert_eq!(service.resource.as_str(), "fres_1");
    let fingerprint = Secret::new(CREDENTIAL.to_owned()).fingerprint();
    assert_eq!(service.credentials.pick(Some("API_KEY")).unwrap().fingerprint(), fingerprint);

    let requests = harness.stripe.received();
    assert_eq!(
        harness.stripe.request_lines(),
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
    assert_eq!(ids, vec!["req_200"; requests.len()]);
    for request in &requests {
        assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
        assert_eq!(request.headers["stripe-version"], "2026-10-14.preview");
        assert!(!request.headers.contains_key("stripe-context"));
        let (is_post, path) = (request.line.starts_with("POST"), &request.line);
        assert_eq!(is_post, request.headers.get("content-type").is_some_and(|kind| kind == "application/json"));
        let is_change = is_post && !path.ends_with("reveal_access_configuration");
        assert_eq!(is_change, request.headers.contains_key("idempotency-key"), "{path}");
    }
    let body = |place: usize| serde_json::from_str::<Value>(&requests[place].body).unwrap();
    let workspace = body(3)["name"].as_str().unwrap().to_owned();
    assert_eq!(requests[3].headers["idempotency-key"], format!("{workspace}-create"));
    let limits = json!({ "currency": "usd", "max_amount": "1000", "recurring_interval": "month" });
    assert_eq!(body(5), json!({ "livemode": false, "provider": "prvdr_1", "usage_limits": limits }));
    assert_eq!(requests[6].headers["idempotency-key"], format!("{}-create", order.id.as_str()));
    let name = format!("my-app-{}", &order.id.as_str()[5..17]);
    assert_eq!(
        body(6),
        json!({ "configuration": { "plan": "free" }, "livemode": false, "name": name, "project": "proj_at_stripe",
                "provider": "prvdr_1", "service_ref": "memory" })
    );
    assert_eq!(body(7), json!({}));

    // A repeated order is retrieved and revealed; nothing is created.
    harness.backend.provision(&order).await.unwrap();
    assert_eq!(
        harness.stripe.request_lines()[8..],
        ["GET /v2/provisioning/resources/fres_1", "POST /v2/provisioning/resources/fres_1/reveal_access_configuration",]
    );

    // Its end leaves a limit that is too high, which is reconciled.
    harness.ledger.journal().close(intent, Status::Failed, &event(Verdict::Failed)).unwrap();
    harness.backend.reconcile_limits().await.unwrap();
    let last = harness.stripe.received().pop().unwrap();
    assert!(last.body.contains(r#""max_amount":"0""#) && last.body.contains("prvdr_1"), "{}", last.body);
    harness.backend.reconcile_limits().await.unwrap();
    assert_eq!(harness.stripe.request_lines().len(), 11, "settled once");
}

#[tokio::test]
async fn live_key_uses_live_mode_and_the_given_context() {
    let harness = StripeApiHarness::new();
    let key = Some(Secret::new("sk_live_51abc".to_owned()));
    let live = ApiConfig { key, context: Some("acct_7".to_owned()), ..access(&harness.stripe) };
    harness.restart(live, QUICK).provision(&order("live")).await.unwrap();
    let create = &harness.stripe.requests_to("POST /v2/provisioning/resources")[0];
    assert!(create.body.contains(r#""livemode":true"#), "{}", create.body);
    assert_eq!(create.headers["stripe-context"], "acct_7");
    // The ledger now has resources that another account lacks: there, they would all look removed.
    let theirs = harness.backend.teardown(&fres_1()).await.unwrap_err();
    assert!(matches!(theirs, BackendError::NotSetUp(Setup::WrongAccount)), "{theirs}");
}

#[tokio::test]
async fn plan_is_ordered_first_and_once() {
    let harness = StripeApiHarness::new();
    let planned = |name| Order { plan: Some(ServiceRef::parse("supermemory/startup").unwrap()), ..order(name) };
    let plan = json!({ "id": "fres_plan", "status": "complete" });
    let create = "POST /v2/provisioning/resources";
    harness.stripe.on(create, [ok(&plan), ok(&resource("complete"))]);
    harness.stripe.on("GET /v2/provisioning/resources/fres_plan", [ok(&plan)]);
    let first = planned("first");
    harness.backend.provision(&first).await.unwrap();
    harness.backend.provision(&planned("second")).await.unwrap();
    let refs: Vec<_> = harness.stripe.requests_to(create).iter().map(|request| service_ref(&request.body)).collect();
    assert_eq!(refs, ["startup", "memory", "memory"]);
    let key = &harness.stripe.requests_to(create)[0].headers["idempotency-key"];
    assert_eq!(*key, format!("{}-plan", first.id.as_str()));

    // A removed plan is ordered again.
    harness.stripe.on("GET /v2/provisioning/resources/fres_plan", [refusal(404, "resource_missing")]);
    harness.stripe.on(create, [ok(&plan), ok(&resource("complete"))]);
    harness.backend.provision(&planned("third")).await.unwrap();
    let refs: Vec<_> = harness.stripe.requests_to(create).iter().map(|request| service_ref(&request.body)).collect();
    assert_eq!(refs[3..], ["startup", "memory"]);
}

#[tokio::test]
async fn needed_consent_is_reported_before_any_purchase() {
    let harness = StripeApiHarness::new();
    let error_of = |order: Order| {
        let backend = &harness.backend;
        async move { backend.provision(&order).await.unwrap_err() }
    };
    let error = error_of(Order { terms_accepted: false, ..order("a") }).await;
    assert!(matches!(error, BackendError::NeedsConsent(Consent::Terms)), "{error}");
    assert_eq!(harness.stripe.request_lines(), [""; 0]);
    let error = error_of(Order { paid: false, ..order("a") }).await;
    assert!(matches!(error, BackendError::NeedsConsent(Consent::Price)), "{error}");
    let one_page = services(&[row("prvdr_1", "memory", "paid")], None);
    harness.stripe.on("GET /v2/provisioning/catalog/services", [ok(&one_page)]);
    let odd = json!({ "plan": "gold" }).as_object().unwrap().clone();
    let error = error_of(Order { config: odd, ..order("a") }).await;
    assert!(
        matches!(&error, BackendError::Refused(Refusal::Configuration { fields }) if fields == &["plan"]),
        "{error}"
    );
    let error = error_of(Order { service: ServiceRef::parse("super-memory/none").unwrap(), ..order("a") }).await;
    assert!(matches!(error, BackendError::Refused(Refusal::ServiceMissing { .. })), "{error}");
    harness.stripe.on("POST /v2/provisioning/payment_profile/update_limit", [refusal(400, "no_payment_method")]);
    let error = error_of(order("a")).await;
    assert!(matches!(error, BackendError::Refused(Refusal::LimitNotSet { .. })), "{error}");
    assert_eq!(harness.creates(), 0);
}

#[tokio::test]
async fn unconnected_provider_is_connected_or_linked_by_a_person() {
    let harness = StripeApiHarness::new();
    let connections = "GET /v2/provisioning/provider_connections";
    let requests = "POST /v2/provisioning/provider_connection_requests";
    let looks = "GET /v2/provisioning/provider_connection_requests/pcr_1";
    let expired = json!({ "id": "c", "provider": "prvdr_1", "status": "expired" });
    harness.stripe.on(connections, [ok(&json!({ "data": [expired] }))]);
    let request = |status: &str, url: Option<&str>| {
        let schema = json!({ "properties": { "region": {} } });
        ok(&json!({ "id": "pcr_1", "request_status": status, "redirect_url": url, "needs_information_schema": schema,
                    "error": { "code": "denied", "message": "m" } }))
    };
    let link = "https://connect.example/x?state=1";
    harness.stripe.on(requests, [request("pending_auth", Some(link))]);
    let error = harness.backend.provision(&order("a")).await.unwrap_err();
    assert!(matches!(&error, BackendError::NeedsLink { url } if url == link), "{error:?}");
    let body: Value = serde_json::from_str(&harness.stripe.requests_to(requests)[0].body).unwrap();
    assert_eq!(body, json!({ "configuration": {}, "project": "proj_at_stripe", "provider": "prvdr_1" }));

    for (status, url, what) in [
        ("pending_auth", Some("http://connect.example"), "unexpected redirect_url (…)"),
        ("pending_auth", Some("https://u:p@connect.example"), "unexpected redirect_url (…)"),
        ("half_way", None, "unexpected request_status (half_way)"),
        ("needs_information", None, "requires more information: region"),
        ("error", None, "the provider failed (denied)"),
    ] {
        harness.stripe.on(requests, [request(status, url)]);
        let error = harness.backend.provision(&order("a")).await.unwrap_err();
        assert!(error.to_string().ends_with(what), "{error}");
    }
    assert_eq!(harness.creates(), 0);
    harness.stripe.on(requests, [request("requested", None)]);
    harness.stripe.on(looks, [request("requested", None), request("complete", None)]);
    harness.backend.provision(&order("a")).await.unwrap();
    assert_eq!(harness.stripe.requests_to(looks).len(), 2);
}

#[tokio::test]
async fn rotation_is_polled_and_has_its_own_key() {
    let harness = StripeApiHarness::new();
    let rotate = "POST /v2/provisioning/resources/fres_1/rotate_credentials";
    harness.stripe.on(rotate, [raw(500, b""), ok(&resource("pending"))]);
    let look = "GET /v2/provisioning/resources/fres_1";
    harness.stripe.on(look, [ok(&resource("pending")), ok(&resource("complete"))]);
    harness.backend.rotate(&fres_1()).await.unwrap();
    harness.backend.suspend(&fres_1()).await.unwrap();
    let keys: Vec<_> =
        harness.stripe.requests_to(rotate).iter().map(|request| request.headers["idempotency-key"].clone()).collect();
    assert_eq!(keys[0], keys[1], "a try of the same rotation");
    assert_ne!(keys[1], keys[2], "another rotation");
    let reveals = "POST /v2/provisioning/resources/fres_1/reveal_access_configuration";
    assert_eq!(harness.stripe.requests_to(reveals).len(), 1, "a suspension reveals no key");

    // A removed resource counts as removed, whatever the error says.
    harness.stripe.on(rotate, [refusal(400, "resource_not_complete")]);
    harness.stripe.on(look, [ok(&resource("removed"))]);
    let gone = harness.backend.rotate(&fres_1()).await.unwrap_err();
    assert!(matches!(gone, BackendError::NotFound), "{gone}");
    let gone = harness.backend.resume(&fres_1()).await.unwrap_err();
    assert!(matches!(gone, BackendError::NotFound), "{gone}");
    harness.stripe.on(look, [ok(&resource("complete"))]);
    harness.backend.resume(&fres_1()).await.unwrap();
    let error = harness.backend.rotate(&fres_1()).await.unwrap_err();
    assert!(error.is_definite() && error.to_string().ends_with("(resource_not_complete)"), "{error}");
}

#[tokio::test]
async fn teardown_is_polled_and_idempotent() {
    let harness = StripeApiHarness::new();
    let remove = "POST /v2/provisioning/resources/fres_1/remove";
    let look = "GET /v2/provisioning/resources/fres_1";
    harness
        .stripe
        .on(remove, [ok(&resource("pending")), refusal(400, "already_removed"), refusal(404, "resource_missing")]);
    harness.stripe.on(look, [ok(&resource("pending")), ok(&resource("removed"))]);
    for _ in 0..3 {
        harness.backend.teardown(&fres_1()).await.unwrap();
    }
    assert_eq!(harness.stripe.requests_to(remove).len(), 3);
    harness.stripe.on(remove, [ok(&resource("pending"))]);
    harness.stripe.on(look, [ok(&resource("pending"))]);
    let error = harness.backend.teardown(&fres_1()).await.unwrap_err();
    assert!(matches!(error, BackendError::Unknown { .. }), "polling ends: {error}");
    harness.backend.teardown(&ResourceId::new("../projects".to_owned())).await.unwrap();
    assert!(harness.stripe.request_lines().iter().all(|line| !line.contains("..")), "an invalid id causes no request");
}

#[tokio::test]
async fn observations_are_complete_or_unknown() {
    let harness = StripeApiHarness::new();
    let everything = harness.backend.observe(Scope::Everything).await.unwrap_err();
    assert!(matches!(everything, BackendError::Unknown { .. }), "{everything}");
    let ids: Vec<_> = (0..20).map(|n| ResourceId::new(format!("fres_{n}"))).collect();
    for n in 0..20 {
        let there = json!({ "id": format!("fres_{n}"), "status": if n % 2 == 0 { "removed" } else { "complete" } });
        harness.stripe.on(&format!("GET /v2/provisioning/resources/fres_{n}"), [ok(&there)]);
    }
    harness.stripe.on("GET /v2/provisioning/resources/fres_3", [refusal(404, "resource_missing")]);
    let observed = harness.backend.observe(Scope::Resources(&ids)).await.unwrap();
    let observed: Vec<_> = observed.iter().map(|observed| observed.resource.as_str()).collect();
    assert_eq!(
        observed,
        ["fres_1", "fres_5", "fres_7", "fres_9", "fres_11", "fres_13", "fres_15", "fres_17", "fres_19"]
    );
    harness.stripe.on("GET /v2/provisioning/resources/fres_19", [status(500, &json!({}))]);
    let error = harness.backend.observe(Scope::Resources(&ids)).await.unwrap_err();
    assert!(matches!(error, BackendError::Unavailable { .. }), "a partial answer is an error: {error}");

    let order = order("mine");
    assert_eq!(harness.backend.observe(Scope::Order(&order.id)).await.unwrap(), []);
    harness.stripe.on("GET /v2/provisioning/resources/fres_1", [ok(&resource("complete"))]);
    harness.backend.provision(&order).await.unwrap();
    let observed = harness.backend.observe(Scope::Order(&order.id)).await.unwrap();
    assert_eq!((observed[0].resource.as_str(), observed[0].order.as_ref()), ("fres_1", Some(&order.id)));
}

#[tokio::test]
async fn api_key_goes_only_to_the_requested_list() {
    let (harness, stranger) = (StripeApiHarness::new(), MockStripeApi::unscripted());
    for next in [
        format!("http://{}/v2/provisioning/catalog/providers", stranger.address),
        format!("//{}/v2/provisioning/catalog/providers", stranger.address),
        "/v2/elsewhere".to_owned(),
    ] {
        let mut page = providers();
        page["next_page_url"] = json!(next);
        harness.stripe.on("GET /v2/provisioning/catalog/providers", [ok(&page)]);
        let error = harness.backend.provision(&order("a")).await.unwrap_err();
        assert!(matches!(error, BackendError::Malformed { what: "next_page_url", .. }), "{error}");
    }
    let circle = json!({ "data": [], "next_page_url": "/v2/provisioning/catalog/providers" });
    harness.stripe.on("GET /v2/provisioning/catalog/providers", [ok(&circle)]);
    harness.backend.provision(&order("a")).await.unwrap_err();
    let moved = raw(307, b"").with("location", &format!("http://{}/", stranger.address));
    harness.stripe.on("GET /v2/provisioning/catalog/providers", [moved]);
    let error = harness.backend.provision(&order("a")).await.unwrap_err();
    assert!(matches!(&error, BackendError::Malformed { what: "HTTP status", got } if got == "307"), "{error}");
    assert_eq!(stranger.request_lines(), [""; 0]);
}

#[tokio::test]
async fn non_text_credentials_are_an_error() {
    let harness = StripeApiHarness::new();
    let reveal = "POST /v2/provisioning/resources/fres_1/reveal_access_configuration";
    for (configuration, what) in [
        (json!({}), "unexpected credentials (none)"),
        (json!({ "API_KEY": "" }), "unexpected credential (API_KEY)"),
        (json!({ "API_KEY": { "nested": CREDENTIAL } }), "unexpected credential (API_KEY)"),
        (json!({ CREDENTIAL: 1 }), "unexpected credential (…)"),
        (json!(CREDENTIAL), "unexpected body (…)"),
    ] {
        harness.stripe.on(reveal, [ok(&json!({ "configuration": configuration }))]);
        let error = harness.backend.reveal(&fres_1()).await.unwrap_err();
        assert!(error.to_string().ends_with(what), "{error}");
    }
    // A resource that is still being created has credentials soon.
    harness.stripe.on(reveal, [refusal(400, "not_complete"), ok(&revealed())]);
    let look = "GET /v2/provisioning/resources/fres_1";
    harness.stripe.on(look, [ok(&resource("pending")), ok(&resource("complete"))]);
    harness.backend.reveal(&fres_1()).await.unwrap();
}

pub fn access(stripe: &MockStripeApi) -> ApiConfig {
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
    max_retries: 3,
    poll_pause: Duration::from_millis(1),
    poll_timeout: Duration::from_millis(200),
};
