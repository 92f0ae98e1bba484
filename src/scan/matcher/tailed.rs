//! Keys of which only the last four characters are known, and that they are made of key bytes.

use std::collections::HashMap;

use super::{Known, Stretch, Tail, shown, tail};
use crate::secret::is_key_byte;

/// Leaps over bytes that cannot be inside a key, and looks closely at long runs of key bytes only.
pub struct Tailed {
    sieve: Sieve,
    lengths: HashMap<Tail, Vec<usize>>,
    shortest: usize,
}

impl Tailed {
    pub fn of(known: &[Known]) -> Option<Self> {
        let mut lengths: HashMap<Tail, Vec<usize>> = HashMap::new();
        for one in known {
            if let Some((_, tail)) = shown(&one.mask).filter(|(prefix, _)| prefix.is_empty()) {
                lengths.entry(tail).or_default().push(one.length);
            }
        }
        for lengths in lengths.values_mut() {
            lengths.sort_unstable();
            lengths.dedup();
        }
        let shortest = lengths.values().flatten().copied().min()?;
        Some(Self { sieve: Sieve::of(lengths.keys()), lengths, shortest })
    }

    /// Windows of key bytes that end as a known key does, and are of its length.
    pub fn propose(&self, stretch: &Stretch<'_>, consider: &mut impl FnMut(usize, &[u8])) {
        let mut at = stretch.starts.start;
        // Read from its end, a window of the shortest length mostly meets a foreign byte at once, and the next window
        // begins after it: most bytes are never looked at.
        while at < stretch.starts.end
            && let Some(window) = stretch.window(at, self.shortest)
        {
            if let Some(foreign) = window.iter().rposition(|byte| !is_key_byte(*byte)) {
                at += foreign + 1;
                continue;
            }
            let rest = stretch.bytes.get(at + self.shortest..).unwrap_or_default();
            let more = rest.iter().position(|byte| !is_key_byte(*byte)).unwrap_or(rest.len());
            let end = at + self.shortest + more;
            self.propose_in_run(stretch, at, end, consider);
            at = end + 1;
        }
    }

    fn propose_in_run(&self, stretch: &Stretch<'_>, begin: usize, end: usize, consider: &mut impl FnMut(usize, &[u8])) {
        let Some(run) = stretch.bytes.get(begin..end) else { return };
        let first = self.shortest.saturating_sub(Tail::default().len());
        for (place, four) in run.windows(Tail::default().len()).enumerate().skip(first) {
            let Some(tail) = tail(four).filter(|tail| self.sieve.may_have(*tail)) else { continue };
            let window_end = begin + place + four.len();
            for length in self.lengths.get(&tail).into_iter().flatten() {
                if let Some(start) = window_end.checked_sub(*length)
                    && start >= begin
                    && start < stretch.starts.end
                    && let Some(window) = stretch.window(start, *length)
                {
                    consider(start, window);
                }
            }
        }
    }
}

/// Says of most tails at the cost of one look that they are not known.
struct Sieve(Vec<u64>);

impl Sieve {
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
    let mixed = u32::from_le_bytes(tail).wrapping_mul(0x9E37_79B1) >> (32 - SIEVE_BITS);
    ((mixed >> 6) as usize, 1 << (mixed & 63))
}

/// 32 KiB, which stays in the nearest cache and is nearly empty with 10,000 tails.
const SIEVE_BITS: u32 = 18;
