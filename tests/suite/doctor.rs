//! The doctor, through the real binary: every check healthy and broken, what is repaired, and what is not.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use rusqlite::Connection;
use serde_json::Value;

use crate::workspace::{Kind, Ran, Workspace};

/// What `doctor` says: the worst state of each check that is not well, and the exit code.
fn unwell(workspace: &Workspace, arguments: &[&str]) -> Vec<(String, String, String)> {
    let ran = workspace.run(&[&["doctor", "--json"], arguments].concat());
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let checks = report["checks"].as_array().unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let unwell: Vec<_> = checks.iter().filter(|finding| finding["state"] != "ok").collect();
    let problems = unwell.iter().any(|finding| finding["state"] == "problem");
    assert_eq!((report["healthy"] == true, ran.code), (!problems, i32::from(problems)), "{ran:?}");
    for finding in &unwell {
        assert!(!text(finding, "advice").is_empty(), "{finding}");
    }
    unwell.iter().map(|finding| (text(finding, "check"), text(finding, "state"), text(finding, "found"))).collect()
}

fn assert_well(workspace: &Workspace) {
    assert_eq!(unwell(workspace, &[]), []);
}

/// The one thing that is wrong: its check, state, and a word of what was found.
fn assert_only(workspace: &Workspace, check: &str, state: &str, words: &str) {
    let unwell = unwell(workspace, &[]);
    let [(found_check, found_state, found)] = unwell.as_slice() else { panic!("{unwell:#?}") };
    assert_eq!((found_check.as_str(), found_state.as_str()), (check, state), "{found}");
    assert!(found.contains(words), "{found}");
}

/// What a repair did; afterwards all is well, and there is nothing left to do.
fn repaired(workspace: &Workspace) -> Vec<String> {
    let report = workspace.json(&["doctor", "--repair"]);
    assert_eq!(report["healthy"], true, "{report:#}");
    let done = report["repaired"].as_array().unwrap().iter().map(|done| {
        assert_eq!(done["error"], Value::Null, "{report:#}");
        done["what"].as_str().unwrap().to_owned()
    });
    let done = done.collect();
    assert_well(workspace);
    assert_eq!(workspace.json(&["doctor", "--repair"])["repaired"], Value::Array(Vec::new()), "once is enough");
    done
}

fn with_a_project(kind: Kind) -> Workspace {
    let workspace = Workspace::on(kind);
    workspace.ok(&["provision", "memory", "supermemory", "--cap", "5"]);
    workspace
}

fn sql(workspace: &Workspace, file: &str, change: &str) {
    Connection::open(workspace.state().join(file)).unwrap().execute_batch(change).unwrap();
}

const VARIABLE: &str = "SUPERMEMORY_API_KEY";

#[test]
fn a_new_workspace_is_well_and_nothing_is_made() {
    for kind in Kind::ALL {
        let workspace = Workspace::on(kind);
        let before = workspace.files();
        assert_well(&workspace);
        assert_eq!(workspace.ok(&["doctor", "--repair"]).code, 0);
        assert_eq!(workspace.files(), before, "{kind:?}");
    }
}

#[test]
fn a_workspace_at_work_is_well_over_every_backend() {
    for kind in Kind::ALL {
        let workspace = with_a_project(kind);
        assert_well(&workspace);
        let before = workspace.read(".env");
        assert_eq!(repaired(&workspace), [""; 0]);
        assert_eq!(workspace.read(".env"), before);
        workspace.ok(&["teardown", "memory", "--yes"]);
        assert_well(&workspace);
    }
}

#[test]
fn others_may_not_read_what_is_ours() {
    let workspace = with_a_project(Kind::Simulated);
    for path in [workspace.state(), workspace.state().join("ledger.db"), workspace.file(".env")] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o044)).unwrap();
    }
    let checks: Vec<String> = unwell(&workspace, &[]).into_iter().map(|(check, ..)| check).collect();
    assert_eq!(checks, ["folder", "env_file"]);
    assert_eq!(repaired(&workspace).len(), 2);
    assert_eq!(fs::metadata(workspace.file(".env")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(workspace.state()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn the_state_folder_is_ignored_by_git() {
    let workspace = with_a_project(Kind::Simulated);
    fs::remove_file(workspace.state().join(".gitignore")).unwrap();
    assert_only(&workspace, "folder", "problem", "git does not ignore");
    repaired(&workspace);
    assert_eq!(workspace.read(".stripe-projects/.gitignore"), "*\n");
    fs::remove_file(workspace.state().join(".gitignore")).unwrap();
    workspace.ok(&["rotate", "memory"]);
    assert_eq!(workspace.read(".stripe-projects/.gitignore"), "*\n", "whoever locks a project sees to it first");
}

#[test]
fn git_may_not_take_the_env_file() {
    let workspace = with_a_project(Kind::Simulated);
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        assert!(command.args(arguments).current_dir(workspace.path()).output().unwrap().status.success());
    };
    git(&["init", "--quiet"]);
    assert_only(&workspace, "env_file", "problem", "git add");
    assert_eq!(repaired(&workspace).len(), 1);
    git(&["add", "--force", ".env"]);
    assert_only(&workspace, "env_file", "problem", "tracked by git");
    assert_eq!(workspace.run(&["doctor", "--repair"]).code, 1, "that is for a person to undo");
}

#[test]
fn an_env_file_has_each_variable_once_and_no_leftovers() {
    let workspace = with_a_project(Kind::Simulated);
    let text = workspace.read(".env");
    workspace.write(".env", format!("{VARIABLE}=old\n{text}"));
    assert_only(&workspace, "env_file", "warning", "2 times");
    workspace.write(".env", &text);
    workspace.write(".env.stripe-projects.tmp", &text);
    assert_only(&workspace, "env_file", "warning", "a process that died left");
    assert_eq!(repaired(&workspace).len(), 1);
    assert!(!workspace.file(".env.stripe-projects.tmp").exists());

    fs::set_permissions(workspace.file(".env"), fs::Permissions::from_mode(0o400)).unwrap();
    assert_only(&workspace, "env_file", "problem", "read-only");
}

#[test]
fn a_registry_that_is_not_sound_is_a_problem() {
    let workspace = with_a_project(Kind::Simulated);
    workspace.write("providers.toml", "version = 1\n[providers.a]\nlabel = 'sk_live_canary'\n");
    assert_only(&workspace, "registry", "problem", "providers.toml:2:1");
}

/// Whoever can edit the policy is held back by nothing; who cannot read it is told what to do.
#[test]
fn a_policy_that_others_can_change_is_a_problem() {
    let (workspace, home) = (with_a_project(Kind::Simulated), tempfile::tempdir().unwrap());
    let home = home.path().canonicalize().unwrap();
    let (folder, file) = (home.join("stripe-projects"), home.join("stripe-projects/policy.toml"));
    let found = || {
        let ran = workspace.command(&["doctor", "--json"]).env("XDG_CONFIG_HOME", &home).output().unwrap();
        let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
        let of_policy = |check: &&Value| check["check"] == "policy";
        let unwell: Vec<_> =
            report["checks"].as_array().unwrap().iter().filter(|check| check["state"] != "ok").collect();
        assert!(unwell.iter().all(of_policy) && unwell.len() <= 1, "{report:#}");
        assert_eq!(ran.status.code(), Some(i32::from(!unwell.is_empty())));
        unwell
            .first()
            .map(|check| format!("{} → {}", check["found"].as_str().unwrap(), check["advice"].as_str().unwrap()))
    };
    assert_eq!(found(), None, "none is no problem");
    fs::create_dir(&folder).unwrap();
    fs::write(&file, "[policy]\ntotal_cap_usd = 30\n").unwrap();
    let mode = |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&folder, 0o755);
    for (path, wrong, right) in [(&file, 0o646, 0o644), (&file, 0o664, 0o600), (&folder, 0o777, 0o755)] {
        mode(path, wrong);
        let said = found().unwrap();
        assert_eq!(
            said,
            format!("others may write {0}, and with it the limits → run `chmod go-w {0}`", path.display())
        );
        mode(path, right);
        assert_eq!(found(), None);
    }
    fs::write(&file, "[polcy]\n").unwrap();
    assert!(found().unwrap().contains("unknown key"));
    fs::remove_file(&file).unwrap();

    workspace.write("policy.toml", "");
    mode(&workspace.file("policy.toml"), 0o600);
    std::os::unix::fs::symlink(workspace.file("policy.toml"), &file).unwrap();
    assert!(found().unwrap().contains("is inside the workspace, where an agent can edit it"));
    fs::remove_file(workspace.file("policy.toml")).unwrap();
    let said = found().unwrap();
    assert!(
        said.contains("a link that leads nowhere") && said.contains("lets that link lead to the policy again"),
        "{said}"
    );
}

/// The workspace is where the agent works, wherever its env file is.
#[test]
fn a_policy_in_the_workspace_is_a_problem_wherever_the_env_file_is() {
    let (workspace, elsewhere) = (Workspace::new(), tempfile::tempdir().unwrap());
    let policy = workspace.file("policy.toml");
    fs::write(&policy, "").unwrap();
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o600)).unwrap();
    for env_file in [workspace.file(".env"), elsewhere.path().join(".env")] {
        let mut doctor = workspace.command(&["doctor", "--env-file", env_file.to_str().unwrap()]);
        let ran = Ran::from(doctor.env("STRIPE_PROJECTS_POLICY", &policy).output().unwrap());
        assert!(ran.code == 1 && ran.stdout.contains("is inside the workspace"), "{ran:?}");
    }
}

/// Only root can make a file somebody else's.
#[test]
fn a_policy_of_another_user_is_a_problem() {
    let (workspace, home) = (Workspace::new(), tempfile::tempdir().unwrap());
    let file = home.path().join("policy.toml");
    fs::write(&file, "").unwrap();
    if std::os::unix::fs::chown(&file, Some(65_534), None).is_err() {
        return;
    }
    let ran = workspace.command(&["doctor"]).env("STRIPE_PROJECTS_POLICY", &file).output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(
        ran.status.code() == Some(1) && said.contains("belongs to another user, who can lift the limits"),
        "{said}"
    );
}

#[test]
fn the_version_of_the_stripe_cli_is_told_before_it_is_used() {
    let workspace = Workspace::on(Kind::StripeCli);
    assert!(workspace.ok(&["doctor"]).stdout.contains(", stripe 1.52.0"));
    workspace.stand_in().weather(serde_json::json!([{ "fault": "cli_too_old" }]));
    assert_only(&workspace, "versions", "problem", "too old");
    let begun = std::time::Instant::now();
    workspace.stand_in().weather(serde_json::json!([{ "fault": "slow", "ms": 60_000 }]));
    assert_only(&workspace, "versions", "problem", "does not say its version");
    assert!(begun.elapsed() < std::time::Duration::from_secs(30));
    let missing = workspace.run(&["doctor", "--stripe-bin", "/nowhere/stripe"]);
    assert!(missing.code == 1 && missing.stdout.contains("install the Stripe CLI"), "{missing:?}");
    assert!(workspace.files().is_empty(), "to look leaves nothing: {:?}", workspace.files());
}

#[test]
fn a_ledger_that_was_tampered_with_or_is_another_programs_is_a_problem() {
    let workspace = with_a_project(Kind::Simulated);
    sql(&workspace, "ledger.db", "UPDATE audit SET actor = 'nobody' WHERE seq = 1");
    assert_only(&workspace, "audit", "problem", "at row 1");
    assert_eq!(workspace.run(&["doctor", "--repair"]).code, 1);
    sql(&workspace, "ledger.db", "PRAGMA user_version = 99");
    assert_only(&workspace, "ledger", "problem", "newer version");
}

#[test]
fn what_was_begun_and_not_ended_is_settled() {
    for kind in Kind::ALL {
        let workspace = with_a_project(kind);
        let open = "UPDATE projects SET status = 'rotating';
            INSERT INTO journal (project, operation, was_status, was_version, opened_at)
            SELECT row, 'rotate', 'active', key_version, 0 FROM projects";
        sql(&workspace, "ledger.db", open);
        assert_only(&workspace, "journal", "problem", "memory");
        assert_eq!(repaired(&workspace), ["settled what was open: memory (closed: nothing had happened)"]);
    }
}

#[test]
fn a_key_that_is_missing_or_dead_is_delivered_again() {
    for kind in Kind::ALL {
        let workspace = with_a_project(kind);
        let old = workspace.variable(VARIABLE).unwrap();
        workspace.ok(&["rotate", "memory"]);
        let current = workspace.variable(VARIABLE).unwrap();
        for text in ["OTHER=1\n".to_owned(), format!("OTHER=1\n{VARIABLE}={old}\n")] {
            workspace.write(".env", &text);
            assert_only(&workspace, "keys", "problem", VARIABLE);
            let ran = workspace.run(&["doctor"]);
            assert!(!format!("{ran:?}").contains(&old) && !format!("{ran:?}").contains(&current), "{ran:?}");
            assert_eq!(repaired(&workspace), ["wrote the key of memory to the env file"], "{kind:?}");
            assert_eq!(workspace.variable(VARIABLE).unwrap(), current, "{kind:?}");
            assert!(workspace.read(".env").starts_with("OTHER=1\n"));
        }
        assert_eq!(workspace.ledger().audit().first_broken_row().unwrap(), None);
    }
}

#[test]
fn somebody_elses_value_is_said_and_left() {
    let workspace = with_a_project(Kind::Simulated);
    let mine = format!("{VARIABLE}=mine\n");
    workspace.write(".env", &mine);
    assert_only(&workspace, "keys", "problem", "not ours");
    assert_eq!(workspace.run(&["doctor", "--repair"]).code, 1);
    assert_eq!(workspace.read(".env"), mine);
}

#[test]
fn a_key_that_was_never_recorded_is_not_delivered() {
    let workspace = with_a_project(Kind::Simulated);
    let id = workspace.ledger().projects().all_live().unwrap().remove(0).resource.unwrap();
    workspace.world().rotate(&id).unwrap();
    workspace.write(".env", "");
    let report = workspace.json(&["doctor", "--repair"]);
    assert!(report["repaired"][0]["error"].as_str().unwrap().contains("another key"), "{report:#}");
    assert_eq!((&report["healthy"], workspace.read(".env")), (&Value::Bool(false), String::new()));
    workspace.ok(&["rotate", "memory"]);
    assert_well(&workspace);
}

#[test]
fn what_is_billed_and_not_listed_is_said_and_not_adopted() {
    let workspace = with_a_project(Kind::Simulated);
    workspace.ok(&["provision", "other", "search"]);
    let forget =
        "PRAGMA foreign_keys = OFF; DELETE FROM projects WHERE name = 'other'; DELETE FROM journal WHERE project = 2";
    sql(&workspace, "ledger.db", forget);
    assert_only(&workspace, "drift", "problem", "not listed");
    assert_eq!(workspace.run(&["doctor", "--repair"]).code, 1);
    assert_eq!(workspace.billed().len(), 2, "nothing was removed");
    assert_eq!(workspace.json(&["list"])["live_count"], 1, "nothing was adopted");
}

#[test]
fn what_is_listed_and_gone_is_said() {
    for kind in [Kind::Simulated, Kind::StripeApi] {
        let workspace = with_a_project(kind);
        let id = workspace.ledger().projects().all_live().unwrap().remove(0).resource.unwrap();
        workspace.world().teardown(&id).unwrap();
        assert_only(&workspace, "drift", "problem", "does not have it any more");
        workspace.ok(&["teardown", "memory", "--yes"]);
        assert_well(&workspace);
    }
}

#[test]
fn a_backend_that_does_not_answer_is_a_problem_and_another_ones_projects_are_said() {
    let workspace = with_a_project(Kind::StripeCli);
    workspace.stand_in().log_out();
    assert_only(&workspace, "backend", "problem", "not logged in");

    let workspace = with_a_project(Kind::StripeApi);
    assert!(workspace.simulator().base.starts_with("http://"));
    let mut command = workspace.command(&["doctor", "--json"]);
    let out = command.env("STRIPE_PROJECTS_STRIPE_API_BASE", "http://127.0.0.1:9").output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.code() == Some(1) && text.contains("cannot be used"), "{text}");

    let workspace = with_a_project(Kind::StripeApi);
    let list = workspace.json(&["list", "--backend", "simulated"]);
    assert_eq!(list["projects"][0]["status"], "active", "as last known, since nobody there was asked: {list}");
    let others = unwell(&workspace, &["--backend", "simulated"]);
    assert!(
        others.iter().any(|(check, state, found)| {
            check == "backend" && state == "warning" && found.contains("another backend holds them: memory")
        }),
        "{others:?}"
    );
}
