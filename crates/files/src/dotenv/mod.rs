//! A lossless editor of env files: sets or removes one variable and keeps every other byte.

mod diagnostic;
mod error;
mod parser;
mod python;
mod quoting;
mod text;

pub use error::DotenvError;
pub use text::EnvText;
