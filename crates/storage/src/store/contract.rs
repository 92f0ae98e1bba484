//! The contract suite of the port, which runs every implementation.

#![allow(clippy::missing_panics_doc, clippy::unwrap_used, reason = "a test suite")]

use std::{
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    thread,
    time::Duration,
};

use super::{Access, Ending, Store, StoreError, Tx, Work, values};

/// The tables that the suite uses. An implementation's test creates them in an empty database.
pub const TABLES: &[&str] = &[
    "CREATE TABLE audit_head (one BIGINT PRIMARY KEY, seq BIGINT NOT NULL, hash TEXT NOT NULL)",
    "INSERT INTO audit_head VALUES (1, 0, '')",
    "CREATE TABLE items (id TEXT PRIMARY KEY, number BIGINT, word TEXT, truth BOOLEAN)",
    "CREATE TABLE holds (hold INTEGER PRIMARY KEY, amount BIGINT NOT NULL)",
];

/// Checks an implementation. Each call of `open` opens the same database once more, as another process would.
pub fn check(open: &dyn Fn() -> Arc<dyn Store>) {
    {
        let (store, other) = (open(), open());
        shows_one_state_while_others_write(&*store, &*other);
    }
    check_blocking(open);
}

/// Checks an implementation whose writers wait for readers to end.
pub fn check_blocking(open: &dyn Fn() -> Arc<dyn Store>) {
    let (store, other) = (open(), open());
    is_atomic(&*store, &*other);
    reads_in_place(&*store, &*other);
    survives_a_panic(&*store, &*other);
    repeats_without_a_trace(&store);
    shows_committed_state_only(&*store, &*other);
    shows_unsynced_writes(&*store, &*other);
    refuses_a_second_row_under_a_key(&*store);
    keeps_values(&*store);
    counts_changed_rows(&*store);
    never_exceeds_a_budget(open);
    assert!(store.exists() && !store.is_blank());
    assert!(store.is_whole().unwrap());
}

/// A store that runs each closure twice, and rolls the first run back, as a database that asks for a repetition does.
pub struct Rerunning(pub Arc<dyn Store>);

impl Store for Rerunning {
    fn transact(&self, access: Access, work: Work<'_>) -> Result<(), StoreError> {
        self.0.transact(access, &mut |tx| {
            work(tx);
            Ending::RollBack
        })?;
        self.0.transact(access, work)
    }

    fn waiting_at_most(&self, timeout: Duration) -> Arc<dyn Store> {
        Arc::new(Self(self.0.waiting_at_most(timeout)))
    }

    fn exists(&self) -> bool {
        self.0.exists()
    }

    fn is_blank(&self) -> bool {
        self.0.is_blank()
    }

    fn is_whole(&self) -> Result<bool, StoreError> {
        self.0.is_whole()
    }
}

fn is_atomic(store: &dyn Store, other: &dyn Store) {
    let refused = store.write::<(), Refusal>(|tx| {
        insert(tx, "first", 1)?;
        insert(tx, "second", 2)?;
        Err(Refusal::Rule)
    });
    assert!(matches!(refused, Err(Refusal::Rule)), "the closure's own error comes back");
    assert_eq!(ids(other), [""; 0], "an error rolls everything back");

    let failed = store.write::<(), StoreError>(|tx| {
        insert(tx, "first", 1)?;
        tx.run("INSERT INTO no_such_table VALUES (1)", &[])?;
        Ok(())
    });
    assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    assert_eq!(ids(other), [""; 0], "so does a statement that fails");

    store.write(|tx| insert(tx, "first", 1).and_then(|()| insert(tx, "second", 2))).unwrap();
    assert_eq!(ids(other), ["first", "second"]);
    clear(store);
}

fn reads_in_place(store: &dyn Store, other: &dyn Store) {
    store.write(|tx| insert(tx, "first", 1)).unwrap();
    let in_place = |store: &dyn Store| store.run::<_, StoreError>(Access::ReadInPlace, all_ids).unwrap().unwrap();
    let seen = store.write::<_, StoreError>(|tx| {
        insert(tx, "second", 2)?;
        Ok(in_place(other))
    });
    assert_eq!(seen.unwrap(), ["first"], "a writer neither delays it nor shows in it");
    assert_eq!(in_place(other), ["first", "second"]);
    clear(store);

    let hurried = other.waiting_at_most(Duration::ZERO);
    store
        .write::<_, StoreError>(|tx| {
            insert(tx, "first", 1)?;
            assert!(matches!(hurried.write::<(), StoreError>(|_| Ok(())), Err(StoreError::Locked)));
            Ok(())
        })
        .unwrap();
    assert_eq!(ids(&*hurried), ["first"]);
    clear(store);
}

fn survives_a_panic(store: &dyn Store, other: &dyn Store) {
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        store.write::<(), StoreError>(|tx| {
            insert(tx, "lost", 1)?;
            panic::resume_unwind(Box::new("a panic")) // as `panic!`, but without a message
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(ids(other), [""; 0], "a panic rolls everything back");
    store.write(|tx| insert(tx, "kept", 1)).unwrap();
    assert_eq!(ids(other), ["kept"], "the store is usable afterwards");
    clear(store);
}

fn repeats_without_a_trace(store: &Arc<dyn Store>) {
    let rerunning: Arc<dyn Store> = Arc::new(Rerunning(Arc::clone(store)));
    let mut runs = 0;
    let added = rerunning.write::<_, StoreError>(|tx| {
        runs += 1;
        insert(tx, "once", runs)?;
        Ok(tx.rows("SELECT id FROM items", &[])?.len())
    });
    assert_eq!((added.unwrap(), runs), (1, 2), "the second run does not see the first");
    assert_eq!(ids(&**store), ["once"]);
    clear(&**store);
}

fn shows_committed_state_only(store: &dyn Store, other: &dyn Store) {
    store
        .write(|tx| {
            insert(tx, "open", 1)?;
            assert_eq!(ids(other), [""; 0], "an open transaction is invisible");
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!(ids(other), ["open"]);
    clear(store);
}

fn shows_one_state_while_others_write(store: &dyn Store, other: &dyn Store) {
    other
        .read(|tx| {
            let before = tx.rows("SELECT id FROM items", &[])?.len();
            store.write(|tx| insert(tx, "later", 2))?;
            let after = tx.rows("SELECT id FROM items", &[])?.len();
            assert_eq!((before, after), (0, 0), "a read transaction sees one state");
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!(ids(other), ["later"]);
    clear(store);
}

fn shows_unsynced_writes(store: &dyn Store, other: &dyn Store) {
    store.write_unsynced(|tx| insert(tx, "unsynced", 1)).unwrap();
    assert_eq!(ids(other), ["unsynced"]);
    let durable = other.read_durable(|tx| Ok::<_, StoreError>(tx.rows("SELECT id FROM items", &[])?.len()));
    assert_eq!(durable.unwrap(), 1);
    let refused = store.write_unsynced(|tx| insert(tx, "more", 1).and(Err::<(), _>(StoreError::Locked)));
    assert!(matches!(refused, Err(StoreError::Locked)));
    assert_eq!(ids(other), ["unsynced"], "an unsynced write is atomic too");
    clear(store);
}

fn refuses_a_second_row_under_a_key(store: &dyn Store) {
    store.write(|tx| insert(tx, "op", 1)).unwrap();
    let second = store.write(|tx| insert(tx, "other", 2).and_then(|()| insert(tx, "op", 2)));
    assert!(matches!(second, Err(StoreError::Conflict(_))), "{second:?}");
    assert_eq!(ids(store), ["op"], "the whole transaction was refused");
    let ignored = store.write::<_, StoreError>(|tx| {
        tx.run("INSERT INTO items (id, number) VALUES (?1, ?2) ON CONFLICT DO NOTHING", &values!["op", 2_i64])
    });
    assert_eq!(ignored.unwrap(), 0);
    clear(store);
}

fn keeps_values(store: &dyn Store) {
    let text = "a'b\"c?1$1\\ \u{1f511}\n".repeat(100_000); // 1.9 MB
    for (number, word, truth) in [
        (Some(i64::MIN), Some(text.as_str()), Some(true)),
        (Some(i64::MAX), Some(""), Some(false)),
        (Some(0), None, None),
        (None, Some("null"), None),
    ] {
        let sql = "INSERT INTO items (truth, word, number, id) VALUES (?4, ?3, ?2, ?1) RETURNING number, word, truth";
        let read = "SELECT number, word, truth FROM items WHERE id = ?1 AND (id = ?1 OR number = ?2)";
        store
            .write(|tx| {
                for rows in [tx.rows(sql, &values!["id", number, word, truth])?, tx.rows(read, &values!["id", number])?]
                {
                    let row = rows.one()?;
                    assert_eq!(row.get::<Option<i64>>(0)?, number);
                    assert_eq!(row.get::<Option<&str>>(1)?, word);
                    assert_eq!(row.get::<Option<bool>>(2)?, truth);
                }
                Ok::<_, StoreError>(())
            })
            .unwrap();
        clear(store);
    }
    let none = store.read(|tx| tx.rows("SELECT id FROM items WHERE id = ?1", &values!["id"]));
    assert!(none.unwrap().first().is_none());
}

fn counts_changed_rows(store: &dyn Store) {
    store
        .write(|tx| {
            for id in ["a", "b", "c"] {
                insert(tx, id, 1)?;
            }
            let update = "UPDATE items SET number = number + ?1 WHERE id <> ?2";
            assert_eq!(tx.run(update, &values![1_i64, "c"])?, 2);
            assert_eq!(tx.run("DELETE FROM items", &[])?, 3);
            assert_eq!(tx.run("DELETE FROM items", &[])?, 0);
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

/// Writers that decide on what they read: none may decide on a state that another changes before it writes.
fn never_exceeds_a_budget(open: &dyn Fn() -> Arc<dyn Store>) {
    let (store, other) = (open(), open());
    let writers = [Arc::clone(&store), Arc::clone(&store), Arc::clone(&other), other];
    let granted: usize = thread::scope(|scope| {
        let threads: Vec<_> = writers.iter().map(|store| scope.spawn(|| hold_repeatedly(&**store))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(granted, 40, "exactly the budget is spent");
    let sum = store.read::<i64, StoreError>(|tx| held(tx));
    assert_eq!(sum.unwrap(), BUDGET);
}

fn hold_repeatedly(store: &dyn Store) -> usize {
    let hold = |tx: &dyn Tx| {
        let fits = held(tx)? + AMOUNT <= BUDGET;
        if fits {
            tx.rows("INSERT INTO holds (amount) VALUES (?1) RETURNING hold", &values![AMOUNT])?.one()?.get::<i64>(0)?;
        }
        Ok::<_, StoreError>(fits)
    };
    (0..25).filter(|_| store.write(hold).unwrap()).count()
}

fn held(tx: &dyn Tx) -> Result<i64, StoreError> {
    tx.rows("SELECT CAST(coalesce(sum(amount), 0) AS BIGINT) FROM holds", &[])?.one()?.get(0)
}

fn insert(tx: &dyn Tx, id: &str, number: i64) -> Result<(), StoreError> {
    tx.run("INSERT INTO items (id, number) VALUES (?1, ?2)", &values![id, number]).map(|_| ())
}

fn ids(store: &dyn Store) -> Vec<String> {
    store.read(all_ids).unwrap()
}

fn all_ids(tx: &dyn Tx) -> Result<Vec<String>, StoreError> {
    tx.rows("SELECT id FROM items ORDER BY id", &[])?.iter().map(|row| row.get(0)).collect()
}

fn clear(store: &dyn Store) {
    store.write(|tx| tx.run("DELETE FROM items", &[])).unwrap();
}

#[derive(Debug)]
enum Refusal {
    Rule,
    Store,
}

impl From<StoreError> for Refusal {
    fn from(_: StoreError) -> Self {
        Self::Store
    }
}

const BUDGET: i64 = 200;
const AMOUNT: i64 = 5;
