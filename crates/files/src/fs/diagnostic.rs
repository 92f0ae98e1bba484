//! Diagnostics of file errors.

use domain::channel::Channel;
use domain::diagnostic::{Diagnostic, Exit};

use super::FsError;

impl Diagnostic for FsError {
    fn code(&self) -> &'static str {
        "file_error"
    }

    fn hint(&self, channel: Channel) -> String {
        channel.person("check that the folder exists, has free space and is writable")
    }

    fn exit(&self) -> Exit {
        Exit::Failure
    }
}
