//! Searches every blob, commit, tag and tree of a repository, reachable or not.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{Leak, Matcher, Place, Stop, Stream, stream::Lines};
use crate::{
    fs,
    git::{self, GitError, Object},
};

/// A place in the history of a repository.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct HistoryLocation {
    pub repository: PathBuf,
    /// The commit that introduced it; `None` if no commit did, for example if it was only staged.
    pub commit: Option<String>,
    /// The path in that commit; `None` in a commit message or without a commit.
    pub path: Option<PathBuf>,
    /// The id of the git object that holds it.
    pub object: String,
}

/// Returns the work tree around `path`, recognized by its `.git`.
pub fn repository_of(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|ancestor| ancestor.join(".git").exists()).map(Path::to_owned)
}

/// Returns the git folder of the repository around `path`, with its refs, reflogs and configuration.
pub fn git_folder_of(path: &Path) -> Option<PathBuf> {
    let common = git::common_folder(&repository_of(path)?).ok()??;
    fs::real_path(&common).ok()
}

/// Searches the history of these work trees' repositories, each repository once.
///
/// Returns the leaks, the repositories that could not be read completely, and the number of those that could.
pub fn search_history(
    work_trees: &BTreeSet<PathBuf>,
    matcher: &Matcher,
    stop: &Stop,
) -> (Vec<Leak>, Vec<(PathBuf, GitError)>, u64) {
    let (mut leaks, mut unread, mut read) = (Vec::new(), Vec::new(), 0);
    let mut done = BTreeSet::new();
    for work_tree in work_trees {
        let outcome = git::common_folder(work_tree).and_then(|common| {
            let common = common.ok_or(GitError::Unclear)?;
            if !done.insert(fs::real_path(&common).unwrap_or(common)) {
                return Ok(());
            }
            search_one(work_tree, matcher, stop, &mut leaks)?;
            read += 1;
            Ok(())
        });
        if let Err(error) = outcome {
            unread.push((work_tree.clone(), error));
        }
    }
    (leaks, unread, read)
}

/// Searches one repository; leaks found before an error are kept.
fn search_one(work_tree: &Path, matcher: &Matcher, stop: &Stop, leaks: &mut Vec<Leak>) -> Result<(), GitError> {
    let mut stream = Stream::new(matcher, stop);
    let mut occurrences_by_object = Vec::new();
    let outcome = git::objects(work_tree, |object, content| {
        let mut content = content;
        let (occurrences, _) = stream.search(&mut content, object.size, Lines::Counted)?;
        occurrences_by_object.extend(occurrences.into_iter().map(|occurrence| (object.clone(), occurrence)));
        Ok(!stop.is_requested())
    });
    let objects = occurrences_by_object
        .iter()
        .filter(|(object, _)| !object.is_commit)
        .map(|(object, _)| object.id.clone())
        .collect();
    let introductions = if occurrences_by_object.is_empty() {
        BTreeMap::new()
    } else {
        git::introductions(work_tree, &objects, || !stop.is_requested()).unwrap_or_default()
    };
    leaks.extend(occurrences_by_object.into_iter().map(|(Object { id, is_commit, .. }, occurrence)| {
        let introduction = introductions.get(&id);
        let own = is_commit.then(|| id.clone());
        let location = HistoryLocation {
            repository: work_tree.to_owned(),
            commit: own.or_else(|| introduction.map(|introduction| introduction.commit.clone())),
            path: introduction.map(|introduction| introduction.path.clone()),
            object: id,
        };
        Leak {
            place: Place::History(location),
            line: occurrence.line,
            count: occurrence.count,
            index: occurrence.index,
        }
    }));
    outcome
}
