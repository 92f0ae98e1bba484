//! Long runs of bytes that may be inside a credential, found without looking at most of the others.

use std::ops::Range;

use super::Window;

/// What ends a run, and how long one has to be to count.
pub struct Runs {
    /// A table, because a look into it takes as long for any set of bytes.
    foreign: [bool; 256],
    quick: Quick,
    shortest: usize,
}

/// Sees most foreign bytes, eight at a time: blanks and whatever else comes before the first that is not foreign, and
/// what is not ASCII if all of that is foreign.
struct Quick {
    /// In each of eight bytes.
    lowest: u64,
    high: u64,
}

impl Runs {
    /// Runs of at least `shortest` bytes, none of which is foreign.
    pub fn new(shortest: usize, is_foreign: impl Fn(u8) -> bool) -> Self {
        let mut foreign = [false; 256];
        for (byte, foreign) in (0..=u8::MAX).zip(&mut foreign) {
            *foreign = is_foreign(byte);
        }
        Self { quick: Quick::of(&foreign), foreign, shortest }
    }

    /// Calls `each` with every run, in order. The first may have begun before `window.starts`, and is given from there.
    pub fn each(&self, window: &Window<'_>, mut each: impl FnMut(Range<usize>)) {
        let mut at = window.starts.start;
        // A window of the shortest length mostly has a foreign byte near its end, and the next window begins after it:
        // most bytes are never looked at. Where in its last eight bytes it is would take longer to say than it saves.
        while at < window.starts.end
            && let Some(bytes) = window.slice(at, self.shortest)
        {
            if bytes.last_chunk().is_some_and(|eight| self.quick.sees(*eight)) {
                at += self.shortest - EIGHT + 1;
                continue;
            }
            if let Some(foreign) = bytes.iter().rposition(|byte| self.is_foreign(*byte)) {
                at += foreign + 1;
                continue;
            }
            let rest = window.bytes.get(at + self.shortest..).unwrap_or_default();
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

impl Quick {
    fn of(foreign: &[bool; 256]) -> Self {
        let lowest = foreign.iter().take(LIMIT.into()).take_while(|foreign| **foreign).count();
        let lowest = u8::try_from(lowest).unwrap_or_default();
        let is_high_foreign = foreign.iter().skip(LIMIT.into()).all(|foreign| *foreign);
        let high = if is_high_foreign { LIMIT } else { 0 };
        Self { lowest: u64::from_le_bytes([lowest; EIGHT]), high: u64::from_le_bytes([high; EIGHT]) }
    }

    /// Whether there is a foreign byte among these. It says no more often than it should, never yes.
    fn sees(&self, eight: [u8; EIGHT]) -> bool {
        // The borrow of a subtraction sets the highest bit of the first byte that is below `lowest`, at most 128.
        let bytes = u64::from_le_bytes(eight);
        (bytes.wrapping_sub(self.lowest) & !bytes & HIGHEST_BITS) | (bytes & self.high) != 0
    }
}

const EIGHT: usize = 8;

/// Above are the bytes that are not ASCII.
const LIMIT: u8 = 0x80;

const HIGHEST_BITS: u64 = u64::from_le_bytes([LIMIT; EIGHT]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::is_key_byte;

    #[test]
    fn the_quick_look_never_sees_what_is_not_there() {
        let sets: [fn(u8) -> bool; 4] = [|byte| !is_key_byte(byte), |byte| byte <= b' ', |byte| byte > b'~', |_| false];
        for is_foreign in sets {
            let runs = Runs::new(EIGHT, is_foreign);
            for (one, other) in
                (0..=u8::MAX).flat_map(|one| [0, b' ', b'a', b'~', LIMIT, u8::MAX].map(|other| (one, other)))
            {
                for place in 0..EIGHT {
                    let mut eight = [other; EIGHT];
                    eight[place] = one;
                    assert!(!runs.quick.sees(eight) || eight.into_iter().any(is_foreign), "{eight:?}");
                }
            }
        }
        assert!(Runs::new(EIGHT, |byte| !is_key_byte(byte)).quick.sees(*b"aaaa aaa"));
        assert!(Runs::new(EIGHT, |byte| !is_key_byte(byte)).quick.sees(*b"aaaaaa\xffa"));
    }

    #[test]
    fn every_long_run_is_told_whole() {
        let runs = Runs::new(20, |byte| !is_key_byte(byte));
        for (before, length) in (0..70).flat_map(|before| (15..70).map(move |length| (before, length))) {
            for foreign in *b" ,~\xff" {
                let text = [vec![foreign; before], vec![b'k'; length], vec![foreign; 3]].concat();
                let mut told = Vec::new();
                runs.each(&Window::whole(&text), |run| told.push(run));
                let expected = (length >= 20).then_some(before..before + length);
                assert_eq!(told, expected.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
