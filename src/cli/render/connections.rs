//! Connections to real backends.

use std::process::ExitCode;

use domain::diagnostic::Exit;

use super::{Output, json, out};
use crate::view::{ConnectionPlanView, ConnectionView};

/// Prints what was recorded.
pub fn connected(view: &ConnectionView, output: Output) {
    if output == Output::Json {
        return json(view);
    }
    out(format_args!(
        "Connected to {} at {}.",
        view.backend,
        view.program.as_ref().or(view.api_base.as_ref()).map_or("", String::as_str)
    ));
    out("  next      Servers of this workspace that were started with that backend use it from the next call on.");
}

/// Prints what is missing as JSON, because the reader is a script.
pub fn connection_plan(view: &ConnectionPlanView) -> ExitCode {
    json(view);
    ExitCode::from(Exit::Refused as u8)
}
