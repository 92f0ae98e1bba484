//! A webhook receiver on the loopback, and a harness whose clock the test controls.

use std::{
    collections::VecDeque,
    fs,
    net::SocketAddr,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    thread,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header::LOCATION},
};
use backends::{
    alerts::Notice,
    simulated::{PaymentMethod, Simulated},
};
use domain::{
    clock::{Clock, Timestamp},
    money::{Cents, MicroUsd},
    name::{ProjectName, ProviderKey},
    secret::{Secret, hex},
};
use files::{
    env_file::Replace,
    registry::{ConfigFolders, PolicyFiles, RegistryFiles, WorkspaceRegistry},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use storage::ledger::{Alert, Visibility};
use stripe_projects_mcp::{
    provisioner::{Dependencies, Listing, Principal, ProvisionRequest, Provisioner},
    settings::simulated_store,
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Handle},
    sync::{Semaphore, oneshot},
};

use crate::workspace::Workspace;

pub const SECRET: &str = "whsec_canary_0123456789abcdef";

/// A server that answers as scripted, then with 200, and records every request.
pub struct AlertReceiver {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

struct Shared {
    received: Mutex<Vec<Message>>,
    script: Mutex<VecDeque<u16>>,
    /// Responses wait for a permit.
    gate: Semaphore,
}

/// A request as received.
#[derive(Clone, Debug)]
pub struct Message {
    pub signature: String,
    pub text: String,
    pub body: Value,
}

impl AlertReceiver {
    pub fn start() -> Self {
        Self::on("127.0.0.1:0".parse().unwrap())
    }

    pub fn on(address: SocketAddr) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (received, script, gate) = (Mutex::default(), Mutex::default(), Semaphore::new(1_000_000));
        let shared = Arc::new(Shared { received, script, gate });
        let (runtime, state) = (Builder::new_current_thread().enable_all().build().unwrap(), Arc::clone(&shared));
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            runtime.block_on(async move {
                let routes = Router::new().fallback(respond).with_state(state);
                tokio::select! {
                    _ = axum::serve(listener, routes) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, shared, _stop: stop }
    }

    /// Scripts the statuses of the next responses.
    pub fn script(&self, answers: &[u16]) {
        self.shared.script.lock().unwrap().extend(answers);
    }

    /// Delays responses until [`Self::release_responses`].
    pub fn hold_responses(&self) {
        self.shared.gate.forget_permits(1_000_000);
    }

    pub fn release_responses(&self) {
        self.shared.gate.add_permits(1_000_000);
    }

    pub fn received(&self) -> Vec<Message> {
        self.shared.received.lock().unwrap().clone()
    }

    pub fn thresholds(&self) -> Vec<u64> {
        self.received().iter().map(|message| message.body["data"]["threshold_percent"].as_u64().unwrap()).collect()
    }
}

async fn respond(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> (StatusCode, HeaderMap) {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let signature = headers.get("stripe-projects-signature").map(|value| value.to_str().unwrap().to_owned());
    let body = serde_json::from_str(&text).unwrap();
    shared.received.lock().unwrap().push(Message { signature: signature.unwrap_or_default(), text, body });
    let _permit = shared.gate.acquire().await.unwrap();
    let status = shared.script.lock().unwrap().pop_front().unwrap_or(200);
    // A redirect would lead back to this receiver, which would record the request.
    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, "/elsewhere".parse().unwrap());
    (StatusCode::from_u16(status).unwrap(), headers)
}

impl Message {
    pub fn id(&self) -> &str {
        self.body["id"].as_str().unwrap()
    }

    /// Verifies the signature with an independent HMAC, as in RFC 2104, and returns its seconds.
    pub fn signed_at(&self, secret: &str) -> i64 {
        let (t, v1) = self.signature.split_once(",v1=").unwrap();
        let at = t.strip_prefix("t=").unwrap();
        assert_eq!(v1, hmac(secret.as_bytes(), format!("{at}.{}", self.text).as_bytes()));
        at.parse().unwrap()
    }
}

fn hmac(key: &[u8], message: &[u8]) -> String {
    assert!(key.len() <= 64, "a longer key would be hashed first");
    let pad = |with: u8| (0..64).map(|at| key.get(at).copied().unwrap_or_default() ^ with).collect::<Vec<_>>();
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    hex(&Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize())
}

/// A workspace on the simulated backend whose clock only the test moves. Each provisioner stands for one process.
pub struct Harness {
    pub workspace: Workspace,
    /// The user's configuration folder.
    home: TempDir,
    now: Arc<AtomicI64>,
    runtime: Handle,
    _stop: oneshot::Sender<()>,
}

impl Harness {
    /// Sends alerts to that receiver.
    pub fn with_alerts_to(receiver: &AlertReceiver) -> Self {
        let harness = Self::without_alerts();
        harness.set_alerts(&format!("url = 'http://{}/hook'\nallow_hosts = ['127.0.0.1']", receiver.address));
        harness
    }

    /// Uses a registry without alerts.
    pub fn without_alerts() -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        thread::spawn(move || runtime.block_on(stopped));
        let now = Arc::new(AtomicI64::new(1_700_000_000_000));
        let home = TempDir::new().unwrap();
        Self { workspace: Workspace::new(), home, now, runtime: handle, _stop: stop }
    }

    /// Writes a registry of the user's with that `[alerts]` table.
    pub fn set_alerts(&self, table: &str) {
        let folder = self.home.path().join("stripe-projects");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("providers.toml"), format!("{}\n[alerts]\n{table}\n", files::registry::BUILTIN)).unwrap();
    }

    /// Writes the policy of the user.
    pub fn set_policy(&self, text: &str) {
        let folder = self.home.path().join("stripe-projects");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("policy.toml"), text).unwrap();
    }

    /// Prepares a command for the user who has that registry.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.workspace.command(arguments);
        command.env("XDG_CONFIG_HOME", self.home.path());
        command
    }

    /// Creates a provisioner, as another process would.
    pub fn provisioner(&self) -> Provisioner {
        self.provisioner_without_secret().signing_alerts_with(Some(Secret::new(SECRET.to_owned())))
    }

    pub fn provisioner_without_secret(&self) -> Provisioner {
        let state = self.workspace.state();
        let world = simulated_store(&state);
        let home = Some(self.home.path().to_owned());
        let folders = ConfigFolders { home: home.clone(), config_home: home, ..ConfigFolders::default() };
        Provisioner::new(Dependencies {
            backend: Arc::new(Simulated::new(world, PaymentMethod::default(), self.clock())),
            registry: RegistryFiles::new(
                &folders,
                WorkspaceRegistry::Own(self.workspace.file("providers.toml")),
                self.workspace.path(),
            ),
            policies: PolicyFiles::new(&folders, None, self.workspace.path()),
            ledger: Arc::new(self.workspace.ledger()),
            env_file: self.workspace.file(".env"),
            state: self.workspace.state_folder(),
            is_usual_state: true,
            accept_terms: false,
            clock: self.clock(),
            runtime: self.runtime.clone(),
        })
    }

    /// Provisions a project with a cap of 10 USD.
    pub fn provision(&self, name: &str) {
        let request = ProvisionRequest {
            name: ProjectName::parse(name).unwrap(),
            provider: ProviderKey::parse("search").unwrap(),
            cap: Cents::parse_usd("10").unwrap(),
            lifetime: None,
            replace: Replace::OursOnly,
        };
        self.provisioner().projects.provision(&request, &principal()).unwrap();
    }

    pub fn clock(&self) -> Clock {
        let now = Arc::clone(&self.now);
        Clock::new(move || Timestamp::from_millisecond(now.load(Ordering::SeqCst)).unwrap())
    }

    pub fn seconds(&self) -> i64 {
        self.now.load(Ordering::SeqCst) / 1000
    }

    pub fn advance(&self, time: Duration) {
        self.now.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Moves the clock by that many milliseconds, forward or back.
    pub fn shift_clock(&self, by: i64) {
        self.now.fetch_add(by, Ordering::SeqCst);
    }

    /// Returns [`Self::shift_clock`] as a closure.
    pub fn clock_shifter(&self) -> impl Fn(i64) + Send + Sync + 'static {
        let now = Arc::clone(&self.now);
        move |by| {
            now.fetch_add(by, Ordering::SeqCst);
        }
    }

    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Returns every alert in the outbox.
    pub fn alerts(&self) -> Vec<Alert> {
        self.workspace.ledger().alerts().alerts_after(0).unwrap()
    }
}

/// Records that much usage of the project.
pub fn spend(provisioner: &Provisioner, name: &str, usd: &str) {
    let (name, amount) = (ProjectName::parse(name).unwrap(), MicroUsd::parse_usd(usd).unwrap());
    provisioner.projects.record_usage(&name, amount, &principal()).unwrap();
}

pub fn list(provisioner: &Provisioner) {
    let listing = Listing::first(Visibility::Live);
    provisioner.projects.list(&listing).unwrap();
}

/// Collects the notices of that provisioner from now on.
pub fn notices(provisioner: &Provisioner) -> Arc<Mutex<Vec<Notice>>> {
    let notices = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&notices);
    provisioner.alerts.subscribe(Arc::new(move |notice| into.lock().unwrap().push(notice.clone())));
    notices
}

pub fn principal() -> Principal {
    Principal::person("a test")
}
