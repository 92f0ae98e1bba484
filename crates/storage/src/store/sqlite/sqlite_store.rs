//! The port on SQLite.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rusqlite::{
    CachedStatement, Connection, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use super::{Database, Schema, in_place};
use crate::store::{Access, Ending, Rows, Store, StoreError, Tx, Value, Work};

/// A [`Store`] in a database file, which is created on first use.
pub struct SqliteStore {
    database: Database,
}

impl SqliteStore {
    pub fn new(path: PathBuf, schema: &'static Schema) -> Self {
        Self { database: Database::new(path, schema) }
    }
}

impl Store for SqliteStore {
    fn transact(&self, access: Access, work: Work<'_>) -> Result<(), StoreError> {
        let body = |connection: &Connection| match work(&SqliteTx(connection)) {
            Ending::Commit => Ok(()),
            Ending::RollBack => Err(Stop::RolledBack),
        };
        let outcome = match access {
            Access::ReadInPlace => {
                return in_place::read(self.database.path(), |connection| work(&SqliteTx(connection)));
            }
            Access::Read => self.database.read(body),
            Access::ReadDurable => self.database.read_durable(body),
            Access::Write => self.database.write(body),
            Access::WriteUnsynced => self.database.write_unsynced(body),
        };
        match outcome {
            Ok(()) | Err(Stop::RolledBack) => Ok(()),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    fn waiting_at_most(&self, timeout: Duration) -> Arc<dyn Store> {
        Arc::new(Self { database: self.database.waiting_at_most(timeout) })
    }

    fn exists(&self) -> bool {
        self.database.exists()
    }

    fn is_blank(&self) -> bool {
        self.database.is_blank()
    }

    fn is_whole(&self) -> Result<bool, StoreError> {
        self.database.read(|connection| {
            let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            Ok(verdict == "ok")
        })
    }
}

/// Why a transaction was not committed.
enum Stop {
    Failed(StoreError),
    RolledBack,
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

struct SqliteTx<'a>(&'a Connection);

impl SqliteTx<'_> {
    fn prepare(&self, sql: &str, parameters: &[Value<'_>]) -> Result<CachedStatement<'_>, rusqlite::Error> {
        let mut statement = self.0.prepare_cached(sql)?;
        for (index, value) in (1..).zip(parameters) {
            statement.raw_bind_parameter(index, value)?;
        }
        Ok(statement)
    }
}

impl Tx for SqliteTx<'_> {
    fn rows(&self, sql: &str, parameters: &[Value<'_>]) -> Result<Rows, StoreError> {
        let mut statement = self.prepare(sql, parameters)?;
        let width = statement.column_count();
        let mut found = Rows::new(width);
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            for column in 0..width {
                found.push(owned(column, row.get_ref(column)?)?);
            }
        }
        Ok(found)
    }

    fn run(&self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, StoreError> {
        let changed = self.prepare(sql, parameters)?.raw_execute()?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }
}

fn owned(column: usize, value: ValueRef<'_>) -> Result<Value<'static>, StoreError> {
    match value {
        ValueRef::Integer(number) => Ok(Value::Integer(number)),
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Text(text) => match str::from_utf8(text) {
            Ok(text) => Ok(Value::Text(text.to_owned().into())),
            Err(_) => Err(StoreError::Mistyped { column }),
        },
        ValueRef::Blob(_) | ValueRef::Real(_) => Err(StoreError::Mistyped { column }),
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>, rusqlite::Error> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Boolean(truth) => ValueRef::Integer(i64::from(*truth)),
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Null => ValueRef::Null,
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::*;
    use crate::store::contract;

    #[test]
    fn sqlite_keeps_the_contract_of_the_port() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("store.db");
        let blank = SqliteStore::new(path.clone(), &SCHEMA);
        assert!(!blank.exists() && blank.is_blank());
        contract::check(&|| Arc::new(SqliteStore::new(path.clone(), &SCHEMA)));
    }

    #[test]
    fn a_real_number_or_bytes_are_unreadable() {
        let folder = TempDir::new().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::new(folder.path().join("store.db"), &SCHEMA));
        for value in ["0.5", "x'00'", "CAST(x'ff' AS TEXT)"] {
            let read = store.read(|tx| tx.rows(&format!("SELECT 1, {value}"), &[]));
            assert!(matches!(read, Err(StoreError::Mistyped { column: 1 })), "{value}: {read:?}");
        }
    }

    static SCHEMA: Schema = Schema::new(contract::TABLES, "");
}
