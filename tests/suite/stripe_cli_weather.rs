//! The real backend against the stand-in for `stripe`, in fair weather and foul: what is bought once is bought once.

use std::{fs, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use stripe_projects_mcp::{
    backend::{
        Backend, BackendError, CapScope, Consent, Credentials, Observed, Order, Refusal, Scope, Service, Setup,
        stripe_cli::{StripeCli, Timeouts},
    },
    clock::Clock,
    ledger::{Event, Grant, Intent, Ledger, LedgerError, LifetimeTerms, NewProject, OperationId, Verdict},
    money::{Cents, MicroUsd},
    name::{ProjectName, ProviderKey, ServiceRef},
    project::{ProjectId, ResourceId, Status},
    secret::Secret,
};
use tempfile::TempDir;

use crate::stand_in::{PREFIX, StandIn};

/// The backend, with a ledger that knows of each order as it would in the house.
pub struct Shop {
    pub stand_in: StandIn,
    state: TempDir,
    ledger: Arc<Ledger>,
    backend: StripeCli,
}

impl Shop {
    pub fn new() -> Self {
        let (stand_in, state) = (StandIn::new(), tempfile::tempdir().unwrap());
        let bin = stand_in.script(state.path());
        let ledger = Arc::new(Ledger::of(state.path()));
        let pace = Timeouts {
            verb: Duration::from_millis(2500),
            poll_pause: Duration::from_millis(20),
            poll_patience: Duration::from_millis(500),
            lock_patience: Duration::from_secs(20),
            cut_off_memory: Duration::from_secs(2),
        };
        let backend = StripeCli::new(Some(bin), Arc::clone(&ledger), state.path().to_owned(), pace);
        Self { stand_in, state, ledger, backend }
    }

    fn book(&self, order: &Order) -> Result<Intent, LedgerError> {
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
            Ok::<_, LedgerError>(Grant { cap: order.cap, deliveries: Vec::new(), term: LifetimeTerms::default() })
        })
    }

    /// How often `add` was said of the service itself, plans not counted.
    fn added(&self, service: &str) -> usize {
        let is_it = |call: &&Value| {
            let argv = call["argv"].as_array().unwrap();
            call["verb"] == "add" && argv.iter().any(|word| word == service)
        };
        self.stand_in.log().iter().filter(is_it).count()
    }

    fn live(&self, service: &str) -> usize {
        self.stand_in.resources().iter().filter(|live| live.service == service).count()
    }

    fn said(&self) -> String {
        Value::Array(self.stand_in.log()).to_string()
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.state.path().join("stripe-cli").join(name)
    }
}

/// What the provisioner does before it orders.
#[async_trait]
impl Backend for Shop {
    fn name(&self) -> &'static str {
        self.backend.name()
    }

    fn cap_scope(&self) -> CapScope {
        self.backend.cap_scope()
    }

    async fn provision(&self, order: &Order) -> Result<Service, BackendError> {
        let _ = self.book(order); // one that is placed again is booked already
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
async fn an_order_is_limited_before_it_is_bought_and_leaves_nothing_in_the_plain() {
    let shop = Shop::new();
    let first = shop.provision(&exa()).await.unwrap();
    let key = first.credentials.pick(Some("API_KEY")).unwrap();
    assert_eq!(shop.stand_in.owner_of(key.expose()), Some(first.resource.as_str().to_owned()));
    assert_eq!(shop.stand_in.limit("exa"), 1050);
    let calls = shop.stand_in.calls();
    let place = |verb: &str| calls.iter().position(|call| call == verb).unwrap();
    assert!(place("catalog") < place("init") && place("services list") < place("billing update"), "{calls:?}");
    assert!(place("billing update") < place("add"), "{calls:?}");
    assert!(!shop.file("credentials.env").exists());
    assert!(!shop.said().contains(PREFIX));

    // A second one shares the plan, and its key is told from the first's.
    let second = shop.provision(&exa()).await.unwrap();
    let other = second.credentials.pick(None).unwrap();
    assert_eq!(shop.stand_in.owner_of(other.expose()), Some(second.resource.as_str().to_owned()));
    assert_eq!((shop.stand_in.limit("exa"), shop.live("exa/free"), shop.live("exa/api")), (2100, 1, 2));
    assert_eq!(fingerprint(&shop.reveal(&first.resource).await.unwrap()), key.fingerprint().as_str());
}

#[tokio::test]
async fn two_orders_at_once_come_one_after_the_other() {
    let shop = Shop::new();
    let (first, second) = (exa(), exa());
    let (first, second) = tokio::join!(shop.provision(&first), shop.provision(&second));
    assert_ne!(first.unwrap().resource, second.unwrap().resource);
    assert_eq!((shop.live("exa/free"), shop.live("exa/api"), shop.stand_in.limit("exa")), (1, 2, 2100));
    assert_eq!(shop.stand_in.calls().iter().filter(|call| *call == "init").count(), 1);
}

#[tokio::test]
async fn an_add_of_unknown_outcome_is_looked_up_and_never_repeated() {
    for fault in ["hang_after", "die_after", "truncated", "garbage", "two_envelopes", "huge", "error_after"] {
        let shop = Shop::new();
        shop.stand_in.weather(json!([{ "verb": "add", "only": "exa/api", "fault": fault }]));
        let service = shop.provision(&exa()).await.unwrap_or_else(|error| panic!("{fault}: {error}"));
        let key = service.credentials.pick(None).unwrap();
        assert_eq!(shop.stand_in.owner_of(key.expose()), Some(service.resource.as_str().to_owned()), "{fault}");
        assert_eq!((shop.added("exa/api"), shop.live("exa/api")), (1, 1), "{fault}");
        assert!(shop.stand_in.forecast().is_empty() && !shop.stand_in.still_hangs(), "{fault}");
    }
}

#[tokio::test]
async fn an_add_that_said_no_is_certain_to_have_done_nothing() {
    let shop = Shop::new();
    shop.stand_in.weather(json!([{ "verb": "add", "only": "exa/api", "fault": "error" }]));
    let order = exa();
    let error = shop.provision(&order).await.unwrap_err();
    assert!(matches!(error, BackendError::Unavailable { .. }), "{error}");
    assert_eq!((shop.added("exa/api"), shop.live("exa/api")), (1, 0));
    assert_eq!(shop.observe(Scope::Order(&order.id)).await.unwrap(), []);
}

/// What Stripe may still be at work on is not said to be absent until it can be known.
#[tokio::test]
async fn an_add_that_was_cut_off_proves_nothing_for_a_while() {
    for fault in ["hang", "die_before"] {
        let shop = Shop::new();
        shop.stand_in.weather(json!([{ "verb": "add", "only": "exa/api", "fault": fault }]));
        let order = exa();
        let error = shop.provision(&order).await.unwrap_err();
        assert!(matches!(error, BackendError::Unknown { .. }), "{fault}: {error}");
        let error = shop.observe(Scope::Order(&order.id)).await.unwrap_err();
        assert!(matches!(error, BackendError::Unknown { .. }), "{fault}: {error}");
        assert_eq!((shop.added("exa/api"), shop.live("exa/api")), (1, 0), "{fault}");
        assert!(!shop.stand_in.still_hangs(), "{fault}");
        let absent = async { while shop.observe(Scope::Order(&order.id)).await.is_err() {} };
        tokio::time::timeout(Duration::from_secs(60), absent).await.unwrap_or_else(|_| panic!("{fault}: for ever"));
        assert_eq!(shop.observe(Scope::Order(&order.id)).await.unwrap(), []);
    }
}

#[tokio::test]
async fn an_add_that_cannot_be_looked_up_stays_unknown_until_it_can() {
    for blind in ["no_lists", "garbage", "unnamed_row", "repeated_row"] {
        let shop = Shop::new();
        shop.stand_in.weather(json!([
            { "verb": "add", "only": "exa/api", "fault": "die_after" },
            { "verb": "services list", "fault": blind, "skip": 1 },
        ]));
        let order = exa();
        let error = shop.provision(&order).await.unwrap_err();
        assert!(matches!(error, BackendError::Unknown { .. }), "{blind}: {error}");
        let seen = shop.observe(Scope::Order(&order.id)).await.unwrap();
        assert_eq!(seen.len(), 1);
        let adopted = shop.provision(&order).await.unwrap();
        assert_eq!(adopted.resource, seen[0].resource);
        assert_eq!((shop.added("exa/api"), shop.live("exa/api")), (1, 1), "{blind}");
    }
}

#[tokio::test]
async fn nothing_is_bought_on_a_list_that_proves_nothing() {
    for blind in ["no_lists", "garbage", "truncated", "two_envelopes", "repeated_row", "unnamed_row", "die_before"] {
        let shop = Shop::new();
        shop.provision(&order("elevenlabs/tts")).await.unwrap();
        shop.stand_in.weather(json!([{ "verb": "services list", "fault": blind }]));
        let error = shop.provision(&exa()).await.unwrap_err();
        assert!(matches!(error, BackendError::Unavailable { .. }), "{blind}: {error}");
        assert_eq!(shop.added("exa/api"), 0, "{blind}");
        assert!(shop.stand_in.forecast().is_empty(), "{blind}");
    }
}

#[tokio::test]
async fn no_limit_no_purchase() {
    for fault in ["error", "hang", "garbage", "die_after"] {
        let shop = Shop::new();
        shop.stand_in.weather(json!([{ "verb": "billing update", "fault": fault }]));
        let error = shop.provision(&exa()).await.unwrap_err();
        let named = matches!(error, BackendError::Refused(Refusal::LimitNotSet { .. }));
        assert!(error.is_definite() && named == (fault == "error"), "{fault}: {error}");
        assert_eq!(shop.added("exa/api") + shop.live("exa/free"), 0, "{fault}");
    }
}

#[tokio::test]
async fn every_refusal_says_what_to_do_next_and_buys_nothing() {
    type Check = fn(&BackendError) -> bool;
    let weather =
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
        (weather("add", "BROWSER_AUTH_REQUIRED"), exa(), |e| matches!(e, BackendError::NeedsBrowser)),
        (weather("add", "INVALID_API_KEY"), exa(), |e| matches!(e, BackendError::Unauthenticated)),
        (weather("init", "PROJECTS_CONTEXT_MISMATCH"), exa(), |e| {
            matches!(e, BackendError::NotSetUp(Setup::OtherProject { .. }))
        }),
    ];
    for (weather, order, is_it) in cases {
        let shop = Shop::new();
        shop.stand_in.weather(weather.clone());
        let error = shop.provision(&order).await.unwrap_err();
        assert!(is_it(&error), "{weather} {}: {error:?}", order.service);
        assert!(!format!("{error:?} {error}").contains("sk_live_0"), "{error:?}");
        assert_eq!(shop.live(order.service.as_str()), 0);
        assert!(shop.stand_in.forecast().is_empty(), "{weather}");
    }
}

#[tokio::test]
async fn an_unlinked_provider_is_linked_by_a_person() {
    let shop = Shop::new();
    shop.stand_in.unlink("exa");
    let error = shop.provision(&exa()).await.unwrap_err();
    let here = shop.state.path().join("stripe-cli");
    assert!(matches!(&error, BackendError::NotLinked { provider, folder } if provider == "exa" && *folder == here));
    // Once somebody has begun to link it, Stripe says where to go on.
    shop.stand_in.set("exa", "browser", json!(true));
    shop.stand_in.run(&here, &["link", "exa", "--accept-tos", "--yes"]);
    let error = shop.provision(&exa()).await.unwrap_err();
    assert!(matches!(&error, BackendError::NeedsLink { url } if url.starts_with("https://connect.standin.example/")));
    shop.stand_in.link("exa");
    shop.provision(&exa()).await.unwrap();
}

#[tokio::test]
async fn a_service_that_takes_its_time_is_waited_for_and_not_for_ever() {
    let shop = Shop::new();
    shop.stand_in.weather(json!([{ "verb": "add", "only": "exa/api", "fault": "not_ready", "polls": 3 }]));
    shop.provision(&exa()).await.unwrap().credentials.pick(None).unwrap();
    shop.stand_in.weather(json!([{ "verb": "add", "only": "exa/api", "fault": "not_ready", "polls": 1000 }]));
    let order = exa();
    let error = shop.provision(&order).await.unwrap_err();
    assert!(matches!(error, BackendError::Unknown { .. }), "{error}");
    assert_eq!(shop.observe(Scope::Order(&order.id)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_rotation_in_doubt_says_so_and_the_new_key_is_revealed() {
    for fault in ["hang_after", "die_after", "garbage", "error_after"] {
        let shop = Shop::new();
        let service = shop.provision(&exa()).await.unwrap();
        shop.stand_in.weather(json!([{ "verb": "rotate", "fault": fault }]));
        let error = shop.rotate(&service.resource).await.unwrap_err();
        assert!(matches!(error, BackendError::Unknown { .. }), "{fault}: {error}");
        let revealed = shop.reveal(&service.resource).await.unwrap();
        assert_ne!(fingerprint(&revealed), fingerprint(&service.credentials), "{fault}");
    }
    // A rotation that worked, and whose key cannot be had, is in doubt as well.
    let shop = Shop::new();
    let service = shop.provision(&exa()).await.unwrap();
    shop.stand_in.weather(json!([{ "verb": "env --pull", "fault": "logged_out" }]));
    assert!(!shop.rotate(&service.resource).await.unwrap_err().is_definite());
    shop.stand_in.set("exa/api", "unrotatable", json!(true));
    let error = shop.rotate(&service.resource).await.unwrap_err();
    assert!(matches!(error, BackendError::Refused(Refusal::ProviderFailed { code: Some(_) })), "{error}");
}

#[tokio::test]
async fn a_teardown_is_proved() {
    for fault in ["hang_after", "die_after", "garbage", "error_after"] {
        let shop = Shop::new();
        let service = shop.provision(&exa()).await.unwrap();
        shop.stand_in.weather(json!([{ "verb": "remove", "fault": fault }]));
        shop.teardown(&service.resource).await.unwrap_or_else(|error| panic!("{fault}: {error}"));
        assert_eq!(shop.live("exa/api"), 0, "{fault}");
    }
    for (fault, verb) in [("survives", "remove"), ("hang", "remove"), ("no_lists", "status"), ("logged_out", "status")]
    {
        let shop = Shop::new();
        let service = shop.provision(&exa()).await.unwrap();
        shop.stand_in.weather(json!([{ "verb": verb, "fault": fault, "skip": usize::from(verb == "status") }]));
        let error = shop.teardown(&service.resource).await.unwrap_err();
        assert!(!error.is_definite(), "{fault}: {error}");
        shop.teardown(&service.resource).await.unwrap();
        assert_eq!(shop.live("exa/api"), 0, "{fault}");
    }
}

#[tokio::test]
async fn a_lost_or_half_written_folder_is_pulled_again_and_a_foreign_one_refused() {
    let shop = Shop::new();
    let service = shop.provision(&exa()).await.unwrap();
    fs::remove_dir_all(shop.file(".projects")).unwrap();
    assert_eq!(fingerprint(&shop.reveal(&service.resource).await.unwrap()), fingerprint(&service.credentials));
    shop.stand_in.weather(json!([{ "verb": "env --pull", "fault": "half_written_state" }]));
    shop.reveal(&service.resource).await.unwrap();
    shop.reveal(&service.resource).await.unwrap();
    shop.stand_in.weather(json!([{ "verb": "status", "fault": "other_project" }]));
    let error = shop.observe(Scope::Everything).await.unwrap_err();
    assert!(matches!(error, BackendError::NotSetUp(Setup::OtherProject { .. })), "{error}");
}

#[tokio::test]
async fn an_init_that_nobody_saw_the_end_of_is_ours() {
    for fault in ["die_before", "die_after", "hang_after", "garbage", "half_written_state"] {
        let shop = Shop::new();
        shop.stand_in.weather(json!([{ "verb": "init", "fault": fault }]));
        let first = shop.provision(&exa()).await;
        let service = shop.provision(&exa()).await.unwrap_or_else(|error| panic!("{fault}: {error}"));
        assert_eq!(shop.reveal(&service.resource).await.unwrap().secrets().count(), 1, "{fault}");
        assert_eq!(shop.live("exa/api"), 1 + usize::from(first.is_ok()), "{fault}");
    }
}

#[tokio::test]
async fn a_leftover_in_the_plain_is_gone_after_every_call() {
    let shop = Shop::new();
    let service = shop.provision(&exa()).await.unwrap();
    for fault in ["die_after", "hang_after", "garbage", "error_after"] {
        shop.stand_in.weather(json!([{ "verb": "env --pull", "fault": fault }]));
        shop.reveal(&service.resource).await.unwrap_err();
        assert!(!shop.file("credentials.env").exists(), "{fault}");
    }
    fs::write(shop.file("credentials.env"), "A=1\n").unwrap();
    shop.observe(Scope::Everything).await.unwrap();
    assert!(!shop.file("credentials.env").exists());
}

#[tokio::test]
async fn credentials_go_by_the_service_s_own_names() {
    let shop = Shop::new();
    shop.stand_in.set("env", "quote", json!(true));
    shop.stand_in.set("agentmail/api", "naming", json!("provider"));
    shop.stand_in.set("neon/postgres", "connection_string", json!(true));
    for (service, plan, wanted) in [
        ("agentmail/api", Some("agentmail/free"), &["AGENTMAIL_API_KEY"][..]),
        ("neon/postgres", Some("neon/free"), &["CONNECTION_STRING", "PROJECT_ID"]),
        ("browserbase/project", Some("browserbase/free"), &["BROWSERBASE_API_KEY", "BROWSERBASE_PROJECT_ID"]),
        ("elevenlabs/tts", None, &[]),
    ] {
        let credentials = wanted.iter().map(ToString::to_string).collect();
        let plan = plan.map(|plan| ServiceRef::parse(plan).unwrap());
        let placed = shop.provision(&Order { plan, credentials, ..order(service) }).await.unwrap();
        let revealed = shop.reveal(&placed.resource).await.unwrap();
        let live = shop.stand_in.resources().into_iter().find(|live| live.id == placed.resource.as_str()).unwrap();
        for credentials in [&placed.credentials, &revealed] {
            assert_eq!(credentials.secrets().count(), live.values.len());
            for (name, value) in &live.values {
                assert_eq!(credentials.pick(Some(name)).unwrap().expose(), value.as_str().unwrap(), "{service} {name}");
            }
        }
    }
    let error = shop.provision(&Order { credentials: vec!["TOKEN".to_owned()], ..exa() }).await.unwrap_err();
    let BackendError::Malformed { what: "variables", got } = &error else { panic!("{error}") };
    assert!(got.contains("_API_KEY") && !got.contains(PREFIX), "{got}");
}

#[tokio::test]
async fn a_careless_stripe_makes_no_leak_of_ours() {
    let shop = Shop::new();
    let service = shop.provision(&exa()).await.unwrap();
    for (verb, fault) in
        [("rotate", "error_after"), ("env --pull", "error"), ("remove", "error"), ("status", "garbage")]
    {
        shop.stand_in.weather(json!([
            { "verb": verb, "fault": fault, "code": "sk_standin_1", "message": "sk_standin_1" },
            { "verb": verb, "fault": "leaky" },
        ]));
        let error = match verb {
            "rotate" => shop.rotate(&service.resource).await.map(drop),
            "remove" => shop.teardown(&service.resource).await,
            _ => shop.reveal(&service.resource).await.map(drop),
        };
        let shown = format!("{0:?} {0}", error.unwrap_err());
        assert!(!shown.contains(PREFIX), "{verb}: {shown}");
    }
}

#[tokio::test]
async fn limits_follow_what_is_live_and_usage_is_said_where_it_is_one_s_own() {
    let shop = Shop::new();
    let order = exa();
    let intent = shop.book(&order).unwrap();
    let service = shop.provision(&order).await.unwrap();
    shop.stand_in.bill("exa", 125);
    let asked = [service.resource.clone()];
    let usage = async || shop.observe(Scope::Resources(&asked)).await.unwrap()[0].usage;
    assert_eq!(usage().await, Some(MicroUsd::new(1_250_000)));
    let second = shop.provision(&exa()).await.unwrap();
    assert_eq!(usage().await, None, "two share what the provider bills");
    shop.teardown(&second.resource).await.unwrap();
    shop.stand_in.weather(json!([{ "verb": "spend", "fault": "garbage" }]));
    assert_eq!(usage().await, None, "never an error");

    assert_eq!(shop.stand_in.limit("exa"), 2100);
    shop.ledger.journal().close(intent, Status::Failed, &event(Verdict::Failed)).unwrap();
    shop.stand_in.weather(json!([{ "verb": "billing update", "fault": "error" }]));
    shop.reconcile_limits().await.unwrap_err();
    shop.reconcile_limits().await.unwrap();
    assert_eq!(shop.stand_in.limit("exa"), 1050);
    let calls = shop.stand_in.calls().len();
    shop.reconcile_limits().await.unwrap();
    assert_eq!(shop.stand_in.calls().len(), calls, "what is settled is not told again");
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
