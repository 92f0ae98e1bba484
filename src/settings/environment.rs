//! The only reader of the process environment.

use std::{
    env,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use domain::secret::Secret;
use files::{
    fs::{self, SearchPath},
    host_config::Places,
    registry::ConfigFolders,
    scan::{Homes, repository_of},
};

/// Returns the user's name and terminal from the environment; without a name, the user id.
pub fn user() -> String {
    let user = word("USER").or_else(|| word("USERNAME")).unwrap_or_else(number);
    match terminal() {
        Some(terminal) => format!("{user} on {terminal}"),
        None => format!("{user}, no terminal"),
    }
}

#[cfg(unix)]
fn number() -> String {
    format!("user {}", rustix::process::getuid().as_raw())
}

#[cfg(not(unix))]
fn number() -> String {
    "unknown user".to_owned()
}

/// Returns the terminal of stdin or stderr, such as `pts/3`.
#[cfg(unix)]
fn terminal() -> Option<String> {
    use rustix::termios::ttyname;
    use std::io::{stderr, stdin};
    let name = ttyname(stdin(), Vec::new()).or_else(|_| ttyname(stderr(), Vec::new())).ok()?;
    let name = name.to_string_lossy();
    Some(name.strip_prefix("/dev/").unwrap_or(&name).to_owned())
}

#[cfg(not(unix))]
fn terminal() -> Option<String> {
    use std::io::{IsTerminal as _, stdin};
    stdin().is_terminal().then(|| "a console".to_owned())
}

/// Returns the home folder of the user: that of `HOME`, or without it that of the user database.
pub(super) fn home() -> Option<PathBuf> {
    let named = path(if cfg!(windows) { "USERPROFILE" } else { "HOME" }).filter(|home| home.is_absolute());
    named.or_else(env::home_dir).filter(|home| home.is_absolute())
}

/// Returns the folder in which programs keep their state; `None` without a home folder.
pub(super) fn state_home(home: Option<&Path>) -> Option<PathBuf> {
    let named = path(if cfg!(windows) { "LOCALAPPDATA" } else { "XDG_STATE_HOME" });
    let usual = || home.map(usual_state_home);
    named.filter(|folder| folder.is_absolute()).or_else(usual)
}

/// Returns the state folder of programs where no variable names another one.
pub(super) fn usual_state_home(home: &Path) -> PathBuf {
    home.join(if cfg!(windows) { "AppData/Local" } else { ".local/state" })
}

/// The folders in which programs keep their settings.
pub(super) fn places(project: PathBuf) -> Places {
    Places {
        project,
        home: path("HOME").or_else(|| path("USERPROFILE")),
        settings: path(if cfg!(windows) { "APPDATA" } else { "XDG_CONFIG_HOME" }),
        codex: path("CODEX_HOME"),
    }
}

/// Returns this program's bare name if `PATH` leads to the running file, else its path.
pub(super) fn program() -> io::Result<PathBuf> {
    let running = env::current_exe()?;
    let name = format!("{}{}", env!("CARGO_PKG_NAME"), env::consts::EXE_SUFFIX);
    let folders = read("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let on_path = folders.into_iter().map(|folder| folder.join(&name)).find(|file| file.is_file());
    let real = |file: &Path| fs::resolve(file).ok();
    let is_same = on_path.is_some_and(|file| real(&file).is_some() && real(&file) == real(&running));
    Ok(if is_same { PathBuf::from(env!("CARGO_PKG_NAME")) } else { running })
}

/// Returns `PATH`, without the programs of the workspace and of the work tree that it is in.
pub(super) fn search_path(workspace: &Path) -> SearchPath {
    let home = path("HOME").or_else(|| path("USERPROFILE")).and_then(|home| fs::real_path(&home).ok());
    // A home folder under version control does not make the user's own programs a repository's.
    let is_home = |folder: &PathBuf| home.as_ref().is_some_and(|home| home.starts_with(folder));
    let work_tree = repository_of(workspace).filter(|folder| !is_home(folder));
    let variable = read("PATH");
    SearchPath::new(variable.as_deref(), [workspace.to_owned()].into_iter().chain(work_tree).collect())
}

/// Returns the canonical path of a program on `PATH`, in absolute folders outside the workspace only.
pub(super) fn find_program(name: &Path, workspace: &Path) -> Option<PathBuf> {
    let folders = read("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let is_trusted = |folder: &PathBuf| folder.is_absolute() && !folder.starts_with(workspace);
    let files = folders.into_iter().filter(is_trusted).map(|folder| folder.join(name));
    let real = files.filter(|file| file.is_file()).find_map(|file| fs::real_path(&file).ok());
    real.filter(|program| !program.starts_with(workspace))
}

/// Returns the folders of the user.
pub fn homes() -> Homes {
    Homes {
        home: path("HOME").or_else(|| path("USERPROFILE")),
        app_data: path("APPDATA"),
        claude: path("CLAUDE_CONFIG_DIR"),
        codex: path("CODEX_HOME"),
        config: path("XDG_CONFIG_HOME"),
        data: path("XDG_DATA_HOME"),
        shell_history: path("HISTFILE"),
    }
}

/// Returns the folders in which the owner's configuration may lie.
pub(super) fn config_folders() -> ConfigFolders {
    let system = if cfg!(windows) { path("ProgramData") } else { Some(PathBuf::from("/etc")) };
    let config_home = path(if cfg!(windows) { "LOCALAPPDATA" } else { "XDG_CONFIG_HOME" });
    ConfigFolders { system, account_home: account_home(), home: path("HOME"), config_home }
}

/// Returns the home in the passwd entry of the user whose rights this process has.
#[cfg(unix)]
fn account_home() -> Option<PathBuf> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten()?;
    Some(user.dir).filter(|home| home.is_absolute())
}

/// Returns the profile folder.
#[cfg(not(unix))]
fn account_home() -> Option<PathBuf> {
    path("USERPROFILE")
}

/// Whether the environment asks for colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Colour {
    /// `CLICOLOR_FORCE`: even into a pipe.
    Always,
    AtTerminal,
    /// `NO_COLOR`, `CLICOLOR=0`, or a terminal that cannot.
    Never,
}

/// Follows no-color.org and bixense.com/clicolors: `NO_COLOR` comes first, and an empty variable counts as unset.
pub fn colour() -> Colour {
    if word("NO_COLOR").is_some() {
        Colour::Never
    } else if word("CLICOLOR_FORCE").is_some_and(|word| word != "0") {
        Colour::Always
    } else if is_dumb() || word("CLICOLOR").is_some_and(|word| word == "0") {
        Colour::Never
    } else {
        Colour::AtTerminal
    }
}

/// Tells whether the terminal cannot erase a line.
pub fn is_dumb() -> bool {
    word("TERM").is_some_and(|word| word == "dumb")
}

pub(super) fn path(variable: &str) -> Option<PathBuf> {
    read(variable).map(PathBuf::from)
}

pub(super) fn word(variable: &str) -> Option<String> {
    read(variable).map(|value| value.to_string_lossy().into_owned())
}

pub(super) fn secret(variable: &str) -> Option<Secret> {
    word(variable).map(Secret::new)
}

/// An empty variable counts as none, as it does in a shell's `${VAR:-default}`.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment that the rule points to")]
fn read(variable: &str) -> Option<OsString> {
    env::var_os(variable).filter(|value| !value.is_empty())
}
