//! Outbound HTTP: one way to build a client, one backoff, and which addresses are public.

mod address;
mod backoff;
mod client;

pub use address::{ReservedAddress, reserved};
pub use backoff::Backoff;
pub use client::{ClientOptions, NoCertificates, build_client};
