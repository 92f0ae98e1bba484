//! Every backend there is, each with a small world behind it that can be asked what is so.

use std::{any::Any, rc::Rc, sync::Arc, time::Duration};

use serde_json::json;
use stripe_projects_mcp::{
    backend::{
        Backend, Order, Scrubbed,
        simulated::{PaymentMethod, Simulated, SimulatedStripe},
        stripe_api::{self, ApiBase, ApiConfig, StripeApi},
        stripe_cli::{self, StripeCli},
    },
    clock::Clock,
    ledger::{Event, Grant, Ledger, LedgerError, LifetimeTerms, NewProject, OperationId, Verdict},
    money::Cents,
    name::{EnvVar, ProjectName, ProviderKey, ServiceRef},
    project::{Delivery, ProjectId},
    secret::Secret,
};
use tempfile::TempDir;

use crate::{simulator_client::Running, stand_in::StandIn, workspace::Workspace};

/// A backend, and ways to see for oneself what came of what it was told.
pub struct Subject {
    pub backend: Arc<dyn Backend>,
    ledger: Arc<Ledger>,
    works: Box<dyn Fn(&Secret) -> bool>,
    resources: Box<dyn Fn() -> usize>,
    _kept: Box<dyn Any>,
}

/// One of each.
pub const SUBJECTS: &[fn() -> Subject] = &[simulated, scrubbed, stripe_api, stripe_cli];

pub fn simulated() -> Subject {
    over_a_simulated_world(|backend| backend)
}

fn scrubbed() -> Subject {
    over_a_simulated_world(|backend| Arc::new(Scrubbed::new(backend)))
}

fn over_a_simulated_world(wrapped: fn(Arc<dyn Backend>) -> Arc<dyn Backend>) -> Subject {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("simulated.db");
    let backend = Simulated::new(file.clone(), PaymentMethod::Succeeds, Clock::system());
    let (asked, counted) =
        (SimulatedStripe::new(file.clone(), Clock::system()), SimulatedStripe::new(file, Clock::system()));
    Subject {
        backend: wrapped(Arc::new(backend)),
        ledger: ledger(&folder),
        works: Box::new(move |credential| asked.owner_of(credential).unwrap().is_some()),
        resources: Box::new(move || counted.observe_everything().unwrap().len()),
        _kept: Box::new(folder),
    }
}

/// Against the simulator, whose world is looked at from behind.
fn stripe_api() -> Subject {
    let workspace = Rc::new(Workspace::new());
    let simulator = Running::start(&workspace, &[]);
    let ledger = Arc::new(Ledger::of(&workspace.state()));
    let access = ApiConfig {
        base: ApiBase::parse(&simulator.base).unwrap(),
        key: Some(Secret::new("rk_test_0123456789".to_owned())),
        context: None,
    };
    let backend = StripeApi::new(access, Arc::clone(&ledger), workspace.state(), stripe_api::RetryPolicy::default());
    let (asked, counted) = (Rc::clone(&workspace), Rc::clone(&workspace));
    Subject {
        backend: Arc::new(backend),
        ledger,
        works: Box::new(move |credential| asked.owner_of(credential.expose()).is_some()),
        resources: Box::new(move || counted.billed().len()),
        _kept: Box::new((simulator, workspace)),
    }
}

/// Against the stand-in for `stripe`.
fn stripe_cli() -> Subject {
    let (stand_in, folder) = (Rc::new(StandIn::new()), tempfile::tempdir().unwrap());
    let ledger = ledger(&folder);
    let pace = stripe_cli::Timeouts { poll_pause: Duration::from_millis(10), ..stripe_cli::Timeouts::default() };
    let bin = stand_in.script(folder.path());
    let backend = StripeCli::new(Some(bin), Arc::clone(&ledger), folder.path().to_owned(), pace);
    let (asked, counted) = (Rc::clone(&stand_in), Rc::clone(&stand_in));
    Subject {
        backend: Arc::new(backend),
        ledger,
        works: Box::new(move |credential| asked.owner_of(credential.expose()).is_some()),
        resources: Box::new(move || counted.resources().len()),
        _kept: Box::new((stand_in, folder)),
    }
}

fn ledger(folder: &TempDir) -> Arc<Ledger> {
    Arc::new(Ledger::of(folder.path()))
}

impl Subject {
    /// An order, with its project in the ledger, as backends find it when they are asked to act.
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
            deliveries: vec![Delivery { env_var, credential: None }],
            term: LifetimeTerms::default(),
        };
        let intent =
            self.ledger.journal().begin_provision::<LedgerError>(&draft, &event, |_| Ok(grant.clone())).unwrap();
        let _ = intent.leave_open();
        order
    }

    /// Whether the service would let this credential in.
    pub fn works(&self, credential: &Secret) -> bool {
        (self.works)(credential)
    }

    /// How many resources there are.
    pub fn resources(&self) -> usize {
        (self.resources)()
    }
}

/// An order for one credential of a paid service.
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

/// What the service calls its credential.
pub const KEY: &str = "API_KEY";
