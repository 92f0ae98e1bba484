//! The only type that holds a credential, with its mask and its fingerprint.

use std::{fmt, iter};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A credential.
///
/// It has no `Display`, `Serialize` or `PartialEq`, its `Debug` is redacted, and its memory is wiped on drop.
/// [`Secret::expose`] is the only way to read it; a test lists the files that may call it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the credential. `tests/suite/architecture.rs` lists the files that may call this.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the form that may be shown.
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

/// A known prefix, `…` and the last four characters; `…` alone for short or unusual credentials.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mask(String);

impl Mask {
    /// Restores a stored mask.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the prefix, which may be empty, and the last four characters; `None` if neither is shown.
    pub fn shown(&self) -> Option<(&str, &str)> {
        self.0.split_once(HIDDEN).filter(|(_, last_four)| !last_four.is_empty())
    }
}

/// A domain-separated SHA-256 of a credential, in hex, which identifies a key without storing it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Computes the fingerprint of any bytes, such as a value in an env file.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex(&Self::digest_of(bytes)))
    }

    /// Computes the raw digest, for comparing many values without hex.
    pub fn digest_of(bytes: &[u8]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(FINGERPRINT_DOMAIN);
        hasher.update(bytes);
        hasher.finalize().into()
    }

    /// Decodes the digest; `None` if the stored text is not one.
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

    /// Restores a stored fingerprint.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Encodes bytes as lower-case hex, as fingerprints, ids and hashes are written.
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut text = String::with_capacity(bytes.len() * 2);
    text.extend(digits.map(|digit| char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 })));
    text
}

/// Decodes a digit that [`hex`] writes.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Returns whether a text resembles a key or a card number, so that it must not be shown.
pub fn looks_sensitive(text: &str) -> bool {
    let resembles_key = KEYLIKE_STARTS.iter().any(|start| text.starts_with(start)) && text.len() >= SHORTEST_SHOWN;
    resembles_key || looks_like_card_number(text)
}

/// Like [`looks_sensitive`], for every suffix that starts after punctuation, as in `configuration.plan_2`.
pub fn has_sensitive_part(text: &str) -> bool {
    let begins = text.char_indices().filter(|(_, c)| !c.is_ascii_alphanumeric()).map(|(at, c)| at + c.len_utf8());
    iter::once(0).chain(begins).filter_map(|at| text.get(at..)).any(looks_sensitive)
}

/// Returns whether a text is 13 to 19 digits, grouped or not, with a valid Luhn checksum.
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

/// Returns whether a byte belongs to the alphabet of keys whose last four characters are shown.
pub const fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

const HIDDEN: &str = "…";

/// The length in bytes from which a mask shows the last four characters of a credential.
pub const SHORTEST_SHOWN: usize = 20;

/// Versioned, so that stored fingerprints cannot change meaning silently.
const FINGERPRINT_DOMAIN: &[u8] = b"stripe-projects-mcp/fingerprint/v1\0";

/// Prefixes that only identify a service. A longer one comes before its own prefix.
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

/// How commonly pasted keys begin.
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
    fn short_or_unusual_credentials_show_nothing() {
        for text in
            ["", "a", "hunter2", "sk_live_0123456789", "postgres://u:pa55word@db.example/app", "pässword-pässword-1234"]
        {
            assert!(!mask(text).chars().any(|c| c.is_alphanumeric() && text.len() < 18), "{text}");
        }
        assert_eq!(mask("postgres://u:pa55word@db.example/app"), "…");
        assert_eq!(mask("sk_live_0123456789a"), "…");
    }

    #[test]
    fn prefix_is_hidden_if_too_little_would_remain() {
        assert_eq!(mask("sk_live_0123456789abcd"), "…abcd");
    }

    #[test]
    fn four_characters_show_if_sixteen_stay_hidden() {
        assert_eq!(mask("0123456789abcdefghi"), "…");
        assert_eq!(mask("0123456789abcdefghij"), "…ghij");
        assert_eq!(mask("sk_live_0123456789abcdefghi"), "…fghi");
        assert_eq!(mask("sk_live_0123456789abcdefghij"), "sk_live_…ghij");
    }

    #[test]
    fn len_counts_bytes() {
        for (text, bytes) in [("", 0), ("k", 1), ("kü", 3)] {
            let secret = Secret::new(text.to_owned());
            assert_eq!((secret.len(), secret.is_empty()), (bytes, bytes == 0), "{text}");
        }
    }

    #[test]
    fn debug_is_redacted() {
        assert_eq!(format!("{:?}", Secret::new("canary".into())), "Secret(…)");
    }

    #[test]
    fn fingerprint_differs_from_the_plain_hash() {
        let bare = hex(&Sha256::digest(b"value"));
        assert_ne!(Fingerprint::of(b"value").as_str(), bare);
        assert_eq!(Fingerprint::of(b"value"), Secret::new("value".into()).fingerprint());
    }

    #[test]
    fn only_a_valid_fingerprint_has_a_digest() {
        let fingerprint = Fingerprint::of(b"value");
        assert_eq!(fingerprint.digest(), Some(Fingerprint::digest_of(b"value")));
        let text = fingerprint.as_str();
        let short: String = text.chars().skip(2).collect();
        for invalid in ["", "ü", &short, &format!("{short}xy"), &format!("{text}0"), &text.to_uppercase()] {
            assert_eq!(Fingerprint::from_stored(invalid.to_owned()).digest(), None, "{invalid}");
        }
    }

    #[test]
    fn pasted_keys_and_card_numbers_are_detected() {
        for text in ["4242424242424242", "4242 4242 4242 4242", "3782-822463-10005", "sk-abcdefghijklmnopqrstuv"] {
            assert!(looks_sensitive(text), "{text}");
        }
        for text in ["agent-memory", "4242424242424241", "sk-short", "2026-11-21", "pm_card_visa"] {
            assert!(!looks_sensitive(text), "{text}");
        }
    }
}
