//! The power fails: what was written and not flushed is gone, and so is every name in a folder that was not flushed.
//!
//! The real binary does each operation under `strace`, and its log says in which order files were written, flushed,
//! renamed and removed. From that log, the disk is rebuilt as it would be found after a power cut behind each call, in
//! three ways: as the standard allows at worst, with names kept and contents lost, and with some of the writes kept. The
//! provider's world stays whole, for it is somebody else's machine. On each disk the real binary goes on, and the
//! promises must hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    promises::{MINE, check, finish},
    workspace::{BINARY, Workspace},
};

#[test]
fn a_first_provision_survives_the_power_failing_anywhere() {
    survives("provision", &[]);
}

#[test]
fn a_rotation_survives_the_power_failing_anywhere() {
    survives("rotate", &[PROVISIONED]);
}

#[test]
fn a_suspension_survives_the_power_failing_anywhere() {
    survives("suspend", &[PROVISIONED]);
}

#[test]
fn a_resumption_survives_the_power_failing_anywhere() {
    survives("resume", &[PROVISIONED, &["suspend", "victim"]]);
}

#[test]
fn a_teardown_survives_the_power_failing_anywhere() {
    survives("teardown", &[PROVISIONED]);
}

/// Whether processes can be traced here. Said aloud where they cannot, because nothing is proved then.
pub fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    let can = traced.is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("NOT CHECKED: there is no strace here, or it may not trace");
    }
    can
}

fn survives(operation: &str, before: &[&[&str]]) {
    if !can_trace() {
        return;
    }
    let workspace = Workspace::new();
    workspace.write(".env", MINE);
    for arguments in before {
        workspace.ok(arguments);
    }
    let mut disk = Disk::of(&workspace);

    let log = tempfile::NamedTempFile::new().unwrap();
    let mut traced = Command::new("strace");
    workspace.prepare(&mut traced);
    traced.args(["-f", "-y", "-xx", "-s", "1000000", "-e", CALLS, "-o"]).arg(log.path()).arg(BINARY);
    traced.args(call(operation)).current_dir(workspace.path());
    let output = traced.output().unwrap();
    assert!(output.status.success(), "{operation}: {output:?}");

    let (mut seen, mut dice, mut last) = (BTreeSet::new(), Dice(1), None);
    for (number, line) in whole_lines(&fs::read_to_string(log.path()).unwrap()).into_iter().enumerate() {
        if !disk.apply(&line) {
            continue;
        }
        let ways = [Lost::AllThatMayBe, Lost::Contents, Lost::SomeWrites];
        // Which writes get through is anybody's guess, so guesses behind some of the calls will do.
        for lost in ways.into_iter().filter(|lost| *lost != Lost::SomeWrites || number % 4 == 0) {
            let found = disk.after(lost, &mut dice);
            if seen.insert(found.clone()) {
                let case = format!("{operation}, {lost:?}, cut number {}, behind {}", seen.len(), shortened(&line));
                put(&workspace, &found);
                finish(&workspace, operation, &case);
                check(&workspace, &case);
                let verified = workspace.run(&["audit", "--verify"]);
                assert_eq!(verified.code, 0, "{case}: {verified:?}");
            }
            if lost == Lost::AllThatMayBe {
                last = Some(found);
            }
        }
    }
    assert!(seen.len() > 10, "{operation}: only {} disks", seen.len());
    println!("{operation}: {} disks", seen.len());

    // What was answered is on the disk: nothing is open, whatever is lost now.
    put(&workspace, &last.unwrap());
    assert!(
        workspace.ledger().projects().unsettled().unwrap().is_empty(),
        "{operation} was answered and not on the disk"
    );
    check(&workspace, operation);
}

pub fn call(operation: &str) -> Vec<&str> {
    match operation {
        "provision" => PROVISIONED.to_vec(),
        "teardown" => vec!["teardown", "victim", "--yes"],
        _ => vec![operation, "victim"],
    }
}

/// How much a power cut takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lost {
    /// Every write to a file that was not flushed, every change of a folder that was not flushed.
    AllThatMayBe,
    /// Names are as they were last, contents as they were flushed.
    Contents,
    /// Names are as they were last, and of the writes that were not flushed some got through.
    SomeWrites,
}

/// What a disk holds, by path; `None` is a folder.
pub type Found = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// The files of a workspace as processes see them, and as they are on the disk.
struct Disk {
    root: PathBuf,
    files: Vec<File>,
    now: BTreeMap<PathBuf, Entry>,
    flushed: BTreeMap<PathBuf, Entry>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Entry {
    File(usize),
    Folder,
}

#[derive(Default)]
struct File {
    now: Vec<u8>,
    flushed: Vec<u8>,
    pending: Vec<Write>,
}

#[derive(Clone)]
enum Write {
    At(usize, Vec<u8>),
    Length(usize),
}

impl Disk {
    /// Everything is on the disk.
    fn of(workspace: &Workspace) -> Self {
        let root = workspace.path();
        let mut disk = Self { root: root.clone(), files: Vec::new(), now: BTreeMap::new(), flushed: BTreeMap::new() };
        disk.take_in(&root);
        disk.flushed = disk.now.clone();
        disk
    }

    fn take_in(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.now.insert(path.clone(), Entry::Folder);
                self.take_in(&path);
            } else {
                let bytes = fs::read(&path).unwrap();
                self.files.push(File { now: bytes.clone(), flushed: bytes, pending: Vec::new() });
                self.now.insert(path, Entry::File(self.files.len() - 1));
            }
        }
    }

    /// Does what a line of the log says; whether it was about this disk and may have changed it.
    fn apply(&mut self, line: &str) -> bool {
        let Some((name, arguments, result)) = parsed(line) else { return false };
        if result.starts_with('-') {
            return false;
        }
        match name {
            "openat" => return self.open(&path(&arguments[1]), &arguments[2]),
            "mkdir" => return self.enter(path(&arguments[0]), Entry::Folder),
            "unlink" => return self.now.remove(&path(&arguments[0])).is_some(),
            "rename" => {
                let Some(entry) = self.now.remove(&path(&arguments[0])) else { return false };
                return self.enter(path(&arguments[1]), entry);
            }
            _ => {}
        }
        let target = path(&arguments[0]);
        if target == self.root || self.now.get(&target) == Some(&Entry::Folder) {
            assert!(matches!(name, "fsync" | "fdatasync"), "{line}");
            self.flush_folder(&target);
            return true;
        }
        let Some(Entry::File(number)) = self.now.get(&target) else { return false };
        let file = &mut self.files[*number];
        match name {
            "fsync" | "fdatasync" => {
                file.flushed.clone_from(&file.now);
                file.pending.clear();
            }
            "ftruncate" => file.write(Write::Length(arguments[1].parse().unwrap())),
            "pwrite64" => file.write(Write::At(arguments[3].parse().unwrap(), bytes(&arguments[1]))),
            // Only the files that are then renamed are written so, from their beginning to their end.
            "write" => file.write(Write::At(file.now.len(), bytes(&arguments[1]))),
            other => panic!("{other} is not known here: {line}"),
        }
        true
    }

    fn open(&mut self, path: &Path, flags: &str) -> bool {
        if !path.starts_with(&self.root) || !flags.contains("O_CREAT") || self.now.contains_key(path) {
            assert!(!flags.contains("O_TRUNC") || !self.now.contains_key(path), "{}", path.display());
            return false;
        }
        self.files.push(File::default());
        self.enter(path.to_owned(), Entry::File(self.files.len() - 1))
    }

    fn enter(&mut self, path: PathBuf, entry: Entry) -> bool {
        let ours = path.starts_with(&self.root);
        if ours {
            self.now.insert(path, entry);
        }
        ours
    }

    fn flush_folder(&mut self, folder: &Path) {
        self.flushed.retain(|path, _| path.parent() != Some(folder));
        let here = self.now.iter().filter(|(path, _)| path.parent() == Some(folder));
        self.flushed.extend(here.map(|(path, entry)| (path.clone(), *entry)));
    }

    /// The disk after a power cut. The world is somebody else's and whole; shared memory is nobody's and gone.
    fn after(&self, lost: Lost, dice: &mut Dice) -> Found {
        let names = if lost == Lost::AllThatMayBe { &self.flushed } else { &self.now };
        let of_the_world = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with("simulated.");
        let mut found = Found::new();
        for (path, entry) in names {
            // What is in a folder whose own name is lost is lost with it.
            let reachable = path.ancestors().skip(1).take_while(|folder| *folder != self.root);
            if of_the_world(path)
                || path.to_string_lossy().ends_with("-shm")
                || !{ reachable }.all(|up| names.contains_key(up))
            {
                continue;
            }
            let content = match entry {
                Entry::Folder => None,
                Entry::File(number) => Some(self.files[*number].after(lost, dice)),
            };
            found.insert(path.clone(), content);
        }
        for (path, entry) in &self.now {
            if let (true, Entry::File(number)) =
                (of_the_world(path) && !path.to_string_lossy().ends_with("-shm"), entry)
            {
                found.insert(path.clone(), Some(self.files[*number].now.clone()));
            }
        }
        found
    }
}

impl File {
    fn write(&mut self, write: Write) {
        write.onto(&mut self.now);
        self.pending.push(write);
    }

    fn after(&self, lost: Lost, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.flushed.clone();
        if lost == Lost::SomeWrites {
            self.pending.iter().filter(|_| dice.yes()).for_each(|write| write.onto(&mut bytes));
        }
        bytes
    }
}

impl Write {
    fn onto(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::At(at, written) => {
                bytes.resize(bytes.len().max(at + written.len()), 0);
                bytes[*at..at + written.len()].copy_from_slice(written);
            }
            Self::Length(length) => bytes.resize(*length, 0),
        }
    }
}

/// What the disk of a workspace holds now.
pub fn found(workspace: &Workspace) -> Found {
    let disk = Disk::of(workspace);
    disk.after(Lost::Contents, &mut Dice(1))
}

/// Makes the workspace what was found on a disk.
pub fn put(workspace: &Workspace, found: &Found) {
    for entry in fs::read_dir(workspace.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }
    for (path, content) in found {
        match content {
            None => fs::create_dir_all(path).unwrap(),
            Some(bytes) => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
        }
    }
}

/// The lines of a log of several threads: what one begins and another interrupts is put together again, where it ended.
fn whole_lines(log: &str) -> Vec<String> {
    let (mut begun, mut lines) = (BTreeMap::new(), Vec::new());
    for line in log.lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        if let Some(beginning) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, beginning);
        } else if let Some(end) = rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            lines.push(format!("{}{}", begun.remove(thread).unwrap_or_default(), end.1));
        } else {
            lines.push(rest.to_owned());
        }
    }
    lines
}

/// Name, arguments and result of a call. All text in it is in hexadecimal, so that a comma is one of strace's own.
fn parsed(line: &str) -> Option<(&str, Vec<String>, &str)> {
    let (call, result) = line.rsplit_once(" = ")?;
    let (name, arguments) = call.trim_end().strip_suffix(')')?.split_once('(')?;
    Some((name, arguments.split(", ").map(str::to_owned).collect(), result))
}

/// A path from an argument: text in quotation marks, or what stands behind a descriptor.
fn path(argument: &str) -> PathBuf {
    let text = argument.split_once('<').map_or(argument, |(_, text)| text.trim_end_matches('>'));
    PathBuf::from(String::from_utf8(bytes(text)).unwrap())
}

fn bytes(text: &str) -> Vec<u8> {
    let text = text.trim_matches('"');
    text.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// For people: the call, with its paths as text, and no contents.
fn shortened(line: &str) -> String {
    let Some((name, arguments, _)) = parsed(line) else { return line.to_owned() };
    let place = usize::from(name == "openat");
    format!("{name} {}", path(&arguments[place]).file_name().unwrap_or_default().to_string_lossy())
}

/// Answers that are the same each time.
struct Dice(u64);

impl Dice {
    fn yes(&mut self) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 63 == 1
    }
}

pub const PROVISIONED: &[&str] = &["provision", "victim", "supermemory"];

/// Every way in which a file is changed or flushed; one that [`Disk::apply`] does not know fails the test.
const CALLS: &str = "trace=openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,symlink,\
    symlinkat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,fsync,\
    fdatasync,sync_file_range";
