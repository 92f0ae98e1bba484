//! Diagnostics of the env file. All exit with [`Exit::Refused`], because the file is unchanged.

use domain::channel::Channel;
use domain::diagnostic::{Diagnostic, Exit, PROGRAM};

use super::EnvFileError;
use crate::fs::shell_word;

impl Diagnostic for EnvFileError {
    fn code(&self) -> &'static str {
        match self {
            Self::CannotHold { source, .. } => source.code(),
            Self::Directory { .. } => "env_file_is_a_folder",
            Self::Exposed { .. } => "env_file_exposed",
            Self::File(_) => "env_file_not_writable",
            Self::Git(error) => error.code(),
            Self::Locked { .. } => "env_file_locked",
            Self::ReadOnly { .. } => "env_file_read_only",
            Self::Taken { .. } => "env_var_taken",
            Self::Tracked { .. } => "env_file_tracked",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::CannotHold { source, .. } => source.hint(channel),
            Self::Directory { .. } => channel.person("name a file with `--env-file`"),
            Self::Exposed { .. } => {
                "remove the rule in .gitignore that includes the file again, such as `!.env`".to_owned()
            }
            Self::File(_) => channel.person(
                "make the folder of the env file exist and writable, or name another file with `--env-file`",
            ),
            Self::Git(error) => error.hint(channel),
            Self::Locked { .. } => channel.select(
                "try again; if it stays locked, ask the user to end the process that is stuck".to_owned(),
                "try again; if it stays locked, end the process that is stuck".to_owned(),
            ),
            Self::ReadOnly { path } => channel.person_runs(
                &format!("chmod u+w {}", shell_word(path)),
                ", or name another file with `--env-file`",
            ),
            Self::Taken { variable, .. } => channel.select(
                format!(
                    "ask the user to remove or rename {variable} in that file, or show this to the user, do not run it: \
                     `{PROGRAM} provision … --replace` overwrites it"
                ),
                format!("remove or rename {variable} in that file, or add `--replace` to overwrite it"),
            ),
            Self::Tracked { path } => {
                let untrack = format!("run `git rm --cached {}` and ignore the file, or", shell_word(path));
                channel.select(
                    format!("{untrack} ask the user to name another one with `--env-file`"),
                    format!("{untrack} name another one with `--env-file`"),
                )
            }
        }
    }

    fn exit(&self) -> Exit {
        Exit::Refused
    }
}
