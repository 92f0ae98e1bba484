//! Scan: where credentials of ours stand that should stand in the env file only.

use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    time::Duration,
};

use super::Provisioner;
use crate::{
    error::Error,
    fs,
    ledger::IssuedKey,
    name::{ProjectName, ProviderKey},
    project::ProjectId,
    scan::{Known, Leak, Matcher, Place, ReadCache, Stop, Walked, kept_around, repository_of, search_history, walk},
    secret::Mask,
};

/// What to look through.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// As they were named; in a repository, its history too.
    pub paths: Vec<PathBuf>,
    /// Known places, which need not exist; only what lies there now.
    pub places: Vec<PathBuf>,
}

/// A key of ours in a place where none belongs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeakedKey {
    /// Whether it still works.
    pub live: bool,
    pub project: ProjectName,
    pub project_id: ProjectId,
    pub provider: ProviderKey,
    pub key_version: u32,
    pub mask: Mask,
    pub place: LeakPlace,
    /// The file; in a history, as the commit names it, and `None` where there is only a message or an object.
    pub file: Option<String>,
    /// Of the first occurrence, from 1; `None` in a name.
    pub line: Option<u64>,
    /// How often it is there.
    pub occurrences: u64,
    /// The work tree whose history it is in.
    pub repository: Option<String>,
    /// The commit that added it; `None` where no commit did.
    pub commit: Option<String>,
    /// Git's id of the object that holds it.
    pub object: Option<String>,
}

/// The kind of place where a key was found.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum LeakPlace {
    File,
    History,
    Name,
}

/// The result of a scan, and what was scanned.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ScanReport {
    /// Live ones first.
    pub findings: Vec<LeakedKey>,
    /// How many keys were looked for.
    pub keys_known: u64,
    pub files_read: u64,
    pub bytes_read: u64,
    pub histories_read: u64,
    pub unreadable_count: u64,
    /// Some of what could not be read.
    pub unreadable: Vec<String>,
    /// What else was left out, and why.
    pub warnings: Vec<String>,
}

impl ScanReport {
    pub fn live(&self) -> impl Iterator<Item = &LeakedKey> {
        self.findings.iter().filter(|leak| leak.live)
    }

    pub fn live_count(&self) -> u64 {
        self.live().count() as u64
    }

    pub fn dead_count(&self) -> u64 {
        self.findings.len() as u64 - self.live_count()
    }
}

/// What a watch has to say.
#[derive(Clone, Copy, Debug)]
pub enum ScanEvent<'a> {
    /// It looks at so many files and folders from now on.
    Begun { places: usize },
    /// What it has found first, or since it last said so.
    Found(&'a ScanReport),
}

/// Search, with every path absolute and free of symbolic links.
struct ScanRoots {
    roots: Vec<PathBuf>,
    /// Those of the roots whose history counts.
    named: Vec<PathBuf>,
}

/// What is looked for, and how what is found is shown.
struct ScanPlan {
    delivered: Vec<IssuedKey>,
    matcher: Matcher,
    /// The env files that hold a live key, which is where it belongs.
    expected: Vec<PathBuf>,
}

impl Provisioner {
    /// Looks through everything once.
    ///
    /// # Errors
    /// [`Error::NoPath`], or the ledger's.
    pub fn scan(&self, search: &Search, stop: &Stop) -> Result<ScanReport, Error> {
        let roots = ScanRoots::of(search)?;
        Ok(self.survey()?.look(&roots, None, stop))
    }

    /// Says that it has begun, looks through everything once and tells what it found, then each second at the files
    /// that have changed, and tells what is new. Ends when it is asked to.
    ///
    /// # Errors
    /// [`Error::NoPath`], or the ledger's.
    pub fn watch(&self, search: &Search, stop: &Stop, mut tell: impl FnMut(ScanEvent<'_>)) -> Result<(), Error> {
        let roots = ScanRoots::of(search)?;
        let (mut survey, seen) = (self.survey()?, ReadCache::default());
        tell(ScanEvent::Begun { places: roots.roots.len() });
        let first = survey.look(&roots, Some(&seen), stop);
        let mut told: HashSet<_> = first.findings.iter().map(identity).collect();
        tell(ScanEvent::Found(&first));
        while !stop.is_asked() {
            stop.pause(PAUSE);
            let delivered = self.delivered()?;
            if delivered != survey.delivered {
                // What was read before may hold a key that was not known yet.
                survey = ScanPlan::of(delivered);
                seen.forget();
            }
            if survey.delivered.is_empty() {
                continue;
            }
            let mut more = survey.show(walk(&roots.roots, &survey.matcher, Some(&seen), stop));
            more.findings.retain(|leak| told.insert(identity(leak)));
            if !more.findings.is_empty() {
                tell(ScanEvent::Found(&more));
            }
        }
        Ok(())
    }

    fn survey(&self) -> Result<ScanPlan, Error> {
        Ok(ScanPlan::of(self.delivered()?))
    }

    fn delivered(&self) -> Result<Vec<IssuedKey>, Error> {
        if self.ledger.exists() { Ok(self.ledger.issued_keys()?) } else { Ok(Vec::new()) }
    }
}

impl ScanRoots {
    fn of(search: &Search) -> Result<Self, Error> {
        let mut named = Vec::new();
        for (place, path) in search.paths.iter().enumerate() {
            named.push(fs::real_path(path).map_err(|_| Error::NoPath { position: place + 1 })?);
        }
        let places = search.places.iter().filter_map(|place| fs::real_path(place).ok());
        let around = named.iter().filter_map(|path| kept_around(path));
        let every: BTreeSet<PathBuf> = named.iter().cloned().chain(places).chain(around).collect();
        // Nothing is read twice because it was named twice.
        let inside = |path: &Path| path.ancestors().skip(1).any(|folder| every.contains(folder));
        let roots = every.iter().filter(|path| !inside(path)).cloned().collect();
        Ok(Self { roots, named })
    }
}

impl ScanPlan {
    fn of(delivered: Vec<IssuedKey>) -> Self {
        let known: Vec<Known> = delivered
            .iter()
            .map(|one| Known { fingerprint: &one.fingerprint, mask: &one.mask, length: one.length })
            .collect();
        let holders: BTreeSet<&PathBuf> =
            delivered.iter().filter(|one| one.live).map(|one| &one.owner.env_file).collect();
        let expected = holders.into_iter().map(|file| fs::resolve(file).unwrap_or_else(|_| file.clone())).collect();
        let matcher = Matcher::new(&known);
        Self { delivered, matcher, expected }
    }

    fn look(&self, roots: &ScanRoots, seen: Option<&ReadCache>, stop: &Stop) -> ScanReport {
        if self.delivered.is_empty() {
            return ScanReport::default(); // there is nothing to look for
        }
        let mut walked = walk(&roots.roots, &self.matcher, seen, stop);
        let mut work_trees: BTreeSet<PathBuf> = roots.named.iter().filter_map(|path| repository_of(path)).collect();
        let within = |tree: &&PathBuf| roots.named.iter().any(|named| tree.starts_with(named));
        work_trees.extend(walked.repositories.iter().filter(within).cloned());
        let (past, unread, histories) = search_history(&work_trees, &self.matcher, stop);
        walked.leaks.extend(past);
        let mut view = self.show(walked);
        view.histories_read = histories;
        let unread = unread.iter().map(|(tree, _)| self.matcher.censored(tree));
        view.warnings.extend(unread.map(|tree| format!("git would not show the whole history of {tree}")));
        view
    }

    fn show(&self, walked: Walked) -> ScanReport {
        let leaks = walked.leaks.into_iter().filter(|leak| !self.is_expected(leak));
        let mut findings: Vec<LeakedKey> = leaks.filter_map(|leak| self.leak(leak)).collect();
        findings.sort_by(|one, other| order(one).cmp(&order(other)));
        ScanReport {
            findings,
            keys_known: self.delivered.len() as u64,
            files_read: walked.files,
            bytes_read: walked.bytes,
            unreadable_count: walked.unreadable_count,
            unreadable: walked.unreadable.iter().map(|path| self.matcher.censored(path)).collect(),
            ..ScanReport::default()
        }
    }

    /// A live key in its own env file is no leak. A dead one is: nothing put it there to be found.
    fn is_expected(&self, leak: &Leak) -> bool {
        let Place::File(path) = &leak.place else { return false };
        let live = self.delivered.get(leak.known).filter(|one| one.live);
        let env_file = live.map(|one| &one.owner.env_file);
        env_file.is_some_and(|file| file == path || self.expected.contains(path) && leads_to(file, path))
    }

    fn leak(&self, leak: Leak) -> Option<LeakedKey> {
        let one = self.delivered.get(leak.known)?;
        let text = |path: &Path| self.matcher.censored(path);
        let (place, file, past) = match leak.place {
            Place::File(path) => (LeakPlace::File, Some(text(&path)), None),
            Place::Name(path) => (LeakPlace::Name, Some(text(&path)), None),
            Place::History(past) => (LeakPlace::History, past.path.as_deref().map(text), Some(past)),
        };
        Some(LeakedKey {
            live: one.live,
            project: one.owner.project.clone(),
            project_id: one.owner.id.clone(),
            provider: one.owner.provider.clone(),
            key_version: one.key_version,
            mask: one.mask.clone(),
            place,
            file,
            line: leak.line,
            occurrences: leak.count,
            repository: past.as_ref().map(|past| text(&past.repository)),
            commit: past.as_ref().and_then(|past| past.commit.clone()),
            object: past.map(|past| past.object),
        })
    }
}

fn leads_to(link: &Path, file: &Path) -> bool {
    fs::resolve(link).is_ok_and(|target| target == file)
}

/// Live keys first, then by project and place.
fn order(leak: &LeakedKey) -> impl Ord + '_ {
    let whose = (leak.project.as_str(), leak.project_id.as_str(), leak.provider.as_str(), leak.key_version);
    let file = (leak.mask.as_str(), leak.place, leak.file.as_deref(), leak.line, leak.occurrences);
    (!leak.live, whose, file, (leak.repository.as_deref(), leak.commit.as_deref(), leak.object.as_deref()))
}

/// What makes a leak another one. A line that moves because a file grew at its top makes a new one, which is no harm.
fn identity(leak: &LeakedKey) -> (ProjectId, u32, Option<String>, Option<String>, Option<u64>) {
    (leak.project_id.clone(), leak.key_version, leak.file.clone(), leak.object.clone(), leak.line)
}

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
