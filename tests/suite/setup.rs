//! `setup`, through the real binary: our entry in a host's file, and every other byte of the file as it was.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
};

use serde_json::{Value, json};
use stripe_projects_mcp::setup::Host;

use crate::workspace::{BINARY, Ran, Workspace};

/// A workspace with a home folder in it, and a host's file there.
struct Home {
    workspace: Workspace,
    host: Host,
}

impl Home {
    fn of(host: Host) -> Self {
        let workspace = Workspace::new();
        fs::create_dir(workspace.file("home")).unwrap();
        Self { workspace, host }
    }

    /// One whose file says this.
    fn with(host: Host, text: &str) -> Self {
        let home = Self::of(host);
        fs::create_dir_all(home.file().parent().unwrap()).unwrap();
        fs::write(home.file(), text).unwrap();
        home
    }

    fn file(&self) -> PathBuf {
        self.workspace.file(match self.host {
            Host::ClaudeCode => ".mcp.json",
            Host::ClaudeDesktop => "home/.config/Claude/claude_desktop_config.json",
            Host::Codex => "home/.codex/config.toml",
            Host::Cursor => ".cursor/mcp.json",
            Host::VsCode => ".vscode/mcp.json",
        })
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn backups(&self) -> Vec<String> {
        let names = self.workspace.files().into_iter().filter(|file| file.to_string_lossy().contains(".bak"));
        let mut backups: Vec<String> = names.map(|file| fs::read_to_string(file).unwrap()).collect();
        backups.sort();
        backups
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let arguments = [&["setup", self.host.as_str()], arguments].concat();
        let mut command = self.workspace.command(&arguments);
        command.env("HOME", self.workspace.file("home"));
        for variable in ["CODEX_HOME", "XDG_CONFIG_HOME"] {
            command.env_remove(variable);
        }
        command.output().unwrap().into()
    }

    fn ok(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{:?} {arguments:?}: {ran:?}", self.host);
        ran
    }

    fn code(&self, arguments: &[&str]) -> String {
        let ran = self.run(&[arguments, &["--json"]].concat());
        let answer: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
        answer["code"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Our entry, as the host reads it.
    fn entry(&self) -> Value {
        if self.host == Host::Codex {
            let all: Value = toml::from_str(&self.text()).unwrap();
            return all["mcp_servers"]["stripe-projects"].clone();
        }
        let all: Value = serde_json::from_str(&self.text()).unwrap();
        all[if self.host == Host::VsCode { "servers" } else { "mcpServers" }]["stripe-projects"].clone()
    }
}

#[test]
fn a_file_is_made_where_there_is_none_and_goes_again() {
    for host in Host::ALL {
        let home = Home::of(host);
        home.ok(&["--yes"]);
        assert_eq!(home.entry()["command"], BINARY);
        let folder = home.workspace.path();
        let folder = match host {
            Host::Cursor | Host::VsCode => "${workspaceFolder}",
            _ => folder.to_str().unwrap(),
        };
        assert_eq!(home.entry()["args"], json!(["serve", "--dir", folder]));
        let kind = home.entry().get("type").cloned();
        assert_eq!(kind, matches!(host, Host::ClaudeCode | Host::VsCode).then(|| json!("stdio")));
        let made = home.text();
        assert!(home.ok(&["--yes"]).stdout.starts_with("Already there, nothing changed"));
        assert_eq!(home.text(), made);
        assert_eq!(fs::metadata(home.file()).unwrap().permissions().mode() & 0o777, 0o600);

        home.ok(&["--remove", "--yes"]);
        assert!(!home.file().exists(), "it was made for us alone");
        assert_eq!(home.backups(), [""; 0]);
        assert!(home.ok(&["--remove", "--yes"]).stdout.starts_with("Nothing to remove"));
    }
}
