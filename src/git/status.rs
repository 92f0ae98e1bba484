//! How git regards a file: whether it is tracked, ignored, or would be taken next.

use std::path::{Path, PathBuf};

use super::{GitError, process::Git};

/// How git regards a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GitStatus {
    /// In no work tree.
    Outside,
    Ignored,
    /// Not tracked yet, but the next `git add .` would take it.
    Exposed {
        /// The repository's private ignore file, `info/exclude`.
        exclude: PathBuf,
        /// The file's path from the top of the work tree, with `/`.
        path_in_tree: String,
    },
    Tracked,
}

/// How git regards `file`, an absolute path without symbolic links; it need not exist.
///
/// Costs nothing outside a work tree: no process is started.
///
/// # Errors
/// When there is a work tree but git cannot be asked.
pub fn status(file: &Path) -> Result<GitStatus, GitError> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else {
        return Err(GitError::Unclear);
    };
    if !folder.ancestors().any(|ancestor| ancestor.join(".git").exists()) {
        return Ok(GitStatus::Outside);
    }
    let git = Git { folder };
    let here = git.ask(&["rev-parse", "--is-inside-work-tree", "--show-prefix", "--git-path", "info/exclude"])?;
    let mut answers = here.text.lines();
    let (inside, prefix, exclude) = (answers.next(), answers.next(), answers.next());
    let (0, Some("true"), Some(prefix), Some(exclude)) = (here.code, inside, prefix, exclude) else {
        return if here.code == 0 { Ok(GitStatus::Outside) } else { Err(GitError::Unclear) };
    };
    match git.ask(&["--literal-pathspecs", "ls-files", "--error-unmatch", "--", name])?.code {
        0 => return Ok(GitStatus::Tracked),
        1 => {}
        _ => return Err(GitError::Unclear),
    }
    match git.ask(&["check-ignore", "--quiet", "--", &format!("./{name}")])?.code {
        0 => Ok(GitStatus::Ignored),
        1 => Ok(GitStatus::Exposed { exclude: folder.join(exclude), path_in_tree: format!("{prefix}{name}") }),
        _ => Err(GitError::Unclear),
    }
}
