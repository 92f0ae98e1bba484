//! Which files are opened, and how.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rusqlite::Connection;
use tempfile::TempDir;

use super::{Schema, SqliteStore};
use crate::store::{Store, StoreError, contract};

#[test]
fn rollback_journal_keeps_the_contract_of_the_port() {
    let folder = Folder::new();
    folder.write("store.host", "");
    contract::check_blocking(&|| folder.store());
    assert_eq!(folder.journal_mode(), "delete", "which SQLite reports to a connection that has not chosen");
    assert!(!folder.file("store.db-wal").exists() && !folder.file("store.db-shm").exists());
}

/// As a person moves a state folder to another disk.
#[test]
fn wal_database_is_converted_on_a_network_file_system() {
    let folder = Folder::new();
    folder.add("before").unwrap();
    assert_eq!(folder.journal_mode(), "wal");
    folder.write("store.host", "");
    folder.add("after").unwrap();
    assert_eq!((folder.journal_mode().as_str(), folder.count()), ("delete", 2));
    fs::remove_file(folder.file("store.host")).unwrap();
    folder.add("back").unwrap();
    assert_eq!((folder.journal_mode().as_str(), folder.count()), ("wal", 3), "and back");
}

#[test]
fn writers_and_readers_share_a_rollback_journal() {
    let folder = Folder::new();
    folder.write("store.host", "");
    let (one, other) = (folder.store(), folder.store());
    std::thread::scope(|scope| {
        for (store, name) in [(&one, "one"), (&other, "other")] {
            scope.spawn(move || {
                for number in 0..50 {
                    let id = format!("{name}-{number}");
                    let insert = |tx: &dyn crate::store::Tx| tx.run(INSERT, &crate::store::values![&id]).map(drop);
                    if number % 2 == 0 { store.write(insert) } else { store.write_unsynced(insert) }.unwrap();
                    store.read(|tx| tx.rows("SELECT id FROM items", &[]).map(drop)).unwrap();
                }
            });
        }
    });
    assert_eq!(folder.count(), 100);
}

#[test]
fn live_ledger_of_another_host_is_refused_and_named() {
    let folder = Folder::new();
    folder.write("store.host", "");
    let store = folder.store();
    store.read(|tx| tx.rows("SELECT 1", &[]).map(drop)).unwrap();
    folder.write("store.host", "elsewhere 11111111-2222 4711\n");
    for opened in [&store, &folder.store()] {
        let refused = opened.read(|tx| tx.rows("SELECT 1", &[]).map(drop)).unwrap_err();
        let StoreError::OnAnotherHost { host, process } = &refused else { panic!("{refused:?}") };
        assert_eq!((host.as_str(), *process), ("elsewhere", 4711));
        assert!(refused.to_string().contains("elsewhere"), "{refused}");
    }
    let long_ago = SystemTime::now() - Duration::from_secs(600);
    File::options().write(true).open(folder.file("store.host")).unwrap().set_modified(long_ago).unwrap();
    folder.add("later").unwrap();
    store.read(|tx| tx.rows("SELECT 1", &[]).map(drop)).unwrap();
    drop(store);
    assert_eq!(fs::read_to_string(folder.file("store.host")).unwrap(), "", "the last process released it");
}

/// Puts something at a path.
#[cfg(unix)]
type Plant<'a> = &'a dyn Fn(&Path);

#[cfg(unix)]
#[test]
fn planted_links_and_other_files_are_refused() {
    use std::os::unix::fs::symlink;
    for name in ["store.db", "store.db-wal", "store.db-shm", "store.db-journal", "store.host"] {
        let folder = Folder::new();
        folder.write("victim", "text of the victim");
        let plants: [(&str, Plant<'_>); 3] = [
            ("link", &|place| symlink(folder.file("victim"), place).unwrap()),
            ("dangling link", &|place| symlink(folder.file("absent"), place).unwrap()),
            ("hard link", &|place| fs::hard_link(folder.file("victim"), place).unwrap()),
        ];
        for (kind, plant) in plants {
            // A dangling link forces no rollback journal, so nothing would read that file.
            if (name, kind) == ("store.host", "dangling link") {
                continue;
            }
            let place = folder.file(name);
            plant(&place);
            let refused = folder.add("x").unwrap_err();
            assert!(
                matches!(&refused, StoreError::ForeignFile { name: named, .. } if named == name),
                "{name}: {refused:?}"
            );
            assert_eq!(fs::read_to_string(folder.file("victim")).unwrap(), "text of the victim", "{kind} at {name}");
            assert!(!folder.file("absent").exists(), "{kind} at {name}");
            fs::remove_file(place).unwrap();
        }
        fs::create_dir(folder.file(name)).unwrap();
        let refused = folder.add("x");
        assert!(refused.is_err() || name == "store.host", "a folder at {name}");
    }
}

#[test]
fn triggers_and_views_do_not_run() {
    let folder = Folder::new();
    folder.add("first").unwrap();
    let store = folder.store();
    store.read(|tx| tx.rows("SELECT 1", &[]).map(drop)).unwrap(); // open from now on
    let elsewhere = Connection::open(folder.file("store.db")).unwrap();
    let plant = "CREATE TRIGGER t AFTER INSERT ON items BEGIN DELETE FROM items; END; CREATE VIEW v AS SELECT 1 AS one";
    elsewhere.execute_batch(plant).unwrap();
    store.write(|tx| tx.run(INSERT, &crate::store::values!["second"]).map(drop)).unwrap();
    let rows: i64 = elsewhere.query_row("SELECT count(*) FROM items", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2, "the trigger did not run");
    assert!(store.read(|tx| tx.rows("SELECT one FROM v", &[]).map(drop)).is_err());
    assert!(matches!(folder.add("third"), Err(StoreError::ForeignSchema(_))), "the next opening finds them");
    for change in ["PRAGMA writable_schema = ON", "PRAGMA journal_mode = OFF"] {
        let _ = store.write(|tx| tx.rows(change, &[]).map(drop));
        let edit = store.write(|tx| tx.run("DELETE FROM sqlite_master", &[]).map(drop));
        assert!(edit.is_err(), "defensive mode: {change}");
    }
}

/// Prints how long opening takes. The limit is generous, because other work shares the machine.
#[test]
fn schema_check_takes_little_time() {
    let folder = Folder::new();
    folder.add("first").unwrap();
    let connection = Connection::open(folder.file("store.db")).unwrap();
    SCHEMA.version_of(&connection).unwrap();
    let start = Instant::now();
    for _ in 0..100 {
        SCHEMA.version_of(&connection).unwrap();
    }
    let each = start.elapsed() / 100;
    println!("comparing the schema takes {each:?}");
    assert!(each < Duration::from_millis(5), "{each:?}");
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::new(self.file("store.db"), &SCHEMA))
    }

    fn add(&self, id: &str) -> Result<(), StoreError> {
        self.store().write(|tx| tx.run(INSERT, &crate::store::values![id]).map(drop))
    }

    fn count(&self) -> usize {
        self.store().read(|tx| Ok::<_, StoreError>(tx.rows("SELECT id FROM items", &[])?.len())).unwrap()
    }

    /// As another program sees it.
    fn journal_mode(&self) -> String {
        let connection = Connection::open(self.file("store.db")).unwrap();
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap()
    }
}

static SCHEMA: Schema = Schema::new(contract::TABLES, "");

const INSERT: &str = "INSERT INTO items (id) VALUES (?1)";
