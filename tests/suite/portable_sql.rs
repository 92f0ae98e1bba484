//! The ledger's SQL is written once, for SQLite and PostgreSQL.

use std::{fs, path::Path};

/// Constructs that only SQLite understands, or that mean something else on PostgreSQL, and what to write instead.
const RETIRED: &[(&str, &str)] = &[
    ("INSERT OR ", "ON CONFLICT DO NOTHING, or ON CONFLICT (columns) DO UPDATE"),
    ("ON CONFLICT DO UPDATE", "name the columns: ON CONFLICT (backend, key) DO UPDATE"),
    ("ifnull(", "coalesce"),
    ("->>", "a column of its own, or parse it in Rust"),
    ("json_", "one statement with parameters for each element"),
    ("instr(", "a column of its own"),
    ("rowid", "RETURNING"),
    ("CROSS JOIN", "JOIN, or two queries"),
    ("COLLATE NOCASE", "lower()"),
    (" GLOB ", "LIKE"),
    ("strftime(", "a time from the clock, as a parameter"),
    ("datetime(", "a time from the clock, as a parameter"),
    ("PRAGMA", "a method of the store"),
];

#[test]
fn the_ledger_uses_sql_that_both_databases_know() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/storage/src/ledger");
    let mut found = Vec::new();
    let mut files = 0;
    let mut folders = vec![folder.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files += 1;
                let text = fs::read_to_string(&path).unwrap();
                found.extend(problems(&text).into_iter().map(|problem| format!("{}: {problem}", path.display())));
            }
        }
    }
    assert!(files > 10, "read too few files below {}", folder.display());
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn retired_constructs_are_recognized() {
    for sql in [
        "INSERT OR IGNORE INTO notes VALUES (?1)",
        "insert or replace into notes values (?1)",
        "INSERT INTO notes VALUES (?1) ON CONFLICT DO UPDATE SET value = 1",
        "SELECT IFNULL(sum(cap_cents), 0) FROM projects",
        "SELECT detail ->> 'head_row' FROM audit",
        "SELECT value FROM json_each(?1)",
        "SELECT substr(service, 1, instr(service, '/') - 1) FROM projects",
        "SELECT min(expires_at, ?2) FROM projects",
        "SELECT max(coalesce(expires_at, 0), ?2) FROM projects",
        "SELECT last_insert_rowid()",
    ] {
        assert!(!problems(sql).is_empty(), "{sql}");
    }
    for sql in [
        "INSERT INTO notes VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        "INSERT INTO notes VALUES (?1, ?2) ON CONFLICT (backend, key) DO UPDATE SET value = excluded.value",
        "SELECT coalesce(max(row), 0) FROM alerts",
        "SELECT max(CASE WHEN a AND b IN (1, 2) THEN 1 ELSE 0 END) FROM alerts",
        "value.min(last + 1), f(x)",
    ] {
        assert_eq!(problems(sql), [""; 0], "{sql}");
    }
}

fn problems(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n").to_lowercase();
    let words = RETIRED.iter().filter(|(word, _)| code.contains(&word.to_lowercase()));
    let mut found: Vec<_> = words.map(|(word, instead)| format!("`{word}`: use {instead}")).collect();
    for function in ["min(", "max("] {
        for (at, _) in code.match_indices(function) {
            let is_sql =
                !code[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '.' | '_' | ':'));
            if is_sql && arguments(&code[at + function.len()..]) > 1 {
                found.push(format!("`{function}` of two values: use CASE"));
            }
        }
    }
    found
}

/// How many arguments a call has, from behind its parenthesis.
fn arguments(rest: &str) -> usize {
    let (mut depth, mut arguments) = (1, 1);
    for character in rest.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 1 => arguments += 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    arguments
}
