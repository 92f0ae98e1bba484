//! One entry in a TOML file: found, put there, taken out. Every byte that is not the entry's stays, because the parser
//! only finds places and the edits are splices.

use std::ops::Range;

use serde_json::{Map, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    NAME, ShapeError,
    entry::Field,
    json_text::inline,
    splice::{Splice, line_end, line_start, newline, spliced},
};

/// The entry as it stands, if it does.
pub fn find(text: &str, section: &'static str) -> Result<Option<Map<String, Value>>, ShapeError> {
    let root = parse(text)?;
    let entry = entry(&root, section)?.is_some();
    let mut all = whole(text)?;
    let found = all.get_mut(section).and_then(|servers| servers.get_mut(NAME)).map(Value::take).filter(|_| entry);
    Ok(found.and_then(|found| if let Value::Object(fields) = found { Some(fields) } else { None }))
}

/// Where the entry is: a line, counted from 1.
pub fn line(text: &str, section: &'static str) -> Option<usize> {
    let root = parse(text).ok()?;
    let entry = entry(&root, section).ok()??;
    Some(text.get(..entry.span.start)?.matches('\n').count() + 1)
}

/// The text with these fields in the entry, which is made where it is missing. Other fields of it stay.
pub fn put(text: &str, section: &'static str, fields: &[Field]) -> Result<String, ShapeError> {
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
    checked(text, splices, |all| {
        let servers = all.entry(section).or_insert_with(|| Map::new().into()).as_object_mut();
        let entry = servers.map(|servers| servers.entry(NAME).or_insert_with(|| Map::new().into()));
        if let Some(entry) = entry.and_then(Value::as_object_mut) {
            entry.extend(fields.iter().map(|field| (field.name.to_owned(), field.value.clone())));
        }
    })
}

/// The text without the entry: its lines go, and the blank one above them. Comments stay.
pub fn take(text: &str, section: &'static str) -> Result<String, ShapeError> {
    let root = parse(text)?;
    let Some(entry) = entry(&root, section)? else {
        return Ok(text.to_owned());
    };
    let mut pieces = vec![entry.span.clone()];
    collect(entry.table, &mut pieces);
    let mut lines: Vec<Range<usize>> = Vec::new();
    pieces.sort_by_key(|piece| piece.start);
    for piece in pieces {
        let (start, end) = (line_start(text, piece.start), line_end(text, piece.end));
        match lines.last_mut() {
            Some(last) if start < last.end => last.end = last.end.max(end),
            _ => lines.push(start..end),
        }
    }
    let end = lines.last().map_or(0, |last| last.end);
    if let Some(first) = lines.first_mut() {
        first.start = above(text, first.start, end);
    }
    checked(text, lines.into_iter().map(Splice::delete).collect(), |all| {
        if let Some(servers) = all.get_mut(section).and_then(Value::as_object_mut) {
            servers.remove(NAME);
        }
    })
}

/// The entry alone, without its last line ending.
pub fn document(section: &str, fields: &[Field], newline: &str) -> String {
    let lines = fields.iter().map(|field| format!("{newline}{} = {}", field.name, inline(&field.value)));
    format!("[{section}.{NAME}]{}", lines.collect::<String>())
}

struct Found<'a> {
    table: &'a DeTable<'a>,
    /// Its header, or the whole of it where it is inline.
    span: Range<usize>,
}

fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, ShapeError> {
    DeTable::parse(text).map_err(|error| {
        let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        ShapeError::Syntax { line: before.matches('\n').count() + 1, column }
    })
}

fn entry<'a>(root: &'a Spanned<DeTable<'a>>, section: &'static str) -> Result<Option<Found<'a>>, ShapeError> {
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
        DeValue::Table(table) => Ok(Some(Found { table, span: entry.span() })),
        _ => Err(ShapeError::NotATable { key: NAME }),
    }
}

/// Every key and value of a table, and of the tables in it.
fn collect(table: &DeTable<'_>, pieces: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        pieces.extend([key.span(), value.span()]);
        if let DeValue::Table(inner) = value.get_ref() {
            collect(inner, pieces);
        }
    }
}

/// Where what is removed begins: with the blank line above it, and at the end of a file that has no last line ending,
/// with the ending of the line before.
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

/// A value of a kind that our fields have.
fn plain(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::from(text.as_ref())),
        DeValue::Array(words) => words.iter().map(|word| plain(word.get_ref())).collect(),
        _ => None,
    }
}

/// The edited text, if it reads as it was meant to. A section may go with the last entry in it, where nothing but that
/// entry's header spoke of it.
fn checked(
    text: &str,
    splices: Vec<Splice>,
    expect: impl FnOnce(&mut Map<String, Value>),
) -> Result<String, ShapeError> {
    let edited = spliced(text, splices).ok_or(ShapeError::Unusual)?;
    let mut expected = whole(text)?;
    expect(&mut expected);
    let said = |all: Map<String, Value>| -> Vec<_> {
        all.into_iter().filter(|(_, value)| value.as_object().is_none_or(|table| !table.is_empty())).collect()
    };
    if whole(&edited).is_ok_and(|found| said(found) == said(expected)) { Ok(edited) } else { Err(ShapeError::Unusual) }
}

fn whole(text: &str) -> Result<Map<String, Value>, ShapeError> {
    toml::from_str(text).map_err(|_| ShapeError::Unusual)
}
