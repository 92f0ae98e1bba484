//! What must hold whatever anybody writes: one function for each kind of text that comes from outside, which panics
//! where a promise is broken.
//!
//! `fuzz/` calls them with what it makes up, and `cargo test` with what is kept in `tests/corpus/fuzz`. Each takes any
//! bytes. A byte 1 in them stands for a credential that somebody pasted there: whatever is said of the text, it is not in it.

mod arguments;
mod backends;
mod env_file;
mod registry;
mod setup;

pub use arguments::arguments;
pub use backends::{api, plugin};
pub use env_file::env_file;
pub use registry::registry;
pub use setup::setup;

/// The bytes as text, with a credential wherever a byte 1 stands. Behind a letter or a digit it stands for nothing: what
/// begins in the middle of a word is no credential to anybody.
fn planted(bytes: &[u8]) -> String {
    // A fuzzer that watches comparisons soon finds out what is looked for.
    let text = String::from_utf8_lossy(bytes).replace(WITHIN, "");
    let mut planted = String::with_capacity(text.len());
    for part in text.split_inclusive('\u{1}') {
        let before = part.trim_end_matches('\u{1}');
        planted.push_str(before);
        if before.len() < part.len() && !planted.ends_with(|c: char| c.is_ascii_alphanumeric()) {
            planted.push_str(CREDENTIAL);
        }
    }
    planted
}

/// Sees to it that nothing of a planted credential is shown.
fn assert_quotes_nothing(shown: &str) {
    assert!(!shown.contains(WITHIN), "a credential is quoted: {shown}");
}

/// The bytes up to the first LF, and those behind it.
fn first_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    (line, rest.strip_prefix(b"\n").unwrap_or(rest))
}

const CREDENTIAL: &str = "sk_live_4eC39HCaNaRyHqLyjWDarjtT1zdp7dc";

/// What is looked for: no word of ours, and what a credential that was cut or wrapped would still show.
const WITHIN: &str = "CaNaRy";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Everything that a fuzzer once tripped over, and what it began with.
    #[test]
    fn what_was_found_once_stays_mended() {
        let targets = [
            ("api", api as fn(&[u8])),
            ("arguments", arguments),
            ("env_file", env_file),
            ("plugin", plugin),
            ("registry", registry),
            ("setup", setup),
        ];
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/fuzz");
        for (name, target) in targets {
            let seeds = std::fs::read_dir(corpus.join(name)).unwrap().map(|seed| seed.unwrap().path());
            let mut replayed = 0;
            for seed in seeds {
                println!("{}", seed.display()); // shown only where a seed fails
                target(&std::fs::read(seed).unwrap());
                replayed += 1;
            }
            assert!(replayed >= 3, "{name} has lost its seeds");
        }
    }

    #[test]
    #[should_panic(expected = "a credential is quoted")]
    fn a_quoted_credential_does_not_pass() {
        assert_quotes_nothing(&planted(b"no provider is called \x01"));
    }
}
