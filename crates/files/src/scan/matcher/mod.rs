//! Finds known credentials without storing them: candidates by mask, confirmed by fingerprint.
//!
//! Hashing every window of every file would take too long. One matcher for each kind of mask therefore proposes few
//! candidates: [`suffix`] for masks that show the last four characters, [`opaque`] for masks that show nothing.

mod opaque;
mod run_scanner;
mod search;
mod suffix;

pub use search::{CONTEXT, Hit, KnownKey, Matcher, Window};
use search::{Tail, visible};
