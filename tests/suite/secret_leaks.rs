//! Searches everything that the tests' processes print or store for full keys. Only env files may hold one.

use std::{
    collections::BTreeSet,
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    fake_stripe::PREFIX,
    workspace::{CommandOutput, Workspace},
};

/// Panics if the output contains a full key.
pub fn assert_no_key_in_output(output: &[u8]) {
    if let Some(mask) = key_in(output) {
        panic!("a process printed {mask} in full");
    }
}

/// Panics if a file that is no env file contains a full key. The simulated account is the provider's side.
pub fn assert_no_key_on_disk(files: &[PathBuf], env_files: &BTreeSet<PathBuf>) {
    let plain = |file: &&PathBuf| file.symlink_metadata().is_ok_and(|metadata| metadata.is_file()); // a pipe, or removed meanwhile
    let is_for_keys = |file: &&PathBuf| env_files.contains(*file) || is_of_the_simulation(file);
    for file in files.iter().filter(plain).filter(|file| !is_for_keys(file)) {
        if let Some(mask) = fs::read(file).ok().and_then(|bytes| key_in(&bytes)) {
            panic!("{} contains {mask} in full", file.display());
        }
    }
}

/// Returns the first full key, masked: a known prefix with enough digits behind it.
fn key_in(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let digits_behind = |prefix: &str| {
        let behind = text.split(prefix).skip(1);
        behind.map(|rest| rest.bytes().take_while(u8::is_ascii_hexdigit).count()).max()
    };
    let full = KEYS.into_iter().find(|(prefix, digits)| digits_behind(prefix).is_some_and(|count| count >= *digits));
    full.map(|(prefix, _)| format!("{prefix}…"))
}

fn is_of_the_simulation(file: &Path) -> bool {
    file.file_name().unwrap().to_string_lossy().starts_with("simulated.db")
}

/// Prefixes of the keys of the simulation, the fake Stripe CLI and Stripe. Any key has more hexadecimal digits than
/// given here.
const KEYS: [(&str, usize); 4] = [("sk_proj_sim_", 16), (PREFIX, 16), ("rk_test_", 10), ("rk_live_", 10)];

#[test]
fn full_key_is_detected_and_a_mask_is_not() {
    for key in [
        "sk_proj_sim_0123456789abcdef0123456789abcdef",
        &format!("\u{1b}[1m{PREFIX}00112233445566778899"),
        "{\"rk_test_0123456789",
    ] {
        assert!(key_in(format!("a {key}\n").as_bytes()).is_some(), "{key}");
    }
    let masks = [b"sk_proj_sim_\xe2\x80\xa6cdef ", PREFIX.as_bytes(), b"0123 \xff\xfe rk_test_"].concat();
    assert_eq!(key_in(&masks), None);
}

#[test]
fn leaked_key_fails_its_test() {
    let key = "sk_proj_sim_0123456789abcdef0123456789abcdef";
    let fails = |name: &str| catch_unwind(|| Workspace::new().write(name, key)).is_err();
    for name in ["ledger.db", "notes", "other.env", ".env.stripe-projects.tmp", "credentials.env"] {
        assert!(fails(name), "{name}");
    }
    assert!(!fails(".env"));
    let panics =
        |word: &str| catch_unwind(|| CommandOutput::from(Command::new("echo").arg(word).output().unwrap())).is_err();
    assert!(panics(key) && !panics("sk_proj_sim_…cdef"));
}
