//! The user's env file: the only place where a credential of ours is ever written.
//!
//! Every change is made under a lock, on what the file holds at that moment, and replaces the file atomically. A
//! value that is not ours is never overwritten or removed. Before money is spent, [`EnvFile::preflight`] proves that
//! the file will be able to take a key, and that git will not.

mod diagnostic;

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    dotenv::{DotenvError, EnvText},
    fs::{self, FsError, Kind, Lock, Privacy},
    git::{self, GitError, GitStatus},
    name::EnvVar,
    secret::{Fingerprint, Secret},
};

/// An env file, which need not exist yet.
pub struct EnvFile {
    path: PathBuf,
}

/// Why an env file cannot take, or give up, a key. No variant has room for a value.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    #[error("{variable} cannot be changed: {source}")]
    CannotHold { variable: EnvVar, source: DotenvError },
    #[error("{} is a folder", path.display())]
    Directory { path: PathBuf },
    #[error("git would still commit {} although it is in .git/info/exclude", path.display())]
    Exposed { path: PathBuf },
    #[error(transparent)]
    File(#[from] FsError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("another process holds {} for too long", path.display())]
    Locked { path: PathBuf },
    #[error("{} is marked read-only", path.display())]
    ReadOnly { path: PathBuf },
    #[error("{variable} holds a value that is not ours to replace in {}", path.display())]
    Taken { variable: EnvVar, path: PathBuf },
    #[error("{} is tracked by git, which would publish the key", path.display())]
    Tracked { path: PathBuf },
}

/// What a preflight found.
pub struct Preflight {
    text: EnvText,
    /// Git would have committed the file, so it was added to the repository's private ignore file.
    pub excluded_now: bool,
}

impl Preflight {
    /// The fingerprint of what the variable holds now; `None` when it is free. An empty value is free: it is how
    /// templates say "put your key here".
    pub fn holds(&self, variable: &EnvVar) -> Option<Fingerprint> {
        occupant(&self.text, variable)
    }

    /// Writes samples into a copy, a bare one and a quoted one, so that what would keep the key out (an open quote
    /// further up, a name that a reader mistakes) is known before the key costs anything.
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

/// What a look at the file found, without touching it.
pub struct Inspection {
    /// The file that is meant, through symbolic links.
    pub path: PathBuf,
    pub kind: Kind,
    /// Whether only its owner may read it.
    pub private: bool,
    pub standing: Result<GitStatus, GitError>,
    /// What a process that died while writing left beside it.
    pub leftover: Option<PathBuf>,
    text: EnvText,
}

impl Inspection {
    /// The fingerprints of everything that the variable is set to; readers use the last.
    pub fn values(&self, variable: &EnvVar) -> Vec<Fingerprint> {
        self.text.values(variable).iter().map(|value| Fingerprint::of(value)).collect()
    }

    /// The fingerprint of what readers get; `None` when the variable is missing or empty.
    pub fn holds(&self, variable: &EnvVar) -> Option<Fingerprint> {
        occupant(&self.text, variable)
    }
}

/// Whether somebody else's value may be overwritten. Only a human says yes.
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

    /// Proves, without spending anything, that a key can be written here and will stay out of git.
    ///
    /// # Errors
    /// The reason why not.
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

    /// Writes credentials into their variables, all of them or none.
    ///
    /// `recognise` says which of some fingerprints are of credentials that we delivered, ever.
    ///
    /// # Errors
    /// [`EnvFileError::Taken`] when a variable holds what is not ours; the file is then what it was.
    pub fn deliver<E: From<EnvFileError>>(
        &self,
        credentials: &[(&EnvVar, &Secret)],
        replace: Replace,
        recognise: impl FnOnce(&[Fingerprint]) -> Result<Vec<Fingerprint>, E>,
    ) -> Result<(), E> {
        let variables: Vec<&EnvVar> = credentials.iter().map(|(variable, _)| *variable).collect();
        let target = fs::resolve(&self.path).map_err(EnvFileError::from)?;
        edit(&target, &variables, Privacy::OwnerOnly, recognise, |text, ours| {
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

    /// Removes the variables whose values are ours; anybody else's stay. Where the whole folder is gone, so are they.
    ///
    /// # Errors
    /// When the file cannot be read or replaced.
    pub fn withdraw<E: From<EnvFileError>>(
        &self,
        variables: &[&EnvVar],
        recognise: impl FnOnce(&[Fingerprint]) -> Result<Vec<Fingerprint>, E>,
    ) -> Result<(), E> {
        let Some(target) = self.target()? else {
            return Ok(());
        };
        edit(&target, variables, Privacy::Unchanged, recognise, |text, ours| {
            for variable in variables {
                text.remove(variable, |value| ours.contains(&Fingerprint::of(value)))
                    .map_err(|source| cannot_hold(variable, source))?;
            }
            Ok(())
        })
    }

    /// Looks at the file and changes nothing. `None`: its whole folder is gone.
    ///
    /// # Errors
    /// When it cannot be read, or is a folder.
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
        Ok(Some(Inspection { kind, private, standing: git::status(&path), leftover, text: read(&path)?, path }))
    }

    /// Takes away what others than its owner may do with the file.
    ///
    /// # Errors
    /// When it is not ours.
    pub fn make_private(&self) -> Result<(), EnvFileError> {
        Ok(fs::make_private(&fs::resolve(&self.path)?)?)
    }

    /// Removes what a process that died while writing left beside the file.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn sweep(&self) -> Result<(), EnvFileError> {
        let Some(target) = self.target()?.filter(|target| fs::temporary(target).exists()) else {
            return Ok(());
        };
        let _lock = lock(&target)?;
        fs::sweep(&target)?;
        Ok(())
    }

    /// The file that is meant, or `None` where its whole folder is gone.
    fn target(&self) -> Result<Option<PathBuf>, EnvFileError> {
        match fs::resolve(&self.path) {
            Err(error) if error.source.kind() == ErrorKind::NotFound => Ok(None),
            resolved => Ok(Some(resolved?)),
        }
    }
}

/// Changes the file as it is at this moment, under its lock; one that stays the same is not touched.
fn edit<E: From<EnvFileError>>(
    target: &Path,
    variables: &[&EnvVar],
    privacy: Privacy,
    recognise: impl FnOnce(&[Fingerprint]) -> Result<Vec<Fingerprint>, E>,
    change: impl FnOnce(&mut EnvText, &[Fingerprint]) -> Result<(), EnvFileError>,
) -> Result<(), E> {
    let _lock = lock(target)?;
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

/// Makes sure that git ignores `file`; true if that took a line in the repository's private ignore file.
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
    let mut text = fs::read(exclude, LONGEST_FILE)?.unwrap_or_default();
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    // The pattern ends in `*` for the sake of the temporary file that exists while the env file is replaced.
    let line = format!("/{}*", escaped(path_in_tree));
    if text.split(|byte| *byte == b'\n').any(|present| present == line.as_bytes()) {
        return Ok(()); // another process was faster
    }
    text.extend(line.into_bytes());
    text.push(b'\n');
    Ok(fs::replace(exclude, &text, Privacy::Unchanged)?)
}

/// A path as a pattern that matches itself only.
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
    Lock::on_folder_of(target, TIMEOUT)?.ok_or_else(|| EnvFileError::Locked { path: target.to_owned() })
}

fn read(target: &Path) -> Result<EnvText, EnvFileError> {
    Ok(EnvText::new(fs::read(target, LONGEST_FILE)?.unwrap_or_default()))
}

/// Of what is written bare, and of what is written in quotes.
const SAMPLES: &[&str] = &["sample", "sam&ple"];

/// Nobody holds the file for longer than a few milliseconds, unless he is stuck.
const TIMEOUT: Duration = Duration::from_secs(10);

const LONGEST_FILE: u64 = 16 * 1024 * 1024;
