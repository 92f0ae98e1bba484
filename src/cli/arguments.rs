//! The command line as clap reads it. Values stay text here: `command.rs` parses them, with errors that name the rule
//! and do not repeat the value.

#![expect(clippy::doc_markdown, reason = "these comments are what `--help` prints, and a terminal shows no Markdown")]
#![allow(
    rustdoc::bare_urls,
    reason = "a terminal shows no links, and the documentation of public items has none of these"
)]

mod of_commands;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
pub use of_commands::{Audit, OneOrAll, OneOrMany, Providers, Scan, Serve, Usage, Workspaces};

use super::budget_arguments::{Budget, Spend};

/// Gives an AI agent a prepaid, capped, revocable card instead of a root key.
#[derive(Parser)]
#[command(name = "stripe-projects-mcp", version, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Commands>,
}

#[derive(Args, Clone)]
pub struct Global {
    /// The folder the agent works in [default: the current one] [env: STRIPE_PROJECTS_DIR]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Where keys are written [default: DIR/.env] [env: STRIPE_PROJECTS_ENV_FILE]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// The registry [default: DIR/providers.toml, else built in] [env: STRIPE_PROJECTS_PROVIDERS]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub providers: Option<PathBuf>,
    /// The ledger's folder [default: ~/.local/state/stripe-projects] [env: STRIPE_PROJECTS_STATE_DIR]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Backend: simulated, stripe-cli or stripe-api [default: simulated] [env: STRIPE_PROJECTS_BACKEND]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "NAME")]
    pub backend: Option<String>,
    /// Payment method of the simulation, a Stripe test token [default: pm_card_visa] [env: STRIPE_PROJECTS_PAYMENT_METHOD]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "TOKEN")]
    pub payment_method: Option<String>,
    /// Accept the terms of service of the providers in the registry (stripe-cli, stripe-api)
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub accept_tos: bool,
    /// The Stripe CLI [default: stripe, on PATH] [env: STRIPE_PROJECTS_STRIPE_BIN]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub stripe_bin: Option<PathBuf>,
    /// A file with the Stripe API key [default: none, the key is in STRIPE_API_KEY] [env: STRIPE_PROJECTS_STRIPE_API_KEY_FILE]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub stripe_api_key_file: Option<PathBuf>,
    /// Base URL of Stripe's API [default: https://api.stripe.com] [env: STRIPE_PROJECTS_STRIPE_API_BASE]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "URL")]
    pub stripe_api_base: Option<String>,
    /// Print JSON on stdout and nothing else there
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,
    /// Skip confirmation prompts
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub yes: bool,
}

#[derive(Subcommand)]
pub enum Commands {
    /// Serve MCP on stdin and stdout
    Serve(Serve),
    /// Let servers of this workspace spend real money through a backend: stripe-cli or stripe-api
    #[command(after_help = CONNECT_HELP)]
    Connect {
        /// stripe-cli or stripe-api [default: that of --backend]
        #[arg(value_name = "BACKEND")]
        chosen: Option<String>, // not `backend`, which is the id of the global option
    },
    /// Create a capped project and write its key to the env file
    Provision {
        /// Your name for it: 1-63 of a-z, 0-9 and `-`
        name: String,
        /// A key of the registry, see `providers`
        provider: String,
        /// Budget in US dollars, up to the provider's maximum [default: the provider's default]
        #[arg(long, value_name = "USD", default_value = "0", hide_default_value = true, allow_hyphen_values = true)]
        cap: String,
        /// Tear the project down after TIME: 30m, 8h, 7d [default: the provider's default, else never]
        #[arg(long, value_name = "TIME")]
        expires_in: Option<String>,
        /// Overwrite the variable even if this program did not write its value
        #[arg(long)]
        replace: bool,
    },
    /// Show projects with status, usage and remaining budget
    List {
        /// Include torn-down projects
        #[arg(long)]
        all: bool,
        /// Of every workspace, named WORKSPACE:NAME
        #[arg(long)]
        everywhere: bool,
    },
    /// Revoke a project's key and write a new one to the env file
    Rotate {
        /// Name of the project
        name: String,
        /// Overwrite the variable even if this program did not write its value
        #[arg(long)]
        replace: bool,
    },
    /// Revoke a project's key and withhold the new one, until `resume`
    Suspend(OneOrMany),
    /// Change the cap of a live project
    Cap {
        /// Name of the project
        name: String,
        /// US dollars, up to the provider's maximum
        #[arg(value_name = "USD", allow_hyphen_values = true)]
        amount: String,
    },
    /// Show this month's budget, or write its limits into your policy
    Budget(Budget),
    /// Show what each project commits to a month and has used
    Spend(Spend),
    /// Deliver the key of a suspended project again
    Resume {
        /// Name of the project
        name: String,
        /// Overwrite the variable even if this program did not write its value
        #[arg(long)]
        replace: bool,
    },
    /// Show the audit log, or verify its hash chain
    Audit(Audit),
    /// Remove a project for good, and its key from the env file
    Teardown(OneOrMany),
    /// Abandon a purchase whose outcome can no longer be determined
    #[command(alias = "forget", after_help = ABANDON_HELP)]
    Abandon {
        /// Name of the project
        name: String,
    },
    /// Reset a project's expiry to TIME from now
    Extend {
        /// Name of the project
        name: String,
        /// 30m, 8h, 7d
        time: String,
    },
    /// Keep a project after its session ends
    Keep {
        /// Name of the project
        name: String,
    },
    /// Tear down every expired project, for instance from cron
    Reap {
        /// Wait for TIME first
        #[arg(long, value_name = "TIME")]
        after: Option<String>,
        /// A host started this process, so its flags count as little as those of `serve`
        #[arg(long, hide = true)]
        by_host: bool,
    },
    /// List approval requests
    Approvals {
        /// End every quiet time after a denial, so that forms are shown again
        #[arg(long)]
        clear: bool,
    },
    /// Approve a request (one use)
    Approve {
        /// As `approvals` shows it, such as ap-7k3f9q2m
        id: String,
    },
    /// Deny a request
    Deny {
        /// As `approvals` shows it, such as ap-7k3f9q2m
        id: String,
    },
    /// Record usage (simulated backend)
    Usage {
        #[command(subcommand)]
        command: Usage,
    },
    /// Find leaked keys in files and git history (exit code 7 if any)
    #[command(after_help = SCAN_HELP)]
    Scan(Scan),
    /// List the providers
    Providers {
        #[command(subcommand)]
        command: Option<Providers>,
    },
    /// Check the workspace and report problems
    #[command(after_help = DOCTOR_HELP)]
    Doctor {
        /// Fix what is safe to fix and report it
        #[arg(long)]
        repair: bool,
        /// Check every workspace
        #[arg(long, conflicts_with = "repair")]
        everywhere: bool,
    },
    /// List the workspaces, or correct where their folders are
    Workspaces {
        #[command(subcommand)]
        command: Option<Workspaces>,
    },
    /// Add this server to an MCP host's configuration: cursor, claude-desktop, claude-code, vscode or codex
    #[command(after_help = SETUP_HELP)]
    Setup {
        /// cursor, claude-desktop, claude-code, vscode or codex
        host: String,
        /// Only print the entry
        #[arg(long, conflicts_with = "remove")]
        print: bool,
        /// Remove the entry
        #[arg(long)]
        remove: bool,
    },
    /// Print the completion script of a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page of the program or of one command
    Man {
        /// A command of this program
        command: Option<String>,
    },
    /// Serve Stripe's Provisioning API, simulated, for offline work
    #[command(after_help = SIMULATOR_HELP)]
    #[cfg(feature = "simulator")]
    Simulator {
        /// A loopback address; port 0 picks a free one, which is printed to stderr
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:12111")]
        listen: String,
        /// Start with this provider unlinked (repeatable)
        #[arg(long, value_name = "PROVIDER")]
        unlinked: Vec<String>,
    },
}

impl Commands {
    /// Tells whether a host may have chosen the arguments, rather than a person.
    pub fn is_by_host(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Reap { by_host: true, .. })
    }

    /// Takes the workspace from the name of a project that is written `WORKSPACE:NAME`, and leaves the name.
    pub fn take_workspace(&mut self) -> Option<String> {
        let (Self::Abandon { name }
        | Self::Extend { name, .. }
        | Self::Keep { name }
        | Self::Resume { name, .. }
        | Self::Rotate { name, .. }
        | Self::Suspend(OneOrMany { target: OneOrAll { name: Some(name), .. }, .. })
        | Self::Teardown(OneOrMany { target: OneOrAll { name: Some(name), .. }, .. })
        | Self::Usage { command: Usage::Record { name, .. } }) = self
        else {
            return None;
        };
        let (workspace, rest) = name.rsplit_once(':').filter(|(workspace, _)| !workspace.is_empty())?;
        let (workspace, rest) = (workspace.to_owned(), rest.to_owned());
        *name = rest;
        Some(workspace)
    }

    /// Tells whether it goes on until it is stopped.
    pub fn is_endless(&self) -> bool {
        matches!(self, Self::Scan(Scan { watch: true, .. }))
    }

    /// Tells whether it disables keys, and so waits for nothing longer than it must.
    pub fn is_kill(&self) -> bool {
        matches!(self, Self::Suspend(_))
    }
}

/// The heading of the options that every command takes.
const GLOBAL: &str = "Global options";

const AFTER_HELP: &str = "\
Exit codes:
  0    done
  1    a file, the ledger or the machine failed
  2    invalid arguments or registry
  3    refused by a rule; nothing was changed
  4    there is no such project
  5    the backend refused or could not be reached; nothing was changed
  6    incomplete, or outcome unknown; the hint says how to finish
  7    a scan found leaked keys
  130  Ctrl-C, before anything began";

const ABANDON_HELP: &str = "\
The backend is asked once more. If it knows the outcome, the purchase is completed or closed, and nothing is
abandoned. If it never will, the project is closed, and its name and variable are free again. Look at the
backend's dashboard first: what exists there is billed, and nothing here will list it.";

const CONNECT_HELP: &str = "\
It records backend, program or address, key file and --accept-tos for this workspace, and shows them first. `serve`
uses a real backend only as recorded, whatever a host's entry says; your own commands need no connection. A later
`connect` to the same backend replaces the record. Without a terminal it needs --yes; else it prints what is missing
as JSON and exits with 3. Resources that an earlier ledger bought are named; `doctor --repair` adopts them.";

const SCAN_HELP: &str = "\
It finds every key that was delivered in the workspace, by mask, length and fingerprint: no key is stored.
The current key in its env file is no finding. A key is found in any bytes, also next to others; a connection string
only as a separate word, as it was delivered. Compressed, encrypted, base64 and UTF-16 data is not searched, except
git objects. With --watch, --json prints one object per line.";

const DOCTOR_HELP: &str = "\
Exit code: 0 if there is no problem (warnings are none), 1 if there is.

--repair removes permissions of other users, adds git exclusions, removes files that exited processes
left, reconciles unfinished operations, writes a project's current key to its variable again, and
adopts resources that an earlier ledger bought and that no ledger lists. An adopted project keeps its
key where it is; `rotate` delivers a new one. It buys, rotates and removes no project.";

const SETUP_HELP: &str = "\
Where:
  cursor          DIR/.cursor/mcp.json
  claude-code     DIR/.mcp.json
  vscode          DIR/.vscode/mcp.json
  claude-desktop  claude_desktop_config.json, where Claude keeps its settings
  codex           config.toml in ~/.codex, or in CODEX_HOME

Flags such as --backend go into the entry; a key never does. Nothing else in the file is changed,
comments and line endings included. A copy of the old file is kept beside it, with the extension
.stripe-projects.bak.";

const COMPLETIONS_HELP: &str = "\
  bash        stripe-projects-mcp completions bash > ~/.local/share/bash-completion/completions/stripe-projects-mcp
  zsh         stripe-projects-mcp completions zsh > DIR/_stripe-projects-mcp     DIR being a folder of $fpath
  fish        stripe-projects-mcp completions fish > ~/.config/fish/completions/stripe-projects-mcp.fish
  powershell  stripe-projects-mcp completions powershell | Out-String | Invoke-Expression     in $PROFILE
  elvish      eval (stripe-projects-mcp completions elvish | slurp)     in rc.elv";

#[cfg(feature = "simulator")]
const SIMULATOR_HELP: &str = "\
It serves the simulated account of the same state folder. Point a client of Stripe at it, with any
key such as rk_test_x and `Stripe-Version: 2026-10-14.preview`.

Fault injection:
  POST /_simulator/faults {\"on\": \"POST /v2/provisioning/resources\", \"fault\": WORD, \"times\": 1}
  DELETE /_simulator/faults                                        removes the planned faults
  POST /_simulator/usage {\"resource\": ID, \"micro_usd\": 250000}    bills a resource
  `{id}` in a path matches any one segment.

  pending, unknown_status   the status of the next \"polls\" (1) reads, after the effect
  errored                   nothing created, or nothing rotated, updated or removed
  needs_information         created, but unusable until the fields of \"schema\" are submitted;
                            nothing rotated, updated or removed
  conflict, rate_limited    409, or 429 with \"retry_after\" (0); nothing done
  declined, requirement     402, 403; nothing done
  error_before, error_after 500, without or with the effect
  drop_before, drop_after   the connection is cut, without or with the effect
  garbage                   200 and no JSON, after the effect
  slow                      \"ms\" (1000) later, even if the client has gone
  After an effect, the same Idempotency-Key gets the real response.";
