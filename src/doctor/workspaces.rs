//! Checks the other workspaces of the user: whether their folders exist, and what is wrong with their projects.

use domain::diagnostic::PROGRAM;
use files::fs::shell_quoted;

use super::{Finding, State, drift, ledger, workspace};
use crate::{
    error::Error,
    provisioner::{FolderState, Ports, Provisioner, WorkspaceState, workspace_states},
};

/// Reports workspaces with live projects whose folder is gone, or is another one now.
pub fn folders(ports: &Ports) -> Vec<Finding> {
    match workspace_states(ports) {
        Err(error) => vec![Finding::failure(WORKSPACES, error)],
        Ok(all) => all.iter().filter_map(folder).collect(),
    }
}

fn folder(WorkspaceState { workspace, folder }: &WorkspaceState) -> Option<Finding> {
    let label = workspace.label();
    let what = match folder {
        FolderState::Gone => "is gone",
        FolderState::Replaced => "is another folder now",
        FolderState::Detached | FolderState::None | FolderState::Present => return None,
    };
    let projects = if workspace.live == 1 { "project" } else { "projects" };
    let found = format!("the folder {label} of {} live {projects} {what}", workspace.live);
    let old = shell_quoted(&label);
    let advice = format!(
        "if it was moved, run `{PROGRAM} workspaces move {old} NEW`; else see `{PROGRAM} list --everywhere`, and tear down \
         what is not needed"
    );
    (workspace.live > 0).then(|| Finding::warning(WORKSPACES, found, advice))
}

/// Checks the projects of every workspace with live ones, and returns what is wrong.
pub fn everywhere(services: &Provisioner) -> Vec<Finding> {
    let checked = services.everywhere(true, |elsewhere| Ok::<_, Error>(projects(&elsewhere.ports)));
    let checked = match checked {
        Err(error) => return vec![Finding::failure(WORKSPACES, error)],
        Ok(checked) => checked,
    };
    let number = checked.len();
    let mut findings = Vec::new();
    for (label, checks) in checked {
        let wrong = checks.into_iter().filter(|finding| finding.state != State::Ok);
        findings.extend(wrong.map(|finding| Finding { found: format!("{label}: {}", finding.found), ..finding }));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(WORKSPACES, format!("nothing is wrong with the projects of {number} workspaces")));
    }
    findings
}

fn projects(ports: &Ports) -> Vec<Finding> {
    let mut checks = workspace::env_files_of_projects(ports);
    checks.extend(ledger::journal(ports));
    checks.extend(drift::backend(ports));
    checks
}

const WORKSPACES: &str = "workspaces";
