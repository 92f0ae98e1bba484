//! Which policy files count: all of them, whatever the environment of a host's entry says.
#![cfg(unix)]

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, chown, symlink},
        process::CommandExt as _,
    },
    path::Path,
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    raw_client::{RawClient, until},
    workspace::{BINARY, CommandOutput, Workspace},
};

/// In a private mount namespace with an `/etc` of its own, a host's entry tries every variable. Nothing lifts the limits.
#[test]
fn environment_lifts_no_policy() {
    let Some(machine) = Machine::new() else {
        println!("NOT CHECKED: no private mount namespace");
        return;
    };
    for (file, limit) in [("etc/stripe-projects/policy.toml", 7), ("home/.config/stripe-projects/policy.toml", 8)] {
        machine.write(file, &format!("[policy]\nmonthly_budget_usd = 1000\ntotal_cap_usd = {limit}\n"));
        machine.write("workspace/empty.toml", "");
        machine.write("workspace/stripe-projects/policy.toml", "[policy]\ntotal_cap_usd = 5000\napproval = 'never'\n");
        machine.write("workspace/.config/stripe-projects/policy.toml", "[policy]\ntotal_cap_usd = 5000\n");
        for entry in [
            &[][..],
            &[("STRIPE_PROJECTS_POLICY", "empty.toml")],
            &[("STRIPE_PROJECTS_POLICY", "stripe-projects/policy.toml")],
            &[("XDG_CONFIG_HOME", "WORKSPACE")],
            &[("HOME", "WORKSPACE")],
            &[("HOME", "WORKSPACE"), ("XDG_CONFIG_HOME", "WORKSPACE"), ("STRIPE_PROJECTS_POLICY", "empty.toml")],
            &[("HOME", "/proc/self/cwd"), ("XDG_CONFIG_HOME", "/proc/self/cwd")],
            &[("HOME", ""), ("XDG_CONFIG_HOME", "")],
        ] {
            let cap = (limit + 1).to_string();
            let output = machine.run(&["provision", "web", "search", "--cap", &cap, "--json"], entry);
            let error: Value = serde_json::from_str(&output.stdout).unwrap();
            // A home in the workspace is refused for another reason.
            let codes = ["total_cap_reached", "workspace_too_wide"];
            assert!(codes.contains(&error["code"].as_str().unwrap()), "{file} {entry:?}: {output:?}");
        }
        machine.remove(file);
    }
    machine.write("etc/stripe-projects/policy.toml", "[policy]\ntotal_cap_usd = 9\n");
    machine.write("home/.config/stripe-projects/policy.toml", "[policy]\ntotal_cap_usd = 5\ndenied = ['llm']\n");
    let doctor = machine.run(&["doctor"], &[]);
    assert!(doctor.stdout.contains("/etc/stripe-projects/policy.toml limits the registry"), "{doctor:?}");
    assert!(doctor.stdout.contains("home/.config/stripe-projects/policy.toml limits the registry"), "{doctor:?}");
    let strictest = machine.run(&["provision", "web", "search", "--cap", "6", "--json"], &[]);
    assert!(strictest.stdout.contains("total_cap_reached"), "the smaller of both counts: {strictest:?}");
}

/// A named policy only adds restrictions.
#[test]
fn named_policy_lifts_no_usual_one() {
    let (here, home, other) =
        (Workspace::new(), user("[policy]\ntotal_cap_usd = 9\ndenied = ['llm']\n"), TempDir::new());
    let named = other.as_ref().unwrap().path().join("mine.toml");
    fs::write(&named, "[policy]\ntotal_cap_usd = 5000\nmax_live_projects = 500\ndenied = ['tts']\n").unwrap();
    let call = |arguments: &[&str]| {
        let call = here.cli(arguments).env("HOME", home.path()).env("XDG_CONFIG_HOME", "");
        call.env("STRIPE_PROJECTS_POLICY", &named)
    };
    assert_eq!(call(&["provision", "web", "search", "--cap", "10"]).json()["code"], "total_cap_reached");
    for provider in ["llm", "tts"] {
        assert_eq!(call(&["provision", "web", provider]).json()["code"], "provider_not_allowed", "{provider}");
    }
    assert_eq!(call(&["provision", "web", "search", "--cap", "9"]).json()["status"], "active");
}

/// Both folders of the environment count, and a file that is reached by two paths counts once.
#[test]
fn all_folders_of_the_environment_count() {
    let (here, home, config) = (Workspace::new(), user("[policy]\ntotal_cap_usd = 6\n"), TempDir::new().unwrap());
    write(&config.path().join("stripe-projects/policy.toml"), "[policy]\nallowed = ['search']\n");
    let call = |arguments: &[&str]| here.cli(arguments).env("HOME", home.path()).env("XDG_CONFIG_HOME", config.path());
    assert_eq!(call(&["provision", "web", "tts", "--cap", "1"]).json()["code"], "provider_not_allowed");
    assert_eq!(call(&["provision", "web", "search", "--cap", "7"]).json()["code"], "total_cap_reached");
    let twice = here.cli(&["doctor"]).env("HOME", home.path());
    let twice = twice.env("XDG_CONFIG_HOME", home.path().join(".config")).json();
    let counted = twice["checks"].as_array().unwrap().iter().filter(|check| {
        check["check"] == "policy" && check["found"].as_str().unwrap().contains(home.path().to_str().unwrap())
    });
    assert_eq!(counted.count(), 1, "{twice}");
}

#[test]
fn policy_that_others_can_change_stops_provisioning() {
    let (here, home) = (Workspace::new(), user("[policy]\ntotal_cap_usd = 90\n"));
    let file = home.path().join(".config/stripe-projects/policy.toml");
    let provision = |name: &str| {
        let call = here.cli(&["provision", name, "search", "--cap", "1"]).env("XDG_CONFIG_HOME", "");
        call.env("HOME", home.path()).json()
    };
    assert_eq!(provision("a")["status"], "active");
    for mode in [0o666, 0o622, 0o620] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let error = provision("b");
        assert_eq!(error["code"], "invalid_policy", "{mode:o}: {error}");
        assert!(error["message"].as_str().unwrap().ends_with("other users may write this file"), "{error}");
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    // A link is followed, and what it leads to is judged.
    let real = home.path().join("dotfiles.toml");
    fs::rename(&file, &real).unwrap();
    symlink(&real, &file).unwrap();
    assert_eq!(provision("c")["status"], "active");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(provision("d")["code"], "invalid_policy");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    if chown(&real, Some(54_321), None).is_ok() {
        let error = provision("e");
        assert_eq!(error["code"], "invalid_policy");
        assert!(error["message"].as_str().unwrap().ends_with("this file belongs to another user"), "{error}");
    }
    let listed = here.cli(&["list"]).env("HOME", home.path()).env("XDG_CONFIG_HOME", "").succeed();
    assert!(listed.stdout.contains("search"), "{listed:?}");
}

/// A user without a passwd entry and without HOME has no place for limits.
#[test]
fn user_without_a_home_cannot_buy() {
    let here = Workspace::new();
    let state = TempDir::new().unwrap();
    let (path, id) = (here.path(), Some(54_321));
    if [path.parent().unwrap(), &path, state.path()].iter().any(|folder| chown(folder, id, id).is_err()) {
        println!("NOT CHECKED: only root can be another user");
        return;
    }
    let run = |arguments: &[&str], home: Option<&Path>| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=54321", "--regid=54321", "--clear-groups"]).arg(BINARY).args(arguments);
        here.prepare(&mut command);
        command.current_dir(here.path()).env_remove("HOME").env_remove("XDG_CONFIG_HOME").env_remove("XDG_STATE_HOME");
        command.args(["--state-dir", state.path().join("ledger").to_str().unwrap()]);
        if let Some(home) = home {
            command.env("HOME", home);
        }
        CommandOutput::from(command.output().unwrap())
    };
    let refused = run(&["provision", "web", "search", "--json"], None);
    let error: Value = serde_json::from_str(&refused.stdout).unwrap_or_else(|_| panic!("{refused:?}"));
    assert_eq!((&error["code"], refused.code), (&json!("no_home"), 2), "{refused:?}");
    for read in [&["list"][..], &["providers"], &["approvals"]] {
        assert_eq!(run(read, None).code, 0, "{read:?}");
    }
    let home = TempDir::new().unwrap();
    chown(home.path(), id, id).unwrap();
    let bought = run(&["provision", "web", "search", "--json"], Some(home.path()));
    assert_eq!(bought.code, 0, "{bought:?}");
}

#[test]
fn serve_says_at_its_start_which_policies_count() {
    let (here, home) = (Workspace::new(), user("[policy]\ntotal_cap_usd = 9\n"));
    let start = |home: &Path| {
        let mut command = here.command(&["serve"]);
        command.env("HOME", home).env("XDG_CONFIG_HOME", "");
        let mut client = RawClient::start(command);
        client.initialize_as("lines");
        until("the line about policies", || Some(client.errors()).filter(|errors| errors.contains("polic")))
    };
    let counting =
        format!("these policy files count: {}", home.path().join(".config/stripe-projects/policy.toml").display());
    assert!(start(home.path()).contains(&counting));
    assert!(start(TempDir::new().unwrap().path()).contains("no policy file counts; the built-in limits apply"));
}

/// Also where the workspace's registry cannot be read.
#[test]
fn policy_lowers_the_rotations_of_an_hour() {
    let (here, home) = (Workspace::new(), user("[policy]\nmax_rotations_per_hour = 2\n"));
    let mut command = here.command(&["serve"]);
    command.env("HOME", home.path());
    let mut agent = RawClient::start(command);
    agent.initialize_as("lines");
    assert_eq!(agent.call("provision", &json!({ "name": "web", "provider": "search" }))["status"], "active");
    let rotate = json!({ "name": "web" });
    assert_eq!(agent.call("rotate_key", &rotate)["status"], "active");
    here.write("providers.toml", "broken");
    assert_eq!(agent.call("rotate_key", &rotate)["status"], "active");
    let error = agent.call("rotate_key", &rotate);
    assert!(error["message"].as_str().unwrap().contains("2 times an hour"), "{error}");
}

#[test]
fn providers_show_denials_with_their_line() {
    let policy = "[policy]\ndenied = ['llm']\n\n[providers.search]\nmax_cap_usd = 3\n";
    let (here, home) = (Workspace::new(), user(policy));
    let file = home.path().join(".config/stripe-projects/policy.toml");
    let call = || here.cli(&["providers"]).env("HOME", home.path()).env("XDG_CONFIG_HOME", "");
    let shown = call().json();
    let provider = |key: &str| {
        let providers = shown["providers"].as_array().unwrap();
        providers.iter().find(|provider| provider["key"] == key).unwrap().clone()
    };
    assert_eq!(provider("llm")["denied_by"], format!("{}:2", file.display()));
    assert_eq!(provider("tts")["denied_by"], Value::Null);
    let search = provider("search");
    assert_eq!((&search["default_cap_usd"], &search["max_cap_usd"]), (&json!(3.0), &json!(3.0)));
    assert_eq!(search["max_total_usd"], 3.0);
    assert!(call().succeed().stdout.contains(&format!("(denied: {}:2)", file.display())));
}

/// Creates a home with that policy.
fn user(policy: &str) -> TempDir {
    let home = TempDir::new().unwrap();
    write(&home.path().join(".config/stripe-projects/policy.toml"), policy);
    home
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A mount namespace whose `/etc` is a folder of the test, with a passwd entry for root.
struct Machine {
    folder: TempDir,
}

impl Machine {
    /// Returns `None` where the system allows no such namespace.
    fn new() -> Option<Self> {
        let machine = Self { folder: TempDir::new().unwrap() };
        let home = machine.folder.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::create_dir(machine.folder.path().join("workspace")).unwrap();
        machine.write("etc/passwd", &format!("root:x:0:0:root:{}:/bin/sh\n", home.display()));
        machine.write("etc/nsswitch.conf", "passwd: files\n");
        (machine.run(&["--version"], &[]).code == 0).then_some(machine)
    }

    fn write(&self, path: &str, text: &str) {
        write(&self.folder.path().join(path), text);
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.folder.path().join(path)).unwrap();
    }

    /// Runs the program in the workspace, with these variables of a host's entry.
    fn run(&self, arguments: &[&str], entry: &[(&str, &str)]) -> CommandOutput {
        let (folder, workspace) = (self.folder.path(), self.folder.path().join("workspace"));
        let script = format!("mount --bind '{}' /etc && exec \"$@\"", folder.join("etc").display());
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh", BINARY]).args(arguments).current_dir(&workspace);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", folder.join("home"));
        command.args(["--state-dir", folder.join("state").to_str().unwrap()]);
        for (name, value) in entry {
            command.env(name, value.replace("WORKSPACE", workspace.to_str().unwrap()));
        }
        command.process_group(0);
        CommandOutput::from(command.output().unwrap())
    }
}
