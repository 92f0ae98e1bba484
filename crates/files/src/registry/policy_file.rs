//! Writes limits into a policy file, and keeps every other byte of it: comments, order and line endings.

use std::{path::Path, time::Duration};

use domain::visible::visible;
use toml::{Spanned, de::DeTable};

use super::{RegistryError, UserPolicy, error::SpannedProblem, file_text};
use crate::fs::{self, FsError, Lock, Privacy};

/// Why limits could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PolicyWriteError {
    #[error(transparent)]
    File(#[from] FsError),
    #[error(transparent)]
    Policy(#[from] RegistryError),
}

/// Sets keys of the table `policy`, each to a TOML number. Makes the file and its folder if they do not exist.
///
/// # Errors
/// [`PolicyWriteError`], and the file is unchanged.
pub fn set_limits(path: &Path, keys: &[(&str, String)]) -> Result<(), PolicyWriteError> {
    if let Some(folder) = path.parent() {
        fs::create_private_folder(folder)?;
    }
    let path = &fs::resolve(path).unwrap_or_else(|_| path.to_owned()); // a link stays a link
    let _lock = Lock::on_folder_of(path, LOCK_TIMEOUT)?;
    let before = file_text::read(path)?.unwrap_or_default();
    let file = visible(path).to_string();
    UserPolicy::parse(&before, &file)?;
    let mut after = before;
    for (key, value) in keys {
        after = edited(&after, key, value).map_err(|problem| problem.in_file(&file, &after))?;
    }
    UserPolicy::parse(&after, &file)?;
    Ok(fs::replace(path, after.as_bytes(), Privacy::Unchanged)?)
}

/// Returns the text with a key of the table `policy` set to a value.
fn edited(text: &str, key: &str, value: &str) -> Result<String, SpannedProblem> {
    let mark = if text.starts_with(MARK) { MARK.len() } else { 0 };
    let content = text.get(mark..).unwrap_or_default();
    let line_end = if content.contains("\r\n") { "\r\n" } else { "\n" };
    let (range, new) = edit(content, key, value, line_end)?;
    let mut edited = text.to_owned();
    edited.replace_range(mark + range.start..mark + range.end, &new);
    Ok(edited)
}

/// Returns the range of bytes to replace, and its replacement.
fn edit(
    text: &str,
    key: &str,
    value: &str,
    line_end: &str,
) -> Result<(std::ops::Range<usize>, String), SpannedProblem> {
    let root = DeTable::parse(text).map_err(|error| SpannedProblem::from_syntax(&error))?;
    let Some((name, table)) = root.get_ref().get_key_value(TABLE) else {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { line_end };
        let blank = if text.is_empty() { "" } else { line_end };
        return Ok((text.len()..text.len(), format!("{gap}{blank}[{TABLE}]{line_end}{key} = {value}{line_end}")));
    };
    let entries = table.get_ref().as_table();
    if let Some(present) = entries.and_then(|entries| entries.get(key)) {
        return Ok((present.span(), value.to_owned()));
    }
    let start = table.span().start;
    match text.get(start..).and_then(|rest| rest.chars().next()) {
        Some('[') => {
            let end = line_after(text, start);
            let gap = if text.get(..end).is_some_and(|before| before.ends_with('\n')) { "" } else { line_end };
            Ok((end..end, format!("{gap}{key} = {value}{line_end}")))
        }
        Some('{') => {
            let comma = if entries.is_some_and(|entries| !entries.is_empty()) { "," } else { "" };
            Ok((start + 1..start + 1, format!(" {key} = {value}{comma}")))
        }
        // A dotted key such as `policy.approval = "always"`.
        _ => {
            let line = line_of(text, name);
            Ok((line..line, format!("{TABLE}.{key} = {value}{line_end}")))
        }
    }
}

/// Returns where the line of a key begins.
fn line_of<T>(text: &str, key: &Spanned<T>) -> usize {
    let before = text.get(..key.span().start).unwrap_or_default();
    before.rfind('\n').map_or(0, |end| end + 1)
}

/// Returns where the line after a place begins, or the end of the text.
fn line_after(text: &str, place: usize) -> usize {
    let rest = text.get(place..).unwrap_or_default();
    rest.find('\n').map_or(text.len(), |end| place + end + 1)
}

const TABLE: &str = "policy";

/// The byte order mark that some editors write.
const MARK: &str = "\u{feff}";

/// How long a call waits for another one that writes the file.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(text: &str) -> String {
        edited(text, "monthly_budget_usd", "40").unwrap()
    }

    #[test]
    fn limit_is_written_and_other_bytes_stay() {
        for (before, after) in [
            ("", "[policy]\nmonthly_budget_usd = 40\n"),
            ("# mine\n", "# mine\n\n[policy]\nmonthly_budget_usd = 40\n"),
            (
                "[alerts]\nurl = 'https://x.example'",
                "[alerts]\nurl = 'https://x.example'\n\n[policy]\nmonthly_budget_usd = 40\n",
            ),
            (
                "[policy] # limits\napproval = 'always'\n",
                "[policy] # limits\nmonthly_budget_usd = 40\napproval = 'always'\n",
            ),
            (
                "[policy]\r\napproval = 'always'\r\n[providers.llm]\r\nmax_cap_usd = 5\r\n",
                "[policy]\r\nmonthly_budget_usd = 40\r\napproval = 'always'\r\n[providers.llm]\r\nmax_cap_usd = 5\r\n",
            ),
            ("[policy]", "[policy]\nmonthly_budget_usd = 40\n"),
            (
                "[policy]\nmonthly_budget_usd   =  100.50 # a month\n",
                "[policy]\nmonthly_budget_usd   =  40 # a month\n",
            ),
            ("policy = {}\n", "policy = { monthly_budget_usd = 40}\n"),
            ("policy = { approval = 'never' }\n", "policy = { monthly_budget_usd = 40, approval = 'never' }\n"),
            ("# a\npolicy.approval = 'never'\n", "# a\npolicy.monthly_budget_usd = 40\npolicy.approval = 'never'\n"),
            ("policy.monthly_budget_usd = 1\n", "policy.monthly_budget_usd = 40\n"),
            ("\u{feff}[policy]\nmonthly_budget_usd = 1\n", "\u{feff}[policy]\nmonthly_budget_usd = 40\n"),
        ] {
            assert_eq!(set(before), after, "{before:?}");
            UserPolicy::parse(&set(before), "p").unwrap();
        }
    }

    #[test]
    fn invalid_file_is_refused_and_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/policy.toml");
        let read = || fs::read(&path, 1024).unwrap().unwrap();
        set_limits(&path, &[("monthly_budget_usd", "7".to_owned())]).unwrap();
        assert_eq!(read(), b"[policy]\nmonthly_budget_usd = 7\n");
        for text in ["[policy", "[policy]\ncanary = 1\n"] {
            fs::replace(&path, text.as_bytes(), Privacy::Unchanged).unwrap();
            assert!(matches!(set_limits(&path, &[]), Err(PolicyWriteError::Policy(_))), "{text}");
            assert_eq!(read(), text.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn any_valid_policy_keeps_its_other_lines(
            lines in prop::collection::vec(prop_oneof![
                Just("# a comment"), Just(""), Just("approval = 'always' # why"), Just("max_live_projects = 3"),
                Just("monthly_budget_usd = 12.5"), Just("  denied = []"),
            ], 0..6),
            after in prop_oneof![Just(""), Just("[providers.llm]\nmax_cap_usd = 5\n")],
        ) {
            let text = format!("[policy]\n{}\n{after}", lines.join("\n"));
            prop_assume!(UserPolicy::parse(&text, "p").is_ok());
            let new = set(&text);
            prop_assert!(UserPolicy::parse(&new, "p").is_ok());
            let others = |text: &str| -> Vec<String> {
                text.lines().filter(|line| !line.starts_with("monthly_budget_usd")).map(str::to_owned).collect()
            };
            prop_assert_eq!(others(&new), others(&text));
            prop_assert_eq!(new.matches("monthly_budget_usd = 40").count(), 1);
        }
    }
}
