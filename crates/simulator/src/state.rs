//! State shared by all requests, and blocking work on it.

use std::sync::Arc;

use backends::simulated::{PaymentMethod, SimulatedStripe};
use tokio::{sync::Semaphore, task};

use super::{failure::Failure, faults::Faults, idempotency::ActiveKeys};

/// The state that all requests share.
pub struct AppState {
    pub store: Arc<SimulatedStripe>,
    pub payment_method: PaymentMethod,
    /// The base URL of the simulator: `http://127.0.0.1:12111`.
    pub base: String,
    pub faults: Faults,
    pub keys: ActiveKeys,
    pub slots: Arc<Semaphore>,
}

impl AppState {
    pub fn new(store: Arc<SimulatedStripe>, payment_method: PaymentMethod, base: String) -> Self {
        let (faults, keys) = (Faults::default(), ActiveKeys::default());
        Self { store, payment_method, base, faults, keys, slots: Arc::new(Semaphore::new(MAX_CONCURRENT_REQUESTS)) }
    }
}

/// Runs blocking work on a thread for it.
///
/// # Errors
/// The failure of `work`, or 500 if it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Failure::internal("the simulator failed on this request")))
}

/// Further requests wait.
const MAX_CONCURRENT_REQUESTS: usize = 64;
