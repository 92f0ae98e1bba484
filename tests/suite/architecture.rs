//! The rules of the architecture, as tests.
//!
//! Between crates the compiler holds the layers. Within a crate it lets any module reach any other, and it knows no rule
//! about words: these tests read `src/` and `crates/*/src/` as text and fail with the line to change.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A crate in `crates/`.
struct Member {
    name: &'static str,
    /// Crates of ours that its manifest may name. The compiler rejects every other.
    may_use: &'static [&'static str],
    /// The module that is its root: `crate::X` counts as an import of it.
    root: Option<&'static str>,
    modules: &'static [&'static str],
}

/// The crates below the one at the root, lowest first.
const CRATES: &[Member] = &[
    Member {
        name: "domain",
        may_use: &[],
        root: None,
        modules: &[
            "alert",
            "approval",
            "budget",
            "channel",
            "clock",
            "connection",
            "diagnostic",
            "lifetime",
            "money",
            "name",
            "principal",
            "project",
            "safe_url",
            "secret",
            "visible",
            "workspace",
        ],
    },
    Member {
        name: "files",
        may_use: &["domain"],
        root: None,
        modules: &["dotenv", "env_file", "fs", "git", "host_config", "registry", "scan", "state_folder"],
    },
    Member { name: "storage", may_use: &["domain", "files"], root: None, modules: &["ledger", "store"] },
    Member {
        name: "backends",
        may_use: &["domain", "files", "storage"],
        root: Some("backend"),
        modules: &["alerts", "net"],
    },
    Member {
        name: "simulator",
        may_use: &["domain", "files", "storage", "backends"],
        root: Some("simulator"),
        modules: &[],
    },
];

/// `(module, modules it may import, outside crates it may import)`, lowest first.
///
/// A module of `crates/` lists those of its own crate only. Adding a word here is an architectural decision: say why in
/// `ARCHITECTURE.md`. A module may only name modules that stand before it, which a test checks too.
const MODULES: &[(&str, &[&str], &[&str])] = &[
    // Domain.
    ("clock", &[], &["jiff"]),
    ("channel", &[], &[]),
    ("diagnostic", &["channel"], &[]),
    ("lifetime", &["channel", "diagnostic"], &["thiserror"]),
    ("money", &["channel", "diagnostic"], &["thiserror"]),
    // Months are computed in UTC.
    ("budget", &["clock", "money"], &["jiff"]),
    ("visible", &[], &[]),
    ("secret", &[], &["sha2", "zeroize"]),
    ("name", &["channel", "diagnostic", "secret"], &["thiserror"]),
    ("principal", &["channel", "secret", "visible"], &[]),
    ("project", &["budget", "channel", "clock", "diagnostic", "money", "name", "secret"], &["rand", "thiserror"]),
    ("workspace", &["project"], &[]),
    ("connection", &["clock"], &[]),
    ("safe_url", &[], &["thiserror", "url"]),
    ("alert", &["clock", "money", "name", "project"], &[]),
    // Describes what an approval covers; random ids, and its time limit.
    (
        "approval",
        &["budget", "channel", "clock", "diagnostic", "lifetime", "money", "name", "project", "visible"],
        &["thiserror"],
    ),
    // Storage and backends.
    ("fs", &[], &["rustix", "thiserror"]),
    ("git", &["fs"], &["thiserror"]),
    // Decides whether the folder of the ledger is safe to use.
    ("state_folder", &["fs", "git"], &["thiserror"]),
    // A digest of the schema tells at once that it is ours.
    ("store", &[], &["rusqlite", "sha2", "thiserror"]),
    ("dotenv", &[], &["dotenv_parser", "thiserror", "zeroize"]),
    ("env_file", &["dotenv", "fs", "git"], &["ignore", "thiserror"]),
    // Edits other programs' files and knows nothing else of this program. It handles JSON and TOML, so it uses both
    // parsers.
    ("host_config", &["fs", "git"], &["jsonc_parser", "serde_json", "thiserror", "toml"]),
    ("registry", &["fs"], &["serde", "serde_json", "strsim", "thiserror", "toml"]),
    ("ledger", &["store"], &["serde_json", "sha2", "thiserror"]),
    // Builds every HTTP client; knows the addresses that are not public.
    ("net", &[], &["reqwest", "rustls", "thiserror"]),
    // Sends to the address that the registry names, and signs what it sends.
    ("alerts", &["net"], &["hmac", "reqwest", "serde_json", "sha2", "thiserror", "tokio"]),
    (
        "backend",
        &["net"],
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
    ("simulator", &[], &["axum", "serde", "serde_json", "sha2", "thiserror", "tokio"]),
    // Searches files and git objects for keys known by mask and fingerprint only.
    ("scan", &["fs", "git"], &["ignore", "rustc_hash"]),
    // Application.
    (
        "policy",
        &["budget", "channel", "clock", "diagnostic", "lifetime", "money", "name", "principal", "registry"],
        &["thiserror"],
    ),
    // The result of every use case about one project.
    ("project_state", &["backend", "budget", "money", "name", "project"], &[]),
    (
        "error",
        &[
            "approval",
            "backend",
            "channel",
            "diagnostic",
            "env_file",
            "fs",
            "host_config",
            "ledger",
            "lifetime",
            "money",
            "name",
            "policy",
            "project",
            "project_state",
            "registry",
            "secret",
            "simulator",
            "state_folder",
            "store",
            "visible",
        ],
        &["thiserror", "tracing"],
    ),
    (
        "provisioner",
        &[
            "alerts",
            "approval",
            "backend",
            "budget",
            "clock",
            "connection",
            "diagnostic",
            "env_file",
            "error",
            "fs",
            "ledger",
            "lifetime",
            "money",
            "name",
            "policy",
            "principal",
            "project",
            "project_state",
            "registry",
            "scan",
            "secret",
            "state_folder",
            "visible",
            "workspace",
        ],
        &["serde_json", "tokio"],
    ),
    // Converts the results of use cases to what every transport shows.
    (
        "view",
        &[
            "approval",
            "budget",
            "channel",
            "clock",
            "connection",
            "diagnostic",
            "error",
            "fs",
            "ledger",
            "money",
            "name",
            "project",
            "project_state",
            "provisioner",
            "registry",
            "visible",
        ],
        &["schemars", "serde", "serde_json", "tracing"],
    ),
    // Inspects every port, and repairs through the provisioner.
    (
        "doctor",
        &[
            "backend",
            "channel",
            "connection",
            "diagnostic",
            "env_file",
            "error",
            "fs",
            "git",
            "ledger",
            "name",
            "project",
            "provisioner",
            "state_folder",
            "visible",
        ],
        &["serde"],
    ),
    // Every transport's commands: parsed, executed and recorded in one place.
    (
        "app",
        &[
            "approval",
            "budget",
            "channel",
            "clock",
            "connection",
            "diagnostic",
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
            "connection",
            "error",
            "fs",
            "git",
            "host_config",
            "ledger",
            "lifetime",
            "money",
            "provisioner",
            "registry",
            "scan",
            "secret",
            "simulator",
            "state_folder",
            "workspace",
        ],
        // nix for the user's passwd entry, rustix for the name of the user's terminal
        &["nix", "rustix", "tokio"],
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
            "channel",
            "diagnostic",
            "error",
            "lifetime",
            "money",
            "name",
            "principal",
            "project_state",
            "provisioner",
            "safe_url",
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
            "budget",
            "channel",
            "clock",
            "diagnostic",
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
            "visible",
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

/// What only some files may contain, and what to do instead.
const RESERVED: &[(&str, &[&str], &str)] = &[
    (
        ".expose()",
        // `mcp/request_state.rs` signs with its own key, which is no credential.
        &[
            "crates/backends/src/alerts/signature.rs",
            "crates/files/src/dotenv/text.rs",
            "crates/backends/src/simulated/resources.rs",
            "crates/backends/src/stripe_api/http.rs",
            "src/mcp/request_state.rs",
            "crates/simulator/src/calls/reveal.rs",
        ],
        "hand over the `Secret` instead",
    ),
    (
        "std::fs",
        &[
            "crates/files/src/fs/file_system.rs",
            "crates/files/src/fs/host_lease.rs",
            "crates/files/src/fs/attributes.rs",
            "crates/files/src/fs/byte_file.rs",
            "crates/files/src/fs/folder.rs",
            "crates/files/src/fs/folder/portable.rs",
            "crates/files/src/fs/folder/unix.rs",
            "crates/files/src/fs/folder/unix.rs",
            "crates/files/src/fs/inspect.rs",
            "crates/files/src/fs/lock.rs",
            "crates/files/src/fs/own_file.rs",
            "crates/files/src/fs/path.rs",
            "crates/files/src/fs/private.rs",
            "crates/files/src/fs/program.rs",
            "crates/files/src/fs/read.rs",
            "crates/files/src/fs/replace.rs",
            "crates/files/src/fs/write_access.rs",
        ],
        "use what `crate::fs` offers, which is atomic and private",
    ),
    (
        "Command::new",
        &[
            "crates/backends/src/stripe_cli/runner.rs",
            "crates/files/src/git/process.rs",
            "src/settings/detached_reaper.rs",
        ],
        "processes are started in `git/process.rs`, in a backend's `runner.rs` and by `settings/detached_reaper.rs` only",
    ),
    (
        // `Ports::event` is the point up to which Ctrl-C cancels an operation. `provisioner/audit_log.rs` records
        // calls that are over; the ledger only adds to the rows it gets.
        "Event {",
        &[
            "crates/storage/src/ledger/alerts.rs",
            "crates/storage/src/ledger/audit/accept.rs",
            "crates/storage/src/ledger/audit/chain.rs",
            "crates/storage/src/ledger/audit/looks.rs",
            "src/provisioner/audit_log.rs",
            "src/provisioner/ports.rs",
        ],
        "let `Ports::event` make it, or Ctrl-C would not know that something is about to be written",
    ),
    ("env::var", &["src/settings/environment.rs"], "read the environment once, in `settings`, and hand the value over"),
    ("io::stdout()", &["src/cli/render/stream.rs"], "return a view and let `cli/render` print it"),
    (
        // A path may contain anything. `settings/environment.rs` reads variables, `view.rs` and `cli/setup.rs` fill fields
        // of JSON, and the others store or compare a path.
        ".to_string_lossy()",
        &[
            "crates/files/src/fs/folder/portable.rs",
            "crates/files/src/fs/folder/unix.rs",
            "crates/storage/src/ledger/journal.rs",
            "crates/storage/src/ledger/projects.rs",
            "crates/storage/src/ledger/scope.rs",
            "crates/storage/src/ledger/workspaces.rs",
            "src/cli/setup.rs",
            "src/provisioner/workspaces.rs",
            "src/settings/environment.rs",
            "src/settings/mod.rs",
            "src/view.rs",
        ],
        "print it with `domain::visible::visible`",
    ),
    (".display()", &[], "print it with `domain::visible::visible`"),
    ("println!", &[], "return a view and let `cli/render` print it"),
    ("unsafe ", &[], "this crate has none"),
];

/// The most lines that a source file may have.
const LONGEST_FILE: usize = 400;

#[test]
fn manifest_of_each_crate_names_lower_crates_only() {
    for (place, Member { name, may_use, .. }) in CRATES.iter().enumerate() {
        let manifest = fs::read_to_string(root().join(format!("crates/{name}/Cargo.toml"))).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let named = manifest["dependencies"].as_table().unwrap().keys();
        for other in named.filter_map(|name| name.strip_prefix("stripe-projects-")) {
            assert!(may_use.contains(&other), "crates/{name} may not depend on crates/{other}");
        }
        for other in *may_use {
            assert!(CRATES[..place].iter().any(|lower| lower.name == *other), "`{other}` is not lower than `{name}`");
        }
    }
    let folders = fs::read_dir(root().join("crates")).unwrap().count();
    assert_eq!(folders, CRATES.len(), "a crate is missing in CRATES");
}

#[test]
fn module_imports_only_what_its_row_allows() {
    let mut wrong = Vec::new();
    for file in sources() {
        let Some((_, modules, crates)) = MODULES.iter().find(|(name, ..)| *name == file.module) else {
            wrong.push(format!("{}: `{}` has no row in MODULES", file.path, file.module));
            continue;
        };
        for import in file.siblings.iter().filter(|import| **import != file.module) {
            if !modules.contains(&import.as_str()) {
                wrong.push(format!("{} may not import `{import}`: its row in MODULES does not allow it", file.path));
            }
        }
        for import in &file.externals {
            if !crates.contains(&import.as_str()) {
                wrong.push(format!(
                    "{} may not use the crate `{import}`: its row in MODULES does not allow it",
                    file.path
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn rows_name_only_modules_before_them() {
    for (place, (module, modules, _)) in MODULES.iter().enumerate() {
        for import in *modules {
            assert!(
                MODULES[..place].iter().any(|(before, ..)| before == import),
                "`{module}` may not import `{import}`, which is not below it"
            );
        }
    }
}

#[test]
fn reserved_words_stand_in_their_files_only() {
    for file in every_source() {
        for (word, places, instead) in RESERVED {
            assert!(
                places.contains(&file.path.as_str()) || !file.code.contains(word),
                "{} contains `{word}`: {instead}; or list the file in RESERVED and say why in ARCHITECTURE.md",
                file.path
            );
        }
    }
}

#[test]
fn files_named_in_reserved_exist() {
    for (word, places, _) in RESERVED {
        for place in *places {
            assert!(root().join(place).is_file(), "RESERVED allows `{word}` in {place}, which does not exist");
        }
    }
}

#[test]
fn source_files_stay_short() {
    for file in every_source() {
        assert!(file.lines <= LONGEST_FILE, "{} has {} lines: split it by idea", file.path, file.lines);
    }
}

#[test]
fn imports_are_recognized_in_all_spellings() {
    let read_as = |path: &str, text: &str| read(path, text);
    let grouped = read_as(
        "src/cli/x.rs",
        "use domain::{money::Cents, name};\nuse crate::{mcp::Server, view};\nuse rusqlite::Connection;\n// use toml::Table;\n",
    );
    assert_eq!(grouped.siblings, names(&["mcp", "money", "name", "view"]));
    assert_eq!(grouped.externals, names(&["rusqlite"]));
    let inline = read_as("crates/domain/src/money.rs", "fn f() { crate::name::parse(); let x = tokio::spawn(y); }");
    assert_eq!((inline.module.as_str(), inline.siblings), ("money", names(&["name"])));
    assert_eq!(inline.externals, names(&["tokio"]));
    let root_of_a_crate = read_as("src/view.rs", "use backends::{BackendError, alerts::body};");
    assert_eq!(root_of_a_crate.siblings, names(&["alerts", "backend"]));
    let own_root = read_as("crates/backends/src/alerts/mod.rs", "use crate::BackendError;");
    assert_eq!((own_root.module.as_str(), own_root.siblings), ("alerts", names(&["backend"])));
    let lower_crate = read_as("crates/storage/src/sqlite.rs", "use domain::money::Cents;");
    assert!(lower_crate.siblings.is_empty(), "its manifest says that");
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

struct Source {
    /// From the root of the repository.
    path: String,
    module: String,
    /// Without comments and without the tests at the bottom.
    code: String,
    lines: usize,
    siblings: BTreeSet<String>,
    externals: BTreeSet<String>,
}

/// All but the files that only put modules together.
fn sources() -> impl Iterator<Item = Source> {
    every_source().into_iter().filter(|file| !matches!(file.module.as_str(), "lib" | "main"))
}

fn every_source() -> Vec<Source> {
    let mut files = Vec::new();
    walk(&root().join("src"), &mut files);
    for member in CRATES {
        walk(&root().join(format!("crates/{}/src", member.name)), &mut files);
    }
    assert!(files.len() > 30, "too few files were found");
    let path = |file: &Path| file.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
    files.iter().map(|file| read(&path(file), &fs::read_to_string(file).unwrap())).collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
}

fn read(path: &str, text: &str) -> Source {
    let program = text.split("#[cfg(test)]").next().unwrap();
    let lines = program.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    let (own, module) = place(path);
    let mut siblings = own.map_or_else(|| at_root(&code), |own| in_crate(&code, "crate", own));
    if own.is_none() {
        siblings.extend(CRATES.iter().flat_map(|member| in_crate(&code, member.name, member)));
    }
    Source {
        path: path.to_owned(),
        module,
        lines: text.lines().count(),
        siblings,
        externals: dependencies().into_iter().filter(|name| mentions(&code, name)).collect(),
        code,
    }
}

/// The crate of ours that a file is in, `None` for the one at the root, and its module.
fn place(path: &str) -> (Option<&'static Member>, String) {
    let first = |rest: &str| rest.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
    let Some((own, rest)) = path.strip_prefix("crates/").and_then(|path| path.split_once("/src/")) else {
        return (None, first(path.strip_prefix("src/").unwrap()));
    };
    let own = CRATES.iter().find(|member| member.name == own).unwrap();
    let module = first(rest);
    let is_part_of_root = !own.modules.contains(&module.as_str());
    (Some(own), own.root.filter(|_| is_part_of_root).map_or(module, ToOwned::to_owned))
}

/// The modules of a crate of ours that code imports; it calls the crate by that name.
fn in_crate(code: &str, name: &str, member: &Member) -> BTreeSet<String> {
    let (below, at_root): (Vec<_>, Vec<_>) =
        paths(code, name).into_iter().partition(|head| member.modules.contains(&head.as_str()));
    let root = member.root.filter(|_| !at_root.is_empty()).map(ToOwned::to_owned);
    below.into_iter().chain(root).collect()
}

/// The modules of the crate at the root that its code names.
fn at_root(code: &str) -> BTreeSet<String> {
    paths(code, "crate").into_iter().filter(|head| MODULES.iter().any(|(module, ..)| module == head)).collect()
}

/// What follows `name::`, or each branch of the group that does.
fn paths(code: &str, name: &str) -> Vec<String> {
    let path = format!("{name}::");
    let starts = code.match_indices(&path).filter(|(at, _)| is_start(&code[..*at]));
    starts.flat_map(|(at, _)| heads(&code[at + path.len()..])).collect()
}

/// What `Cargo.toml` says the program is built with, as code spells it.
fn dependencies() -> Vec<String> {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    let all = manifest["workspace"]["dependencies"].as_table().unwrap();
    all.keys().filter(|name| !name.starts_with("stripe-projects-")).map(|name| name.replace('-', "_")).collect()
}

/// Whether a crate is named by a path, as in `toml::Table`.
fn mentions(code: &str, name: &str) -> bool {
    code.match_indices(&format!("{name}::")).any(|(at, _)| is_start(&code[..at]))
}

/// Whether a path begins behind this text, and not only a part of one.
fn is_start(before: &str) -> bool {
    !before.ends_with(|last: char| last.is_alphanumeric() || matches!(last, '_' | ':'))
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

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
