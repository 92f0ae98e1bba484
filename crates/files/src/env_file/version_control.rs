//! Version control around an env file: whether it would take a file, and its own folder, which it takes nothing from.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use ignore::{Match, gitignore::GitignoreBuilder};

use super::{EnvFileError, lock};
use crate::{
    fs::{self, Privacy},
    git::{self, GitStatus},
};

/// A version control system, recognized by its folder in a work tree.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum VersionControl {
    Git,
    Jujutsu,
    Mercurial,
    Sapling,
}

impl VersionControl {
    const ALL: [Self; 4] = [Self::Git, Self::Jujutsu, Self::Mercurial, Self::Sapling];

    fn folder(self) -> &'static str {
        match self {
            Self::Git => ".git",
            Self::Jujutsu => ".jj",
            Self::Mercurial => ".hg",
            Self::Sapling => ".sl",
        }
    }

    /// Returns the nearest folder around `file` that is the root of a work tree of this system.
    fn root_of(self, file: &Path) -> Option<&Path> {
        file.ancestors().skip(1).find(|folder| folder.join(self.folder()).symlink_metadata().is_ok())
    }
}

impl fmt::Display for VersionControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Git => "git",
            Self::Jujutsu => "jj",
            Self::Mercurial => "Mercurial",
            Self::Sapling => "Sapling",
        })
    }
}

/// Ensures that version control ignores `file`; true if that added a line to git's private ignore file.
///
/// Git can be changed without a trace in the work tree. The ignore files of other systems are the user's own.
pub(super) fn keep_out(file: &Path) -> Result<bool, EnvFileError> {
    let excluded_now = match git::status(file)? {
        GitStatus::Ignored | GitStatus::Outside => false,
        GitStatus::Tracked => return Err(EnvFileError::Tracked { path: file.to_owned() }),
        GitStatus::Exposed { exclude, path_in_tree } => {
            exclude_from_git(&exclude, &path_in_tree)?;
            if let GitStatus::Exposed { .. } = git::status(file)? {
                return Err(EnvFileError::Exposed { path: file.to_owned(), to: VersionControl::Git });
            }
            true
        }
    };
    match exposing(file)? {
        Some(to) => Err(EnvFileError::Exposed { path: file.to_owned(), to }),
        None => Ok(excluded_now),
    }
}

/// Returns the system other than git that would take `file`.
///
/// No program is run: only an ignore file that names the file proves that it is ignored.
pub(super) fn exposing(file: &Path) -> Result<Option<VersionControl>, EnvFileError> {
    for system in [VersionControl::Jujutsu, VersionControl::Mercurial, VersionControl::Sapling] {
        let Some(root) = system.root_of(file) else { continue };
        let is_ignored = match system {
            // Beside a `.git`, jj reads git's ignore files, the private one too.
            VersionControl::Git | VersionControl::Jujutsu => {
                VersionControl::Git.root_of(file).is_some_and(|git| git.starts_with(root))
                    || is_ignored_by_gitignore(file, root)?
            }
            VersionControl::Mercurial => is_named(&lines(&root.join(".hgignore"))?, file, root),
            VersionControl::Sapling => is_ignored_by_gitignore(file, root)?,
        };
        if !is_ignored {
            return Ok(Some(system));
        }
    }
    Ok(None)
}

/// Returns the folder of version control around `file`, from which no system takes anything.
///
/// `None` if there is none, if the path to it contains a link, or if another system would take files from it.
pub(super) fn own_folder(file: &Path) -> Option<PathBuf> {
    let roots = VersionControl::ALL.into_iter().filter_map(|system| Some((system, system.root_of(file)?)));
    match roots.collect::<Vec<_>>().as_slice() {
        // jj ignores `.git` as well.
        [(VersionControl::Git, root)] | [(VersionControl::Git, root), (VersionControl::Jujutsu, _)] => {
            git_folder(&root.join(".git"))
        }
        [(system, root)] => Some(root.join(system.folder())).filter(|folder| is_real_folder(folder)),
        _ => None,
    }
}

/// Follows the file that a linked work tree or a submodule has in the place of `.git`.
fn git_folder(dot_git: &Path) -> Option<PathBuf> {
    let folder = if is_real_folder(dot_git) {
        dot_git.to_owned()
    } else if dot_git.symlink_metadata().ok()?.is_file() {
        let text = String::from_utf8(fs::read(dot_git, LONGEST_FILE).ok()??).ok()?;
        let link = dot_git.parent()?.join(text.strip_prefix("gitdir: ")?.trim_end_matches(['\n', '\r']));
        // Only what is inside a `.git` is taken by no system.
        fs::real_folder(&link).ok().filter(|real| real.components().any(|part| part.as_os_str() == ".git"))?
    } else {
        return None;
    };
    folder.join("HEAD").symlink_metadata().is_ok().then_some(folder)
}

fn is_real_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

fn exclude_from_git(exclude: &Path, path_in_tree: &str) -> Result<(), EnvFileError> {
    if let Some(folder) = exclude.parent() {
        fs::create_private_folder(folder)?;
    }
    let _lock = lock(exclude)?;
    let mut text = fs::read(exclude, LONGEST_FILE)?.unwrap_or_default();
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    // Exactly this file: a template beside it stays visible.
    let line = format!("/{}", escaped(path_in_tree));
    if text.split(|byte| *byte == b'\n').any(|present| present == line.as_bytes()) {
        return Ok(()); // another process added it
    }
    text.extend(line.into_bytes());
    text.push(b'\n');
    Ok(fs::replace(exclude, &text, Privacy::Unchanged)?)
}

/// Escapes a path as a pattern that matches only that path.
fn escaped(path: &str) -> String {
    path.chars().fold(String::new(), |mut pattern, c| {
        if matches!(c, '*' | '?' | '[' | '\\' | ' ') {
            pattern.push('\\');
        }
        pattern.push(c);
        pattern
    })
}

/// Whether a `.gitignore` between `root` and the file ignores it. The innermost one that matches decides.
fn is_ignored_by_gitignore(file: &Path, root: &Path) -> Result<bool, EnvFileError> {
    for folder in file.ancestors().skip(1).take_while(|folder| folder.starts_with(root)) {
        let mut rules = GitignoreBuilder::new(folder);
        for line in lines(&folder.join(".gitignore"))? {
            let _ = rules.add_line(None, &line); // git skips a pattern that it cannot read, too
        }
        match rules.build().map(|rules| rules.matched_path_or_any_parents(file, false).map(|_| ())) {
            Ok(Match::Ignore(())) => return Ok(true),
            Ok(Match::Whitelist(())) => return Ok(false),
            Ok(Match::None) | Err(_) => {}
        }
    }
    Ok(false)
}

/// Whether a `.hgignore` names exactly this file. Other patterns prove nothing here.
fn is_named(lines: &[String], file: &Path, root: &Path) -> bool {
    let Some(path) = file.strip_prefix(root).ok().and_then(Path::to_str) else { return false };
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut syntax = "regexp";
    for line in lines.iter().map(|line| line.trim_end()) {
        if let Some(named) = line.strip_prefix("syntax:") {
            syntax = named.trim();
            continue;
        }
        let (syntax, pattern) = match line.split_once(':') {
            Some((prefix @ ("glob" | "re" | "relglob" | "relre" | "rootglob"), pattern)) => (prefix, pattern),
            _ => (syntax, line),
        };
        let escaped = |text: &str| text.replace('.', r"\.");
        let is_it = match syntax {
            "glob" | "relglob" => pattern == path || pattern == name,
            "rootglob" => pattern == path,
            "re" | "regexp" | "relre" => {
                let (path, name) = (escaped(path), escaped(name));
                pattern == format!("^{path}$") || pattern == format!("(^|/){name}$") || pattern == format!("{name}$")
            }
            _ => false,
        };
        if is_it {
            return true;
        }
    }
    false
}

fn lines(file: &Path) -> Result<Vec<String>, EnvFileError> {
    let bytes = fs::read(file, LONGEST_FILE)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
}

/// In bytes. Ignore files have a few kilobytes.
const LONGEST_FILE: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hgignore_counts_only_if_it_names_the_file() {
        let named = |text: &str| {
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            is_named(&lines, Path::new("/w/app/.env"), Path::new("/w"))
        };
        for good in
            ["syntax: glob\n.env", "rootglob:app/.env", r"^app/\.env$", r"(^|/)\.env$", "syntax: glob\napp/.env "]
        {
            assert!(named(good), "{good}");
        }
        for bad in ["", ".env", "syntax: glob\n.env.local", "rootglob:.env", "syntax: glob\n# .env", r"^\.env$"] {
            assert!(!named(bad), "{bad}");
        }
    }
}
