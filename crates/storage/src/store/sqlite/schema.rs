//! The tables of a database file, and what a file may have of them.
//!
//! A schema is code: a trigger, a view, a changed CHECK or a generated column decides what a statement does. So a file is
//! used only if its schema is, text for text, what the migrations make.

use std::fmt;

use domain::secret::hex;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use sha2::{Digest as _, Sha256};

use crate::store::StoreError;

/// The migrations of a database file, in order. A file's version is the number of migrations that it has run.
#[derive(Debug)]
pub struct Schema {
    migrations: &'static [&'static str],
    digest: &'static str,
}

/// What `sqlite_master` says, sorted.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Definitions(Vec<Definition>);

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Definition {
    kind: String,
    name: String,
    table: String,
    /// `None` for an index that SQLite adds to a UNIQUE column.
    sql: Option<String>,
}

/// How the schema of a file differs. Names are those of our own tables: what was added has a kind only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Difference {
    Added { kind: &'static str },
    Changed { kind: &'static str, name: String },
    Missing { kind: &'static str, name: String },
}

impl Schema {
    /// `digest` is that of the text that all migrations make together. Running them takes milliseconds, so a file whose
    /// schema has that digest is not compared with what they make; a test of each schema compares the two.
    pub const fn new(migrations: &'static [&'static str], digest: &'static str) -> Self {
        Self { migrations, digest }
    }

    pub fn digest(&self) -> &'static str {
        self.digest
    }

    /// Runs the migrations in memory, and returns the digest of the schema that they make.
    pub fn computed_digest(&self) -> Result<String, StoreError> {
        Ok(Definitions::after(self.migrations)?.digest())
    }

    pub fn migrations(&self) -> &'static [&'static str] {
        self.migrations
    }

    /// Returns the version of a file, if its schema is what that many migrations make.
    ///
    /// Statistics of SQLite's own `ANALYZE` may be in it: they decide how rows are found, and never which.
    ///
    /// # Errors
    /// [`StoreError::ForeignSchema`], or [`StoreError::Newer`].
    pub(super) fn version_of(&self, connection: &Connection) -> Result<usize, StoreError> {
        // One transaction, because another process may migrate the file between two statements.
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Deferred)?;
        let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let found = usize::try_from(version).map_err(|_| StoreError::Unreadable { column: "user_version" })?;
        let known = self.migrations.len();
        if found > known {
            return Err(StoreError::Newer { found, known });
        }
        let present = Definitions::read(&transaction)?;
        drop(transaction);
        if found == known && present.digest() == self.digest {
            return Ok(found);
        }
        let expected = Definitions::after(self.migrations.get(..found).unwrap_or_default())?;
        present.difference_from(&expected).map_or(Ok(found), |difference| Err(StoreError::ForeignSchema(difference)))
    }
}

impl Definitions {
    fn after(migrations: &[&str]) -> Result<Self, StoreError> {
        let memory = Connection::open_in_memory()?;
        for migration in migrations {
            memory.execute_batch(migration)?;
        }
        Self::read(&memory)
    }

    fn read(connection: &Connection) -> Result<Self, StoreError> {
        let mut statement = connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_master")?;
        let definitions = statement.query_map([], |row| {
            Ok(Definition { kind: row.get(0)?, name: row.get(1)?, table: row.get(2)?, sql: row.get(3)? })
        })?;
        let mut found = definitions.collect::<Result<Vec<_>, _>>()?;
        found.retain(|definition| !definition.is_statistics());
        found.sort();
        Ok(Self(found))
    }

    fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for Definition { kind, name, table, sql } in &self.0 {
            for text in [Some(kind), Some(name), Some(table), sql.as_ref()] {
                // Lengths keep the texts apart.
                hasher.update(text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
                hasher.update(text.map_or("", String::as_str));
            }
        }
        hex(&hasher.finalize())
    }

    fn difference_from(&self, expected: &Self) -> Option<Difference> {
        if self == expected {
            return None;
        }
        let has = |definitions: &Self, wanted: &Definition| {
            definitions.0.iter().any(|each| (&each.kind, &each.name) == (&wanted.kind, &wanted.name))
        };
        let of_ours = expected.0.iter().find(|definition| !self.0.contains(definition)).map(|definition| {
            let (kind, name) = (definition.shown_kind(), definition.name.clone());
            if has(self, definition) { Difference::Changed { kind, name } } else { Difference::Missing { kind, name } }
        });
        let added = || self.0.iter().find(|definition| !has(expected, definition)).map(Definition::shown_kind);
        // Else a definition is there twice.
        of_ours.or_else(|| Some(Difference::Added { kind: added().unwrap_or("definition") }))
    }
}

impl Definition {
    /// Whether it is a table that `ANALYZE` makes, as SQLite writes it.
    fn is_statistics(&self) -> bool {
        self.kind == "table"
            && self.name == self.table
            && STATISTICS.iter().any(|(name, sql)| self.name == *name && self.sql.as_deref() == Some(sql))
    }

    fn shown_kind(&self) -> &'static str {
        KINDS.iter().find(|kind| **kind == self.kind).unwrap_or(&"definition")
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { kind } => write!(f, "it has one {kind} too many"),
            Self::Changed { kind, name } => write!(f, "its {kind} `{name}` is not ours"),
            Self::Missing { kind, name } => write!(f, "its {kind} `{name}` is missing"),
        }
    }
}

const KINDS: [&str; 4] = ["index", "table", "trigger", "view"];

/// The tables of `ANALYZE`, in the text that SQLite gives them.
const STATISTICS: [(&str, &str); 2] = [
    ("sqlite_stat1", "CREATE TABLE sqlite_stat1(tbl,idx,stat)"),
    ("sqlite_stat4", "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_the_schema_is_found() {
        for (change, shown) in [
            ("CREATE TRIGGER t AFTER INSERT ON items BEGIN DELETE FROM items; END", "it has one trigger too many"),
            ("CREATE VIEW v AS SELECT * FROM items", "it has one view too many"),
            ("CREATE TABLE other (x)", "it has one table too many"),
            ("CREATE VIRTUAL TABLE other USING fts5(x)", "it has one table too many"),
            ("CREATE INDEX i ON items (id)", "it has one index too many"),
            ("ALTER TABLE items ADD COLUMN more TEXT", "its table `items` is not ours"),
            ("ALTER TABLE items ADD COLUMN more TEXT AS (id) VIRTUAL", "its table `items` is not ours"),
            ("ALTER TABLE items RENAME COLUMN cap TO cup", "its index `items_by_cap` is not ours"),
            ("ALTER TABLE items RENAME TO others", "its index `items_by_cap` is not ours"),
            ("DROP INDEX items_by_cap", "its index `items_by_cap` is missing"),
            (
                "DROP INDEX items_by_cap; CREATE INDEX items_by_cap ON items (id)",
                "its index `items_by_cap` is not ours",
            ),
            ("DROP TABLE items", "its index `items_by_cap` is missing"),
            ("DROP TABLE heads; CREATE VIEW heads AS SELECT 1 AS one", "its table `heads` is missing"),
            ("DROP TABLE heads; CREATE TABLE heads (one INTEGER CHECK (one = 2))", "its table `heads` is not ours"),
        ] {
            let connection = made();
            connection.execute_batch(change).unwrap();
            match SCHEMA.version_of(&connection) {
                Err(StoreError::ForeignSchema(difference)) => assert_eq!(difference.to_string(), shown, "{change}"),
                other => panic!("{change}: {other:?}"),
            }
        }
    }

    /// `writable_schema` reaches what ALTER TABLE does not.
    #[test]
    fn edited_text_of_the_schema_is_found() {
        for edit in [
            "UPDATE sqlite_master SET sql = replace(sql, 'cap > 0', 'cap > -9') WHERE name = 'items'",
            "UPDATE sqlite_master SET sql = replace(sql, 'STRICT', '') WHERE name = 'items'",
            "UPDATE sqlite_master SET sql = replace(sql, 'CREATE TABLE', 'CREATE  TABLE') WHERE name = 'items'",
            "UPDATE sqlite_master SET sql = sql || ' ' WHERE name = 'items_by_cap'",
        ] {
            let connection = made();
            connection.pragma_update(None, "writable_schema", true).unwrap();
            assert_eq!(connection.execute(edit, []).unwrap(), 1, "{edit}");
            assert!(matches!(SCHEMA.version_of(&connection), Err(StoreError::ForeignSchema(_))), "{edit}");
        }
    }

    #[test]
    fn own_schema_with_statistics_is_accepted() {
        let connection = made();
        assert_eq!(SCHEMA.version_of(&connection).unwrap(), 2);
        connection.execute_batch("INSERT INTO items VALUES ('a', 1); ANALYZE").unwrap();
        let statistics = "SELECT count(*) FROM sqlite_master WHERE name LIKE 'sqlite_stat%'";
        let tables: i64 = connection.query_row(statistics, [], |row| row.get(0)).unwrap();
        assert!(tables > 0);
        assert_eq!(SCHEMA.version_of(&connection).unwrap(), 2);
        connection.execute_batch("CREATE TRIGGER t AFTER INSERT ON sqlite_stat1 BEGIN SELECT 1; END").unwrap_err();
    }

    #[test]
    fn version_decides_which_schema_is_expected() {
        let connection = Connection::open_in_memory().unwrap();
        assert_eq!(SCHEMA.version_of(&connection).unwrap(), 0);
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        assert!(
            matches!(SCHEMA.version_of(&connection), Err(StoreError::ForeignSchema(_))),
            "tables without a version"
        );
        connection.pragma_update(None, "user_version", 1).unwrap();
        assert_eq!(SCHEMA.version_of(&connection).unwrap(), 1);
        connection.pragma_update(None, "user_version", 3).unwrap();
        assert!(matches!(SCHEMA.version_of(&connection), Err(StoreError::Newer { found: 3, known: 2 })));
        connection.pragma_update(None, "user_version", -1).unwrap();
        assert!(matches!(SCHEMA.version_of(&connection), Err(StoreError::Unreadable { .. })));
    }

    fn made() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        for migration in MIGRATIONS {
            connection.execute_batch(migration).unwrap();
        }
        connection.pragma_update(None, "user_version", 2).unwrap();
        connection
    }

    #[test]
    fn digest_covers_every_text() {
        let digest = Schema::new(&MIGRATIONS, "").computed_digest().unwrap();
        assert_ne!(digest, Schema::new(&MIGRATIONS[..1], "").computed_digest().unwrap());
        let exact: &'static str = digest.leak();
        let (connection, schema) = (made(), Schema::new(&MIGRATIONS, exact));
        assert_eq!(schema.version_of(&connection).unwrap(), 2);
        connection.execute_batch("CREATE VIEW v AS SELECT 1").unwrap();
        assert!(matches!(schema.version_of(&connection), Err(StoreError::ForeignSchema(_))));
    }

    static SCHEMA: Schema = Schema::new(&MIGRATIONS, "");

    const MIGRATIONS: [&str; 2] = [
        "CREATE TABLE items (id TEXT PRIMARY KEY, cap INTEGER CHECK (cap > 0)) STRICT; CREATE TABLE heads (one INTEGER)",
        "CREATE INDEX items_by_cap ON items (cap)",
    ];
}
