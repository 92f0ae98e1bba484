//! Finds long runs of bytes without delimiters and skips most other bytes.

use std::ops::Range;

use super::Window;

/// Finds runs of at least `shortest` bytes between delimiters.
pub struct RunScanner {
    /// A table, so that the lookup time does not depend on the set of bytes.
    is_delimiter: [bool; 256],
    filter: WordFilter,
    shortest: usize,
}

/// Detects most delimiters, eight bytes at a time.
///
/// It detects bytes below the first non-delimiter, such as blanks, and non-ASCII bytes if all of them are delimiters.
struct WordFilter {
    /// The first non-delimiter, in each of eight bytes.
    lowest: u64,
    high: u64,
}

impl RunScanner {
    pub fn new(shortest: usize, is_delimiter: impl Fn(u8) -> bool) -> Self {
        let mut table = [false; 256];
        for (byte, entry) in (0..=u8::MAX).zip(&mut table) {
            *entry = is_delimiter(byte);
        }
        Self { filter: WordFilter::new(&table), is_delimiter: table, shortest }
    }

    /// Calls `visit` with every run, in order. A run that began earlier starts at `window.starts`.
    pub fn for_each(&self, window: &Window<'_>, mut visit: impl FnMut(Range<usize>)) {
        let mut at = window.starts.start;
        // Most windows of the shortest length have a delimiter near their end, and the next window begins after it, so
        // most bytes are skipped. Locating the delimiter within its eight bytes would take longer than it saves.
        while at < window.starts.end
            && let Some(bytes) = window.slice(at, self.shortest)
        {
            if bytes.last_chunk().is_some_and(|eight| self.filter.has_delimiter(*eight)) {
                at += self.shortest - EIGHT + 1;
                continue;
            }
            if let Some(last) = bytes.iter().rposition(|byte| self.is_delimiter(*byte)) {
                at += last + 1;
                continue;
            }
            let rest = window.bytes.get(at + self.shortest..).unwrap_or_default();
            let more = rest.iter().position(|byte| self.is_delimiter(*byte)).unwrap_or(rest.len());
            let end = at + self.shortest + more;
            visit(at..end);
            at = end + 1;
        }
    }

    fn is_delimiter(&self, byte: u8) -> bool {
        self.is_delimiter.get(usize::from(byte)).copied().unwrap_or_default()
    }
}

impl WordFilter {
    fn new(is_delimiter: &[bool; 256]) -> Self {
        let lowest = is_delimiter.iter().take(LIMIT.into()).take_while(|is_delimiter| **is_delimiter).count();
        let lowest = u8::try_from(lowest).unwrap_or_default();
        let excludes_non_ascii = is_delimiter.iter().skip(LIMIT.into()).all(|is_delimiter| *is_delimiter);
        let high = if excludes_non_ascii { LIMIT } else { 0 };
        Self { lowest: u64::from_le_bytes([lowest; EIGHT]), high: u64::from_le_bytes([high; EIGHT]) }
    }

    /// Returns whether there is a delimiter. It may miss one, but has no false positives.
    fn has_delimiter(&self, eight: [u8; EIGHT]) -> bool {
        // The borrow of a subtraction sets the highest bit of the first byte that is below `lowest`, at most 128.
        let bytes = u64::from_le_bytes(eight);
        (bytes.wrapping_sub(self.lowest) & !bytes & HIGHEST_BITS) | (bytes & self.high) != 0
    }
}

const EIGHT: usize = 8;

/// The first byte that is not ASCII.
const LIMIT: u8 = 0x80;

const HIGHEST_BITS: u64 = u64::from_le_bytes([LIMIT; EIGHT]);

#[cfg(test)]
mod tests {
    use domain::secret::is_key_byte;

    use super::*;

    #[test]
    fn word_filter_has_no_false_positives() {
        let sets: [fn(u8) -> bool; 4] = [|byte| !is_key_byte(byte), |byte| byte <= b' ', |byte| byte > b'~', |_| false];
        for is_delimiter in sets {
            let scanner = RunScanner::new(EIGHT, is_delimiter);
            for (one, other) in
                (0..=u8::MAX).flat_map(|one| [0, b' ', b'a', b'~', LIMIT, u8::MAX].map(|other| (one, other)))
            {
                for place in 0..EIGHT {
                    let mut eight = [other; EIGHT];
                    eight[place] = one;
                    assert!(!scanner.filter.has_delimiter(eight) || eight.into_iter().any(is_delimiter), "{eight:?}");
                }
            }
        }
        assert!(RunScanner::new(EIGHT, |byte| !is_key_byte(byte)).filter.has_delimiter(*b"aaaa aaa"));
        assert!(RunScanner::new(EIGHT, |byte| !is_key_byte(byte)).filter.has_delimiter(*b"aaaaaa\xffa"));
    }

    #[test]
    fn for_each_visits_every_long_run_once() {
        let scanner = RunScanner::new(20, |byte| !is_key_byte(byte));
        for (before, length) in (0..70).flat_map(|before| (15..70).map(move |length| (before, length))) {
            for delimiter in *b" ,~\xff" {
                let text = [vec![delimiter; before], vec![b'k'; length], vec![delimiter; 3]].concat();
                let mut runs = Vec::new();
                scanner.for_each(&Window::whole(&text), |run| runs.push(run));
                let expected = (length >= 20).then_some(before..before + length);
                assert_eq!(runs, expected.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
