//! A backend whose responses are lost or wrong. Nothing is bought twice or lost, and every outcome has its error code.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use backends::{
    Backend, BackendError, CapScope, Credentials, NewCap, Observed, Order, Refusal, Scope, Service,
    simulated::{PaymentMethod, Simulated},
};
use domain::{
    channel::Channel,
    clock::Clock,
    diagnostic::{Diagnostic as _, Exit},
    money::Cents,
    name::{ProjectName, ProviderKey},
    project::ResourceId,
};
use files::{
    env_file::Replace,
    registry::{ConfigFolders, PolicyFiles, RegistryFiles, WorkspaceRegistry},
};
use storage::ledger::Visibility;
use stripe_projects_mcp::{
    error::Error,
    provisioner::{Dependencies, Listing, Principal, ProvisionRequest, Provisioner},
    settings::simulated_store,
    view::{ProjectList, ProjectView},
};
use tokio::runtime::{Builder, Runtime};

use crate::workspace::Workspace;

#[test]
fn provision_with_a_lost_response_is_adopted() {
    let harness = Harness::with(Fault::AfterEffect);
    assert_eq!(harness.provision().unwrap().status, "active");
    assert_eq!(harness.resources(), 1);
    harness.check_key();
}

#[test]
fn lost_provision_request_is_closed_and_frees_the_name() {
    let harness = Harness::with(Fault::BeforeEffect);
    assert_eq!(harness.provision().unwrap_err().code(), "backend_unclear");
    assert_eq!(harness.resources(), 0);
    assert_eq!(harness.workspace.json(&["list"])["live_count"], 0);
    assert_eq!(harness.provision().unwrap().status, "active");
}

#[test]
fn provision_of_unknown_outcome_stays_listed_and_unrepeated() {
    let harness = Harness::with(Fault::AfterEffectThenUnreachable);
    assert_eq!(harness.provision().unwrap_err().code(), "outcome_unknown");
    assert_eq!(harness.workspace.json(&["list"])["projects"][0]["status"], "provisioning");
    harness.backend.inject(Fault::Unreachable);
    assert_eq!(harness.provision().unwrap_err().code(), "outcome_unknown", "asking again buys nothing");
    assert_eq!(harness.teardown().unwrap_err().code(), "outcome_unknown", "the order stays");
    assert_eq!(harness.resources(), 1);

    harness.backend.clear();
    assert_eq!(harness.provision().unwrap_err().code(), "already_exists", "adopted, finished, and shown");
    assert_eq!(harness.resources(), 1);
    harness.check_key();
}

#[test]
fn rotation_with_a_lost_response_is_finished() {
    let harness = Harness::with(Fault::None);
    harness.provision().unwrap();
    let old = harness.key();
    harness.backend.inject(Fault::AfterEffect);
    assert_eq!(harness.rotate().unwrap().key_version, 2);
    assert!(harness.workspace.owner_of(&old).is_none());
    harness.check_key();
}

#[test]
fn lost_rotation_request_keeps_the_key() {
    let harness = Harness::with(Fault::None);
    harness.provision().unwrap();
    harness.backend.inject(Fault::BeforeEffect);
    assert_eq!(harness.rotate().unwrap_err().code(), "backend_unclear");
    let project = harness.workspace.json(&["list"])["projects"][0].clone();
    assert_eq!((&project["status"], &project["key_version"]), (&"active".into(), &1.into()));
    harness.check_key();
}

#[test]
fn rotation_of_unknown_outcome_is_finished_by_the_next_call() {
    let harness = Harness::with(Fault::None);
    harness.provision().unwrap();
    harness.backend.inject(Fault::AfterEffectThenUnreachable);
    assert_eq!(harness.rotate().unwrap_err().code(), "outcome_unknown");
    harness.backend.clear();
    assert_eq!(harness.rotate().unwrap().key_version, 3, "the lost one is delivered, then this one");
    harness.check_key();
}

#[test]
fn key_that_cannot_be_disabled_is_reported_and_works_on() {
    let harness = Harness::with(Fault::None);
    harness.provision().unwrap();
    harness.backend.inject(Fault::CannotDisable);
    let error = harness.provisioner.projects.suspend(&name(), &Principal::person("maria")).unwrap_err();
    assert_eq!((error.code(), error.exit()), ("cannot_disable", Exit::Incomplete));
    assert!(error.hint(Channel::Cli).contains("stripe-projects-mcp teardown victim"), "{}", error.hint(Channel::Cli));
    assert_eq!(harness.workspace.json(&["list"])["projects"][0]["status"], "active", "it is not shown as suspended");
    harness.check_key();
    harness.rotate().unwrap();
    assert_eq!(harness.teardown().unwrap().status, "torn_down");
}

#[test]
fn rotation_without_effect_is_reported() {
    let harness = Harness::with(Fault::None);
    harness.provision().unwrap();
    harness.backend.inject(Fault::ReportsWithoutRotating);
    assert_eq!(harness.rotate().unwrap_err().code(), "rotation_not_effective");
    let project = harness.workspace.json(&["list"])["projects"][0].clone();
    assert_eq!((&project["status"], &project["key_version"]), (&"active".into(), &1.into()));
}

#[test]
fn teardown_with_a_lost_response_is_repeated() {
    for fault in [Fault::BeforeEffect, Fault::AfterEffect] {
        let harness = Harness::with(Fault::None);
        harness.provision().unwrap();
        harness.backend.inject(fault);
        assert_eq!(harness.teardown().unwrap_err().code(), "teardown_incomplete");
        assert_eq!(harness.workspace.json(&["list"])["live_count"], 1, "it is listed until its removal is certain");
        assert_eq!(harness.teardown().unwrap().status, "torn_down");
        assert_eq!(harness.resources(), 0);
        assert_eq!(harness.workspace.read(".env"), "");
    }
}

#[test]
fn unreachable_backend_hides_nothing() {
    let harness = Harness::with(Fault::None);
    harness.provision().unwrap();
    harness.backend.inject(Fault::Unreachable);
    let listing = Listing::first(Visibility::Live);
    let list = ProjectList::new(&harness.provisioner.projects.list(&listing).unwrap(), Channel::Cli);
    assert_eq!((list.projects.len(), list.projects[0].usage_usd), (1, None));
    assert!(list.warning.unwrap().contains("as last known"));
}

/// What the next effect of the backend does instead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    None,
    /// The effect happens, and the response is lost.
    AfterEffect,
    /// The same, and afterwards the backend does not answer queries.
    AfterEffectThenUnreachable,
    /// The request is lost.
    BeforeEffect,
    /// The backend does not answer queries.
    Unreachable,
    ReportsWithoutRotating,
    /// The provider cannot revoke a credential.
    CannotDisable,
}

/// The simulated backend behind a bad connection. A fault occurs once, except that `Unreachable` lasts.
struct FaultyBackend {
    inner: Simulated,
    fault: std::sync::Mutex<Fault>,
    orders: AtomicUsize,
}

impl FaultyBackend {
    fn inject(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    fn clear(&self) {
        self.inject(Fault::None);
    }

    fn take_fault(&self) -> Fault {
        let mut fault = self.fault.lock().unwrap();
        let now = *fault;
        *fault = if matches!(now, Fault::AfterEffectThenUnreachable | Fault::Unreachable) {
            Fault::Unreachable
        } else {
            Fault::None
        };
        now
    }

    fn is_unreachable(&self) -> bool {
        *self.fault.lock().unwrap() == Fault::Unreachable
    }
}

fn lost_response() -> BackendError {
    BackendError::Unknown { why: "the connection was interrupted".into() }
}

#[async_trait]
impl Backend for FaultyBackend {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn cap_scope(&self) -> CapScope {
        self.inner.cap_scope()
    }

    async fn provision(&self, order: &Order) -> Result<Service, BackendError> {
        self.orders.fetch_add(1, Ordering::SeqCst);
        match self.take_fault() {
            Fault::BeforeEffect => Err(lost_response()),
            Fault::AfterEffect | Fault::AfterEffectThenUnreachable => {
                self.inner.provision(order).await?;
                Err(lost_response())
            }
            _ => self.inner.provision(order).await,
        }
    }

    async fn reveal(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        if self.is_unreachable() { Err(lost_response()) } else { self.inner.reveal(resource).await }
    }

    async fn rotate(&self, resource: &ResourceId) -> Result<Credentials, BackendError> {
        match self.take_fault() {
            Fault::BeforeEffect => Err(lost_response()),
            Fault::AfterEffect | Fault::AfterEffectThenUnreachable => {
                self.inner.rotate(resource).await?;
                Err(lost_response())
            }
            Fault::ReportsWithoutRotating => self.inner.reveal(resource).await,
            _ => self.inner.rotate(resource).await,
        }
    }

    async fn teardown(&self, resource: &ResourceId) -> Result<(), BackendError> {
        match self.take_fault() {
            Fault::BeforeEffect => Err(lost_response()),
            Fault::AfterEffect => {
                self.inner.teardown(resource).await?;
                Err(lost_response())
            }
            _ => self.inner.teardown(resource).await,
        }
    }

    async fn set_cap(&self, new: &NewCap) -> Result<(), BackendError> {
        match self.take_fault() {
            Fault::BeforeEffect => Err(lost_response()),
            Fault::AfterEffect => {
                self.inner.set_cap(new).await?;
                Err(lost_response())
            }
            _ => self.inner.set_cap(new).await,
        }
    }

    async fn suspend(&self, resource: &ResourceId) -> Result<(), BackendError> {
        if *self.fault.lock().unwrap() == Fault::CannotDisable {
            return Err(Refusal::CannotDisable.into());
        }
        self.inner.suspend(resource).await
    }

    async fn resume(&self, resource: &ResourceId) -> Result<(), BackendError> {
        self.inner.resume(resource).await
    }

    async fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError> {
        if self.is_unreachable() { Err(lost_response()) } else { self.inner.observe(scope).await }
    }
}

/// A workspace whose provisioner uses a faulty backend.
struct Harness {
    workspace: Workspace,
    backend: Arc<FaultyBackend>,
    provisioner: Provisioner,
    _runtime: Runtime,
}

impl Harness {
    fn with(fault: Fault) -> Self {
        let workspace = Workspace::new();
        let folders = ConfigFolders { home: Some(workspace.file("no-home")), ..ConfigFolders::default() };
        let world = simulated_store(&workspace.state());
        let inner = Simulated::new(world, PaymentMethod::Succeeds, Clock::system());
        let backend = Arc::new(FaultyBackend { inner, fault: fault.into(), orders: AtomicUsize::new(0) });
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let provisioner = Provisioner::new(Dependencies {
            backend: Arc::clone(&backend) as Arc<dyn Backend>,
            registry: RegistryFiles::new(
                &folders,
                WorkspaceRegistry::Own(workspace.file("providers.toml")),
                workspace.path(),
            ),
            policies: PolicyFiles::new(&folders, None, workspace.path()),
            ledger: Arc::new(workspace.ledger()),
            env_file: workspace.file(".env"),
            state: workspace.state_folder(),
            is_usual_state: true,
            accept_terms: false,
            clock: Clock::system(),
            runtime: runtime.handle().clone(),
        });
        Self { workspace, backend, provisioner, _runtime: runtime }
    }

    fn provision(&self) -> Result<ProjectView, Error> {
        let provider = ProviderKey::parse("search").unwrap();
        let request =
            ProvisionRequest { name: name(), provider, cap: Cents::ZERO, lifetime: None, replace: Replace::OursOnly };
        self.provisioner.projects.provision(&request, &principal()).map(|state| ProjectView::from(&state))
    }

    fn rotate(&self) -> Result<ProjectView, Error> {
        self.provisioner.projects.rotate(&name(), &principal()).map(|state| ProjectView::from(&state))
    }

    fn teardown(&self) -> Result<ProjectView, Error> {
        self.provisioner.projects.teardown(&name(), &principal()).map(|state| ProjectView::from(&state))
    }

    fn key(&self) -> String {
        self.workspace.variable("EXA_API_KEY").unwrap()
    }

    /// Asserts that the env file has a valid key after exactly one order.
    fn check_key(&self) {
        assert!(self.workspace.owner_of(&self.key()).is_some());
        assert_eq!(self.backend.orders.load(Ordering::SeqCst), 1, "one order, whatever the fault");
    }

    fn resources(&self) -> usize {
        self.workspace.world().observe_everything().unwrap().len()
    }
}

fn name() -> ProjectName {
    ProjectName::parse("victim").unwrap()
}

fn principal() -> Principal {
    Principal::agent("a test")
}
