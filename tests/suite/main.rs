//! The suite: one binary, so that it is linked once. Each module tests one topic.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test reports a failure by panicking, and its extent by printing"
)]
#![allow(clippy::disallowed_methods, reason = "tests write files and start processes")]

mod abandon;
mod alerts;
mod alerts_receiver;
mod alerts_targets;
mod approvals;
mod architecture;
mod audit;
mod audit_accept;
mod backends;
mod canaries;
mod caps;
mod cli_call;
mod client;
mod clock_skew;
mod concurrency;
mod contract;
mod corruption;
mod crash;
mod diagnostics;
mod disk_faults;
mod doctor;
mod dotenv;
mod elicitation;
mod elicitation_host;
mod env_corpus;
mod env_file;
#[cfg(unix)]
mod env_obstacles;
#[cfg(target_os = "linux")]
mod env_temporaries;
mod fake_stripe;
mod fake_stripe_behavior;
mod fake_stripe_faults;
mod fault_injection;
mod features;
mod hosts;
mod interrupts;
mod invariants;
mod language;
mod lifecycle;
mod lifetimes;
mod malicious_input;
mod mcp;
mod mock_stripe_api;
mod partial_failure;
mod policy;
mod portable_sql;
mod power_loss;
#[cfg(unix)]
mod programs;
mod prompts;
#[cfg(unix)]
mod pseudo_terminal;
mod raw_client;
mod real_backends;
mod real_stripe;
mod refusals;
mod registry;
mod release;
mod request_counts;
mod scan;
mod scan_history;
mod scan_matcher;
#[cfg(unix)]
mod scan_terminal;
mod scrubbed;
mod secret_leaks;
mod security;
mod setup;
mod setup_text;
mod simulator;
mod simulator_client;
mod simulator_faults;
mod snapshots;
mod soak;
mod stalled_process;
mod stripe_api;
mod stripe_api_faults;
mod stripe_cli;
mod stripe_cli_faults;
mod subscriptions;
mod supermemory;
mod suspend;
#[cfg(unix)]
mod terminal;
mod tool_schema_rules;
mod workspace;
