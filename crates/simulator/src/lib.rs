//! Simulates Stripe's Provisioning API over HTTP on the loopback.
//!
//! Any client of `https://api.stripe.com/v2/provisioning/` works with it unchanged, including Stripe's own libraries. It
//! serves the account of the simulated backend: resources created here appear there, and
//! [`SimulatedStripe::owner_of`](backends::simulated::SimulatedStripe::owner_of) identifies credentials from here.
//!
//! # Guarantees
//! - A POST with an `Idempotency-Key` takes effect once. Its effect and response are stored in one transaction; the same
//!   key with the same path and body gets the same response for 30 days, also after a restart, with
//!   `Idempotent-Replayed: true`. Another path or body gets 400; a concurrent request with the same key gets 409.
//! - Only successful responses are stored. A failed request had no effect, so a retry runs again, as in Stripe's v2 API.
//! - A reveal is a read. It runs again each time, with or without a key, because credentials are never stored in a response.
//! - A resource created here has no spend cap of its own; the monthly limit of its provider applies. Above that limit its
//!   credentials do not work; they work again once the limit is raised above the amount spent.
//!
//! # Not simulated
//! `pattern` in configuration schemas, limits on the number of resources, plans that other resources require, currencies
//! other than US dollars, intervals other than months, and an account that is not eligible.
//!
//! # Fault injection
//! `POST /_simulator/faults` plans faults for the next matching requests, `DELETE` clears them, and
//! `POST /_simulator/usage` bills a resource; `simulator --help` lists the faults. A fault applies before the idempotency
//! check. A fault after the effect keeps the effect and its stored response: a retry with the same key gets that response.

mod admin;
mod calls;
mod catalog;
mod configuration;
mod diagnostic;
mod error;
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
mod server;
mod state;

pub use error::SimulatorError;
pub use server::{BoundSimulator, Simulator};
