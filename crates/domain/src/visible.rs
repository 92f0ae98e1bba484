//! Text from outside: paths, link targets, client names, labels, and texts of a catalog.
//!
//! Such a text may contain characters that move a cursor, change the direction of writing, or show nothing and are read
//! by a model. [`visible`] is the only way to print one. Data keeps the text as it is: a stored path, and the fields of
//! a JSON document that hold a path.

use std::{
    borrow::Cow,
    ffi::OsStr,
    fmt::{self, Write as _},
};

/// A text from outside, displayed with escapes for what cannot be seen.
///
/// A control, format, unassigned, private or ignorable character, and each line or paragraph separator, is written as
/// `\u{202e}` (`\n`, `\r` and `\t` for three of them), and a byte that is not UTF-8 as `\xff`. A backslash is doubled
/// where the text would be ambiguous otherwise, so that the original can be read back.
///
/// Emoji that are joined by U+200D or end with a variation selector show these escapes too: both can carry hidden text.
#[derive(Clone, Copy, Debug)]
pub struct Visible<'a> {
    text: &'a OsStr,
    limit: usize,
}

/// Returns the text in the form that may be printed, with at most 1,024 characters.
pub fn visible<T: AsRef<OsStr> + ?Sized>(text: &T) -> Visible<'_> {
    Visible { text: text.as_ref(), limit: MAX_CHARS }
}

/// Returns text that was escaped before it was stored. What an edited store holds is escaped now.
pub fn visible_once(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_visible) { Cow::Borrowed(text) } else { Cow::Owned(visible(text).to_string()) }
}

/// Tells whether the character shows itself and affects no other.
pub fn is_visible(c: char) -> bool {
    match c {
        // Fillers, joiners and selectors that Unicode counts as letters or marks, but that show nothing.
        '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{ffa0}'
        | '\u{e0000}'..='\u{e0fff}' => false,
        // ASCII, and spaces of other widths: they move the text by their width and nothing else.
        ' '..='~' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => true,
        _ => c.escape_debug().count() == 1 || is_combining(c),
    }
}

impl Visible<'_> {
    /// Returns the text with at most `chars` characters; a longer one ends with `…`.
    #[must_use]
    pub fn shortened(self, chars: usize) -> Self {
        Self { limit: chars, ..self }
    }
}

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escapes_backslash = is_ambiguous(self.text);
        let mut room = self.limit;
        let mut shown = String::new();
        let mut held = String::new(); // what is replaced by `…` if more follows
        for unit in units(self.text) {
            let mut escaped = String::new();
            match unit {
                Unit::Char('\\') if escapes_backslash => escaped.push_str(r"\\"),
                Unit::Char(c) if is_visible(c) => escaped.push(c),
                Unit::Char(c @ ('\n' | '\r' | '\t')) => escaped.extend(c.escape_default()),
                Unit::Char(c) => escaped.extend(c.escape_unicode()),
                Unit::Byte(byte) => write!(escaped, "\\x{byte:02x}")?,
            }
            let length = escaped.chars().count();
            if length > room {
                return f.pad(&(shown + "…"));
            }
            room -= length;
            held.push_str(&escaped);
            if room > 0 {
                shown.push_str(&held);
                held.clear();
            }
        }
        f.pad(&(shown + &held))
    }
}

/// A part of a text: a character, or a byte that is not UTF-8.
enum Unit {
    Byte(u8),
    Char(char),
}

fn units(text: &OsStr) -> impl Iterator<Item = Unit> {
    text.as_encoded_bytes().utf8_chunks().flat_map(|chunk| {
        let invalid = chunk.invalid().iter().copied().map(Unit::Byte);
        chunk.valid().chars().map(Unit::Char).chain(invalid)
    })
}

/// Tells whether an escape in the shown text could be taken for a part of the original, or the reverse.
fn is_ambiguous(text: &OsStr) -> bool {
    let bytes = text.as_encoded_bytes();
    if !bytes.contains(&b'\\') {
        return false;
    }
    let looks_escaped = bytes.windows(2).any(|pair| matches!(pair, [b'\\', b'n' | b'r' | b't' | b'u' | b'x']));
    looks_escaped || units(text).any(|unit| !matches!(unit, Unit::Char(c) if is_visible(c)))
}

/// Tells whether the character is a printable mark on the one before it.
///
/// The standard library escapes such a mark at the start of a text only.
fn is_combining(c: char) -> bool {
    let marked: String = ['a', c].into_iter().collect();
    marked.escape_debug().eq(marked.chars())
}

/// Longer than paths in use, short enough for a message.
const MAX_CHARS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_text_is_unchanged() {
        for text in [
            "/home/maria/my app/.env",
            "Grüße, naïve cafe\u{301}",
            "日本語\u{3000}テキスト",
            "עברית",
            "ไทย",
            "😀 ✓ …",
            r"C:\Users\me",
            "",
        ] {
            assert_eq!(visible(text).to_string(), text);
        }
    }

    #[test]
    fn invisible_characters_are_escaped() {
        for c in [
            '\0',
            '\u{7}',
            '\u{8}',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{ad}',
            '\u{34f}',
            '\u{600}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2064}',
            '\u{2065}',
            '\u{2066}',
            '\u{2069}',
            '\u{206f}',
            '\u{3164}',
            '\u{e000}',
            '\u{fe00}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{ffff}',
            '\u{13430}',
            '\u{1bca0}',
            '\u{1d173}',
            '\u{50000}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e007f}',
            '\u{e0100}',
            '\u{e01ef}',
            '\u{f0000}',
            '\u{10ffff}',
        ] {
            assert!(!is_visible(c), "{c:?}");
            assert_eq!(visible(&format!("a{c}b")).to_string(), format!("a\\u{{{:x}}}b", u32::from(c)));
        }
        assert_eq!(visible("a\nb\r\tc").to_string(), r"a\nb\r\tc");
    }

    /// A text that is written with an escape differs from one that contains the same characters.
    #[test]
    fn escapes_can_be_read_back() {
        let texts = ["\u{202e}", r"\u{202e}", r"\\u{202e}", "\\\u{202e}", "\n", r"\n", r"\\n", "\\\n", r"a\b", r"a\\b"];
        let mut shown: Vec<String> = texts.iter().map(|text| visible(text).to_string()).collect();
        shown.sort();
        shown.dedup();
        assert_eq!(shown.len(), texts.len(), "{shown:?}");
        assert_eq!(visible(r"\u{202e}").to_string(), r"\\u{202e}");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_text_are_escaped() {
        use std::os::unix::ffi::OsStrExt as _;
        assert_eq!(visible(OsStr::from_bytes(b"a\xff\xe2\x80\xaeb\xe2\x80")).to_string(), r"a\xff\u{202e}b\xe2\x80");
    }

    #[test]
    fn stored_text_is_escaped_once() {
        let stored = visible("a\u{202e}").to_string();
        assert_eq!(visible_once(&stored), stored);
        assert_eq!(visible_once("a\u{202e}"), stored);
    }

    #[test]
    fn long_text_is_shortened_between_escapes() {
        assert_eq!(visible("abcdef").shortened(6).to_string(), "abcdef");
        assert_eq!(visible("abcdefg").shortened(6).to_string(), "abcde…");
        assert_eq!(visible("ab\u{202e}cd").shortened(6).to_string(), "ab…");
        assert_eq!(visible(&"é".repeat(5000)).to_string().chars().count(), MAX_CHARS);
        assert_eq!(format!("{:>4}|{:<4}|", visible("ab"), visible("ab")), "  ab|ab  |");
    }
}
