//! A model of `python-dotenv`, where it differs from Node.
//!
//! An open quote extends to the next quote of its kind, over any text between them. Text after the closing quote makes the
//! assignment invalid up to the end of that line.

use std::collections::BTreeMap;

use super::parser::{BOM, is_blank, is_not_ending, split_while};

/// Returns the last value of each variable as written, including quotes.
///
/// A byte order mark, which Python reads as part of the first name, is skipped.
pub(super) fn variables(bytes: &[u8]) -> BTreeMap<&[u8], &[u8]> {
    let mut variables = BTreeMap::new();
    let mut rest = bytes.strip_prefix(BOM).unwrap_or(bytes);
    loop {
        (_, rest) = split_while(rest, |byte| byte.is_ascii_whitespace());
        if rest.is_empty() {
            return variables;
        }
        let (binding, after) = binding(rest);
        let (_, tail) = split_while(after, is_blank);
        let (_, line_end) = if tail.starts_with(b"#") { split_while(tail, is_not_ending) } else { (tail, tail) };
        if let ([] | [b'\r' | b'\n', ..], Some((name, value))) = (line_end, binding) {
            variables.insert(name, value);
        }
        // Any other line is invalid: drop its binding and skip its rest.
        (_, rest) = split_while(line_end, is_not_ending);
    }
}

/// A name and its value as written.
type Binding<'a> = (&'a [u8], &'a [u8]);

/// Splits off a binding; `None` without a name or a value.
fn binding(bytes: &[u8]) -> (Option<Binding<'_>>, &[u8]) {
    let exported = bytes.strip_prefix(b"export").map(|rest| split_while(rest, is_blank));
    let start = exported.filter(|(blanks, _)| !blanks.is_empty()).map_or(bytes, |(_, rest)| rest);
    if start.starts_with(b"'") {
        return (None, start); // treat a quoted name, which is rare, as invalid
    }
    let (name, rest) = split_while(start, |byte| !b"=#".contains(&byte) && !byte.is_ascii_whitespace());
    let (_, after_name) = split_while(rest, is_blank);
    let Some(value) = after_name.strip_prefix(b"=").map(|rest| split_while(rest, is_blank).1) else {
        return (None, rest);
    };
    let quote = value.first().copied().filter(|first| b"'\"".contains(first));
    match quote.map(|quote| between(value, quote)) {
        Some(Some((quoted, rest))) => (Some((name, quoted)), rest),
        Some(None) => (None, value), // an unclosed quote makes the line invalid
        None => {
            let (text, rest) = split_while(value, is_not_ending);
            (Some((name, text)), rest)
        }
    }
}

/// Splits after the closing quote; a backslash escapes the next byte.
fn between(bytes: &[u8], quote: u8) -> Option<(&[u8], &[u8])> {
    let (_, inside) = bytes.split_first()?;
    let mut escaped = false;
    let (text, closed) = split_while(inside, |byte| {
        let closes = byte == quote && !escaped;
        escaped = byte == b'\\' && !escaped;
        !closes
    });
    (!closed.is_empty()).then(|| bytes.split_at_checked(text.len() + 2)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str) -> String {
        let variables = variables(file.as_bytes());
        let shown = variables.iter().map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()));
        shown.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn variables_match_python_dotenv() {
        for (file, expected) in [
            ("", ""),
            ("A=1\nexport B = 'x' # c\r\n\n  C=\"y\nz\"\rD=", "A=1|B=\\'x\\'|C=\\\"y\\nz\\\"|D="),
            ("A=1\nA=2\nB\n#C=1\nD: 1\nE=1", "A=2|E=1"),
            ("A='open\nB=1\n", "B=1"),
            ("A='open\nB='x'\nC=1\n", "C=1"),
            ("A='open\nB=it's\nC=1\n", "C=1"),
            ("A='open\nB=1\n'\nC=1\n", "A=\\'open\\nB=1\\n\\'|C=1"),
            ("A='x\\'y'\nB='z\\'\nC=1", "A=\\'x\\\\\\'y\\'|C=1"),
            ("A='x\\\\'\nB=1", "A=\\'x\\\\\\\\\\'|B=1"),
            ("A=it's\nB=\"x\" y\nC=1", "A=it\\'s|C=1"),
            ("'A'=1\nexport=2\nB=`x\n`", "B=`x|export=2"),
        ] {
            assert_eq!(read(file), expected, "{file:?}");
        }
    }
}
