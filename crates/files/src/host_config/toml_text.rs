//! Finds, inserts and removes one entry in a TOML file, and keeps all other bytes.
//!
//! The parser finds the places; the edits are splices of our own. `toml_edit` does not keep all bytes:
//! - CRLF becomes LF between values, but not in a multi-line string, so that it cannot be restored afterwards;
//! - a file without a last line ending gets one, which stays when the entry is removed;
//! - the comment above a removed table is dropped with it;
//! - a new table goes after the last one of its section, not to the end of the file.

use std::ops::Range;

use serde_json::{Map, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    NAME, ShapeError,
    entry::{Field, set_fields, unset_field},
    json_text::inline,
    splice::{Splice, line_end, line_start, newline, spliced_and_checked},
};

/// Returns the fields of the entry, if there is one.
pub fn find(text: &str, section: &'static str) -> Result<Option<Map<String, Value>>, ShapeError> {
    let root = parse(text)?;
    entry(&root, section)?;
    let mut all = whole(text)?;
    let entry = all.get_mut(section).and_then(|servers| servers.get_mut(NAME)).and_then(Value::as_object_mut);
    Ok(entry.map(std::mem::take))
}

/// Returns the line of the entry, counted from 1.
pub fn line(text: &str, section: &'static str) -> Option<usize> {
    let root = parse(text).ok()?;
    let entry = entry(&root, section).ok()??;
    Some(text.get(..entry.span.start)?.matches('\n').count() + 1)
}

/// Removes one field of the entry, with its lines and tables. Comments on lines of their own stay.
pub fn remove_field(text: &str, section: &'static str, name: &str) -> Result<String, ShapeError> {
    let root = parse(text)?;
    let Some(entry) = entry(&root, section)? else {
        return Ok(text.to_owned());
    };
    let is_inline = text.get(entry.span.clone()).is_some_and(|head| head.starts_with('{'));
    let splices = if is_inline {
        let others = entry.table.iter().filter(|(key, _)| key.get_ref() != name);
        let others =
            others.map(|(key, value)| Some(format!("{} = {}", key.get_ref(), inline(&plain(value.get_ref())?))));
        let others = others.collect::<Option<Vec<_>>>().ok_or(ShapeError::Unusual)?;
        vec![Splice::replace(entry.span.clone(), format!("{{ {} }}", others.join(", ")))]
    } else {
        let mut pieces = Vec::new();
        for (key, value) in entry.table.iter().filter(|(key, _)| key.get_ref() == name) {
            pieces.extend([key.span(), value.span()]);
            if let DeValue::Table(inner) = value.get_ref() {
                collect(inner, &mut pieces);
            }
        }
        lines_of(text, pieces).into_iter().map(Splice::delete).collect()
    };
    spliced_and_checked(text, splices, whole, |all| unset_field(all, section, name))
}

/// Sets these fields of the entry, which is appended if it is missing. Other fields of it stay.
pub fn upsert(text: &str, section: &'static str, fields: &[Field]) -> Result<String, ShapeError> {
    let root = parse(text)?;
    let newline = newline(text);
    let mut splices = Vec::new();
    match entry(&root, section)? {
        None => {
            // A file without a last line ending does not get one.
            let ended = text.is_empty() || text.ends_with('\n');
            let lead = if text.is_empty() { String::new() } else { newline.repeat(if ended { 1 } else { 2 }) };
            let end = if ended { newline } else { "" };
            splices.push(Splice::insert(text.len(), format!("{lead}{}{end}", document(section, fields, newline))));
        }
        Some(entry) => {
            for field in fields {
                match entry.table.get(field.name) {
                    Some(old) if plain(old.get_ref()) == Some(field.value.clone()) => {}
                    Some(old) => splices.push(Splice::replace(old.span(), inline(&field.value))),
                    None if text.get(entry.span.clone()).is_some_and(|head| head.starts_with('[')) => {
                        let after = line_end(text, entry.span.end);
                        let line = format!("{} = {}", field.name, inline(&field.value));
                        let ended = text.get(..after).is_some_and(|before| before.ends_with('\n'));
                        let line = if ended { line + newline } else { format!("{newline}{line}") };
                        splices.push(Splice::insert(after, line));
                    }
                    None => return Err(ShapeError::Unusual),
                }
            }
        }
    }
    spliced_and_checked(text, splices, whole, |all| set_fields(all, section, fields))
}

/// Removes the lines of the entry, and the blank one above them. Comments stay.
pub fn remove(text: &str, section: &'static str) -> Result<String, ShapeError> {
    let root = parse(text)?;
    let Some(entry) = entry(&root, section)? else {
        return Ok(text.to_owned());
    };
    let mut pieces = vec![entry.span.clone()];
    collect(entry.table, &mut pieces);
    let mut lines = lines_of(text, pieces);
    let end = lines.last().map_or(0, |last| last.end);
    if let Some(first) = lines.first_mut() {
        first.start = above(text, first.start, end);
    }
    // The section goes with its last entry, if only the header of that entry named it.
    spliced_and_checked(text, lines.into_iter().map(Splice::delete).collect(), whole, |all| {
        if let Some(servers) = all.get_mut(section).and_then(Value::as_object_mut) {
            servers.remove(NAME);
            all.retain(|_, value| !is_empty_table(value));
        }
    })
}

/// Returns a file with the entry only, without its last line ending.
pub fn document(section: &str, fields: &[Field], newline: &str) -> String {
    let lines = fields.iter().map(|field| format!("{newline}{} = {}", field.name, inline(&field.value)));
    format!("[{section}.{NAME}]{}", lines.collect::<String>())
}

struct EntryTable<'a> {
    table: &'a DeTable<'a>,
    /// The header, or the whole of an inline table.
    span: Range<usize>,
}

fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, ShapeError> {
    DeTable::parse(text).map_err(|error| {
        let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        ShapeError::Syntax { line: before.matches('\n').count() + 1, column }
    })
}

fn entry<'a>(root: &'a Spanned<DeTable<'a>>, section: &'static str) -> Result<Option<EntryTable<'a>>, ShapeError> {
    let Some(servers) = root.get_ref().get(section) else {
        return Ok(None);
    };
    let DeValue::Table(servers) = servers.get_ref() else {
        return Err(ShapeError::NotATable { key: section });
    };
    let Some(entry) = servers.get(NAME) else {
        return Ok(None);
    };
    match entry.get_ref() {
        DeValue::Table(table) => Ok(Some(EntryTable { table, span: entry.span() })),
        _ => Err(ShapeError::NotATable { key: NAME }),
    }
}

/// Collects the ranges of all keys and values of a table and of the tables in it.
fn collect(table: &DeTable<'_>, pieces: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        pieces.extend([key.span(), value.span()]);
        if let DeValue::Table(inner) = value.get_ref() {
            collect(inner, pieces);
        }
    }
}

/// Returns the lines of these ranges, without overlaps.
fn lines_of(text: &str, mut pieces: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut lines: Vec<Range<usize>> = Vec::new();
    pieces.sort_by_key(|piece| piece.start);
    for piece in pieces {
        let (start, end) = (line_start(text, piece.start), line_end(text, piece.end));
        match lines.last_mut() {
            Some(last) if start < last.end => last.end = last.end.max(end),
            _ => lines.push(start..end),
        }
    }
    lines
}

/// Extends the start of a removal to the blank line above it.
///
/// At the end of a file without a last line ending, the ending of the line before is removed too.
fn above(text: &str, mut start: usize, end: usize) -> usize {
    let before = |at: usize| text.get(..at).unwrap_or_default();
    if before(start).ends_with("\n\n") || before(start).ends_with("\n\r\n") {
        start = line_start(text, start - 1);
    }
    let unended = end == text.len() && !text.ends_with('\n');
    if unended && before(start).ends_with('\n') {
        start -= if before(start).ends_with("\r\n") { 2 } else { 1 };
    }
    start
}

/// Converts a value of the types that our fields have.
fn plain(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::from(text.as_ref())),
        DeValue::Array(items) => items.iter().map(|item| plain(item.get_ref())).collect(),
        DeValue::Boolean(value) => Some(Value::from(*value)),
        DeValue::Integer(number) => number.as_str().parse::<u32>().ok().map(Value::from),
        _ => None,
    }
}

/// Parses a file. Empty tables are left out, because a header alone is not a setting.
fn whole(text: &str) -> Result<Map<String, Value>, ShapeError> {
    let mut all: Map<String, Value> = toml::from_str(text).map_err(|_| ShapeError::Unusual)?;
    all.retain(|_, value| !is_empty_table(value));
    Ok(all)
}

fn is_empty_table(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}
