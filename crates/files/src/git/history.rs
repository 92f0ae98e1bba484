//! Objects of a repository, reachable or not, and the commits that introduced them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead as _, Read},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{GitError, process::Git};

/// An object of a repository.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Object {
    pub id: String,
    pub is_commit: bool,
    /// In bytes.
    pub size: u64,
}

/// The commit that introduced an object, and the path in that commit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Introduction {
    pub commit: String,
    pub path: PathBuf,
}

/// Returns the git folder that a repository's work trees share; `None` outside a repository.
pub fn common_folder(folder: &Path) -> Result<Option<PathBuf>, GitError> {
    let output = Git { folder, work_tree: None }.run(&["rev-parse", "--git-common-dir"])?;
    let path = output.text.strip_suffix('\n').filter(|path| output.code == 0 && !path.is_empty());
    Ok(path.map(|path| folder.join(path)))
}

/// Visits every object of a repository, reachable or not, until `visit` returns false.
///
/// # Errors
/// [`GitError::Unclear`] if git does not list all objects, for example because one is corrupt.
pub fn objects(
    folder: &Path,
    mut visit: impl FnMut(&Object, &mut dyn Read) -> io::Result<bool>,
) -> Result<(), GitError> {
    let mut git = Git { folder, work_tree: None }.stream(&[
        "cat-file",
        "--batch-all-objects",
        "--unordered",
        "--buffer",
        "--batch",
    ])?;
    let (mut line, mut complete) = (Vec::new(), true);
    loop {
        line.clear();
        git.output.by_ref().take(MAX_HEADER_LENGTH).read_until(b'\n', &mut line).map_err(GitError::NotRunnable)?;
        if line.is_empty() {
            return if git.finish() && complete { Ok(()) } else { Err(GitError::Unclear) };
        }
        let Some(object) = parse_header(&line)? else {
            complete = false;
            continue;
        };
        let mut content = git.output.by_ref().take(object.size);
        let go_on = visit(&object, &mut content).map_err(GitError::NotRunnable)?;
        io::copy(&mut content, &mut io::sink()).map_err(GitError::NotRunnable)?;
        if !go_on {
            return Ok(());
        }
        git.output.read_exact(&mut [0]).map_err(GitError::NotRunnable)?; // skip the line break after the object
    }
}

/// Finds the first commit that introduced each object.
///
/// Objects are missing from the result if no commit introduced them, after a timeout, or once `go_on` returns false.
pub fn introductions(
    folder: &Path,
    objects: &BTreeSet<String>,
    go_on: impl Fn() -> bool,
) -> Result<BTreeMap<String, Introduction>, GitError> {
    let mut introductions = BTreeMap::new();
    let mut git = Git { folder, work_tree: None }.stream(LOG)?;
    let (mut line, mut commit, deadline) = (Vec::new(), String::new(), Instant::now() + TIMEOUT);
    while introductions.len() < objects.len() && Instant::now() < deadline && go_on() {
        line.clear();
        git.output.read_until(b'\n', &mut line).map_err(GitError::NotRunnable)?;
        let Some(text) = line.strip_suffix(b"\n") else { break };
        if let Some(id) = text.strip_prefix(b"commit ") {
            commit = String::from_utf8_lossy(id).into_owned();
        } else if let Some((object, path)) = parse_change(text)
            && objects.contains(&object)
        {
            introductions.entry(object).or_insert_with(|| Introduction { commit: commit.clone(), path });
        }
    }
    Ok(introductions)
}

/// Parses `ID SP KIND SP SIZE`; `None` for an object that git lists but cannot read.
///
/// Objects that a partial clone never fetched are not listed.
fn parse_header(line: &[u8]) -> Result<Option<Object>, GitError> {
    let text = std::str::from_utf8(line).map_err(|_| GitError::Unclear)?;
    let mut words = text.split_whitespace();
    let (Some(id), Some(kind)) = (words.next(), words.next()) else { return Err(GitError::Unclear) };
    if kind == "missing" {
        return Ok(None);
    }
    let size = words.next().and_then(|size| size.parse().ok()).ok_or(GitError::Unclear)?;
    Ok(Some(Object { id: id.to_owned(), is_commit: kind == "commit", size }))
}

/// Parses `:MODE MODE OLD NEW STATUS TAB PATH`.
fn parse_change(line: &[u8]) -> Option<(String, PathBuf)> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let (change, path) = line.split_at_checked(tab)?;
    let change = std::str::from_utf8(change.strip_prefix(b":")?).ok()?;
    let object = change.split(' ').nth(3)?;
    let path = unquoted(path.strip_prefix(b"\t")?);
    Some((object.to_owned(), PathBuf::from(String::from_utf8_lossy(&path).into_owned())))
}

/// Decodes a path that git quoted because of special characters.
fn unquoted(path: &[u8]) -> Vec<u8> {
    let Some(inside) = path.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return path.to_vec();
    };
    let (mut bytes, mut rest) = (Vec::new(), inside);
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let octal = rest.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            bytes.push(byte);
            rest = rest.get(3..).unwrap_or_default();
        } else if let Some((letter, after)) = rest.split_first() {
            rest = after;
            bytes.push(match letter {
                b'a' => 7,
                b'b' => 8,
                b't' => b'\t',
                b'n' => b'\n',
                b'v' => 11,
                b'f' => 12,
                b'r' => b'\r',
                other => *other,
            });
        }
    }
    bytes
}

/// Lists the changes of all refs and reflogs, oldest first, without running configured programs.
const LOG: &[&str] = &[
    "-c",
    "core.quotePath=false",
    "-c",
    "log.showRoot=true",
    "-c",
    "log.showSignature=false",
    "log",
    "--all",
    "--reflog",
    "--reverse",
    "--diff-merges=separate",
    "--raw",
    "--no-abbrev",
    "--no-renames",
    "--no-ext-diff",
    "--no-textconv",
    "--no-notes",
    "--no-color",
    "--format=commit %H",
];

/// Room for two object ids of the longest kind.
const MAX_HEADER_LENGTH: u64 = 256;

/// Findings of a longer history keep no commit.
const TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoted_decodes_quoted_paths() {
        assert_eq!(unquoted(b"plain name"), b"plain name");
        assert_eq!(unquoted(br#""a\tb\nc\"d\\e\033[31m\303\274""#), "a\tb\nc\"d\\e\u{1b}[31mü".as_bytes());
    }

    #[test]
    fn parse_change_returns_new_object_and_path() {
        let line = b":100644 100644 1111 2222 M\tsrc/a b";
        assert_eq!(parse_change(line), Some(("2222".to_owned(), PathBuf::from("src/a b"))));
        assert_eq!(parse_change(b"commit 1234"), None);
    }
}
