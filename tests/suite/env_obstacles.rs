//! Env files that cannot be replaced, lead elsewhere, or are visible to version control: found before money is spent.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    power_loss::can_trace,
    raw_client::{RawClient, until},
    workspace::{BINARY, BackendKind, CommandOutput, Workspace},
};

const PROVISION: &[&str] = &["provision", "memory", "supermemory"];

/// As `docker -v ./.env:/app/.env` mounts it, and as `chattr` marks it.
#[test]
#[cfg(target_os = "linux")]
fn file_that_cannot_be_replaced_buys_nothing() {
    for obstacle in ["mount --bind real.env .env", "mount --bind .env .env", "chattr +i .env", "chattr +a .env"] {
        let workspace = Workspace::new();
        workspace.write(".env", "MINE=1\n");
        workspace.write("real.env", "REAL=1\n");
        let script =
            format!("{obstacle} || exit 77; '{BINARY}' provision memory supermemory --json; chattr -i -a .env");
        let mut command = Command::new("unshare");
        workspace.prepare(&mut command);
        let shell = ["--mount", "sh", "-c", &script];
        let Ok(output) = command.args(shell).current_dir(workspace.path()).output() else {
            return not_checked(obstacle);
        };
        if output.status.code() == Some(77) || output.stdout.is_empty() {
            return not_checked(obstacle);
        }
        let error: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(error["code"], "env_file_not_replaceable", "{obstacle}: {error:#}");
        assert!(workspace.billed_resources().is_empty(), "{obstacle}");
        assert_eq!(workspace.read(".env"), "MINE=1\n", "{obstacle}");
    }
}

/// A file system can refuse it for a reason that it does not report: only replacing the file finds that.
#[test]
#[cfg(target_os = "linux")]
fn refused_replacement_is_found_by_rehearsal() {
    if !can_trace() {
        return;
    }
    let workspace = Workspace::new();
    workspace.write(".env", "MINE=1\n");
    let mut command = Command::new("strace");
    workspace.prepare(&mut command);
    let inject = "inject=renameat2:error=EBUSY";
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e", inject, BINARY]);
    let output = command.args(PROVISION).arg("--json").current_dir(workspace.path()).output().unwrap();
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(error["code"], "env_file_not_replaceable", "{error:#}");
    assert!(workspace.billed_resources().is_empty());
    workspace.ok(PROVISION);
    assert!(workspace.read(".env").starts_with("MINE=1\nSUPERMEMORY_API_KEY="));
}

#[test]
fn undelivered_key_stops_further_purchases() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "first", "search"]);
    // As after a rotation whose key could not be written.
    workspace.sql(
        "INSERT INTO journal (project, operation, was_status, was_version, opened_at, op)
         SELECT row, 'rotate', status, key_version - 1, updated_at, 'op_00112233445566778899aabbccddeeff' FROM projects",
    );
    workspace.write(".env", "EXA_API_KEY=mine\n");
    let error = workspace.json(&["provision", "second", "tts"]);
    assert_eq!(error["code"], "earlier_key_not_delivered", "{error:#}");
    assert_eq!(workspace.run(&["provision", "second", "tts"]).code, 3);
    assert_eq!(workspace.billed_resources().len(), 1);
    workspace.ok(&["rotate", "first", "--replace"]);
    workspace.ok(&["provision", "second", "tts"]);
}

#[test]
fn replace_overwrites_a_foreign_value_at_the_command_line() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "one", "search"]);
    workspace.write(".env", "EXA_API_KEY=mine\n");
    assert_eq!(workspace.json(&["rotate", "one"])["code"], "env_var_taken");
    workspace.ok(&["rotate", "one", "--replace"]);
    assert!(workspace.owner_of(&workspace.variable("EXA_API_KEY").unwrap()).is_some());
    workspace.ok(&["suspend", "one"]);
    workspace.write(".env", "EXA_API_KEY=mine\n");
    assert_eq!(workspace.json(&["resume", "one"])["code"], "env_var_taken");
    workspace.ok(&["resume", "one", "--replace"]);
    assert!(workspace.owner_of(&workspace.variable("EXA_API_KEY").unwrap()).is_some());
    let mut agent = RawClient::initialize(&workspace);
    let refused = agent.call("rotate_key", &json!({ "name": "one", "replace": true }));
    assert_eq!(refused["code"], "invalid_arguments", "an agent has no such argument");
    agent.disconnect();
}

#[test]
fn link_out_of_the_workspace_needs_a_person() {
    let (workspace, outside) = (Workspace::new(), tempfile::tempdir().unwrap());
    let real = outside.path().canonicalize().unwrap().join("config.js");
    symlink(&real, workspace.file(".env")).unwrap();
    for flags in [&[][..], &["--env-file", ".env"]] {
        let mut agent = RawClient::start(workspace.command(&[&["serve"], flags].concat()));
        agent.initialize_as("agent");
        let error = agent.call("provision", &json!({ "name": "memory", "provider": "supermemory" }));
        assert_eq!(error["code"], "env_file_outside", "{error:#}");
        agent.disconnect();
    }
    assert_eq!(workspace.json(PROVISION)["code"], "env_file_outside");
    assert!(workspace.billed_resources().is_empty() && !real.exists());

    let project = workspace.json(&[PROVISION, &["--env-file", ".env"]].concat());
    assert_eq!(project["env_written_to"], real.to_str().unwrap(), "{project:#}");
    assert!(fs::read_to_string(&real).unwrap().starts_with("SUPERMEMORY_API_KEY=sk_proj_sim_"));
    // The person's choice was the file, not the link.
    fs::remove_file(workspace.file(".env")).unwrap();
    let mut agent = RawClient::initialize(&workspace);
    let rotated = agent.call("rotate_key", &json!({ "name": "memory" }));
    assert_eq!(rotated["env_written_to"], real.to_str().unwrap(), "{rotated:#}");
    agent.disconnect();
}

#[test]
fn results_name_the_file_behind_a_link() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.file("secrets")).unwrap();
    symlink("secrets/app.env", workspace.file(".env")).unwrap();
    let real = workspace.file("secrets/app.env");
    assert_eq!(workspace.json(PROVISION)["env_written_to"], real.to_str().unwrap());
    assert_eq!(workspace.json(&["list"])["projects"][0]["env_written_to"], real.to_str().unwrap());
}

/// The agent can exchange the file for a link at any time.
#[test]
fn link_planted_after_delivery_is_not_followed() {
    let (workspace, outside) = (Workspace::new(), tempfile::tempdir().unwrap());
    let script = outside.path().join("bashrc");
    fs::write(&script, "true\n").unwrap();
    workspace.ok(PROVISION);
    fs::remove_file(workspace.file(".env")).unwrap();
    symlink(&script, workspace.file(".env")).unwrap();
    for arguments in [&["rotate", "memory"][..], &["suspend", "memory"], &["teardown", "memory", "--yes"]] {
        let error = workspace.json(arguments);
        assert!(error["message"].as_str().unwrap().contains("leads out of the workspace"), "{arguments:?}: {error:#}");
        assert_eq!(fs::read_to_string(&script).unwrap(), "true\n", "{arguments:?}");
    }
    assert!(workspace.billed_resources().is_empty(), "the project is removed although its variable is not");
}

/// Opening a pipe waits for its other end, which never comes.
#[test]
fn pipes_and_devices_are_errors_at_once() {
    let workspace = Workspace::new();
    git(&workspace, &["init", "--quiet"]);
    workspace.ok(PROVISION);
    workspace.ok(&["provision", "other", "tts"]);
    let within = |arguments: &[&str]| {
        let started = Instant::now();
        let mut command = workspace.command(&[arguments, &["--json"]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let ended = loop {
            if child.try_wait().unwrap().is_some() {
                break true;
            }
            if started.elapsed() > Duration::from_secs(20) {
                child.kill().unwrap();
                break false;
            }
            std::thread::sleep(Duration::from_millis(10)); // deliberate: polls for the end
        };
        let output = CommandOutput::from(child.wait_with_output().unwrap());
        assert!(ended, "{arguments:?} waits for the pipe");
        serde_json::from_str::<Value>(&output.stdout).unwrap()
    };
    for (path, arguments, code) in [
        ("providers.toml", &["provision", "third", "search"][..], "invalid_registry"),
        (".git/info/exclude", &["provision", "third", "search"], "env_file_git_unknown"),
        (".gitignore", &["rotate", "memory"], "env_file_git_unknown"),
        (".git/index", &["rotate", "memory"], "env_file_git_unknown"),
        (".env", &["provision", "third", "search"], "env_file_not_writable"),
        (".env", &["rotate", "memory"], "env_file_not_writable"),
        (".env", &["suspend", "memory"], "variable_not_removed"),
        (".env", &["teardown", "other", "--yes"], "variable_not_removed"),
    ] {
        let (file, aside) = (workspace.file(path), workspace.file("aside"));
        let existed = fs::rename(&file, &aside).is_ok();
        assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
        let answer = within(arguments);
        fs::remove_file(&file).unwrap();
        if existed {
            fs::rename(&aside, &file).unwrap();
        }
        assert_eq!(answer["code"], code, "{path}: {answer:#}");
    }
    assert!(workspace.owner_of(&workspace.variable("SUPERMEMORY_API_KEY").unwrap_or_default()).is_none());
}

/// A setting of this moment, or of this machine, does not protect the file later.
#[test]
fn env_file_is_excluded_whatever_the_configuration_says() {
    let elsewhere = tempfile::tempdir().unwrap();
    let ignore = elsewhere.path().join("ignore");
    fs::write(&ignore, ".env\n").unwrap();
    let global = format!("core.excludesFile={}", ignore.display());
    let worktree = format!("core.worktree={}", elsewhere.path().display());
    for setting in [global.as_str(), "core.bare=true", worktree.as_str()] {
        let workspace = Workspace::new();
        git(&workspace, &["init", "--quiet"]);
        let (name, value) = setting.split_once('=').unwrap();
        git(&workspace, &["config", name, value]);
        workspace.ok(PROVISION);
        git(&workspace, &["config", "--unset", name]);
        assert!(workspace.read(".git/info/exclude").ends_with("/.env\n"), "{setting}");
        git(&workspace, &["add", "-A"]);
        assert!(!git(&workspace, &["ls-files"]).lines().any(|file| file == ".env"), "{setting}");
    }
    // A rule of the repository is enough.
    let workspace = Workspace::new();
    git(&workspace, &["init", "--quiet"]);
    workspace.write(".gitignore", ".env\n");
    let exclude = workspace.read(".git/info/exclude");
    workspace.ok(PROVISION);
    assert_eq!(workspace.read(".git/info/exclude"), exclude);
}

#[test]
fn other_version_control_has_to_ignore_the_file() {
    for (folder, ignore_file, rule) in [(".jj", ".gitignore", ".env\n"), (".hg", ".hgignore", "syntax: glob\n.env\n")] {
        let workspace = Workspace::new();
        fs::create_dir(workspace.file(folder)).unwrap();
        let error = workspace.json(PROVISION);
        assert_eq!(error["code"], "env_file_exposed", "{folder}: {error:#}");
        assert!(error["hint"].as_str().unwrap().contains(ignore_file), "{error:#}");
        assert!(workspace.billed_resources().is_empty(), "{folder}");
        workspace.write(ignore_file, rule);
        workspace.ok(PROVISION);
        let report = workspace.run(&["doctor"]).stdout;
        assert!(report.contains("can take keys") && !report.contains("out of git"), "{folder}: {report}");
    }
}

/// A rotation answers a leak: the old key must be revoked although the new one may not be written.
#[test]
fn rotation_with_a_tracked_env_file_revokes_and_withholds() {
    for kind in BackendKind::ALL {
        let workspace = Workspace::on(kind);
        git(&workspace, &["init", "--quiet"]);
        workspace.ok(PROVISION);
        let key = workspace.variable("SUPERMEMORY_API_KEY").unwrap();
        git(&workspace, &["add", "--force", ".env"]);
        workspace.allow_planted_keys(); // git stored the key

        let mut agent = RawClient::initialize(&workspace);
        let error = agent.call("rotate_key", &json!({ "name": "memory" }));
        assert_eq!(error["code"], "key_withheld", "{kind:?}: {error:#}");
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.contains("git rm --cached") && hint.contains("resume memory"), "{hint}");
        agent.disconnect();
        assert!(workspace.owner_of(&key).is_none(), "{kind:?}: the key works");
        assert_eq!(workspace.variable("SUPERMEMORY_API_KEY"), None, "{kind:?}");
        assert_eq!(workspace.json(&["provision", "other", "search"])["code"], "env_file_tracked", "{kind:?}");
        assert_eq!(workspace.json(&["resume", "memory"])["code"], "env_file_tracked", "{kind:?}");

        git(&workspace, &["rm", "--quiet", "--cached", "--force", ".env"]);
        workspace.ok(&["resume", "memory"]);
        let key = workspace.variable("SUPERMEMORY_API_KEY").unwrap();
        assert!(workspace.owner_of(&key).is_some(), "{kind:?}");
        git(&workspace, &["add", "--force", ".env"]);
        assert_eq!(workspace.run(&["rotate", "memory"]).code, 6, "{kind:?}");
    }
}

#[test]
fn credentials_of_a_killed_process_are_removed_at_start() {
    let workspace = Workspace::new();
    let folder = workspace.state().join("stripe-cli");
    fs::create_dir_all(folder.join("acct_1")).unwrap();
    let plant = || {
        for copy in [folder.join("credentials.env"), folder.join("acct_1/credentials.env")] {
            fs::write(copy, "KEY=sk_proj_sim_0123456789abcdef0123456789abcdef\n").unwrap();
        }
    };
    let is_there = || folder.join("credentials.env").exists() || folder.join("acct_1/credentials.env").exists();
    plant();
    workspace.run(&["list"]);
    assert!(!is_there());
    plant();
    let server = RawClient::initialize(&workspace);
    until("they are removed", || (!is_there()).then_some(()));
    server.disconnect();
    // A `stripe` that runs now needs the file.
    plant();
    let lock = fs::File::create(workspace.state().join("stripe-cli.lock")).unwrap();
    lock.lock().unwrap();
    workspace.run(&["list"]);
    assert!(is_there());
    drop(lock);
    workspace.run(&["list"]);
    assert!(!is_there());
}

#[test]
fn published_variables_are_refused() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "first", "search"]);
    for name in ["vite", "next-public", "react-app", "expo-public", "public", "gatsby", "nuxt-public"] {
        let error = workspace.json(&["provision", name, "search"]);
        assert_eq!(error["code"], "invalid_name", "{name}: {error:#}");
    }
    assert_eq!(workspace.billed_resources().len(), 1);
    workspace.write("providers.toml", files::registry::BUILTIN.replace("EXA_API_KEY", "VITE_EXA_API_KEY"));
    let error = workspace.json(&["providers", "check"]);
    assert!(error["message"].as_str().unwrap().contains("publish"), "{error:#}");
}

fn git(workspace: &Workspace, arguments: &[&str]) -> String {
    git_in(&workspace.path(), arguments)
}

fn git_in(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn not_checked(obstacle: &str) {
    eprintln!("NOT CHECKED: `{obstacle}` is not possible here");
}
