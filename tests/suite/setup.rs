//! `setup`, through the real binary: our entry in a host's file, and every other byte of the file as it was.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    process::Command,
};

use serde_json::{Value, json};
use stripe_projects_mcp::setup::{Entry, Host, Places, Proposal, SetupError, Wish};

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
        assert!(home.ok(&["--yes"]).stdout.starts_with("Unchanged, the entry exists already"));
        assert_eq!(home.text(), made);
        assert_eq!(fs::metadata(home.file()).unwrap().permissions().mode() & 0o777, 0o600);

        home.ok(&["--remove", "--yes"]);
        assert!(!home.file().exists(), "it was made for us alone");
        assert_eq!(home.backups(), [""; 0]);
        assert!(home.ok(&["--remove", "--yes"]).stdout.starts_with("Nothing to remove"));
    }
}

#[test]
fn what_is_there_stays_to_the_byte_and_is_kept() {
    let jsonc = "\u{feff}// my servers\r\n{\r\n\t\"servers\": {\r\n\t\t\"other\": { \"env\": { \"T\": \"sk_live_canary\" }, }, // theirs\r\n\t},\r\n}";
    let toml = "model = \"o9\" # mine\r\n\r\n[mcp_servers.other]\r\ncommand = 'x'\r\nenv = { T = \"sk_live_canary\" }";
    for (host, text) in [(Host::VsCode, jsonc), (Host::Codex, toml)] {
        let home = Home::with(host, text);
        let said = home.ok(&["--yes"]);
        assert!(!format!("{said:?}").contains("canary"), "{said:?}");
        assert_eq!(home.backups(), [text]);
        let with = home.text();
        assert!(with.contains("stripe-projects") && with.len() > text.len());
        home.ok(&["--yes"]);
        assert_eq!(home.text(), with);
        home.ok(&["--remove", "--yes"]);
        assert_eq!(home.text(), text);
        let mut kept = vec![text.to_owned(), with];
        kept.sort();
        assert_eq!(home.backups(), kept, "an older backup that differs is not overwritten");
        for file in home.workspace.files().iter().filter(|file| file.to_string_lossy().contains(".bak")) {
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}

#[test]
fn a_file_that_was_there_is_never_removed() {
    let home = Home::with(Host::Cursor, "");
    home.ok(&["--yes"]);
    home.ok(&["--remove", "--yes"]);
    assert_eq!(home.text(), "{\n  \"mcpServers\": {}\n}\n");
}

#[test]
fn the_mode_and_the_link_of_a_file_stay() {
    let home = Home::with(Host::Cursor, "{}");
    let real = home.workspace.file("dotfiles.json");
    fs::rename(home.file(), &real).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("../dotfiles.json", home.file()).unwrap();
    home.ok(&["--yes"]);
    assert!(home.file().is_symlink());
    assert_eq!(home.entry()["command"], BINARY);
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(home.workspace.file("dotfiles.json.stripe-projects.bak").exists());
}

#[test]
fn flags_that_matter_go_into_the_entry_and_keys_do_not() {
    let home = Home::of(Host::Codex);
    home.workspace.has_plants();
    home.workspace.write("key", "rk_test_0123456789abcdef");
    let mut command = home.workspace.command(&["setup", "codex", "--yes", "--backend", "stripe-api", "--accept-tos"]);
    command
        .args(["--stripe-api-key-file", "key", "--state-dir", "s"])
        .env("STRIPE_API_KEY", "rk_test_canary0123456789");
    let codex = home.workspace.file("elsewhere");
    let ran: Ran = command.env("CODEX_HOME", &codex).output().unwrap().into();
    assert_eq!(ran.code, 0, "{ran:?}");
    let text = fs::read_to_string(codex.join("config.toml")).unwrap();
    let all: Value = toml::from_str(&text).unwrap();
    let flags = ["--state-dir", "s", "--stripe-api-key-file", "key", "--backend", "stripe-api", "--accept-tos"];
    assert_eq!(all["mcp_servers"]["stripe-projects"]["args"].as_array().unwrap()[3..], flags.map(Value::from));
    for file in home.workspace.files().iter().filter(|file| !file.ends_with("key")) {
        assert!(!fs::read_to_string(file).unwrap().contains("rk_test_"), "{}", file.display());
    }
    assert!(!format!("{ran:?}").contains("rk_test_"));
}

#[test]
fn the_name_is_enough_where_the_path_finds_the_very_file() {
    let home = Home::of(Host::Cursor);
    let bin = home.workspace.file("bin");
    fs::create_dir(&bin).unwrap();
    let start = |path: &PathBuf| {
        let mut command = home.workspace.command(&["setup", "cursor", "--print"]);
        let printed: Ran = command.env("PATH", path).output().unwrap().into();
        let all: Value = serde_json::from_str(&printed.stdout).unwrap();
        all["mcpServers"]["stripe-projects"]["command"].as_str().unwrap().to_owned()
    };
    fs::write(bin.join("stripe-projects-mcp"), "another program").unwrap();
    assert_eq!(start(&bin), BINARY);
    fs::remove_file(bin.join("stripe-projects-mcp")).unwrap();
    symlink(BINARY, bin.join("stripe-projects-mcp")).unwrap();
    assert_eq!(start(&bin), "stripe-projects-mcp");
}

#[test]
fn print_only_prints() {
    for host in Host::ALL {
        let home = Home::with(host, "not what it should be {{");
        let before = home.workspace.files();
        let printed = home.ok(&["--print"]).stdout;
        assert!(printed.contains("stripe-projects") && printed.contains("serve"), "{printed}");
        assert_eq!((home.workspace.files(), home.text()), (before, "not what it should be {{".to_owned()));
    }
}

#[test]
fn without_a_yes_nothing_is_changed() {
    let home = Home::with(Host::Cursor, "{}");
    for arguments in [&[][..], &["--remove"]] {
        if arguments.is_empty() {
            assert_eq!(home.code(arguments), "not_confirmed");
        }
        assert_eq!(home.text(), "{}");
    }
    assert_eq!(home.backups(), [""; 0]);
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_left_alone() {
    for (host, text, code) in [
        (Host::Cursor, "{\"mcpServers\": []}", "config_wrong_shape"),
        (Host::Cursor, "[1]", "config_wrong_shape"),
        (Host::Cursor, "{\"mcpServers\": {\"stripe-projects\": \"sk_live_canary\"}}", "config_wrong_shape"),
        (Host::Cursor, "{\"mcpServers\": {}, \"mcpServers\": {}}", "config_duplicate_key"),
        (Host::ClaudeCode, "{ sk_live_canary }", "config_syntax"),
        (Host::VsCode, "servers:\n  a: sk_live_canary\n", "config_syntax"),
        (Host::ClaudeDesktop, "{\"a\": \"sk_live_canary", "config_syntax"),
        (Host::Codex, "a = 'sk_live_canary", "config_syntax"),
        (Host::Codex, "mcp_servers = { a = { command = 'sk_live_canary' } }\n", "config_not_editable"),
    ] {
        let home = Home::with(host, text);
        for arguments in [&["--yes"][..], &["--remove", "--yes"]] {
            let ran = home.run(arguments);
            assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
            assert_eq!(home.text(), text);
        }
        assert_eq!(home.code(&["--yes"]), code, "{text}");
        assert_eq!(home.backups(), [""; 0]);
    }
}

#[test]
fn a_place_that_is_no_file_of_ours_to_write_is_left_alone() {
    let no_text = Home::with(Host::Cursor, "");
    fs::write(no_text.file(), b"\xff\xfe{\0}\0").unwrap();
    assert_eq!(no_text.code(&["--yes"]), "config_not_text");

    let read_only = Home::with(Host::Cursor, "{}");
    fs::set_permissions(read_only.file(), fs::Permissions::from_mode(0o444)).unwrap();
    assert_eq!(read_only.code(&["--yes"]), "config_read_only");

    let folder = Home::of(Host::Cursor);
    fs::create_dir_all(folder.file()).unwrap();
    assert_eq!(folder.code(&["--yes"]), "config_is_a_folder");

    let dangling = Home::of(Host::ClaudeCode);
    symlink("nowhere", dangling.file()).unwrap();
    assert_eq!(dangling.code(&["--yes"]), "config_link_dangling");
    assert!(!dangling.workspace.file("nowhere").exists());

    let large = Home::with(Host::Cursor, &" ".repeat(5_000_000));
    assert_eq!(large.code(&["--yes"]), "config_too_large");

    let blocked = Home::of(Host::Cursor);
    blocked.workspace.write(".cursor", "a file where the folder should be");
    assert_eq!(blocked.code(&["--yes"]), "config_unreadable");
}

#[test]
fn who_has_no_home_is_told_so() {
    let workspace = Workspace::new();
    let mut command = workspace.command(&["setup", "codex", "--yes", "--json"]);
    let ran: Ran = command.env_remove("HOME").env_remove("CODEX_HOME").output().unwrap().into();
    assert!(ran.stdout.contains("\"no_home\"") && ran.code == 2, "{ran:?}");
    let ran = workspace.run(&["setup", "emacs", "--json"]);
    assert!(ran.stdout.contains("\"unknown_host\"") && ran.code == 2, "{ran:?}");
}

#[test]
fn an_entry_that_somebody_edited_is_shown_without_its_secrets() {
    let text = "{\"mcpServers\": {\"stripe-projects\": {\"command\": \"old\", \"env\": {\"STRIPE_API_KEY\": \"canary\"}, \"args\": [\"serve\", \"--backend\", \"stripe-cli\", \"--key\", \"canary\"]}}}";
    let home = Home::with(Host::Cursor, text);
    let asked = home.run(&[]);
    assert_eq!((asked.code, home.text()), (3, text.to_owned()));
    assert!(asked.stderr.contains("- command: \"old\"") && asked.stderr.contains("+ command: "), "{asked:?}");
    assert!(asked.stderr.contains(r#"- args: ["serve", "--backend", "stripe-cli", "…", "…"]"#), "{asked:?}");
    assert!(!format!("{asked:?}").contains("canary"), "{asked:?}");
    let changed = home.ok(&["--yes"]);
    assert!(!format!("{changed:?}").contains("canary"), "{changed:?}");
    assert_eq!(home.entry()["env"]["STRIPE_API_KEY"], "canary", "what is not ours stays");
    assert_eq!(home.entry()["command"], BINARY);
    assert_eq!(home.backups(), [text]);
}

#[test]
fn what_has_changed_since_it_was_shown_is_left_alone() {
    let places = |home: &Home| Places { project: home.workspace.path(), ..Places::default() };
    let add = Wish::Add(Entry { command: "x".to_owned(), args: Vec::new() });
    for (before, wish, after) in [(None, &add, "{}"), (Some("{}"), &add, "{ }")] {
        let home = before.map_or_else(|| Home::of(Host::ClaudeCode), |text| Home::with(Host::ClaudeCode, text));
        let proposal = Proposal::of(home.host, &places(&home), wish).unwrap();
        fs::write(home.file(), after).unwrap();
        assert!(matches!(proposal.carry_out(), Err(SetupError::Changed { .. })));
        assert_eq!((home.text().as_str(), home.backups()), (after, Vec::new()));
    }
    let home = Home::of(Host::ClaudeCode);
    Proposal::of(home.host, &places(&home), &add).unwrap().carry_out().unwrap();
    let proposal = Proposal::of(home.host, &places(&home), &Wish::Remove).unwrap();
    let theirs = home.text().replace("\"x\"", "\"y\"");
    fs::write(home.file(), &theirs).unwrap();
    assert!(matches!(proposal.carry_out(), Err(SetupError::Changed { .. })));
    assert_eq!(home.text(), theirs);
}

#[test]
fn a_backup_that_git_would_take_is_said() {
    let home = Home::with(Host::ClaudeCode, "{}");
    let mut git = Command::new("git");
    assert!(git.args(["init", "--quiet"]).current_dir(home.workspace.path()).status().unwrap().success());
    assert!(home.ok(&["--yes"]).stdout.contains("That copy is not git-ignored"));
}

#[test]
fn a_pipe_in_the_place_of_the_file_is_not_waited_for() {
    let home = Home::of(Host::ClaudeCode);
    assert!(Command::new("mkfifo").arg(home.file()).status().unwrap().success());
    assert_eq!(home.code(&["--yes"]), "config_unreadable");
}
