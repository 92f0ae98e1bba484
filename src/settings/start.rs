//! How somebody else is to start us, so that we run there as we were called here.

use std::path::PathBuf;

use super::{
    Given, Settings,
    environment::{places, program},
};
use crate::{error::Error, fs::FsError, setup::Places};

/// What a host has to be told.
#[derive(Clone, Debug)]
pub struct Start {
    pub places: Places,
    /// The program, as a path or as a name that `PATH` finds.
    pub program: PathBuf,
    /// The flags that were given and matter to a server. None of them holds a credential.
    pub flags: Vec<String>,
}

impl Start {
    /// From what was given, which has proved to make sense: there are settings.
    ///
    /// # Errors
    /// When it is not known which file is running, or a path is not text.
    pub fn of(settings: &Settings, given: &Given) -> Result<Self, Error> {
        let program = program().map_err(|source| FsError {
            action: "find",
            path: PathBuf::from("the running program"),
            source,
        })?;
        Ok(Self { places: places(settings.dir.clone()), program, flags: flags(given)? })
    }
}

fn flags(given: &Given) -> Result<Vec<String>, Error> {
    let mut flags = Vec::new();
    let paths = [
        ("--env-file", &given.env_file),
        ("--providers", &given.providers),
        ("--state-dir", &given.state_dir),
        ("--stripe-bin", &given.stripe_bin),
        ("--stripe-api-key-file", &given.stripe_api_key_file),
    ];
    for (flag, path) in paths {
        if let Some(path) = path {
            let path = path.to_str().ok_or_else(|| Error::PathNotText { path: path.clone() })?;
            flags.extend([flag.to_owned(), path.to_owned()]);
        }
    }
    let words = [
        ("--backend", &given.backend),
        ("--payment-method", &given.payment_method),
        ("--stripe-api-base", &given.stripe_api_base),
    ];
    for (flag, word) in words {
        flags.extend(word.iter().flat_map(|word| [flag.to_owned(), word.clone()]));
    }
    flags.extend(given.accept_tos.then(|| "--accept-tos".to_owned()));
    Ok(flags)
}
