//! The user's env file on a real disk: modes, links, git, and foreign values.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use crate::workspace::Workspace;

#[test]
fn new_and_existing_env_files_become_private() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "one", "search"]);
    assert_eq!(mode(&workspace.file(".env")), 0o600);

    fs::set_permissions(workspace.file(".env"), fs::Permissions::from_mode(0o755)).unwrap();
    workspace.ok(&["rotate", "one"]);
    assert_eq!(mode(&workspace.file(".env")), 0o700);
    for file in workspace.files().iter().filter(|file| file.starts_with(workspace.state())) {
        assert_eq!(mode(file) & 0o077, 0, "{}", file.display());
    }
    assert_eq!(mode(&workspace.state()), 0o700);
}

#[test]
fn symlink_stays_and_its_target_gets_the_key() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.file("secrets")).unwrap();
    symlink("secrets/app.env", workspace.file(".env")).unwrap();
    workspace.ok(&["provision", "one", "search"]);
    assert!(workspace.file(".env").is_symlink());
    assert!(workspace.read("secrets/app.env").starts_with("EXA_API_KEY=sk_proj_sim_"));
    workspace.ok(&["teardown", "one", "--yes"]);
    assert_eq!(workspace.read("secrets/app.env"), "");
}

#[test]
fn foreign_value_is_never_changed() {
    let workspace = Workspace::new();
    let mine = "EXA_API_KEY=mine-and-not-yours\n";
    workspace.write(".env", mine);
    let error = workspace.json(&["provision", "one", "search"]);
    assert_eq!(error["code"], "env_var_taken");
    assert_eq!(workspace.read(".env"), mine);
    assert!(workspace.world().observe_everything().unwrap().is_empty(), "nothing was bought");

    workspace.ok(&["provision", "one", "search", "--replace"]);
    let ours = workspace.read(".env");
    assert!(ours.starts_with("EXA_API_KEY=sk_proj_sim_"), "--replace allows it");

    workspace.write(".env", mine);
    assert_eq!(workspace.json(&["rotate", "one"])["code"], "env_var_taken");
    assert!(workspace.owner_of(ours.trim().strip_prefix("EXA_API_KEY=").unwrap()).is_some(), "nothing was rotated");
    workspace.ok(&["teardown", "one", "--yes"]);
    assert_eq!(workspace.read(".env"), mine, "a teardown removes our values only");
}

#[test]
fn empty_variable_is_filled_in() {
    let workspace = Workspace::new();
    workspace.write(".env", "# put it here\nEXA_API_KEY=\nAFTER=1\n");
    workspace.ok(&["provision", "one", "search"]);
    let text = workspace.read(".env");
    assert!(text.starts_with("# put it here\nEXA_API_KEY=sk_proj_sim_") && text.ends_with("\nAFTER=1\n"), "{text}");
}

#[test]
fn second_project_of_a_provider_gets_its_own_variable() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "first", "search"]);
    workspace.ok(&["provision", "second-one", "search"]);
    let (first, second) =
        (workspace.variable("EXA_API_KEY").unwrap(), workspace.variable("SECOND_ONE_EXA_API_KEY").unwrap());
    assert_ne!(workspace.owner_of(&first).unwrap(), workspace.owner_of(&second).unwrap());
    workspace.ok(&["teardown", "first", "--yes"]);
    assert_eq!(workspace.variable("EXA_API_KEY"), None);
    assert!(workspace.owner_of(&workspace.variable("SECOND_ONE_EXA_API_KEY").unwrap()).is_some());
}

#[test]
fn two_paths_to_one_file_do_not_share_a_variable() {
    let workspace = Workspace::new();
    symlink(".env", workspace.file("alias.env")).unwrap();
    workspace.ok(&["provision", "first", "search"]);
    let key = workspace.variable("EXA_API_KEY").unwrap();
    let error = workspace.json(&["provision", "second", "search", "--env-file", "alias.env"]);
    assert_eq!(error["code"], "env_var_taken");
    assert_eq!(workspace.variable("EXA_API_KEY").unwrap(), key);
}

#[test]
fn revoked_key_of_a_torn_down_project_is_replaced() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "first", "search"]);
    let old = workspace.read(".env");
    workspace.ok(&["teardown", "first", "--yes"]);
    workspace.write(".env", &old); // as after restoring a backup
    workspace.ok(&["provision", "second", "search"]);
    assert_ne!(workspace.read(".env"), old);
    assert_eq!(workspace.read(".env").lines().count(), 1);
}

#[test]
fn extra_variables_are_delivered_rotated_and_removed() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "db", "postgres"]);
    let before = [workspace.variable("DATABASE_URL").unwrap(), workspace.variable("NEON_PROJECT_ID").unwrap()];
    workspace.ok(&["rotate", "db"]);
    let after = [workspace.variable("DATABASE_URL").unwrap(), workspace.variable("NEON_PROJECT_ID").unwrap()];
    assert!(before.iter().all(|key| workspace.owner_of(key).is_none()));
    assert!(after.iter().all(|key| workspace.owner_of(key).is_some()));
    workspace.ok(&["teardown", "db", "--yes"]);
    assert_eq!(workspace.read(".env"), "");
}

#[test]
fn env_file_that_cannot_take_a_key_buys_nothing() {
    let cases: [Case; 6] = [
        ("env_file_is_a_folder", |workspace| fs::create_dir(workspace.file(".env")).unwrap()),
        ("env_file_read_only", |workspace| {
            workspace.write(".env", "");
            fs::set_permissions(workspace.file(".env"), fs::Permissions::from_mode(0o400)).unwrap();
        }),
        ("env_file_not_writable", |workspace| symlink("nowhere/at/all", workspace.file(".env")).unwrap()),
        ("env_file_open_quote", |workspace| workspace.write(".env", "A=\"open\nEXA_API_KEY=\"\"\nB=3\n\"\n")),
        ("credential_not_representable", |workspace| {
            let registry = files::registry::BUILTIN;
            workspace.write("providers.toml", registry.replace("EXA_API_KEY", "exported_key"));
        }),
        ("env_file_tracked", |workspace| {
            workspace.write(".env", "");
            git(workspace, &["init", "--quiet"]);
            git(workspace, &["add", "--force", ".env"]);
        }),
    ];
    for (code, arrange) in cases {
        let workspace = Workspace::new();
        arrange(&workspace);
        let error = workspace.json(&["provision", "one", "search"]);
        assert_eq!(error["code"], code, "{error:#}");
        assert!(!error["hint"].as_str().unwrap().is_empty());
        assert!(workspace.world().observe_everything().unwrap().is_empty(), "{code}: something was bought");
        assert_eq!(workspace.json(&["list"])["live_count"], 0);
    }
}

#[test]
fn env_file_in_a_work_tree_is_excluded_from_git() {
    let workspace = Workspace::new();
    git(&workspace, &["init", "--quiet"]);
    fs::create_dir(workspace.file("app")).unwrap();
    let response = workspace.json(&["--dir", "app", "provision", "one", "search"]);
    assert!(response["next"].as_str().unwrap().contains(".git/info/exclude"), "{response:#}");
    assert!(workspace.read(".git/info/exclude").ends_with("\n/app/.env\n"));
    let exclude = workspace.read(".git/info/exclude");
    let response = workspace.json(&["--dir", "app", "rotate", "one"]);
    assert!(!response["next"].as_str().unwrap().contains("exclude"), "once is enough");
    assert_eq!(workspace.read(".git/info/exclude"), exclude);
    assert_eq!(git(&workspace, &["status", "--porcelain"]), "", "nothing of ours would be committed");
    workspace.write("app/.env.example", "");
    assert_eq!(git(&workspace, &["status", "--porcelain"]), "?? app/\n", "a template stays visible");
}

#[test]
fn refusal_leaves_no_git_exclude_line() {
    let workspace = Workspace::new();
    git(&workspace, &["init", "--quiet"]);
    let exclude = workspace.read(".git/info/exclude");
    assert_eq!(workspace.json(&["provision", "one", "search", "--cap", "99999"])["code"], "cap_above_maximum");
    assert_eq!(workspace.read(".git/info/exclude"), exclude);
}

#[test]
fn gitignore_that_includes_the_env_file_is_an_error() {
    let workspace = Workspace::new();
    git(&workspace, &["init", "--quiet"]);
    workspace.write(".gitignore", "!.env\n");
    assert_eq!(workspace.json(&["provision", "one", "search"])["code"], "env_file_exposed");
    let once = workspace.read(".git/info/exclude");
    assert_eq!(workspace.json(&["provision", "one", "search"])["code"], "env_file_exposed");
    assert_eq!(workspace.read(".git/info/exclude"), once, "it grows with every attempt");
}

#[test]
fn existing_git_excludes_are_kept() {
    for (before, after) in [("", "/.env\n"), ("*.log\n", "*.log\n/.env\n"), ("*.log", "*.log\n/.env\n")] {
        let workspace = Workspace::new();
        git(&workspace, &["init", "--quiet"]);
        workspace.write(".git/info/exclude", before);
        workspace.ok(&["provision", "one", "search"]);
        assert_eq!(workspace.read(".git/info/exclude"), after, "{before:?}");
    }
}

#[test]
fn unresolvable_env_file_is_not_treated_as_missing() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "one", "search"]);
    fs::rename(workspace.file(".env"), workspace.file("elsewhere")).unwrap();
    symlink(".env", workspace.file(".env")).unwrap();
    let error = workspace.json(&["teardown", "one", "--yes"]);
    assert_eq!(error["code"], "variable_not_removed", "{error:#}");

    fs::rename(workspace.file("elsewhere"), workspace.file(".env")).unwrap();
    workspace.ok(&["teardown", "one", "--yes"]);
    assert_eq!(workspace.variable("EXA_API_KEY"), None);
}

/// An error code, and a function that causes it.
type Case = (&'static str, fn(&Workspace));

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn git(workspace: &Workspace, arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).current_dir(workspace.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
