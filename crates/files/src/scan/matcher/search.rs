//! The matcher: proposes candidates and confirms them by fingerprint.

use std::{collections::HashMap, ops::Range};

use domain::secret::{Fingerprint, Mask};

use super::{opaque::OpaqueMatcher, suffix::SuffixMatcher};

/// The fingerprint, mask and length of a credential: enough to find it, not to use it.
#[derive(Clone, Copy, Debug)]
pub struct KnownKey<'a> {
    pub fingerprint: &'a Fingerprint,
    pub mask: &'a Mask,
    /// The length in bytes.
    pub length: usize,
}

/// Finds known credentials in bytes.
pub struct Matcher {
    /// Indices by fingerprint digest.
    indices: HashMap<[u8; 32], usize>,
    suffix: Option<SuffixMatcher>,
    opaque: Option<OpaqueMatcher>,
    longest: usize,
}

/// A part of a longer input, and the range of starts to search.
#[derive(Clone, Debug)]
pub struct Window<'a> {
    pub bytes: &'a [u8],
    /// Where a credential may begin. Up to [`CONTEXT`] bytes before it were searched already.
    pub starts: Range<usize>,
    /// Whether the input ends with these bytes.
    pub at_end: bool,
}

impl<'a> Window<'a> {
    /// Creates a window of the whole input.
    pub fn whole(bytes: &'a [u8]) -> Self {
        Self { bytes, starts: 0..bytes.len(), at_end: true }
    }

    pub(super) fn slice(&self, start: usize, length: usize) -> Option<&'a [u8]> {
        self.bytes.get(start..start.checked_add(length)?)
    }
}

/// A credential in a window.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Hit {
    pub range: (usize, usize),
    /// The index in the list that the matcher was created from.
    pub index: usize,
}

impl Matcher {
    /// Creates a matcher. Of keys with equal fingerprints it reports the first.
    pub fn new(keys: &[KnownKey<'_>]) -> Self {
        let mut indices = HashMap::with_capacity(keys.len());
        for (index, key) in keys.iter().enumerate() {
            if let Some(digest) = key.fingerprint.digest() {
                indices.entry(digest).or_insert(index);
            }
        }
        Self {
            indices,
            suffix: SuffixMatcher::from_keys(keys),
            opaque: OpaqueMatcher::from_keys(keys),
            longest: keys.iter().map(|key| key.length).max().unwrap_or_default(),
        }
    }

    /// Returns how many bytes after a start decide whether a credential begins there.
    pub fn reach(&self) -> usize {
        self.longest + 1
    }

    /// Finds every known credential that begins in `window.starts`, in order.
    pub fn find(&self, window: &Window<'_>) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut consider = |start: usize, window: &[u8]| {
            if let Some(index) = self.indices.get(&Fingerprint::digest_of(window)) {
                hits.push(Hit { range: (start, start + window.len()), index: *index });
            }
        };
        if let Some(suffix) = &self.suffix {
            suffix.propose(window, &mut consider);
        }
        if let Some(opaque) = &self.opaque {
            opaque.propose(window, &mut consider);
        }
        hits.sort_unstable();
        hits.dedup(); // both matchers may propose the same window
        hits
    }
}

/// The last four bytes of a key, as a little-endian number.
pub(super) type Tail = u32;

/// Returns the prefix and tail that a mask shows, if it shows any.
pub(super) fn visible(mask: &Mask) -> Option<(&[u8], Tail)> {
    let (prefix, last_four) = mask.shown()?;
    Some((prefix.as_bytes(), Tail::from_le_bytes(last_four.as_bytes().try_into().ok()?)))
}

/// The number of bytes before a start that decide whether a credential may begin there.
pub const CONTEXT: usize = 3;
