//! The registry's files. Each call reads them anew, so an edit applies to the next call.

use std::path::{Path, PathBuf};

use super::config_folders::Candidate;
use super::file_text::{read, read_protected, shown, unusable, without_duplicates};
use super::{ConfigFolders, Layer, Origin, Registry, RegistryError, UserPolicy, error::Problem};
use crate::fs::{self, Stamp};

/// The files that extend the built-in registry, each by its keys: the user's, then the workspace's.
#[derive(Clone, Debug)]
pub struct RegistryFiles {
    /// The places of the user's registry. The last one that exists counts: the environment's, as in other programs.
    user: Vec<Candidate>,
    workspace_registry: WorkspaceRegistry,
    workspace: PathBuf,
}

/// The registry of a workspace.
#[derive(Clone, Debug)]
pub enum WorkspaceRegistry {
    /// A file that was named; it must exist.
    Named(PathBuf),
    /// The workspace's own file, which may be absent.
    Own(PathBuf),
}

impl WorkspaceRegistry {
    pub fn path(&self) -> &Path {
        let (Self::Named(path) | Self::Own(path)) = self;
        path
    }
}

impl RegistryFiles {
    /// Takes the places of the user's registry from these folders.
    pub fn new(folders: &ConfigFolders, workspace_registry: WorkspaceRegistry, workspace: PathBuf) -> Self {
        let user = ConfigFolders { system: None, ..folders.clone() }.candidates("providers.toml");
        Self { user, workspace_registry, workspace }
    }

    /// Returns the files in use; none while the built-in registry is used alone.
    pub fn in_use(&self) -> Vec<PathBuf> {
        let own = Some(self.workspace_registry.path()).filter(|path| path.exists()).map(Path::to_owned);
        self.user_file().map(|candidate| candidate.path).into_iter().chain(own).collect()
    }

    /// Reads the registry as it is now, restricted by the policies.
    ///
    /// # Errors
    /// [`RegistryError`], at line 1 and column 1 for an unreadable file.
    pub fn read(&self, policies: &[UserPolicy]) -> Result<Registry, RegistryError> {
        let mut owned = Layer::builtin()?;
        let mut below_workspace = Layer::default();
        if let Some(candidate) = self.user_file() {
            let origin = candidate.origin(&self.workspace);
            let text = read_protected(&candidate.path)?.unwrap_or_default();
            let layer = Layer::parse(origin, &text, &shown(&candidate.path), &owned)?;
            match origin {
                Origin::Owner => owned = owned.extended_by(layer),
                Origin::Workspace => below_workspace = layer,
            }
        }
        let path = self.workspace_registry.path();
        let workspace = match (read(path)?, &self.workspace_registry) {
            (Some(text), _) => Layer::parse(Origin::Workspace, &text, &shown(path), &owned)?,
            (None, WorkspaceRegistry::Own(_)) => Layer::default(),
            (None, WorkspaceRegistry::Named(_)) => return Err(unusable(path, Problem::NoFile)),
        };
        Ok(owned.combined(below_workspace.extended_by(workspace), policies))
    }

    /// Returns stamps that change with the files.
    pub fn stamps(&self) -> Vec<Option<Stamp>> {
        let user = self.user.iter().map(|candidate| candidate.path.as_path());
        user.chain([self.workspace_registry.path()]).map(fs::stamp).collect()
    }

    fn user_file(&self) -> Option<Candidate> {
        let exists = |path: &Path| path.symlink_metadata().is_ok() || fs::dangling_link(path).is_some();
        let places = without_duplicates(self.user.clone(), |candidate| &candidate.path);
        places.into_iter().rfind(|candidate| exists(&candidate.path))
    }
}
