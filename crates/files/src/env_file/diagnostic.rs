//! Diagnostics of the env file. All exit with [`Exit::Refused`], because the file is unchanged.

use domain::channel::Channel;
use domain::diagnostic::{Diagnostic, Exit, PROGRAM};

use super::{EnvFileError, VersionControl};
use crate::fs::{Obstacle, shell_word};

impl Diagnostic for EnvFileError {
    fn code(&self) -> &'static str {
        match self {
            Self::CannotHold { source, .. } => source.code(),
            Self::Directory { .. } => "env_file_is_a_folder",
            Self::Exposed { .. } => "env_file_exposed",
            Self::File(_) => "env_file_not_writable",
            Self::Git(error) => error.code(),
            Self::LeadsOut { .. } => "env_file_outside",
            Self::Locked { .. } => "env_file_locked",
            Self::NotReplaceable { .. } => "env_file_not_replaceable",
            Self::ReadOnly { .. } => "env_file_read_only",
            Self::Taken { .. } => "env_var_taken",
            Self::Tracked { .. } => "env_file_tracked",
            Self::Unsteady { .. } => "env_file_unsteady",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::CannotHold { source, .. } => source.hint(channel),
            Self::Directory { .. } => channel.person("name a file with `--env-file`"),
            Self::Exposed { to: VersionControl::Git, .. } => {
                "remove the rule in .gitignore that includes the file again, such as `!.env`".to_owned()
            }
            Self::Exposed { to: VersionControl::Mercurial, .. } => {
                "add a line `rootglob:` with the path of the file from the top of the work tree to .hgignore".to_owned()
            }
            Self::Exposed { to: VersionControl::Jujutsu | VersionControl::Sapling, .. } => {
                "name the file in .gitignore, and stop tracking it if it was tracked before".to_owned()
            }
            Self::File(_) => channel.person(
                "make the folder of the env file exist and writable, or name another file with `--env-file`",
            ),
            Self::Git(error) => error.hint(channel),
            Self::LeadsOut { .. } => channel.select(
                "ask the user to replace the link, or to provision at the command line with `--env-file`".to_owned(),
                "name the file with `--env-file` if you want the key there, or replace the link".to_owned(),
            ),
            Self::NotReplaceable { why: Obstacle::MountPoint, .. } => channel.person(
                "mount the folder of the file instead of the file alone, or name another file with `--env-file`",
            ),
            Self::NotReplaceable { path, why: Obstacle::AppendOnly | Obstacle::Immutable } => channel.person_runs(
                &format!("chattr -i -a {}", shell_word(path)),
                ", or name another file with `--env-file`",
            ),
            Self::NotReplaceable { why: Obstacle::Refused, .. } => channel
                .person("make the file replaceable, as an editor that saves by renaming needs it, or name another file with `--env-file`"),
            Self::Unsteady { .. } => channel.person("end the program that keeps writing to that file, then try again"),
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
