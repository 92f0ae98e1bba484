//! The state folder: private, ours, and out of reach for a workspace and its repository.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use crate::{raw_client::RawClient, workspace::Workspace};

/// A repository brings a host entry and a ledger; what the entry sets must not make the program use that ledger.
#[test]
fn host_entry_cannot_choose_a_ledger_of_the_workspace() {
    let mine = Workspace::new();
    mine.ok(&["provision", "shipped", "search"]);
    for (flag, variable, value, shipped) in [
        (None, Some("XDG_STATE_HOME"), "", "stripe-projects"),
        (None, Some("XDG_STATE_HOME"), "deep/er", "deep/er/stripe-projects"),
        (None, Some("HOME"), "", ".local/state/stripe-projects"),
        (None, Some("STRIPE_PROJECTS_STATE_DIR"), "state", "state"),
        (Some("--state-dir"), None, "state", "state"),
        (Some("--state-dir"), None, ".", "."),
        (Some("--state-dir"), None, "../workspace/state", "state"),
    ] {
        let here = Workspace::new();
        let case = format!("{flag:?} {variable:?} {value}");
        let folder = here.file(shipped);
        copy_private(&mine.state(), &folder);
        let mut command = here.command(&["serve"]);
        if let Some(flag) = flag {
            command.args([flag, value]);
        }
        if let Some(variable) = variable {
            command.env(
                variable,
                if variable == "STRIPE_PROJECTS_STATE_DIR" { PathBuf::from(value) } else { here.file(value) },
            );
        }
        let before = fs::read(folder.join("ledger.db")).unwrap();
        let mut agent = RawClient::start(command);
        agent.initialize_as("lines");
        for (tool, arguments) in [
            ("list_projects", json!({})),
            ("provision", json!({ "name": "m", "provider": "search" })),
            ("rotate_key", json!({ "name": "shipped" })),
            ("teardown", json!({ "name": "shipped" })),
        ] {
            let answer = agent.call(tool, &arguments);
            assert_eq!(answer["code"], "workspace_too_wide", "{case}: {tool}: {answer}");
        }
        assert_eq!(agent.disconnect().code, 0, "{case}");
        assert_eq!(fs::read(folder.join("ledger.db")).unwrap(), before, "{case}: the ledger was not opened");
        assert!(!here.file(".env").exists(), "{case}");
    }
}

/// The workspace is a folder of a work tree, and the entry names a ledger beside it.
#[test]
fn ledger_that_git_would_take_is_refused() {
    let mine = Workspace::new();
    mine.ok(&["provision", "shipped", "search"]);
    let here = Workspace::new();
    git(&here.root(), &["init", "--quiet"]);
    let state = here.root().join("state");
    copy_private(&mine.state(), &state);
    let listed = |arguments: &[&str]| {
        let answer = here.json(&[&["list", "--state-dir"], arguments].concat());
        answer["code"].as_str().map(str::to_owned)
    };
    assert_eq!(listed(&["../state"]).as_deref(), Some("state_folder_unsafe"), "untracked");
    git(&here.root(), &["add", "--force", "state"]);
    fs::write(here.root().join(".gitignore"), "state\n").unwrap();
    assert_eq!(listed(&["../state"]).as_deref(), Some("state_folder_unsafe"), "tracked, though ignored");
    git(&here.root(), &["rm", "--quiet", "-r", "--cached", "state"]);
    assert_eq!(listed(&["../state"]), None, "ignored");
    assert_eq!(listed(&["../.git/state"]), None, "git's own folder");
    fs::write(here.root().join(".gitignore"), "").unwrap();
    assert_eq!(here.json(&["provision", "m", "search", "--state-dir", "../new/er"])["code"], "state_folder_unsafe");
    assert!(!here.root().join("new").exists());
}

#[test]
fn state_folder_of_others_is_refused() {
    let here = Workspace::new();
    here.ok(&["provision", "memory", "search"]);
    for mode in [0o755, 0o750, 0o770, 0o707, 0o500] {
        fs::set_permissions(here.state(), Permissions::from_mode(mode)).unwrap();
        for arguments in [&["list"][..], &["provision", "web", "tts"], &["approvals"], &["suspend", "memory"]] {
            let error = here.json(arguments);
            assert_eq!(error["code"], "state_folder_unsafe", "{mode:o}: {error}");
            let command = format!("`chmod 700 '{}'`", here.state().display());
            assert!(error["hint"].as_str().unwrap().contains(&command), "{error}");
        }
    }
    fs::set_permissions(here.state(), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(here.json(&["list"])["live_count"], 1);

    let moved = here.home().join("moved");
    fs::rename(here.state(), &moved).unwrap();
    symlink(&moved, here.state()).unwrap();
    assert_eq!(here.json(&["list"])["code"], "state_folder_unsafe", "a link");
    fs::remove_file(here.state()).unwrap();
    fs::write(here.state(), "").unwrap();
    assert_eq!(here.json(&["list"])["code"], "state_folder_unsafe", "a file");
    fs::remove_file(here.state()).unwrap();
    fs::rename(&moved, here.state()).unwrap();
    if is_root() {
        chown(here.state(), Some(UNPRIVILEGED), None).unwrap();
        assert_eq!(here.json(&["list"])["code"], "state_folder_unsafe", "of another user");
    }
}

#[test]
fn root_creates_no_folder_in_the_home_of_a_user() {
    if !is_root() {
        return;
    }
    let here = Workspace::new();
    chown(here.home(), Some(UNPRIVILEGED), None).unwrap();
    let error = here.json(&["provision", "memory", "search"]);
    assert_eq!(error["code"], "state_folder_unsafe", "{error}");
    assert!(error["hint"].as_str().unwrap().contains("without `sudo`"), "{error}");
    assert!(here.files().is_empty(), "{:?}", here.files());
    here.ok(&["provision", "memory", "search", "--state-dir", here.root().join("state").to_str().unwrap()]);
}

#[test]
fn workspace_that_contains_the_home_is_too_wide() {
    let here = Workspace::new();
    let (home, root) = (here.home(), here.root());
    for dir in [&home, &root] {
        let dir = dir.to_str().unwrap();
        for arguments in [&["provision", "memory", "search"][..], &["list"], &["suspend", "--all"]] {
            let error = here.json(&[arguments, &["--dir", dir]].concat());
            assert_eq!(error["code"], "workspace_too_wide", "{arguments:?}: {error}");
        }
        let mut agent = RawClient::start(here.command(&["serve", "--dir", dir]));
        agent.initialize_as("lines");
        let answer = agent.call("provision", &json!({ "name": "m", "provider": "search" }));
        assert_eq!(answer["code"], "workspace_too_wide", "{answer}");
        agent.disconnect();
        here.ok(&["approvals", "--dir", dir]);
        here.ok(&["list", "--everywhere", "--dir", dir]);
        assert!(here.json(&["doctor", "--dir", dir]).to_string().contains("contains the"), "{dir}");
    }
    assert!(here.billed_resources().is_empty());
    assert!(!home.join(".env").exists() && !root.join(".env").exists());
    assert_eq!(here.json(&["workspaces"])["workspaces"], json!([]), "neither was registered");
}

#[test]
fn git_clean_forgets_nothing() {
    let here = Workspace::new();
    git(&here.path(), &["init", "--quiet"]);
    here.ok(&["provision", "memory", "search"]);
    git(&here.path(), &["clean", "--quiet", "-fdx"]);
    assert_eq!(here.json(&["list"])["live_count"], 1);
    assert_eq!(here.run(&["audit", "--verify"]).code, 0);
    here.ok(&["teardown", "memory", "--yes"]);
    assert!(here.billed_resources().is_empty());
}

#[test]
fn state_folder_follows_the_variables() {
    let here = Workspace::new();
    let (absolute, usual) = (here.root().join("state"), here.state());
    for (value, state) in [(absolute.to_str().unwrap(), absolute.join("stripe-projects")), ("relative", usual)] {
        here.cli(&["provision", "m", "search"]).env("XDG_STATE_HOME", value).succeed();
        assert!(state.join("ledger.db").exists(), "{value}");
        assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
        here.cli(&["teardown", "m", "--yes"]).env("XDG_STATE_HOME", value).succeed();
    }
}

fn copy_private(from: &Path, to: &Path) {
    files::fs::create_private_folder(to).unwrap();
    for name in ["ledger.db", "audit.head"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    fs::set_permissions(to, Permissions::from_mode(0o700)).unwrap();
}

fn git(folder: &Path, arguments: &[&str]) {
    let status = Command::new("git").args(arguments).current_dir(folder).status().unwrap();
    assert!(status.success(), "{arguments:?}");
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// An unprivileged user id, on any system.
const UNPRIVILEGED: u32 = 65_534;
