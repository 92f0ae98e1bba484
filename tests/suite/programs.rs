//! Programs that are started: resolved once, and never from the workspace or a folder that others can change.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use files::fs::{Distrust, ProgramError, SearchPath};

use crate::workspace::Workspace;

#[test]
fn search_skips_programs_that_others_could_replace() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    for folder in ["workspace", "open", "sticky", "links", "good"] {
        fs::create_dir(root.join(folder)).unwrap();
        fs::write(root.join(folder).join("tool"), "").unwrap();
        set_mode(&root.join(folder), 0o755);
        set_mode(&root.join(folder).join("tool"), 0o755);
    }
    set_mode(&root.join("open"), 0o777);
    set_mode(&root.join("sticky"), 0o1777);
    fs::remove_file(root.join("links/tool")).unwrap();
    symlink(root.join("workspace/tool"), root.join("links/tool")).unwrap();
    let search = |folders: &[&str]| {
        let folders = folders.iter().map(|folder| root.join(folder));
        let variable = env::join_paths([PathBuf::new(), PathBuf::from("bin")].into_iter().chain(folders)).unwrap();
        SearchPath::new(Some(&variable), vec![root.join("workspace")])
    };
    let found = search(&["workspace", "open", "sticky", "links", "good"]).find("tool").unwrap();
    assert_eq!(found.path, root.join("good/tool"));
    let reasons: Vec<Distrust> = found.refused.iter().map(|refused| refused.reason).collect();
    let (ours, open) = (Distrust::InWorkspace, Distrust::WritableByOthers);
    assert_eq!(reasons, [ours, open, open, ours]);
    assert!(matches!(search(&["open"]).find("tool"), Err(ProgramError::Refused(_))));
    assert_eq!(search(&["good"]).find("other"), Err(ProgramError::Missing));
    assert_eq!(search(&["workspace", "good"]).variable(), root.join("good").into_os_string());
    assert!(search(&[]).check(&root.join("workspace/tool")).is_err());
    assert!(search(&[]).check(&root.join("good/tool")).is_ok());
    set_mode(&root.join("good/tool"), 0o757);
    assert!(search(&[]).check(&root.join("good/tool")).is_err());
}

#[test]
fn programs_of_the_workspace_are_not_started() {
    let workspace = Workspace::new();
    let init = Command::new("git").args(["init", "--quiet"]).current_dir(workspace.path()).status().unwrap();
    assert!(init.success());
    fs::create_dir_all(workspace.file("node_modules/.bin")).unwrap();
    for name in ["git", "stripe"] {
        let program = workspace.file("node_modules/.bin").join(name);
        let marker = workspace.file("started");
        fs::write(&program, format!("#!/bin/sh\necho {name} >> '{}'\n", marker.display())).unwrap();
        set_mode(&program, 0o755);
    }
    let absolute = workspace.file("node_modules/.bin");
    let rest = env::var("PATH").unwrap();
    for first in [absolute.to_str().unwrap(), "node_modules/.bin", "", "./node_modules/.bin", "."] {
        let path = format!("{first}:{rest}");
        let in_bin = workspace.file(if matches!(first, "" | ".") { "node_modules/.bin" } else { "" });
        let name = format!("p{}", first.len());
        let run = |arguments: &[&str]| {
            let mut command = workspace.command(arguments);
            command.current_dir(&in_bin).arg("--dir").arg(workspace.path()).env("PATH", &path);
            command.output().unwrap()
        };
        assert!(run(&["provision", &name, "search"]).status.success(), "{first:?}");
        run(&["doctor", "--backend", "stripe-cli"]);
        run(&["provision", "none", "tts", "--backend", "stripe-cli"]);
        assert!(!workspace.file("started").exists(), "{first:?}: {}", workspace.read("started"));
    }
    let path = format!("{}:{rest}", absolute.display());
    let report = workspace.cli(&["doctor"]).env("PATH", &path).run().stdout;
    assert!(report.contains("git is /") && report.contains("is in the workspace"), "{report}");
    let error = workspace.json(&["list", "--backend", "stripe-cli", "--stripe-bin", "node_modules/.bin/stripe"]);
    assert_eq!(error["code"], "program_refused", "{error:#}");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
