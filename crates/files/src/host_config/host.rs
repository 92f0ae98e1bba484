//! MCP hosts, and the path and format of the configuration of each.

use std::path::PathBuf;

/// A program that runs an agent and starts MCP servers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Host {
    ClaudeCode,
    ClaudeDesktop,
    Codex,
    Cursor,
    VsCode,
}

/// The folders from the environment in which a host's file may be.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The absolute path of the project's folder.
    pub project: PathBuf,
    pub home: Option<PathBuf>,
    /// The folder of programs' settings: `XDG_CONFIG_HOME`, on Windows `APPDATA`.
    pub settings: Option<PathBuf>,
    /// `CODEX_HOME`.
    pub codex: Option<PathBuf>,
}

/// The format of a host's file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    Json,
    Toml,
}

impl Host {
    pub const ALL: [Self; 5] = [Self::ClaudeCode, Self::ClaudeDesktop, Self::Codex, Self::Cursor, Self::VsCode];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::ClaudeDesktop => "claude-desktop",
            Self::Codex => "codex",
            Self::Cursor => "cursor",
            Self::VsCode => "vscode",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|host| host.as_str() == name)
    }

    /// Returns the path of the configuration file; `None` if the environment has no home folder.
    pub fn file(self, places: &Places) -> Option<PathBuf> {
        let home = |path: &str| places.home.as_ref().map(|home| home.join(path));
        match self {
            Self::ClaudeCode => Some(places.project.join(".mcp.json")),
            Self::ClaudeDesktop => {
                let settings = if cfg!(target_os = "macos") {
                    home("Library/Application Support")
                } else {
                    places.settings.clone().or_else(|| if cfg!(windows) { None } else { home(".config") })
                };
                settings.map(|settings| settings.join("Claude").join("claude_desktop_config.json"))
            }
            Self::Codex => places.codex.clone().or_else(|| home(".codex")).map(|codex| codex.join("config.toml")),
            Self::Cursor => Some(places.project.join(".cursor").join("mcp.json")),
            Self::VsCode => Some(places.project.join(".vscode").join("mcp.json")),
        }
    }

    /// Returns the value of `--dir`. A host that knows its project's folder gets a placeholder, so the file can be shared.
    pub fn folder(self, places: &Places) -> Option<String> {
        match self {
            Self::Cursor | Self::VsCode => Some("${workspaceFolder}".to_owned()),
            Self::ClaudeCode | Self::ClaudeDesktop | Self::Codex => places.project.to_str().map(str::to_owned),
        }
    }

    pub(super) fn format(self) -> Format {
        if self == Self::Codex { Format::Toml } else { Format::Json }
    }

    /// Returns the key of the table of servers.
    pub(super) fn section(self) -> &'static str {
        match self {
            Self::ClaudeCode | Self::ClaudeDesktop | Self::Cursor => "mcpServers",
            Self::Codex => "mcp_servers",
            Self::VsCode => "servers",
        }
    }

    pub(super) fn names_the_transport(self) -> bool {
        matches!(self, Self::ClaudeCode | Self::VsCode)
    }
}
