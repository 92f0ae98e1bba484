//! An env file's text and its edits.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, ptr,
};

use domain::{name::EnvVar, secret::Secret};
use zeroize::Zeroizing;

use super::{
    DotenvError,
    parser::{self, Assignment, Piece, pieces},
    python,
    quoting::{quote_for, reads_back},
};

/// The bytes of an env file. `Debug` shows none of them, because they hold secrets.
pub struct EnvText(Zeroizing<Vec<u8>>);

impl EnvText {
    /// Accepts any bytes; unrecognized lines are kept unchanged.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns every value of a variable, in order and decoded. Readers use the last.
    pub fn values(&self, var: &EnvVar) -> Vec<Vec<u8>> {
        pieces(&self.0).filter_map(|piece| piece.value_of(var)).collect()
    }

    /// Returns the value that readers use.
    pub fn last(&self, var: &EnvVar) -> Option<Vec<u8>> {
        pieces(&self.0).filter_map(|piece| piece.value_of(var)).last()
    }

    /// Returns the names of the assigned variables.
    pub fn names(&self) -> BTreeSet<EnvVar> {
        let names = pieces(&self.0).filter_map(|piece| piece.assignment).filter_map(|assignment| assignment.name());
        names.filter_map(|name| EnvVar::parse(name).ok()).collect()
    }

    /// Sets the variable at its last assignment, or at the end of the file.
    ///
    /// A replaced line keeps its indentation, its `export ` (which docker does not accept) and its line
    /// ending. It loses a trailing comment, which docker would read as part of the value, and the spaces around `=`, which
    /// `sh` rejects. After a byte order mark, which `python-dotenv` and `sh` read as part of the name, it moves to a line of
    /// its own. Earlier assignments of the variable are removed only if `is_ours` accepts their value.
    ///
    /// # Errors
    /// Any [`DotenvError`]; the text is then unchanged.
    pub fn set(&mut self, var: &EnvVar, value: &Secret, is_ours: impl Fn(&[u8]) -> bool) -> Result<(), DotenvError> {
        let value = value.expose();
        let quote = quote_for(value)?;
        let old = pieces(&self.0).filter(|piece| piece.assigns(var)).last();
        let prefix = old.as_ref().map_or(EMPTY, Piece::prefix);
        let line = Zeroizing::new([prefix, var.as_str().as_bytes(), b"=", quote, value.as_bytes(), quote].concat());
        if !reads_back(&line, var, value) {
            return Err(DotenvError::SelfCheck);
        }

        let mut edited = Zeroizing::new(Vec::with_capacity(self.0.len() + line.len() + 2 * CRLF.len()));
        for piece in pieces(&self.0) {
            // Compare positions: an equal line elsewhere is another piece.
            if old.as_ref().is_some_and(|old| ptr::eq(old.text, piece.text)) {
                if edited.as_slice() == parser::BOM {
                    edited.extend_from_slice(newline(&self.0));
                }
                edited.extend_from_slice(&line);
                edited.extend_from_slice(piece.ending);
            } else if !piece.value_of(var).is_some_and(|value| is_ours(&value)) {
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
        values.retain(|value| !is_ours(value));
        values.push(value.as_bytes().to_vec());
        let edited = self.checked(edited, var, &values)?;
        let name = var.as_str().as_bytes();
        // Skip the python-dotenv check if it already ignored the old line.
        let parsed = python::variables(&self.0).get(name).copied();
        let is_visible =
            old.is_none_or(|old| old.assignment.zip(parsed).is_some_and(|(old, parsed)| old.is_written(parsed)));
        let written = Zeroizing::new([quote, value.as_bytes(), quote].concat());
        if is_visible && python::variables(&edited.0).get(name) != Some(&written.as_slice()) {
            return Err(DotenvError::OpenQuote);
        }
        *self = edited;
        Ok(())
    }

    /// Removes every assignment whose value `is_ours` accepts; true if there was one.
    ///
    /// The line ending goes with the line.
    ///
    /// # Errors
    /// [`DotenvError::OpenQuote`]; the text is then unchanged.
    pub fn remove(&mut self, var: &EnvVar, is_ours: impl Fn(&[u8]) -> bool) -> Result<bool, DotenvError> {
        let mut kept = Zeroizing::new(Vec::with_capacity(self.0.len()));
        for piece in pieces(&self.0).filter(|piece| !piece.value_of(var).is_some_and(|value| is_ours(&value))) {
            kept.extend_from_slice(piece.text);
        }
        let mut values = self.values(var);
        values.retain(|value| !is_ours(value));
        let removed = kept.len() < self.0.len();
        *self = self.checked(kept, var, &values)?;
        Ok(removed)
    }

    /// Returns `edited` if the variable has `values` there and no other variable changed.
    fn checked(&self, edited: Zeroizing<Vec<u8>>, var: &EnvVar, values: &[Vec<u8>]) -> Result<Self, DotenvError> {
        let edited = Self(edited);
        let same = edited.values(var) == values && edited.others(var).eq(self.others(var));
        (same && self.keeps_for_python(&edited, var)).then_some(edited).ok_or(DotenvError::OpenQuote)
    }

    /// Returns whether `python-dotenv` still reads every other variable as before.
    ///
    /// Variables that it already read differently from Node do not count.
    fn keeps_for_python(&self, edited: &Self, var: &EnvVar) -> bool {
        let (before, after) = (python::variables(&self.0), python::variables(&edited.0));
        let others: BTreeMap<_, _> = self.others(var).map(|assignment| (assignment.raw_name(), assignment)).collect();
        let mut shared = others.iter().filter_map(|(name, assignment)| {
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

/// Returns what is missing at the end of the file before a line can be appended.
///
/// A lone CR ends a line for some readers only; completed to CRLF, it does for all.
fn missing_newline(bytes: &[u8]) -> &'static [u8] {
    match bytes.last() {
        None | Some(b'\n') => EMPTY,
        Some(b'\r') => LF,
        Some(_) => newline(bytes),
    }
}

/// Returns the line ending in use at the end of the file.
///
/// It is never a lone CR, which docker and `sh` do not accept.
fn newline(bytes: &[u8]) -> &'static [u8] {
    let before_last = bytes.iter().rposition(|byte| *byte == b'\n').and_then(|at| bytes.get(..at));
    if before_last.is_some_and(|text| text.ends_with(b"\r")) { CRLF } else { LF }
}

const EMPTY: &[u8] = b"";
const LF: &[u8] = b"\n";
const CRLF: &[u8] = b"\r\n";

/// A line continuation of `sh`; an empty line is written after it.
const CONTINUED: &[u8] = b"\\\n";

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the file after `A` was set; values that begin with `our` are ours.
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
    fn set_new_variable_appends_a_line() {
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
    fn set_known_variable_replaces_last_line() {
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
    fn remove_takes_whole_lines_of_our_values_only() {
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
    fn edit_that_closes_an_open_quote_is_refused() {
        let file = b"B=\"open\nA=\"ours\"\nC=3\n\"\n";
        assert_eq!(EnvText::new(file.to_vec()).last(&EnvVar::parse("C").unwrap()).unwrap(), b"3");
        assert_eq!(set(file, "new"), Err(DotenvError::OpenQuote));
        assert_eq!(remove(file), Err(DotenvError::OpenQuote));
        // The open quote may be in an earlier assignment of the same variable.
        let file = b"A=\"open\nA=\"ours\"\n\"\n";
        assert_eq!(set(file, "new"), Err(DotenvError::OpenQuote));
        assert_eq!(remove(file), Err(DotenvError::OpenQuote));
    }

    #[test]
    fn set_quoted_value_below_open_quote_is_refused() {
        for file in ["B='open\n", "B='open\nC=1\nA=x\n", "B=it's\nC = 'open\nD=\"1\"\n"] {
            assert_eq!(set(file.as_bytes(), "a&b"), Err(DotenvError::OpenQuote), "{file:?}");
            assert!(set(file.as_bytes(), "ab").is_ok(), "{file:?}");
        }
        // The quotes of the old value may end an open quote above.
        let file = b"B='open\nA='ours'\nC=1\nD=it's\n";
        assert_eq!(set(file, "new"), Err(DotenvError::OpenQuote));
        assert_eq!(remove(file), Err(DotenvError::OpenQuote));
        for file in ["B='it's\n", "B='open\n# it's\n", "B='open\nC='x y'\n", "B=it's\n", "A=x\nB='open\n", "B='x'\n"] {
            assert!(set(file.as_bytes(), "a&b").is_ok(), "{file:?}");
        }
    }

    /// Python reads everything after the second `D` as its value; Node reads it as part of the value of `B`.
    #[test]
    fn set_under_quotes_that_readers_disagree_on_succeeds() {
        let file = b"D: 1\nB=`\nD='\n`\nA: x\nC: y'\n";
        assert_eq!(set(file, "new"), Ok(b"D: 1\nB=`\nD='\n`\nA=new\nC: y'\n".to_vec()));
    }

    #[test]
    fn set_value_that_readers_disagree_on_is_refused() {
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
    fn set_name_that_second_parser_misreads_is_refused() {
        let var = EnvVar::parse("exported").unwrap();
        let outcome = EnvText::new(Vec::new()).set(&var, &Secret::new("x".to_owned()), ours);
        assert_eq!(outcome, Err(DotenvError::SelfCheck));
    }

    #[test]
    fn names_lists_assigned_variables() {
        let text = EnvText::new(b"#A=1\nexport B='\nC=1\n'\nD: x\nB=2\nPATH=x\n\xff=1\n".to_vec());
        let names: Vec<_> = text.names().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["B", "D"]);
    }

    #[test]
    fn debug_output_hides_values() {
        assert_eq!(format!("{:?}", EnvText::new(b"A=canary".to_vec())), "EnvText(…)");
    }
}
