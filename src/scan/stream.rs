//! Bytes of any length, searched in stretches that overlap, in memory that does not grow with them.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read},
};

use super::{CONTEXT, Matcher, Stop, Window};

/// A buffer, and the matcher that reads it. One for each thread.
pub struct Stream<'a> {
    matcher: &'a Matcher,
    stop: &'a Stop,
    buffer: Vec<u8>,
}

/// A credential in a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Occurrence {
    /// Of the first one.
    pub offset: u64,
    /// Of the first one, from 1; `None` where lines were not counted.
    pub line: Option<u64>,
    /// How many there are.
    pub count: u64,
    pub known: usize,
}

/// Whether lines are counted while reading, which a second reading of the few files with hits makes unnecessary.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lines {
    Counted,
    /// Those of what fits into the buffer are known all the same.
    Skipped,
}

impl<'a> Stream<'a> {
    pub fn new(matcher: &'a Matcher, stop: &'a Stop) -> Self {
        let buffer = vec![0; BUFFER.max(4 * (matcher.reach() + CONTEXT))];
        Self { matcher, stop, buffer }
    }

    /// Searches what `source` has, and returns with it how many bytes that was. `size` is how much is expected, if
    /// anything is: no more is waited for then.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub fn search(&mut self, source: &mut impl Read, size: u64, lines: Lines) -> io::Result<(Vec<Occurrence>, u64)> {
        let mut found: BTreeMap<usize, Occurrence> = BTreeMap::new();
        let (mut base, mut filled, mut from, mut lines_before) = (0_u64, 0, 0, Some(0));
        loop {
            let at_end = self.fill(source, &mut filled, base, size)? || self.stop.is_asked();
            let bytes = self.buffer.get(..filled).unwrap_or_default();
            let limit = if at_end { filled } else { filled.saturating_sub(self.matcher.reach()) };
            for hit in self.matcher.find(&Window { bytes, starts: from..limit, at_end }) {
                let start = hit.range.0;
                let line = lines_before.map(|before| before + newlines(bytes.get(..start).unwrap_or_default()) + 1);
                let first = Occurrence { offset: base + start as u64, line, count: 0, known: hit.known };
                found.entry(hit.known).or_insert(first).count += 1;
            }
            if at_end {
                return Ok((found.into_values().collect(), base + filled as u64));
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

    /// Reads until the buffer is full; true when there is no more.
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

    /// Numbers the lines of occurrences by reading once more, from the beginning.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub fn number(&mut self, source: &mut impl Read, found: &mut [Occurrence]) -> io::Result<()> {
        found.sort_unstable_by_key(|one| one.offset);
        let (mut base, mut before) = (0_u64, 0);
        let mut waiting = found.iter_mut().peekable();
        while waiting.peek().is_some() {
            let mut filled = 0;
            let at_end = self.fill(source, &mut filled, base, 0)?;
            let bytes = self.buffer.get(..filled).unwrap_or_default();
            while let Some(one) = waiting.next_if(|one| at_end || one.offset < base + filled as u64) {
                let here = usize::try_from(one.offset.saturating_sub(base)).unwrap_or(filled).min(filled);
                one.line = Some(before + newlines(bytes.get(..here).unwrap_or_default()) + 1);
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

/// As large as pays: what was read is still in the processor's cache when it is searched.
const BUFFER: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{scan::Known, secret::Secret};

    const KEY: &str = "sk_proj_sim_0123456789abcdef0123456789abcdef";

    fn matcher() -> Matcher {
        let secret = Secret::new(KEY.to_owned());
        let (fingerprint, mask) = (secret.fingerprint(), secret.mask());
        Matcher::new(&[Known { fingerprint: &fingerprint, mask: &mask, length: KEY.len() }])
    }

    #[test]
    fn a_key_is_found_at_every_place_around_the_end_of_a_buffer() {
        let (matcher, stop) = (matcher(), Stop::default());
        let mut stream = Stream::new(&matcher, &stop);
        for place in (BUFFER - 2 * KEY.len() - 8)..(BUFFER + 8) {
            let mut text = vec![b'\n'; place];
            text.extend(KEY.as_bytes());
            text.extend(vec![b'.'; 3 * BUFFER]);
            text.push(b'\n');
            text.extend(KEY.as_bytes());
            for (size, lines) in [(0, Lines::Counted), (text.len() as u64, Lines::Skipped)] {
                let (mut found, length) = stream.search(&mut text.as_slice(), size, lines).unwrap();
                if found.iter().any(|one| one.line.is_none()) {
                    stream.number(&mut text.as_slice(), &mut found).unwrap();
                }
                let (offset, line) = (place as u64, Some(place as u64 + 1));
                assert_eq!(found, [Occurrence { offset, line, count: 2, known: 0 }]);
                assert_eq!(length, text.len() as u64);
            }
        }
    }

    #[test]
    fn what_is_read_in_crumbs_is_found_all_the_same() {
        struct Crumbs<'a>(&'a [u8]);
        impl Read for Crumbs<'_> {
            fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
                let length = room.len().min(7);
                self.0.read(&mut room[..length])
            }
        }
        let (matcher, stop) = (matcher(), Stop::default());
        let text = format!("a\nb{KEY}c\n{KEY}");
        let (found, _) = Stream::new(&matcher, &stop).search(&mut Crumbs(text.as_bytes()), 0, Lines::Skipped).unwrap();
        assert_eq!(found, [Occurrence { offset: 3, line: Some(2), count: 2, known: 0 }]);
    }
}
