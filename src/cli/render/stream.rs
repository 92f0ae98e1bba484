//! Stdout and stderr: their abilities, and the progress line. A closed pipe is no error. A failed write of a result, to a
//! full disk for example, is one, and is kept for the exit code.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

use terminal_size::{Width, terminal_size_of};

use crate::settings::{self, Colour};

/// The abilities of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    pub colour: bool,
    /// In columns; `None` is unlimited.
    pub width: Option<usize>,
    /// Whether a person reads it. Other output is plain and stable.
    pub person: bool,
}

impl Screen {
    pub fn stdout() -> Self {
        let width = terminal_size_of(io::stdout()).map(|(Width(width), _)| width);
        Self::of(&io::stdout(), width)
    }

    pub fn stderr() -> Self {
        let width = terminal_size_of(io::stderr()).map(|(Width(width), _)| width);
        Self::of(&io::stderr(), width)
    }

    fn of(stream: &impl IsTerminal, width: Option<u16>) -> Self {
        let (terminal, wish) = (stream.is_terminal(), settings::colour());
        let forced = wish == Colour::Always;
        let width = width.map(usize::from).filter(|width| terminal && *width > 0); // 0: a terminal that does not know
        Self { colour: forced || (terminal && wish == Colour::AtTerminal), width, person: terminal || forced }
    }

    /// Returns the text in a colour of [`super::paint`], if the stream shows colours.
    pub fn paint(self, colour: &str, words: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{words}\x1b[0m") } else { words.to_owned() }
    }
}

pub fn out(line: impl Display) {
    let _line = undisturbed();
    written(writeln!(io::stdout(), "{line}"));
}

/// Prints bytes unchanged.
pub fn raw(bytes: &[u8]) {
    let _line = undisturbed();
    written(io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()));
}

/// Returns the first failed write to stdout, if the exit code must report it.
pub fn lost() -> Option<io::ErrorKind> {
    *LOST.lock().unwrap_or_else(PoisonError::into_inner)
}

fn written(outcome: io::Result<()>) {
    if let Err(error) = outcome
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        LOST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.kind());
    }
}

pub fn err(line: impl Display) {
    let _line = undisturbed();
    let _ = writeln!(io::stderr(), "{line}");
}

/// Replaces the `^C` that a terminal shows for the key.
pub fn over_key(line: impl Display) {
    let _line = undisturbed();
    let clear = if rewrites() { CLEAR } else { "" };
    let _ = writeln!(io::stderr(), "{clear}{line}");
}

/// Prints a line below a question that was answered with Ctrl-C.
pub fn below_key(line: impl Display) {
    let drawn = *line_of_progress();
    let _line = undisturbed();
    let below = if rewrites() && !drawn { "\n" } else { "" };
    let _ = writeln!(io::stderr(), "{below}{line}");
}

/// Prints a question without a line feed, so that the answer follows it.
pub fn prompt(words: impl Display) {
    let _line = undisturbed();
    let _ = write!(io::stderr(), "{words}");
}

/// Shows the text from `now` as the progress line, or removes the line on `None`. Calls `now` with the streams locked, so
/// that a progress line never appears after the final output.
pub fn progress(now: impl FnOnce() -> Option<String>) {
    if !rewrites() {
        return;
    }
    let mut drawn = line_of_progress();
    let words = now();
    if words.is_none() && !*drawn {
        return;
    }
    *drawn = words.is_some();
    let width = Screen::stderr().width.unwrap_or(usize::MAX).saturating_sub(1); // a full line would wrap, and stay
    let words: String = words.unwrap_or_default().chars().take(width).collect();
    let _ = write!(io::stderr(), "{CLEAR}{words}");
}

/// Tells whether stderr is a terminal that can erase a line.
fn rewrites() -> bool {
    io::stderr().is_terminal() && !settings::is_dumb()
}

/// Locks the streams and erases the progress line.
fn undisturbed() -> MutexGuard<'static, bool> {
    let mut drawn = line_of_progress();
    if *drawn {
        *drawn = false;
        let _ = write!(io::stderr(), "{CLEAR}");
    }
    drawn
}

fn line_of_progress() -> MutexGuard<'static, bool> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first failure of this process's stdout.
static LOST: Mutex<Option<io::ErrorKind>> = Mutex::new(None);

/// Whether this process shows a progress line on stderr.
static DRAWN: Mutex<bool> = Mutex::new(false);

/// Returns to the first column and erases the line.
const CLEAR: &str = "\r\x1b[2K";
