//! The durable floor: what any program pays on this disk that writes down an intent, replaces a file atomically and
//! writes down the outcome.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _, stdin},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use rusqlite::Connection;

/// Makes this executable a process that works on the floor together with others.
pub const ARGUMENT: &str = "durable-floor";

pub struct Floor {
    connection: Connection,
    folder: PathBuf,
}

impl Floor {
    pub fn new(folder: &Path) -> Self {
        let connection = Connection::open(folder.join("floor.db")).unwrap();
        connection.busy_timeout(Duration::from_secs(30)).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.pragma_update(None, "synchronous", "FULL").unwrap();
        connection.execute_batch("CREATE TABLE IF NOT EXISTS rows (text TEXT)").unwrap();
        Self { connection, folder: folder.to_owned() }
    }

    pub fn once(&mut self) {
        self.transaction();
        let (temporary, target) = (self.folder.join("floor.tmp"), self.folder.join("floor.env"));
        let folder = File::open(&self.folder).unwrap();
        folder.lock().unwrap();
        let mut file = File::create(&temporary).unwrap();
        file.write_all(b"KEY=0123456789abcdef0123456789abcdef\n").unwrap();
        file.sync_all().unwrap();
        fs::rename(temporary, target).unwrap();
        folder.sync_all().unwrap();
        drop(folder);
        self.transaction();
    }

    fn transaction(&self) {
        self.connection.execute("INSERT INTO rows VALUES ('what was intended, or what came of it')", []).unwrap();
    }
}

/// What the process does: it gets ready, waits for the word, and says when it is done.
pub fn work(arguments: &[String]) {
    let (folder, rounds): (_, usize) = (Path::new(&arguments[0]), arguments[1].parse().unwrap());
    let mut floor = Floor::new(folder);
    println!("ready");
    stdin().read_line(&mut String::new()).unwrap();
    for _ in 0..rounds {
        floor.once();
    }
    println!("done");
}

/// Such a process, as the one that started it sees it.
pub struct Worker {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Worker {
    pub fn start(folder: &Path, rounds: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(ARGUMENT).arg(folder).arg(rounds.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut worker = Self { child, output };
        worker.hear("ready\n");
        worker
    }

    pub fn work(&mut self) {
        writeln!(self.child.stdin.as_mut().unwrap()).unwrap();
        self.hear("done\n");
    }

    fn hear(&mut self, word: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line, word);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.wait();
    }
}
