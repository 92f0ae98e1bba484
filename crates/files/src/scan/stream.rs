//! Searches a stream of any length in overlapping windows and constant memory.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read},
};

use super::{CONTEXT, Matcher, Stop, Window};

/// A search buffer and its matcher. Use one for each thread.
pub struct Stream<'a> {
    matcher: &'a Matcher,
    stop: &'a Stop,
    buffer: Vec<u8>,
}

/// The occurrences of one credential in a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Occurrence {
    /// The offset of the first one.
    pub offset: u64,
    /// The line of the first one, from 1; `None` if lines were not counted.
    pub line: Option<u64>,
    /// The number of occurrences.
    pub count: u64,
    /// The index of the credential in the matcher's list.
    pub index: usize,
}

/// Whether to count lines while reading.
///
/// Skipping is faster: the few files with hits are read a second time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lines {
    Counted,
    /// Lines within the first buffer are still counted.
    Skipped,
}

impl<'a> Stream<'a> {
    pub fn new(matcher: &'a Matcher, stop: &'a Stop) -> Self {
        let buffer = vec![0; BUFFER_SIZE.max(4 * (matcher.reach() + CONTEXT))];
        Self { matcher, stop, buffer }
    }

    /// Searches `source`; returns the occurrences and the number of bytes read.
    ///
    /// A `size` above 0 is the expected number of bytes; reading stops there.
    pub fn search(&mut self, source: &mut impl Read, size: u64, lines: Lines) -> io::Result<(Vec<Occurrence>, u64)> {
        let mut occurrences: BTreeMap<usize, Occurrence> = BTreeMap::new();
        let (mut base, mut filled, mut from, mut lines_before) = (0_u64, 0, 0, Some(0));
        loop {
            let at_end = self.fill(source, &mut filled, base, size)? || self.stop.is_requested();
            let bytes = self.buffer.get(..filled).unwrap_or_default();
            let limit = if at_end { filled } else { filled.saturating_sub(self.matcher.reach()) };
            for hit in self.matcher.find(&Window { bytes, starts: from..limit, at_end }) {
                let start = hit.range.0;
                let line = lines_before.map(|before| before + newlines(bytes.get(..start).unwrap_or_default()) + 1);
                let first = Occurrence { offset: base + start as u64, line, count: 0, index: hit.index };
                occurrences.entry(hit.index).or_insert(first).count += 1;
            }
            if at_end {
                return Ok((occurrences.into_values().collect(), base + filled as u64));
            }
            let kept = limit.saturating_sub(CONTEXT);
            lines_before = match lines {
                Lines::Counted => lines_before.map(|before| before + newlines(bytes.get(..kept).unwrap_or_default())),
                Lines::Skipped => None,
            };
            self.buffer.copy_within(kept..filled, 0);
            (base, filled, from) = (base + kept as u64, filled - kept, limit - kept);
        }
    }

    /// Reads until the buffer is full; true at the end of the source.
    fn fill(&mut self, source: &mut impl Read, filled: &mut usize, base: u64, size: u64) -> io::Result<bool> {
        while let Some(room) = self.buffer.get_mut(*filled..).filter(|room| !room.is_empty()) {
            match source.read(room) {
                Ok(0) => return Ok(true),
                Ok(count) => *filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if size > 0 && base + *filled as u64 >= size {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sets the lines of occurrences by reading the source again from its beginning.
    pub fn number(&mut self, source: &mut impl Read, occurrences: &mut [Occurrence]) -> io::Result<()> {
        occurrences.sort_unstable_by_key(|one| one.offset);
        let (mut base, mut before) = (0_u64, 0);
        let mut pending = occurrences.iter_mut().peekable();
        while pending.peek().is_some() {
            let mut filled = 0;
            let at_end = self.fill(source, &mut filled, base, 0)?;
            let bytes = self.buffer.get(..filled).unwrap_or_default();
            while let Some(one) = pending.next_if(|one| at_end || one.offset < base + filled as u64) {
                let position = usize::try_from(one.offset.saturating_sub(base)).unwrap_or(filled).min(filled);
                one.line = Some(before + newlines(bytes.get(..position).unwrap_or_default()) + 1);
            }
            (base, before) = (base + filled as u64, before + newlines(bytes));
        }
        Ok(())
    }
}

#[expect(clippy::naive_bytecount, reason = "the compiler makes it fast enough for the few files with hits")]
fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Fits into the processor's cache, so that a search does not wait for memory.
const BUFFER_SIZE: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use domain::secret::Secret;

    use super::*;
    use crate::scan::KnownKey;

    const KEY: &str = "sk_proj_sim_0123456789abcdef0123456789abcdef";

    fn matcher() -> Matcher {
        let secret = Secret::new(KEY.to_owned());
        let (fingerprint, mask) = (secret.fingerprint(), secret.mask());
        Matcher::new(&[KnownKey { fingerprint: &fingerprint, mask: &mask, length: KEY.len() }])
    }

    #[test]
    fn search_finds_key_at_every_offset_around_buffer_end() {
        let (matcher, stop) = (matcher(), Stop::default());
        let mut stream = Stream::new(&matcher, &stop);
        for place in (BUFFER_SIZE - 2 * KEY.len() - 8)..(BUFFER_SIZE + 8) {
            let mut text = vec![b'\n'; place];
            text.extend(KEY.as_bytes());
            text.extend(vec![b'.'; 3 * BUFFER_SIZE]);
            text.push(b'\n');
            text.extend(KEY.as_bytes());
            for (size, lines) in [(0, Lines::Counted), (text.len() as u64, Lines::Skipped)] {
                let (mut occurrences, length) = stream.search(&mut text.as_slice(), size, lines).unwrap();
                if occurrences.iter().any(|one| one.line.is_none()) {
                    stream.number(&mut text.as_slice(), &mut occurrences).unwrap();
                }
                let (offset, line) = (place as u64, Some(place as u64 + 1));
                assert_eq!(occurrences, [Occurrence { offset, line, count: 2, index: 0 }]);
                assert_eq!(length, text.len() as u64);
            }
        }
    }

    #[test]
    fn search_of_short_reads_finds_keys() {
        struct ShortReads<'a>(&'a [u8]);
        impl Read for ShortReads<'_> {
            fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
                let length = room.len().min(7);
                self.0.read(&mut room[..length])
            }
        }
        let (matcher, stop) = (matcher(), Stop::default());
        let text = format!("a\nb{KEY}c\n{KEY}");
        let (occurrences, _) =
            Stream::new(&matcher, &stop).search(&mut ShortReads(text.as_bytes()), 0, Lines::Skipped).unwrap();
        assert_eq!(occurrences, [Occurrence { offset: 3, line: Some(2), count: 2, index: 0 }]);
    }
}
