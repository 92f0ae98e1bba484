//! Keys in git objects: deleted, on another branch, stashed, staged, in a message.

use std::process::Command;

use serde_json::Value;

use crate::{
    scan::{assert_no_key, findings, with_key},
    workspace::Workspace,
};

#[test]
fn every_git_object_is_searched() {
    let (here, key) = with_key();
    git(&here, &["init", "-q", "-b", "main"]);
    commit(&here, "deleted.txt", &format!("one\n{key}\n"), "a file");
    let deleted = head(&here);
    git(&here, &["rm", "-q", "deleted.txt"]);
    git(&here, &["commit", "-q", "-m", "gone"]);
    git(&here, &["checkout", "-q", "-b", "other"]);
    commit(&here, "sub dir/\u{fc} \"x\"\t.txt", &format!("{key}!"), "on a branch");
    let branch = head(&here);
    git(&here, &["checkout", "-q", "main"]);
    commit(&here, "clean.txt", "clean", "clean");
    here.write("clean.txt", format!("stash {key}"));
    git(&here, &["stash", "-q"]);
    here.write("staged.txt", format!("staged {key}"));
    git(&here, &["add", "staged.txt"]);
    git(&here, &["rm", "-q", "--cached", "staged.txt"]);
    here.write("staged.txt", "clean again");
    git(&here, &["commit", "-q", "--allow-empty", "-m", &format!("I used {key}\n")]);
    let message = head(&here);
    git(&here, &["reset", "-q", "--hard", "HEAD~1"]);
    git(&here, &["gc", "-q"]);

    let output = here.run(&["scan", ".", "--json"]);
    assert_no_key(&output, &key);
    assert_eq!(output.code, 7);
    let view: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(view["histories_read"], 1);
    let by = |file: Option<&str>, commit: Option<&str>| {
        let finding = findings(&view).iter().find(|one| {
            one["found_in"] == "history"
                && one["file"].as_str() == file
                && (commit.is_none() || one["commit"].as_str() == commit)
        });
        finding.unwrap_or_else(|| panic!("nothing in {file:?} of {commit:?}: {view:#}"))
    };
    assert_eq!(by(Some("deleted.txt"), Some(&deleted))["line"], 2);
    by(Some("sub dir/\u{fc} \"x\"\t.txt"), Some(&branch));
    by(Some("clean.txt"), None);
    by(None, Some(&message));
    let staged = findings(&view).iter().find(|one| one["found_in"] == "history" && one["commit"].is_null());
    assert_eq!(staged.expect("what was staged once")["file"], Value::Null);
    let history = findings(&view).iter().filter(|one| one["found_in"] == "history").count();
    assert_eq!(history, 5, "{view:#}");

    let people = here.run(&["scan", "."]);
    assert_no_key(&people, &key);
    assert!(people.stdout.contains("deleted.txt:2, commit "), "{people:?}");
    assert!(people.stdout.contains("the message of commit "), "{people:?}");
    assert!(people.stdout.contains("which is in no commit"), "{people:?}");
}

#[test]
fn nested_repository_and_subfolder_are_searched() {
    let (here, key) = with_key();
    std::fs::create_dir_all(here.file("work/repo/src")).unwrap();
    let inside = here.file("work/repo");
    let git = |arguments: &[&str]| run_git(&inside, arguments);
    git(&["init", "-q"]);
    std::fs::write(inside.join("a"), &key).unwrap();
    git(&["add", "a"]);
    git(&["commit", "-q", "-m", "a"]);
    git(&["rm", "-q", "a"]);
    git(&["commit", "-q", "-m", "b"]);
    for path in ["work", "work/repo", "work/repo/src"] {
        let view = here.json(&["scan", path]);
        assert_eq!(findings(&view).len(), 1, "{path}: {view:#}");
        assert_eq!(findings(&view)[0]["repository"], *inside.to_str().unwrap());
    }
    assert_eq!(here.json(&["scan", "work/repo/src", "work/repo"])["histories_read"], 1);
}

/// The agent can write to a repository, so nothing that its configuration names may run.
#[test]
fn repository_is_read_without_running_its_configuration() {
    let (here, key) = with_key();
    git(&here, &["init", "-q", "-b", "main"]);
    here.write(".gitattributes", "*.txt diff=evil filter=evil\n");
    commit(&here, "a.txt", &key, "a");
    commit(&here, "a.txt", "clean", "b");
    let evil = format!("touch {}", here.file("EVIL").display());
    for name in [
        "core.fsmonitor",
        "core.pager",
        "pager.log",
        "diff.external",
        "diff.evil.command",
        "diff.evil.textconv",
        "core.sshCommand",
        "gpg.program",
    ] {
        git(&here, &["config", name, &evil]);
    }
    git(&here, &["config", "log.showSignature", "true"]);
    git(&here, &["config", "remote.origin.url", &format!("ext::{evil}")]);
    git(&here, &["config", "remote.origin.promisor", "true"]);
    let view = here.json(&["scan", "."]);
    assert_eq!(findings(&view).len(), 1, "{view:#}");
    assert!(!here.file("EVIL").exists());
}

#[test]
fn unreadable_history_is_reported_and_the_rest_searched() {
    let (here, key) = with_key();
    std::fs::create_dir_all(here.file("repo/.git")).unwrap();
    here.write("repo/.git/config", format!("url = https://x:{key}@example.com\n"));
    let output = here.run(&["scan", "repo"]);
    assert_eq!(output.code, 7);
    assert_no_key(&output, &key);
    assert!(output.stderr.contains("warning: git would not show the whole history of"), "{output:?}");
}

/// Git lists an object that is an empty file, and cannot read it. It reports that and continues.
#[test]
fn broken_object_is_reported_and_the_rest_searched() {
    let (here, key) = with_key();
    git(&here, &["init", "-q", "-b", "main"]);
    commit(&here, "a.txt", &key, "a");
    commit(&here, "broken.txt", "it does not matter what stood here", "b");
    git(&here, &["rm", "-q", "a.txt"]);
    git(&here, &["commit", "-q", "-m", "c"]);
    let output = command(&here.path(), &["rev-parse", "HEAD:broken.txt"]).output().unwrap();
    let id = String::from_utf8(output.stdout).unwrap();
    let object = here.file(&format!(".git/objects/{}/{}", &id[..2], id[2..].trim()));
    std::fs::remove_file(&object).unwrap();
    std::fs::write(&object, "").unwrap();
    let output = here.run(&["scan", ".", "--json"]);
    assert_eq!(output.code, 7, "{output:?}");
    assert_no_key(&output, &key);
    let view: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&findings(&view)[0]["file"], &view["histories_read"]), (&"a.txt".into(), &0.into()));
    assert!(output.stderr.contains("git would not show the whole history of"), "{output:?}");
}

/// Branch names and reflogs are outside the objects, and are searched from any subfolder.
#[test]
fn branch_name_is_found_from_a_subfolder() {
    let (here, key) = with_key();
    git(&here, &["init", "-q", "-b", "main"]);
    commit(&here, "src/a.txt", "clean", "a");
    git(&here, &["branch", &format!("try-{key}")]);
    for pack in [false, true] {
        if pack {
            git(&here, &["pack-refs", "--all"]);
        }
        let output = here.run(&["scan", "src", "--json"]);
        assert_no_key(&output, &key);
        let view: Value = serde_json::from_str(&output.stdout).unwrap();
        let places =
            findings(&view).iter().map(|one| (one["found_in"].as_str().unwrap(), one["file"].as_str().unwrap()));
        let places: Vec<_> = places.collect();
        let expected = if pack { ("file", "packed-refs") } else { ("name", "refs/heads/") };
        assert!(places.iter().any(|(kind, file)| *kind == expected.0 && file.contains(expected.1)), "{places:?}");
    }
}

#[test]
fn bare_repository_is_searched() {
    let (here, key) = with_key();
    let work = here.file("work");
    std::fs::create_dir(&work).unwrap();
    run_git(&work, &["init", "-q"]);
    std::fs::write(work.join("a"), &key).unwrap();
    run_git(&work, &["add", "a"]);
    run_git(&work, &["commit", "-q", "-m", "a"]);
    run_git(&here.path(), &["clone", "-q", "--bare", "--no-hardlinks", "work", "bare.git"]);
    std::fs::remove_dir_all(&work).unwrap();
    for path in [".", "bare.git"] {
        let view = here.json(&["scan", path]);
        assert_eq!(view["histories_read"], 1, "{path}: {view:#}");
        let finding = findings(&view).iter().find(|one| one["found_in"] == "history").expect(path);
        assert_eq!(
            (&finding["file"], &finding["repository"]),
            (&"a".into(), &here.file("bare.git").to_str().unwrap().into())
        );
    }
}

fn commit(here: &Workspace, name: &str, text: &str, message: &str) {
    let path = here.file(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    git(here, &["add", "--", name]);
    git(here, &["commit", "-q", "-m", message]);
}

fn head(here: &Workspace) -> String {
    let output = command(&here.path(), &["rev-parse", "HEAD"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn git(here: &Workspace, arguments: &[&str]) {
    run_git(&here.path(), arguments);
}

fn run_git(folder: &std::path::Path, arguments: &[&str]) {
    let output = command(folder, arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn command(folder: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgSign=false"]);
    command
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    command
}
