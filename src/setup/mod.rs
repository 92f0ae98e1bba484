//! Setup: our entry in the configuration file of a host, put there or taken out, and nothing else of the file touched.
//!
//! First a [`Proposal`] is made, which changes nothing and can be shown; what was shown is then done, or nothing, if
//! the file has changed meanwhile.

mod diagnostic;
mod entry;
mod file;
mod host;
mod json_text;
mod splice;
mod toml_text;

use std::path::{Path, PathBuf};

use entry::shown_fields;
pub use entry::{Entry, Field};
use file::Change;
pub use file::{Backup, Refused};
use host::Format;
pub use host::{Host, Places};
use serde_json::{Map, Value};

use crate::fs::FsError;

/// What our entry is called in every host.
pub const NAME: &str = "stripe-projects";

/// Why a configuration file was left as it was. It never quotes the file.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("{} has changed meanwhile", path.display())]
    Changed { path: PathBuf },
    #[error("it is not known where {} keeps its configuration: the environment names no home folder", host.as_str())]
    NoHome { host: Host },
    #[error("{} is not UTF-8 text", path.display())]
    NotText { path: PathBuf },
    #[error(transparent)]
    NotWritten(FsError),
    #[error("the path {} cannot be written into a configuration file", path.display())]
    PathNotText { path: PathBuf },
    #[error("{} {}", path.display(), match why {
        Refused::Dangling => "is a link that leads nowhere",
        Refused::Folder => "is a folder",
        Refused::ReadOnly => "is marked read-only",
        Refused::TooLarge => "is too large for a configuration file",
    })]
    Refused { why: Refused, path: PathBuf },
    #[error("{}: {why}", path.display())]
    Shape {
        path: PathBuf,
        #[source]
        why: ShapeError,
    },
    #[error("there are too many backups such as {}", path.display())]
    TooManyBackups { path: PathBuf },
    #[error("there is no such host")]
    UnknownHost,
    #[error(transparent)]
    Unreadable(FsError),
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ShapeError {
    #[error("a name that our entry needs is there twice")]
    Duplicate,
    #[error("{} is not a table of names and values", if *key == "the file" { "the file" } else { *key })]
    NotATable { key: &'static str },
    #[error("line {line}, column {column} is not what the format allows")]
    Syntax { line: usize, column: usize },
    #[error("it is written in a way that this program does not edit")]
    Unusual,
}

/// What is wanted of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wish {
    Add(Entry),
    Remove,
}

/// What would be done to a file. Nothing is changed before [`Proposal::carry_out`].
#[derive(Debug)]
pub struct Proposal {
    pub host: Host,
    pub file: PathBuf,
    pub action: Action,
    /// Where in the file our entry stands or stood, counted from 1.
    pub line: Option<usize>,
    /// Our entry as it is, and as it will be: names and values that may be shown.
    pub before: Vec<(String, Value)>,
    pub after: Vec<(String, Value)>,
    target: PathBuf,
    seen: Option<Vec<u8>>,
    new: Vec<u8>,
    keeps_old: bool,
}

/// What is done, in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Our entry is put into a file that is there.
    Add,
    /// A file is made for our entry.
    Create,
    /// The file goes: it was made for our entry and has nothing else in it.
    Delete,
    /// Everything is as it was wished.
    Nothing,
    Remove,
    /// Our entry is there and says something else.
    Update,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Nothing => "nothing",
            Self::Remove => "remove",
            Self::Update => "update",
        }
    }
}

impl Proposal {
    /// Looks at the host's file and finds out what the wish comes to there.
    ///
    /// # Errors
    /// Why the file cannot be read, understood or edited.
    pub fn of(host: Host, places: &Places, wish: &Wish) -> Result<Self, SetupError> {
        let path = host.file(places).ok_or(SetupError::NoHome { host })?;
        let (target, seen) = file::look(&path)?;
        let text = match str::from_utf8(seen.as_deref().unwrap_or_default()) {
            Ok(text) => text.to_owned(),
            Err(_) => return Err(SetupError::NotText { path }),
        };
        // Editors of another era begin a file with this mark; it stays, and no parser has to know it.
        let (mark, text) = text.strip_prefix(MARK).map_or(("", text.as_str()), |rest| (MARK, rest));
        let shape = |why| SetupError::Shape { path: path.clone(), why };
        let old = find(host, text).map_err(shape)?;
        let new = match wish {
            Wish::Add(entry) => put(host, text, entry),
            Wish::Remove => take(host, text),
        }
        .map_err(shape)?;
        let alone = old.as_ref().is_some_and(|old| is_alone(host, text, old));
        let action = match wish {
            _ if new == text && seen.is_some() => Action::Nothing,
            Wish::Add(_) if seen.is_none() => Action::Create,
            Wish::Add(_) if old.is_none() => Action::Add,
            Wish::Add(_) => Action::Update,
            Wish::Remove if old.is_none() => Action::Nothing,
            Wish::Remove if alone && mark.is_empty() && !file::has_backup(&target) => Action::Delete,
            Wish::Remove => Action::Remove,
        };
        let kept = find(host, &new).map_err(shape)?;
        Ok(Self {
            host,
            action,
            line: line(host, if old.is_some() { text } else { &new }),
            before: old.as_ref().map(shown_fields).unwrap_or_default(),
            after: kept.as_ref().map(shown_fields).unwrap_or_default(),
            file: path,
            target,
            new: [mark, &new].concat().into_bytes(),
            keeps_old: !alone && seen.is_some(),
            seen,
        })
    }

    /// Does what was proposed; where the old file was kept, if there was one worth keeping.
    ///
    /// # Errors
    /// [`SetupError::Changed`] when the file is not what it was any more; or why it cannot be written.
    pub fn carry_out(&self) -> Result<Option<Backup>, SetupError> {
        let change = match self.action {
            Action::Nothing => return Ok(None),
            Action::Delete => Change::Delete,
            _ if self.keeps_old => Change::WriteKeepingOld(&self.new),
            _ => Change::Write(&self.new),
        };
        file::change(&self.target, self.seen.as_deref(), &change)
    }

    /// The place of our entry, as a person would say it.
    pub fn place(&self) -> String {
        format!("{}.{NAME}", self.host.section())
    }
}

/// The text with our entry in it. Other fields that somebody gave the entry stay, and so does every byte around it.
///
/// # Errors
/// Why the text cannot be edited.
pub fn put(host: Host, text: &str, entry: &Entry) -> Result<String, ShapeError> {
    let fields = entry.fields(host);
    match host.format() {
        Format::Json => json_text::put(text, host.section(), &fields),
        Format::Toml => toml_text::put(text, host.section(), &fields),
    }
}

/// The text without our entry.
///
/// # Errors
/// Why the text cannot be edited.
pub fn take(host: Host, text: &str) -> Result<String, ShapeError> {
    match host.format() {
        Format::Json => json_text::take(text, host.section()),
        Format::Toml => toml_text::take(text, host.section()),
    }
}

/// A file with our entry alone, as it would be printed for somebody to copy.
pub fn document(host: Host, entry: &Entry) -> String {
    alone(host, &entry.fields(host), "\n")
}

/// The words that start us from a host: the folder, and the flags that were given.
///
/// # Errors
/// [`SetupError::PathNotText`] when the project's folder is not text.
pub fn entry(host: Host, places: &Places, command: &Path, flags: &[String]) -> Result<Entry, SetupError> {
    let text = |path: &Path| {
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| SetupError::PathNotText { path: path.to_owned() })
    };
    let folder = host.folder(places).ok_or_else(|| SetupError::PathNotText { path: places.project.clone() })?;
    let args = ["serve".to_owned(), "--dir".to_owned(), folder].into_iter().chain(flags.iter().cloned()).collect();
    Ok(Entry { command: text(command)?, args })
}

/// Whether the file is, to the byte, what we would make for this entry.
fn is_alone(host: Host, text: &str, entry: &Map<String, Value>) -> bool {
    let field = |name: &'static str| entry.get(name).map(|value| Field { name, value: value.clone() });
    let fields: Vec<Field> = ["type", "command", "args"].into_iter().filter_map(field).collect();
    fields.len() == entry.len() && text == format!("{}\n", alone(host, &fields, "\n"))
}

fn alone(host: Host, fields: &[Field], newline: &str) -> String {
    match host.format() {
        Format::Json => json_text::document(host.section(), fields, newline),
        Format::Toml => toml_text::document(host.section(), fields, newline),
    }
}

fn find(host: Host, text: &str) -> Result<Option<Map<String, Value>>, ShapeError> {
    match host.format() {
        Format::Json => json_text::find(text, host.section()),
        Format::Toml => toml_text::find(text, host.section()),
    }
}

fn line(host: Host, text: &str) -> Option<usize> {
    match host.format() {
        Format::Json => json_text::line(text, host.section()),
        Format::Toml => toml_text::line(text, host.section()),
    }
}

const MARK: &str = "\u{feff}";
