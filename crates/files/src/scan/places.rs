//! Transcript and history files of coding agents and shells.

use std::path::PathBuf;

/// The user's folders, as the environment names them.
#[derive(Clone, Debug, Default)]
pub struct Homes {
    pub home: Option<PathBuf>,
    /// The folder of roaming settings on Windows.
    pub app_data: Option<PathBuf>,
    /// `CLAUDE_CONFIG_DIR`
    pub claude: Option<PathBuf>,
    /// `CODEX_HOME`
    pub codex: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`
    pub config: Option<PathBuf>,
    /// `XDG_DATA_HOME`
    pub data: Option<PathBuf>,
    /// `HISTFILE`
    pub shell_history: Option<PathBuf>,
}

impl Homes {
    /// Returns the known places, which need not exist.
    pub fn transcripts(&self) -> Vec<PathBuf> {
        let home = |path: &str| self.home.as_ref().map(|home| home.join(path));
        let config = self.config.clone().or_else(|| home(".config"));
        let data = self.data.clone().or_else(|| home(".local/share"));
        let mut places: Vec<PathBuf> = IN_HOME.iter().filter_map(|place| home(place)).collect();
        for (folder, inside) in [(&config, IN_CONFIG), (&data, IN_DATA), (&self.app_data, IN_APP_DATA)] {
            places.extend(folder.iter().flat_map(|folder| inside.iter().map(|place| folder.join(place))));
        }
        places.extend([&self.claude, &self.codex, &self.shell_history].into_iter().flatten().cloned());
        places
    }
}

/// Claude Code, Cursor and Codex, then the histories of shells and interpreters.
const IN_HOME: &[&str] = &[
    ".claude",
    ".claude.json",
    "Library/Application Support/Claude",
    "Library/Logs/Claude",
    ".cursor",
    "Library/Application Support/Cursor/User",
    "Library/Application Support/Cursor/logs",
    ".codex",
    ".bash_history",
    ".history",
    ".node_repl_history",
    ".python_history",
    ".sh_history",
    ".zhistory",
    ".zsh_history",
    ".zsh_sessions",
];

const IN_CONFIG: &[&str] = &["claude", "Claude", "Cursor/User", "Cursor/logs"];

const IN_DATA: &[&str] = &["fish/fish_history", "powershell/PSReadLine"];

const IN_APP_DATA: &[&str] = &["Claude", "Cursor/User", "Cursor/logs", "Microsoft/Windows/PowerShell/PSReadLine"];
