//! The folders in which the owner's configuration may lie.

use std::path::{Path, PathBuf};

use super::{Origin, file_text};

/// The folders of the system and of the user, as they were found at the start.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConfigFolders {
    /// `/etc`, or `%ProgramData%`.
    pub system: Option<PathBuf>,
    /// The home in the user's passwd entry, or the profile folder. The environment does not choose it.
    pub account_home: Option<PathBuf>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`, or `%LOCALAPPDATA%`.
    pub config_home: Option<PathBuf>,
}

/// A place of a file, which need not exist.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Candidate {
    pub path: PathBuf,
    /// Whether the environment chose it, and so perhaps a host's entry in a workspace.
    pub is_chosen: bool,
}

impl ConfigFolders {
    /// Returns whether the user has a home, in which limits could be.
    pub fn has_home(&self) -> bool {
        self.account_home.is_some() || self.home.is_some()
    }

    /// Returns the places of a file of the system's and the user's. Relative folders do not count.
    pub(super) fn candidates(&self, name: &str) -> Vec<Candidate> {
        let below = |folder: &Path| folder.join("stripe-projects").join(name);
        let in_home = |home: &Path| below(&home.join(".config"));
        let absolute = |folder: &Option<PathBuf>| folder.clone().filter(|folder| folder.is_absolute());
        let system = absolute(&self.system).map(|folder| (below(&folder), false));
        let account = absolute(&self.account_home).map(|home| (in_home(&home), false));
        let home = absolute(&self.home).map(|home| (in_home(&home), true));
        let config = absolute(&self.config_home).map(|folder| (below(&folder), true));
        let places = [system, account, home, config].into_iter().flatten();
        places.map(|(path, is_chosen)| Candidate { path, is_chosen }).collect()
    }
}

impl Candidate {
    /// Returns who may have written the file.
    pub(super) fn origin(&self, workspace: &Path) -> Origin {
        if self.is_chosen { file_text::origin(&self.path, workspace) } else { Origin::Owner }
    }
}
