//! Power loss: unflushed writes are lost, and so are names in unflushed folders.
//!
//! The real binary runs each operation under `strace`, whose log lists the writes, flushes, renames and removals in
//! order. From that log, the test rebuilds the disk after a power cut behind each call, in three ways: as the standard
//! allows at worst, with names kept and contents lost, and with some of the writes kept. The simulated Stripe is
//! another machine, so its data stays. On each disk the real binary continues, and the invariants must hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

use crate::{
    invariants::{USER_LINES, check, finish},
    workspace::{BINARY, Workspace},
};

#[test]
fn provision_survives_power_loss() {
    assert_survives("provision", &[]);
}

#[test]
fn rotate_survives_power_loss() {
    assert_survives("rotate", &[PROVISIONED]);
}

#[test]
fn suspend_survives_power_loss() {
    assert_survives("suspend", &[PROVISIONED]);
}

#[test]
fn resume_survives_power_loss() {
    assert_survives("resume", &[PROVISIONED, &["suspend", "victim"]]);
}

#[test]
fn teardown_survives_power_loss() {
    assert_survives("teardown", &[PROVISIONED]);
}

/// Returns whether processes can be traced here. Prints a warning if not, because nothing is proved then.
pub fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    let can = traced.is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("NOT CHECKED: there is no strace here, or it may not trace");
    }
    can
}

fn assert_survives(operation: &str, before: &[&[&str]]) {
    if !can_trace() {
        return;
    }
    let workspace = Workspace::new();
    workspace.write(".env", USER_LINES);
    for arguments in before {
        workspace.ok(arguments);
    }
    let mut disk = Disk::read(&workspace);

    let log = tempfile::NamedTempFile::new().unwrap();
    let mut traced = Command::new("strace");
    workspace.prepare(&mut traced);
    traced.args(["-f", "-y", "-xx", "-s", "1000000", "-e", CALLS, "-o"]).arg(log.path()).arg(BINARY);
    traced.args(arguments_of(operation)).current_dir(workspace.path());
    let output = traced.output().unwrap();
    assert!(output.status.success(), "{operation}: {output:?}");

    let (mut images, mut rng, mut last) = (BTreeSet::new(), SmallRng::seed_from_u64(SEED), None);
    for (number, line) in whole_lines(&fs::read_to_string(log.path()).unwrap()).into_iter().enumerate() {
        if !disk.apply(&line) {
            continue;
        }
        let ways = [DataLoss::AllUnflushed, DataLoss::Contents, DataLoss::SomeWrites];
        // The set of surviving writes is random, so samples behind some of the calls are enough.
        for lost in ways.into_iter().filter(|lost| *lost != DataLoss::SomeWrites || number % 4 == 0) {
            let image = disk.after_loss(lost, &mut rng);
            if images.insert(image.clone()) {
                let case = format!(
                    "{operation}, {lost:?}, cut number {}, behind {}, seed {SEED}",
                    images.len(),
                    describe(&line)
                );
                restore_disk(&workspace, &image);
                finish(&workspace, operation, &case);
                check(&workspace, &case);
                let verified = workspace.run(&["audit", "--verify"]);
                assert_eq!(verified.code, 0, "{case}: {verified:?}");
            }
            if lost == DataLoss::AllUnflushed {
                last = Some(image);
            }
        }
    }
    assert!(images.len() > 10, "{operation}: only {} disks", images.len());
    println!("{operation}: {} disks", images.len());

    // An answered operation is on the disk: no unfinished operation, whatever is lost now.
    restore_disk(&workspace, &last.unwrap());
    assert!(
        workspace.ledger().projects().unsettled().unwrap().is_empty(),
        "{operation} was answered and not on the disk"
    );
    check(&workspace, operation);
}

pub fn arguments_of(operation: &str) -> Vec<&str> {
    match operation {
        "provision" => PROVISIONED.to_vec(),
        "teardown" => vec!["teardown", "victim", "--yes"],
        _ => vec![operation, "victim"],
    }
}

/// How much a power cut takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum DataLoss {
    /// Loses every unflushed write to a file and every unflushed change of a folder.
    AllUnflushed,
    /// Keeps the latest names, with contents as flushed.
    Contents,
    /// Keeps the latest names and some of the unflushed writes.
    SomeWrites,
}

/// The content of a disk by path; `None` is a folder.
pub type DiskImage = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// The files of a workspace and of its home, as processes see them and as flushed.
struct Disk {
    root: PathBuf,
    files: Vec<File>,
    now: BTreeMap<PathBuf, Entry>,
    flushed: BTreeMap<PathBuf, Entry>,
    /// The newest file without a name, by the path that its descriptor shows.
    unnamed: Option<(PathBuf, usize)>,
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
    /// Reads the workspace, with everything flushed.
    fn read(workspace: &Workspace) -> Self {
        let root = workspace.root();
        let mut disk = Self {
            root: root.clone(),
            files: Vec::new(),
            now: BTreeMap::new(),
            flushed: BTreeMap::new(),
            unnamed: None,
        };
        disk.read_folder(&root);
        disk.flushed = disk.now.clone();
        disk
    }

    fn read_folder(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.now.insert(path.clone(), Entry::Folder);
                self.read_folder(&path);
            } else {
                let bytes = fs::read(&path).unwrap();
                self.files.push(File { now: bytes.clone(), flushed: bytes, pending: Vec::new() });
                self.now.insert(path, Entry::File(self.files.len() - 1));
            }
        }
    }

    /// Applies a line of the log and returns whether it may have changed this disk.
    fn apply(&mut self, line: &str) -> bool {
        let Some((name, arguments, result)) = parse(line) else { return false };
        if result.starts_with('-') {
            return false;
        }
        match name {
            "openat" if arguments[2].contains("O_TMPFILE") => return self.open_unnamed(path(result)),
            "openat" => return self.open(&path_in(&arguments[0], &arguments[1]), &arguments[2]),
            "linkat" => {
                let number = self.unnamed.as_ref().unwrap().1;
                return self.enter(path_in(&arguments[2], &arguments[3]), Entry::File(number));
            }
            "mkdirat" => return self.enter(path_in(&arguments[0], &arguments[1]), Entry::Folder),
            "unlinkat" => return self.now.remove(&path_in(&arguments[0], &arguments[1])).is_some(),
            "renameat" | "renameat2" => {
                let (from, to) = (path_in(&arguments[0], &arguments[1]), path_in(&arguments[2], &arguments[3]));
                let Some(entry) = self.now.remove(&from) else { return false };
                if arguments.get(4).is_some_and(|flags| flags.contains("RENAME_EXCHANGE")) {
                    let other = self.now.remove(&to).unwrap();
                    self.enter(from, other);
                }
                return self.enter(to, entry);
            }
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
        let unnamed = self.unnamed.as_ref().filter(|(path, _)| *path == target).map(|(_, number)| *number);
        let named = || match self.now.get(&target) {
            Some(Entry::File(number)) => Some(*number),
            _ => None,
        };
        let Some(number) = unnamed.or_else(named) else { return false };
        let file = &mut self.files[number];
        match name {
            "fsync" | "fdatasync" => {
                file.flushed.clone_from(&file.now);
                file.pending.clear();
            }
            "ftruncate" => file.write(Write::Length(arguments[1].parse().unwrap())),
            "pwrite64" => file.write(Write::At(arguments[3].parse().unwrap(), bytes(&arguments[1]))),
            // Only files that are renamed afterwards are written this way, from beginning to end.
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

    fn open_unnamed(&mut self, path: PathBuf) -> bool {
        self.files.push(File::default());
        self.unnamed = Some((path, self.files.len() - 1));
        false
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

    /// Returns the disk after a power cut. The simulated Stripe keeps its data; shared memory is lost.
    fn after_loss(&self, lost: DataLoss, rng: &mut SmallRng) -> DiskImage {
        let names = if lost == DataLoss::AllUnflushed { &self.flushed } else { &self.now };
        let of_the_world = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with("simulated.");
        let mut image = DiskImage::new();
        for (path, entry) in names {
            // Content of a folder whose own name is lost is lost with it.
            let reachable = path.ancestors().skip(1).take_while(|folder| *folder != self.root);
            if of_the_world(path)
                || path.to_string_lossy().ends_with("-shm")
                || !{ reachable }.all(|up| names.contains_key(up))
            {
                continue;
            }
            let content = match entry {
                Entry::Folder => None,
                Entry::File(number) => Some(self.files[*number].after_loss(lost, rng)),
            };
            image.insert(path.clone(), content);
        }
        for (path, entry) in &self.now {
            if let (true, Entry::File(number)) =
                (of_the_world(path) && !path.to_string_lossy().ends_with("-shm"), entry)
            {
                image.insert(path.clone(), Some(self.files[*number].now.clone()));
            }
        }
        image
    }
}

impl File {
    fn write(&mut self, write: Write) {
        write.apply_to(&mut self.now);
        self.pending.push(write);
    }

    fn after_loss(&self, lost: DataLoss, rng: &mut SmallRng) -> Vec<u8> {
        let mut bytes = self.flushed.clone();
        if lost == DataLoss::SomeWrites {
            self.pending.iter().filter(|_| rng.random_bool(0.5)).for_each(|write| write.apply_to(&mut bytes));
        }
        bytes
    }
}

impl Write {
    fn apply_to(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::At(at, written) => {
                bytes.resize(bytes.len().max(at + written.len()), 0);
                bytes[*at..at + written.len()].copy_from_slice(written);
            }
            Self::Length(length) => bytes.resize(*length, 0),
        }
    }
}

/// Returns the current disk of a workspace and its home.
pub fn disk_image(workspace: &Workspace) -> DiskImage {
    let disk = Disk::read(workspace);
    disk.after_loss(DataLoss::Contents, &mut SmallRng::seed_from_u64(SEED))
}

/// Replaces the content of the workspace and the home with the image. The two folders themselves stay.
pub fn restore_disk(workspace: &Workspace, image: &DiskImage) {
    let create_folder = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path).unwrap();
    for folder in [workspace.path(), workspace.home()] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
    }
    for (path, content) in image {
        match content {
            None => create_folder(path),
            Some(bytes) => {
                create_folder(path.parent().unwrap());
                fs::write(path, bytes).unwrap();
            }
        }
    }
}

/// Returns the lines of a log of several threads. Interrupted calls are joined where they ended.
fn whole_lines(log: &str) -> Vec<String> {
    let (mut unfinished, mut lines) = (BTreeMap::new(), Vec::new());
    for line in log.lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        if let Some(beginning) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, beginning);
        } else if let Some(end) = rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            lines.push(format!("{}{}", unfinished.remove(thread).unwrap_or_default(), end.1));
        } else {
            lines.push(rest.to_owned());
        }
    }
    lines
}

/// Returns name, arguments and result of a call. All text is hexadecimal, so a comma is always strace's own.
fn parse(line: &str) -> Option<(&str, Vec<String>, &str)> {
    let (call, result) = line.rsplit_once(" = ")?;
    let (name, arguments) = call.trim_end().strip_suffix(')')?.split_once('(')?;
    Some((name, arguments.split(", ").map(str::to_owned).collect(), result))
}

/// Returns the path in an argument: text in quotation marks, or behind a descriptor.
fn path(argument: &str) -> PathBuf {
    let text = argument.split_once('<').map_or(argument, |(_, text)| text.split('>').next().unwrap_or(text));
    PathBuf::from(String::from_utf8(bytes(text)).unwrap())
}

/// Returns the path that a name means in the folder of a descriptor.
fn path_in(folder: &str, name: &str) -> PathBuf {
    path(folder).join(path(name))
}

fn bytes(text: &str) -> Vec<u8> {
    let text = text.trim_matches('"');
    text.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// Describes a call for a failure message, with paths as text and without contents.
fn describe(line: &str) -> String {
    let Some((name, arguments, _)) = parse(line) else { return line.to_owned() };
    let place = usize::from(name.ends_with("at") || name.ends_with("at2"));
    format!("{name} {}", path(&arguments[place]).file_name().unwrap_or_default().to_string_lossy())
}

/// Decides which unflushed writes survive.
const SEED: u64 = 1;

pub const PROVISIONED: &[&str] = &["provision", "victim", "supermemory"];

/// Every system call that changes or flushes a file. One that [`Disk::apply`] does not know fails the test.
const CALLS: &str = "trace=openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,symlink,\
    symlinkat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,fsync,\
    fdatasync,sync_file_range";
