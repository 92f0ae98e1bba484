//! A terminal with a user: keys that are typed, and the resulting screen.

use std::{
    io::{Read as _, Write as _},
    process::{Child, Command},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::Duration,
};

use pty_process::{Size, blocking};

use crate::secret_leaks::assert_no_key_in_output;

/// A command that runs on its own terminal.
pub struct Terminal {
    child: Child,
    pty: Arc<blocking::Pty>,
    display: Arc<(Mutex<Display>, Condvar)>,
    reader: JoinHandle<()>,
}

/// The result of a command at a terminal.
pub struct TerminalOutput {
    pub code: i32,
    /// The screen as text.
    pub screen: String,
    /// All bytes that were written, including control sequences.
    pub written: String,
}

struct Display {
    screen: vt100::Parser,
    written: Vec<u8>,
}

impl Terminal {
    /// Starts a command on a terminal of that many columns.
    pub fn start(command: &Command, columns: u16) -> Self {
        let (pty, pts) = blocking::open().unwrap();
        pty.resize(Size::new(ROWS, columns)).unwrap();
        let child = on_terminal(command).spawn(pts).unwrap();
        let screen = vt100::Parser::new(ROWS.try_into().unwrap(), columns.try_into().unwrap(), 0);
        let display = Arc::new((Mutex::new(Display { screen, written: Vec::new() }), Condvar::new()));
        let pty = Arc::new(pty);
        let reader = thread::spawn({
            let (pty, display) = (Arc::clone(&pty), Arc::clone(&display));
            move || watch(&pty, &display)
        });
        Self { child, pty, display, reader }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the screen shows the text.
    pub fn until(&self, text: &str) -> &Self {
        let (display, changed) = &*self.display;
        let late = |display: &mut Display| !display.screen.screen().contents().contains(text);
        let (display, waited) = changed.wait_timeout_while(display.lock().unwrap(), TIMEOUT, late).unwrap();
        assert!(!waited.timed_out(), "{text:?} is not on the screen:\n{}", display.screen.screen().contents());
        self
    }

    pub fn press(&self, keys: &str) -> &Self {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Waits for the end of the command.
    pub fn finish(mut self) -> TerminalOutput {
        let status = self.child.wait().unwrap();
        self.reader.join().unwrap();
        let display: MutexGuard<'_, Display> = self.display.0.lock().unwrap();
        assert_no_key_in_output(&display.written);
        TerminalOutput {
            code: status.code().unwrap_or(-1),
            screen: display.screen.screen().contents(),
            written: String::from_utf8(display.written.clone()).unwrap(),
        }
    }
}

/// Copies the command for a terminal with the usual capabilities.
fn on_terminal(command: &Command) -> blocking::Command {
    let mut on = blocking::Command::new(command.get_program()).args(command.get_args()).env("TERM", "xterm-256color");
    on = on.current_dir(command.get_current_dir().unwrap());
    for (variable, value) in command.get_envs() {
        on = match value {
            Some(value) => on.env(variable, value),
            None => on.env_remove(variable),
        };
    }
    on
}

/// Reads until the last program on the terminal has ended. Linux reports that as an error.
fn watch(pty: &blocking::Pty, (display, changed): &(Mutex<Display>, Condvar)) {
    let mut bytes = [0; 4096];
    let mut pty = pty;
    while let Ok(length @ 1..) = pty.read(&mut bytes) {
        let mut display = display.lock().unwrap();
        display.screen.process(&bytes[..length]);
        display.written.extend(&bytes[..length]);
        changed.notify_all();
    }
}

const ROWS: u16 = 60;

const TIMEOUT: Duration = Duration::from_secs(60);
