//! The search for leaked keys, through the binary: its findings, exit codes and output.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    raw_client::{RawClient, until},
    workspace::{CommandOutput, Workspace},
};

#[test]
fn clean_tree_and_env_file_are_clean() {
    let (here, key) = with_key();
    here.write("notes.txt", format!("it begins with {} and ends in {}\n", &key[..16], &key[key.len() - 4..]));
    here.write("other.txt", key.replace(&key[20..24], "zzzz"));
    let output = here.ok(&["scan", "."]);
    assert!(output.stdout.contains("Clean: none of 1 key in"), "{output:?}");
    let view = here.json(&["scan", "."]);
    assert_eq!((&view["keys_known"], view["findings"].as_array().unwrap().len()), (&1.into(), 0));
    let one = here.json(&["scan", "notes.txt"]);
    let bytes = here.read("notes.txt").len();
    assert_eq!((&one["files_read"], &one["bytes_read"]), (&1.into(), &bytes.into()), "it reports how much it searched");
}

#[test]
fn workspace_without_keys_is_reported() {
    let here = Workspace::new();
    here.allow_planted_keys();
    assert!(here.ok(&["scan", "."]).stdout.starts_with("Nothing to look for"));
    assert!(here.files().is_empty(), "a scan creates no files");
}

#[test]
fn key_is_found_in_every_encoding() {
    let (here, key) = with_key();
    let deep = "a/b/c/.hidden/d";
    fs::create_dir_all(here.file(deep)).unwrap();
    here.write(".gitignore", "*\n");
    let escaped = serde_json::to_string(&serde_json::json!({ "text": format!("say\n{key}\n\"{key}\"") })).unwrap();
    let files = [
        ("transcript.jsonl", format!("{{}}\n{escaped}\n").into_bytes(), 2, 2),
        (
            ".zsh_history",
            format!(": 1700000000:0;ls\n: 1700000001:0;curl -H 'x-api-key: {key}' x\n").into_bytes(),
            2,
            1,
        ),
        ("core", [b"\x7fELF\0\xff\n\n".as_slice(), key.as_bytes(), b"\xfe\0"].concat(), 3, 1),
        ("glued", format!("aaaa{key}bbbb").into_bytes(), 1, 1),
        ("url", format!("https://x/?q=a%3D{key}%26b").into_bytes(), 1, 1),
        ("crlf", format!("a\r\nKEY={key}\r\n").into_bytes(), 2, 1),
        ("big.log", [vec![b'\n'; 1_000_000], key.clone().into_bytes(), vec![b'x'; 1_000_000]].concat(), 1_000_001, 1),
        ("a/b/c/.hidden/d/e", key.clone().into_bytes(), 1, 1),
        (".env.bak", format!("SUPERMEMORY_API_KEY={key}\n").into_bytes(), 1, 1),
    ];
    for (name, bytes, ..) in &files {
        here.write(name, bytes);
    }
    let output = here.run(&["scan", ".", "--json"]);
    assert_eq!(output.code, 7);
    assert_no_key(&output, &key);
    let view: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(view["findings"].as_array().unwrap().len(), files.len(), "{view:#}");
    for (name, _, line, occurrences) in &files {
        let finding = at(&view, &here.file(name));
        assert_eq!(
            (finding["line"].as_u64(), finding["occurrences"].as_u64()),
            (Some(*line), Some(*occurrences)),
            "{name}"
        );
        assert_eq!((&finding["state"], &finding["project"]), (&"live".into(), &"memory".into()));
        assert_eq!((&finding["key_version"], &finding["commit"]), (&1.into(), &Value::Null));
    }
    // Overlapping paths report a finding once; a single file works as well.
    let named = ["a", "a/b", "glued", "glued"].map(|name| here.file(name).to_str().unwrap().to_owned());
    let again = here.json(&["scan", &named[0], &named[1], &named[2], &named[3]]);
    assert_eq!(again["findings"].as_array().unwrap().len(), 2);
    let people = here.run(&["scan", "."]);
    assert_no_key(&people, &key);
    assert_eq!(people.code, 7);
    assert!(people.stdout.contains("Found: 9 live and 0 dead"), "{people:?}");
}

#[test]
fn revoked_key_is_found_as_not_live() {
    let (here, old) = with_key();
    here.ok(&["rotate", "memory"]);
    let new = here.variable("SUPERMEMORY_API_KEY").unwrap();
    here.write("log", format!("{old}\n{new}\n"));
    let view = here.json(&["scan", "log"]);
    let states: Vec<_> =
        findings(&view).iter().map(|one| (one["state"].as_str(), one["key_version"].as_u64())).collect();
    assert_eq!(states, [(Some("live"), Some(2)), (Some("dead"), Some(1))]);
    assert_eq!((&view["live_count"], &view["dead_count"]), (&1.into(), &1.into()));
    here.ok(&["teardown", "memory", "--yes"]);
    let view = here.json(&["scan", "log"]);
    assert_eq!((&view["live_count"], &view["dead_count"]), (&0.into(), &2.into()));
    // A revoked key in the env file is a finding too.
    here.write(".env", format!("OLD={old}\n"));
    assert_eq!(findings(&here.json(&["scan", ".env"])).len(), 1);
}

#[cfg(unix)]
#[test]
fn symlinked_env_file_may_hold_its_keys() {
    let here = Workspace::new();
    fs::create_dir(here.file("secrets")).unwrap();
    std::os::unix::fs::symlink("secrets/app.env", here.file(".env")).unwrap();
    here.ok(&["provision", "memory", "supermemory"]);
    here.ok(&["scan", "."]);
}

/// A program that loads one project's env file must not get another project's key.
#[test]
fn env_file_may_hold_only_its_own_keys() {
    let (here, key) = with_key();
    here.ok(&["provision", "web", "search", "--env-file", "other.env"]);
    here.ok(&["scan", "."]);
    here.write("other.env", format!("{}STRAY={key}\n", here.read("other.env")));
    let view = here.json(&["scan", "."]);
    assert_eq!(findings(&view).len(), 1, "{view:#}");
    assert_eq!(at(&view, &here.file("other.env"))["project"], "memory");
}

/// The mask of a connection string shows nothing, so only its length is known.
#[test]
fn connection_string_is_found_by_its_length() {
    let here = Workspace::new();
    here.allow_planted_keys();
    let secret = "postgres://app:s3cret=pass@db.example.com:5432/app?sslmode=require&x=1";
    record(&here, secret);
    for text in [
        format!("DATABASE_URL={secret}\n"),
        format!("DATABASE_URL='{secret}'"),
        format!("{{\"url\":\"{secret}\"}}"),
        format!("{{\"text\":\"see \\\"{secret}\\\"\\n{secret}\\n\"}}"),
        format!("psql {secret} -c 'select 1'"),
        format!("<{secret}>"),
    ] {
        here.write("log", &text);
        let output = here.run(&["scan", "log", "--json"]);
        assert_no_key(&output, secret);
        let view: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!((output.code, findings(&view).len()), (7, 1), "{text}");
        assert_eq!(findings(&view)[0]["api_key_masked"], "…");
    }
    here.write("log", secret.replace("s3cret", "s3cret2"));
    here.ok(&["scan", "log"]);
}

#[test]
fn agent_transcripts_and_shell_histories_are_known_places() {
    let (here, key) = with_key();
    let home = here.root().join("another-home");
    let places = [
        ".claude/projects/-work/session.jsonl",
        ".config/Cursor/User/workspaceStorage/1/state.vscdb",
        ".cursor/chats/1.db",
        ".codex/sessions/2026/01/rollout.jsonl",
        ".bash_history",
        ".zsh_history",
        ".local/share/fish/fish_history",
        "Library/Application Support/Cursor/User/globalStorage/state.vscdb",
        "elsewhere/codex/history.jsonl",
    ];
    for place in places {
        fs::create_dir_all(home.join(place).parent().unwrap()).unwrap();
        fs::write(home.join(place), format!("\0{key}\0")).unwrap();
    }
    fs::write(home.join("not-a-transcript"), &key).unwrap();
    let mut command = here.command(&["scan", "--agents", "--json"]);
    for variable in ["APPDATA", "CLAUDE_CONFIG_DIR", "HISTFILE", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env_remove(variable);
    }
    command.env("HOME", &home).env("CODEX_HOME", home.join("elsewhere/codex"));
    command.env("STRIPE_PROJECTS_STATE_DIR", here.state());
    let output = CommandOutput::from(command.output().unwrap());
    let view: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(findings(&view).len(), places.len(), "{view:#}");
    for place in places {
        assert_eq!(at(&view, &home.join(place))["state"], "live");
    }
}

#[test]
fn rotate_revokes_live_keys_once_confirmed() {
    let (here, key) = with_key();
    here.write("log", &key);
    let unconfirmed = here.run(&["scan", "log", "--rotate"]);
    assert_eq!(unconfirmed.code, 7);
    assert!(unconfirmed.stderr.contains("not rotated: memory: this needs confirmation"), "{unconfirmed:?}");
    assert!(here.owner_of(&key).is_some());

    let output = here.run(&["scan", "log", "--rotate", "--yes", "--json"]);
    assert_eq!(output.code, 7, "the finding counts, whatever follows");
    assert_eq!(serde_json::from_str::<Value>(&output.stdout).unwrap()["live_count"], 1);
    assert_eq!(output.stderr, "rotated memory: version 2 is in the env file\n");
    assert!(here.owner_of(&key).is_none());
    assert!(here.owner_of(&here.variable("SUPERMEMORY_API_KEY").unwrap()).is_some());
    assert_eq!(here.json(&["scan", "."])["dead_count"], 1);
    // A revoked key needs no rotation.
    here.cli(&["scan", "log", "--rotate", "--yes"]).stderr("").run();
}

#[test]
fn failed_rotation_is_reported_by_its_code() {
    let (here, key) = with_key();
    here.write("log", &key);
    here.write(".env", "SUPERMEMORY_API_KEY=another-program's\n");
    let output = here.run(&["scan", "log", "--rotate", "--yes", "--json"]);
    assert_eq!(output.code, 3, "{output:?}");
    assert!(output.stderr.contains("error: not rotated: memory: SUPERMEMORY_API_KEY holds a value"), "{output:?}");
    serde_json::from_str::<Value>(&output.stdout).unwrap();
    assert!(here.owner_of(&key).is_some());
}

#[test]
fn missing_path_is_an_error_that_quotes_nothing() {
    let (here, key) = with_key();
    let output = here.run(&["scan", ".", &key]);
    assert_no_key(&output, &key);
    assert_eq!((output.code, output.stderr.contains("path number 2")), (2, true), "{output:?}");
    assert_eq!(here.run(&["scan"]).code, 2);
}

#[cfg(unix)]
#[test]
fn hostile_file_names_and_types_are_survived() {
    use std::os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener};
    let (here, key) = with_key();
    let tree = here.file("tree");
    fs::create_dir(&tree).unwrap();
    let file = |name: &[u8]| tree.join(std::ffi::OsStr::from_bytes(name));
    fs::write(file(b"a\nb\x1b[31m\xff\xe2\x80\xae"), &key).unwrap();
    fs::write(file(format!("x{key}.txt").as_bytes()), &key).unwrap();
    fs::create_dir(file(format!("dir-{key}").as_bytes())).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(file(b"pipe")).status().unwrap().success());
    let _socket = UnixListener::bind(file(b"socket")).unwrap();
    symlink("..", file(b"loop")).unwrap();
    symlink(here.file("outside"), file(b"link")).unwrap();
    here.write("outside", &key);
    fs::write(file(b"empty"), "").unwrap();

    let output = here.run(&["scan", "tree"]);
    assert_no_key(&output, &key);
    assert_eq!(output.code, 7);
    assert!(output.stdout.contains("a\\nb\\u{1b}[31m\u{fffd}\\u{202e}:1"), "{}", output.stdout);
    assert!(!output.stdout.contains('\u{1b}') && !output.stdout.contains('\u{202e}'));
    assert_eq!(output.stdout.lines().count(), 4 + 2, "{}", output.stdout);
    assert_eq!(output.stdout.matches("the name ").count(), 2);
    let json = here.run(&["scan", "tree", "--json"]);
    assert_no_key(&json, &key);
    // A link that is named explicitly is followed.
    symlink(&tree, here.file("named")).unwrap();
    assert_eq!(findings(&here.json(&["scan", "named"])).len(), 4);
}

/// The first page of a process can never be read, by any user.
#[cfg(target_os = "linux")]
#[test]
fn unreadable_files_are_reported() {
    let (here, _) = with_key();
    let output = here.ok(&["scan", "/proc/self/mem"]);
    assert!(output.stderr.starts_with("warning: 1 file or folder could not be read, such as /proc/"), "{output:?}");
    assert_eq!(here.json(&["scan", "/proc/self/mem"])["unreadable_count"], 1);
}

#[cfg(unix)]
#[test]
fn watch_reports_new_findings_until_stopped() {
    let (here, key) = with_key();
    here.write("log", format!("{key}\n"));
    let watch = RawClient::start(here.command(&["scan", ".", "--watch", "--json"]));
    let lines = |count: usize| until("findings", || Some(watch.messages()).filter(|finding| finding.len() == count));
    assert_eq!(lines(1)[0]["line"], 1);
    here.write("log", format!("{key}\nharmless\n"));
    here.write("late", format!("\n\n{key}"));
    assert_eq!(lines(2)[1]["line"], 3);
    // A key that did not exist when the watch began, in a file that was read before.
    here.write("quiet", "nothing\n");
    here.ok(&["rotate", "memory"]);
    let new = here.variable("SUPERMEMORY_API_KEY").unwrap();
    here.write("newest", &new);
    let finding = until("the new key", || {
        watch.messages().into_iter().find(|one| one["file"].as_str().unwrap().ends_with("newest"))
    });
    assert_eq!((&finding["state"], &finding["key_version"]), (&"live".into(), &2.into()));
    let status = std::process::Command::new("kill").args(["-INT", &watch.pid().to_string()]).status().unwrap();
    assert!(status.success());
    let output = watch.wait();
    assert_eq!((output.code, output.stderr.as_str()), (7, "watching 1 place; Ctrl-C ends it\n"));
    assert_no_key(&output, &key);
    assert_no_key(&output, &new);
}

#[cfg(unix)]
#[test]
fn watch_without_findings_exits_cleanly() {
    let (here, _) = with_key();
    let watch = RawClient::start(here.command(&["scan", ".", "--watch"]));
    until("the first line", || watch.errors().ends_with("watching 1 place; Ctrl-C ends it\n").then_some(()));
    let status = std::process::Command::new("kill").args(["-INT", &watch.pid().to_string()]).status().unwrap();
    assert!(status.success());
    assert_eq!(watch.wait().code, 0);
}

/// Creates a workspace with one project, and returns its key.
pub fn with_key() -> (Workspace, String) {
    let here = Workspace::new();
    here.allow_planted_keys();
    here.ok(&["provision", "memory", "supermemory"]);
    let key = here.variable("SUPERMEMORY_API_KEY").unwrap();
    (here, key)
}

pub fn findings(view: &Value) -> &[Value] {
    view["findings"].as_array().unwrap()
}

pub fn assert_no_key(output: &CommandOutput, key: &str) {
    assert!(!output.stdout.contains(key) && !output.stderr.contains(key), "it prints the key");
}

fn at<'a>(view: &'a Value, file: &Path) -> &'a Value {
    let finding = findings(view).iter().find(|one| one["file"] == *file.to_str().unwrap());
    finding.unwrap_or_else(|| panic!("nothing in {}: {view:#}", file.display()))
}

/// Records a credential as delivered that the simulation would not create.
fn record(here: &Workspace, secret: &str) {
    use domain::{
        clock::Clock,
        money::Cents,
        name::{EnvVar, ProjectName, ProviderKey, ServiceRef},
        project::{Delivery, ProjectId, ResourceId},
        secret::Secret,
    };
    use storage::ledger::{Event, Grant, LedgerError, LifetimeTerms, NewProject, OperationId, Verdict};
    here.create_state();
    let event = |verdict| Event {
        at: Clock::system().now(),
        channel: "test",
        actor: String::new(),
        action: "provision",
        verdict,
        detail: Value::Null,
    };
    let draft = NewProject {
        op: OperationId::random().unwrap(),
        id: ProjectId::random().unwrap(),
        name: ProjectName::parse("db").unwrap(),
        provider: ProviderKey::parse("postgres").unwrap(),
        service: ServiceRef::parse("neon/postgres").unwrap(),
        backend: "simulated".to_owned(),
        env_file: here.file(".env"),
    };
    let deliveries = vec![Delivery { env_var: EnvVar::parse("DATABASE_URL").unwrap(), credential: None }];
    let grant = Grant {
        cap: Cents::parse_usd("1").unwrap(),
        period: domain::budget::CapPeriod::Month,
        deliveries,
        term: LifetimeTerms::default(),
    };
    let ledger = here.ledger();
    let mut intent = ledger
        .journal()
        .begin_provision::<LedgerError>(&draft, &event(Verdict::Intended), |_| Ok(grant.clone()))
        .unwrap();
    let resource = ResourceId::new("fres_1".to_owned());
    ledger.journal().record(&mut intent, &resource, &[Secret::new(secret.to_owned())], Clock::system().now()).unwrap();
    let status = intent.when_done();
    ledger.journal().close(intent, status, &event(Verdict::Done)).unwrap();
}
