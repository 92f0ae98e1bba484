//! The durable baseline: the time on this disk to record an intent, replace a file atomically and record the outcome.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _, stdin},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use rusqlite::Connection;

/// The argument that turns this executable into a concurrent baseline process.
pub const ARGUMENT: &str = "durable-baseline";

pub struct Baseline {
    connection: Connection,
    folder: PathBuf,
}

impl Baseline {
    pub fn new(folder: &Path) -> Self {
        let connection = Connection::open(folder.join("baseline.db")).unwrap();
        connection.busy_timeout(Duration::from_secs(30)).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.pragma_update(None, "synchronous", "FULL").unwrap();
        connection.execute_batch("CREATE TABLE IF NOT EXISTS rows (text TEXT)").unwrap();
        Self { connection, folder: folder.to_owned() }
    }

    pub fn once(&mut self) {
        self.transaction();
        let (temporary, target) = (self.folder.join("baseline.tmp"), self.folder.join("baseline.env"));
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
        self.connection.execute("INSERT INTO rows VALUES ('an intent or an outcome')", []).unwrap();
    }
}

/// Runs a baseline process: it prints `ready`, waits for a line on stdin, works and prints `done`.
pub fn run_worker(arguments: &[String]) {
    let (folder, rounds): (_, usize) = (Path::new(&arguments[0]), arguments[1].parse().unwrap());
    let mut baseline = Baseline::new(folder);
    println!("ready");
    stdin().read_line(&mut String::new()).unwrap();
    for _ in 0..rounds {
        baseline.once();
    }
    println!("done");
}

/// A handle to a baseline process.
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
        worker.expect_line("ready\n");
        worker
    }

    pub fn work(&mut self) {
        writeln!(self.child.stdin.as_mut().unwrap()).unwrap();
        self.expect_line("done\n");
    }

    fn expect_line(&mut self, expected: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line, expected);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.wait();
    }
}
