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
mod budget_property;
mod budgets;
mod byte_file;
mod canaries;
mod caps;
mod cli_call;
mod client;
mod clock_skew;
mod concurrency;
mod connections;
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
#[cfg(unix)]
mod foreign_ledger;
mod foreign_text;
mod hosts;
mod interrupts;
mod invariants;
mod kill;
mod language;
mod lifecycle;
mod lifetimes;
mod malicious_input;
mod mcp;
mod mock_stripe_api;
mod network_file_system;
mod partial_failure;
mod policy;
mod policy_files;
mod portable_sql;
mod power_loss;
#[cfg(target_os = "linux")]
mod process_hardening;
#[cfg(unix)]
mod programs;
mod prompts;
#[cfg(unix)]
mod pseudo_terminal;
mod quiet_times;
mod raw_client;
mod real_backends;
mod real_stripe;
mod refusals;
mod registry;
mod registry_layers;
mod release;
mod request_counts;
#[cfg(target_os = "linux")]
mod request_limit;
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
#[cfg(unix)]
mod state_folder;
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
mod workspaces;
