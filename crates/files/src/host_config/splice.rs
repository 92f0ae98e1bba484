//! Edits of a text at a few places, which keep every other byte.

use std::ops::Range;

use serde_json::{Map, Value};

use super::ShapeError;

/// A range of bytes, and its replacement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Splice {
    at: Range<usize>,
    with: String,
}

impl Splice {
    pub fn insert(at: usize, with: String) -> Self {
        Self { at: at..at, with }
    }

    pub fn replace(at: Range<usize>, with: String) -> Self {
        Self { at, with }
    }

    pub fn delete(at: Range<usize>) -> Self {
        Self { at, with: String::new() }
    }
}

/// Applies all splices; `None` if two of them overlap.
fn spliced(text: &str, mut splices: Vec<Splice>) -> Option<String> {
    splices.sort_by_key(|splice| (splice.at.start, splice.at.end));
    let mut result = String::with_capacity(text.len());
    let mut done = 0;
    for Splice { at, with } in splices {
        result.push_str(text.get(done..at.start)?);
        result.push_str(&with);
        done = at.end;
    }
    result.push_str(text.get(done..)?);
    Some(result)
}

/// Applies all splices, and parses the result to compare it with the intended one before it may be written.
pub fn spliced_and_checked(
    text: &str,
    splices: Vec<Splice>,
    parse: impl Fn(&str) -> Result<Map<String, Value>, ShapeError>,
    edit: impl FnOnce(&mut Map<String, Value>),
) -> Result<String, ShapeError> {
    let edited = spliced(text, splices).ok_or(ShapeError::Unusual)?;
    let mut expected = parse(text)?;
    edit(&mut expected);
    if parse(&edited).is_ok_and(|result| result == expected) { Ok(edited) } else { Err(ShapeError::Unusual) }
}

/// Returns the line ending of the first line.
pub fn newline(text: &str) -> &'static str {
    match text.split_once('\n') {
        Some((first, _)) if first.ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Returns the start of the line of `at`.
pub fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

/// Returns the end of the line of `at`, after its line ending.
pub fn line_end(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|after| after.find('\n')).map_or(text.len(), |newline| at + newline + 1)
}

/// Returns the whitespace before `at`, if nothing else is before it on its line.
pub fn indentation(text: &str, at: usize) -> Option<&str> {
    text.get(line_start(text, at)..at).filter(|lead| lead.chars().all(|c| c == ' ' || c == '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splices_change_their_ranges_only() {
        let splices = vec![Splice::replace(4..5, "X".into()), Splice::delete(0..1), Splice::insert(2, "+".into())];
        assert_eq!(spliced("abcdef", splices), Some("b+cdXf".into()));
        assert_eq!(spliced("abcdef", vec![Splice::delete(0..3), Splice::delete(2..4)]), None);
        assert_eq!(spliced("é", vec![Splice::insert(1, "x".into())]), None);
    }

    #[test]
    fn line_bounds_include_the_line_ending() {
        let text = "a\r\n\t b\n";
        assert_eq!((newline(text), newline("a\nb\r\n"), newline("a")), ("\r\n", "\n", "\n"));
        assert_eq!((line_start(text, 5), line_end(text, 5), line_end(text, 7)), (3, 7, 7));
        assert_eq!((indentation(text, 5), indentation(text, 6)), (Some("\t "), None));
    }
}
