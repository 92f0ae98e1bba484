//! Bad weather: a backend that does not say what it did, or says what is not so. Nothing is bought twice, nothing is
//! lost, and every ending has its name.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use stripe_projects_mcp::{
    backend::{
        Backend, BackendError, CapScope, Credentials, Observed, Order, Scope, Service,
        simulated::{PaymentMethod, Simulated},
    },
    clock::Clock,
    env_file::Replace,
    error::Error,
    ledger::Visibility,
    money::Cents,
    name::{ProjectName, ProviderKey},
    policy::Asker,
    project::ResourceId,
    provisioner::{Dependencies, Listing, Principal, ProvisionRequest, Provisioner},
    registry::{CeilingFile, RegistryFile},
    settings::simulated_store,
    view::ProjectView,
};
use tokio::runtime::{Builder, Runtime};

use crate::workspace::Workspace;

#[test]
fn a_provision_whose_answer_was_lost_is_found_and_finished() {
    let house = House::with(Fault::AfterEffect);
    assert_eq!(house.provision().unwrap().status, "active");
    assert_eq!(house.resources(), 1);
    house.check_key();
}

#[test]
fn a_provision_that_never_arrived_is_closed_and_the_name_is_free() {
    let house = House::with(Fault::BeforeEffect);
    assert_eq!(house.provision().unwrap_err().code(), "backend_unclear");
    assert_eq!(house.resources(), 0);
    assert_eq!(house.workspace.json(&["list"])["live_count"], 0);
    assert_eq!(house.provision().unwrap().status, "active");
}

#[test]
fn a_provision_of_which_nothing_can_be_said_stays_listed_and_is_never_repeated() {
    let house = House::with(Fault::AfterEffectAndBlind);
    assert_eq!(house.provision().unwrap_err().code(), "outcome_unknown");
    assert_eq!(house.workspace.json(&["list"])["projects"][0]["status"], "provisioning");
    house.backend.silence(Fault::Blind);
    assert_eq!(house.provision().unwrap_err().code(), "outcome_unknown", "asking again buys nothing");
    assert_eq!(house.teardown().unwrap_err().code(), "outcome_unknown", "nor is it forgotten");
    assert_eq!(house.resources(), 1);

    house.backend.clear();
    assert_eq!(house.provision().unwrap_err().code(), "already_exists", "found, finished, and shown");
    assert_eq!(house.resources(), 1);
    house.check_key();
}

#[test]
fn a_rotation_whose_answer_was_lost_is_finished() {
    let house = House::with(Fault::None);
    house.provision().unwrap();
    let old = house.key();
    house.backend.silence(Fault::AfterEffect);
    assert_eq!(house.rotate().unwrap().key_version, 2);
    assert!(house.workspace.owner_of(&old).is_none());
    house.check_key();
}

#[test]
fn a_rotation_that_never_arrived_leaves_the_key_as_it_was() {
    let house = House::with(Fault::None);
    house.provision().unwrap();
    house.backend.silence(Fault::BeforeEffect);
    assert_eq!(house.rotate().unwrap_err().code(), "backend_unclear");
    let project = house.workspace.json(&["list"])["projects"][0].clone();
    assert_eq!((&project["status"], &project["key_version"]), (&"active".into(), &1.into()));
    house.check_key();
}

#[test]
fn a_rotation_of_which_nothing_can_be_said_is_finished_by_the_next_call() {
    let house = House::with(Fault::None);
    house.provision().unwrap();
    house.backend.silence(Fault::AfterEffectAndBlind);
    assert_eq!(house.rotate().unwrap_err().code(), "outcome_unknown");
    house.backend.clear();
    assert_eq!(house.rotate().unwrap().key_version, 3, "the lost one is delivered, then this one");
    house.check_key();
}

#[test]
fn a_rotation_that_changes_nothing_is_said_to_be_one() {
    let house = House::with(Fault::None);
    house.provision().unwrap();
    house.backend.silence(Fault::RotatesInWordsOnly);
    assert_eq!(house.rotate().unwrap_err().code(), "rotation_not_effective");
    let project = house.workspace.json(&["list"])["projects"][0].clone();
    assert_eq!((&project["status"], &project["key_version"]), (&"active".into(), &1.into()));
}

#[test]
fn a_teardown_whose_answer_was_lost_is_repeated_and_ends() {
    for fault in [Fault::BeforeEffect, Fault::AfterEffect] {
        let house = House::with(Fault::None);
        house.provision().unwrap();
        house.backend.silence(fault);
        assert_eq!(house.teardown().unwrap_err().code(), "teardown_incomplete");
        assert_eq!(house.workspace.json(&["list"])["live_count"], 1, "until it is known to be gone it is listed");
        assert_eq!(house.teardown().unwrap().status, "torn_down");
        assert_eq!(house.resources(), 0);
        assert_eq!(house.workspace.read(".env"), "");
    }
}

#[test]
fn an_unreachable_backend_hides_nothing() {
    let house = House::with(Fault::None);
    house.provision().unwrap();
    house.backend.silence(Fault::Blind);
    let listing = Listing { visibility: Visibility::Live, limit: 10, cursor: None };
    let list = house.provisioner.list(&listing).unwrap();
    assert_eq!((list.projects.len(), list.projects[0].usage_usd), (1, None));
    assert!(list.warning.unwrap().contains("as last known"));
}

/// What the next effect of the backend does instead of what it should.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    None,
    /// It acts, and its answer is lost.
    AfterEffect,
    /// The same, and afterwards it cannot be asked.
    AfterEffectAndBlind,
    /// The request is lost.
    BeforeEffect,
    /// It cannot be asked.
    Blind,
    RotatesInWordsOnly,
}

/// The simulated backend behind a bad connection. A fault strikes once, except that blindness lasts.
struct Unreliable {
    inner: Simulated,
    fault: std::sync::Mutex<Fault>,
    orders: AtomicUsize,
}

impl Unreliable {
    fn silence(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    fn clear(&self) {
        self.silence(Fault::None);
    }

    fn strikes(&self) -> Fault {
        let mut fault = self.fault.lock().unwrap();
        let now = *fault;
        *fault = if matches!(now, Fault::AfterEffectAndBlind | Fault::Blind) { Fault::Blind } else { Fault::None };
        now
    }

    fn is_blind(&self) -> bool {
        *self.fault.lock().unwrap() == Fault::Blind
    }
}

fn lost() -> BackendError {
    BackendError::Unknown { why: "the connection broke off".to_owned() }
}

#[async_trait]
impl Backend for Unreliable {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn cap_scope(&self) -> CapScope {
        self.inner.cap_scope()
    }

    async fn provision(&self, order: &Order) -> Result<Service, BackendError> {
        self.orders.fetch_add(1, Ordering::SeqCst);
        match self.strikes() {
            Fault::BeforeEffect => Err(lost()),
            Fault::AfterEffect | Fault::AfterEffectAndBlind => {
                self.inner.provision(order).await?;
                Err(lost())
            }
            _ => self.inner.provision(order).await,
        }
    }

    async fn reveal(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        if self.is_blind() { Err(lost()) } else { self.inner.reveal(resource).await }
    }

    async fn rotate(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        match self.strikes() {
            Fault::BeforeEffect => Err(lost()),
            Fault::AfterEffect | Fault::AfterEffectAndBlind => {
                self.inner.rotate(resource).await?;
                Err(lost())
            }
            Fault::RotatesInWordsOnly => self.inner.reveal(resource).await,
            _ => self.inner.rotate(resource).await,
        }
    }

    async fn teardown(&self, resource: &ResourceId) -> Result<(), BackendError> {
        match self.strikes() {
            Fault::BeforeEffect => Err(lost()),
            Fault::AfterEffect => {
                self.inner.teardown(resource).await?;
                Err(lost())
            }
            _ => self.inner.teardown(resource).await,
        }
    }

    async fn suspend(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.inner.suspend(resource).await
    }

    async fn resume(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.inner.resume(resource).await
    }

    async fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError> {
        if self.is_blind() { Err(lost()) } else { self.inner.observe(scope).await }
    }
}

/// A workspace whose provisioner speaks to an unreliable backend.
struct House {
    workspace: Workspace,
    backend: Arc<Unreliable>,
    provisioner: Provisioner,
    _runtime: Runtime,
}

impl House {
    fn with(fault: Fault) -> Self {
        let workspace = Workspace::new();
        let world = simulated_store(&workspace.state());
        let inner = Simulated::new(world, PaymentMethod::Succeeds, Clock::system());
        let backend = Arc::new(Unreliable { inner, fault: fault.into(), orders: AtomicUsize::new(0) });
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let provisioner = Provisioner::new(Dependencies {
            backend: Arc::clone(&backend) as Arc<dyn Backend>,
            registry: RegistryFile::OwnOrBuiltin(workspace.file("providers.toml")),
            ceiling: CeilingFile::Nowhere,
            ledger: Arc::new(workspace.ledger()),
            env_file: workspace.file(".env"),
            state: workspace.state(),
            accept_terms: false,
            clock: Clock::system(),
            runtime: runtime.handle().clone(),
        });
        Self { workspace, backend, provisioner, _runtime: runtime }
    }

    fn provision(&self) -> Result<ProjectView, Error> {
        let provider = ProviderKey::parse("search").unwrap();
        let wanted =
            ProvisionRequest { name: name(), provider, cap: Cents::ZERO, lifetime: None, replace: Replace::OursOnly };
        self.provisioner.provision(&wanted, &principal())
    }

    fn rotate(&self) -> Result<ProjectView, Error> {
        self.provisioner.rotate(&name(), &principal())
    }

    fn teardown(&self) -> Result<ProjectView, Error> {
        self.provisioner.teardown(&name(), &principal())
    }

    fn key(&self) -> String {
        self.workspace.variable("EXA_API_KEY").unwrap()
    }

    /// The env file has a key that works, and the backend was asked to create once.
    fn check_key(&self) {
        assert!(self.workspace.owner_of(&self.key()).is_some());
        assert_eq!(self.backend.orders.load(Ordering::SeqCst), 1, "one order, whatever the weather");
    }

    fn resources(&self) -> usize {
        self.workspace.world().observe_everything().unwrap().len()
    }
}

fn name() -> ProjectName {
    ProjectName::parse("victim").unwrap()
}

fn principal() -> Principal {
    Principal { door: "mcp", actor: "a test".to_owned(), asker: Asker::Agent }
}
