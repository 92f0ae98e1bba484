//! Keys of which the last four characters are known, that they are made of key bytes, and often how they begin.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    ops::Range,
};

use super::{Known, Tail, Window, runs::Runs, shown};
use crate::secret::is_key_byte;

/// Looks closely at long runs of key bytes only, and there at four bytes with which a known key ends.
pub struct SuffixMatcher {
    runs: Runs,
    prefilter: Prefilter,
    /// Places in `shapes`.
    by_tail: HashMap<Tail, Vec<usize>, BuildHasherDefault<Mixer>>,
    shapes: Vec<Shape>,
    shortest: usize,
}

/// What keys of one kind have in common.
#[derive(Eq, PartialEq)]
struct Shape {
    /// Empty where it is not known.
    prefix: Vec<u8>,
    length: usize,
}

impl SuffixMatcher {
    pub fn of(known: &[Known<'_>]) -> Option<Self> {
        let mut by_tail: HashMap<Tail, Vec<usize>, _> = HashMap::default();
        let mut shapes: Vec<Shape> = Vec::new();
        for one in known {
            let Some((prefix, tail)) = shown(one.mask) else { continue };
            let same = |shape: &Shape| shape.prefix == prefix && shape.length == one.length;
            let place = shapes.iter().position(same).unwrap_or_else(|| {
                shapes.push(Shape { prefix: prefix.to_vec(), length: one.length });
                shapes.len() - 1
            });
            let places = by_tail.entry(tail).or_default();
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let shortest = shapes.iter().map(|shape| shape.length).min()?;
        let runs = Runs::new(shortest, |byte| !is_key_byte(byte));
        Some(Self { runs, prefilter: Prefilter::of(by_tail.keys()), by_tail, shapes, shortest })
    }

    /// Windows of key bytes that begin and end as a known key does, and are of its length.
    pub fn propose(&self, window: &Window<'_>, consider: &mut impl FnMut(usize, &[u8])) {
        self.runs.each(window, |run| self.propose_in_run(window, run, consider));
    }

    fn propose_in_run(&self, window: &Window<'_>, run: Range<usize>, consider: &mut impl FnMut(usize, &[u8])) {
        // Before the end of the shortest window no tail counts.
        let first = run.start + self.shortest.saturating_sub(TAIL);
        let Some(ends) = window.bytes.get(first..run.end) else { return };
        for (place, four) in ends.windows(TAIL).enumerate() {
            let Some(tail) = four.first_chunk().map(|four| Tail::from_le_bytes(*four)) else { continue };
            if !self.prefilter.may_have(tail) {
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

/// Says of most tails at the cost of one look that they are not known.
struct Prefilter(Vec<u64>);

impl Prefilter {
    fn of<'a>(tails: impl Iterator<Item = &'a Tail>) -> Self {
        let mut words = vec![0; 1 << (SIEVE_BITS - 6)];
        for tail in tails {
            let (word, bit) = place(*tail);
            if let Some(word) = words.get_mut(word) {
                *word |= bit;
            }
        }
        Self(words)
    }

    fn may_have(&self, tail: Tail) -> bool {
        let (word, bit) = place(tail);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

fn place(tail: Tail) -> (usize, u64) {
    let mixed = tail.wrapping_mul(0x9E37_79B1) >> (32 - SIEVE_BITS);
    ((mixed >> 6) as usize, 1 << (mixed & 63))
}

/// FNV-1a: quick for four bytes, and nobody who writes files chooses what is in the table.
struct Mixer(u64);

impl Default for Mixer {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// In bytes.
const TAIL: usize = size_of::<Tail>();

/// 32 KiB, which stays in the nearest cache and is nearly empty with 10,000 tails.
const SIEVE_BITS: u32 = 18;
