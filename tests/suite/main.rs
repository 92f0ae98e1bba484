//! The suite: one binary, so that it is linked once. Each module is about one promise.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking, and how much it looked at by printing"
)]
#![allow(clippy::disallowed_methods, reason = "tests stand outside the house: they write files and start processes")]

mod abandon;
mod alerts;
mod alerts_receiver;
mod alerts_targets;
mod approvals;
mod architecture;
mod audit;
mod audit_accept;
mod canaries;
mod caps;
mod ceiling;
mod client;
mod clocks;
mod contract;
mod crash;
mod crowd;
mod damage;
mod doctor;
mod dotenv;
mod elicitation;
mod env_corpus;
mod env_file;
mod faults;
mod features;
mod hostile;
mod hosts;
mod incomplete;
mod interrupts;
mod lifecycle;
mod lifetimes;
mod lines;
mod live;
mod mcp;
mod person;
mod portable_sql;
mod power;
mod promises;
mod prompts;
#[cfg(unix)]
mod pseudo_terminal;
mod real_backends;
mod real_stripe;
mod refusals;
mod registry;
mod release;
mod rules;
mod scan;
mod scan_history;
mod scan_matcher;
#[cfg(unix)]
mod scan_terminal;
mod scrubbed;
mod security;
mod setup;
mod setup_text;
mod silence;
mod simulator;
mod simulator_client;
mod simulator_weather;
mod snapshots;
mod soak;
mod stand_in;
mod stand_in_behaves;
mod stand_in_weather;
mod stopped;
mod stripe_api;
mod stripe_api_weather;
mod stripe_cli;
mod stripe_cli_weather;
mod stripe_double;
mod subjects;
mod supermemory;
mod suspend;
#[cfg(unix)]
mod terminal;
mod weather;
mod workspace;
