//! The walk through folders, on every core: nothing is left out because some tool ignores it, for ignored files are
//! where keys are.

use std::{
    collections::{BTreeSet, HashMap},
    io::{Seek as _, SeekFrom},
    mem,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::SystemTime,
};

use ignore::{DirEntry, WalkBuilder, WalkState};

use super::{Leak, Matcher, Place, Stop, Stream, Window, stream::Lines};
use crate::fs::{self, FsError};

/// What a walk has found and done.
#[derive(Debug, Default)]
pub struct Walked {
    pub leaks: Vec<Leak>,
    pub files: u64,
    pub bytes: u64,
    /// Work trees and bare repositories on the way, whose history is another matter.
    pub repositories: BTreeSet<PathBuf>,
    /// Some of what could not be read.
    pub unreadable: Vec<PathBuf>,
    pub unreadable_count: u64,
}

/// Sizes and times of the files that were read, so that the next walk reads only what has changed.
#[derive(Debug, Default)]
pub struct ReadCache(Mutex<HashMap<PathBuf, (u64, Option<SystemTime>)>>);

impl ReadCache {
    /// Forgets everything: the next walk reads every file.
    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Notes the file as it is now; whether that is news.
    fn is_new(&self, entry: &DirEntry) -> bool {
        let Ok(metadata) = entry.metadata() else { return true };
        let stamp = (metadata.len(), metadata.modified().ok());
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(entry.path().to_owned(), stamp) != Some(stamp)
    }
}

/// Searches these files and folders, absolute and free of symbolic links. With `seen`, only what has changed since.
pub fn walk(roots: &[PathBuf], matcher: &Matcher, seen: Option<&ReadCache>, stop: &Stop) -> Walked {
    let walked = Mutex::new(Walked::default());
    let Some((first, others)) = roots.split_first() else { return Walked::default() };
    let mut builder = WalkBuilder::new(first);
    for root in others {
        builder.add(root);
    }
    let threads = thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST_THREADS));
    builder.standard_filters(false).follow_links(false).threads(threads);
    builder.filter_entry(|entry| !is_object_store(entry));
    builder.build_parallel().run(|| {
        let own = Walked::default();
        let mut searcher = Searcher { matcher, seen, stream: Stream::new(matcher, stop), own, all: &walked };
        Box::new(move |entry| {
            if stop.is_asked() {
                return WalkState::Quit;
            }
            match entry {
                Ok(entry) => searcher.visit(&entry),
                Err(error) => searcher.unreadable(path_of(&error)),
            }
            WalkState::Continue
        })
    });
    walked.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// One thread of the walk. What it did is added to the whole when it ends.
struct Searcher<'a> {
    matcher: &'a Matcher,
    seen: Option<&'a ReadCache>,
    stream: Stream<'a>,
    own: Walked,
    all: &'a Mutex<Walked>,
}

impl Searcher<'_> {
    fn visit(&mut self, entry: &DirEntry) {
        let named = self.matcher.find(&Window::whole(entry.file_name().as_encoded_bytes()));
        let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
        let is_repository = entry.file_name() == ".git" && !entry.path_is_symlink() || is_head_of_bare(entry);
        let read = if is_file && !is_open_database(entry.path()) && self.seen.is_none_or(|seen| seen.is_new(entry)) {
            self.read(entry.path())
        } else {
            Ok((Vec::new(), None))
        };
        if is_repository && let Some(folder) = entry.path().parent() {
            self.own.repositories.insert(folder.to_owned());
        }
        let name = || Place::Name(entry.path().to_owned());
        self.own.leaks.extend(named.iter().map(|hit| Leak { place: name(), line: None, count: 1, known: hit.known }));
        match read {
            Ok((leaks, bytes)) => {
                self.own.leaks.extend(leaks);
                self.own.files += u64::from(bytes.is_some());
                self.own.bytes += bytes.unwrap_or_default();
            }
            Err(error) => self.unreadable(Some(&error.path)),
        }
    }

    /// The leaks in a file and how many bytes it has, unless it turns out to be no regular file.
    fn read(&mut self, path: &Path) -> Result<(Vec<Leak>, Option<u64>), FsError> {
        let Some((mut file, size)) = fs::open_regular(path)? else { return Ok((Vec::new(), None)) };
        let failed = |source| FsError { action: "read", path: path.to_owned(), source };
        let (mut found, bytes) = self.stream.search(&mut file, size, Lines::Skipped).map_err(failed)?;
        if found.iter().any(|one| one.line.is_none()) {
            file.seek(SeekFrom::Start(0)).map_err(failed)?;
            self.stream.number(&mut file, &mut found).map_err(failed)?;
        }
        let leak = |place, one: super::Occurrence| Leak { place, line: one.line, count: one.count, known: one.known };
        Ok((found.into_iter().map(|one| leak(Place::File(path.to_owned()), one)).collect(), Some(bytes)))
    }

    fn unreadable(&mut self, path: Option<&Path>) {
        self.own.unreadable_count += 1;
        if let Some(path) = path.filter(|_| self.own.unreadable.len() < MOST_NAMED) {
            self.own.unreadable.push(path.to_owned());
        }
    }
}

impl Drop for Searcher<'_> {
    fn drop(&mut self) {
        let own = mem::take(&mut self.own);
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.leaks.extend(own.leaks);
        all.files += own.files;
        all.bytes += own.bytes;
        all.repositories.extend(own.repositories);
        all.unreadable.extend(own.unreadable);
        all.unreadable.truncate(MOST_NAMED);
        all.unreadable_count += own.unreadable_count;
    }
}

/// Whether this is a database that this very process has open: to close it after reading would take the locks of our own
/// connection away, and another process could then remove the log under it. No key is ever in there.
fn is_open_database(path: &Path) -> bool {
    let is_named_so = path.file_name().is_some_and(|name| OPEN_DATABASES.iter().any(|ours| *ours == name));
    is_named_so && path.with_file_name("locks").is_dir()
}

/// Whether this is where git keeps its objects, compressed: they are read through git.
fn is_object_store(entry: &DirEntry) -> bool {
    entry.file_name() == "objects" && is_in_git_folder(entry) && entry.path().with_file_name("HEAD").exists()
}

/// Whether the folder of this file looks like a repository without a work tree.
fn is_head_of_bare(entry: &DirEntry) -> bool {
    entry.file_name() == "HEAD"
        && !is_in_git_folder(entry)
        && ["objects", "refs"].iter().all(|name| entry.path().with_file_name(name).is_dir())
}

fn is_in_git_folder(entry: &DirEntry) -> bool {
    entry.path().components().any(|part| part.as_os_str() == ".git")
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        _ => None,
    }
}

/// The files on which SQLite's locks are. The log, with what was written last, is read like any other file.
const OPEN_DATABASES: [&str; 4] = ["ledger.db", "ledger.db-shm", "simulated.db", "simulated.db-shm"];

/// More threads than this wait for the disk, or for one another.
const MOST_THREADS: usize = 12;

/// As many as a person reads.
const MOST_NAMED: usize = 20;
