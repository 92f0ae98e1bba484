//! The command line as clap reads it. Words stay text here: they are parsed where an error can say the rule without
//! repeating the word.

#![expect(clippy::doc_markdown, reason = "these comments are what `--help` prints, and a terminal shows no Markdown")]
#![allow(
    rustdoc::bare_urls,
    reason = "a terminal shows no links either, and who documents public items only sees none"
)]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// Gives an AI agent a prepaid, capped, revocable card instead of a root key.
#[derive(Parser)]
#[command(name = "stripe-projects-mcp", version, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Commands>,
}

#[derive(Args)]
pub struct Global {
    /// The folder the agent works in [default: the current one] [env: STRIPE_PROJECTS_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Where keys are written [default: DIR/.env] [env: STRIPE_PROJECTS_ENV_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// The registry [default: DIR/providers.toml, else built in] [env: STRIPE_PROJECTS_PROVIDERS]
    #[arg(long, global = true, value_name = "FILE")]
    pub providers: Option<PathBuf>,
    /// The ledger's folder [default: DIR/.stripe-projects] [env: STRIPE_PROJECTS_STATE_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Who provisions: simulated, stripe-cli or stripe-api [default: simulated] [env: STRIPE_PROJECTS_BACKEND]
    #[arg(long, global = true, value_name = "NAME")]
    pub backend: Option<String>,
    /// How the simulation pays, a Stripe test token [default: pm_card_visa] [env: STRIPE_PROJECTS_PAYMENT_METHOD]
    #[arg(long, global = true, value_name = "TOKEN")]
    pub payment_method: Option<String>,
    /// Accept the terms of service of the providers in the registry (stripe-cli, stripe-api)
    #[arg(long, global = true)]
    pub accept_tos: bool,
    /// The Stripe CLI [default: stripe, on PATH] [env: STRIPE_PROJECTS_STRIPE_BIN]
    #[arg(long, global = true, value_name = "FILE")]
    pub stripe_bin: Option<PathBuf>,
    /// A file with the Stripe API key [default: none, the key is in STRIPE_API_KEY] [env: STRIPE_PROJECTS_STRIPE_API_KEY_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub stripe_api_key_file: Option<PathBuf>,
    /// Where Stripe's API is [default: https://api.stripe.com] [env: STRIPE_PROJECTS_STRIPE_API_BASE]
    #[arg(long, global = true, value_name = "URL")]
    pub stripe_api_base: Option<String>,
    /// Print JSON on stdout and nothing else there
    #[arg(long, global = true)]
    pub json: bool,
    /// Do not ask
    #[arg(long, global = true)]
    pub yes: bool,
}

#[derive(Subcommand)]
pub enum Commands {
    /// Serve MCP on stdin and stdout
    Serve(Serve),
    /// Create a capped project and write its key to the env file
    Provision {
        /// Your name for it: 1-63 of a-z, 0-9 and `-`
        name: String,
        /// A key of the registry, see `providers`
        provider: String,
        /// Budget in US dollars, up to the provider's maximum [default: the provider's default]
        #[arg(long, value_name = "USD", default_value = "0", hide_default_value = true, allow_hyphen_values = true)]
        cap: String,
        /// Tear it down after that time: 30m, 8h, 7d [default: the provider's default, else never]
        #[arg(long, value_name = "TIME")]
        expires_in: Option<String>,
        /// Overwrite the variable even if it holds somebody else's value
        #[arg(long)]
        replace: bool,
    },
    /// Show projects with status, usage and what is left
    List {
        /// Show those that are gone, too
        #[arg(long)]
        all: bool,
    },
    /// Kill a project's key and write a new one to the env file
    Rotate {
        /// Name of the project
        name: String,
    },
    /// Kill a project's key and withhold the new one, until `resume`
    Suspend(OneOrAll),
    /// Deliver the key of a suspended project again
    Resume {
        /// Name of the project
        name: String,
    },
    /// Show who called what and what came of it, or prove that nobody changed that
    Audit(Audit),
    /// Remove a project for good, and its key from the env file
    Teardown(OneOrAll),
    /// Close a purchase whose outcome the backend can no longer tell
    #[command(alias = "forget", after_help = ABANDON_HELP)]
    Abandon {
        /// Name of the project
        name: String,
    },
    /// Let a project live that long from now on
    Extend {
        /// Name of the project
        name: String,
        /// 30m, 8h, 7d
        time: String,
    },
    /// Take a project out of the host session that would give it back
    Keep {
        /// Name of the project
        name: String,
    },
    /// Tear down every project whose time is up, for instance from cron
    Reap {
        /// Wait that long first
        #[arg(long, value_name = "TIME")]
        after: Option<String>,
    },
    /// Show what agents have asked for and a human has to decide
    Approvals,
    /// Say yes to a request: the agent's next identical call goes through, once
    Approve {
        /// As `approvals` shows it, such as ap-7k3f
        id: String,
    },
    /// Say no to a request
    Deny {
        /// As `approvals` shows it, such as ap-7k3f
        id: String,
    },
    /// Record usage (simulated backend)
    Usage {
        #[command(subcommand)]
        command: Usage,
    },
    /// Look for keys of ours, current or dead, where none belongs: exit code 7 if there are
    #[command(after_help = SCAN_HELP)]
    Scan(Scan),
    /// Show what can be provisioned
    Providers {
        #[command(subcommand)]
        command: Option<Providers>,
    },
    /// Look at everything that this workspace rests on
    #[command(after_help = DOCTOR_HELP)]
    Doctor {
        /// Put right what is safe to, and say what was done
        #[arg(long)]
        repair: bool,
    },
    /// Put this program into a host's configuration: cursor, claude-desktop, claude-code, vscode or codex
    #[command(after_help = SETUP_HELP)]
    Setup {
        /// cursor, claude-desktop, claude-code, vscode or codex
        host: String,
        /// Only print what would be merged
        #[arg(long, conflicts_with = "remove")]
        print: bool,
        /// Take our entry out again
        #[arg(long)]
        remove: bool,
    },
    /// Print the completions of a shell, to be put where it looks for them
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page, or that of one command
    Man {
        /// A command of this program
        command: Option<String>,
    },
    /// Serve Stripe's Provisioning API, simulated, for offline work
    #[command(after_help = SIMULATOR_HELP)]
    Simulator {
        /// A loopback address; port 0 takes any free one, and stderr says which
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:12111")]
        listen: String,
        /// Start without a connection to this provider of the catalog; may be given again
        #[arg(long, value_name = "PROVIDER")]
        unlinked: Vec<String>,
    },
}

impl Commands {
    /// Tells whether it goes on until it is stopped.
    pub fn is_endless(&self) -> bool {
        matches!(self, Self::Scan(Scan { watch: true, .. }))
    }
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct OneOrAll {
    /// Name of the project
    pub name: Option<String>,
    /// Every live project
    #[arg(long)]
    pub all: bool,
}

#[derive(Args, Default)]
pub struct Serve {
    /// Offer `list_projects` and the resources only
    #[arg(long, conflicts_with = "tools")]
    pub read_only: bool,
    /// Offer these tools only
    #[arg(long, value_name = "TOOL,TOOL", value_delimiter = ',')]
    pub tools: Option<Vec<String>>,
    /// Give back at the end of the session what it provisioned, unless a human keeps it
    #[arg(long)]
    pub session: bool,
    /// How long after the end of the session
    #[arg(long, value_name = "TIME", default_value = "5m", requires = "session")]
    pub grace: String,
}

#[derive(Args)]
pub struct Scan {
    /// Files and folders; in a git repository, its whole history too
    #[arg(value_name = "PATH", required_unless_present = "agents")]
    pub paths: Vec<PathBuf>,
    /// Look where Claude Code, Cursor, Codex and shells keep transcripts and histories
    #[arg(long)]
    pub agents: bool,
    /// Rotate what is found and live, after asking
    #[arg(long)]
    pub rotate: bool,
    /// Go on looking at what changes, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

#[derive(Args)]
pub struct Audit {
    /// Only of this project
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Only by those whose name holds this text
    #[arg(long, value_name = "TEXT")]
    pub actor: Option<String>,
    /// Only from then on: a time, a day (UTC), or how long ago (30m, 8h, 7d)
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only up to then
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Only what ended like that: called, intended, done, failed, refused, ok, or a code
    #[arg(long, value_name = "WORD")]
    pub outcome: Option<String>,
    /// Only the newest so many; 0 is all
    #[arg(long, value_name = "N", default_value = "50")]
    pub limit: usize,
    /// Walk along the chain; exit 1 names the first row that is not what was written
    #[arg(long)]
    pub verify: bool,
    /// Accept that `audit.head` does not fit, after you restored a backup of ledger.db: that you did stays in the audit
    #[arg(long, conflicts_with = "verify")]
    pub accept: bool,
}

#[derive(Subcommand)]
pub enum Usage {
    /// Add usage to a project; at the cap it is suspended
    Record {
        /// Name of the project
        name: String,
        /// US dollars, up to six decimals
        #[arg(value_name = "USD", allow_hyphen_values = true)]
        amount: String,
    },
}

#[derive(Subcommand)]
pub enum Providers {
    /// Say whether the registry is sound
    Check,
}

const AFTER_HELP: &str = "\
Exit codes:
  0    done
  1    a file, the ledger or the machine failed
  2    the words of the call, or the registry, are wrong
  3    a rule said no; nothing was changed
  4    there is no such project
  5    the backend said no or could not be reached; nothing was changed
  6    part of it happened, or nobody knows yet; the message says which, the hint how to finish
  7    a scan found keys of ours where none belongs
  130  Ctrl-C, before anything was begun";

const ABANDON_HELP: &str = "\
The backend is asked once more. If it can tell, the purchase is finished or closed as ever, and nothing is
given up. If it never will, the project is closed, and its name and variable are free again. Look at the
backend's dashboard first: what exists there is billed, and nothing here will list it.";

const SCAN_HELP: &str = "\
It finds what this program has ever delivered from the same state folder, by mask, length and fingerprint: no key is
kept anywhere. The env file is no finding where it holds the current key. A key is found in any bytes, also glued to
others; a connection string only as a word of its own, as it was delivered. What is compressed, encrypted or encoded
in base64 or UTF-16 is not looked into, except what git keeps. With --watch, --json prints one object a line.";

const DOCTOR_HELP: &str = "\
Exit code: 0 if there is no problem (warnings are none), 1 if there is.

--repair takes rights away from others that they should not have, keeps git away, removes what dead
processes left, settles what was begun and not ended, and writes a project's current key to its
variable again. It buys, rotates and removes nothing, and adopts nothing that is not listed.";

const SETUP_HELP: &str = "\
Where:
  cursor          DIR/.cursor/mcp.json
  claude-code     DIR/.mcp.json
  vscode          DIR/.vscode/mcp.json
  claude-desktop  claude_desktop_config.json, where Claude keeps its settings
  codex           config.toml in ~/.codex, or in CODEX_HOME

Flags that are given with it, such as --backend, go into the entry; a key never does. Nothing else
in the file is changed, comments and line endings included. The file as it was is kept beside it,
with the ending .stripe-projects.bak.";

const COMPLETIONS_HELP: &str = "\
  bash        stripe-projects-mcp completions bash > ~/.local/share/bash-completion/completions/stripe-projects-mcp
  zsh         stripe-projects-mcp completions zsh > DIR/_stripe-projects-mcp     DIR being a folder of $fpath
  fish        stripe-projects-mcp completions fish > ~/.config/fish/completions/stripe-projects-mcp.fish
  powershell  stripe-projects-mcp completions powershell | Out-String | Invoke-Expression     in $PROFILE
  elvish      eval (stripe-projects-mcp completions elvish | slurp)     in rc.elv";

const SIMULATOR_HELP: &str = "\
It shows the world of the simulated backend of the same state folder. Point a client of
Stripe at it, with any key such as rk_test_x and `Stripe-Version: 2026-10-14.preview`.

Bad weather:
  POST /_simulator/faults {\"on\": \"POST /v2/provisioning/resources\", \"fault\": WORD, \"times\": 1}
  DELETE /_simulator/faults                                        takes back what is planned
  POST /_simulator/usage {\"resource\": ID, \"micro_usd\": 250000}    bills a resource
  `{id}` in a path stands for any one segment.

  pending, unknown_status   the status for the next \"polls\" (1) looks, after the effect
  errored                   nothing created, or nothing rotated, updated or removed
  needs_information         created, but of no use until the fields of \"schema\" are submitted;
                            nothing rotated, updated or removed
  conflict, rate_limited    409, or 429 with \"retry_after\" (0); nothing done
  declined, requirement     402, 403; nothing done
  error_before, error_after 500, without or with the effect
  drop_before, drop_after   the connection is cut, without or with the effect
  garbage                   200 and no JSON, after the effect
  slow                      \"ms\" (1000) later, whether or not the client still waits
  After an effect, the same Idempotency-Key gets the true answer.";
