//! Programs on `PATH`, resolved once, to files that the workspace and other users cannot replace.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

use domain::visible::visible;

#[cfg(unix)]
use super::private::mode;

/// The folders of `PATH`, and the folders whose programs are not started.
#[derive(Clone, Debug, Default)]
pub struct SearchPath {
    folders: Vec<PathBuf>,
    untrusted: Vec<PathBuf>,
}

/// A program that may be started.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Program {
    pub path: PathBuf,
    /// Programs of that name that come before it on `PATH` and are not started.
    pub refused: Vec<RefusedProgram>,
}

/// A program that is not started.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{} {reason}", visible(path))]
pub struct RefusedProgram {
    pub path: PathBuf,
    pub reason: Distrust,
}

/// Why a program is not started.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Distrust {
    #[error("is in the workspace")]
    InWorkspace,
    #[error("is found through a relative entry of PATH")]
    RelativeEntry,
    #[error("can be changed by other users")]
    WritableByOthers,
}

/// Why no program of a name may be started.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProgramError {
    #[error("there is no such program on PATH")]
    Missing,
    #[error(transparent)]
    Refused(#[from] RefusedProgram),
}

impl SearchPath {
    /// Takes the value of `PATH`, and the canonical folders whose programs are not started.
    pub fn new(variable: Option<&OsStr>, untrusted: Vec<PathBuf>) -> Self {
        let folders = variable.map(|variable| env::split_paths(variable).collect()).unwrap_or_default();
        Self { folders, untrusted }
    }

    /// Finds a program by its bare name.
    pub fn find(&self, name: &str) -> Result<Program, ProgramError> {
        let name = format!("{name}{}", env::consts::EXE_SUFFIX);
        let mut refused = Vec::new();
        for folder in &self.folders {
            let path = folder.join(&name);
            if !is_executable(&path) {
                continue;
            }
            match self.distrust(&path) {
                None => return Ok(Program { path, refused }),
                Some(reason) => refused.push(RefusedProgram { path, reason }),
            }
        }
        Err(refused.into_iter().next().map_or(ProgramError::Missing, ProgramError::Refused))
    }

    /// Checks a program that a user named by its path. One that does not exist is not refused.
    pub fn check(&self, path: &Path) -> Result<(), RefusedProgram> {
        match self.distrust(path) {
            Some(reason) if path.exists() => Err(RefusedProgram { path: path.to_owned(), reason }),
            _ => Ok(()),
        }
    }

    /// Returns `PATH` for a child: without relative entries, and without those of the workspace.
    pub fn variable(&self) -> OsString {
        let is_kept = |folder: &&PathBuf| folder.is_absolute() && !self.is_untrusted(folder);
        env::join_paths(self.folders.iter().filter(is_kept)).unwrap_or_default()
    }

    fn distrust(&self, path: &Path) -> Option<Distrust> {
        if !path.is_absolute() {
            return Some(Distrust::RelativeEntry);
        }
        // A link can be replaced in its own folder, and so can the file that it leads to.
        let link = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
        let file = fs::canonicalize(path).ok();
        if link.iter().chain(&file).any(|path| self.is_untrusted(path)) {
            return Some(Distrust::InWorkspace);
        }
        let is_safe = |path: &PathBuf| only_we_can_change(path);
        let folder = file.as_deref().and_then(Path::parent).map(Path::to_owned);
        let all_safe = link.iter().chain(&folder).chain(&file).all(is_safe);
        let above = link.iter().chain(&folder).flat_map(|folder| folder.ancestors().skip(1));
        (!all_safe || !above.map(Path::to_owned).all(|folder| is_sticky(&folder) || is_safe(&folder)))
            .then_some(Distrust::WritableByOthers)
    }

    fn is_untrusted(&self, path: &Path) -> bool {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        self.untrusted.iter().any(|folder| path.starts_with(folder))
    }
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && mode(&metadata) & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

/// Whether only root and the effective user may write. A group counts as the user's own if it has the user's number.
#[cfg(unix)]
fn only_we_can_change(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = fs::metadata(path) else { return false };
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let is_own_group = metadata.gid() == group && group == user;
    // On macOS, members of `admin` (80) own the folders of Homebrew, and may become root.
    let is_roots_group = metadata.gid() == 0 || (cfg!(target_os = "macos") && metadata.gid() == 80);
    (metadata.uid() == 0 || metadata.uid() == user)
        && mode(&metadata) & 0o002 == 0
        && (mode(&metadata) & 0o020 == 0 || is_own_group || is_roots_group)
}

#[cfg(not(unix))]
fn only_we_can_change(_: &Path) -> bool {
    true
}

/// Whether users cannot replace each other's entries of this folder, as in `/tmp`.
#[cfg(unix)]
fn is_sticky(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid().as_raw();
    fs::metadata(folder)
        .is_ok_and(|metadata| mode(&metadata) & 0o1000 != 0 && (metadata.uid() == 0 || metadata.uid() == user))
}

#[cfg(not(unix))]
fn is_sticky(_: &Path) -> bool {
    true
}
