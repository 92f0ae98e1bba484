//! Long runs of bytes that may be inside a credential, found without looking at most of the others.

use std::ops::Range;

use super::Stretch;

/// What ends a run, and how long one has to be to count.
pub struct Runs {
    /// A table, because a look into it takes as long for any set of bytes.
    foreign: [bool; 256],
    shortest: usize,
}

impl Runs {
    /// Runs of at least `shortest` bytes, none of which is foreign.
    pub fn new(shortest: usize, is_foreign: impl Fn(u8) -> bool) -> Self {
        let mut foreign = [false; 256];
        for (byte, foreign) in (0..=u8::MAX).zip(&mut foreign) {
            *foreign = is_foreign(byte);
        }
        Self { foreign, shortest }
    }

    /// Calls `each` with every run, in order. The first may have begun before `stretch.starts`, and is given from there.
    pub fn each(&self, stretch: &Stretch<'_>, mut each: impl FnMut(Range<usize>)) {
        let mut at = stretch.starts.start;
        // Read from its end, a window of the shortest length mostly meets a foreign byte at once, and the next window
        // begins after it: most bytes are never looked at.
        while at < stretch.starts.end
            && let Some(window) = stretch.window(at, self.shortest)
        {
            if let Some(foreign) = window.iter().rposition(|byte| self.is_foreign(*byte)) {
                at += foreign + 1;
                continue;
            }
            let rest = stretch.bytes.get(at + self.shortest..).unwrap_or_default();
            let more = rest.iter().position(|byte| self.is_foreign(*byte)).unwrap_or(rest.len());
            let end = at + self.shortest + more;
            each(at..end);
            at = end + 1;
        }
    }

    fn is_foreign(&self, byte: u8) -> bool {
        self.foreign.get(usize::from(byte)).copied().unwrap_or_default()
    }
}
