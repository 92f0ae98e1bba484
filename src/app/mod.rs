//! The application: every transport parses into a [`Command`] and has it executed here.
//!
//! [`App::execute`] is the one place where a call gets its time limit, its audit row and its change notification.

mod action;
mod call_log;
mod command;
mod execute;
mod fields;
mod interaction;
mod leaks;
mod page;
mod perform;
mod repeats;
mod resource;
mod target;

pub use action::Action;
pub use command::{Command, Prompt, Provision, Rejected, Scan};
pub use execute::{App, Call, Limits, Reply};
pub use fields::Fields;
pub use interaction::{Confirmation, Interaction, Unattended, Update};
pub use page::Page;
pub use perform::Output;
pub use resource::Resource;
pub use target::Target;
