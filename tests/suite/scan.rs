//! The search for leaked keys, through the binary: what it finds, what it does not say, and how it ends.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    lines::{Lines, until},
    workspace::{Ran, Workspace},
};

#[test]
fn a_clean_tree_is_clean_and_the_env_file_is_where_a_key_belongs() {
    let (here, key) = with_key();
    here.write("notes.txt", format!("it begins with {} and ends in {}\n", &key[..16], &key[key.len() - 4..]));
    here.write("other.txt", key.replace(&key[20..24], "zzzz"));
    let ran = here.ok(&["scan", "."]);
    assert!(ran.stdout.contains("Clean: none of 1 key in"), "{ran:?}");
    let view = here.json(&["scan", "."]);
    assert_eq!((&view["keys_known"], view["findings"].as_array().unwrap().len()), (&1.into(), 0));
    let one = here.json(&["scan", "notes.txt"]);
    let bytes = here.read("notes.txt").len();
    assert_eq!((&one["files_read"], &one["bytes_read"]), (&1.into(), &bytes.into()), "it says how much it looked at");
}

#[test]
fn nothing_to_look_for_is_said() {
    let here = Workspace::new();
    here.has_plants();
    assert!(here.ok(&["scan", "."]).stdout.starts_with("Nothing to look for"));
    assert!(here.files().is_empty(), "a look creates nothing");
}

#[test]
fn a_key_is_found_wherever_it_stands() {
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
    let ran = here.run(&["scan", ".", "--json"]);
    assert_eq!(ran.code, 7);
    silent(&ran, &key);
    let view: Value = serde_json::from_str(&ran.stdout).unwrap();
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
    // Naming things twice, or one inside the other, finds nothing twice; a single file will do.
    let named = ["a", "a/b", "glued", "glued"].map(|name| here.file(name).to_str().unwrap().to_owned());
    let again = here.json(&["scan", &named[0], &named[1], &named[2], &named[3]]);
    assert_eq!(again["findings"].as_array().unwrap().len(), 2);
    let people = here.run(&["scan", "."]);
    silent(&people, &key);
    assert_eq!(people.code, 7);
    assert!(people.stdout.contains("Found: 9 live and 0 dead"), "{people:?}");
}

#[test]
fn a_dead_key_is_found_and_called_dead() {
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
    // A dead key that somebody keeps in the env file is no longer where it belongs.
    here.write(".env", format!("OLD={old}\n"));
    assert_eq!(findings(&here.json(&["scan", ".env"])).len(), 1);
}

#[cfg(unix)]
#[test]
fn an_env_file_behind_a_link_is_still_where_its_keys_belong() {
    let here = Workspace::new();
    fs::create_dir(here.file("secrets")).unwrap();
    std::os::unix::fs::symlink("secrets/app.env", here.file(".env")).unwrap();
    here.ok(&["provision", "memory", "supermemory"]);
    here.ok(&["scan", "."]);
}

/// Whoever loads the env file of one project was not given the key of another.
#[test]
fn an_env_file_is_where_its_own_keys_belong_and_no_other() {
    let (here, key) = with_key();
    here.ok(&["provision", "web", "search", "--env-file", "other.env"]);
    here.ok(&["scan", "."]);
    here.write("other.env", format!("{}STRAY={key}\n", here.read("other.env")));
    let view = here.json(&["scan", "."]);
    assert_eq!(findings(&view).len(), 1, "{view:#}");
    assert_eq!(at(&view, &here.file("other.env"))["project"], "memory");
}

/// A connection string shows nothing in its mask: its length is all that is known.
#[test]
fn a_connection_string_is_found_by_its_length() {
    let here = Workspace::new();
    here.has_plants();
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
        let ran = here.run(&["scan", "log", "--json"]);
        silent(&ran, secret);
        let view: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!((ran.code, findings(&view).len()), (7, 1), "{text}");
        assert_eq!(findings(&view)[0]["api_key_masked"], "…");
    }
    here.write("log", secret.replace("s3cret", "s3cret2"));
    here.ok(&["scan", "log"]);
}

#[test]
fn transcripts_of_agents_and_histories_of_shells_are_known_places() {
    let (here, key) = with_key();
    let home = here.file("home");
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
    let ran = Ran::from(command.output().unwrap());
    let view: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(findings(&view).len(), places.len(), "{view:#}");
    for place in places {
        assert_eq!(at(&view, &home.join(place))["state"], "live");
    }
}

#[test]
fn rotate_kills_what_is_live_once_it_is_agreed() {
    let (here, key) = with_key();
    here.write("log", &key);
    let asked = here.run(&["scan", "log", "--rotate"]);
    assert_eq!(asked.code, 7);
    assert!(asked.stderr.contains("not rotated: memory: this needs a confirmation"), "{asked:?}");
    assert!(here.owner_of(&key).is_some());

    let ran = here.run(&["scan", "log", "--rotate", "--yes", "--json"]);
    assert_eq!(ran.code, 7, "it was found, whatever was done about it");
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["live_count"], 1);
    assert_eq!(ran.stderr, "rotated memory: version 2 is in the env file\n");
    assert!(here.owner_of(&key).is_none());
    assert!(here.owner_of(&here.variable("SUPERMEMORY_API_KEY").unwrap()).is_some());
    assert_eq!(here.json(&["scan", "."])["dead_count"], 1);
    // A dead key is nothing to rotate.
    assert_eq!(here.run(&["scan", "log", "--rotate", "--yes"]).stderr, "");
}

#[test]
fn a_rotation_that_fails_says_so_by_its_code() {
    let (here, key) = with_key();
    here.write("log", &key);
    here.write(".env", "SUPERMEMORY_API_KEY=somebody-else's\n");
    let ran = here.run(&["scan", "log", "--rotate", "--yes", "--json"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("error: not rotated: memory: SUPERMEMORY_API_KEY holds a value"), "{ran:?}");
    serde_json::from_str::<Value>(&ran.stdout).unwrap();
    assert!(here.owner_of(&key).is_some());
}

#[test]
fn what_is_not_there_is_an_error_that_repeats_nothing() {
    let (here, key) = with_key();
    let ran = here.run(&["scan", ".", &key]);
    silent(&ran, &key);
    assert_eq!((ran.code, ran.stderr.contains("path number 2")), (2, true), "{ran:?}");
    assert_eq!(here.run(&["scan"]).code, 2);
}

#[cfg(unix)]
#[test]
fn hostile_names_and_kinds_of_files_are_survived() {
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

    let ran = here.run(&["scan", "tree"]);
    silent(&ran, &key);
    assert_eq!(ran.code, 7);
    assert!(ran.stdout.contains("a\\nb\\u{1b}[31m\u{fffd}\\u{202e}:1"), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\u{1b}') && !ran.stdout.contains('\u{202e}'));
    assert_eq!(ran.stdout.lines().count(), 4 + 2, "{}", ran.stdout);
    assert_eq!(ran.stdout.matches("the name ").count(), 2);
    let json = here.run(&["scan", "tree", "--json"]);
    silent(&json, &key);
    // A link that is named is followed: it was meant.
    symlink(&tree, here.file("named")).unwrap();
    assert_eq!(findings(&here.json(&["scan", "named"])).len(), 4);
}

/// The first page of a process is never there to be read, whoever asks.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_read_is_said() {
    let (here, _) = with_key();
    let ran = here.ok(&["scan", "/proc/self/mem"]);
    assert!(ran.stderr.starts_with("warning: 1 file or folder could not be read, such as /proc/"), "{ran:?}");
    assert_eq!(here.json(&["scan", "/proc/self/mem"])["unreadable_count"], 1);
}

#[cfg(unix)]
#[test]
fn a_watch_tells_what_is_new_until_it_is_stopped() {
    let (here, key) = with_key();
    here.write("log", format!("{key}\n"));
    let watching = Lines::start(here.command(&["scan", ".", "--watch", "--json"]));
    let lines = |count: usize| until("findings", || Some(watching.answers()).filter(|found| found.len() == count));
    assert_eq!(lines(1)[0]["line"], 1);
    here.write("log", format!("{key}\nharmless\n"));
    here.write("late", format!("\n\n{key}"));
    assert_eq!(lines(2)[1]["line"], 3);
    // A key that did not exist when the watch began, in a file that was read before.
    here.write("quiet", "nothing\n");
    here.ok(&["rotate", "memory"]);
    let new = here.variable("SUPERMEMORY_API_KEY").unwrap();
    here.write("newest", &new);
    let found = until("the new key", || {
        watching.answers().into_iter().find(|one| one["file"].as_str().unwrap().ends_with("newest"))
    });
    assert_eq!((&found["state"], &found["key_version"]), (&"live".into(), &2.into()));
    let sent = std::process::Command::new("kill").args(["-INT", &watching.pid().to_string()]).status().unwrap();
    assert!(sent.success());
    let ran = watching.wait();
    assert_eq!((ran.code, ran.stderr.as_str()), (7, "watching 1 place; Ctrl-C ends it\n"));
    silent(&ran, &key);
    silent(&ran, &new);
}

#[cfg(unix)]
#[test]
fn a_watch_that_saw_nothing_ends_well_and_soon() {
    let (here, _) = with_key();
    let watching = Lines::start(here.command(&["scan", ".", "--watch"]));
    until("the first line", || watching.errors().ends_with("watching 1 place; Ctrl-C ends it\n").then_some(()));
    let sent = std::process::Command::new("kill").args(["-INT", &watching.pid().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(watching.wait().code, 0);
}

/// A workspace with one project, and its key.
pub fn with_key() -> (Workspace, String) {
    let here = Workspace::new();
    here.has_plants();
    here.ok(&["provision", "memory", "supermemory"]);
    let key = here.variable("SUPERMEMORY_API_KEY").unwrap();
    (here, key)
}

pub fn findings(view: &Value) -> &[Value] {
    view["findings"].as_array().unwrap()
}

pub fn silent(ran: &Ran, key: &str) {
    assert!(!ran.stdout.contains(key) && !ran.stderr.contains(key), "it says the key");
}

fn at<'a>(view: &'a Value, file: &Path) -> &'a Value {
    let found = findings(view).iter().find(|one| one["file"] == *file.to_str().unwrap());
    found.unwrap_or_else(|| panic!("nothing in {}: {view:#}", file.display()))
}

/// Writes down a credential as delivered, which the simulation would not hand out.
fn record(here: &Workspace, secret: &str) {
    use stripe_projects_mcp::{
        clock::Clock,
        ledger::{Event, Grant, LedgerError, LifetimeTerms, NewProject, OperationId, Verdict},
        money::Cents,
        name::{EnvVar, ProjectName, ProviderKey, ServiceRef},
        project::{Delivery, ProjectId, ResourceId},
        secret::Secret,
    };
    fs::create_dir_all(here.state()).unwrap();
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
    let grant = Grant { cap: Cents::parse_usd("1").unwrap(), deliveries, term: LifetimeTerms::default() };
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
