//! The doctor, through the real binary: every check healthy and broken, with and without repair.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use serde_json::Value;

use crate::workspace::{BackendKind, Workspace};

/// Returns check, worst state and finding of each unhealthy check. Also asserts the exit code.
fn findings(workspace: &Workspace, arguments: &[&str]) -> Vec<(String, String, String)> {
    let output = workspace.run(&[&["doctor", "--json"], arguments].concat());
    let report: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let checks = report["checks"].as_array().unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let unhealthy: Vec<_> = checks.iter().filter(|finding| finding["state"] != "ok").collect();
    let problems = unhealthy.iter().any(|finding| finding["state"] == "problem");
    assert_eq!((report["healthy"] == true, output.code), (!problems, i32::from(problems)), "{output:?}");
    for finding in &unhealthy {
        assert!(!text(finding, "advice").is_empty(), "{finding}");
    }
    unhealthy.iter().map(|finding| (text(finding, "check"), text(finding, "state"), text(finding, "found"))).collect()
}

fn assert_healthy(workspace: &Workspace) {
    assert_eq!(findings(workspace, &[]), []);
}

/// Asserts the only finding: its check, its state, and words of it.
fn assert_only(workspace: &Workspace, check: &str, state: &str, text: &str) {
    let unhealthy = findings(workspace, &[]);
    let [(found_check, found_state, found)] = unhealthy.as_slice() else { panic!("{unhealthy:#?}") };
    assert_eq!((found_check.as_str(), found_state.as_str()), (check, state), "{found}");
    assert!(found.contains(text), "{found}");
}

/// Repairs, asserts that all is healthy afterwards, and returns what was done.
fn repair(workspace: &Workspace) -> Vec<String> {
    let report = workspace.json(&["doctor", "--repair"]);
    assert_eq!(report["healthy"], true, "{report:#}");
    let repairs = report["repaired"].as_array().unwrap().iter().map(|repair| {
        assert_eq!(repair["error"], Value::Null, "{report:#}");
        repair["what"].as_str().unwrap().to_owned()
    });
    let repairs = repairs.collect();
    assert_healthy(workspace);
    assert_eq!(workspace.json(&["doctor", "--repair"])["repaired"], Value::Array(Vec::new()), "once is enough");
    repairs
}

fn workspace_with_project(kind: BackendKind) -> Workspace {
    let workspace = Workspace::on(kind);
    workspace.ok(&["provision", "memory", "supermemory", "--cap", "5"]);
    workspace
}

const VARIABLE: &str = "SUPERMEMORY_API_KEY";

#[test]
fn new_workspace_is_healthy_and_stays_empty() {
    for kind in BackendKind::ALL {
        let workspace = Workspace::on(kind);
        let before = workspace.files();
        assert_healthy(&workspace);
        assert_eq!(workspace.ok(&["doctor", "--repair"]).code, 0);
        assert_eq!(workspace.files(), before, "{kind:?}");
    }
}

#[test]
fn active_workspace_is_healthy_over_every_backend() {
    for kind in BackendKind::ALL {
        let workspace = workspace_with_project(kind);
        assert_healthy(&workspace);
        let before = workspace.read(".env");
        assert_eq!(repair(&workspace), [""; 0]);
        assert_eq!(workspace.read(".env"), before);
        workspace.ok(&["teardown", "memory", "--yes"]);
        assert_healthy(&workspace);
    }
}

#[test]
fn files_readable_by_others_are_a_problem() {
    let workspace = workspace_with_project(BackendKind::Simulated);
    for path in [workspace.state().join("ledger.db"), workspace.file(".env")] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o044)).unwrap();
    }
    let checks: Vec<String> = findings(&workspace, &[]).into_iter().map(|(check, ..)| check).collect();
    assert_eq!(checks, ["folder", "env_file"]);
    assert_eq!(repair(&workspace).len(), 2);
    assert_eq!(fs::metadata(workspace.file(".env")).unwrap().permissions().mode() & 0o777, 0o600);

    fs::set_permissions(workspace.state(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_only(&workspace, "folder", "problem", "the mode of the state folder");
    repair(&workspace);
    assert_eq!(fs::metadata(workspace.state()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn old_state_folder_in_the_workspace_is_named_and_not_read() {
    let workspace = workspace_with_project(BackendKind::Simulated);
    fs::create_dir(workspace.file(".stripe-projects")).unwrap();
    workspace.write(".stripe-projects/ledger.db", "not a database");
    let warnings = findings(&workspace, &[]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(format!("{warnings:?}").contains("it is never read"), "{warnings:?}");
    assert_eq!(workspace.read(".stripe-projects/ledger.db"), "not a database");
}

#[test]
fn env_file_that_git_would_add_is_a_problem() {
    let workspace = workspace_with_project(BackendKind::Simulated);
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        assert!(command.args(arguments).current_dir(workspace.path()).output().unwrap().status.success());
    };
    git(&["init", "--quiet"]);
    assert_only(&workspace, "env_file", "problem", "git add");
    assert_eq!(repair(&workspace).len(), 1);
    git(&["add", "--force", ".env"]);
    assert_only(&workspace, "env_file", "problem", "tracked by git");
    assert_eq!(workspace.run(&["doctor", "--repair"]).code, 1, "only a user can fix that");
}

#[test]
fn duplicate_variables_and_leftover_files_are_warnings() {
    let workspace = workspace_with_project(BackendKind::Simulated);
    let text = workspace.read(".env");
    workspace.write(".env", format!("{VARIABLE}=old\n{text}"));
    assert_only(&workspace, "env_file", "warning", "2 times");
    workspace.write(".env", &text);
    workspace.write(".env.stripe-projects.tmp", &text);
    assert_only(&workspace, "env_file", "warning", "an exited process left");
    assert_eq!(repair(&workspace).len(), 1);
    assert!(!workspace.file(".env.stripe-projects.tmp").exists());

    fs::set_permissions(workspace.file(".env"), fs::Permissions::from_mode(0o400)).unwrap();
    assert_only(&workspace, "env_file", "problem", "read-only");
}

#[test]
fn invalid_registry_is_a_problem() {
    let workspace = workspace_with_project(BackendKind::Simulated);
    workspace.write("providers.toml", "version = 1\n[providers.a]\nlabel = 'sk_live_canary'\n");
    assert_only(&workspace, "registry", "problem", "providers.toml:2:1");
}

/// A policy that others can write limits nothing; one that is unreadable gets a hint.
#[test]
fn policy_writable_by_others_is_a_problem() {
    let (workspace, home) = (workspace_with_project(BackendKind::Simulated), tempfile::tempdir().unwrap());
    let home = home.path().canonicalize().unwrap();
    let (folder, file) = (home.join("stripe-projects"), home.join("stripe-projects/policy.toml"));
    let finding = || {
        let output = workspace.command(&["doctor", "--json"]).env("XDG_CONFIG_HOME", &home).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let of_policy = |check: &&Value| check["check"] == "policy";
        let unhealthy: Vec<_> =
            report["checks"].as_array().unwrap().iter().filter(|check| check["state"] != "ok").collect();
        assert!(unhealthy.iter().all(of_policy) && unhealthy.len() <= 1, "{report:#}");
        assert_eq!(output.status.code(), Some(i32::from(!unhealthy.is_empty())));
        unhealthy
            .first()
            .map(|check| format!("{} → {}", check["found"].as_str().unwrap(), check["advice"].as_str().unwrap()))
    };
    assert_eq!(finding(), None, "a missing policy is no problem");
    fs::create_dir(&folder).unwrap();
    fs::write(&file, "[policy]\ntotal_cap_usd = 30\n").unwrap();
    let mode = |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&folder, 0o755);
    for (path, wrong, right) in [(&file, 0o646, 0o644), (&file, 0o664, 0o600), (&folder, 0o777, 0o755)] {
        mode(path, wrong);
        let text = finding().unwrap();
        assert_eq!(
            text,
            format!("other users may write {0} and so change the limits → run `chmod go-w {0}`", path.display())
        );
        mode(path, right);
        assert_eq!(finding(), None);
    }
    fs::write(&file, "[polcy]\n").unwrap();
    assert!(finding().unwrap().contains("unknown key"));
    fs::remove_file(&file).unwrap();

    workspace.write("policy.toml", "");
    mode(&workspace.file("policy.toml"), 0o600);
    std::os::unix::fs::symlink(workspace.file("policy.toml"), &file).unwrap();
    assert!(finding().unwrap().contains("is inside the workspace, where an agent can edit it"));
    fs::remove_file(workspace.file("policy.toml")).unwrap();
    let text = finding().unwrap();
    assert!(
        text.contains("the target of this symbolic link does not exist")
            && text.contains("make that link lead to the policy again"),
        "{text}"
    );
}

/// A policy inside the workspace is editable by the agent, wherever the env file is.
#[test]
fn policy_inside_the_workspace_is_a_problem() {
    let (workspace, elsewhere) = (Workspace::new(), tempfile::tempdir().unwrap());
    let policy = workspace.file("policy.toml");
    fs::write(&policy, "").unwrap();
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o600)).unwrap();
    for env_file in [workspace.file(".env"), elsewhere.path().join(".env")] {
        let doctor = workspace.cli(&["doctor", "--env-file", env_file.to_str().unwrap()]);
        let output = doctor.env("STRIPE_PROJECTS_POLICY", &policy).exit(1);
        assert!(output.stdout.contains("is inside the workspace"), "{output:?}");
    }
}

/// Only root can change the owner of a file.
#[test]
fn policy_of_another_user_is_a_problem() {
    let (workspace, home) = (Workspace::new(), tempfile::tempdir().unwrap());
    let file = home.path().join("policy.toml");
    fs::write(&file, "").unwrap();
    if std::os::unix::fs::chown(&file, Some(65_534), None).is_err() {
        return;
    }
    let output = workspace.command(&["doctor"]).env("STRIPE_PROJECTS_POLICY", &file).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.code() == Some(1) && stdout.contains("belongs to another user, who can lift the limits"),
        "{stdout}"
    );
}

#[test]
fn stripe_cli_version_is_reported_before_its_use() {
    let workspace = Workspace::on(BackendKind::StripeCli);
    assert!(workspace.ok(&["doctor"]).stdout.contains(", stripe 1.52.0"));
    workspace.fake_stripe().inject_faults(serde_json::json!([{ "fault": "cli_too_old" }]));
    assert_only(&workspace, "versions", "problem", "too old");
    let started = std::time::Instant::now();
    workspace.fake_stripe().inject_faults(serde_json::json!([{ "fault": "slow", "ms": 60_000 }]));
    assert_only(&workspace, "versions", "problem", "prints no version");
    assert!(started.elapsed() < std::time::Duration::from_secs(30));
    let missing = workspace.run(&["doctor", "--stripe-bin", "/nowhere/stripe"]);
    assert!(missing.code == 1 && missing.stdout.contains("install the Stripe CLI"), "{missing:?}");
    assert!(workspace.files().is_empty(), "doctor creates no files: {:?}", workspace.files());
}

#[test]
fn tampered_or_foreign_ledger_is_a_problem() {
    let workspace = workspace_with_project(BackendKind::Simulated);
    workspace.sql("UPDATE audit SET actor = 'intruder' WHERE seq = 1");
    assert_only(&workspace, "audit", "problem", "at row 1");
    assert_eq!(workspace.run(&["doctor", "--repair"]).code, 1);
    workspace.sql("PRAGMA user_version = 99");
    assert_only(&workspace, "ledger", "problem", "newer version");
}

#[test]
fn open_journal_entry_is_reconciled() {
    for kind in BackendKind::ALL {
        let workspace = workspace_with_project(kind);
        let open = "UPDATE projects SET status = 'rotating';
            INSERT INTO journal (project, operation, was_status, was_version, opened_at)
            SELECT row, 'rotate', 'active', key_version, 0 FROM projects";
        workspace.sql(open);
        assert_only(&workspace, "journal", "problem", "memory");
        assert_eq!(repair(&workspace), ["reconciled unfinished operations: memory (closed: nothing had happened)"]);
    }
}

#[test]
fn missing_or_revoked_key_is_delivered_again() {
    for kind in BackendKind::ALL {
        let workspace = workspace_with_project(kind);
        let old = workspace.variable(VARIABLE).unwrap();
        workspace.ok(&["rotate", "memory"]);
        let current = workspace.variable(VARIABLE).unwrap();
        for text in ["OTHER=1\n".to_owned(), format!("OTHER=1\n{VARIABLE}={old}\n")] {
            workspace.write(".env", &text);
            assert_only(&workspace, "keys", "problem", VARIABLE);
            let output = workspace.run(&["doctor"]);
            assert!(!format!("{output:?}").contains(&old) && !format!("{output:?}").contains(&current), "{output:?}");
            assert_eq!(repair(&workspace), ["wrote the key of memory to the env file"], "{kind:?}");
            assert_eq!(workspace.variable(VARIABLE).unwrap(), current, "{kind:?}");
            assert!(workspace.read(".env").starts_with("OTHER=1\n"));
        }
        assert_eq!(workspace.ledger().audit().first_broken_row().unwrap(), None);
    }
}

#[test]
fn foreign_value_is_reported_and_kept() {
    let workspace = workspace_with_project(BackendKind::Simulated);
    let mine = format!("{VARIABLE}=mine\n");
    workspace.write(".env", &mine);
    assert_only(&workspace, "keys", "problem", "not ours");
    assert_eq!(workspace.run(&["doctor", "--repair"]).code, 1);
    assert_eq!(workspace.read(".env"), mine);
}

#[test]
fn unrecorded_key_is_not_delivered() {
    let workspace = workspace_with_project(BackendKind::Simulated);
    let id = workspace.ledger().projects().all_live().unwrap().remove(0).resource.unwrap();
    workspace.world().rotate(&id).unwrap();
    workspace.write(".env", "");
    let report = workspace.json(&["doctor", "--repair"]);
    assert!(report["repaired"][0]["error"].as_str().unwrap().contains("differs from the recorded one"), "{report:#}");
    assert_eq!((&report["healthy"], workspace.read(".env")), (&Value::Bool(false), String::new()));
    workspace.ok(&["rotate", "memory"]);
    assert_healthy(&workspace);
}

#[test]
fn billed_but_unlisted_resource_is_reported() {
    let workspace = workspace_with_project(BackendKind::Simulated);
    workspace.ok(&["provision", "other", "search"]);
    let forget =
        "PRAGMA foreign_keys = OFF; DELETE FROM projects WHERE name = 'other'; DELETE FROM journal WHERE project = 2";
    workspace.sql(forget);
    let found = findings(&workspace, &[]);
    let [(drift, _, unlisted), (lost, _, earlier)] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((drift.as_str(), lost.as_str()), ("drift", "lost"), "{found:#?}");
    assert!(unlisted.contains("not listed") && earlier.contains("in no ledger"), "{found:#?}");
    assert_eq!(workspace.billed_resources().len(), 2, "a check removes nothing");
    assert_eq!(workspace.json(&["list"])["live_count"], 1, "a check adopts nothing");
}

#[test]
fn listed_but_missing_resource_is_reported() {
    for kind in [BackendKind::Simulated, BackendKind::StripeApi] {
        let workspace = workspace_with_project(kind);
        let id = workspace.ledger().projects().all_live().unwrap().remove(0).resource.unwrap();
        workspace.world().teardown(&id).unwrap();
        assert_only(&workspace, "drift", "problem", "the backend no longer has it");
        workspace.ok(&["teardown", "memory", "--yes"]);
        assert_healthy(&workspace);
    }
}

#[test]
fn unreachable_backend_is_a_problem_and_others_are_listed() {
    let workspace = workspace_with_project(BackendKind::StripeCli);
    workspace.fake_stripe().log_out();
    assert_only(&workspace, "backend", "problem", "not logged in");

    let workspace = workspace_with_project(BackendKind::StripeApi);
    assert!(workspace.simulator().base.starts_with("http://"));
    let mut command = workspace.command(&["doctor", "--json"]);
    let out = command.env("STRIPE_PROJECTS_STRIPE_API_BASE", "http://127.0.0.1:9").output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.code() == Some(1) && text.contains("cannot be used"), "{text}");

    let workspace = workspace_with_project(BackendKind::StripeApi);
    let list = workspace.json(&["list", "--backend", "simulated"]);
    assert_eq!(list["projects"][0]["status"], "active", "as last known, since that backend was not asked: {list}");
    let others = findings(&workspace, &["--backend", "simulated"]);
    assert!(
        others.iter().any(|(check, state, found)| {
            check == "backend" && state == "warning" && found.contains("they belong to another backend: memory")
        }),
        "{others:?}"
    );
}
