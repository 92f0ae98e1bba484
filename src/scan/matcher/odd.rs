//! Credentials of which only the length is known: connection strings, and short ones.
//!
//! They may hold any byte, so they are looked for as whole words only: between blanks, quotes or angle brackets, where
//! one of the two ends may also be a sign such as `=` or `,`.

use std::collections::BTreeSet;

use super::{Known, Stretch, shown};
use crate::secret::{SHORTEST_SHOWN, is_key_byte};

/// Leaps over what is too short, and hashes the words that have the length of a known one.
pub struct Odd {
    lengths: Vec<usize>,
    shortest: usize,
}

impl Odd {
    pub fn of(known: &[Known]) -> Option<Self> {
        let odd = known.iter().filter(|one| shown(&one.mask).is_none() && one.length > 0);
        let lengths: BTreeSet<usize> = odd.map(|one| one.length).collect();
        let shortest = *lengths.first()?;
        Some(Self { lengths: lengths.into_iter().collect(), shortest })
    }

    /// Words of a known length.
    pub fn propose(&self, stretch: &Stretch<'_>, consider: &mut impl FnMut(usize, &[u8])) {
        let mut at = stretch.starts.start;
        while at < stretch.starts.end
            && let Some(window) = stretch.window(at, self.shortest)
        {
            if let Some(boundary) = window.iter().rposition(|byte| is_boundary(*byte)) {
                at += boundary + 1;
                continue;
            }
            let rest = stretch.bytes.get(at + self.shortest..).unwrap_or_default();
            let more = rest.iter().position(|byte| is_boundary(*byte)).unwrap_or(rest.len());
            let end = at + self.shortest + more;
            self.propose_in_run(stretch, at, end, consider);
            at = end + 1;
        }
    }

    fn propose_in_run(&self, stretch: &Stretch<'_>, begin: usize, end: usize, consider: &mut impl FnMut(usize, &[u8])) {
        let bytes = stretch.bytes;
        let mut propose = |start: usize, length: usize| {
            if start >= begin
                && start < stretch.starts.end
                && let Some(window) = stretch.window(start, length)
                && is_odd(window)
            {
                consider(start, window);
            }
        };
        let ends = end < bytes.len() || stretch.at_end;
        for length in &self.lengths {
            for start in [begin, begin + 1].into_iter().filter(|start| is_whole_start(bytes, *start)) {
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
    window.len() < SHORTEST_SHOWN || !window.iter().copied().all(is_key_byte)
}

/// What no credential has inside, as far as we look.
fn is_boundary(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b'<' | b'>' | 0x7f)
}

/// What may stand beside a credential, and also in one.
fn is_sign(byte: u8) -> bool {
    matches!(byte, b'=' | b':' | b',' | b';' | b'|' | b'&' | b'(' | b')' | b'[' | b']' | b'{' | b'}')
}
