//! Credentials of which only the length is known: connection strings, and short ones.
//!
//! They may hold any byte, so they are looked for as whole words only: between blanks, quotes or angle brackets, where
//! one of the two ends may also be a sign such as `=` or `,`.

use std::{collections::BTreeSet, ops::Range};

use super::{Known, Window, runs::Runs, shown};
use crate::secret::{SHORTEST_SHOWN, is_key_byte};

/// Looks closely at long words only, and hashes what of them has the length of a known one.
pub struct OpaqueMatcher {
    runs: Runs,
    /// In order.
    lengths: Vec<usize>,
}

impl OpaqueMatcher {
    pub fn of(known: &[Known<'_>]) -> Option<Self> {
        let odd = known.iter().filter(|one| shown(one.mask).is_none() && one.length > 0);
        let lengths: BTreeSet<usize> = odd.map(|one| one.length).collect();
        let runs = Runs::new(*lengths.first()?, is_boundary);
        Some(Self { runs, lengths: lengths.into_iter().collect() })
    }

    /// Words of a known length.
    pub fn propose(&self, window: &Window<'_>, consider: &mut impl FnMut(usize, &[u8])) {
        self.runs.each(window, |run| self.propose_in_run(window, &run, consider));
    }

    fn propose_in_run(&self, window: &Window<'_>, run: &Range<usize>, consider: &mut impl FnMut(usize, &[u8])) {
        let (begin, end) = (run.start, run.end);
        let bytes = window.bytes;
        let mut propose = |start: usize, length: usize| {
            if start >= begin
                && start < window.starts.end
                && let Some(window) = window.slice(start, length)
                && is_odd(window)
            {
                consider(start, window);
            }
        };
        let ends = end < bytes.len() || window.at_end;
        let starts = [begin, begin + 1].map(|start| is_whole_start(bytes, start).then_some(start));
        for length in self.lengths.iter().take_while(|length| **length <= end - begin) {
            for start in starts.into_iter().flatten() {
                let ended = start + length;
                let signed = ended < end && bytes.get(ended).copied().is_some_and(is_sign);
                if signed || ended == end && ends {
                    propose(start, *length);
                }
            }
            let start = end.checked_sub(*length).filter(|_| ends);
            if let Some(start) = start.filter(|start| before(bytes, *start).is_some_and(is_sign)) {
                propose(start, *length);
            }
        }
    }
}

/// Whether a word begins here; in `\npostgres://…`, as JSON writes the end of a line, it begins after the `n`.
fn is_whole_start(bytes: &[u8], start: usize) -> bool {
    let escaped = start.checked_sub(1).is_some_and(|place| before(bytes, place) == Some(b'\\'));
    escaped || before(bytes, start).is_none_or(is_boundary)
}

fn before(bytes: &[u8], place: usize) -> Option<u8> {
    bytes.get(place.checked_sub(1)?).copied()
}

/// A long credential whose mask shows nothing has something in it that is no key byte, or it would have been shown.
fn is_odd(window: &[u8]) -> bool {
    // Without a way out of the loop it is done many bytes at a time.
    window.len() < SHORTEST_SHOWN || window.iter().fold(false, |odd, byte| odd | !is_key_byte(*byte))
}

/// What no credential has inside, as far as we look.
fn is_boundary(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b'<' | b'>' | 0x7f)
}

/// What may stand beside a credential, and also in one.
fn is_sign(byte: u8) -> bool {
    matches!(byte, b'=' | b':' | b',' | b';' | b'|' | b'&' | b'(' | b')' | b'[' | b']' | b'{' | b'}')
}
