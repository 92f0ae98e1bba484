//! The house rules, as tests.
//!
//! A crate is one compilation unit, so the compiler lets any module reach any other. These tests are the walls: they
//! read `src/` as text and fail with the line to change.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// `(module, modules it may import, crates it may import)`, ground floor first.
///
/// Adding a word here is an architectural decision: say why in `ARCHITECTURE.md`. A module may only name modules that
/// stand before it, which a test checks too.
const FLOORS: &[(&str, &[&str], &[&str])] = &[
    // Ground floor: words.
    ("clock", &[], &["jiff"]),
    ("lifetime", &[], &["thiserror"]),
    ("money", &[], &["thiserror"]),
    ("secret", &[], &["sha2", "zeroize"]),
    ("name", &["secret"], &["thiserror"]),
    ("project", &["clock", "money", "name", "secret"], &["rand", "thiserror"]),
    // Says what a human's yes is about; random ids, and the time that it lasts.
    ("approval", &["clock", "money", "name", "project"], &["thiserror"]),
    // First floor: ports.
    ("fs", &[], &["rustix", "thiserror"]),
    ("git", &[], &["thiserror"]),
    ("store", &["fs"], &["rusqlite", "thiserror"]),
    ("dotenv", &["name", "secret"], &["dotenv_parser", "thiserror", "zeroize"]),
    ("env_file", &["dotenv", "fs", "git", "name", "secret"], &["thiserror"]),
    // Edits other programs' files, and knows nothing else of us; JSON and TOML at once, so both parsers are at home here.
    ("setup", &["fs", "git", "secret"], &["jsonc_parser", "serde_json", "thiserror", "toml"]),
    (
        "registry",
        &["fs", "lifetime", "money", "name", "project", "secret"],
        &["serde_json", "strsim", "thiserror", "toml"],
    ),
    (
        "ledger",
        // `fs` for the head record of the audit, which has to stand outside the database.
        &["approval", "clock", "fs", "money", "name", "project", "secret", "store"],
        &["serde_json", "sha2", "thiserror"],
    ),
    // The one way out to an address that the registry names; signs what it sends.
    (
        "alerts",
        &["clock", "ledger", "money", "registry", "secret"],
        &["hmac", "reqwest", "rustls", "serde_json", "sha2", "thiserror", "tokio"],
    ),
    (
        "backend",
        &["clock", "dotenv", "fs", "ledger", "money", "name", "project", "secret", "store"],
        &[
            "async_trait",
            "reqwest",
            "rusqlite",
            "rustix",
            "rustls",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "zeroize",
        ],
    ),
    // Shows the world of `backend` as Stripe's API: a server, and the only one.
    (
        "simulator",
        &["backend", "clock", "fs", "money", "project", "secret", "store"],
        &["axum", "serde", "serde_json", "sha2", "thiserror", "tokio"],
    ),
    // Looks for what it knows by mask and fingerprint only, in files and in what git keeps.
    ("scan", &["fs", "git", "secret"], &["ignore"]),
    // Second floor: use cases.
    ("policy", &["lifetime", "money", "name", "registry"], &["thiserror"]),
    (
        "view",
        &["approval", "backend", "clock", "ledger", "money", "project", "registry"],
        &["schemars", "serde", "serde_json"],
    ),
    (
        "error",
        &[
            "approval",
            "backend",
            "dotenv",
            "env_file",
            "fs",
            "git",
            "ledger",
            "lifetime",
            "money",
            "name",
            "policy",
            "project",
            "registry",
            "setup",
            "simulator",
            "store",
            "view",
        ],
        &["thiserror"],
    ),
    (
        "provisioner",
        &[
            "alerts", "approval", "backend", "clock", "env_file", "error", "fs", "lifetime", "ledger", "money", "name",
            "policy", "project", "registry", "scan", "secret", "view",
        ],
        &["serde_json", "tokio"],
    ),
    // Looks at every port, and repairs through the provisioner.
    (
        "doctor",
        &["backend", "env_file", "error", "fs", "git", "ledger", "name", "project", "provisioner", "view"],
        &["serde"],
    ),
    // The composition root puts the house together; both doors are opened by `lib.rs`.
    (
        "settings",
        &[
            "backend",
            "clock",
            "error",
            "fs",
            "lifetime",
            "ledger",
            "provisioner",
            "registry",
            "scan",
            "secret",
            "setup",
            "simulator",
        ],
        // rustix for the name of the person's terminal
        &["rustix", "tokio"],
    ),
    // Third floor: doors, strangers to each other.
    (
        "mcp",
        // `backend` for one error: a link for a person is put to that person.
        &[
            "alerts",
            "approval",
            "backend",
            "clock",
            "env_file",
            "error",
            "lifetime",
            "ledger",
            "money",
            "name",
            "policy",
            "provisioner",
            "secret",
            "view",
        ],
        &[
            "rmcp",
            "schemars",
            "serde",
            "serde_json",
            "serde_path_to_error",
            "thiserror",
            "tokio",
            "tokio_util",
            "tracing",
        ],
    ),
    (
        "cli",
        &[
            "alerts",
            "approval",
            "clock",
            "doctor",
            "env_file",
            "error",
            "lifetime",
            "ledger",
            "money",
            "name",
            "policy",
            "provisioner",
            "scan",
            "settings",
            "setup",
            "view",
        ],
        &["clap", "clap_complete", "clap_mangen", "comfy_table", "serde", "serde_json", "terminal_size", "tokio"],
    ),
    // Above both doors, and in no released program: the places where others' text comes in.
    (
        "fuzzing",
        &["backend", "dotenv", "lifetime", "mcp", "money", "name", "registry", "secret", "setup"],
        &["serde_json", "toml"],
    ),
];

/// What only some files may say, and what to do instead.
const RESERVED: &[(&str, &[&str], &str)] = &[
    (
        ".expose()",
        // `mcp/request_state.rs` seals with a key of our own, which opens nothing.
        &[
            "alerts/signature.rs",
            "dotenv/mod.rs",
            "backend/simulated/resources.rs",
            "backend/stripe_api/http.rs",
            "mcp/request_state.rs",
            "simulator/calls/reveal.rs",
        ],
        "hand over the `Secret` instead",
    ),
    (
        "std::fs",
        &["fs/lock.rs", "fs/mod.rs", "fs/write_access.rs"],
        "use what `crate::fs` offers, which is atomic and private",
    ),
    (
        "Command::new",
        &["backend/stripe_cli/runner.rs", "git/process.rs", "settings/detached_reaper.rs"],
        "processes are started in `git/process.rs`, in a backend's `runner.rs` and by `settings/detached_reaper.rs` only",
    ),
    (
        // `Provisioner::event` is where Ctrl-C may still call an operation off. `provisioner/audit.rs` writes down calls
        // that are over; the ledger only adds to what it was options.
        "Event {",
        &[
            "ledger/alerts.rs",
            "ledger/audit/accept.rs",
            "ledger/audit/chain.rs",
            "ledger/tests.rs",
            "provisioner/audit.rs",
            "provisioner/mod.rs",
        ],
        "let `Provisioner::event` make it, or Ctrl-C would not know that something is about to be written",
    ),
    ("env::var", &["settings/environment.rs"], "read the environment once, in `settings`, and hand the value over"),
    ("io::stdout()", &["cli/render/stream.rs"], "return a view and let `cli/render` print it"),
    ("println!", &[], "return a view and let `cli/render` print it"),
    ("unsafe ", &[], "this house has none"),
];

/// A module past this many lines wants to be two.
const LONGEST_FILE: usize = 400;

#[test]
fn modules_import_only_from_the_floors_below() {
    let mut wrong = Vec::new();
    for file in sources() {
        let Some((_, modules, crates)) = FLOORS.iter().find(|(name, ..)| *name == file.module) else {
            wrong.push(format!("src/{}: `{}` stands on no floor; give it a line in FLOORS", file.path, file.module));
            continue;
        };
        for import in file.siblings.iter().filter(|import| **import != file.module) {
            if !modules.contains(&import.as_str()) {
                let theirs = format!("src/{import}");
                wrong.push(format!("src/{} may not import {theirs}: it is not on a floor below it", file.path));
            }
        }
        for import in &file.externals {
            if !crates.contains(&import.as_str()) {
                wrong.push(format!(
                    "src/{} may not use the crate `{import}`: another module is its only home",
                    file.path
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn floors_stand_on_each_other() {
    for (place, (module, modules, _)) in FLOORS.iter().enumerate() {
        for import in *modules {
            assert!(
                FLOORS[..place].iter().any(|(below, ..)| below == import),
                "`{module}` may not import `{import}`, which stands above or beside it"
            );
        }
    }
}

#[test]
fn reserved_words_are_said_in_their_places_only() {
    for file in every_source() {
        for (word, places, instead) in RESERVED {
            assert!(
                places.contains(&file.path.as_str()) || !file.code.contains(word),
                "src/{} says `{word}`: {instead}; or list the file in RESERVED and say why in ARCHITECTURE.md",
                file.path
            );
        }
    }
}

#[test]
fn no_file_is_two_ideas() {
    for file in every_source() {
        assert!(file.lines <= LONGEST_FILE, "src/{} has {} lines: split it by idea", file.path, file.lines);
    }
}

#[test]
fn the_walls_see_what_they_should() {
    let found = read("cli/x.rs", "use crate::{mcp::Door, view};\nuse rusqlite::Connection;\n// use toml::Table;\n");
    assert_eq!(found.siblings, BTreeSet::from(["mcp".to_owned(), "view".to_owned()]));
    assert_eq!(found.externals, BTreeSet::from(["rusqlite".to_owned()]));
    let inline = read("money.rs", "fn f() { crate::mcp::serve(); let x = tokio::spawn(y); }");
    assert_eq!(inline.siblings, BTreeSet::from(["mcp".to_owned()]));
    assert_eq!(inline.externals, BTreeSet::from(["tokio".to_owned()]));
}

struct Source {
    path: String,
    module: String,
    /// Without comments and without the tests at the bottom.
    code: String,
    lines: usize,
    siblings: BTreeSet<String>,
    externals: BTreeSet<String>,
}

/// All but the two files that only put modules together.
fn sources() -> impl Iterator<Item = Source> {
    every_source().into_iter().filter(|file| !matches!(file.module.as_str(), "lib" | "main"))
}

fn every_source() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    assert!(files.len() > 30, "the walls read too little of the house");
    let path = |file: &Path| file.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
    files.iter().map(|file| read(&path(file), &fs::read_to_string(file).unwrap())).collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn read(path: &str, text: &str) -> Source {
    let house = text.split("#[cfg(test)]").next().unwrap();
    let lines = house.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    Source {
        path: path.to_owned(),
        module: path.split('/').next().unwrap().trim_end_matches(".rs").to_owned(),
        lines: text.lines().count(),
        siblings: code.split("crate::").skip(1).flat_map(heads).filter(|name| is_module(name)).collect(),
        externals: dependencies().into_iter().filter(|name| mentions(&code, name)).collect(),
        code,
    }
}

/// What `Cargo.toml` says the house is built with, as code spells it.
fn dependencies() -> Vec<String> {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    let everywhere = manifest["dependencies"].as_table().unwrap();
    let on_unix = manifest["target"]["cfg(unix)"]["dependencies"].as_table().unwrap();
    everywhere.keys().chain(on_unix.keys()).map(|name| name.replace('-', "_")).collect()
}

/// Whether a crate is named by a path, as in `toml::Table`.
fn mentions(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    code.match_indices(&path)
        .any(|(at, _)| !code[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | ':')))
}

fn is_module(name: &str) -> bool {
    FLOORS.iter().any(|(module, ..)| *module == name)
}

/// The first segment of an import, or of each branch of a `{..}` group.
fn heads(import: &str) -> Vec<String> {
    let import = import.trim_start();
    let Some(group) = import.strip_prefix('{') else {
        return head(import).into_iter().collect();
    };
    let (mut depth, mut branch, mut found) = (1, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => {
                found.extend(head(&branch));
                branch.clear();
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
        branch.push(c);
    }
    found.extend(head(&branch));
    found
}

fn head(path: &str) -> Option<String> {
    let name: String = path.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}
