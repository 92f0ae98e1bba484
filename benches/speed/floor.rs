//! The durable floor: what any program pays on this disk that writes down an intent, replaces a file atomically and
//! writes down the outcome.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

pub struct Floor {
    connection: Connection,
    folder: PathBuf,
}

impl Floor {
    pub fn new(folder: &Path) -> Self {
        let connection = Connection::open(folder.join("floor.db")).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.pragma_update(None, "synchronous", "FULL").unwrap();
        connection.execute_batch("CREATE TABLE rows (text TEXT)").unwrap();
        Self { connection, folder: folder.to_owned() }
    }

    pub fn once(&mut self) {
        self.transaction();
        let (temporary, target) = (self.folder.join("floor.tmp"), self.folder.join("floor.env"));
        let mut file = File::create(&temporary).unwrap();
        file.write_all(b"KEY=0123456789abcdef0123456789abcdef\n").unwrap();
        file.sync_all().unwrap();
        fs::rename(temporary, target).unwrap();
        File::open(&self.folder).unwrap().sync_all().unwrap();
        self.transaction();
    }

    fn transaction(&self) {
        self.connection.execute("INSERT INTO rows VALUES ('what was intended, or what came of it')", []).unwrap();
    }
}
