//! The MCP server over stdio, in both protocol eras.

mod alerts;
mod answer;
mod approval_flow;
mod arguments;
mod change;
mod deadline;
mod elicitation;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod log;
mod progress;
mod project_calls;
mod prompts;
mod request;
mod request_limit;
mod request_state;
mod resources;
mod scheduler;
mod schema;
mod serve;
mod server;
mod shutdown;
mod subscriptions;
mod tool_filter;
mod tools;

pub use log::Log;
#[cfg(feature = "conformance")]
pub use serve::handler;
pub use serve::{ServeError, serve, serve_over};
pub use shutdown::signal as shutdown_signal;
pub use tool_filter::{TOOLS, ToolFilter};

/// How many tool calls a connection has in flight at most.
const MAX_IN_FLIGHT: usize = 64;
