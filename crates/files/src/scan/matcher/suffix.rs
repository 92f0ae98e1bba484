//! Matches keys whose mask shows the last four characters and often a prefix.

use std::ops::Range;

use domain::secret::is_key_byte;
use rustc_hash::FxHashMap;

use super::{KnownKey, Tail, Window, run_scanner::RunScanner, visible};

/// Proposes windows in long runs of key bytes that end with a known key's last four.
pub struct SuffixMatcher {
    scanner: RunScanner,
    prefilter: Prefilter,
    /// Indices of `shapes`.
    by_tail: FxHashMap<Tail, Vec<usize>>,
    shapes: Vec<Shape>,
    shortest: usize,
}

/// The common prefix and length of some keys.
#[derive(Eq, PartialEq)]
struct Shape {
    /// Empty if unknown.
    prefix: Vec<u8>,
    length: usize,
}

impl SuffixMatcher {
    pub fn from_keys(keys: &[KnownKey<'_>]) -> Option<Self> {
        let mut by_tail: FxHashMap<Tail, Vec<usize>> = FxHashMap::default();
        let mut shapes: Vec<Shape> = Vec::new();
        for key in keys {
            let Some((prefix, tail)) = visible(key.mask) else { continue };
            let same = |shape: &Shape| shape.prefix == prefix && shape.length == key.length;
            let place = shapes.iter().position(same).unwrap_or_else(|| {
                shapes.push(Shape { prefix: prefix.to_vec(), length: key.length });
                shapes.len() - 1
            });
            let places = by_tail.entry(tail).or_default();
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let shortest = shapes.iter().map(|shape| shape.length).min()?;
        let scanner = RunScanner::new(shortest, |byte| !is_key_byte(byte));
        Some(Self { scanner, prefilter: Prefilter::new(by_tail.keys()), by_tail, shapes, shortest })
    }

    /// Calls `consider` for windows with the prefix, suffix and length of a known key.
    pub fn propose(&self, window: &Window<'_>, consider: &mut impl FnMut(usize, &[u8])) {
        self.scanner.for_each(window, |run| self.propose_in_run(window, run, consider));
    }

    fn propose_in_run(&self, window: &Window<'_>, run: Range<usize>, consider: &mut impl FnMut(usize, &[u8])) {
        // No key ends before the end of the shortest window.
        let first = run.start + self.shortest.saturating_sub(TAIL);
        let Some(ends) = window.bytes.get(first..run.end) else { return };
        for (place, four) in ends.windows(TAIL).enumerate() {
            let Some(tail) = four.first_chunk().map(|four| Tail::from_le_bytes(*four)) else { continue };
            if !self.prefilter.may_contain(tail) {
                continue;
            }
            let shapes = self.by_tail.get(&tail).into_iter().flatten().filter_map(|place| self.shapes.get(*place));
            for shape in shapes {
                if let Some(start) = (first + place + TAIL).checked_sub(shape.length)
                    && start >= run.start
                    && start < window.starts.end
                    && let Some(window) = window.slice(start, shape.length)
                    && window.starts_with(&shape.prefix)
                {
                    consider(start, window);
                }
            }
        }
    }
}

/// Excludes most unknown tails with one lookup, like a Bloom filter with one hash.
struct Prefilter(Vec<u64>);

impl Prefilter {
    fn new<'a>(tails: impl Iterator<Item = &'a Tail>) -> Self {
        let mut words = vec![0; 1 << (PREFILTER_BITS - 6)];
        for tail in tails {
            let (word, bit) = place(*tail);
            if let Some(word) = words.get_mut(word) {
                *word |= bit;
            }
        }
        Self(words)
    }

    fn may_contain(&self, tail: Tail) -> bool {
        let (word, bit) = place(tail);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

fn place(tail: Tail) -> (usize, u64) {
    let hash = tail.wrapping_mul(0x9E37_79B1) >> (32 - PREFILTER_BITS);
    ((hash >> 6) as usize, 1 << (hash & 63))
}

/// The length of a tail in bytes.
const TAIL: usize = size_of::<Tail>();

/// 32 KiB, which fits into the L1 cache; 10,000 tails set few of its bits.
const PREFILTER_BITS: u32 = 18;
