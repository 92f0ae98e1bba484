//! What finds credentials in bytes though it knows none: candidates by mask, length and alphabet, certainty by
//! fingerprint.
//!
//! Hashing every window of every file would take days, so each kind of mask has a searcher of its own that proposes
//! few windows: those of keys that show their last four characters, and those of what shows nothing.

mod opaque;
mod runs;
mod suffix;

use std::{collections::HashMap, ops::Range};

use opaque::OpaqueMatcher;
use suffix::SuffixMatcher;

use crate::secret::{Fingerprint, Mask};

/// What is kept of a credential: enough to find it, not enough to use it.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub fingerprint: &'a Fingerprint,
    pub mask: &'a Mask,
    /// In bytes.
    pub length: usize,
}

/// Finds known credentials in bytes.
pub struct Matcher {
    places: HashMap<[u8; 32], usize>,
    suffix: Option<SuffixMatcher>,
    odd: Option<OpaqueMatcher>,
    longest: usize,
}

/// A window of something longer, and what of it is asked for.
#[derive(Clone, Debug)]
pub struct Window<'a> {
    pub bytes: &'a [u8],
    /// Where a credential may begin. Before it stand up to [`CONTEXT`] bytes that were asked about already.
    pub starts: Range<usize>,
    /// Whether nothing comes after these bytes.
    pub at_end: bool,
}

impl<'a> Window<'a> {
    /// All there is.
    pub fn whole(bytes: &'a [u8]) -> Self {
        Self { bytes, starts: 0..bytes.len(), at_end: true }
    }

    fn slice(&self, start: usize, length: usize) -> Option<&'a [u8]> {
        self.bytes.get(start..start.checked_add(length)?)
    }
}

/// A credential that was found.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Hit {
    pub range: (usize, usize),
    /// Its place in the list that the matcher was made of.
    pub known: usize,
}

impl Matcher {
    /// Of those that have one fingerprint, the first is the one that is found.
    pub fn new(known: &[Known<'_>]) -> Self {
        let mut places = HashMap::with_capacity(known.len());
        for (place, one) in known.iter().enumerate() {
            if let Some(digest) = one.fingerprint.digest() {
                places.entry(digest).or_insert(place);
            }
        }
        Self {
            places,
            suffix: SuffixMatcher::of(known),
            odd: OpaqueMatcher::of(known),
            longest: known.iter().map(|one| one.length).max().unwrap_or_default(),
        }
    }

    /// How many bytes after a start decide whether a credential begins there.
    pub fn reach(&self) -> usize {
        self.longest + 1
    }

    /// Finds every known credential that begins in `window.starts`, in order.
    pub fn find(&self, window: &Window<'_>) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut consider = |start: usize, window: &[u8]| {
            if let Some(known) = self.places.get(&Fingerprint::digest_of(window)) {
                hits.push(Hit { range: (start, start + window.len()), known: *known });
            }
        };
        if let Some(suffix) = &self.suffix {
            suffix.propose(window, &mut consider);
        }
        if let Some(odd) = &self.odd {
            odd.propose(window, &mut consider);
        }
        hits.sort_unstable();
        hits.dedup(); // two searchers may have proposed the same window
        hits
    }
}

/// The last four characters, as the number that their bytes are.
type Tail = u32;

/// Prefix and tail of a mask that shows something; a tail is four bytes of the alphabet of keys.
fn shown(mask: &Mask) -> Option<(&[u8], Tail)> {
    let (prefix, last_four) = mask.shown()?;
    Some((prefix.as_bytes(), Tail::from_le_bytes(last_four.as_bytes().try_into().ok()?)))
}

/// How many bytes before a start decide whether a credential may begin there.
pub const CONTEXT: usize = 3;
