//! Diagnostics of a whole call. Errors of one part are asked for theirs.

use backends::BackendError;
use domain::{
    channel::Channel,
    diagnostic::{Diagnostic, Exit, PROGRAM},
    name::{EnvVar, ProjectName, ProviderKey},
};
use storage::ledger::Operation;

use super::Error;

impl Diagnostic for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyExists { .. } => "already_exists",
            Self::Approval(error) => error.code(),
            Self::AuditBroken { broken } => broken.code(),
            Self::Backend(error) => error.code(),
            Self::CapReached { .. } => "cap_reached",
            Self::CannotDisable { .. } => "cannot_disable",
            Self::UserPolicy(_) => "invalid_policy",
            Self::EarlierNotDelivered { .. } => "earlier_key_not_delivered",
            Self::EnvFile(error) => error.code(),
            Self::EnvFileOutside => "env_file_outside",
            Self::File(error) => error.code(),
            Self::InvalidAmount(error) => error.code(),
            Self::InvalidBase(error) => error.code(),
            Self::InvalidCursor => "invalid_cursor",
            Self::InvalidLifetime(error) => error.code(),
            Self::InvalidLimit => "invalid_limit",
            Self::InvalidMonth => "invalid_month",
            Self::InvalidName(error) => error.code(),
            Self::InvalidTime => "invalid_time",
            Self::KeyNotRecorded { .. } => "key_not_recorded",
            Self::KeyWithheld { .. } => "key_withheld",
            Self::Ledger(error) => error.code(),
            Self::LimitZero => "invalid_amount",
            Self::NoFolder { .. } => "no_folder",
            Self::NoHome => "no_home",
            Self::NoKeyFile { .. } => "no_key_file",
            Self::NoPath { .. } => "no_path",
            Self::NoPolicyFolder => "no_policy_folder",
            Self::NoRandomness(error) => error.code(),
            Self::NotAdoptable { .. } => "not_adoptable",
            Self::NotConfirmed { .. } => "not_confirmed",
            Self::NotDelivered { .. } => "key_not_delivered",
            Self::NotRecorded { .. } => "suspension_not_recorded",
            Self::NotSuspended { .. } => "suspension_incomplete",
            Self::NotTornDown { .. } => "teardown_incomplete",
            Self::NotWithdrawn { .. } => "variable_not_removed",
            Self::NothingToAbandon { .. } => "nothing_to_forget",
            Self::NothingToRelease { .. } => "nothing_to_release",
            Self::OutcomeUnknown { .. } => "outcome_unknown",
            Self::PathNotText { .. } => "path_not_text",
            Self::PaymentMethod(error) => error.code(),
            Self::ProgramRefused(_) => "program_refused",
            Self::ProjectBusy => "project_busy",
            Self::ProjectNotFound { .. } => "project_not_found",
            Self::Registry(error) => error.code(),
            Self::RotationLimit { .. } => "rotation_limit",
            Self::RotationNotEffective { .. } => "rotation_not_effective",
            Self::Rule(rule) => rule.code(),
            Self::Setup(error) => error.code(),
            #[cfg(feature = "simulator")]
            Self::Simulator(error) => error.code(),
            Self::StateFolder(error) => error.code(),
            Self::StoppedWaiting => "stopped_waiting",
            Self::Suspended { .. } => "suspended",
            Self::UnknownBackend => "unknown_backend",
            Self::UnknownProvider { .. } => "unknown_provider",
            Self::UnknownTool => "unknown_tool",
            Self::UnknownWorkspace => "unknown_workspace",
            Self::WorkspaceTaken => "workspace_taken",
            Self::WrongBackend { .. } => "wrong_backend",
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each error")]
    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::AlreadyExists { state } => format!(
                "use it ({} holds its key), choose another name, or {} first",
                state.env_var().map(EnvVar::as_str).unwrap_or_default(),
                teardown(state.project.name.as_str(), channel)
            ),
            Self::Approval(error) => error.hint(channel),
            Self::AuditBroken { broken } => broken.hint(channel),
            Self::Backend(error) => error.hint(channel),
            Self::CapReached { name, .. } => {
                let raise = channel.person_runs(&format!("{PROGRAM} cap {name} USD"), " with a higher cap");
                format!("{raise}, or {}", teardown(name, channel))
            }
            Self::CannotDisable { name } => format!("{} to stop it for good", teardown(name, channel)),
            Self::UserPolicy(error) => error.policy_hint(channel),
            Self::EarlierNotDelivered { name, .. } => format!(
                "{} once the file can be written, or {} to stop paying",
                rotate(name, channel),
                teardown(name, channel)
            ),
            Self::EnvFile(error) => error.hint(channel),
            Self::EnvFileOutside => {
                channel.person("remove `--env-file` from the host's entry, or name a file inside the workspace")
            }
            Self::NotAdoptable { .. } => channel.person("add an entry for the service to the registry; then try again"),
            Self::File(error) => error.hint(channel),
            Self::InvalidAmount(error) => error.hint(channel),
            Self::InvalidBase(error) => error.hint(channel),
            Self::InvalidCursor => "leave the cursor out to begin at the first page".to_owned(),
            Self::InvalidLifetime(error) => error.hint(channel),
            Self::InvalidLimit => "leave the limit out for 50, or give a number from 1 to 200".to_owned(),
            Self::InvalidMonth => "write a month as 2026-11".to_owned(),
            Self::InvalidName(error) => error.hint(channel),
            Self::InvalidTime => {
                "give a time such as 2026-11-21T09:30:00Z or 2026-11-21, or how long ago: 30m, 8h, 7d".to_owned()
            }
            Self::KeyNotRecorded { name } => {
                format!("{} to get a key in the env file; this one was rotated elsewhere", rotate(name, channel))
            }
            Self::KeyWithheld { name, why } => {
                let resume = channel.person_runs(&format!("{PROGRAM} resume {name}"), "");
                format!("{}; then {resume}", why.hint(channel))
            }
            Self::Ledger(error) => error.hint(channel),
            Self::LimitZero => {
                "give a positive amount; `approval = \"always\"` in the policy asks for everything".to_owned()
            }
            Self::NoFolder { .. } => channel.person("name an existing folder with `--dir`"),
            Self::NoHome => channel.person("set HOME to a folder that agents cannot write"),
            Self::NoKeyFile { .. } => channel.person("name an existing file with `--stripe-api-key-file`"),
            Self::NoPath { .. } => "name files or folders that exist; they count from the current folder".to_owned(),
            Self::NoPolicyFolder => channel.person("set HOME, or name a policy file in STRIPE_PROJECTS_POLICY"),
            Self::NoRandomness(error) => error.hint(channel),
            Self::NotConfirmed { asked: true } => channel.person("answer `y` to continue"),
            Self::NotConfirmed { asked: false } => {
                channel.select("ask the user to add `--yes`", "add `--yes` if you are sure").to_owned()
            }
            Self::NotDelivered { name, why, .. } => format!(
                "{}; then {} to get a working key, or {} to stop paying",
                why.hint(channel),
                rotate(name, channel),
                teardown(name, channel)
            ),
            Self::NotRecorded { name, why } => {
                format!(
                    "{}; the next start of this program records it, or {}",
                    why.hint(channel),
                    suspend(name, "", channel)
                )
            }
            Self::NotSuspended { name, why } => {
                let rest = ", or revoke the key at its provider";
                format!("{}; then {}", why.hint(channel), suspend(name, rest, channel))
            }
            Self::NotWithdrawn { name, why, operation: Operation::Suspend } => {
                format!("{}; then {}", why.hint(channel), suspend(name, "", channel))
            }
            Self::NotTornDown { name, why }
            | Self::NotWithdrawn {
                name,
                why,
                operation:
                    Operation::Cap | Operation::Provision | Operation::Resume | Operation::Rotate | Operation::Teardown,
            } => {
                format!("{}; then {} again", why.hint(channel), teardown(name, channel))
            }
            Self::NothingToAbandon { name } => {
                format!("{}, or {} to remove it", list("its status", channel), teardown(name, channel))
            }
            Self::NothingToRelease { .. } => {
                channel.person_runs(&format!("{PROGRAM} spend"), " to see what is committed")
            }
            Self::OutcomeUnknown { name, operation, why } => outcome_unknown(name, *operation, why, channel),
            Self::PathNotText { .. } => channel.person("use a path that is plain text"),
            Self::PaymentMethod(error) => error.hint(channel),
            Self::ProgramRefused(_) => {
                channel.person("name a program outside of the workspace that only you or root can change")
            }
            Self::ProjectBusy => "wait for the other call to finish and try again".to_owned(),
            Self::ProjectNotFound { torn_down: true } => "provision it again if you still need it".to_owned(),
            Self::ProjectNotFound { torn_down: false } => list("the project names", channel),
            Self::Registry(error) => error.hint(channel),
            Self::RotationLimit { name, .. } => channel.person_runs(&format!("{PROGRAM} rotate {name}"), ""),
            Self::RotationNotEffective { name } => format!(
                "{} if the old key has leaked, and provision a new project: the old key may still work",
                teardown(name, channel)
            ),
            Self::Rule(rule) => rule.hint(channel),
            Self::Setup(error) => error.hint(channel),
            #[cfg(feature = "simulator")]
            Self::Simulator(error) => error.hint(channel),
            Self::StateFolder(error) => error.hint(channel),
            Self::StoppedWaiting => channel.select(
                "make the same call again: it finishes this operation first and never buys twice".to_owned(),
                "run the same command again: it finishes this operation first and never buys twice".to_owned(),
            ),
            Self::Suspended { name } => format!(
                "{}, or {}",
                channel.person_runs(&format!("{PROGRAM} resume {name}"), ""),
                teardown(name, channel)
            ),
            Self::UnknownBackend => channel.person("use one of the backends: simulated, stripe-cli, stripe-api"),
            Self::UnknownProvider { known, .. } => {
                let keys: Vec<_> = known.iter().map(ProviderKey::as_str).collect();
                format!("use one of the providers: {}", keys.join(", "))
            }
            Self::UnknownTool => "use some of the tools: list_projects, provision, rotate_key, teardown".to_owned(),
            Self::UnknownWorkspace => channel.person_runs(&format!("{PROGRAM} workspaces"), " to see their names"),
            Self::WorkspaceTaken => channel.person(
                "tear its projects down, or detach it with `workspaces detach`, before another one takes the folder",
            ),
            Self::WrongBackend { theirs, .. } => channel.select(
                format!("ask the user to start this server with `--backend {theirs}`"),
                format!("run the same command with `--backend {theirs}`"),
            ),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Approval(error) => error.exit(),
            Self::AuditBroken { broken } => broken.exit(),
            Self::Backend(error) => error.exit(),
            Self::UserPolicy(error) | Self::Registry(error) => error.exit(),
            Self::EnvFile(error) => error.exit(),
            Self::File(error) => error.exit(),
            Self::InvalidAmount(error) => error.exit(),
            Self::InvalidBase(error) => error.exit(),
            Self::InvalidLifetime(error) => error.exit(),
            Self::InvalidName(error) => error.exit(),
            Self::Ledger(error) => error.exit(),
            Self::NoRandomness(error) => error.exit(),
            Self::PaymentMethod(error) => error.exit(),
            Self::Rule(rule) => rule.exit(),
            Self::Setup(error) => error.exit(),
            Self::StateFolder(error) => error.exit(),
            #[cfg(feature = "simulator")]
            Self::Simulator(error) => error.exit(),
            Self::CapReached { .. } | Self::KeyNotRecorded { .. } | Self::RotationNotEffective { .. } => Exit::Backend,
            Self::AlreadyExists { .. }
            | Self::EnvFileOutside
            | Self::NotAdoptable { .. }
            | Self::EarlierNotDelivered { .. }
            | Self::NotConfirmed { .. }
            | Self::NothingToAbandon { .. }
            | Self::NothingToRelease { .. }
            | Self::ProjectBusy
            | Self::RotationLimit { .. }
            | Self::Suspended { .. }
            | Self::WorkspaceTaken
            | Self::WrongBackend { .. } => Exit::Refused,
            Self::InvalidCursor
            | Self::InvalidLimit
            | Self::InvalidMonth
            | Self::InvalidTime
            | Self::LimitZero
            | Self::NoFolder { .. }
            | Self::NoHome
            | Self::NoKeyFile { .. }
            | Self::NoPath { .. }
            | Self::NoPolicyFolder
            | Self::PathNotText { .. }
            | Self::ProgramRefused(_)
            | Self::UnknownBackend
            | Self::UnknownProvider { .. }
            | Self::UnknownTool => Exit::Usage,
            Self::CannotDisable { .. }
            | Self::KeyWithheld { .. }
            | Self::NotDelivered { .. }
            | Self::NotRecorded { .. }
            | Self::NotSuspended { .. }
            | Self::NotTornDown { .. }
            | Self::NotWithdrawn { .. }
            | Self::OutcomeUnknown { .. }
            | Self::StoppedWaiting => Exit::Incomplete,
            Self::ProjectNotFound { .. } | Self::UnknownWorkspace => Exit::NotFound,
        }
    }
}

fn outcome_unknown(name: &ProjectName, operation: Operation, why: &Error, channel: Channel) -> String {
    if let Error::Backend(BackendError::Forgotten { .. }) = why {
        let abandon = channel.person_runs(&format!("{PROGRAM} abandon {name}"), "");
        return format!("{}; then {abandon}, which frees the name and the variable", why.hint(channel));
    }
    let again = match operation {
        Operation::Cap => {
            channel.person_runs(&format!("{PROGRAM} cap {name} USD"), ", which finishes this change first")
        }
        Operation::Provision => channel.select(
            format!("call provision for {name} again, which checks first and never buys twice"),
            format!("provision {name} again, which checks first and never buys twice"),
        ),
        Operation::Rotate => format!("{} again, which checks first", rotate(name, channel)),
        Operation::Resume => channel.person_runs(&format!("{PROGRAM} resume {name}"), ", which checks first"),
        Operation::Suspend => channel.person_runs(&format!("{PROGRAM} suspend {name}"), ", which checks first"),
        Operation::Teardown => format!("{} again, which checks first", teardown(name, channel)),
    };
    format!("{}; then {again}. Until then, {}", why.hint(channel), list("its last known status", channel))
}

fn list(what: &str, channel: Channel) -> String {
    channel.select(format!("call list_projects to see {what}"), format!("run `{PROGRAM} list` to see {what}"))
}

fn rotate(name: &ProjectName, channel: Channel) -> String {
    channel.select(format!("call rotate_key for {name}"), format!("run `{PROGRAM} rotate {name}`"))
}

fn suspend(name: &ProjectName, rest: &str, channel: Channel) -> String {
    channel.person_runs(&format!("{PROGRAM} suspend {name}"), rest)
}

fn teardown(name: impl std::fmt::Display, channel: Channel) -> String {
    channel.select(format!("call teardown for {name}"), format!("run `{PROGRAM} teardown {name}`"))
}
