//! Everything that a repository keeps: its objects, reachable or not, and the commits that brought them.

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

/// The commit that brought an object, and the path under which it did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Introduced {
    pub commit: String,
    pub path: PathBuf,
}

/// The folder that all work trees of a repository share; `None` when `folder` is in none.
///
/// # Errors
/// When git cannot be asked.
pub fn common_folder(folder: &Path) -> Result<Option<PathBuf>, GitError> {
    let answer = Git { folder }.ask(&["rev-parse", "--git-common-dir"])?;
    let said = answer.text.strip_suffix('\n').filter(|said| answer.code == 0 && !said.is_empty());
    Ok(said.map(|said| folder.join(said)))
}

/// Shows every object of a repository: of all branches and stashes, and what nothing points at any more. `each` says
/// whether to go on.
///
/// # Errors
/// When git cannot be run, or does not say all, because an object is broken for instance.
pub fn objects(
    folder: &Path,
    mut each: impl FnMut(&Object, &mut dyn Read) -> io::Result<bool>,
) -> Result<(), GitError> {
    let mut git = Git { folder }.listen(&["cat-file", "--batch-all-objects", "--unordered", "--buffer", "--batch"])?;
    let (mut line, mut all) = (Vec::new(), true);
    loop {
        line.clear();
        git.output.by_ref().take(LONGEST_HEAD).read_until(b'\n', &mut line).map_err(GitError::NotRunnable)?;
        if line.is_empty() {
            return if git.ended_well() && all { Ok(()) } else { Err(GitError::Unclear) };
        }
        let Some(object) = head(&line)? else {
            all = false;
            continue;
        };
        let mut content = git.output.by_ref().take(object.size);
        let go_on = each(&object, &mut content).map_err(GitError::NotRunnable)?;
        io::copy(&mut content, &mut io::sink()).map_err(GitError::NotRunnable)?;
        if !go_on {
            return Ok(());
        }
        git.output.read_exact(&mut [0]).map_err(GitError::NotRunnable)?; // the line break after each object
    }
}

/// The first commit that brought each of these objects, as far as one did and it is found in good time and before
/// `go_on` says no.
///
/// # Errors
/// When git cannot be run.
pub fn introductions(
    folder: &Path,
    wanted: &BTreeSet<String>,
    go_on: impl Fn() -> bool,
) -> Result<BTreeMap<String, Introduced>, GitError> {
    let mut found = BTreeMap::new();
    let mut git = Git { folder }.listen(LOG)?;
    let (mut line, mut commit, deadline) = (Vec::new(), String::new(), Instant::now() + TIMEOUT);
    while found.len() < wanted.len() && Instant::now() < deadline && go_on() {
        line.clear();
        git.output.read_until(b'\n', &mut line).map_err(GitError::NotRunnable)?;
        let Some(text) = line.strip_suffix(b"\n") else { break };
        if let Some(id) = text.strip_prefix(b"commit ") {
            commit = String::from_utf8_lossy(id).into_owned();
        } else if let Some((object, path)) = brought(text)
            && wanted.contains(&object)
        {
            found.entry(object).or_insert_with(|| Introduced { commit: commit.clone(), path });
        }
    }
    Ok(found)
}

/// `ID SP KIND SP SIZE`; `None` for an object that git has a name for and cannot read. What a clone that has only a
/// part was never given is not named at all.
fn head(line: &[u8]) -> Result<Option<Object>, GitError> {
    let text = std::str::from_utf8(line).map_err(|_| GitError::Unclear)?;
    let mut words = text.split_whitespace();
    let (Some(id), Some(kind)) = (words.next(), words.next()) else { return Err(GitError::Unclear) };
    if kind == "missing" {
        return Ok(None);
    }
    let size = words.next().and_then(|size| size.parse().ok()).ok_or(GitError::Unclear)?;
    Ok(Some(Object { id: id.to_owned(), is_commit: kind == "commit", size }))
}

/// `:MODE MODE OLD NEW STATUS TAB PATH`.
fn brought(line: &[u8]) -> Option<(String, PathBuf)> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let (change, path) = line.split_at_checked(tab)?;
    let change = std::str::from_utf8(change.strip_prefix(b":")?).ok()?;
    let object = change.split(' ').nth(3)?;
    let path = unquoted(path.strip_prefix(b"\t")?);
    Some((object.to_owned(), PathBuf::from(String::from_utf8_lossy(&path).into_owned())))
}

/// A path as git quotes it when there is something odd in it.
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

/// Every change, oldest first, of all that a name or a reflog leads to; nothing of the configuration is run.
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

/// Two object ids of the longest kind would fit.
const LONGEST_HEAD: u64 = 256;

/// A history that takes longer to walk through leaves the commits of some findings unnamed.
const TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_git_quotes_them() {
        assert_eq!(unquoted(b"plain name"), b"plain name");
        assert_eq!(unquoted(br#""a\tb\nc\"d\\e\033[31m\303\274""#), "a\tb\nc\"d\\e\u{1b}[31mü".as_bytes());
    }

    #[test]
    fn a_change_names_what_it_brought() {
        let line = b":100644 100644 1111 2222 M\tsrc/a b";
        assert_eq!(brought(line), Some(("2222".to_owned(), PathBuf::from("src/a b"))));
        assert_eq!(brought(b"commit 1234"), None);
    }
}
