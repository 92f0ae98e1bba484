//! What a repository keeps: every blob, commit, tag and tree that it has, reachable or not.

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
pub struct Past {
    pub repository: PathBuf,
    /// The commit that brought it; `None` where nothing points at it, such as what was only ever staged.
    pub commit: Option<String>,
    /// Where the commit put it; `None` in a message, and where there is no commit.
    pub path: Option<PathBuf>,
    /// Git's id of the object that holds it.
    pub object: String,
}

/// The work tree that `path` is in, if it is in one, by its looks.
pub fn repository_of(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|ancestor| ancestor.join(".git").exists()).map(Path::to_owned)
}

/// The folder in which the repository around `path` keeps names of branches, reflogs and its configuration, if `path`
/// is in one and git can say.
pub fn kept_around(path: &Path) -> Option<PathBuf> {
    let common = git::common_folder(&repository_of(path)?).ok()??;
    fs::real_path(&common).ok()
}

/// Searches all that the repositories of these work trees keep, each repository once; with the leaks, those that could
/// not be read to the end, and how many could.
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

/// What was found before an error counts.
fn search_one(work_tree: &Path, matcher: &Matcher, stop: &Stop, leaks: &mut Vec<Leak>) -> Result<(), GitError> {
    let mut stream = Stream::new(matcher, stop);
    let mut found = Vec::new();
    let listed = git::objects(work_tree, |object, content| {
        let mut content = content;
        let (occurrences, _) = stream.search(&mut content, object.size, Lines::Counted)?;
        found.extend(occurrences.into_iter().map(|occurrence| (object.clone(), occurrence)));
        Ok(!stop.is_asked())
    });
    let wanted = found.iter().filter(|(object, _)| !object.is_commit).map(|(object, _)| object.id.clone()).collect();
    let introduced = if found.is_empty() {
        BTreeMap::new()
    } else {
        git::introductions(work_tree, &wanted, || !stop.is_asked()).unwrap_or_default()
    };
    leaks.extend(found.into_iter().map(|(Object { id, is_commit, .. }, occurrence)| {
        let brought = introduced.get(&id);
        let own = is_commit.then(|| id.clone());
        let past = Past {
            repository: work_tree.to_owned(),
            commit: own.or_else(|| brought.map(|brought| brought.commit.clone())),
            path: brought.map(|brought| brought.path.clone()),
            object: id,
        };
        Leak { place: Place::History(past), line: occurrence.line, count: occurrence.count, known: occurrence.known }
    }));
    listed
}
