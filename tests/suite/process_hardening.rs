//! What other processes of the same user can read of a running server: neither its environment nor a core dump.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::{CommandExt as _, ExitStatusExt as _},
    },
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::{
    raw_client::until,
    workspace::{BINARY, Workspace},
};

/// The user that the server runs as: another one than root, who may read everything.
const OTHER_USER: u32 = 65_534;

/// A server with a key in its environment, in a folder of its own, as a user who is not root.
struct Server {
    child: Child,
    folder: TempDir,
    user: u32,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        fs::set_permissions(here, fs::Permissions::from_mode(0o777)).unwrap();
        // Where the build is may not be readable by another user.
        let program = here.join("program");
        fs::copy(BINARY, &program).unwrap();
        let mut command = Command::new("sh");
        command.arg("-c").arg("ulimit -c unlimited; exec \"$0\" serve").arg(program).current_dir(here);
        Workspace::new().prepare(&mut command);
        command.env("STRIPE_API_KEY", "rk_test_0123456789").env("HOME", here);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let user = if geteuid().is_root() {
            chown(here, Some(OTHER_USER), Some(OTHER_USER)).unwrap();
            command.uid(OTHER_USER).gid(OTHER_USER);
            OTHER_USER
        } else {
            geteuid().as_raw()
        };
        let child = command.spawn().unwrap();
        let server = Self { child, folder, user };
        until("the program", || {
            server.proc("cmdline").is_ok_and(|line| line.ends_with(b"program\0serve\0")).then_some(())
        });
        until("its start", || {
            let limits = String::from_utf8(server.proc("limits").unwrap()).unwrap();
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned();
            (core.split_whitespace().skip(4).take(2).collect::<Vec<_>>() == ["0", "0"]).then_some(())
        });
        server
    }

    fn proc(&self, file: &str) -> std::io::Result<Vec<u8>> {
        fs::read(format!("/proc/{}/{file}", self.child.id()))
    }
}

#[test]
fn environment_is_unreadable_for_the_same_user() {
    let mut server = Server::start();
    let environment = format!("/proc/{}/environ", server.child.id());
    // The kernel gives the files of a process that must not be dumped to root.
    until("the owner", || (fs::metadata(&environment).unwrap().uid() == 0).then_some(()));
    let mut reader = Command::new("cat");
    for file in ["environ", "mem", "maps"] {
        reader.arg(format!("/proc/{}/{file}", server.child.id()));
    }
    if geteuid().is_root() {
        reader.uid(server.user).gid(server.user);
    }
    let read = reader.output().unwrap();
    assert!(!read.status.success() && read.stdout.is_empty(), "{read:?}");
    drop(server.child.stdin.take());
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn abort_leaves_no_core_dump() {
    let mut server = Server::start();
    kill_process(Pid::from_child(&server.child), Signal::ABORT).unwrap();
    let ended = server.child.wait().unwrap();
    assert_eq!((ended.signal(), ended.core_dumped()), (Some(Signal::ABORT.as_raw()), false));
    let names = fs::read_dir(server.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let cores: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("core")).collect();
    assert!(cores.is_empty(), "{cores:?}");
}
