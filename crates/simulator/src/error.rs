//! The error of starting a simulator.

use std::io;

use backends::simulated::SimulatedStoreError;
use storage::store::StoreError;

/// Why the simulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    #[error("the address to listen on is not an IP address with a port")]
    AddressUnreadable,
    #[error("the simulator cannot listen on that address: {}", .0.kind())]
    CannotListen(#[source] io::Error),
    #[error("the simulator listens on loopback addresses only")]
    NotLoopback,
    #[error("the catalog has no provider with the name given to --unlinked")]
    UnknownProvider,
    #[error("the simulated account cannot be used: {0}")]
    Store(#[from] SimulatedStoreError),
}

impl From<StoreError> for SimulatorError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}
