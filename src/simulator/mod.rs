//! The simulated world behind Stripe's Provisioning API: an HTTP server on the loopback.
//!
//! Whatever speaks to `https://api.stripe.com/v2/provisioning/` can speak to it unchanged, Stripe's own libraries
//! among them. It shows the world of the simulated backend, so what is created here is seen there, and a credential
//! that is handed out here can be asked about with [`SimulatedStripe::owner_of`].
//!
//! # What it holds to
//! - A POST with an `Idempotency-Key` happens once. Effect and answer are one transaction of the world's file; the
//!   same key with the same path and body gets the same answer for 30 days, also after a restart, with
//!   `Idempotent-Replayed: true`. With another path or body it gets 400, and while the first is being worked on 409.
//! - Only successes are kept. What failed has had no effect, so its repetition is done anew, as in Stripe's v2 API.
//! - A reveal is a look: it is done anew each time, key or not, because an answer with a credential is never kept.
//! - A resource that was created here has no cap of its own; the provider's monthly limit stops it. Above the limit
//!   its credentials do not work, and they work again when the limit is raised above what was spent.
//!
//! # What it does not simulate
//! `pattern` in configuration schemas, constraints on the number of resources, plans that have to come first, other
//! currencies than US dollars, other intervals than months, and eligibility that is refused.
//!
//! # Bad weather
//! `POST /_simulator/faults` plans what the next requests of a kind meet, `DELETE` on it clears the plan, and
//! `POST /_simulator/usage` bills a resource; `simulator --help` lists the words. A fault strikes before idempotency is
//! looked at. One that says that it strikes after the effect leaves the effect and its kept answer as they would have
//! been: the same key asked again gets the true answer, and not the 500, the garbage or the silence.

mod admin;
mod calls;
mod catalog;
mod configuration;
mod failure;
mod faults;
mod handler;
mod headers;
mod idempotency;
mod listener;
mod objects;
mod page;
mod parameters;
mod reply;
mod routes;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use handler::AppState;
use listener::{ConnectionAborter, LimitedListener};
use tokio::{net::TcpListener, sync::oneshot, task, time};

use crate::{
    backend::simulated::{PaymentMethod, SimulatedStoreError, SimulatedStripe},
    clock::Clock,
    fs::{self, FsError},
    store::StoreError,
};

/// A simulator that does not listen yet.
pub struct Simulator {
    folder: PathBuf,
    store: Arc<SimulatedStripe>,
    payment_method: PaymentMethod,
}

/// A simulator that listens.
pub struct Listening {
    listener: LimitedListener,
    address: SocketAddr,
    state: AppState,
}

/// Why there is no simulator.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    #[error("the address to listen on is not an IP address with a port")]
    AddressUnreadable,
    #[error("the simulator cannot listen there: {}", .0.kind())]
    CannotListen(#[source] io::Error),
    #[error("the simulator listens on loopback addresses only")]
    NotLoopback,
    #[error("the catalog has no provider of the name that was given with --unlinked")]
    UnknownProvider,
    #[error("the simulated world cannot be used: {0}")]
    Store(#[from] SimulatedStoreError),
}

impl Simulator {
    /// Serves the world in that file. It is created when something listens, and its folder too.
    pub fn new(store: PathBuf, payment_method: PaymentMethod, clock: Clock) -> Self {
        let folder = store.parent().map(Path::to_path_buf).unwrap_or_default();
        Self { folder, store: Arc::new(SimulatedStripe::new(store, clock)), payment_method }
    }

    /// Takes an address, such as `127.0.0.1:12111`, and the names of providers that are not connected at first.
    ///
    /// # Errors
    /// [`SimulatorError`]; then nothing listens.
    pub async fn listen(self, address: &str, unlinked: &[String]) -> Result<Listening, SimulatorError> {
        let address: SocketAddr = address.parse().map_err(|_| SimulatorError::AddressUnreadable)?;
        if !address.ip().is_loopback() {
            return Err(SimulatorError::NotLoopback);
        }
        let unlinked: Option<Vec<_>> = unlinked.iter().map(|name| catalog::provider(name)).collect();
        let unlinked = unlinked.ok_or(SimulatorError::UnknownProvider)?;
        let listener = TcpListener::bind(address).await.map_err(SimulatorError::CannotListen)?;
        let listener = LimitedListener::new(listener);
        let address = listener.address().map_err(SimulatorError::CannotListen)?;
        let (store, folder) = (Arc::clone(&self.store), self.folder);
        let prepare = move || {
            make_folder(&folder).map_err(StoreError::from)?;
            store.change(|account| unlinked.iter().try_for_each(|provider| account.disconnect(&provider.id)))
        };
        match task::spawn_blocking(prepare).await {
            Ok(done) => done?,
            Err(_) => return Err(SimulatorError::CannotListen(io::ErrorKind::Other.into())),
        }
        let state = AppState::new(self.store, self.payment_method, format!("http://{address}"));
        Ok(Listening { listener, address, state })
    }
}

impl Listening {
    /// The address with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until that future is ready, and then as long as requests in flight need, if it is not too long.
    pub async fn serve(self, until: impl Future<Output = ()>) {
        let routes = Router::new().fallback(handler::answer).with_state(Arc::new(self.state));
        let (tell, told) = oneshot::channel::<()>();
        let service = routes.into_make_service_with_connect_info::<ConnectionAborter>();
        let serving = axum::serve(self.listener, service).with_graceful_shutdown(async {
            let _ = told.await; // an error is as good a sign: whoever would tell is gone
        });
        let mut serving = pin!(serving.into_future());
        tokio::select! {
            _ = &mut serving => return, // it never ends by itself
            () = until => drop(tell),
        }
        let _ = time::timeout(TIMEOUT, serving).await;
    }
}

impl From<StoreError> for SimulatorError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

/// The state folder as the provisioner makes it, too: private, and ignored by git as a whole.
fn make_folder(folder: &Path) -> Result<(), FsError> {
    let ignore = folder.join(".gitignore");
    fs::create_private_folder(folder)?;
    if ignore.exists() { Ok(()) } else { fs::replace(&ignore, b"*\n", fs::Privacy::Unchanged) }
}

/// How long requests in flight may take when the simulator is told to end.
const TIMEOUT: Duration = Duration::from_secs(1);
