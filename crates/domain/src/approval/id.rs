//! Ids of approval requests, which a person types.

use std::fmt;

use crate::project::{NoRandomness, fill_random};

/// An approval's id: `ap-` and eight characters of Crockford's base32 alphabet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApprovalId(String);

impl ApprovalId {
    /// Creates an id from the operating system's randomness.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut bytes = [0; LENGTH];
        fill_random(&mut bytes)?;
        let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()));
        Ok(Self(letters.fold(PREFIX.to_owned(), |id, letter| id + &char::from(*letter).to_string())))
    }

    /// Parses a typed id. Accepts upper case, and `o`, `i` and `l` for the digits that they resemble.
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        let text = text.trim().to_ascii_lowercase();
        let letters = text.strip_prefix(PREFIX).ok_or(NotAnId)?.replace('o', "0").replace(['i', 'l'], "1");
        let known = letters.len() == LENGTH && letters.bytes().all(|letter| ALPHABET.contains(&letter));
        if known { Ok(Self(format!("{PREFIX}{letters}"))) } else { Err(NotAnId) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not an approval id. It is not quoted, because it may be a pasted key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an approval's id is written ap- and eight letters or digits, such as ap-7k3f9q2m")]
pub struct NotAnId;

const PREFIX: &str = "ap-";

/// 32 letters, so that a random byte modulo 32 has no bias.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 32⁸ ids are enough that a free one is drawn at once, however many requests the ledger keeps.
const LENGTH: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn typed_ids_parse_and_others_are_refused() {
        let id = ApprovalId::random().unwrap();
        assert_eq!(ApprovalId::parse(id.as_str()), Ok(id));
        assert_eq!(ApprovalId::parse(" AP-7K3F9Q2M\n").unwrap().as_str(), "ap-7k3f9q2m");
        assert_eq!(ApprovalId::parse("ap-oIlzoIlz").unwrap().as_str(), "ap-011z011z");
        for bad in
            ["", "ap-", "7k3f9q2m", "ap-7k3f", "ap-7k3f9q2m0", "ap-7k3f9q2u", "ap-7k3f9qé", "sk_live_0123456789abcdef"]
        {
            assert_eq!(ApprovalId::parse(bad), Err(NotAnId), "{bad}");
        }
    }

    /// A smaller alphabet would make collisions of ids more likely.
    #[test]
    fn random_ids_use_the_whole_alphabet() {
        let ids: Vec<_> = (0..1000).map(|_| ApprovalId::random().unwrap()).collect();
        let letters: BTreeSet<u8> = ids.iter().flat_map(|id| id.as_str().bytes().skip(PREFIX.len())).collect();
        assert_eq!(letters, BTreeSet::from(*ALPHABET));
        assert!(ids.iter().all(|id| ApprovalId::parse(&id.to_string()).as_ref() == Ok(id)));
    }
}
