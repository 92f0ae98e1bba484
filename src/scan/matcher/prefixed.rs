//! Keys of which the beginning is known: the beginnings are few, however many keys there are.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use aho_corasick::{AhoCorasick, Input, Match, MatchKind, packed};

use super::{Known, Stretch, Tail, shown, tail};
use crate::secret::is_key_byte;

/// Looks for all beginnings at once, and at what follows only where there is one.
pub struct Prefixed {
    /// The beginnings, without those that begin with another one.
    roots: Roots,
    longest_root: usize,
    /// What may follow, for each root.
    shapes: Vec<Vec<Shape>>,
}

/// Beginnings that are looked for all at once.
enum Roots {
    /// Where the processor lacks what the other way needs.
    Automaton(AhoCorasick),
    /// Many bytes at a time.
    Simd(packed::Searcher),
}

/// Keys of one beginning and one length.
struct Shape {
    prefix: Vec<u8>,
    length: usize,
    tails: HashSet<Tail>,
}

impl Prefixed {
    pub fn of(known: &[Known]) -> Option<Self> {
        let mut tails: BTreeMap<(&[u8], usize), HashSet<Tail>> = BTreeMap::new();
        for one in known {
            if let Some((prefix, tail)) = shown(&one.mask).filter(|(prefix, _)| !prefix.is_empty()) {
                tails.entry((prefix, one.length)).or_default().insert(tail);
            }
        }
        let prefixes: BTreeSet<&[u8]> = tails.keys().map(|(prefix, _)| *prefix).collect();
        let is_root = |prefix: &[u8]| !prefixes.iter().any(|other| *other != prefix && prefix.starts_with(other));
        let roots: Vec<&[u8]> = prefixes.iter().copied().filter(|prefix| is_root(prefix)).collect();
        let mut shapes: Vec<Vec<Shape>> = roots.iter().map(|_| Vec::new()).collect();
        for ((prefix, length), tails) in tails {
            let root = roots.iter().position(|root| prefix.starts_with(root))?;
            shapes.get_mut(root)?.push(Shape { prefix: prefix.to_vec(), length, tails });
        }
        let longest_root = roots.iter().map(|root| root.len()).max()?;
        Some(Self { roots: Roots::of(&roots)?, longest_root, shapes })
    }

    /// Windows that begin and end as a known key does, and are of its length.
    pub fn propose(&self, stretch: &Stretch<'_>, consider: &mut impl FnMut(usize, &[u8])) {
        let (mut at, starts_end) = (stretch.starts.start, stretch.starts.end);
        let last = stretch.bytes.len().min(starts_end.saturating_add(self.longest_root - 1));
        while at < last
            && let Some(root) = self.roots.find(stretch.bytes, at, last)
            && root.start() < starts_end
        {
            for shape in self.shapes.get(root.pattern().as_usize()).into_iter().flatten() {
                if let Some(window) = stretch.window(root.start(), shape.length)
                    && shape.fits(window)
                {
                    consider(root.start(), window);
                }
            }
            at = root.start() + 1; // the next one may begin inside of this one
        }
    }
}

impl Roots {
    fn of(roots: &[&[u8]]) -> Option<Self> {
        let packed = packed::Config::new().builder().extend(roots).build();
        // A few short patterns cannot exceed any limit of the automaton.
        let automaton = || AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(roots).ok();
        packed.map(Self::Simd).or_else(|| automaton().map(Self::Automaton))
    }

    fn find(&self, bytes: &[u8], from: usize, to: usize) -> Option<Match> {
        match self {
            Self::Automaton(automaton) => automaton.find(Input::new(bytes).span(from..to)),
            Self::Simd(searcher) => searcher.find_in(bytes, (from..to).into()),
        }
    }
}

impl Shape {
    fn fits(&self, window: &[u8]) -> bool {
        window.starts_with(&self.prefix)
            && window.iter().copied().all(is_key_byte)
            && tail(window).is_some_and(|tail| self.tails.contains(&tail))
    }
}
