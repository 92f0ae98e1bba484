//! Common env files, in `tests/corpus/env`, through a project's lifecycle: every line but ours stays.

use std::{fs, path::Path};

use crate::workspace::Workspace;

#[test]
fn teardown_restores_each_corpus_file() {
    let mut count = 0;
    for file in fs::read_dir(CORPUS).unwrap().map(|file| file.unwrap().path()) {
        let original = fs::read(&file).unwrap();
        let workspace = Workspace::new();
        workspace.write(".env", &original);
        let after = |arguments: &[&str]| {
            workspace.ok(arguments);
            fs::read(workspace.file(".env")).unwrap()
        };
        let delivered = after(&["provision", "memory", "supermemory"]);
        let first = assert_one_line_is_ours(&original, &delivered, &file);
        let rotated = after(&["rotate", "memory"]);
        let second = assert_one_line_is_ours(&original, &rotated, &file);
        assert_ne!(first, second, "{}", file.display());
        let withdrawn = after(&["teardown", "memory", "--yes"]);
        let remaining = without(&original, original_line(&original).as_deref());
        let rest = withdrawn.strip_prefix(remaining.as_slice());
        // If the last line of the file lacked its ending, it has one now.
        assert!(matches!(rest, Some(b"" | b"\n" | b"\r\n")), "{}: {}", file.display(), withdrawn.escape_ascii());
        count += 1;
    }
    assert!(count >= 25, "the corpus has shrunk to {count}");
}

/// Asserts that one line holds the key, and returns the key. The line replaces the template's empty one, or is the
/// last.
fn assert_one_line_is_ours(original: &[u8], now: &[u8], file: &Path) -> Vec<u8> {
    let context = || format!("{}: {}", file.display(), now.escape_ascii());
    let at = find(now, b"SUPERMEMORY_API_KEY=sk_proj_sim_").unwrap_or_else(|| panic!("{}", context()));
    let line = &now[at..];
    let line = &line[..line.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(line.len())];
    if let Some(old) = original_line(original) {
        let place = find(original, &old).unwrap();
        let expected = [&original[..place], line, &original[place + old.len()..]].concat();
        assert!(now == expected, "{}", context());
    } else {
        let added = now.strip_prefix(original).unwrap_or_else(|| panic!("{}", context()));
        assert!(added.trim_ascii() == line && added.ends_with(b"\n"), "{}", context());
    }
    line.to_vec()
}

/// Returns the line that a template keeps free for the key.
fn original_line(original: &[u8]) -> Option<Vec<u8>> {
    let lines = original.split(|byte| *byte == b'\n');
    lines.into_iter().find(|line| FREE.contains(line)).map(<[u8]>::to_vec)
}

fn without(original: &[u8], line: Option<&[u8]>) -> Vec<u8> {
    let Some(line) = line else { return original.to_vec() };
    let at = find(original, line).unwrap();
    [&original[..at], &original[at + line.len() + 1..]].concat()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/env");

const FREE: &[&[u8]] = &[b"SUPERMEMORY_API_KEY=", b"SUPERMEMORY_API_KEY=\"\" # https://console.supermemory.ai"];
