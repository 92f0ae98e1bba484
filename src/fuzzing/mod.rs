//! Fuzz targets: one function for each kind of untrusted text; it panics if an invariant breaks.
//!
//! `fuzz/` calls them with generated input, and `cargo test` with the corpus in `tests/corpus/fuzz`. Each accepts any bytes.
//! A byte 1 in the input stands for a pasted credential, which no error or log may quote.

mod arguments;
mod backends;
mod env_file;
mod registry;
mod setup;

pub use self::backends::{api, plugin};
pub use arguments::arguments;
pub use env_file::env_file;
pub use registry::registry;
pub use setup::setup;

/// Converts the bytes to text and replaces each byte 1 by a credential.
///
/// After a letter or a digit, a byte 1 is removed, because a credential does not begin within a word.
fn plant_credentials(bytes: &[u8]) -> String {
    // A fuzzer that traces comparisons would soon insert the marker itself.
    let text = String::from_utf8_lossy(bytes).replace(MARKER, "");
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

/// Asserts that the output contains no planted credential.
fn assert_quotes_nothing(output: &str) {
    assert!(!output.contains(MARKER), "a credential is quoted: {output}");
}

/// Splits at the first LF.
fn first_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    (line, rest.strip_prefix(b"\n").unwrap_or(rest))
}

const CREDENTIAL: &str = "sk_live_4eC39HCaNaRyHqLyjWDarjtT1zdp7dc";

/// A part of the credential that no message contains, and that a truncated credential still has.
const MARKER: &str = "CaNaRy";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Replays the seeds and all inputs that once failed.
    #[test]
    fn corpus_replay_holds_every_invariant() {
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
    fn assert_quotes_nothing_with_credential_panics() {
        assert_quotes_nothing(&plant_credentials(b"no provider is called \x01"));
    }
}
