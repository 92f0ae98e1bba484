//! The user's env file, the only place where credentials are written.
//!
//! Every change reads the current file under a lock and replaces it atomically. A value that we did not write is never
//! overwritten or removed. Before money is spent, [`EnvFile::preflight`] checks that the file can hold a key and that git
//! will not commit it.

mod diagnostic;

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::{
    name::EnvVar,
    secret::{Fingerprint, Secret},
    visible::visible,
};

use crate::{
    dotenv::{DotenvError, EnvText},
    fs::{self, FsError, Kind, Lock, Privacy},
    git::{self, GitError, GitStatus},
};

/// An env file, which need not exist yet.
pub struct EnvFile {
    path: PathBuf,
}

/// Why a key cannot be written to or removed from an env file. No variant holds a value.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    #[error("{variable} cannot be changed: {source}")]
    CannotHold { variable: EnvVar, source: DotenvError },
    #[error("{} is a folder", visible(path))]
    Directory { path: PathBuf },
    #[error("git would still commit {} although it is in .git/info/exclude", visible(path))]
    Exposed { path: PathBuf },
    #[error(transparent)]
    File(#[from] FsError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("another process holds {} for too long", visible(path))]
    Locked { path: PathBuf },
    #[error("{} is marked read-only", visible(path))]
    ReadOnly { path: PathBuf },
    #[error("{variable} holds a value that is not ours to replace in {}", visible(path))]
    Taken { variable: EnvVar, path: PathBuf },
    #[error("{} is tracked by git, which would publish the key", visible(path))]
    Tracked { path: PathBuf },
}

/// The result of a preflight.
pub struct Preflight {
    text: EnvText,
    /// Whether the file was added to the repository's private ignore file.
    pub excluded_now: bool,
}

impl Preflight {
    /// Returns the fingerprint of the variable's value; `None` if it is missing or empty.
    ///
    /// An empty value counts as free, because templates use it as a placeholder.
    pub fn holds(&self, variable: &EnvVar) -> Option<Fingerprint> {
        occupant(&self.text, variable)
    }

    /// Writes a bare and a quoted sample into a copy of the file.
    ///
    /// This detects obstacles, such as an open quote or a name that a reader misparses, before the key costs money.
    ///
    /// # Errors
    /// [`EnvFileError::CannotHold`].
    pub fn dry_run(&self, variable: &EnvVar) -> Result<(), EnvFileError> {
        for sample in SAMPLES {
            let mut copy = EnvText::new(self.text.bytes().to_vec());
            let written = copy.set(variable, &Secret::new((*sample).to_owned()), |_| false);
            written.map_err(|source| cannot_hold(variable, source))?;
        }
        Ok(())
    }
}

/// The state of an env file.
pub struct Inspection {
    /// The file, with symbolic links resolved.
    pub path: PathBuf,
    pub kind: Kind,
    /// Whether only its owner has permissions.
    pub private: bool,
    pub git_status: Result<GitStatus, GitError>,
    /// The temporary file of a crashed process.
    pub leftover: Option<PathBuf>,
    text: EnvText,
}

impl Inspection {
    /// Returns the fingerprints of all values of the variable; readers use the last.
    pub fn values(&self, variable: &EnvVar) -> Vec<Fingerprint> {
        self.text.values(variable).iter().map(|value| Fingerprint::of(value)).collect()
    }

    /// Returns the fingerprint of the value in use; `None` if it is missing or empty.
    pub fn holds(&self, variable: &EnvVar) -> Option<Fingerprint> {
        occupant(&self.text, variable)
    }
}

/// Whether a value that this program did not write may be overwritten. Only a person may allow it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Replace {
    Foreign,
    #[default]
    OursOnly,
}

impl EnvFile {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that a key can be written here and that git will not commit it.
    pub fn preflight(&self) -> Result<Preflight, EnvFileError> {
        let target = fs::resolve(&self.path)?;
        match fs::kind(&target)? {
            Kind::Directory => return Err(EnvFileError::Directory { path: target }),
            Kind::File { read_only: true } => return Err(EnvFileError::ReadOnly { path: target }),
            Kind::File { read_only: false } | Kind::Absent => {}
        }
        let excluded_now = keep_out_of_git(&target)?;
        let _lock = lock(&target)?;
        fs::probe(&target)?;
        Ok(Preflight { text: read(&target)?, excluded_now })
    }

    /// Writes all credentials to their variables, or none.
    ///
    /// `recognise` returns those of the fingerprints that belong to credentials that we once delivered.
    ///
    /// # Errors
    /// [`EnvFileError::Taken`] if a variable holds a value of another origin; the file is then unchanged.
    pub fn deliver<E: From<EnvFileError>>(
        &self,
        credentials: &[(&EnvVar, &Secret)],
        replace: Replace,
        recognise: impl FnOnce(&[Fingerprint]) -> Result<Vec<Fingerprint>, E>,
    ) -> Result<(), E> {
        let variables: Vec<&EnvVar> = credentials.iter().map(|(variable, _)| *variable).collect();
        let target = fs::resolve(&self.path).map_err(EnvFileError::from)?;
        edit(&target, LOCK_TIMEOUT, &variables, Privacy::OwnerOnly, recognise, |text, ours| {
            for (variable, credential) in credentials {
                let foreign = occupant(text, variable).is_some_and(|fingerprint| !ours.contains(&fingerprint));
                if foreign && replace == Replace::OursOnly {
                    return Err(EnvFileError::Taken { variable: (*variable).clone(), path: target.clone() });
                }
                text.set(variable, credential, |value| ours.contains(&Fingerprint::of(value)))
                    .map_err(|source| cannot_hold(variable, source))?;
            }
            Ok(())
        })
    }

    /// Removes the variables whose values we wrote and keeps other values.
    ///
    /// Succeeds if the folder does not exist any more. Waits at most `within` for another writer.
    pub fn withdraw<E: From<EnvFileError>>(
        &self,
        variables: &[&EnvVar],
        recognise: impl FnOnce(&[Fingerprint]) -> Result<Vec<Fingerprint>, E>,
        within: Duration,
    ) -> Result<(), E> {
        let Some(target) = self.target()? else {
            return Ok(());
        };
        edit(&target, within, variables, Privacy::Unchanged, recognise, |text, ours| {
            for variable in variables {
                text.remove(variable, |value| ours.contains(&Fingerprint::of(value)))
                    .map_err(|source| cannot_hold(variable, source))?;
            }
            Ok(())
        })
    }

    /// Inspects the file without changing it; `None` if its folder does not exist.
    ///
    /// # Errors
    /// [`EnvFileError::Directory`] if the path is a folder, [`EnvFileError::File`] if it cannot be read.
    pub fn inspect(&self) -> Result<Option<Inspection>, EnvFileError> {
        let Some(path) = self.target()? else {
            return Ok(None);
        };
        let kind = fs::kind(&path)?;
        if kind == Kind::Directory {
            return Err(EnvFileError::Directory { path });
        }
        let leftover = Some(fs::temporary(&path)).filter(|temporary| temporary.is_file());
        let private = fs::is_private(&path)?.unwrap_or(true);
        Ok(Some(Inspection { kind, private, git_status: git::status(&path), leftover, text: read(&path)?, path }))
    }

    /// Removes group and other permissions.
    pub fn make_private(&self) -> Result<(), EnvFileError> {
        Ok(fs::make_private(&fs::resolve(&self.path)?)?)
    }

    /// Removes the temporary file of a crashed process.
    pub fn sweep(&self) -> Result<(), EnvFileError> {
        let Some(target) = self.target()?.filter(|target| fs::temporary(target).exists()) else {
            return Ok(());
        };
        let _lock = lock(&target)?;
        fs::sweep(&target)?;
        Ok(())
    }

    /// Resolves the path; `None` if its folder does not exist.
    fn target(&self) -> Result<Option<PathBuf>, EnvFileError> {
        match fs::resolve(&self.path) {
            Err(error) if error.source.kind() == ErrorKind::NotFound => Ok(None),
            resolved => Ok(Some(resolved?)),
        }
    }
}

/// Edits the current file under its lock; an unchanged file is not rewritten.
fn edit<E: From<EnvFileError>>(
    target: &Path,
    within: Duration,
    variables: &[&EnvVar],
    privacy: Privacy,
    recognise: impl FnOnce(&[Fingerprint]) -> Result<Vec<Fingerprint>, E>,
    change: impl FnOnce(&mut EnvText, &[Fingerprint]) -> Result<(), EnvFileError>,
) -> Result<(), E> {
    let _lock = lock_within(target, within)?;
    let mut text = read(target)?;
    let before = text.bytes().to_vec();
    let present: Vec<Fingerprint> =
        variables.iter().flat_map(|variable| text.values(variable)).map(|value| Fingerprint::of(&value)).collect();
    let ours = recognise(&present)?;
    change(&mut text, &ours)?;
    if text.bytes() != before {
        fs::replace(target, text.bytes(), privacy).map_err(EnvFileError::from)?;
    }
    Ok(())
}

fn occupant(text: &EnvText, variable: &EnvVar) -> Option<Fingerprint> {
    text.last(variable).filter(|value| !value.is_empty()).map(|value| Fingerprint::of(&value))
}

fn cannot_hold(variable: &EnvVar, source: DotenvError) -> EnvFileError {
    EnvFileError::CannotHold { variable: variable.clone(), source }
}

/// Ensures that git ignores `file`; true if that added a line to the private ignore file.
fn keep_out_of_git(file: &Path) -> Result<bool, EnvFileError> {
    match git::status(file)? {
        GitStatus::Ignored | GitStatus::Outside => Ok(false),
        GitStatus::Tracked => Err(EnvFileError::Tracked { path: file.to_owned() }),
        GitStatus::Exposed { exclude, path_in_tree } => {
            exclude_from_git(&exclude, &path_in_tree)?;
            match git::status(file)? {
                GitStatus::Exposed { .. } => Err(EnvFileError::Exposed { path: file.to_owned() }),
                _ => Ok(true),
            }
        }
    }
}

fn exclude_from_git(exclude: &Path, path_in_tree: &str) -> Result<(), EnvFileError> {
    if let Some(folder) = exclude.parent() {
        fs::create_private_folder(folder)?;
    }
    let _lock = lock(exclude)?;
    let mut text = fs::read(exclude, MAX_FILE_SIZE)?.unwrap_or_default();
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    // The final `*` covers the temporary file that exists while the env file is replaced.
    let line = format!("/{}*", escaped(path_in_tree));
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

fn lock(target: &Path) -> Result<Lock, EnvFileError> {
    lock_within(target, LOCK_TIMEOUT)
}

fn lock_within(target: &Path, timeout: Duration) -> Result<Lock, EnvFileError> {
    Lock::on_folder_of(target, timeout)?.ok_or_else(|| EnvFileError::Locked { path: target.to_owned() })
}

fn read(target: &Path) -> Result<EnvText, EnvFileError> {
    Ok(EnvText::new(fs::read_regular(target, MAX_FILE_SIZE)?.unwrap_or_default()))
}

/// A value that is written bare, and one that is written in quotes.
const SAMPLES: &[&str] = &["sample", "sam&ple"];

/// Writers hold the lock for milliseconds; a longer wait means a hung process.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

const MAX_FILE_SIZE: u64 = 16 * 1024 * 1024;
