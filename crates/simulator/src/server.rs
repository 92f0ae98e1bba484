//! Binds and serves the simulator.

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
use backends::simulated::{PaymentMethod, SimulatedStripe};
use domain::clock::Clock;
use files::fs::{self, FsError};
use storage::store::StoreError;
use tokio::{net::TcpListener, sync::oneshot, task, time};

use super::{
    SimulatorError, catalog, handler,
    listener::{ConnectionAborter, LimitedListener},
    state::AppState,
};

/// A simulator without an address.
pub struct Simulator {
    folder: PathBuf,
    store: Arc<SimulatedStripe>,
    payment_method: PaymentMethod,
}

/// A simulator that is bound to an address.
pub struct BoundSimulator {
    listener: LimitedListener,
    address: SocketAddr,
    state: AppState,
}

impl Simulator {
    /// Creates a simulator of the account in the file `store`.
    ///
    /// The file and its folder are created by [`Self::listen`].
    pub fn new(store: PathBuf, payment_method: PaymentMethod, clock: Clock) -> Self {
        let folder = store.parent().map(Path::to_path_buf).unwrap_or_default();
        Self { folder, store: Arc::new(SimulatedStripe::new(store, clock)), payment_method }
    }

    /// Binds to an address such as `127.0.0.1:12111`.
    ///
    /// The account has no connection to the providers named in `unlinked`.
    pub async fn listen(self, address: &str, unlinked: &[String]) -> Result<BoundSimulator, SimulatorError> {
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
            create_state_folder(&folder).map_err(StoreError::from)?;
            store.change(|account| unlinked.iter().try_for_each(|provider| account.disconnect(&provider.id)))
        };
        match task::spawn_blocking(prepare).await {
            Ok(outcome) => outcome?,
            Err(_) => return Err(SimulatorError::CannotListen(io::ErrorKind::Other.into())),
        }
        let state = AppState::new(self.store, self.payment_method, format!("http://{address}"));
        Ok(BoundSimulator { listener, address, state })
    }
}

impl BoundSimulator {
    /// Returns the address with the port in use.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` completes, then drains requests in flight for a limited time.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let routes = Router::new().fallback(handler::handle).with_state(Arc::new(self.state));
        let (drain_sender, drain) = oneshot::channel::<()>();
        let service = routes.into_make_service_with_connect_info::<ConnectionAborter>();
        let serving = axum::serve(self.listener, service).with_graceful_shutdown(async {
            let _ = drain.await; // dropping the sender is the signal
        });
        let mut serving = pin!(serving.into_future());
        tokio::select! {
            _ = &mut serving => return, // does not happen before a shutdown
            () = shutdown => drop(drain_sender),
        }
        let _ = time::timeout(DRAIN_TIMEOUT, serving).await;
    }
}

/// Creates the state folder as the provisioner does: private, and ignored by git.
fn create_state_folder(folder: &Path) -> Result<(), FsError> {
    let ignore = folder.join(".gitignore");
    fs::create_private_folder(folder)?;
    if ignore.exists() { Ok(()) } else { fs::replace(&ignore, b"*\n", fs::Privacy::Unchanged) }
}

/// Limits the time for requests in flight after a shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
