//! Matches credentials known only by length: connection strings and short keys.
//!
//! They may contain any byte, so only whole words are proposed: text between blanks, quotes or angle brackets. One of the
//! two ends may also be punctuation such as `=` or `,`.

use std::{collections::BTreeSet, ops::Range};

use domain::secret::{SHORTEST_SHOWN, is_key_byte};

use super::{KnownKey, Window, run_scanner::RunScanner, visible};

/// Proposes words of a known length.
pub struct OpaqueMatcher {
    scanner: RunScanner,
    /// Sorted.
    lengths: Vec<usize>,
}

impl OpaqueMatcher {
    pub fn from_keys(keys: &[KnownKey<'_>]) -> Option<Self> {
        let opaque = keys.iter().filter(|key| visible(key.mask).is_none() && key.length > 0);
        let lengths: BTreeSet<usize> = opaque.map(|key| key.length).collect();
        let scanner = RunScanner::new(*lengths.first()?, is_boundary);
        Some(Self { scanner, lengths: lengths.into_iter().collect() })
    }

    /// Calls `consider` for every word of a known length.
    pub fn propose(&self, window: &Window<'_>, consider: &mut impl FnMut(usize, &[u8])) {
        self.scanner.for_each(window, |run| self.propose_in_run(window, &run, consider));
    }

    fn propose_in_run(&self, window: &Window<'_>, run: &Range<usize>, consider: &mut impl FnMut(usize, &[u8])) {
        let (begin, end) = (run.start, run.end);
        let bytes = window.bytes;
        let mut propose = |start: usize, length: usize| {
            if start >= begin
                && start < window.starts.end
                && let Some(window) = window.slice(start, length)
                && has_non_key_byte(window)
            {
                consider(start, window);
            }
        };
        let ends = end < bytes.len() || window.at_end;
        let starts = [begin, begin + 1].map(|start| is_whole_start(bytes, start).then_some(start));
        for length in self.lengths.iter().take_while(|length| **length <= end - begin) {
            for start in starts.into_iter().flatten() {
                let next = start + length;
                let punctuated = next < end && bytes.get(next).copied().is_some_and(is_punctuation);
                if punctuated || next == end && ends {
                    propose(start, *length);
                }
            }
            let start = end.checked_sub(*length).filter(|_| ends);
            if let Some(start) = start.filter(|start| before(bytes, *start).is_some_and(is_punctuation)) {
                propose(start, *length);
            }
        }
    }
}

/// Returns whether a word begins here, also after an escape such as `\n` in JSON.
fn is_whole_start(bytes: &[u8], start: usize) -> bool {
    let escaped = start.checked_sub(1).is_some_and(|place| before(bytes, place) == Some(b'\\'));
    escaped || before(bytes, start).is_none_or(is_boundary)
}

fn before(bytes: &[u8], place: usize) -> Option<u8> {
    bytes.get(place.checked_sub(1)?).copied()
}

/// Returns whether the window may be an opaque credential.
///
/// The mask of a long credential made of key bytes only would be visible.
fn has_non_key_byte(window: &[u8]) -> bool {
    // A loop without an early exit is vectorized.
    window.len() < SHORTEST_SHOWN || window.iter().fold(false, |any, byte| any | !is_key_byte(*byte))
}

/// Returns whether the byte ends a word.
fn is_boundary(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b'<' | b'>' | 0x7f)
}

/// Returns whether the byte may occur next to a credential and inside one.
fn is_punctuation(byte: u8) -> bool {
    matches!(byte, b'=' | b':' | b',' | b';' | b'|' | b'&' | b'(' | b')' | b'[' | b']' | b'{' | b'}')
}
