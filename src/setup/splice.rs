//! Splices: a text with some places replaced and every other byte as it was.

use std::ops::Range;

/// One place, in bytes, and what goes there.
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

/// The text with all splices made; `None` where two of them are in each other's way.
pub fn spliced(text: &str, mut splices: Vec<Splice>) -> Option<String> {
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

/// What ends a line in this text.
pub fn newline(text: &str) -> &'static str {
    match text.split_once('\n') {
        Some((first, _)) if first.ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Where the line begins that `at` is in.
pub fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

/// Where the line ends that `at` is in, its line ending included.
pub fn line_end(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|after| after.find('\n')).map_or(text.len(), |newline| at + newline + 1)
}

/// The blanks that the line of `at` begins with, provided that nothing else stands before `at`.
pub fn indentation(text: &str, at: usize) -> Option<&str> {
    text.get(line_start(text, at)..at).filter(|lead| lead.chars().all(|c| c == ' ' || c == '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splices_touch_their_places_only() {
        let splices = vec![Splice::replace(4..5, "X".into()), Splice::delete(0..1), Splice::insert(2, "+".into())];
        assert_eq!(spliced("abcdef", splices), Some("b+cdXf".into()));
        assert_eq!(spliced("abcdef", vec![Splice::delete(0..3), Splice::delete(2..4)]), None);
        assert_eq!(spliced("é", vec![Splice::insert(1, "x".into())]), None);
    }

    #[test]
    fn lines_are_found() {
        let text = "a\r\n\t b\n";
        assert_eq!((newline(text), newline("a\nb\r\n"), newline("a")), ("\r\n", "\n", "\n"));
        assert_eq!((line_start(text, 5), line_end(text, 5), line_end(text, 7)), (3, 7, 7));
        assert_eq!((indentation(text, 5), indentation(text, 6)), (Some("\t "), None));
    }
}
