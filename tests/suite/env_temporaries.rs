//! The temporary file behind a replaced env file: never under a name that version control takes, and nothing is lost.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};

use crate::{
    power_loss::can_trace,
    raw_client::{RawClient, until},
    workspace::{BINARY, Workspace},
};

#[test]
fn killed_replacement_leaves_nothing_that_git_adds() {
    if !can_trace() {
        return;
    }
    let workspace = repository();
    workspace.ok(&["provision", "memory", "supermemory"]);
    let mut killed = 0;
    for call in ["rename", "renameat", "renameat2", "linkat", "unlinkat"] {
        for number in 1..6 {
            let inject = format!("inject={call}:signal=SIGKILL:when={number}");
            if traced(&workspace, &[&format!("trace={call}"), &inject], &["rotate", "memory"]).is_ok() {
                break;
            }
            killed += 1;
            git(&workspace, &["add", "-A"]);
            assert_eq!(git(&workspace, &["status", "--porcelain"]), "A  .gitignore\n", "{call}, {number}");
            workspace.run(&["rotate", "memory"]);
            assert_eq!(workspace.leftovers(), Vec::<PathBuf>::new(), "{call}, {number}: the next call removes it");
        }
    }
    assert!(killed >= 3, "{killed}");
    assert_eq!(keys_in_objects(&workspace), 0);
}

#[test]
fn git_add_during_rotations_takes_no_key() {
    let workspace = repository();
    workspace.ok(&["provision", "memory", "supermemory"]);
    let done = AtomicBool::new(false);
    let adds = thread::scope(|scope| {
        let adding = scope.spawn(|| {
            let mut adds = 0;
            while !done.load(Ordering::Relaxed) {
                let _ = Command::new("git").args(["add", "-A"]).current_dir(workspace.path()).output().unwrap();
                adds += 1;
            }
            adds
        });
        let _end = StopsOnDrop(&done);
        let rotated = (0..60).map(|_| workspace.run(&["rotate", "memory"])).find(|output| output.code != 0);
        done.store(true, Ordering::Relaxed);
        assert!(rotated.is_none(), "{rotated:?}");
        adding.join().unwrap()
    });
    assert_eq!(keys_in_objects(&workspace), 0, "of {adds} adds");
    assert!(adds > 20, "only {adds} adds");
    assert_eq!(git(&workspace, &["ls-files"]), ".gitignore\n");
}

#[test]
fn temporary_file_is_in_the_folder_of_version_control() {
    if !can_trace() {
        return;
    }
    let workspace = repository();
    assert_eq!(sources(&workspace, &["provision", "memory", "supermemory"], ".env"), Vec::<PathBuf>::new(), "unnamed");
    let inside = workspace.file(".git/stripe-projects");
    assert_eq!(sources(&workspace, &["rotate", "memory"], ".env"), std::slice::from_ref(&inside));
    let mode = inside.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);

    // A linked work tree has a file in the place of `.git`.
    git(&workspace, &["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x", "--allow-empty"]);
    git(&workspace, &["worktree", "add", "-q", "linked"]);
    workspace.write("linked/.env", "MINE=1\n");
    workspace.ok(&["--dir", "linked", "provision", "other", "tts"]);
    let linked = workspace.file(".git/worktrees/linked/stripe-projects");
    assert_eq!(sources(&workspace, &["--dir", "linked", "rotate", "other"], ".env"), [linked]);

    for folder in [".jj", ".hg"] {
        let workspace = Workspace::new();
        fs::create_dir(workspace.file(folder)).unwrap();
        workspace.write(".gitignore", ".env\n");
        workspace.write(".hgignore", "syntax: glob\n.env\n");
        workspace.ok(&["provision", "memory", "supermemory"]);
        let inside = workspace.file(folder).join("stripe-projects");
        assert_eq!(sources(&workspace, &["rotate", "memory"], ".env"), [inside], "{folder}");
    }
}

/// A folder that another user or a repository made could be read, or lead elsewhere.
#[test]
fn planted_private_folder_is_not_used() {
    if !can_trace() {
        return;
    }
    let plants: [fn(&Workspace); 4] = [
        |workspace| {
            fs::create_dir(workspace.file("elsewhere")).unwrap();
            symlink(workspace.file("elsewhere"), workspace.file(".git/stripe-projects")).unwrap();
        },
        |workspace| {
            fs::create_dir(workspace.file(".git/stripe-projects")).unwrap();
            let open = fs::Permissions::from_mode(0o777);
            fs::set_permissions(workspace.file(".git/stripe-projects"), open).unwrap();
        },
        |workspace| workspace.write(".git/stripe-projects", "a file"),
        |workspace| {
            fs::rename(workspace.file(".git"), workspace.file("moved")).unwrap();
            symlink("moved", workspace.file(".git")).unwrap();
        },
    ];
    for (number, plant) in plants.into_iter().enumerate() {
        let workspace = repository();
        workspace.ok(&["provision", "memory", "supermemory"]);
        let _ = fs::remove_dir_all(workspace.file(".git/stripe-projects"));
        plant(&workspace);
        let used = sources(&workspace, &["rotate", "memory"], ".env");
        assert_eq!(used, [workspace.state().join("env-files")], "plant {number}");
        assert!(fs::read_dir(workspace.file("elsewhere")).is_ok_and(|mut files| files.next().is_none()) || number > 0);
    }
}

/// Between file systems no rename is possible, whatever the device numbers are.
#[test]
fn temporary_file_beside_the_env_file_is_ignored() {
    let Some(other) = other_file_system() else { return };
    let (workspace, folder) = (Workspace::new(), other.path().canonicalize().unwrap());
    let env_file = folder.join(".env");
    let (git_dir, file) = (workspace.file("elsewhere"), env_file.to_str().unwrap());
    git_in(&folder, &["init", "--quiet", "--separate-git-dir", git_dir.to_str().unwrap()]);
    fs::write(&env_file, "MINE=1\n").unwrap();
    workspace.ok(&["--env-file", file, "provision", "memory", "supermemory"]);
    assert_eq!(sources(&workspace, &["--env-file", file, "rotate", "memory"], ".env"), std::slice::from_ref(&folder));
    let exclude = fs::read_to_string(git_dir.join("info/exclude")).unwrap();
    assert!(exclude.ends_with("/.env\n/.env.stripe-projects.tmp\n"), "{exclude}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "`.git` and `.env` only");
    let text = fs::read_to_string(&env_file).unwrap();
    assert!(text.starts_with("MINE=1\nSUPERMEMORY_API_KEY=sk_proj_sim_"), "{text}");
}

#[test]
fn server_start_removes_leftovers_of_every_place() {
    let workspace = repository();
    workspace.ok(&["provision", "memory", "supermemory"]);
    workspace.ok(&["rotate", "memory"]);
    let beside = workspace.file(".env.stripe-projects.tmp");
    let inside = workspace.file(".git/stripe-projects/0123.stripe-projects.tmp");
    let in_state = workspace.state().join("env-files/0123.stripe-projects.tmp");
    for leftover in [&beside, &inside, &in_state] {
        fs::write(leftover, "a key").unwrap();
    }
    let server = RawClient::initialize(&workspace);
    until("the leftovers to go", || workspace.leftovers().is_empty().then_some(()));
    server.disconnect();
}

#[test]
fn replaced_env_file_keeps_its_attributes() {
    let workspace = repository();
    workspace.write(".env", "MINE=1\n");
    let open = || File::open(workspace.file(".env")).unwrap();
    let access_list = access_list(65_534);
    fsetxattr(open(), "user.note", b"mine", XattrFlags::empty()).unwrap();
    fsetxattr(open(), "system.posix_acl_access", &access_list, XattrFlags::empty()).unwrap();
    workspace.ok(&["provision", "memory", "supermemory"]);
    workspace.ok(&["rotate", "memory"]);
    let value = |name: &str| {
        let mut value = vec![0; 256];
        let length = fgetxattr(open(), name, value.as_mut_slice()).unwrap_or_default();
        value.truncate(length);
        value
    };
    assert_eq!(value("user.note"), b"mine");
    assert_eq!(value("system.posix_acl_access").len(), access_list.len(), "the entries stay; the mode closes them");
    assert_eq!(open().metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

/// The temporary file is made in another folder, which has another group and another default.
#[test]
fn new_env_file_gets_what_its_folder_gives() {
    let workspace = repository();
    fs::create_dir(workspace.file("app")).unwrap();
    rustix::fs::chown(workspace.file("app"), None, Some(rustix::fs::Gid::from_raw(65_534))).unwrap();
    fs::set_permissions(workspace.file("app"), fs::Permissions::from_mode(0o2755)).unwrap();
    let folder = File::open(workspace.file("app")).unwrap();
    fsetxattr(&folder, "system.posix_acl_default", &access_list(65_533), XattrFlags::empty()).unwrap();
    let list = |file: &Path| {
        let mut value = vec![0; 256];
        let length = fgetxattr(File::open(file).unwrap(), "system.posix_acl_access", value.as_mut_slice());
        value.truncate(length.unwrap_or_default());
        value
    };
    for inject in [None, Some("inject=linkat:error=EPERM")] {
        let call = ["--dir", "app", "provision", "memory", "supermemory"];
        match inject {
            None => drop(workspace.ok(&call)),
            Some(inject) if can_trace() => traced(&workspace, &["trace=linkat", inject], &call).unwrap(),
            Some(_) => return,
        }
        let made = workspace.file("app/.env");
        assert_eq!(made.metadata().unwrap().gid(), 65_534, "{inject:?}");
        assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{inject:?}");
        assert!(!list(&made).is_empty(), "{inject:?}: the folder's default");
        workspace.ok(&["--dir", "app", "teardown", "memory", "--yes"]);
        fs::remove_file(&made).unwrap();
    }
}

/// Every line must survive that was written between our read and our rename. A line that is written through a descriptor
/// of the old file after the rename cannot.
#[test]
fn lines_appended_during_rotations_survive() {
    let workspace = repository();
    workspace.ok(&["provision", "memory", "supermemory"]);
    let rotations = thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for number in 0..LINES {
                let mut file = File::options().append(true).open(workspace.file(".env")).unwrap();
                writeln!(file, "LINE_{number}=1").unwrap();
                drop(file);
                thread::sleep(Duration::from_millis(2)); // deliberate: the pace of the writer
            }
        });
        let mut rotations = 0;
        while !writing.is_finished() {
            workspace.ok(&["rotate", "memory"]);
            rotations += 1;
        }
        rotations
    });
    let text = workspace.read(".env");
    let lost = (0..LINES).filter(|number| !text.contains(&format!("LINE_{number}=1\n"))).count();
    println!("{lost} of {LINES} lines lost in {rotations} rotations");
    assert!(lost <= 2, "{lost} of {LINES} lines lost in {rotations} rotations");
    assert!(workspace.owner_of(&workspace.variable("SUPERMEMORY_API_KEY").unwrap()).is_some());
}

/// Ends the other thread also when this one panics.
struct StopsOnDrop<'a>(&'a AtomicBool);

impl Drop for StopsOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn repository() -> Workspace {
    let workspace = Workspace::new();
    git(&workspace, &["init", "--quiet"]);
    workspace.write(".gitignore", ".env\n.stripe-projects\n");
    workspace
}

fn git(workspace: &Workspace, arguments: &[&str]) -> String {
    git_in(&workspace.path(), arguments)
}

fn git_in(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Counts the keys in all objects of the repository, reachable or not.
fn keys_in_objects(workspace: &Workspace) -> usize {
    let arguments = ["cat-file", "--batch-all-objects", "--batch", "--buffer"];
    let output = Command::new("git").args(arguments).current_dir(workspace.path()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).matches("sk_proj_sim_").count()
}

/// Runs the binary under `strace` with these expressions. An error: it was killed.
fn traced(workspace: &Workspace, expressions: &[&str], arguments: &[&str]) -> Result<(), i32> {
    let mut command = Command::new("strace");
    workspace.prepare(&mut command);
    command.args(["-f", "-qq", "-o", "/dev/null"]);
    for expression in expressions {
        command.args(["-e", expression]);
    }
    let status = command.arg(BINARY).args(arguments).current_dir(workspace.path()).output().unwrap().status;
    status.code().filter(|code| *code == 0).map(drop).ok_or(status.code().unwrap_or(-1))
}

/// Runs the binary, and returns the folders from which something was renamed to a name.
fn sources(workspace: &Workspace, arguments: &[&str], name: &str) -> Vec<PathBuf> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("strace");
    workspace.prepare(&mut command);
    command.args(["-f", "-y", "-qq", "-e", "trace=rename,renameat,renameat2", "-o"]).arg(log.path());
    let output = command.arg(BINARY).args(arguments).current_dir(workspace.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(log.path()).unwrap();
    // renameat2(5</folder>, "temporary", 6</work>, ".env", RENAME_EXCHANGE) = 0
    let to_name = text.lines().filter(|line| line.contains(&format!("\"{name}\"")) && line.ends_with("= 0"));
    let folder = |line: &str| PathBuf::from(line.split_once('<').unwrap().1.split_once('>').unwrap().0);
    let mut folders: Vec<PathBuf> = to_name.map(folder).collect();
    folders.dedup();
    folders
}

/// Returns a folder on another file system than the workspaces', or prints that there is none.
fn other_file_system() -> Option<tempfile::TempDir> {
    let other = tempfile::tempdir_in("/dev/shm").ok();
    let device = |path: &Path| path.metadata().unwrap().dev();
    let is_other =
        other.as_ref().is_some_and(|other| device(other.path()) != device(Workspace::new().path().as_path()));
    if !is_other {
        eprintln!("NOT CHECKED: /dev/shm is no other file system");
    }
    other.filter(|_| is_other)
}

/// An access list in the form of the attribute: the owner, one more user who may read, the group, the mask, the others.
fn access_list(user: u32) -> Vec<u8> {
    let unused = u32::MAX;
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, unused), (2, 4, user), (4, 0, unused), (16, 4, unused), (32, 0, unused)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend(tag.to_le_bytes().into_iter().chain(permissions.to_le_bytes()).chain(id.to_le_bytes()));
    }
    list
}

/// How many lines another program appends.
const LINES: usize = 1500;
