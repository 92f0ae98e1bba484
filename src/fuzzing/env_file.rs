//! Env file edits: delivery, rotation and removal keep every other byte.

use domain::{name::EnvVar, secret::Secret};
use files::dotenv::{DotenvError, EnvText};

use super::first_line;

/// Edits a file: the first line is the value, the rest the file.
///
/// The variables are those of the file and a new one.
///
/// # Panics
/// If a byte that we did not write is lost, or a value does not read back.
pub fn env_file(bytes: &[u8]) {
    let (value, file) = first_line(bytes);
    let Ok(value) = str::from_utf8(value) else { return };
    let names = EnvText::new(file.to_vec()).names();
    for var in names.into_iter().take(MAX_VARIABLES).chain(EnvVar::parse("NAME")) {
        check_edits(file, &var, value);
    }
}

fn check_edits(file: &[u8], var: &EnvVar, value: &str) {
    let is_ours = |present: &[u8]| present == value.as_bytes() || present == ROTATED.as_bytes();
    let before = EnvText::new(file.to_vec());
    let values = before.values(var);
    let mut text = EnvText::new(file.to_vec());
    assert_eq!(text.remove(var, |_| false), Ok(false));
    assert!(text.bytes() == file, "a removal of nothing changed the file");

    if text.set(var, &Secret::new(value.to_owned()), |_| false).is_err() {
        assert!(text.bytes() == file, "a refused edit changed the file");
        return;
    }
    assert_holds(&text, &before, var, value);
    if values.is_empty() {
        let added = text.bytes().strip_prefix(file).map(<[u8]>::trim_ascii);
        let line = |quote: &str| format!("{var}={quote}{value}{quote}").into_bytes();
        assert!(added == Some(&line("")) || added == Some(&line("'")), "more than a line was added");
    } else {
        assert!(is_one_replacement(file, text.bytes(), var), "more than a line was replaced");
    }
    let delivered = text.bytes().to_vec();
    let again = text.set(var, &Secret::new(value.to_owned()), |_| false);
    assert!(again.is_ok() && text.bytes() == delivered, "a second delivery is not the first");

    let rotated = text.set(var, &Secret::new(ROTATED.to_owned()), |_| false);
    match rotated {
        Ok(()) => assert_holds(&text, &before, var, ROTATED),
        // An open quote above the variable may extend to a line below it.
        Err(error) => assert!(error == DotenvError::OpenQuote && !values.is_empty(), "{error}"),
    }
    match text.remove(var, is_ours) {
        Ok(removed) => assert!(removed, "the delivered value was not removed"),
        Err(error) => return assert!(error == DotenvError::OpenQuote && !values.is_empty(), "{error}"),
    }
    if values.is_empty() {
        let rest = text.bytes().strip_prefix(file);
        assert!(
            matches!(rest, Some(b"" | b"\n" | b"\n\n" | b"\r\n")),
            "the file did not return to its original content"
        );
    } else {
        let (_, earlier) = values.split_last().unwrap_or((&Vec::new(), &[]));
        let foreign: Vec<_> = earlier.iter().filter(|value| !is_ours(value)).cloned().collect();
        assert!(text.values(var) == foreign, "a foreign value was removed");
    }
    assert_others_are_the_same(&text, &before, var);
}

fn assert_holds(text: &EnvText, before: &EnvText, var: &EnvVar, value: &str) {
    assert!(text.last(var).as_deref() == Some(value.as_bytes()), "the value does not read back");
    assert_others_are_the_same(text, before, var);
}

fn assert_others_are_the_same(text: &EnvText, before: &EnvText, var: &EnvVar) {
    let (mut now, mut then) = (text.names(), before.names());
    now.remove(var);
    then.remove(var);
    assert!(now == then, "another variable was added or removed");
    assert!(then.iter().all(|other| text.values(other) == before.values(other)), "another variable changed");
}

/// Returns whether the only difference is one range that begins with the variable's name.
fn is_one_replacement(before: &[u8], after: &[u8], var: &EnvVar) -> bool {
    // After a byte order mark the line moves to the next one.
    let moved = before.strip_prefix(BOM).zip(after.strip_prefix(BOM));
    let moved = moved.and_then(|(before, after)| {
        let after = after.strip_prefix(b"\n").or_else(|| after.strip_prefix(b"\r\n"))?;
        (!before.starts_with(b"\n") && !before.starts_with(b"\r\n")).then_some((before, after))
    });
    let (before, after) = moved.unwrap_or((before, after));
    let same = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let name = var.as_str().as_bytes();
    // The ranges may share a prefix, so the name begins at or before the first difference.
    (0..=same).rev().any(|at| {
        let (Some(old), Some(new)) = (before.get(at..), after.get(at..)) else { return false };
        let (old_line, new_line) = (old.starts_with(name), new.starts_with(name));
        let line_end = new.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(new.len());
        let tail = new.get(line_end..).unwrap_or_default();
        old_line && new_line && old.ends_with(tail)
    })
}

const BOM: &[u8] = b"\xef\xbb\xbf";

const ROTATED: &str = "sk_rotated_0123456789";

/// Limits the edited variables of a file; otherwise the time grows with the square of its length.
const MAX_VARIABLES: usize = 6;
