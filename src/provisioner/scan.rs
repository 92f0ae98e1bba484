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
    scan::{Known, Leak, Matcher, Place, ReadCache, Stop, Walked, kept_around, repository_of, search_history, walk},
    view::{LeakView, ScanView},
};

/// What to look through.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// As they were named; in a repository, its history too.
    pub paths: Vec<PathBuf>,
    /// Known places, which need not exist; only what lies there now.
    pub places: Vec<PathBuf>,
}

/// What a watch has to say.
#[derive(Clone, Copy, Debug)]
pub enum ScanEvent<'a> {
    /// It looks at so many files and folders from now on.
    Begun { places: usize },
    /// What it has found first, or since it last said so.
    Found(&'a ScanView),
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
    pub fn scan(&self, search: &Search, stop: &Stop) -> Result<ScanView, Error> {
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
            count(&mut more);
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
        if self.ledger.exists() { Ok(self.ledger.issued_keys().all()?) } else { Ok(Vec::new()) }
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

    fn look(&self, roots: &ScanRoots, seen: Option<&ReadCache>, stop: &Stop) -> ScanView {
        if self.delivered.is_empty() {
            return ScanView::default(); // there is nothing to look for
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

    fn show(&self, walked: Walked) -> ScanView {
        let leaks = walked.leaks.into_iter().filter(|leak| !self.is_expected(leak));
        let mut findings: Vec<LeakView> = leaks.filter_map(|leak| self.leak(leak)).collect();
        findings.sort_by(|one, other| (other.state, one).cmp(&(one.state, other)));
        let mut view = ScanView {
            findings,
            keys_known: self.delivered.len() as u64,
            files_read: walked.files,
            bytes_read: walked.bytes,
            unreadable_count: walked.unreadable_count,
            unreadable: walked.unreadable.iter().map(|path| self.matcher.censored(path)).collect(),
            ..ScanView::default()
        };
        count(&mut view);
        view
    }

    /// A live key in its own env file is no leak. A dead one is: nothing put it there to be found.
    fn is_expected(&self, leak: &Leak) -> bool {
        let Place::File(path) = &leak.place else { return false };
        let live = self.delivered.get(leak.known).filter(|one| one.live);
        let env_file = live.map(|one| &one.owner.env_file);
        env_file.is_some_and(|file| file == path || self.expected.contains(path) && leads_to(file, path))
    }

    fn leak(&self, leak: Leak) -> Option<LeakView> {
        let one = self.delivered.get(leak.known)?;
        let text = |path: &Path| self.matcher.censored(path);
        let (found_in, file, past) = match leak.place {
            Place::File(path) => ("file", Some(text(&path)), None),
            Place::Name(path) => ("name", Some(text(&path)), None),
            Place::History(past) => ("history", past.path.as_deref().map(text), Some(past)),
        };
        Some(LeakView {
            state: if one.live { LIVE } else { "dead" },
            project: one.owner.project.to_string(),
            project_id: one.owner.id.as_str().to_owned(),
            provider: one.owner.provider.to_string(),
            key_version: one.key_version,
            api_key_masked: one.mask.as_str().to_owned(),
            found_in,
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

fn count(view: &mut ScanView) {
    let all = view.findings.len() as u64;
    view.live_count = view.findings.iter().filter(|leak| leak.state == LIVE).count() as u64;
    view.dead_count = all - view.live_count;
}

/// What makes a leak another one. A line that moves because a file grew at its top makes a new one, which is no harm.
fn identity(leak: &LeakView) -> (String, u32, Option<String>, Option<String>, Option<u64>) {
    (leak.project_id.clone(), leak.key_version, leak.file.clone(), leak.object.clone(), leak.line)
}

const LIVE: &str = "live";

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
