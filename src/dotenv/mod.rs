//! A lossless line editor of env files: one variable is set or removed, every other byte stays.
//!
//! A value is written only as all who may read the file read it back byte for byte: bare, as `NAME=value`, which Node's
//! `dotenv`, `python-dotenv`, `docker --env-file` and `sh` agree on; or, where `sh` would act on something in it, such as
//! the `&` of a connection string, in single quotes, which all of these but `docker --env-file` take off.

mod diagnostic;
mod python;
mod scan;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, iter, ptr,
};

use zeroize::Zeroizing;

use crate::{name::EnvVar, secret::Secret};
use scan::{Assignment, Piece, pieces};

/// The bytes of an env file. They are full of other people's secrets, so `Debug` shows none of them.
pub struct EnvText(Zeroizing<Vec<u8>>);

impl EnvText {
    /// Any bytes will do: what is not understood is kept as it is.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Every value of a variable, in order, without its quotes and escapes. Readers use the last.
    pub fn values(&self, var: &EnvVar) -> Vec<Vec<u8>> {
        pieces(&self.0).filter_map(|piece| piece.value_of(var)).collect()
    }

    /// The value that readers use.
    pub fn last(&self, var: &EnvVar) -> Option<Vec<u8>> {
        pieces(&self.0).filter_map(|piece| piece.value_of(var)).last()
    }

    /// The variables that are set, by name, each once.
    pub fn names(&self) -> BTreeSet<EnvVar> {
        let names = pieces(&self.0).filter_map(|piece| piece.assignment).filter_map(|assignment| assignment.name());
        names.filter_map(|name| EnvVar::parse(name).ok()).collect()
    }

    /// Sets the variable where it is set last, or at the end of the file.
    ///
    /// A replaced line keeps its indentation, its `export ` (which docker does not understand: the owner's choice) and
    /// its line ending. It loses a trailing comment, which docker would read as part of the value, and the spaces
    /// around `=`, at which `sh` stumbles. Behind a byte order mark, which `python-dotenv` and `sh` take for a part of the
    /// name, it moves to a line of its own. Earlier lines that set the variable go only if their value is `ours`: the rest
    /// are overruled and somebody else's.
    ///
    /// # Errors
    /// Any [`DotenvError`]; the text is then as it was.
    pub fn set(&mut self, var: &EnvVar, value: &Secret, ours: impl Fn(&[u8]) -> bool) -> Result<(), DotenvError> {
        let value = value.expose();
        let quote = match (is_bare(value), is_literal_in_quotes(value)) {
            (true, _) => NOTHING,
            (false, true) => QUOTE,
            (false, false) => return Err(DotenvError::Unrepresentable),
        };
        let old = pieces(&self.0).filter(|piece| piece.assigns(var)).last();
        let lead = old.as_ref().map_or(NOTHING, Piece::lead);
        let line = Zeroizing::new([lead, var.as_str().as_bytes(), b"=", quote, value.as_bytes(), quote].concat());
        if !reads_back(&line, var, value) {
            return Err(DotenvError::SelfCheck);
        }

        let mut edited = Zeroizing::new(Vec::with_capacity(self.0.len() + line.len() + 2 * CRLF.len()));
        for piece in pieces(&self.0) {
            // The same place in the file, not merely the same words.
            if old.as_ref().is_some_and(|old| ptr::eq(old.text, piece.text)) {
                if edited.as_slice() == scan::BOM {
                    edited.extend_from_slice(newline(&self.0));
                }
                edited.extend_from_slice(&line);
                edited.extend_from_slice(piece.ending);
            } else if !piece.value_of(var).is_some_and(|value| ours(&value)) {
                edited.extend_from_slice(piece.text);
            }
        }
        if old.is_none() {
            edited.extend_from_slice(missing_newline(&self.0));
            if edited.ends_with(CONTINUED) {
                edited.extend_from_slice(LF);
            }
            edited.extend_from_slice(&line);
            edited.extend_from_slice(newline(&self.0));
        }
        let mut values = self.values(var);
        values.pop();
        values.retain(|value| !ours(value));
        values.push(value.as_bytes().to_vec());
        let edited = self.checked(edited, var, &values)?;
        let name = var.as_str().as_bytes();
        // Where Python did not see the line that was there, it is not asked whether it sees the new one.
        let seen = python::variables(&self.0).get(name).copied();
        let must_see = old.is_none_or(|old| old.assignment.zip(seen).is_some_and(|(old, seen)| old.is_written(seen)));
        let written = Zeroizing::new([quote, value.as_bytes(), quote].concat());
        if must_see && python::variables(&edited.0).get(name) != Some(&written.as_slice()) {
            return Err(DotenvError::OpenQuote);
        }
        *self = edited;
        Ok(())
    }

    /// Removes every line, ending included, that sets the variable to a value of `ours`; true if there was one.
    ///
    /// # Errors
    /// [`DotenvError::OpenQuote`]; the text is then as it was.
    pub fn remove(&mut self, var: &EnvVar, ours: impl Fn(&[u8]) -> bool) -> Result<bool, DotenvError> {
        let mut kept = Zeroizing::new(Vec::with_capacity(self.0.len()));
        for piece in pieces(&self.0).filter(|piece| !piece.value_of(var).is_some_and(|value| ours(&value))) {
            kept.extend_from_slice(piece.text);
        }
        let mut values = self.values(var);
        values.retain(|value| !ours(value));
        let removed = kept.len() < self.0.len();
        *self = self.checked(kept, var, &values)?;
        Ok(removed)
    }

    /// `edited`, if the variable has these values there and all others are set as in `self`.
    fn checked(&self, edited: Zeroizing<Vec<u8>>, var: &EnvVar, values: &[Vec<u8>]) -> Result<Self, DotenvError> {
        let edited = Self(edited);
        let same = edited.values(var) == values && edited.others(var).eq(self.others(var));
        (same && self.keeps_for_python(&edited, var)).then_some(edited).ok_or(DotenvError::OpenQuote)
    }

    /// Whether `python-dotenv` still finds, but for the variable, all that it found as everybody does.
    fn keeps_for_python(&self, edited: &Self, var: &EnvVar) -> bool {
        let (before, after) = (python::variables(&self.0), python::variables(&edited.0));
        let mut known = BTreeMap::new();
        known.extend(self.others(var).map(|assignment| (assignment.raw_name(), assignment)));
        let mut shared = known.iter().filter_map(|(name, assignment)| {
            let (name, value) = before.get_key_value(name)?;
            assignment.is_written(value).then_some((name, value))
        });
        shared.all(|(name, value)| after.get(name) == Some(value))
    }

    fn others(&self, var: &EnvVar) -> impl Iterator<Item = Assignment<'_>> {
        pieces(&self.0).filter(|piece| !piece.assigns(var)).filter_map(|piece| piece.assignment)
    }
}

impl fmt::Debug for EnvText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnvText(…)")
    }
}

/// Why an env file was left as it was. It never quotes the file or the value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DotenvError {
    /// A quote that nobody closed stands above the variable: after the edit a line below, or the value's own quote, would
    /// close it for some reader.
    #[error("the env file has an unclosed quote, and the edit would change what it encloses")]
    OpenQuote,
    #[error("the line written to the env file would not read back as the value")]
    SelfCheck,
    #[error("the value has characters that readers of env files do not agree on")]
    Unrepresentable,
}

/// Whether the value means itself, unquoted, to every reader.
///
/// Left out are whatever a shell acts on, `#`, quotes, blanks, and `{}`, which bash expands behind `export`. Where a path
/// could begin, which is at the start and after a colon, a shell takes `~` for a home folder and zsh `=` for the path of
/// a command; some take `~` for it after `=` too.
fn is_bare(value: &str) -> bool {
    let before = iter::once(b':').chain(value.bytes());
    let fits = |(before, byte): (u8, u8)| match byte {
        b'~' => !matches!(before, b':' | b'='),
        b'=' => before != b':',
        _ => byte.is_ascii_alphanumeric() || BARE.contains(&byte),
    };
    !value.is_empty() && before.zip(value.bytes()).all(fits)
}

/// Whether the value means itself between single quotes. Left out are the quotes and the escapes that some reader acts
/// on even there, and `$`, which `python-dotenv` and docker compose may expand.
fn is_literal_in_quotes(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"$'\\`".contains(&byte))
}

/// A second opinion, from a parser that is not ours.
fn reads_back(line: &[u8], var: &EnvVar, value: &str) -> bool {
    let read = str::from_utf8(line).ok().and_then(|line| dotenv_parser::parse_dotenv(line).ok());
    read.is_some_and(|read| read.into_iter().eq([(var.as_str().to_owned(), value.to_owned())]))
}

/// What the last line lacks before another can follow. A lone CR ends a line for some readers only; made a CRLF, it
/// ends one for all.
fn missing_newline(bytes: &[u8]) -> &'static [u8] {
    match bytes.last() {
        None | Some(b'\n') => NOTHING,
        Some(b'\r') => LF,
        Some(_) => newline(bytes),
    }
}

/// The line ending in use at the end of the file. Never a lone CR, which neither docker nor `sh` takes for one.
fn newline(bytes: &[u8]) -> &'static [u8] {
    let before_last = bytes.iter().rposition(|byte| *byte == b'\n').and_then(|at| bytes.get(..at));
    if before_last.is_some_and(|text| text.ends_with(b"\r")) { CRLF } else { LF }
}

const NOTHING: &[u8] = b"";
const QUOTE: &[u8] = b"'";
const LF: &[u8] = b"\n";
const CRLF: &[u8] = b"\r\n";

/// The end of a line that `sh` continues with the next, which is left empty for it.
const CONTINUED: &[u8] = b"\\\n";

/// What may stand anywhere in a bare value, next to letters and digits.
const BARE: &[u8] = b"_-./:+,@%?!";

#[cfg(test)]
mod tests {
    use super::*;

    /// The file after the variable `A` was set to `new`; a value of `ours` begins with `our`.
    fn set(file: &[u8], value: &str) -> Result<Vec<u8>, DotenvError> {
        let mut text = EnvText::new(file.to_vec());
        let outcome = text.set(&var(), &Secret::new(value.to_owned()), ours);
        if outcome.is_err() {
            assert_eq!(text.bytes(), file);
        }
        outcome.map(|()| text.bytes().to_vec())
    }

    fn remove(file: &[u8]) -> Result<(bool, Vec<u8>), DotenvError> {
        let mut text = EnvText::new(file.to_vec());
        let removed = text.remove(&var(), ours)?;
        Ok((removed, text.bytes().to_vec()))
    }

    fn var() -> EnvVar {
        EnvVar::parse("A").unwrap()
    }

    fn ours(value: &[u8]) -> bool {
        value.starts_with(b"our")
    }

    #[test]
    fn setting_a_new_variable_appends_a_line() {
        for (before, after) in [
            ("", "A=new\n"),
            ("B=1\n", "B=1\nA=new\n"),
            ("B=1", "B=1\nA=new\n"),
            ("B=1\r\nC=2\r\n", "B=1\r\nC=2\r\nA=new\r\n"),
            ("B=1\r\nC=2", "B=1\r\nC=2\r\nA=new\r\n"),
            ("B=1\rC=2\r", "B=1\rC=2\r\nA=new\n"),
            ("\u{feff}", "\u{feff}\nA=new\n"),
            ("\u{feff}B=1", "\u{feff}B=1\nA=new\n"),
            ("# A=x\n\n", "# A=x\n\nA=new\n"),
            ("B='\nA=x\n'\n", "B='\nA=x\n'\nA=new\n"),
            ("B=C:\\\n", "B=C:\\\n\nA=new\n"),
            ("B=C:\\", "B=C:\\\n\nA=new\n"),
            ("B=C:\\\r\n", "B=C:\\\r\nA=new\r\n"),
            ("B=\"open\nC='open\n", "B=\"open\nC='open\nA=new\n"),
        ] {
            assert_eq!(set(before.as_bytes(), "new"), Ok(after.as_bytes().to_vec()), "{before:?}");
        }
        assert_eq!(set(b"\xff\0=\xfe", "new"), Ok(b"\xff\0=\xfe\nA=new\n".to_vec()));
    }

    #[test]
    fn setting_a_known_variable_replaces_its_last_line() {
        for (before, after) in [
            ("A=x\nB=1\n", "A=new\nB=1\n"),
            ("A=x", "A=new"),
            ("A=\n", "A=new\n"),
            ("\u{feff}A=x\r\nB=1", "\u{feff}\r\nA=new\r\nB=1"),
            ("\u{feff}A=x", "\u{feff}\nA=new"),
            ("A=x\rB=1\r", "A=new\rB=1\r"),
            ("\t export  A = \"x\"  # note\n", "\t export  A=new\n"),
            ("A=x # note\r\n", "A=new\r\n"),
            ("A: x\n", "A=new\n"),
            ("A='x\nB=2\n' # note\nB=1\n", "A=new\nB=1\n"),
            ("A='open\nB=2\n", "A=new\nB=2\n"),
            ("B=\"open\nA=x\nC=\"1\"\n", "B=\"open\nA=new\nC=\"1\"\n"),
            ("A=theirs\nA=ours\nA=x\nA2=ours\n", "A=theirs\nA=new\nA2=ours\n"),
            ("A=x\nA=x\n", "A=x\nA=new\n"),
        ] {
            assert_eq!(set(before.as_bytes(), "new"), Ok(after.as_bytes().to_vec()), "{before:?}");
        }
    }

    #[test]
    fn removing_takes_whole_lines_of_ours_only() {
        for (before, removed, after) in [
            ("", false, ""),
            ("A=theirs\n", false, "A=theirs\n"),
            ("#A=ours\nB='\nA=ours\n'\n", false, "#A=ours\nB='\nA=ours\n'\n"),
            ("\u{feff}export A='ours' # note\r\nB=1", true, "\u{feff}B=1"),
            ("B=1\nA=ours", true, "B=1\n"),
            ("A=ours\nA=theirs\n\nA=\"our\nkey\"\n\n", true, "A=theirs\n\n\n"),
        ] {
            assert_eq!(remove(before.as_bytes()), Ok((removed, after.as_bytes().to_vec())), "{before:?}");
        }
    }

    #[test]
    fn an_edit_that_would_close_an_open_quote_is_refused() {
        let file = b"B=\"open\nA=\"ours\"\nC=3\n\"\n";
        assert_eq!(EnvText::new(file.to_vec()).last(&EnvVar::parse("C").unwrap()).unwrap(), b"3");
        assert_eq!(set(file, "new"), Err(DotenvError::OpenQuote));
        assert_eq!(remove(file), Err(DotenvError::OpenQuote));
        // The quote may be one of the variable's own.
        let file = b"A=\"open\nA=\"ours\"\n\"\n";
        assert_eq!(set(file, "new"), Err(DotenvError::OpenQuote));
        assert_eq!(remove(file), Err(DotenvError::OpenQuote));
    }

    #[test]
    fn a_quoted_value_closes_no_quote_above_for_anybody() {
        for file in ["B='open\n", "B='open\nC=1\nA=x\n", "B=it's\nC = 'open\nD=\"1\"\n"] {
            assert_eq!(set(file.as_bytes(), "a&b"), Err(DotenvError::OpenQuote), "{file:?}");
            assert!(set(file.as_bytes(), "ab").is_ok(), "{file:?}");
        }
        // The quotes of the value that goes may be what keeps an open one above from reaching further.
        let file = b"B='open\nA='ours'\nC=1\nD=it's\n";
        assert_eq!(set(file, "new"), Err(DotenvError::OpenQuote));
        assert_eq!(remove(file), Err(DotenvError::OpenQuote));
        for file in ["B='it's\n", "B='open\n# it's\n", "B='open\nC='x y'\n", "B=it's\n", "A=x\nB='open\n", "B='x'\n"] {
            assert!(set(file.as_bytes(), "a&b").is_ok(), "{file:?}");
        }
    }

    /// To Python, all that follows the second `D` is its value, which Node takes for a part of `B`'s.
    #[test]
    fn what_readers_never_agreed_on_is_nobodys_to_keep() {
        let file = b"D: 1\nB=`\nD='\n`\nA: x\nC: y'\n";
        assert_eq!(set(file, "new"), Ok(b"D: 1\nB=`\nD='\n`\nA=new\nC: y'\n".to_vec()));
    }

    #[test]
    fn only_what_all_readers_agree_on_is_written() {
        for good in ["sk_live_0-9.aZ", "postgresql://u:p@h:5432/d?a=b", "Zm8+/w==", "a~b", "-", "+,@%?!:/_.", "export"]
        {
            assert_eq!(set(b"", good), Ok(format!("A={good}\n").into_bytes()), "{good}");
        }
        for quoted in ["~a", "a:~b", "a=~b", "=a", "a:=b", "postgresql://u:p@h/d?a=b&c=d", "a#b", "()*;<>[]^{|}"] {
            assert_eq!(set(b"", quoted), Ok(format!("A='{quoted}'\n").into_bytes()), "{quoted}");
        }
        for bad in ["", "\u{e9}"] {
            assert_eq!(set(b"", bad), Err(DotenvError::Unrepresentable), "{bad}");
        }
        for byte in b"\0\t\n\r \"$'\\`\x7f" {
            let bad = format!("a{}b", char::from(*byte));
            assert_eq!(set(b"", &bad), Err(DotenvError::Unrepresentable), "{bad:?}");
        }
    }

    #[test]
    fn a_name_the_second_parser_misreads_is_refused() {
        let var = EnvVar::parse("exported").unwrap();
        let outcome = EnvText::new(Vec::new()).set(&var, &Secret::new("x".to_owned()), ours);
        assert_eq!(outcome, Err(DotenvError::SelfCheck));
    }

    #[test]
    fn names_are_those_of_assignments() {
        let text = EnvText::new(b"#A=1\nexport B='\nC=1\n'\nD: x\nB=2\nPATH=x\n\xff=1\n".to_vec());
        let names: Vec<_> = text.names().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["B", "D"]);
    }

    #[test]
    fn nothing_here_prints_a_value() {
        assert_eq!(format!("{:?}", EnvText::new(b"A=canary".to_vec())), "EnvText(…)");
    }
}
