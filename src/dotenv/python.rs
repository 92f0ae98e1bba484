//! What `python-dotenv` finds in an env file, where it is not what Node finds: an open quote reaches as far as there is
//! another one, whatever stands between, and what follows that one spoils it all up to the end of the line.

use std::collections::BTreeMap;

use super::scan::{BOM, is_blank, is_not_ending, split_while};

/// The variables by name, each with the last value as it is written there, quotes included. A byte order mark, which to
/// Python is a part of the first name, is passed over.
pub(super) fn variables(bytes: &[u8]) -> BTreeMap<&[u8], &[u8]> {
    let mut found = BTreeMap::new();
    let mut rest = bytes.strip_prefix(BOM).unwrap_or(bytes);
    loop {
        (_, rest) = split_while(rest, |byte| byte.is_ascii_whitespace());
        if rest.is_empty() {
            return found;
        }
        let (binding, after) = binding(rest);
        let (_, tail) = split_while(after, is_blank);
        let (_, line_end) = if tail.starts_with(b"#") { split_while(tail, is_not_ending) } else { (tail, tail) };
        if let ([] | [b'\r' | b'\n', ..], Some((name, value))) = (line_end, binding) {
            found.insert(name, value);
        }
        // A line that ends otherwise is a mistake: what was read of it is dropped, and so is what is left of it.
        (_, rest) = split_while(line_end, is_not_ending);
    }
}

/// A name, and its value as it is written.
type Binding<'a> = (&'a [u8], &'a [u8]);

/// A name and its value, if there are both, and what follows them.
fn binding(bytes: &[u8]) -> (Option<Binding<'_>>, &[u8]) {
    let unled = bytes.strip_prefix(b"export").map(|rest| split_while(rest, is_blank));
    let start = unled.filter(|(blanks, _)| !blanks.is_empty()).map_or(bytes, |(_, rest)| rest);
    if start.starts_with(b"'") {
        return (None, start); // a quoted name, which nobody uses, is taken for a mistake
    }
    let (name, rest) = split_while(start, |byte| !b"=#".contains(&byte) && !byte.is_ascii_whitespace());
    let (_, after_name) = split_while(rest, is_blank);
    let Some(value) = after_name.strip_prefix(b"=").map(|rest| split_while(rest, is_blank).1) else {
        return (None, rest);
    };
    let quote = value.first().copied().filter(|first| b"'\"".contains(first));
    match quote.map(|quote| between(value, quote)) {
        Some(Some((quoted, rest))) => (Some((name, quoted)), rest),
        Some(None) => (None, value), // the quote is never closed, which spoils the line
        None => {
            let (text, rest) = split_while(value, is_not_ending);
            (Some((name, text)), rest)
        }
    }
}

/// What begins with a quote, up to and with the one that closes it, and the rest. A backslash takes what follows it along.
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
        let found = variables(file.as_bytes());
        let shown = found.iter().map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()));
        shown.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn variables_are_read_as_python_reads_them() {
        for (file, found) in [
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
            assert_eq!(read(file), found, "{file:?}");
        }
    }
}
