//! The folder of the ledger, which lies outside every workspace and belongs to one user.
//!
//! The workspace belongs to the agent and to the author of its repository, so nothing that decides about money may lie
//! there. The folder is checked before it is first used, for reading as well.

mod diagnostic;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use domain::visible::visible;

use crate::{
    fs::{self, FsError, Owner},
    git::{self, GitError},
};

/// The folder of the ledger, the locks and the files of backends.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    workspace: Option<PathBuf>,
    home: Option<PathBuf>,
    /// Whether an agent uses the program, whose workspace must not contain the folder.
    for_agents: bool,
    /// It exists, and passed every check.
    verified: AtomicBool,
}

/// Why the state folder is not used.
#[derive(Debug, thiserror::Error)]
pub enum StateFolderError {
    #[error(transparent)]
    File(#[from] FsError),
    #[error("the state folder {} is not a folder", visible(path))]
    NotAFolder { path: PathBuf },
    #[error("the state folder {} belongs to another user", visible(path))]
    Foreign { path: PathBuf },
    /// Creating it would make it belong to the wrong user, such as to root below `sudo`.
    #[error("the state folder {} is not created, because {} belongs to another user", visible(path), visible(owned))]
    ForeignHome { path: PathBuf, owned: PathBuf },
    #[error("the state folder {} is in a git work tree, and git did not report whether it is ignored", visible(path))]
    GitUnclear {
        path: PathBuf,
        #[source]
        why: GitError,
    },
    #[error("the state folder {} is a link", visible(path))]
    Link { path: PathBuf },
    #[error("the mode of the state folder {} is {mode:03o} instead of 700", visible(path))]
    Open { path: PathBuf, mode: u32 },
    /// A repository could bring a ledger of its own, and `git clean` could remove ours.
    #[error("the state folder {} is in a git work tree, and git would take its files", visible(path))]
    Taken { path: PathBuf },
    #[error("the workspace {} contains the {what} {}", visible(workspace), visible(path))]
    WorkspaceTooWide { workspace: PathBuf, what: &'static str, path: PathBuf },
}

impl StateFolder {
    /// Creates nothing. `path` and `workspace` are canonical as far as they exist; `home` is the user's home folder. Without
    /// a workspace, a person has named another one than the present folder.
    pub fn new(path: PathBuf, workspace: Option<PathBuf>, home: Option<PathBuf>) -> Self {
        let home = home.map(|home| fs::real_path(&home).unwrap_or(home));
        Self { path, workspace, home, for_agents: false, verified: AtomicBool::new(false) }
    }

    /// Refuses every use while the workspace contains the folder.
    #[must_use]
    pub fn for_agents(self) -> Self {
        Self { for_agents: true, verified: AtomicBool::new(false), ..self }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Proves that the folder may be used, or may be created where it does not exist yet.
    ///
    /// # Errors
    /// [`StateFolderError`]; nothing was created.
    pub fn check(&self) -> Result<(), StateFolderError> {
        if self.verified.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.for_agents {
            self.check_workspace()?;
        }
        match fs::ownership(&self.path)? {
            None => self.check_surroundings()?,
            Some(found) => {
                let path = || self.path.clone();
                if found.is_link {
                    return Err(StateFolderError::Link { path: path() });
                }
                if !found.is_folder {
                    return Err(StateFolderError::NotAFolder { path: path() });
                }
                if found.owner != Owner::Us {
                    return Err(StateFolderError::Foreign { path: path() });
                }
                if cfg!(unix) && found.mode != PRIVATE {
                    return Err(StateFolderError::Open { path: path(), mode: found.mode });
                }
            }
        }
        match git::would_take(&self.path) {
            Ok(false) => {}
            Ok(true) => return Err(StateFolderError::Taken { path: self.path.clone() }),
            Err(why) => return Err(StateFolderError::GitUnclear { path: self.path.clone(), why }),
        }
        self.verified.store(self.path.is_dir(), Ordering::Release);
        Ok(())
    }

    /// Creates the folder where it does not exist yet.
    ///
    /// # Errors
    /// As [`Self::check`], or when it cannot be created.
    pub fn create(&self) -> Result<(), StateFolderError> {
        self.check()?;
        if !self.verified.load(Ordering::Acquire) {
            fs::create_private_folder(&self.path)?;
            self.check()?;
        }
        Ok(())
    }

    /// Proves that the workspace contains neither this folder nor the home folder: an agent can write everything there.
    ///
    /// # Errors
    /// [`StateFolderError::WorkspaceTooWide`]
    pub fn check_workspace(&self) -> Result<(), StateFolderError> {
        let Some(workspace) = &self.workspace else { return Ok(()) };
        let inside = [("state folder", Some(&self.path)), ("home folder", self.home.as_ref())];
        for (what, path) in inside {
            if let Some(path) = path.filter(|path| path.starts_with(workspace)) {
                let (workspace, path) = (workspace.clone(), path.clone());
                return Err(StateFolderError::WorkspaceTooWide { workspace, what, path });
            }
        }
        Ok(())
    }

    /// Below `sudo`, a folder that root creates in the home of a user would lock that user out.
    fn check_surroundings(&self) -> Result<(), StateFolderError> {
        let existing = self.path.ancestors().find(|folder| folder.is_dir()).map(Path::to_owned);
        let home = self.home.clone().filter(|home| self.path.starts_with(home));
        for (folder, owners) in [(home, &[Owner::Us][..]), (existing, &[Owner::Root, Owner::Us])] {
            let Some(folder) = folder else { continue };
            let Some(found) = fs::ownership(&folder)? else { continue };
            if !owners.contains(&found.owner) {
                return Err(StateFolderError::ForeignHome { path: self.path.clone(), owned: folder });
            }
        }
        Ok(())
    }
}

/// The permissions of the folder: its owner alone.
const PRIVATE: u32 = 0o700;
