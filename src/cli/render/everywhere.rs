//! Results over several workspaces. A project is named `WORKSPACE:NAME`, as commands accept it.

use std::process::ExitCode;

use domain::{channel::Channel, diagnostic::Diagnostic as _};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Output, json as print_json, project_rows,
    stream::{err, out},
    table, warn,
};
use crate::{
    error::Error,
    provisioner::{Outcome, ProjectPage, WorkspaceState},
    view::{ProjectList, ProjectView},
};

/// A project with its workspace.
#[derive(Serialize)]
struct PlacedProject {
    workspace: String,
    #[serde(flatten)]
    project: ProjectView,
}

/// Prints the lists of all workspaces as one.
pub fn projects(pages: &[(String, ProjectPage)], output: Output) {
    let lists: Vec<(&String, ProjectList)> =
        pages.iter().map(|(label, page)| (label, ProjectList::new(page, Channel::Cli))).collect();
    let warning = lists.iter().find_map(|(_, list)| list.warning.clone());
    if let Some(warning) = &warning {
        warn(warning);
    }
    let (live, torn_down) = lists
        .iter()
        .fold((0, 0), |(live, torn_down), (_, list)| (live + list.live_count, torn_down + list.torn_down_count));
    let placed = lists.into_iter().flat_map(|(label, list)| {
        list.projects.into_iter().map(|project| PlacedProject { workspace: label.clone(), project })
    });
    let placed: Vec<PlacedProject> = placed.collect();
    if output == Output::Json {
        let counts = json!({ "live_count": live, "torn_down_count": torn_down, "warning": warning });
        let mut view = json!({ "projects": placed });
        if let (Value::Object(view), Value::Object(counts)) = (&mut view, counts) {
            view.extend(counts);
        }
        return print_json(&view);
    }
    if placed.is_empty() {
        return out("No live projects in any workspace.");
    }
    project_rows(placed.into_iter().map(|PlacedProject { workspace, project }| ProjectView {
        name: format!("{workspace}:{}", project.name),
        ..project
    }));
}

/// Prints the outcome of each project; the exit code is that of the first failure.
pub fn outcomes(all: &[(String, Vec<Outcome>)], output: Output) -> ExitCode {
    let each = || all.iter().flat_map(|(label, outcomes)| outcomes.iter().map(move |outcome| (label, outcome)));
    let failed: Option<&Error> = each().find_map(|(_, outcome)| outcome.result.as_ref().err());
    if output == Output::Json {
        let shown = |(label, outcome): (&String, &Outcome)| match &outcome.result {
            Ok(state) => {
                json!({ "workspace": label, "name": outcome.name.as_str(), "project": ProjectView::from(state) })
            }
            Err(error) => {
                json!({ "workspace": label, "name": outcome.name.as_str(), "error": error.view(Channel::Cli) })
            }
        };
        print_json(&json!({ "projects": each().map(shown).collect::<Vec<_>>() }));
    } else if each().next().is_none() {
        out("No live projects in any workspace.");
    } else {
        for (label, Outcome { name, result }) in each() {
            match result {
                Ok(state) => out(format_args!("{label}:{name}: {}", state.status())),
                Err(error) => err(format_args!(
                    "{label}:{name}: error: {error}\n{label}:{name}: hint: {}",
                    error.hint(Channel::Cli)
                )),
            }
        }
    }
    failed.map_or(ExitCode::SUCCESS, |error| ExitCode::from(error.exit() as u8))
}

/// Prints the registered workspaces.
pub fn workspaces(all: &[WorkspaceState], output: Output) {
    if output == Output::Json {
        let shown = |state: &WorkspaceState| {
            json!({
                "workspace": state.workspace.label(),
                "live_count": state.workspace.live,
                "folder": state.folder.as_str(),
            })
        };
        return print_json(&json!({ "workspaces": all.iter().map(shown).collect::<Vec<_>>() }));
    }
    if all.is_empty() {
        return out("No workspaces are registered.");
    }
    let rows = all
        .iter()
        .map(|state| vec![state.workspace.live.to_string(), state.folder.as_str().to_owned(), state.workspace.label()]);
    table(&["LIVE", "FOLDER", "WORKSPACE"], rows);
}
