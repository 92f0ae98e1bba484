//! The `stripe-cli` backend against the fake Stripe CLI, with and without faults. Nothing is bought twice.

use std::{fs, sync::Arc, time::Duration};

use async_trait::async_trait;
use backends::{
    Backend, BackendError, CapScope, Consent, Credentials, NewCap, Observed, Order, Refusal, Scope, Service, Setup,
    stripe_cli::{StripeCli, Timeouts},
};
use domain::{
    clock::Clock,
    money::{Cents, MicroUsd},
    name::{ProjectName, ProviderKey, ServiceRef},
    project::{ProjectId, ResourceId, Status},
    secret::Secret,
};
use serde_json::{Map, Value, json};
use storage::ledger::{Event, Grant, Intent, Ledger, LedgerError, LifetimeTerms, NewProject, OperationId, Verdict};
use stripe_projects_mcp::settings::LedgerNotes;
use tempfile::TempDir;

use crate::fake_stripe::{FakeStripeCli, LINK_URL, PREFIX};

/// The backend, with a ledger that records each order as the program does.
pub struct StripeCliHarness {
    pub fake_stripe: FakeStripeCli,
    state: TempDir,
    ledger: Arc<Ledger>,
    backend: StripeCli,
}

impl StripeCliHarness {
    pub fn new() -> Self {
        let (fake_stripe, state) = (FakeStripeCli::new(), tempfile::tempdir().unwrap());
        let bin = fake_stripe.script(state.path());
        let ledger = Arc::new(Ledger::of(state.path()));
        let pace = Timeouts {
            verb: Duration::from_millis(2500),
            poll_pause: Duration::from_millis(20),
            poll_timeout: Duration::from_millis(500),
            lock_timeout: Duration::from_secs(20),
            kill_timeout: Duration::from_secs(1),
            interrupted_add: Duration::from_secs(2),
        };
        let backend = StripeCli::new(
            Some(bin),
            Arc::new(LedgerNotes::new(Arc::clone(&ledger), NAME)),
            state.path().to_owned(),
            pace,
        );
        Self { fake_stripe, state, ledger, backend }
    }

    fn record_order(&self, order: &Order) -> Result<Intent, LedgerError> {
        let draft = NewProject {
            op: OperationId::random().unwrap(),
            id: order.id.clone(),
            name: ProjectName::parse(&order.id.as_str().replace('_', "-")).unwrap(),
            provider: ProviderKey::parse("search").unwrap(),
            service: order.service.clone(),
            backend: "stripe-cli".to_owned(),
            env_file: "/nowhere/.env".into(),
        };
        self.ledger.journal().begin_provision(&draft, &event(Verdict::Intended), |_| {
            Ok::<_, LedgerError>(Grant {
                cap: order.cap,
                period: domain::budget::CapPeriod::Month,
                deliveries: Vec::new(),
                term: LifetimeTerms::default(),
            })
        })
    }

    /// Counts the calls of `add` for the service itself, without plans.
    fn add_calls(&self, service: &str) -> usize {
        let is_it = |call: &&Value| {
            let argv = call["argv"].as_array().unwrap();
            call["verb"] == "add" && argv.iter().any(|word| word == service)
        };
        self.fake_stripe.log().iter().filter(is_it).count()
    }

    fn live_resources(&self, service: &str) -> usize {
        self.fake_stripe.resources().iter().filter(|live| live.service == service).count()
    }

    fn recorded_calls(&self) -> String {
        Value::Array(self.fake_stripe.log()).to_string()
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.state.path().join("stripe-cli").join(name)
    }
}

/// Records each order first, as the provisioner does.
#[async_trait]
impl Backend for StripeCliHarness {
    fn name(&self) -> &'static str {
        self.backend.name()
    }

    fn cap_scope(&self) -> CapScope {
        self.backend.cap_scope()
    }

    async fn provision(&self, order: &Order) -> Result<Service, BackendError> {
        let _ = self.record_order(order); // a repeated order is recorded already
        assert!(self.ledger.projects().committed_with(NAME, order.service.provider()).unwrap() >= order.cap);
        self.backend.provision(order).await
    }

    async fn reveal(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        self.backend.reveal(resource).await
    }

    async fn rotate(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        self.backend.rotate(resource).await
    }

    async fn teardown(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.backend.teardown(resource).await
    }

    async fn set_cap(&self, new: &NewCap) -> Result<(), BackendError> {
        self.backend.set_cap(new).await
    }

    async fn suspend(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.backend.suspend(resource).await
    }

    async fn resume(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.backend.resume(resource).await
    }

    async fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError> {
        self.backend.observe(scope).await
    }

    async fn reconcile_limits(&self) -> Result<(), BackendError> {
        self.backend.reconcile_limits().await
    }
}

#[tokio::test]
async fn order_sets_the_limit_first_and_leaves_no_plain_text() {
    let harness = StripeCliHarness::new();
    let first = harness.provision(&exa()).await.unwrap();
    let key = first.credentials.pick(Some("API_KEY")).unwrap();
    assert_eq!(harness.fake_stripe.owner_of(key.expose()), Some(first.resource.as_str().to_owned()));
    assert_eq!(harness.fake_stripe.limit("exa"), 1050);
    let calls = harness.fake_stripe.calls();
    let place = |verb: &str| calls.iter().position(|call| call == verb).unwrap();
    assert!(place("catalog") < place("init") && place("services list") < place("billing update"), "{calls:?}");
    assert!(place("billing update") < place("add"), "{calls:?}");
    assert!(!harness.file("credentials.env").exists());
    assert!(!harness.recorded_calls().contains(PREFIX));

    // A second one shares the plan, and its key differs from the first's.
    let second = harness.provision(&exa()).await.unwrap();
    let other = second.credentials.pick(None).unwrap();
    assert_eq!(harness.fake_stripe.owner_of(other.expose()), Some(second.resource.as_str().to_owned()));
    assert_eq!(
        (harness.fake_stripe.limit("exa"), harness.live_resources("exa/free"), harness.live_resources("exa/api")),
        (2100, 1, 2)
    );
    assert_eq!(fingerprint(&harness.reveal(&first.resource).await.unwrap()), key.fingerprint().as_str());
}

#[tokio::test]
async fn concurrent_orders_are_serialized() {
    let harness = StripeCliHarness::new();
    let (first, second) = (exa(), exa());
    let (first, second) = tokio::join!(harness.provision(&first), harness.provision(&second));
    assert_ne!(first.unwrap().resource, second.unwrap().resource);
    assert_eq!(
        (harness.live_resources("exa/free"), harness.live_resources("exa/api"), harness.fake_stripe.limit("exa")),
        (1, 2, 2100)
    );
    assert_eq!(harness.fake_stripe.calls().iter().filter(|call| *call == "init").count(), 1);
}

#[tokio::test]
async fn add_of_unknown_outcome_is_looked_up_and_never_repeated() {
    for fault in ["hang_after", "die_after", "truncated", "garbage", "two_envelopes", "huge", "error_after"] {
        let harness = StripeCliHarness::new();
        harness.fake_stripe.inject_faults(json!([{ "verb": "add", "only": "exa/api", "fault": fault }]));
        let service = harness.provision(&exa()).await.unwrap_or_else(|error| panic!("{fault}: {error}"));
        let key = service.credentials.pick(None).unwrap();
        assert_eq!(harness.fake_stripe.owner_of(key.expose()), Some(service.resource.as_str().to_owned()), "{fault}");
        assert_eq!((harness.add_calls("exa/api"), harness.live_resources("exa/api")), (1, 1), "{fault}");
        assert!(harness.fake_stripe.pending_faults().is_empty() && !harness.fake_stripe.still_hangs(), "{fault}");
    }
}

#[tokio::test]
async fn refused_add_is_a_definite_failure() {
    let harness = StripeCliHarness::new();
    harness.fake_stripe.inject_faults(json!([{ "verb": "add", "only": "exa/api", "fault": "error" }]));
    let order = exa();
    let error = harness.provision(&order).await.unwrap_err();
    assert!(matches!(error, BackendError::Unavailable { .. }), "{error}");
    assert_eq!((harness.add_calls("exa/api"), harness.live_resources("exa/api")), (1, 0));
    assert_eq!(harness.observe(Scope::Order(&order.id)).await.unwrap(), []);
}

/// An order that Stripe may still be processing is not reported as absent.
#[tokio::test]
async fn interrupted_add_proves_nothing_for_a_while() {
    for fault in ["hang", "die_before"] {
        let harness = StripeCliHarness::new();
        harness.fake_stripe.inject_faults(json!([{ "verb": "add", "only": "exa/api", "fault": fault }]));
        let order = exa();
        let error = harness.provision(&order).await.unwrap_err();
        assert!(matches!(error, BackendError::Unknown { .. }), "{fault}: {error}");
        let error = harness.observe(Scope::Order(&order.id)).await.unwrap_err();
        assert!(matches!(error, BackendError::Unknown { .. }), "{fault}: {error}");
        assert_eq!((harness.add_calls("exa/api"), harness.live_resources("exa/api")), (1, 0), "{fault}");
        assert!(!harness.fake_stripe.still_hangs(), "{fault}");
        let absent = async { while harness.observe(Scope::Order(&order.id)).await.is_err() {} };
        tokio::time::timeout(Duration::from_secs(60), absent).await.unwrap_or_else(|_| panic!("{fault}: forever"));
        assert_eq!(harness.observe(Scope::Order(&order.id)).await.unwrap(), []);
    }
}

#[tokio::test]
async fn add_that_cannot_be_looked_up_stays_unknown() {
    for fault in ["no_lists", "garbage", "unnamed_row", "repeated_row"] {
        let harness = StripeCliHarness::new();
        harness.fake_stripe.inject_faults(json!([
            { "verb": "add", "only": "exa/api", "fault": "die_after" },
            { "verb": "services list", "fault": fault, "skip": 1 },
        ]));
        let order = exa();
        let error = harness.provision(&order).await.unwrap_err();
        assert!(matches!(error, BackendError::Unknown { .. }), "{fault}: {error}");
        let observed = harness.observe(Scope::Order(&order.id)).await.unwrap();
        assert_eq!(observed.len(), 1);
        let adopted = harness.provision(&order).await.unwrap();
        assert_eq!(adopted.resource, observed[0].resource);
        assert_eq!((harness.add_calls("exa/api"), harness.live_resources("exa/api")), (1, 1), "{fault}");
    }
}

#[tokio::test]
async fn inconclusive_list_prevents_a_purchase() {
    for fault in ["no_lists", "garbage", "truncated", "two_envelopes", "repeated_row", "unnamed_row", "die_before"] {
        let harness = StripeCliHarness::new();
        harness.provision(&order("elevenlabs/tts")).await.unwrap();
        harness.fake_stripe.inject_faults(json!([{ "verb": "services list", "fault": fault }]));
        let error = harness.provision(&exa()).await.unwrap_err();
        assert!(matches!(error, BackendError::Unavailable { .. }), "{fault}: {error}");
        assert_eq!(harness.add_calls("exa/api"), 0, "{fault}");
        assert!(harness.fake_stripe.pending_faults().is_empty(), "{fault}");
    }
}

#[tokio::test]
async fn order_without_a_limit_is_not_placed() {
    for fault in ["error", "hang", "garbage", "die_after"] {
        let harness = StripeCliHarness::new();
        harness.fake_stripe.inject_faults(json!([{ "verb": "billing update", "fault": fault }]));
        let error = harness.provision(&exa()).await.unwrap_err();
        let named = matches!(error, BackendError::Refused(Refusal::LimitNotSet { .. }));
        assert!(error.is_definite() && named == (fault == "error"), "{fault}: {error}");
        assert_eq!(harness.add_calls("exa/api") + harness.live_resources("exa/free"), 0, "{fault}");
    }
}

#[tokio::test]
async fn each_refusal_names_the_next_step_and_buys_nothing() {
    type Check = fn(&BackendError) -> bool;
    let faults =
        |verb: &str, code: &str| json!([{ "verb": verb, "fault": "error", "code": code, "message": "sk_live_0" }]);
    let cases: Vec<(Value, Order, Check)> = vec![
        (json!([]), Order { terms_accepted: false, ..exa() }, |e| {
            matches!(e, BackendError::NeedsConsent(Consent::Terms))
        }),
        (json!([]), Order { plan: None, ..order("neon/postgres") }, |e| {
            matches!(e, BackendError::Refused(Refusal::PlanRequired))
        }),
        (
            json!([]),
            order("chroma/database"),
            |e| matches!(e, BackendError::Refused(Refusal::Configuration { fields }) if fields == &["name"]),
        ),
        (json!([]), with(order("chroma/database"), json!({ "name": "agent" })), |e| {
            matches!(e, BackendError::NeedsConsent(Consent::Price))
        }),
        (json!([]), order("exa/none"), |e| matches!(e, BackendError::Refused(Refusal::ServiceMissing { .. }))),
        (json!([{ "fault": "logged_out" }]), exa(), |e| matches!(e, BackendError::NotSetUp(Setup::LoggedOut))),
        (json!([{ "fault": "cli_too_old", "times": 2 }]), exa(), |e| {
            matches!(e, BackendError::NotSetUp(Setup::CliTooOld))
        }),
        (json!([{ "verb": "init", "fault": "not_eligible" }]), exa(), |e| {
            matches!(e, BackendError::Refused(Refusal::AccountNotEligible))
        }),
        (json!([{ "verb": "status", "fault": "merchant_mismatch" }]), exa(), |e| {
            matches!(e, BackendError::NotSetUp(Setup::WrongAccount))
        }),
        (faults("add", "BROWSER_AUTH_REQUIRED"), exa(), |e| matches!(e, BackendError::NeedsBrowser)),
        (faults("add", "INVALID_API_KEY"), exa(), |e| matches!(e, BackendError::Unauthenticated)),
        (faults("init", "PROJECTS_CONTEXT_MISMATCH"), exa(), |e| {
            matches!(e, BackendError::NotSetUp(Setup::OtherProject { .. }))
        }),
    ];
    for (faults, order, is_it) in cases {
        let harness = StripeCliHarness::new();
        harness.fake_stripe.inject_faults(faults.clone());
        let error = harness.provision(&order).await.unwrap_err();
        assert!(is_it(&error), "{faults} {}: {error:?}", order.service);
        assert!(!format!("{error:?} {error}").contains("sk_live_0"), "{error:?}");
        assert_eq!(harness.live_resources(order.service.as_str()), 0);
        assert!(harness.fake_stripe.pending_faults().is_empty(), "{faults}");
    }
}

#[tokio::test]
async fn unlinked_provider_is_linked_by_a_person() {
    let harness = StripeCliHarness::new();
    harness.fake_stripe.unlink("exa");
    let error = harness.provision(&exa()).await.unwrap_err();
    let here = harness.state.path().join("stripe-cli");
    assert!(matches!(&error, BackendError::NotLinked { provider, folder } if provider == "exa" && *folder == here));
    // Once the user has begun to link it, Stripe returns the URL to continue.
    harness.fake_stripe.set("exa", "browser", json!(true));
    harness.fake_stripe.run(&here, &["link", "exa", "--accept-tos", "--yes"]);
    let error = harness.provision(&exa()).await.unwrap_err();
    assert!(matches!(&error, BackendError::NeedsLink { url } if url.starts_with(LINK_URL)));
    harness.fake_stripe.link("exa");
    harness.provision(&exa()).await.unwrap();
}

#[tokio::test]
async fn pending_service_is_polled_with_a_limit() {
    let harness = StripeCliHarness::new();
    harness.fake_stripe.inject_faults(json!([{ "verb": "add", "only": "exa/api", "fault": "not_ready", "polls": 3 }]));
    harness.provision(&exa()).await.unwrap().credentials.pick(None).unwrap();
    harness
        .fake_stripe
        .inject_faults(json!([{ "verb": "add", "only": "exa/api", "fault": "not_ready", "polls": 1000 }]));
    let order = exa();
    let error = harness.provision(&order).await.unwrap_err();
    assert!(matches!(error, BackendError::Unknown { .. }), "{error}");
    assert_eq!(harness.observe(Scope::Order(&order.id)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn unknown_rotation_is_reported_and_the_new_key_revealed() {
    for fault in ["hang_after", "die_after", "garbage", "error_after"] {
        let harness = StripeCliHarness::new();
        let service = harness.provision(&exa()).await.unwrap();
        harness.fake_stripe.inject_faults(json!([{ "verb": "rotate", "fault": fault }]));
        let error = harness.rotate(&service.resource).await.unwrap_err();
        assert!(matches!(error, BackendError::Unknown { .. }), "{fault}: {error}");
        let revealed = harness.reveal(&service.resource).await.unwrap();
        assert_ne!(fingerprint(&revealed), fingerprint(&service.credentials), "{fault}");
    }
    // A successful rotation whose key cannot be read has an unknown outcome as well.
    let harness = StripeCliHarness::new();
    let service = harness.provision(&exa()).await.unwrap();
    harness.fake_stripe.inject_faults(json!([{ "verb": "env --pull", "fault": "logged_out" }]));
    assert!(!harness.rotate(&service.resource).await.unwrap_err().is_definite());
    harness.fake_stripe.set("exa/api", "unrotatable", json!(true));
    let error = harness.rotate(&service.resource).await.unwrap_err();
    assert!(matches!(error, BackendError::Refused(Refusal::ProviderFailed { code: Some(_) })), "{error}");
}

#[tokio::test]
async fn teardown_is_verified() {
    for fault in ["hang_after", "die_after", "garbage", "error_after"] {
        let harness = StripeCliHarness::new();
        let service = harness.provision(&exa()).await.unwrap();
        harness.fake_stripe.inject_faults(json!([{ "verb": "remove", "fault": fault }]));
        harness.teardown(&service.resource).await.unwrap_or_else(|error| panic!("{fault}: {error}"));
        assert_eq!(harness.live_resources("exa/api"), 0, "{fault}");
    }
    for (fault, verb) in [("survives", "remove"), ("hang", "remove"), ("no_lists", "status"), ("logged_out", "status")]
    {
        let harness = StripeCliHarness::new();
        let service = harness.provision(&exa()).await.unwrap();
        harness
            .fake_stripe
            .inject_faults(json!([{ "verb": verb, "fault": fault, "skip": usize::from(verb == "status") }]));
        let error = harness.teardown(&service.resource).await.unwrap_err();
        assert!(!error.is_definite(), "{fault}: {error}");
        harness.teardown(&service.resource).await.unwrap();
        assert_eq!(harness.live_resources("exa/api"), 0, "{fault}");
    }
}

#[tokio::test]
async fn lost_folder_is_pulled_again_and_a_foreign_one_refused() {
    let harness = StripeCliHarness::new();
    let service = harness.provision(&exa()).await.unwrap();
    fs::remove_dir_all(harness.file(".projects")).unwrap();
    assert_eq!(fingerprint(&harness.reveal(&service.resource).await.unwrap()), fingerprint(&service.credentials));
    harness.fake_stripe.inject_faults(json!([{ "verb": "env --pull", "fault": "half_written_state" }]));
    harness.reveal(&service.resource).await.unwrap();
    harness.reveal(&service.resource).await.unwrap();
    harness.fake_stripe.inject_faults(json!([{ "verb": "status", "fault": "other_project" }]));
    let error = harness.observe(Scope::Everything).await.unwrap_err();
    assert!(matches!(error, BackendError::NotSetUp(Setup::OtherProject { .. })), "{error}");
}

#[tokio::test]
async fn interrupted_init_is_adopted() {
    for fault in ["die_before", "die_after", "hang_after", "garbage", "half_written_state"] {
        let harness = StripeCliHarness::new();
        harness.fake_stripe.inject_faults(json!([{ "verb": "init", "fault": fault }]));
        let first = harness.provision(&exa()).await;
        let service = harness.provision(&exa()).await.unwrap_or_else(|error| panic!("{fault}: {error}"));
        assert_eq!(harness.reveal(&service.resource).await.unwrap().secrets().count(), 1, "{fault}");
        assert_eq!(harness.live_resources("exa/api"), 1 + usize::from(first.is_ok()), "{fault}");
    }
}

#[tokio::test]
async fn plain_text_leftover_is_removed_after_every_call() {
    let harness = StripeCliHarness::new();
    let service = harness.provision(&exa()).await.unwrap();
    for fault in ["die_after", "hang_after", "garbage", "error_after"] {
        harness.fake_stripe.inject_faults(json!([{ "verb": "env --pull", "fault": fault }]));
        harness.reveal(&service.resource).await.unwrap_err();
        assert!(!harness.file("credentials.env").exists(), "{fault}");
    }
    fs::write(harness.file("credentials.env"), "A=1\n").unwrap();
    harness.observe(Scope::Everything).await.unwrap();
    assert!(!harness.file("credentials.env").exists());
}

#[tokio::test]
async fn credentials_have_the_names_of_the_service() {
    let harness = StripeCliHarness::new();
    harness.fake_stripe.set("env", "quote", json!(true));
    harness.fake_stripe.set("agentmail/api", "naming", json!("provider"));
    harness.fake_stripe.set("neon/postgres", "connection_string", json!(true));
    for (service, plan, wanted) in [
        ("agentmail/api", Some("agentmail/free"), &["AGENTMAIL_API_KEY"][..]),
        ("neon/postgres", Some("neon/free"), &["CONNECTION_STRING", "PROJECT_ID"]),
        ("browserbase/project", Some("browserbase/free"), &["BROWSERBASE_API_KEY", "BROWSERBASE_PROJECT_ID"]),
        ("elevenlabs/tts", None, &[]),
    ] {
        let credentials = wanted.iter().map(ToString::to_string).collect();
        let plan = plan.map(|plan| ServiceRef::parse(plan).unwrap());
        let result = harness.provision(&Order { plan, credentials, ..order(service) }).await.unwrap();
        let revealed = harness.reveal(&result.resource).await.unwrap();
        let live =
            harness.fake_stripe.resources().into_iter().find(|live| live.id == result.resource.as_str()).unwrap();
        for credentials in [&result.credentials, &revealed] {
            assert_eq!(credentials.secrets().count(), live.values.len());
            for (name, value) in &live.values {
                assert_eq!(credentials.pick(Some(name)).unwrap().expose(), value.as_str().unwrap(), "{service} {name}");
            }
        }
    }
    let error = harness.provision(&Order { credentials: vec!["TOKEN".to_owned()], ..exa() }).await.unwrap_err();
    let BackendError::Malformed { what: "variables", got } = &error else { panic!("{error}") };
    assert!(got.contains("_API_KEY") && !got.contains(PREFIX), "{got}");
}

#[tokio::test]
async fn keys_printed_by_stripe_are_in_no_error() {
    let harness = StripeCliHarness::new();
    let service = harness.provision(&exa()).await.unwrap();
    let key = format!("{PREFIX}1");
    for (verb, fault) in
        [("rotate", "error_after"), ("env --pull", "error"), ("remove", "error"), ("status", "garbage")]
    {
        harness.fake_stripe.inject_faults(json!([
            { "verb": verb, "fault": fault, "code": key, "message": key },
            { "verb": verb, "fault": "leaky" },
        ]));
        let error = match verb {
            "rotate" => harness.rotate(&service.resource).await.map(drop),
            "remove" => harness.teardown(&service.resource).await,
            _ => harness.reveal(&service.resource).await.map(drop),
        };
        let text = format!("{0:?} {0}", error.unwrap_err());
        assert!(!text.contains(PREFIX), "{verb}: {text}");
    }
}

#[tokio::test]
async fn limits_follow_live_caps_and_usage_is_per_service() {
    let harness = StripeCliHarness::new();
    let order = exa();
    let intent = harness.record_order(&order).unwrap();
    let service = harness.provision(&order).await.unwrap();
    harness.fake_stripe.bill("exa", 125);
    let ids = [service.resource.clone()];
    let usage = async || harness.observe(Scope::Resources(&ids)).await.unwrap()[0].usage;
    assert_eq!(usage().await, Some(MicroUsd::new(1_250_000)));
    let second = harness.provision(&exa()).await.unwrap();
    assert_eq!(usage().await, None, "two share what the provider bills");
    harness.teardown(&second.resource).await.unwrap();
    harness.fake_stripe.inject_faults(json!([{ "verb": "spend", "fault": "garbage" }]));
    assert_eq!(usage().await, None, "never an error");

    assert_eq!(harness.fake_stripe.limit("exa"), 2100);
    harness.ledger.journal().close(intent, Status::Failed, &event(Verdict::Failed)).unwrap();
    harness.fake_stripe.inject_faults(json!([{ "verb": "billing update", "fault": "error" }]));
    harness.reconcile_limits().await.unwrap_err();
    harness.reconcile_limits().await.unwrap();
    assert_eq!(harness.fake_stripe.limit("exa"), 1050);
    let calls = harness.fake_stripe.calls().len();
    harness.reconcile_limits().await.unwrap();
    assert_eq!(harness.fake_stripe.calls().len(), calls, "a reconciled limit is not sent again");
}

fn exa() -> Order {
    Order { plan: Some(ServiceRef::parse("exa/free").unwrap()), ..order("exa/api") }
}

fn order(service: &str) -> Order {
    Order {
        id: ProjectId::random().unwrap(),
        name: ProjectName::parse("search").unwrap(),
        service: ServiceRef::parse(service).unwrap(),
        plan: None,
        config: Map::new(),
        credentials: Vec::new(),
        cap: Cents::parse_usd("10.50").unwrap(),
        paid: false,
        terms_accepted: true,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a configuration is written at the place of the call")]
fn with(order: Order, config: Value) -> Order {
    Order { config: config.as_object().unwrap().clone(), ..order }
}

fn fingerprint(credentials: &Credentials) -> String {
    credentials.pick(None).map(Secret::fingerprint).unwrap().as_str().to_owned()
}

fn event(verdict: Verdict) -> Event {
    let (actor, detail) = (String::new(), json!({}));
    Event { at: Clock::system().now(), channel: "cli", actor, action: "provision", verdict, detail }
}

const NAME: &str = "stripe-cli";
