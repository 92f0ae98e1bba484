//! Checks the state folder, the env files, the registry and the versions.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use backends::stripe_cli;
use domain::{name::EnvVar, project::Project, visible::visible};
use files::{
    env_file::{EnvFileError, Inspection},
    fs::{self, FsError, Kind, Program, ProgramError, SearchPath},
    git::GitStatus,
    state_folder::StateFolderError,
};
use storage::ledger::Ledger;

use super::{Finding, REPAIR, Repair};
use crate::provisioner::Ports;

/// Checks that the state folder is private and outside of the workspace, and names a folder of an earlier version.
pub fn folder(ports: &Ports) -> Vec<Finding> {
    let state = ports.state.path();
    let mut findings = Vec::new();
    match ports.state.check().and_then(|()| ports.state.check_workspace()) {
        Ok(()) if !state.exists() => {
            findings.push(Finding::ok(FOLDER, format!("{} is created on first use", visible(state))));
        }
        Ok(()) => findings.push(private(state)),
        Err(error @ StateFolderError::Open { .. }) => {
            findings.push(Finding::failure(FOLDER, error).repaired_by(Repair::HideState(vec![state.to_owned()])));
        }
        Err(error) => findings.push(Finding::failure(FOLDER, error)),
    }
    let old = ports.workspace.join(OLD_FOLDER);
    if old.exists() {
        let found = format!("{} is of an earlier version, or came with a repository; it is never read", visible(&old));
        findings.push(Finding::warning(FOLDER, found, "remove it once nothing that it lists is needed"));
    }
    findings
}

fn private(state: &Path) -> Finding {
    match open_to_others(state) {
        Err(error) => Finding::failure(FOLDER, error),
        Ok(open) if open.is_empty() => Finding::ok(FOLDER, format!("{} is yours alone", visible(state))),
        Ok(open) => {
            let paths: Vec<String> = open.iter().map(|path| visible(path).to_string()).collect();
            let found = format!("other users may read {}", paths.join(", "));
            Finding::problem(FOLDER, found, REPAIR).repaired_by(Repair::HideState(open))
        }
    }
}

fn open_to_others(state: &Path) -> Result<Vec<PathBuf>, FsError> {
    let mut open = Vec::new();
    for path in fs::files_in(state)? {
        if fs::is_private(&path)? == Some(false) {
            open.push(path);
        }
    }
    Ok(open)
}

/// Checks the env file of new projects, and those of live ones.
pub fn env_files(ports: &Ports) -> Vec<Finding> {
    let ledger = &ports.ledger;
    let live = if ledger.exists() { ledger.projects().all_live().unwrap_or_default() } else { Vec::new() };
    let mut paths = BTreeSet::from([ports.env_file.as_path()]);
    paths.extend(live.iter().map(|project| project.env_file.as_path()));
    paths.into_iter().flat_map(|path| env_file(ports, path, &live)).collect()
}

/// Checks the env files of live projects.
pub fn env_files_of_projects(ports: &Ports) -> Vec<Finding> {
    let live = ports.ledger.projects().all_live().unwrap_or_default();
    let paths: BTreeSet<&Path> = live.iter().map(|project| project.env_file.as_path()).collect();
    paths.into_iter().flat_map(|path| env_file(ports, path, &live)).collect()
}

fn env_file(ports: &Ports, path: &Path, live: &[Project]) -> Vec<Finding> {
    let inspection = match ports.env_file_at(path).inspect() {
        Err(error) => return vec![Finding::failure(ENV_FILE, error)],
        Ok(None) => {
            let found = format!("the folder of {} is gone", visible(path));
            return vec![Finding::problem(ENV_FILE, found, "create it again, or name another file with `--env-file`")];
        }
        Ok(Some(inspection)) => inspection,
    };
    let projects = live.iter().filter(|project| project.env_file == path);
    let variables: Vec<&EnvVar> =
        projects.flat_map(|project| &project.deliveries).map(|delivery| &delivery.env_var).collect();
    let mut findings: Vec<Finding> = [
        kind(&inspection),
        privacy(&inspection, path, &variables),
        standing(&inspection, path, &variables),
        leftover(&inspection, path),
    ]
    .into_iter()
    .flatten()
    .collect();
    findings.extend(variables.iter().filter_map(|variable| duplicates(&inspection, variable)));
    if findings.is_empty() {
        findings.push(match inspection.kind {
            Kind::Absent => Finding::ok(ENV_FILE, format!("{} is created with the first key", visible(path))),
            _ if matches!(inspection.git_status, Ok(GitStatus::Ignored)) => {
                Finding::ok(ENV_FILE, format!("{} can take keys and is kept out of git", visible(path)))
            }
            _ => Finding::ok(ENV_FILE, format!("{} can take keys", visible(path))),
        });
    }
    findings
}

fn kind(inspection: &Inspection) -> Option<Finding> {
    let read_only = inspection.kind == Kind::File { read_only: true };
    let path = || inspection.path.clone();
    if read_only {
        return Some(Finding::failure(ENV_FILE, EnvFileError::ReadOnly { path: path() }));
    }
    inspection.obstacle.map(|why| Finding::failure(ENV_FILE, EnvFileError::NotReplaceable { path: path(), why }))
}

/// Reports a readable file once it holds one of our keys.
fn privacy(inspection: &Inspection, path: &Path, variables: &[&EnvVar]) -> Option<Finding> {
    let holds_keys = variables.iter().any(|variable| inspection.holds(variable).is_some());
    let found = format!("other users may read {}, and it holds keys", visible(path));
    let open = holds_keys && !inspection.private;
    open.then(|| Finding::problem(ENV_FILE, found, REPAIR).repaired_by(Repair::HideEnvFile(path.to_owned())))
}

fn standing(inspection: &Inspection, path: &Path, variables: &[&EnvVar]) -> Option<Finding> {
    if let Some(to) = inspection.exposed_to {
        return Some(Finding::failure(ENV_FILE, EnvFileError::Exposed { path: inspection.path.clone(), to }));
    }
    match &inspection.git_status {
        Ok(GitStatus::Ignored | GitStatus::Outside) => None,
        Ok(GitStatus::Tracked) => {
            Some(Finding::failure(ENV_FILE, EnvFileError::Tracked { path: inspection.path.clone() }))
        }
        // Before the first key there is nothing to expose; the preflight of the first key excludes the file.
        Ok(GitStatus::Exposed { .. }) if variables.is_empty() => None,
        Ok(GitStatus::Exposed { .. }) => {
            let found = format!("the next `git add` would take {}", visible(path));
            Some(Finding::problem(ENV_FILE, found, REPAIR).repaired_by(Repair::Exclude(path.to_owned())))
        }
        Err(error) => {
            let advice = "make `git status` work in that folder; until then no key is written there";
            Some(Finding::warning(ENV_FILE, error.to_string(), advice))
        }
    }
}

fn leftover(inspection: &Inspection, path: &Path) -> Option<Finding> {
    let leftover = inspection.leftover.as_ref()?;
    let found = format!("an exited process left {}", visible(leftover));
    Some(Finding::warning(ENV_FILE, found, REPAIR).repaired_by(Repair::Sweep(path.to_owned())))
}

fn duplicates(inspection: &Inspection, variable: &EnvVar) -> Option<Finding> {
    let times = inspection.values(variable).len();
    let found = format!("{variable} is set {times} times in {}; readers use the last", visible(&inspection.path));
    (times > 1).then(|| Finding::warning(ENV_FILE, found, "remove the others by hand: this program did not write them"))
}

pub fn registry(ports: &Ports) -> Finding {
    let files = ports.registry_files.in_use();
    match ports.registry_files.read(&[]) {
        Err(error) => Finding::failure(REGISTRY, error),
        Ok(registry) => {
            let paths: Vec<_> = files.iter().map(|path| visible(path).to_string()).collect();
            let source = if paths.is_empty() { "the built-in registry".to_owned() } else { paths.join(" and ") };
            let is = if paths.len() > 1 { "are" } else { "is" };
            Finding::ok(REGISTRY, format!("{source} {is} valid ({} providers)", registry.providers().count()))
        }
    }
}

/// Names the programs that are started, and those of the same name that are not.
pub fn programs(ports: &Ports) -> Vec<Finding> {
    let names: &[&str] = if ports.backend.name() == stripe_cli::NAME { &["git", "stripe"] } else { &["git"] };
    names.iter().map(|name| program(&ports.programs, name)).collect()
}

fn program(programs: &SearchPath, name: &str) -> Finding {
    let advice = "remove that folder from PATH, or let only you and root change it";
    match programs.find(name) {
        Ok(Program { path, refused }) if refused.is_empty() => {
            Finding::ok(PROGRAMS, format!("{name} is {}", visible(&path)))
        }
        Ok(Program { path, refused }) => {
            let refused: Vec<String> = refused.iter().map(ToString::to_string).collect();
            let found = format!("{name} is {}; not started: {}", visible(&path), refused.join(", "));
            Finding::warning(PROGRAMS, found, advice)
        }
        Err(ProgramError::Missing) => Finding::ok(PROGRAMS, format!("{name} is not on PATH")),
        Err(ProgramError::Refused(refused)) => {
            Finding::warning(PROGRAMS, format!("{name} is not started: {refused}"), advice)
        }
    }
}

/// Reports our version, and that of the program that the backend runs.
pub fn versions(ports: &Ports) -> Vec<Finding> {
    let program = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    let ours = format!("{program}, ledger version {}, {}", Ledger::version(), std::env::consts::OS);
    match ports.backend_version() {
        Ok(None) => vec![Finding::ok(VERSIONS, ours)],
        Ok(Some(theirs)) => vec![Finding::ok(VERSIONS, format!("{ours}, {theirs}"))],
        Err(error) => vec![Finding::ok(VERSIONS, ours), Finding::failure(VERSIONS, error)],
    }
}

const FOLDER: &str = "folder";
const ENV_FILE: &str = "env_file";
const PROGRAMS: &str = "programs";
const REGISTRY: &str = "registry";
const VERSIONS: &str = "versions";

/// The state folder of earlier versions.
const OLD_FOLDER: &str = ".stripe-projects";
