//! What git would do with a file: the only question we ask it.
//!
//! A repository's own configuration can name programs to run, and the agent can write there; so git is called with
//! those switched off, and finds the repository from the folder alone.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// How git regards a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
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

#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("the env file is in a git work tree, and git could not be run: {}", .0.kind())]
    NotRunnable(io::Error),
    #[error("the env file is in a git work tree, and git would not say whether it is tracked")]
    Unclear,
}

/// How git regards `file`, an absolute path without symbolic links; it need not exist.
///
/// Costs nothing outside a work tree: no process is started.
///
/// # Errors
/// When there is a work tree but git cannot be asked.
pub fn standing(file: &Path) -> Result<Standing, GitError> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else {
        return Err(GitError::Unclear);
    };
    if !folder.ancestors().any(|ancestor| ancestor.join(".git").exists()) {
        return Ok(Standing::Outside);
    }
    let git = Git { folder };
    let here = git.ask(&["rev-parse", "--is-inside-work-tree", "--show-prefix", "--git-path", "info/exclude"])?;
    let mut answers = here.text.lines();
    let (inside, prefix, exclude) = (answers.next(), answers.next(), answers.next());
    let (0, Some("true"), Some(prefix), Some(exclude)) = (here.code, inside, prefix, exclude) else {
        return if here.code == 0 { Ok(Standing::Outside) } else { Err(GitError::Unclear) };
    };
    match git.ask(&["--literal-pathspecs", "ls-files", "--error-unmatch", "--", name])?.code {
        0 => return Ok(Standing::Tracked),
        1 => {}
        _ => return Err(GitError::Unclear),
    }
    match git.ask(&["check-ignore", "--quiet", "--", &format!("./{name}")])?.code {
        0 => Ok(Standing::Ignored),
        1 => Ok(Standing::Exposed { exclude: folder.join(exclude), path_in_tree: format!("{prefix}{name}") }),
        _ => Err(GitError::Unclear),
    }
}

struct Git<'a> {
    folder: &'a Path,
}

struct Answer {
    code: i32,
    text: String,
}

impl Git<'_> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that runs git; nothing secret is in its arguments"
    )]
    fn ask(&self, arguments: &[&str]) -> Result<Answer, GitError> {
        let mut command = Command::new("git");
        command.args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]);
        command.args(arguments).current_dir(self.folder).stdin(Stdio::null()).env("GIT_OPTIONAL_LOCKS", "0");
        for variable in LOCAL_VARIABLES {
            command.env_remove(variable); // inside a hook these name another repository
        }
        for variable in SECRET_VARIABLES {
            command.env_remove(variable); // none of git's business
        }
        let output = command.output().map_err(GitError::NotRunnable)?;
        let code = output.status.code().unwrap_or(-1);
        Ok(Answer { code, text: String::from_utf8(output.stdout).map_err(|_| GitError::Unclear)? })
    }
}

const LOCAL_VARIABLES: &[&str] = &[
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
];

/// Credentials of ours.
const SECRET_VARIABLES: &[&str] = &["STRIPE_API_KEY", "STRIPE_PROJECTS_ALERT_SECRET"];
