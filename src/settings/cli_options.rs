//! The options of the command line, and how another process gets them again.

use std::{ffi::OsString, path::PathBuf};

/// The options of the command line; `None` is "not given".
#[derive(Clone, Debug, Default)]
pub struct CliOptions {
    pub dir: Option<PathBuf>,
    /// The label of the workspace whose project a command names; no flag.
    pub workspace: Option<String>,
    pub env_file: Option<PathBuf>,
    pub providers: Option<PathBuf>,
    pub state_dir: Option<PathBuf>,
    pub backend: Option<String>,
    pub payment_method: Option<String>,
    pub accept_tos: bool,
    pub stripe_bin: Option<PathBuf>,
    pub stripe_api_base: Option<String>,
    /// A file with the Stripe API key: every user of the machine can read arguments.
    pub stripe_api_key_file: Option<PathBuf>,
    /// Whether a host started this process: then they may come from a repository.
    pub by_host: bool,
}

impl CliOptions {
    /// Returns them as flags, without the folder: a host or another process has its own way to set that.
    pub(super) fn flags(&self) -> Vec<OsString> {
        let mut flags = Vec::new();
        let paths = [
            ("--env-file", &self.env_file),
            ("--providers", &self.providers),
            ("--state-dir", &self.state_dir),
            ("--stripe-bin", &self.stripe_bin),
            ("--stripe-api-key-file", &self.stripe_api_key_file),
        ];
        let words = [
            ("--backend", &self.backend),
            ("--payment-method", &self.payment_method),
            ("--stripe-api-base", &self.stripe_api_base),
        ];
        for (flag, path) in paths {
            flags.extend(path.iter().flat_map(|path| [flag.into(), path.into()]));
        }
        for (flag, word) in words {
            flags.extend(word.iter().flat_map(|word| [flag.into(), word.into()]));
        }
        flags.extend(self.accept_tos.then(|| "--accept-tos".into()));
        flags
    }
}
