//! Measures `scan` against ripgrep, which searches the same tree for one literal: `cargo bench --bench scan`.
//!
//! Both are started for each measurement, alternately, and read from the page cache. ripgrep runs with `-uuu`, because
//! `scan` skips no files either.

#![allow(
    clippy::float_arithmetic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark reports errors by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "a benchmark may use the file system and start processes")]

mod keys;
mod tree;

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const ROUNDS: usize = 11;

fn main() {
    if Command::new("rg").arg("--version").output().is_err() {
        return println!("ripgrep is not installed; nothing to compare with");
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let tree = folder.join("tree");
    let bytes = tree::create(&tree);
    println!("{} MB; a ratio of 0.50 means half the speed of ripgrep\n", bytes / 1_000_000);
    println!("{:<34} {:>10} {:>10} {:>10}", "", "ours", "ripgrep", "ratio");
    for (label, kind) in [("keys with a known prefix", keys::Kind::Prefixed), ("keys of every kind", keys::Kind::Mixed)]
    {
        for count in [10, 10_000] {
            let workspace = folder.join(format!("{label}-{count}"));
            let literal = keys::deliver(&workspace, kind, count);
            compare(&format!("{count} {label}"), &workspace, &tree, &literal);
        }
    }
}

fn compare(label: &str, workspace: &Path, tree: &Path, literal: &str) {
    let leak = tree.join("notes.txt");
    std::fs::write(&leak, format!("the key is {literal}, I think\n")).unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stripe-projects-mcp"));
        command.arg("scan").arg(tree).arg("--dir").arg(workspace).arg("--state-dir").arg(keys::state_of(workspace));
        ours.push(timed(&mut command, 7));
        theirs.push(timed(Command::new("rg").args(["-uuu", "--fixed-strings", "--line-number", literal]).arg(tree), 0));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    println!("{label:<34} {:>7.1} ms {:>7.1} ms {:>10.2}", ms(ours), ms(theirs), ms(theirs) / ms(ours));
}

/// Runs a command and asserts that it finds the key, because its time is meaningless otherwise.
fn timed(command: &mut Command, code: i32) -> Duration {
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).output().unwrap();
    let time = start.elapsed();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("notes.txt"), "{output:?}");
    time
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
