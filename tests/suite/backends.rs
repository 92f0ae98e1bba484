//! Every backend under test, each with a counterpart that can be inspected.

use std::{any::Any, rc::Rc, sync::Arc, time::Duration};

use backends::{
    Backend, Order, Scrubbed,
    simulated::{PaymentMethod, Simulated, SimulatedStripe},
    stripe_api::{self, ApiBase, ApiConfig, StripeApi},
    stripe_cli::{self, StripeCli},
};
use domain::{
    clock::Clock,
    money::Cents,
    name::{EnvVar, ProjectName, ProviderKey, ServiceRef},
    project::{Delivery, ProjectId},
    secret::Secret,
};
use serde_json::json;
use storage::ledger::{Event, Grant, Ledger, LedgerError, LifetimeTerms, NewProject, OperationId, Verdict};
use stripe_projects_mcp::settings::LedgerNotes;
use tempfile::TempDir;

use crate::{fake_stripe::FakeStripeCli, simulator_client::SimulatorProcess, workspace::Workspace};

/// A backend, and ways to inspect its effects independently.
pub struct BackendUnderTest {
    pub backend: Arc<dyn Backend>,
    ledger: Arc<Ledger>,
    accepts: Box<dyn Fn(&Secret) -> bool>,
    resources: Box<dyn Fn() -> usize>,
    _kept: Box<dyn Any>,
}

/// One constructor for each backend.
pub const BACKENDS: &[fn() -> BackendUnderTest] = &[simulated, scrubbed, stripe_api, stripe_cli];

pub fn simulated() -> BackendUnderTest {
    on_simulated_account(|backend| backend)
}

fn scrubbed() -> BackendUnderTest {
    on_simulated_account(|backend| Arc::new(Scrubbed::new(backend)))
}

fn on_simulated_account(wrapped: fn(Arc<dyn Backend>) -> Arc<dyn Backend>) -> BackendUnderTest {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("simulated.db");
    let backend = Simulated::new(file.clone(), PaymentMethod::Succeeds, Clock::system());
    let (for_keys, for_count) =
        (SimulatedStripe::new(file.clone(), Clock::system()), SimulatedStripe::new(file, Clock::system()));
    BackendUnderTest {
        backend: wrapped(Arc::new(backend)),
        ledger: ledger(&folder),
        accepts: Box::new(move |credential| for_keys.owner_of(credential).unwrap().is_some()),
        resources: Box::new(move || for_count.observe_everything().unwrap().len()),
        _kept: Box::new(folder),
    }
}

/// Runs `stripe-api` against the simulator, whose data is inspected directly.
fn stripe_api() -> BackendUnderTest {
    let workspace = Rc::new(Workspace::new());
    let simulator = SimulatorProcess::start(&workspace, &[]);
    let ledger = Arc::new(Ledger::of(&workspace.state()));
    let access = ApiConfig {
        base: ApiBase::parse(&simulator.base).unwrap(),
        key: Some(Secret::new("rk_test_0123456789".to_owned())),
        context: None,
    };
    let backend =
        StripeApi::new(access, notes(&ledger, stripe_api::NAME), workspace.state(), stripe_api::RetryPolicy::default());
    let (for_keys, for_count) = (Rc::clone(&workspace), Rc::clone(&workspace));
    BackendUnderTest {
        backend: Arc::new(backend),
        ledger,
        accepts: Box::new(move |credential| for_keys.owner_of(credential.expose()).is_some()),
        resources: Box::new(move || for_count.billed_resources().len()),
        _kept: Box::new((simulator, workspace)),
    }
}

/// Runs `stripe-cli` against the fake Stripe CLI.
fn stripe_cli() -> BackendUnderTest {
    let (fake_stripe, folder) = (Rc::new(FakeStripeCli::new()), tempfile::tempdir().unwrap());
    let ledger = ledger(&folder);
    let pace = stripe_cli::Timeouts { poll_pause: Duration::from_millis(10), ..stripe_cli::Timeouts::default() };
    let bin = fake_stripe.script(folder.path());
    let backend = StripeCli::new(Some(bin), notes(&ledger, stripe_cli::NAME), folder.path().to_owned(), pace);
    let (for_keys, for_count) = (Rc::clone(&fake_stripe), Rc::clone(&fake_stripe));
    BackendUnderTest {
        backend: Arc::new(backend),
        ledger,
        accepts: Box::new(move |credential| for_keys.owner_of(credential.expose()).is_some()),
        resources: Box::new(move || for_count.resources().len()),
        _kept: Box::new((fake_stripe, folder)),
    }
}

fn notes(ledger: &Arc<Ledger>, backend: &'static str) -> Arc<LedgerNotes> {
    Arc::new(LedgerNotes::new(Arc::clone(ledger), backend))
}

fn ledger(folder: &TempDir) -> Arc<Ledger> {
    Arc::new(Ledger::of(folder.path()))
}

impl BackendUnderTest {
    /// Creates an order with its project in the ledger, as backends expect it.
    pub fn order(&self, name: &str) -> Order {
        let order = order(name);
        let draft = NewProject {
            op: OperationId::random().unwrap(),
            id: order.id.clone(),
            name: order.name.clone(),
            provider: ProviderKey::parse("memory").unwrap(),
            service: order.service.clone(),
            backend: self.backend.name().to_owned(),
            env_file: "/nowhere/.env".into(),
        };
        let event = Event {
            at: Clock::system().now(),
            channel: "test",
            actor: String::new(),
            action: "provision",
            verdict: Verdict::Intended,
            detail: json!({}),
        };
        let env_var = EnvVar::parse(&format!("KEY_OF_{}", name.to_ascii_uppercase())).unwrap();
        let grant = Grant {
            cap: order.cap,
            period: domain::budget::CapPeriod::Month,
            deliveries: vec![Delivery { env_var, credential: None }],
            term: LifetimeTerms::default(),
        };
        let intent =
            self.ledger.journal().begin_provision::<LedgerError>(&draft, &event, |_| Ok(grant.clone())).unwrap();
        let _ = intent.leave_open();
        order
    }

    /// Returns whether the service accepts this credential.
    pub fn accepts(&self, credential: &Secret) -> bool {
        (self.accepts)(credential)
    }

    /// Counts the resources.
    pub fn resources(&self) -> usize {
        (self.resources)()
    }
}

/// Creates an order for one credential of a paid service.
pub fn order(name: &str) -> Order {
    Order {
        id: ProjectId::random().unwrap(),
        name: ProjectName::parse(name).unwrap(),
        service: ServiceRef::parse("supermemory/memory").unwrap(),
        plan: None,
        config: json!({ "plan": "free" }).as_object().unwrap().clone(),
        credentials: vec![KEY.to_owned()],
        cap: Cents::parse_usd("10").unwrap(),
        paid: true,
        terms_accepted: true,
    }
}

/// The service's name for its credential.
pub const KEY: &str = "API_KEY";
