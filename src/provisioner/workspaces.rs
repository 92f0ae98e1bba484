//! The workspaces of a user: their folders, and the services of another one.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use domain::workspace::{Place, WorkspaceId};
use files::fs;
use serde_json::json;
use storage::ledger::{Move, RegisteredWorkspace, Verdict};

use super::{Ports, Principal, Provisioner};
use crate::error::Error;

/// A registered workspace, and what is at its path now.
#[derive(Clone, Debug)]
pub struct WorkspaceState {
    pub workspace: RegisteredWorkspace,
    pub folder: FolderState,
}

/// What is at the path of a workspace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FolderState {
    /// A person has detached the workspace from its path.
    Detached,
    Gone,
    /// It never had a folder.
    None,
    Present,
    /// Another folder.
    Replaced,
}

impl FolderState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detached => "detached",
            Self::Gone => "gone",
            Self::None => "none",
            Self::Present => "present",
            Self::Replaced => "replaced",
        }
    }

    fn of(workspace: &RegisteredWorkspace) -> Self {
        if workspace.is_detached {
            return Self::Detached;
        }
        if workspace.id == WorkspaceId::none() {
            return Self::None;
        }
        let Ok(present) = fs::folder_identity(&workspace.path) else { return Self::Gone };
        match workspace.identity {
            Some(known) if !known.is_same(&present) => Self::Replaced,
            _ => Self::Present,
        }
    }
}

/// Lists workspaces, and corrects where their folders are.
pub struct Workspaces {
    pub(super) ports: Arc<Ports>,
}

impl Workspaces {
    /// Returns every workspace, in the order of paths.
    pub fn all(&self) -> Result<Vec<WorkspaceState>, Error> {
        workspace_states(&self.ports)
    }

    /// Records that the folder of a workspace is at another path, or is another folder.
    ///
    /// # Errors
    /// [`Error::UnknownWorkspace`], [`Error::NoFolder`], or [`Error::WorkspaceTaken`].
    pub fn move_to(&self, old: &str, new: &Path, principal: &Principal) -> Result<WorkspaceState, Error> {
        let found = self.named(old)?;
        let path = fs::real_folder(new).map_err(|_| Error::NoFolder { path: new.to_owned() })?;
        if path.to_str().is_none() {
            return Err(Error::PathNotText { path });
        }
        let place = Place { identity: Some(fs::folder_identity(&path)?), path };
        let detail = json!({ "workspace": found.id.as_str() });
        let event = self.ports.event(principal, "move workspace", Verdict::Done, detail);
        match self.ports.ledger.workspaces().move_to(&found, &place, &event)? {
            Move::Moved => self.state(&found.id),
            Move::Taken => Err(Error::WorkspaceTaken),
        }
    }

    /// Takes its path from a workspace. Its projects stay listed, and can be torn down.
    ///
    /// # Errors
    /// [`Error::UnknownWorkspace`]
    pub fn detach(&self, label: &str, principal: &Principal) -> Result<WorkspaceState, Error> {
        let found = self.named(label)?;
        if found.id == WorkspaceId::none() {
            return Err(Error::UnknownWorkspace);
        }
        let detail = json!({ "workspace": found.id.as_str() });
        let event = self.ports.event(principal, "detach workspace", Verdict::Done, detail);
        self.ports.ledger.workspaces().detach(&found, &event)?;
        let workspace = RegisteredWorkspace { is_detached: true, ..found };
        Ok(WorkspaceState { folder: FolderState::of(&workspace), workspace })
    }

    /// A path may be given as a shell completes it, such as with a slash at its end.
    fn named(&self, label: &str) -> Result<RegisteredWorkspace, Error> {
        if !self.ports.ledger.exists() {
            return Err(Error::UnknownWorkspace);
        }
        let workspaces = self.ports.ledger.workspaces();
        if let Some(found) = workspaces.labelled(label)? {
            return Ok(found);
        }
        let path = std::path::absolute(label).map_err(|_| Error::UnknownWorkspace)?;
        let path: PathBuf = fs::in_real_ancestor(&path).components().collect();
        workspaces.labelled(&path.to_string_lossy())?.ok_or(Error::UnknownWorkspace)
    }

    fn state(&self, id: &WorkspaceId) -> Result<WorkspaceState, Error> {
        self.all()?.into_iter().find(|state| state.workspace.id == *id).ok_or(Error::UnknownWorkspace)
    }
}

/// Returns every workspace of the ledger, in the order of paths.
///
/// # Errors
/// When the ledger cannot be read.
pub fn workspace_states(ports: &Ports) -> Result<Vec<WorkspaceState>, Error> {
    if !ports.ledger.exists() {
        return Ok(Vec::new());
    }
    let all = ports.ledger.workspaces().all()?.into_iter();
    Ok(all.map(|workspace| WorkspaceState { folder: FolderState::of(&workspace), workspace }).collect())
}

impl Provisioner {
    /// Returns the services of another workspace, over the same backend and ledger.
    #[must_use]
    pub fn elsewhere(&self, workspace: &RegisteredWorkspace) -> Self {
        let ledger = Arc::new(self.ports.ledger.in_workspace(workspace.id.clone()));
        self.over(Ports { ledger, workspace: workspace.path.clone(), ..(*self.ports).clone() })
    }

    /// Does the same in every workspace with live projects, or in all, at the same time. Returns the results by label.
    ///
    /// # Errors
    /// When the ledger cannot be read. The failure of one workspace stops no other.
    pub fn everywhere<T: Send>(
        &self,
        only_live: bool,
        work: impl Fn(&Self) -> Result<T, Error> + Sync,
    ) -> Result<Vec<(String, T)>, Error> {
        let all = self.workspaces.all()?.into_iter().map(|state| state.workspace);
        let all: Vec<RegisteredWorkspace> = all.filter(|workspace| !only_live || workspace.live > 0).collect();
        let results: Vec<_> = thread::scope(|scope| {
            let started: Vec<_> = all
                .iter()
                .map(|workspace| {
                    let work = &work;
                    scope.spawn(move || work(&self.elsewhere(workspace)))
                })
                .collect();
            started.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        let labelled = all.iter().map(RegisteredWorkspace::label).zip(results);
        labelled
            .map(|(label, result)| match result {
                Ok(result) => Ok((label, result?)),
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    }
}
