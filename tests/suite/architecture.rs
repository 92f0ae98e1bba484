//! The structural rules, as tests.
//!
//! A crate is one compilation unit, so the compiler lets any module reach any other. These tests read `src/` as text
//! and fail with the line to change.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// `(module, modules it may import, crates it may import)`, lowest layer first.
///
/// Adding an entry here is an architectural decision: give the reason in `ARCHITECTURE.md`. A module may only name
/// modules above it in this list, which a test checks too.
const LAYERS: &[(&str, &[&str], &[&str])] = &[
    // Domain.
    ("clock", &[], &["jiff"]),
    ("diagnostic", &[], &[]),
    ("lifetime", &["diagnostic"], &["thiserror"]),
    ("money", &["diagnostic"], &["thiserror"]),
    ("secret", &[], &["sha2", "zeroize"]),
    ("name", &["diagnostic", "secret"], &["thiserror"]),
    ("principal", &["secret"], &[]),
    ("project", &["clock", "diagnostic", "money", "name", "secret"], &["rand", "thiserror"]),
    ("safe_url", &[], &["thiserror", "url"]),
    ("alert", &["clock", "money", "name", "project"], &[]),
    // Describes what an approval covers; random ids, and its time limit.
    ("approval", &["clock", "diagnostic", "money", "name", "project"], &["thiserror"]),
    // Storage and backends.
    ("fs", &["diagnostic"], &["rustix", "thiserror"]),
    ("git", &["diagnostic"], &["thiserror"]),
    ("store", &["diagnostic", "fs"], &["rusqlite", "thiserror"]),
    ("dotenv", &["diagnostic", "name", "secret"], &["dotenv_parser", "thiserror", "zeroize"]),
    ("env_file", &["diagnostic", "dotenv", "fs", "git", "name", "secret"], &["thiserror"]),
    // Edits other programs' files and knows nothing else of this program. It handles JSON and TOML, so it uses both
    // parsers.
    ("host_config", &["diagnostic", "fs", "git", "secret"], &["jsonc_parser", "serde_json", "thiserror", "toml"]),
    (
        "registry",
        &["diagnostic", "fs", "lifetime", "money", "name", "project", "safe_url", "secret"],
        &["serde", "serde_json", "strsim", "thiserror", "toml"],
    ),
    (
        "ledger",
        // `fs` for the head record of the audit, which is outside the database.
        &["alert", "approval", "clock", "diagnostic", "fs", "money", "name", "project", "secret", "store"],
        &["serde_json", "sha2", "thiserror"],
    ),
    // Builds every HTTP client; knows the addresses that are not public.
    ("net", &["safe_url"], &["reqwest", "rustls", "thiserror"]),
    // Sends to the address that the registry names, and signs what it sends.
    (
        "alerts",
        &["alert", "clock", "money", "net", "registry", "safe_url", "secret"],
        &["hmac", "reqwest", "serde_json", "sha2", "thiserror", "tokio"],
    ),
    (
        "backend",
        &["clock", "diagnostic", "dotenv", "fs", "money", "name", "net", "project", "safe_url", "secret", "store"],
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
    // Serves the simulated account as Stripe's API; the only server.
    (
        "simulator",
        &["backend", "clock", "diagnostic", "fs", "money", "project", "safe_url", "secret", "store"],
        &["axum", "serde", "serde_json", "sha2", "thiserror", "tokio"],
    ),
    // Searches files and git objects for keys known by mask and fingerprint only.
    ("scan", &["fs", "git", "secret"], &["ignore", "rustc_hash"]),
    // Application.
    ("policy", &["diagnostic", "lifetime", "money", "name", "principal", "registry"], &["thiserror"]),
    // The result of every use case about one project.
    ("project_state", &["backend", "money", "name", "project"], &[]),
    (
        "error",
        &[
            "approval",
            "backend",
            "diagnostic",
            "env_file",
            "fs",
            "ledger",
            "lifetime",
            "ledger",
            "money",
            "name",
            "policy",
            "project",
            "project_state",
            "registry",
            "setup",
            "simulator",
            "store",
        ],
        &["thiserror", "tracing"],
    ),
    (
        "provisioner",
        &[
            "alerts",
            "approval",
            "backend",
            "clock",
            "env_file",
            "error",
            "fs",
            "lifetime",
            "ledger",
            "money",
            "name",
            "policy",
            "principal",
            "project",
            "project_state",
            "registry",
            "scan",
            "secret",
        ],
        &["serde_json", "tokio"],
    ),
    // Converts the results of use cases to what every transport shows.
    (
        "view",
        &[
            "approval",
            "clock",
            "error",
            "fs",
            "ledger",
            "money",
            "name",
            "project",
            "project_state",
            "provisioner",
            "registry",
        ],
        &["schemars", "serde", "serde_json"],
    ),
    // Inspects every port, and repairs through the provisioner.
    (
        "doctor",
        &["backend", "diagnostic", "env_file", "error", "fs", "git", "ledger", "name", "project", "provisioner"],
        &["serde"],
    ),
    // Every transport's commands: parsed, executed and recorded in one place.
    (
        "app",
        &[
            "approval",
            "clock",
            "doctor",
            "env_file",
            "error",
            "ledger",
            "lifetime",
            "money",
            "name",
            "principal",
            "project_state",
            "provisioner",
            "registry",
            "scan",
            "view",
        ],
        &["serde_json", "tokio", "tokio_util"],
    ),
    // The composition root; `lib.rs` starts both transports.
    (
        "settings",
        &[
            "backend",
            "clock",
            "error",
            "fs",
            "host_config",
            "lifetime",
            "ledger",
            "money",
            "provisioner",
            "registry",
            "scan",
            "secret",
            "simulator",
        ],
        // rustix for the name of the user's terminal
        &["rustix", "tokio"],
    ),
    // Transports, independent of each other.
    (
        "mcp",
        // `backend` for one error: a link that the user has to open.
        &[
            "alerts",
            "app",
            "approval",
            "backend",
            "error",
            "lifetime",
            "money",
            "name",
            "principal",
            "principal",
            "project_state",
            "provisioner",
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
            "app",
            "approval",
            "clock",
            "doctor",
            "error",
            "host_config",
            "lifetime",
            "money",
            "name",
            "principal",
            "project",
            "project_state",
            "provisioner",
            "scan",
            "settings",
            "view",
        ],
        &["clap", "clap_complete", "clap_mangen", "comfy_table", "serde", "serde_json", "terminal_size", "tokio"],
    ),
    // Above both transports, and in no release: the parsers of untrusted text.
    (
        "fuzzing",
        &["backend", "dotenv", "host_config", "lifetime", "mcp", "money", "name", "registry", "secret"],
        &["serde_json", "toml"],
    ),
];

/// Expressions that only some files may contain, and what to do instead.
const RESERVED: &[(&str, &[&str], &str)] = &[
    (
        ".expose()",
        // `mcp/request_state.rs` signs with its own key, which is no credential.
        &[
            "alerts/signature.rs",
            "dotenv/text.rs",
            "backend/simulated/resources.rs",
            "backend/stripe_api/http.rs",
            "mcp/request_state.rs",
            "simulator/calls/reveal.rs",
        ],
        "hand over the `Secret` instead",
    ),
    (
        "std::fs",
        &[
            "fs/inspect.rs",
            "fs/lock.rs",
            "fs/path.rs",
            "fs/private.rs",
            "fs/read.rs",
            "fs/replace.rs",
            "fs/write_access.rs",
        ],
        "use what `crate::fs` offers, which is atomic and private",
    ),
    (
        "Command::new",
        &["backend/stripe_cli/runner.rs", "git/process.rs", "settings/detached_reaper.rs"],
        "processes are started in `git/process.rs`, in a backend's `runner.rs` and by `settings/detached_reaper.rs` only",
    ),
    (
        // `Ports::event` is the point up to which Ctrl-C cancels an operation. `provisioner/audit_log.rs` records
        // calls that are over; the ledger only adds to the rows it gets.
        "Event {",
        &[
            "ledger/alerts.rs",
            "ledger/audit/accept.rs",
            "ledger/audit/chain.rs",
            "provisioner/audit_log.rs",
            "provisioner/ports.rs",
        ],
        "let `Ports::event` make it, or Ctrl-C would not know that something is about to be written",
    ),
    ("env::var", &["settings/environment.rs"], "read the environment once, in `settings`, and hand the value over"),
    ("io::stdout()", &["cli/render/stream.rs"], "return a view and let `cli/render` print it"),
    ("println!", &[], "return a view and let `cli/render` print it"),
    ("unsafe ", &[], "this crate has none"),
];

/// A module with more lines than this is to be split.
const LONGEST_FILE: usize = 400;

#[test]
fn modules_import_only_from_lower_layers() {
    let mut wrong = Vec::new();
    for file in sources() {
        let Some((_, modules, crates)) = LAYERS.iter().find(|(name, ..)| *name == file.module) else {
            wrong.push(format!("src/{}: `{}` is in no layer; add it to LAYERS", file.path, file.module));
            continue;
        };
        for import in file.siblings.iter().filter(|import| **import != file.module) {
            if !modules.contains(&import.as_str()) {
                let theirs = format!("src/{import}");
                wrong.push(format!("src/{} may not import {theirs}: it is in no lower layer", file.path));
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
fn layers_list_dependencies_in_order() {
    for (place, (module, modules, _)) in LAYERS.iter().enumerate() {
        for import in *modules {
            assert!(
                LAYERS[..place].iter().any(|(below, ..)| below == import),
                "`{module}` may not import `{import}`, which is in a higher or the same layer"
            );
        }
    }
}

#[test]
fn reserved_words_stay_in_their_modules() {
    for file in every_source() {
        for (expression, places, instead) in RESERVED {
            assert!(
                places.contains(&file.path.as_str()) || !file.code.contains(expression),
                "src/{} says `{expression}`: {instead}; or list the file in RESERVED and say why in ARCHITECTURE.md",
                file.path
            );
        }
    }
}

#[test]
fn no_file_exceeds_the_line_limit() {
    for file in every_source() {
        assert!(file.lines <= LONGEST_FILE, "src/{} has {} lines: split it by idea", file.path, file.lines);
    }
}

#[test]
fn import_checks_detect_violations() {
    let source = read("cli/x.rs", "use crate::{mcp::Door, view};\nuse rusqlite::Connection;\n// use toml::Table;\n");
    assert_eq!(source.siblings, BTreeSet::from(["mcp".to_owned(), "view".to_owned()]));
    assert_eq!(source.externals, BTreeSet::from(["rusqlite".to_owned()]));
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

/// Returns all files but the two that only declare modules.
fn sources() -> impl Iterator<Item = Source> {
    every_source().into_iter().filter(|file| !matches!(file.module.as_str(), "lib" | "main"))
}

fn every_source() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    assert!(files.len() > 30, "too few files were read");
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
    let code_part = text.split("#[cfg(test)]").next().unwrap();
    let lines = code_part.lines().filter(|line| !line.trim_start().starts_with("//"));
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

/// Returns the dependencies in `Cargo.toml`, as code spells them.
fn dependencies() -> Vec<String> {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    let everywhere = manifest["dependencies"].as_table().unwrap();
    let on_unix = manifest["target"]["cfg(unix)"]["dependencies"].as_table().unwrap();
    everywhere.keys().chain(on_unix.keys()).map(|name| name.replace('-', "_")).collect()
}

/// Returns whether a path names the crate, as in `toml::Table`.
fn mentions(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    code.match_indices(&path)
        .any(|(at, _)| !code[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | ':')))
}

fn is_module(name: &str) -> bool {
    LAYERS.iter().any(|(module, ..)| *module == name)
}

/// Returns the first segment of an import, or of each branch of a `{..}` group.
fn heads(import: &str) -> Vec<String> {
    let import = import.trim_start();
    let Some(group) = import.strip_prefix('{') else {
        return head(import).into_iter().collect();
    };
    let (mut depth, mut branch, mut names) = (1, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => {
                names.extend(head(&branch));
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
    names.extend(head(&branch));
    names
}

fn head(path: &str) -> Option<String> {
    let name: String = path.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}
