//! Adds our entry to the configuration file of an MCP host, or removes it, and keeps all other bytes of the file.
//!
//! A [`Plan`] can be shown before it changes anything. [`Plan::apply`] fails if the file has changed since.

mod diagnostic;
mod entry;
mod file;
mod host;
mod json_text;
mod splice;
mod toml_text;

use std::path::{Path, PathBuf};

use domain::visible::{is_visible, visible};
pub use entry::{Dropped, Entry, Field};
use entry::{dropped, foreign_fields, shown_fields};
use file::Change;
pub use file::{Backup, Refused};
use host::Format;
pub use host::{Host, Places};
use serde_json::{Map, Value};

use crate::fs::{self, FsError};

/// The name of our entry in every host.
pub const NAME: &str = "stripe-projects";

/// Why a configuration file was not changed. No message quotes the file.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("{} was changed by another program", visible(path))]
    Changed { path: PathBuf },
    #[error("cannot find the configuration of {}: the environment names no home folder", host.as_str())]
    NoHome { host: Host },
    #[error("{} is not UTF-8 text", visible(path))]
    NotText { path: PathBuf },
    #[error(transparent)]
    NotWritten(FsError),
    #[error("the path {} is not UTF-8 text, which a configuration file requires", visible(path))]
    PathNotText { path: PathBuf },
    #[error("{} {}", visible(path), match why {
        Refused::Dangling => "is a symbolic link without a target",
        Refused::Folder => "is a folder",
        Refused::ReadOnly => "is marked read-only",
        Refused::TooLarge => "is too large for a configuration file",
    })]
    Refused { why: Refused, path: PathBuf },
    #[error("{}: {why}", visible(path))]
    Shape {
        path: PathBuf,
        #[source]
        why: ShapeError,
    },
    #[error("too many backups beside {}", visible(path))]
    TooManyBackups { path: PathBuf },
    #[error("unknown host")]
    UnknownHost,
    #[error(transparent)]
    Unreadable(FsError),
}

/// Why a text cannot be edited.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ShapeError {
    #[error("duplicate key in the path of our entry")]
    Duplicate,
    #[error("{} is not an object or table", if *key == "the file" { "the file" } else { *key })]
    NotATable { key: &'static str },
    #[error("syntax error at line {line}, column {column}")]
    Syntax { line: usize, column: usize },
    #[error("the entry is written in a notation that this program does not edit")]
    Unusual,
}

/// The desired state of our entry in a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Desired {
    Absent,
    Present(Entry),
}

/// The change of a file that [`Plan::apply`] makes.
#[derive(Debug)]
pub struct Plan {
    pub host: Host,
    pub file: PathBuf,
    pub action: Action,
    /// The line of our entry, counted from 1.
    pub line: Option<usize>,
    /// The fields of our entry as they are, in a form that may be shown.
    pub before: Vec<(String, Value)>,
    /// The fields of our entry as they will be, in a form that may be shown.
    pub after: Vec<(String, Value)>,
    /// The fields of our entry that an update drops.
    pub dropped: Vec<Dropped>,
    target: PathBuf,
    observed: Option<Vec<u8>>,
    new: Vec<u8>,
    needs_backup: bool,
}

/// The kind of change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Adds our entry to an existing file.
    Add,
    /// Creates a file for our entry.
    Create,
    /// Deletes a file that was created for our entry and has nothing else in it.
    Delete,
    /// Changes nothing: the file is in the desired state.
    Nothing,
    /// Removes our entry.
    Remove,
    /// Changes the fields of our entry.
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

impl Plan {
    /// Reads the host's file and plans the change to the desired state.
    ///
    /// # Errors
    /// [`SetupError`] if the file cannot be read or edited.
    pub fn new(host: Host, places: &Places, desired: &Desired) -> Result<Self, SetupError> {
        let path = host.file(places).ok_or(SetupError::NoHome { host })?;
        let (target, observed) = file::read(&path)?;
        let text = match str::from_utf8(observed.as_deref().unwrap_or_default()) {
            Ok(text) => text.to_owned(),
            Err(_) => return Err(SetupError::NotText { path }),
        };
        // The parsers do not accept a byte order mark; it is kept.
        let (mark, text) = text.strip_prefix(BOM).map_or(("", text.as_str()), |rest| (BOM, rest));
        let shape = |why| SetupError::Shape { path: path.clone(), why };
        let old = find(host, text).map_err(shape)?;
        let new = match desired {
            Desired::Absent => remove(host, text),
            Desired::Present(entry) => upsert(host, text, entry),
        }
        .map_err(shape)?;
        let alone = old.as_ref().is_some_and(|old| is_alone(host, text, old));
        let action = match desired {
            _ if new == text && observed.is_some() => Action::Nothing,
            Desired::Absent if old.is_none() => Action::Nothing,
            Desired::Absent if alone && mark.is_empty() && !file::has_backup(&target) => Action::Delete,
            Desired::Absent => Action::Remove,
            Desired::Present(_) if observed.is_none() => Action::Create,
            Desired::Present(_) if old.is_none() => Action::Add,
            Desired::Present(_) => Action::Update,
        };
        let kept = find(host, &new).map_err(shape)?;
        Ok(Self {
            host,
            action,
            line: line(host, if old.is_some() { text } else { &new }),
            before: old.as_ref().map(shown_fields).unwrap_or_default(),
            dropped: match (&old, action) {
                (Some(old), Action::Update) => dropped(host, old),
                _ => Vec::new(),
            },
            after: kept.as_ref().map(shown_fields).unwrap_or_default(),
            file: path,
            target,
            new: [mark, &new].concat().into_bytes(),
            needs_backup: !alone && observed.is_some(),
            observed,
        })
    }

    /// Changes the file, and returns the backup of the old one if it had more than our entry.
    ///
    /// # Errors
    /// [`SetupError::Changed`] if the file has changed since the plan was made.
    pub fn apply(&self) -> Result<Option<Backup>, SetupError> {
        let change = match self.action {
            Action::Nothing => return Ok(None),
            Action::Delete => Change::Delete,
            _ if self.needs_backup => Change::WriteWithBackup(&self.new),
            _ => Change::Write(&self.new),
        };
        file::change(&self.target, self.observed.as_deref(), &change)
    }

    /// Returns the file that is changed, if it has another path than [`Self::file`]: links lead to it.
    pub fn real_path(&self) -> Option<PathBuf> {
        Some(fs::in_real_folder(&self.target)).filter(|real| *real != self.file)
    }

    /// Returns the path of our entry in the file, as a person reads it.
    pub fn place(&self) -> String {
        format!("{}.{NAME}", self.host.section())
    }
}

/// Adds our entry to the text, or updates it and drops fields that could change what it starts. All other bytes stay.
///
/// # Errors
/// [`ShapeError`] if the text cannot be edited.
pub fn upsert(host: Host, text: &str, entry: &Entry) -> Result<String, ShapeError> {
    let fields = entry.fields(host);
    let text = &without_foreign_fields(host, text)?;
    match host.format() {
        Format::Json => json_text::upsert(text, host.section(), &fields),
        Format::Toml => toml_text::upsert(text, host.section(), &fields),
    }
}

/// Removes our entry from the text.
///
/// # Errors
/// [`ShapeError`] if the text cannot be edited.
pub fn remove(host: Host, text: &str) -> Result<String, ShapeError> {
    match host.format() {
        Format::Json => json_text::remove(text, host.section()),
        Format::Toml => toml_text::remove(text, host.section()),
    }
}

/// Returns a file with our entry only, for a person to copy. What cannot be seen is written with escapes of the format.
pub fn document(host: Host, entry: &Entry) -> String {
    let text = alone(host, &entry.fields(host), "\n");
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        match host.format() {
            _ if c == '\n' || is_visible(c) => shown.push(c),
            Format::Json => {
                shown.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
            }
            Format::Toml => shown.extend([format!("\\U{:08X}", u32::from(c))]),
        }
        shown
    })
}

/// Returns the entry that starts us with the folder and the given flags.
///
/// # Errors
/// [`SetupError::PathNotText`] if the project's folder is not UTF-8 text.
pub fn entry(host: Host, places: &Places, command: &Path, flags: &[String]) -> Result<Entry, SetupError> {
    let text = |path: &Path| {
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| SetupError::PathNotText { path: path.to_owned() })
    };
    let folder = host.folder(places).ok_or_else(|| SetupError::PathNotText { path: places.project.clone() })?;
    let args = ["serve".to_owned(), "--dir".to_owned(), folder].into_iter().chain(flags.iter().cloned()).collect();
    Ok(Entry { command: text(command)?, args })
}

fn without_foreign_fields(host: Host, text: &str) -> Result<String, ShapeError> {
    let found = find(host, text)?.unwrap_or_default();
    let foreign = foreign_fields(host, &found);
    if foreign.len() > MAX_FOREIGN_FIELDS {
        return Err(ShapeError::Unusual);
    }
    foreign.iter().try_fold(text.to_owned(), |text, name| match host.format() {
        Format::Json => json_text::remove_field(&text, host.section(), name),
        Format::Toml => toml_text::remove_field(&text, host.section(), name),
    })
}

/// Returns whether the file is, to the byte, the one that we would create for this entry.
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

/// More than hosts know. Each is removed by an edit of its own.
const MAX_FOREIGN_FIELDS: usize = 100;

const BOM: &str = "\u{feff}";
