//! The only type that holds a credential, and the two things that may be known of one: its mask and its
//! fingerprint.

use std::{fmt, iter};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A credential.
///
/// It has no `Display`, no `Serialize` and no `PartialEq`, and its `Debug` says nothing; memory is wiped when it
/// is dropped. [`Secret::expose`] is the one way out, and a test lists the files that may say it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The credential itself. Every caller is listed in `tests/suite/architecture.rs`.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What outsiders see of it.
    pub fn mask(&self) -> Mask {
        let text = self.0.as_str();
        if text.len() < SHORTEST_SHOWN || !text.bytes().all(is_key_byte) {
            return Mask(HIDDEN.to_owned());
        }
        let prefix = KNOWN_PREFIXES.iter().find(|prefix| text.starts_with(**prefix)).copied().unwrap_or_default();
        let last_four = text.get(text.len() - 4..).unwrap_or_default();
        if text.len() - prefix.len() < SHORTEST_SHOWN {
            return Mask(format!("{HIDDEN}{last_four}"));
        }
        Mask(format!("{prefix}{HIDDEN}{last_four}"))
    }

    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.0.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// A known prefix, `…`, and the last four characters; of a short or odd credential, `…` alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mask(String);

impl Mask {
    /// A mask that was stored earlier.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The known prefix, which may be empty, and the last four characters; `None` when nothing is shown.
    pub fn shown(&self) -> Option<(&str, &str)> {
        self.0.split_once(HIDDEN).filter(|(_, last_four)| !last_four.is_empty())
    }
}

/// SHA-256 of a credential under our own domain, in hex: says "that value is ours" without keeping it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint of any bytes, for instance of a value found in an env file.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex(&Self::digest_of(bytes)))
    }

    /// What the fingerprint of these bytes would be the hex of, for those who make thousands to compare them.
    pub fn digest_of(bytes: &[u8]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(FINGERPRINT_DOMAIN);
        hasher.update(bytes);
        hasher.finalize().into()
    }

    /// What this is the hex of; `None` if it was stored by somebody else and is the fingerprint of nothing.
    pub fn digest(&self) -> Option<[u8; 32]> {
        let mut digest = [0; 32];
        let (pairs, rest) = self.0.as_bytes().as_chunks::<2>();
        if pairs.len() != digest.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Some(digest)
    }

    /// A fingerprint that was stored earlier.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lower-case hex, as fingerprints, ids and hashes are written everywhere here.
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut text = String::with_capacity(bytes.len() * 2);
    text.extend(digits.map(|digit| char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 })));
    text
}

/// The value of a digit as [`hex`] writes it.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Whether a text has no business in a name, a log or an error: it reads like a key or like a card number.
pub fn looks_sensitive(text: &str) -> bool {
    let keyish = KEYLIKE_STARTS.iter().any(|start| text.starts_with(start)) && text.len() >= SHORTEST_SHOWN;
    keyish || looks_like_card_number(text)
}

/// The same of a text that has parts, such as `configuration.plan_2`: whether one that begins behind a sign, and goes on
/// to the end, reads so.
pub fn has_sensitive_part(text: &str) -> bool {
    let begins = text.char_indices().filter(|(_, c)| !c.is_ascii_alphanumeric()).map(|(at, c)| at + c.len_utf8());
    iter::once(0).chain(begins).filter_map(|at| text.get(at..)).any(looks_sensitive)
}

/// 13 to 19 digits, however grouped, that satisfy the checksum of payment cards (Luhn).
pub fn looks_like_card_number(text: &str) -> bool {
    if text.chars().any(|c| !c.is_ascii_digit() && c != ' ' && c != '-') {
        return false;
    }
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let luhn: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    (13..=19).contains(&digits.len()) && luhn.is_multiple_of(10)
}

/// Whether a byte is of the alphabet of which a mask shows the last four.
pub const fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

const HIDDEN: &str = "…";

/// Below this many characters four of them are too large a part to show.
pub const SHORTEST_SHOWN: usize = 20;

/// Ends in a version, so that the meaning of stored fingerprints can never change silently.
const FINGERPRINT_DOMAIN: &[u8] = b"stripe-projects-mcp/fingerprint/v1\0";

/// Prefixes that say which service a key is for and nothing else. Longest first where one begins another.
const KNOWN_PREFIXES: &[&str] = &[
    "sk_proj_sim_",
    "sk-or-v1-",
    "bb_live_",
    "rk_live_",
    "rk_test_",
    "sk_live_",
    "sk_test_",
    "am_us_",
    "am_",
    "ck-",
    "fc-",
    "sk_",
    "sm_",
];

/// How keys that people paste begin.
const KEYLIKE_STARTS: &[&str] = &["sk_", "sk-", "rk_", "rk-", "pk_", "pk-", "sm_", "xoxb-", "ghp_", "whsec_"];

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str) -> String {
        Secret::new(text.to_owned()).mask().as_str().to_owned()
    }

    #[test]
    fn a_mask_shows_a_known_prefix_and_four_characters() {
        assert_eq!(mask("sk_proj_sim_0123456789abcdef0123456789abcdef"), "sk_proj_sim_…cdef");
        assert_eq!(mask("whatever0123456789abcdefWXYZ"), "…WXYZ");
    }

    #[test]
    fn a_short_or_odd_credential_shows_nothing() {
        for text in
            ["", "a", "hunter2", "sk_live_0123456789", "postgres://u:pa55word@db.example/app", "pässword-pässword-1234"]
        {
            assert!(!mask(text).chars().any(|c| c.is_alphanumeric() && text.len() < 18), "{text}");
        }
        assert_eq!(mask("postgres://u:pa55word@db.example/app"), "…");
        assert_eq!(mask("sk_live_0123456789a"), "…");
    }

    #[test]
    fn a_prefix_is_dropped_when_too_little_would_stay_hidden() {
        assert_eq!(mask("sk_live_0123456789abcd"), "…abcd");
    }

    #[test]
    fn four_characters_show_only_where_sixteen_stay_hidden() {
        assert_eq!(mask("0123456789abcdefghi"), "…");
        assert_eq!(mask("0123456789abcdefghij"), "…ghij");
        assert_eq!(mask("sk_live_0123456789abcdefghi"), "…fghi");
        assert_eq!(mask("sk_live_0123456789abcdefghij"), "sk_live_…ghij");
    }

    #[test]
    fn a_secret_says_how_long_it_is_and_whether_there_is_one() {
        for (text, bytes) in [("", 0), ("k", 1), ("kü", 3)] {
            let secret = Secret::new(text.to_owned());
            assert_eq!((secret.len(), secret.is_empty()), (bytes, bytes == 0), "{text}");
        }
    }

    #[test]
    fn debug_says_nothing() {
        assert_eq!(format!("{:?}", Secret::new("canary".into())), "Secret(…)");
    }

    #[test]
    fn a_fingerprint_is_not_the_bare_hash() {
        let bare = hex(&Sha256::digest(b"value"));
        assert_ne!(Fingerprint::of(b"value").as_str(), bare);
        assert_eq!(Fingerprint::of(b"value"), Secret::new("value".into()).fingerprint());
    }

    #[test]
    fn a_fingerprint_is_the_hex_of_its_digest_and_of_nothing_else() {
        let fingerprint = Fingerprint::of(b"value");
        assert_eq!(fingerprint.digest(), Some(Fingerprint::digest_of(b"value")));
        let text = fingerprint.as_str();
        let short: String = text.chars().skip(2).collect();
        for odd in ["", "ü", &short, &format!("{short}xy"), &format!("{text}0"), &text.to_uppercase()] {
            assert_eq!(Fingerprint::from_stored(odd.to_owned()).digest(), None, "{odd}");
        }
    }

    #[test]
    fn pasted_keys_and_cards_are_recognised() {
        for text in ["4242424242424242", "4242 4242 4242 4242", "3782-822463-10005", "sk-abcdefghijklmnopqrstuv"] {
            assert!(looks_sensitive(text), "{text}");
        }
        for text in ["agent-memory", "4242424242424241", "sk-short", "2026-11-21", "pm_card_visa"] {
            assert!(!looks_sensitive(text), "{text}");
        }
    }
}
