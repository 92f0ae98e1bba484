//! Finds issued keys outside the env file that they belong to.

use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use domain::{
    name::{ProjectName, ProviderKey},
    project::ProjectId,
    secret::Mask,
};
use files::{
    fs,
    scan::{
        KnownKey, Leak, Matcher, Place, ReadCache, Stop, WalkReport, git_folder_of, repository_of, search_history, walk,
    },
};
use storage::ledger::IssuedKey;

use super::Ports;
use crate::error::Error;

/// What to scan.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Paths as the user named them; in a repository, its history too.
    pub paths: Vec<PathBuf>,
    /// Known places, which need not exist; without their history.
    pub places: Vec<PathBuf>,
    /// For the keys of every workspace.
    pub everywhere: bool,
}

/// An issued key in a place where none belongs.
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

    pub fn revoked_count(&self) -> u64 {
        self.findings.len() as u64 - self.live_count()
    }
}

/// What a watch reports.
#[derive(Clone, Copy, Debug)]
pub enum ScanEvent<'a> {
    /// It watches so many files and folders from now on.
    Begun { places: usize },
    /// The first findings, or the new ones.
    Found(&'a ScanReport),
}

/// Search, with every path absolute and free of symbolic links.
struct ScanRoots {
    roots: Vec<PathBuf>,
    /// Those of the roots whose history counts.
    named: Vec<PathBuf>,
}

/// The keys to look for, and how findings are reported.
struct ScanPlan {
    issued: Vec<IssuedKey>,
    matcher: Matcher,
    /// The env files that hold a live key, where it belongs.
    expected: Vec<PathBuf>,
}

/// Finds issued keys in files and in git's history.
pub struct LeakScan {
    pub(super) ports: Arc<Ports>,
}

impl LeakScan {
    /// Scans everything once.
    ///
    /// # Errors
    /// [`Error::NoPath`].
    pub fn scan(&self, search: &Search, stop: &Stop) -> Result<ScanReport, Error> {
        let roots = ScanRoots::new(search)?;
        Ok(self.plan(search.everywhere)?.run(&roots, None, stop))
    }

    /// Scans everything once, then every second the files that have changed, until `stop`. Reports new findings only.
    ///
    /// # Errors
    /// [`Error::NoPath`].
    pub fn watch(&self, search: &Search, stop: &Stop, mut report: impl FnMut(ScanEvent<'_>)) -> Result<(), Error> {
        let roots = ScanRoots::new(search)?;
        let (mut plan, cache) = (self.plan(search.everywhere)?, ReadCache::default());
        report(ScanEvent::Begun { places: roots.roots.len() });
        let first = plan.run(&roots, Some(&cache), stop);
        let mut reported: HashSet<_> = first.findings.iter().map(identity).collect();
        report(ScanEvent::Found(&first));
        while !stop.is_requested() {
            stop.pause(PAUSE);
            let issued = self.issued_keys(search.everywhere)?;
            if issued != plan.issued {
                // Files read before may hold a key that was not known then.
                plan = ScanPlan::new(issued);
                cache.clear();
            }
            if plan.issued.is_empty() {
                continue;
            }
            let mut more = plan.report(walk(&roots.roots, &plan.matcher, Some(&cache), stop));
            more.findings.retain(|leak| reported.insert(identity(leak)));
            if !more.findings.is_empty() {
                report(ScanEvent::Found(&more));
            }
        }
        Ok(())
    }

    fn plan(&self, everywhere: bool) -> Result<ScanPlan, Error> {
        Ok(ScanPlan::new(self.issued_keys(everywhere)?))
    }

    fn issued_keys(&self, everywhere: bool) -> Result<Vec<IssuedKey>, Error> {
        match self.ports.ledger.exists() {
            false => Ok(Vec::new()),
            true if everywhere => Ok(self.ports.ledger.issued_keys().all_everywhere()?),
            true => Ok(self.ports.ledger.issued_keys().all()?),
        }
    }
}

impl ScanRoots {
    fn new(search: &Search) -> Result<Self, Error> {
        let mut named = Vec::new();
        for (place, path) in search.paths.iter().enumerate() {
            named.push(fs::real_path(path).map_err(|_| Error::NoPath { position: place + 1 })?);
        }
        let places = search.places.iter().filter_map(|place| fs::real_path(place).ok());
        let around = named.iter().filter_map(|path| git_folder_of(path));
        let every: BTreeSet<PathBuf> = named.iter().cloned().chain(places).chain(around).collect();
        // A place that is named twice is read once.
        let inside = |path: &Path| path.ancestors().skip(1).any(|folder| every.contains(folder));
        let roots = every.iter().filter(|path| !inside(path)).cloned().collect();
        Ok(Self { roots, named })
    }
}

impl ScanPlan {
    fn new(issued: Vec<IssuedKey>) -> Self {
        let known: Vec<KnownKey> = issued
            .iter()
            .map(|one| KnownKey { fingerprint: &one.fingerprint, mask: &one.mask, length: one.length })
            .collect();
        let holders: BTreeSet<&PathBuf> = issued.iter().filter(|one| one.live).map(|one| &one.owner.env_file).collect();
        let expected = holders.into_iter().map(|file| fs::resolve(file).unwrap_or_else(|_| file.clone())).collect();
        let matcher = Matcher::new(&known);
        Self { issued, matcher, expected }
    }

    fn run(&self, roots: &ScanRoots, cache: Option<&ReadCache>, stop: &Stop) -> ScanReport {
        if self.issued.is_empty() {
            return ScanReport::default(); // there is nothing to look for
        }
        let mut walked = walk(&roots.roots, &self.matcher, cache, stop);
        let mut work_trees: BTreeSet<PathBuf> = roots.named.iter().filter_map(|path| repository_of(path)).collect();
        let within = |tree: &&PathBuf| roots.named.iter().any(|named| tree.starts_with(named));
        work_trees.extend(walked.repositories.iter().filter(within).cloned());
        let (past, unread, histories) = search_history(&work_trees, &self.matcher, stop);
        walked.leaks.extend(past);
        let mut report = self.report(walked);
        report.histories_read = histories;
        let unread = unread.iter().map(|(tree, _)| self.matcher.censored(tree));
        report.warnings.extend(unread.map(|tree| format!("git would not show the whole history of {tree}")));
        report
    }

    fn report(&self, walked: WalkReport) -> ScanReport {
        let leaks = walked.leaks.into_iter().filter(|leak| !self.is_expected(leak));
        let mut findings: Vec<LeakedKey> = leaks.filter_map(|leak| self.leak(leak)).collect();
        findings.sort_by(|one, other| order(one).cmp(&order(other)));
        ScanReport {
            findings,
            keys_known: self.issued.len() as u64,
            files_read: walked.files,
            bytes_read: walked.bytes,
            unreadable_count: walked.unreadable_count,
            unreadable: walked.unreadable.iter().map(|path| self.matcher.censored(path)).collect(),
            ..ScanReport::default()
        }
    }

    /// Whether the finding is a live key in its own env file. A revoked key there is a leak.
    fn is_expected(&self, leak: &Leak) -> bool {
        let Place::File(path) = &leak.place else { return false };
        let live = self.issued.get(leak.index).filter(|one| one.live);
        let env_file = live.map(|one| &one.owner.env_file);
        env_file.is_some_and(|file| file == path || self.expected.contains(path) && leads_to(file, path))
    }

    fn leak(&self, leak: Leak) -> Option<LeakedKey> {
        let one = self.issued.get(leak.index)?;
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

/// Identifies a leak. A line that moves makes another one, which does no harm.
fn identity(leak: &LeakedKey) -> (ProjectId, u32, Option<String>, Option<String>, Option<u64>) {
    (leak.project_id.clone(), leak.key_version, leak.file.clone(), leak.object.clone(), leak.line)
}

/// The pause between two scans of a watch.
const PAUSE: Duration = Duration::from_secs(1);
