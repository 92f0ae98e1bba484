//! The git status of a file: tracked, ignored or exposed.

use std::path::{Path, PathBuf};

use super::{GitError, process::Git};

/// The git status of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GitStatus {
    /// Not in a work tree.
    Outside,
    Ignored,
    /// Untracked, but the next `git add .` would add it.
    Exposed {
        /// The repository's private ignore file, `info/exclude`.
        exclude: PathBuf,
        /// The path from the top of the work tree, separated by `/`.
        path_in_tree: String,
    },
    Tracked,
}

/// Returns the git status of `file`, an absolute path without symbolic links.
///
/// The file need not exist. Outside a work tree no process is started.
pub fn status(file: &Path) -> Result<GitStatus, GitError> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else {
        return Err(GitError::Unclear);
    };
    if !folder.ancestors().any(|ancestor| ancestor.join(".git").exists()) {
        return Ok(GitStatus::Outside);
    }
    let git = Git { folder };
    let tree = git.run(&["rev-parse", "--is-inside-work-tree", "--show-prefix", "--git-path", "info/exclude"])?;
    let mut lines = tree.text.lines();
    let (inside, prefix, exclude) = (lines.next(), lines.next(), lines.next());
    let (0, Some("true"), Some(prefix), Some(exclude)) = (tree.code, inside, prefix, exclude) else {
        return if tree.code == 0 { Ok(GitStatus::Outside) } else { Err(GitError::Unclear) };
    };
    match git.run(&["--literal-pathspecs", "ls-files", "--error-unmatch", "--", name])?.code {
        0 => return Ok(GitStatus::Tracked),
        1 => {}
        _ => return Err(GitError::Unclear),
    }
    match git.run(&["check-ignore", "--quiet", "--", &format!("./{name}")])?.code {
        0 => Ok(GitStatus::Ignored),
        1 => Ok(GitStatus::Exposed { exclude: folder.join(exclude), path_in_tree: format!("{prefix}{name}") }),
        _ => Err(GitError::Unclear),
    }
}

/// Tells whether git tracks a file in `folder`, or the next `git add` would. The folder need not exist.
///
/// A folder inside `.git` is not part of the work tree. Outside a work tree no process is started.
pub fn would_take(folder: &Path) -> Result<bool, GitError> {
    if folder.components().any(|component| component.as_os_str() == ".git") {
        return Ok(false);
    }
    if !folder.ancestors().any(|ancestor| ancestor.join(".git").exists()) {
        return Ok(false);
    }
    let existing = folder.ancestors().find(|ancestor| ancestor.is_dir()).ok_or(GitError::Unclear)?;
    let rest = folder.strip_prefix(existing).ok().and_then(Path::to_str).ok_or(GitError::Unclear)?;
    let rest = if rest.is_empty() { "." } else { rest };
    let git = Git { folder: existing };
    let tree = git.run(&["rev-parse", "--is-inside-work-tree"])?;
    if tree.code != 0 || tree.text.trim() != "true" {
        return Err(GitError::Unclear);
    }
    let tracked = git.run(&["--literal-pathspecs", "ls-files", "--", rest])?;
    match tracked.code {
        0 if !tracked.text.is_empty() => return Ok(true),
        0 => {}
        _ => return Err(GitError::Unclear),
    }
    match git.run(&["check-ignore", "--quiet", "--", &format!("./{rest}/ledger.db")])?.code {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(GitError::Unclear),
    }
}
