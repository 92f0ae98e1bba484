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
    let mut roots = folder.ancestors().filter(|ancestor| ancestor.join(".git").exists()).peekable();
    if roots.peek().is_none() {
        return Ok(GitStatus::Outside);
    }
    let root = roots.find(|root| is_repository(&root.join(".git"))).ok_or(GitError::Unclear)?;
    refuse_pipes(root, folder)?;
    // `core.bare` and `core.worktree` may be set at this moment only, and the file be added later.
    let git = Git { folder, work_tree: Some(root) };
    let tree = git.run(&["rev-parse", "--show-prefix", "--git-path", "info/exclude"])?;
    let mut lines = tree.text.lines();
    let (0, Some(prefix), Some(exclude)) = (tree.code, lines.next(), lines.next()) else {
        return Err(GitError::Unclear);
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
    let git = Git { folder: existing, work_tree: None };
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

/// Whether git takes a `.git` for a repository. It ignores a folder without `HEAD`.
fn is_repository(git: &Path) -> bool {
    !git.is_dir() || git.join("HEAD").symlink_metadata().is_ok()
}

/// Refuses pipes, sockets and devices in the place of files that git reads, because it would wait for them.
fn refuse_pipes(root: &Path, folder: &Path) -> Result<(), GitError> {
    let inside = READ_BY_GIT.iter().map(|name| root.join(".git").join(name));
    let ignore_files = folder.ancestors().take_while(|ancestor| ancestor.starts_with(root));
    let ignore_files = ignore_files.map(|ancestor| ancestor.join(".gitignore"));
    for path in inside.chain(ignore_files).chain([root.join(".gitattributes"), root.join(".gitmodules")]) {
        if let Ok(metadata) = path.metadata()
            && !metadata.is_file()
            && !metadata.is_dir()
        {
            return Err(GitError::NotRegular(path));
        }
    }
    Ok(())
}

/// Files in `.git` that the queries above make git read.
const READ_BY_GIT: &[&str] =
    &["HEAD", "commondir", "config", "config.worktree", "index", "info/exclude", "packed-refs"];
