//! Parses assignments as the `dotenv` packages of Node and Python do.
//!
//! Where the two differ, this parser follows Node, because Node limits the effect of an unclosed quote: a quoted value may
//! span lines only if nothing except blanks or a comment follows its closing quote; otherwise the value ends with its line.
//! `NAME: value` is an assignment too. One exception: Node searches the lines below an empty value for a value; this
//! parser does not.

use std::iter;

use domain::name::EnvVar;

/// Splits the file into a byte order mark and lines; joined, the pieces are the file.
///
/// The lines of one quoted value are one piece.
pub(super) fn pieces(bytes: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let (mark, mut rest) = bytes.split_at(if bytes.starts_with(BOM) { BOM.len() } else { 0 });
    let mark = (!mark.is_empty()).then_some(Piece { text: mark, ending: &[], assignment: None });
    mark.into_iter().chain(iter::from_fn(move || {
        let (piece, below) = first_piece(rest)?;
        rest = below;
        Some(piece)
    }))
}

pub(super) struct Piece<'a> {
    /// The whole piece, including its line ending.
    pub(super) text: &'a [u8],
    pub(super) ending: &'a [u8],
    pub(super) assignment: Option<Assignment<'a>>,
}

impl<'a> Piece<'a> {
    pub(super) fn assigns(&self, var: &EnvVar) -> bool {
        self.assignment.as_ref().is_some_and(|assignment| assignment.name == var.as_str().as_bytes())
    }

    pub(super) fn value_of(&self, var: &EnvVar) -> Option<Vec<u8>> {
        self.assignment.as_ref().filter(|_| self.assigns(var)).map(|assignment| assignment.value.decoded())
    }

    /// Returns the indentation and `export ` before the name.
    pub(super) fn prefix(&self) -> &'a [u8] {
        self.assignment.as_ref().map_or(&[], |assignment| assignment.prefix)
    }
}

#[derive(Eq, PartialEq)]
pub(super) struct Assignment<'a> {
    prefix: &'a [u8],
    name: &'a [u8],
    value: Value<'a>,
}

impl<'a> Assignment<'a> {
    pub(super) fn name(&self) -> Option<&'a str> {
        str::from_utf8(self.name).ok()
    }

    pub(super) fn raw_name(&self) -> &'a [u8] {
        self.name
    }

    /// Returns whether another reader found the same value; `text` includes the quotes.
    pub(super) fn is_written(&self, text: &[u8]) -> bool {
        match self.value {
            Value::Bare(value) => value.trim_ascii() == text.trim_ascii(),
            Value::Quoted(quote, value) => {
                let inside = text.strip_prefix(&[quote]).and_then(|text| text.strip_suffix(&[quote]));
                inside == Some(value)
            }
        }
    }
}

#[derive(Eq, PartialEq)]
enum Value<'a> {
    /// The rest of the line, including blanks and a comment.
    Bare(&'a [u8]),
    /// The quote character and the text between the quotes.
    Quoted(u8, &'a [u8]),
}

impl Value<'_> {
    fn decoded(&self) -> Vec<u8> {
        match self {
            Self::Bare(text) => without_comment(text).trim_ascii().to_vec(),
            Self::Quoted(b'"', text) => unescaped(text),
            Self::Quoted(_, text) => text.to_vec(),
        }
    }
}

/// Splits off the first piece.
fn first_piece(bytes: &[u8]) -> Option<(Piece<'_>, &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    let (assignment, rest) =
        first_assignment(bytes).map_or((None, bytes), |(assignment, rest)| (Some(assignment), rest));
    let (_, rest) = split_while(rest, is_not_ending);
    let (ending, below) = rest.split_at(match rest {
        [b'\r', b'\n', ..] => 2,
        [_, ..] => 1,
        [] => 0,
    });
    let (text, _) = bytes.split_at(bytes.len() - below.len());
    Some((Piece { text, ending, assignment }, below))
}

/// Splits off the assignment at the start of the text.
fn first_assignment(bytes: &[u8]) -> Option<(Assignment<'_>, &[u8])> {
    let unprefixed = after_prefix(bytes);
    let (prefix, _) = bytes.split_at(bytes.len() - unprefixed.len());
    let (name, rest) = split_while(unprefixed, |byte| is_not_ending(byte) && !is_blank(byte) && !b"=#".contains(&byte));
    let (blanks, rest) = split_while(rest, is_blank);
    let (name, rest) = match (rest.strip_prefix(b"="), name.strip_suffix(b":")) {
        (Some(value), _) => (name, value),
        (None, Some(name)) if !blanks.is_empty() => (name, rest),
        _ => return None,
    };
    let (value, rest) = quoted(rest).unwrap_or_else(|| {
        let (text, rest) = split_while(rest, is_not_ending);
        (Value::Bare(text), rest)
    });
    (!name.is_empty()).then_some((Assignment { prefix, name, value }, rest))
}

/// Skips indentation and `export `, unless `export` is itself the name.
fn after_prefix(bytes: &[u8]) -> &[u8] {
    let (_, unindented) = split_while(bytes, is_blank);
    match unindented.strip_prefix(b"export").map(|rest| split_while(rest, is_blank)) {
        Some((blanks, rest)) if !blanks.is_empty() && !rest.starts_with(b"=") => rest,
        _ => unindented,
    }
}

/// Splits off a quoted value; `None` if there is no quote or no closing quote.
fn quoted(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (_, bytes) = split_while(bytes, is_blank);
    let (quote, inside) = bytes.split_first().filter(|(first, _)| b"\"'`".contains(first))?;
    let mut escaped = false;
    let (text, closed) = split_while(inside, |byte| {
        let closes = byte == *quote && !escaped;
        escaped = byte == b'\\' && !escaped;
        !closes
    });
    let (_, rest) = closed.split_first()?;
    let (_, tail) = split_while(rest, is_blank);
    matches!(tail, [] | [b'\r' | b'\n' | b'#', ..]).then_some((Value::Quoted(*quote, text), rest))
}

/// Removes a comment: a `#` after a blank, as in Python and `sh`.
fn without_comment(text: &[u8]) -> &[u8] {
    let comment = text.windows(2).position(|pair| matches!(pair, [b' ' | b'\t', b'#']));
    comment.and_then(|at| text.get(..at)).unwrap_or(text)
}

/// Decodes the text between double quotes.
///
/// `\n` and `\r` are read as by Node and Python, `\"` and `\\` as by Python and `sh`. Any other backslash is literal.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        let (plain, escape) = split_while(rest, |byte| byte != b'\\');
        decoded.extend_from_slice(plain);
        let (byte, after) = match escape {
            [b'\\', b'n', after @ ..] => (b'\n', after),
            [b'\\', b'r', after @ ..] => (b'\r', after),
            [b'\\', byte @ (b'"' | b'\\'), after @ ..] | [byte, after @ ..] => (*byte, after),
            [] => return decoded,
        };
        decoded.push(byte);
        rest = after;
    }
}

pub(super) fn split_while(bytes: &[u8], mut test: impl FnMut(u8) -> bool) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(|byte| !test(*byte)).unwrap_or(bytes.len()))
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub(super) fn is_not_ending(byte: u8) -> bool {
    !matches!(byte, b'\r' | b'\n')
}

pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_joined_equal_the_file() {
        let file = b"\xef\xbb\xbfA=1\r\n\r\rB='\n'\n\n\0\xff=\"";
        let texts: Vec<_> = pieces(file).map(|piece| piece.text).collect();
        assert_eq!(texts, [&b"\xef\xbb\xbf"[..], b"A=1\r\n", b"\r", b"\r", b"B='\n'\n", b"\n", b"\0\xff=\""]);
        assert_eq!(texts.concat(), file);
    }

    #[test]
    fn value_of_decodes_values() {
        let var = EnvVar::parse("A").unwrap();
        for (line, value) in [
            ("A=x", "x"),
            (" \texport\tA = x y # z", "x y"),
            ("A=", ""),
            ("A= # z", ""),
            ("A=pa#ss", "pa#ss"),
            ("A=x\\ny", "x\\ny"),
            (r#"A="x\ny \" \\ \$ # z" # w"#, "x\ny \" \\ \\$ # z"),
            (r"A='x\ny \' # z'", r"x\ny \' # z"),
            ("A=`x\"'`", "x\"'"),
            ("A='x\ny'", "x\ny"),
            ("A=\"x", "\"x"),
            ("A=\"x\" y", "\"x\" y"),
            ("A: x", "x"),
            ("A: 'x'", "x"),
        ] {
            let values: Vec<_> = pieces(line.as_bytes()).filter_map(|piece| piece.value_of(&var)).collect();
            assert_eq!(values, [value.as_bytes()], "{line}");
        }
    }

    #[test]
    fn pieces_without_assignment_assign_nothing() {
        let var = EnvVar::parse("A").unwrap();
        for line in
            ["#A=x", " # A=x", "a=x", "AA=x", "A.B=x", "A", "A:", "A:x", "A x=y", "exportA=x", "B='\nA=x\n'", "=A=x"]
        {
            assert!(!pieces(line.as_bytes()).any(|piece| piece.assigns(&var)), "{line}");
        }
        let export = EnvVar::parse("export").unwrap();
        assert_eq!(pieces(b"export =x").filter_map(|piece| piece.value_of(&export)).last().unwrap(), b"x");
    }
}
