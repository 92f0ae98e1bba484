//! The command line: one command is one call, and its result is shown.

mod arguments;
mod budget_arguments;
mod command;
mod confirm;
mod doctor;
mod interrupt;
mod pages;
mod parse;
mod render;
mod run;
mod setup;
mod usage_error;

pub use parse::{Call, EarlyExit, Job, Serving, Task, parse};
pub use render::{Output, cannot_serve, cannot_start, exit_code, report_panic, say_address, show_error, warn};
pub use run::{record_unreadable, run};
pub use setup::SetUp;
