//! Searches folders in parallel. Ignore rules do not apply, because ignored files often hold keys.

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

/// The leaks and statistics of a walk.
#[derive(Debug, Default)]
pub struct WalkReport {
    pub leaks: Vec<Leak>,
    pub files: u64,
    pub bytes: u64,
    /// Work trees and bare repositories on the way; their history is searched separately.
    pub repositories: BTreeSet<PathBuf>,
    /// The first unreadable paths.
    pub unreadable: Vec<PathBuf>,
    pub unreadable_count: u64,
}

/// Sizes and times of read files, so that the next walk reads only changed files.
#[derive(Debug, Default)]
pub struct ReadCache(Mutex<HashMap<PathBuf, (u64, Option<SystemTime>)>>);

impl ReadCache {
    /// Clears the cache, so that the next walk reads every file.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Records the file's state; true if it is new or changed.
    fn update(&self, entry: &DirEntry) -> bool {
        let Ok(metadata) = entry.metadata() else { return true };
        let stamp = (metadata.len(), metadata.modified().ok());
        let mut stamps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stamps.insert(entry.path().to_owned(), stamp) != Some(stamp)
    }
}

/// Searches files and folders, given as canonical paths. With a cache, skips unchanged files.
pub fn walk(roots: &[PathBuf], matcher: &Matcher, cache: Option<&ReadCache>, stop: &Stop) -> WalkReport {
    let report = Mutex::new(WalkReport::default());
    let Some((first, others)) = roots.split_first() else { return WalkReport::default() };
    let mut builder = WalkBuilder::new(first);
    for root in others {
        builder.add(root);
    }
    let threads = thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_THREADS));
    builder.standard_filters(false).follow_links(false).threads(threads);
    builder.filter_entry(|entry| !is_object_store(entry));
    builder.build_parallel().run(|| {
        let own = WalkReport::default();
        let mut searcher = Searcher { matcher, cache, stream: Stream::new(matcher, stop), own, all: &report };
        Box::new(move |entry| {
            if stop.is_requested() {
                return WalkState::Quit;
            }
            match entry {
                Ok(entry) => searcher.visit(&entry),
                Err(error) => searcher.unreadable(path_of(&error)),
            }
            WalkState::Continue
        })
    });
    report.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// One thread of the walk. It adds its results to the report when dropped.
struct Searcher<'a> {
    matcher: &'a Matcher,
    cache: Option<&'a ReadCache>,
    stream: Stream<'a>,
    own: WalkReport,
    all: &'a Mutex<WalkReport>,
}

impl Searcher<'_> {
    fn visit(&mut self, entry: &DirEntry) {
        let name_hits = self.matcher.find(&Window::whole(entry.file_name().as_encoded_bytes()));
        let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
        let is_repository = entry.file_name() == ".git" && !entry.path_is_symlink() || is_head_of_bare(entry);
        let read = if is_file && !is_open_database(entry.path()) && self.cache.is_none_or(|cache| cache.update(entry)) {
            self.read(entry.path())
        } else {
            Ok((Vec::new(), None))
        };
        if is_repository && let Some(folder) = entry.path().parent() {
            self.own.repositories.insert(folder.to_owned());
        }
        let name = || Place::Name(entry.path().to_owned());
        self.own.leaks.extend(name_hits.iter().map(|hit| Leak {
            place: name(),
            line: None,
            count: 1,
            index: hit.index,
        }));
        match read {
            Ok((leaks, bytes)) => {
                self.own.leaks.extend(leaks);
                self.own.files += u64::from(bytes.is_some());
                self.own.bytes += bytes.unwrap_or_default();
            }
            Err(error) => self.unreadable(Some(&error.path)),
        }
    }

    /// Searches a file; returns its leaks and size. The size of a special file is `None`.
    fn read(&mut self, path: &Path) -> Result<(Vec<Leak>, Option<u64>), FsError> {
        let Some((mut file, size)) = fs::open_regular(path)? else { return Ok((Vec::new(), None)) };
        let failed = |source| FsError { action: "read", path: path.to_owned(), source };
        let (mut occurrences, bytes) = self.stream.search(&mut file, size, Lines::Skipped).map_err(failed)?;
        if occurrences.iter().any(|one| one.line.is_none()) {
            file.seek(SeekFrom::Start(0)).map_err(failed)?;
            self.stream.number(&mut file, &mut occurrences).map_err(failed)?;
        }
        let leak = |place, one: super::Occurrence| Leak { place, line: one.line, count: one.count, index: one.index };
        Ok((occurrences.into_iter().map(|one| leak(Place::File(path.to_owned()), one)).collect(), Some(bytes)))
    }

    fn unreadable(&mut self, path: Option<&Path>) {
        self.own.unreadable_count += 1;
        if let Some(path) = path.filter(|_| self.own.unreadable.len() < MAX_NAMED) {
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
        all.unreadable.truncate(MAX_NAMED);
        all.unreadable_count += own.unreadable_count;
    }
}

/// Returns whether this process may have the file open as a database.
///
/// Closing it after reading would release the locks of our own connection, and another process could then remove its log.
/// These databases never hold a key.
fn is_open_database(path: &Path) -> bool {
    let has_name = path.file_name().is_some_and(|name| OPEN_DATABASES.iter().any(|ours| *ours == name));
    has_name && path.with_file_name("locks").is_dir()
}

/// Returns whether this is a git object folder, whose compressed objects are read through git.
fn is_object_store(entry: &DirEntry) -> bool {
    entry.file_name() == "objects" && is_in_git_folder(entry) && entry.path().with_file_name("HEAD").exists()
}

/// Returns whether this file is the `HEAD` of a bare repository.
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

/// The files that SQLite locks. Its write-ahead log is read like any other file.
const OPEN_DATABASES: [&str; 4] = ["ledger.db", "ledger.db-shm", "simulated.db", "simulated.db-shm"];

/// More threads only wait for the disk or for each other.
const MAX_THREADS: usize = 12;

/// The limit of a readable list.
const MAX_NAMED: usize = 20;
