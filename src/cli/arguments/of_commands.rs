//! The arguments of single commands.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Args)]
pub struct OneOrMany {
    #[command(flatten)]
    pub target: OneOrAll,
    /// With --all: of every workspace
    #[arg(long, requires = "all")]
    pub everywhere: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct OneOrAll {
    /// Name of the project, or WORKSPACE:NAME as `list --everywhere` shows it
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
    /// Tear down this session's projects when it ends, except those you `keep`
    #[arg(long)]
    pub session: bool,
    /// How long after the end of the session they are torn down
    #[arg(long, value_name = "TIME", default_value = "5m", requires = "session")]
    pub grace: String,
}

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct Scan {
    /// Files and folders; in a git repository, its whole history too
    #[arg(value_name = "PATH", required_unless_present = "agents")]
    pub paths: Vec<PathBuf>,
    /// Search the transcripts and histories of Claude Code, Cursor, Codex and shells
    #[arg(long)]
    pub agents: bool,
    /// Rotate the live keys that are found, after confirmation
    #[arg(long)]
    pub rotate: bool,
    /// Find the keys of every workspace
    #[arg(long, conflicts_with = "rotate")]
    pub everywhere: bool,
    /// Keep watching for changes until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

#[derive(Args)]
pub struct Audit {
    /// Only rows of this project
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Only rows of callers whose name contains this text
    #[arg(long, value_name = "TEXT")]
    pub actor: Option<String>,
    /// Only rows since then: a time, a day (UTC), or how long ago (30m, 8h, 7d)
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only rows until then
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Only this outcome: called, intended, done, failed, refused, ok, or a code
    #[arg(long, value_name = "WORD")]
    pub outcome: Option<String>,
    /// Only the newest N rows; 0 is all
    #[arg(long, value_name = "N", default_value = "50")]
    pub limit: usize,
    /// Verify the hash chain; exit code 1 names the first row that was changed
    #[arg(long)]
    pub verify: bool,
    /// Accept an `audit.head` that does not match, after you restored a backup of ledger.db; the audit keeps it
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
pub enum Workspaces {
    /// Record that the folder of a workspace is at another path, or was replaced by another folder
    Move {
        /// As `workspaces` shows it
        old: String,
        /// An existing folder
        new: PathBuf,
    },
    /// Take its path from a workspace; its projects stay listed
    Detach {
        /// As `workspaces` shows it
        #[arg(value_name = "DIR")]
        workspace: String,
    },
}

#[derive(Subcommand)]
pub enum Providers {
    /// Check that the registry is valid
    Check,
}
