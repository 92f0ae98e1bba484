//! How a host starts this program with the same settings.

use std::{ffi::OsString, path::PathBuf};

use files::{fs::FsError, host_config::Places};

use super::{
    CliOptions, Settings,
    environment::{places, program},
};
use crate::error::Error;

/// The entry of a host's configuration.
#[derive(Clone, Debug)]
pub struct Start {
    pub places: Places,
    /// The program, as a path or as a name that `PATH` finds.
    pub program: PathBuf,
    /// The flags that matter to a server. None of them holds a credential.
    pub flags: Vec<String>,
}

impl Start {
    /// Takes the options that `settings` were resolved from.
    pub fn new(settings: &Settings, options: &CliOptions) -> Result<Self, Error> {
        let program = program().map_err(|source| FsError {
            action: "find",
            path: PathBuf::from("the running program"),
            source,
        })?;
        Ok(Self { places: places(settings.dir.clone()), program, flags: flags(options)? })
    }
}

fn flags(options: &CliOptions) -> Result<Vec<String>, Error> {
    let as_text = |flag: OsString| flag.into_string().map_err(|path| Error::PathNotText { path: path.into() });
    options.flags().into_iter().map(as_text).collect()
}
