//! Why a call failed: the errors of all parts, and those that only a whole call has.

mod diagnostic;

use std::{error, iter, path::PathBuf};

use backends::{BackendError, simulated::PaymentError, stripe_api::ApiBaseError};
use domain::{
    approval::{ApprovalError, NotAnId},
    lifetime::LifetimeError,
    money::{Cents, MoneyError},
    name::{NameError, ProjectName, ProviderKey},
    project::{NoRandomness, ResourceId},
    secret::{has_sensitive_part, looks_like_card_number},
    visible::visible,
};
use files::{
    env_file::EnvFileError,
    fs::{FsError, RefusedProgram},
    host_config::SetupError,
    registry::RegistryError,
    state_folder::StateFolderError,
};
#[cfg(feature = "simulator")]
use simulator::SimulatorError;
use storage::{
    ledger::{Break, LedgerError, Operation},
    store::StoreError,
};

use crate::{policy::Rule, project_state::ProjectState};

/// Why a call did not end as it was meant to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a project of this name is live already")]
    AlreadyExists { state: Box<ProjectState> },
    #[error(transparent)]
    AuditBroken { broken: Break },
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("the cap of {cap} USD is used up")]
    CapReached { name: ProjectName, cap: Cents },
    /// The key works on, and only a teardown ends it.
    #[error("the key of {name} cannot be disabled and works on: its provider has no way but removing the service")]
    CannotDisable { name: ProjectName },
    /// The policy outside the workspace is there and cannot be used.
    #[error("the policy outside the workspace cannot be used: {0}")]
    UserPolicy(#[source] RegistryError),
    /// The env file could not take the key of an earlier purchase, so it cannot take another one.
    #[error("the key of {name} has not reached this env file yet: {why}")]
    EarlierNotDelivered {
        name: ProjectName,
        #[source]
        why: Box<Error>,
    },
    #[error(transparent)]
    EnvFile(#[from] EnvFileError),
    /// A host's entry names an env file that is not the workspace's.
    #[error("the env file of a server is inside the workspace")]
    EnvFileOutside,
    #[error(transparent)]
    File(#[from] FsError),
    #[error(transparent)]
    InvalidAmount(#[from] MoneyError),
    #[error("the cursor was not issued by list_projects")]
    InvalidCursor,
    #[error("the limit is not a whole number from 1 to 200")]
    InvalidLimit,
    #[error(transparent)]
    InvalidBase(#[from] ApiBaseError),
    #[error(transparent)]
    InvalidLifetime(#[from] LifetimeError),
    #[error(transparent)]
    InvalidName(#[from] NameError),
    #[error("this is not a month")]
    InvalidMonth,
    #[error("this is neither a time nor a duration")]
    InvalidTime,
    #[error("the backend's key differs from the recorded one")]
    KeyNotRecorded { name: ProjectName },
    /// A rotation revoked the old key, and version control would take the new one.
    #[error("the old key is revoked, and the new one is withheld: {why}")]
    KeyWithheld {
        name: ProjectName,
        #[source]
        why: Box<Error>,
    },
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("a limit must be above 0")]
    LimitZero,
    /// No folder for the user's policy is known.
    #[error("there is no place for a policy file: neither XDG_CONFIG_HOME nor HOME is set")]
    NoPolicyFolder,
    #[error("there is no folder {}", visible(path))]
    NoFolder { path: PathBuf },
    #[error("there is no home folder, and so no place for limits and for the ledger")]
    NoHome,
    #[error("there is no file {}", visible(path))]
    NoKeyFile { path: PathBuf },
    #[error("there is nothing at path number {position} of the call")]
    NoPath { position: usize },
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// No entry of the registry tells how to manage it.
    #[error("no provider of the registry has the service of {}", resource.as_str())]
    NotAdoptable { resource: ResourceId },
    #[error("{}", if *asked { "cancelled; nothing was changed" } else { "this needs confirmation, and there is no terminal to ask" })]
    NotConfirmed { asked: bool },
    /// The backend has done its part; the env file has not got the key.
    #[error("{}, but its key did not reach the env file: {why}", match operation {
        Operation::Rotate => "the old key is revoked and a new one exists",
        Operation::Provision | Operation::Teardown => "the project exists and may be billed",
        Operation::Cap | Operation::Resume | Operation::Suspend => "the project works again",
    })]
    NotDelivered {
        name: ProjectName,
        operation: Operation,
        #[source]
        why: Box<Error>,
    },
    /// The backend has disabled the key, and the ledger does not have it yet.
    #[error("the key of {name} is disabled, but not recorded yet: {why}")]
    NotRecorded {
        name: ProjectName,
        #[source]
        why: Box<Error>,
    },
    /// The key may still work.
    #[error("it is not certain that the key is revoked: {why}")]
    NotSuspended {
        name: ProjectName,
        #[source]
        why: Box<Error>,
    },
    /// The backend still has it, or may have.
    #[error("the project is not removed yet and may be billed: {why}")]
    NotTornDown {
        name: ProjectName,
        #[source]
        why: Box<Error>,
    },
    /// The backend has done its part; the env file still has the revoked key.
    #[error("{} and its key is revoked, but its variable is still in the env file: {why}", match operation {
        Operation::Suspend => "the project is suspended",
        Operation::Cap | Operation::Provision | Operation::Resume | Operation::Rotate | Operation::Teardown => {
            "the project is removed"
        }
    })]
    NotWithdrawn {
        name: ProjectName,
        operation: Operation,
        #[source]
        why: Box<Error>,
    },
    /// The month has nothing committed that an ended project of that name could release.
    #[error("no ended project of this name has anything left to release this month")]
    NothingToRelease { name: ProjectName },
    /// The outcome is known, so the purchase needs no abandonment.
    #[error("nothing to abandon: the outcome of this purchase is known")]
    NothingToAbandon { name: ProjectName },
    #[error("the outcome of `{}` is unknown: {why}", operation.as_str())]
    OutcomeUnknown {
        name: ProjectName,
        operation: Operation,
        #[source]
        why: Box<Error>,
    },
    #[error("the path {} is not UTF-8 text", visible(path))]
    PathNotText { path: PathBuf },
    #[error(transparent)]
    PaymentMethod(#[from] PaymentError),
    #[error("this program is not started: {0}")]
    ProgramRefused(#[source] RefusedProgram),
    #[error("another call or process is changing this project")]
    ProjectBusy,
    #[error("there is no such project{}", if *torn_down { " any more: it was torn down" } else { "" })]
    ProjectNotFound { torn_down: bool },
    #[error("the registry cannot be used: {0}")]
    Registry(#[from] RegistryError),
    #[error("an agent may rotate one project {limit} times an hour, and has")]
    RotationLimit { name: ProjectName, limit: u64 },
    #[error("the backend reports a rotation, but the key is unchanged")]
    RotationNotEffective { name: ProjectName },
    #[error(transparent)]
    Rule(#[from] Rule),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    #[cfg(feature = "simulator")]
    Simulator(#[from] SimulatorError),
    /// The person at the terminal stopped waiting for what had begun.
    #[error(transparent)]
    StateFolder(#[from] StateFolderError),
    #[error("there is no workspace of this name")]
    UnknownWorkspace,
    #[error("another workspace with live projects is registered in that folder")]
    WorkspaceTaken,
    #[error("stopped waiting; the operation is in the journal and may still complete")]
    StoppedWaiting,
    #[error("the project is suspended, and its key is withheld")]
    Suspended { name: ProjectName },
    #[error("there is no such backend")]
    UnknownBackend,
    #[error("the registry has no such provider{}", match closest {
        Some(key) => format!("; did you mean `{key}`?"),
        None => String::new(),
    })]
    UnknownProvider { closest: Option<ProviderKey>, known: Vec<ProviderKey> },
    #[error("there is no such tool")]
    UnknownTool,
    #[error("the project belongs to the {theirs} backend, and this process uses {ours}")]
    WrongBackend { theirs: String, ours: &'static str },
}

/// Returns an error and its causes, outermost first, for a log. What reads like a key or card number is hidden.
pub fn chain(error: &dyn error::Error) -> String {
    let causes = iter::successors(error.source(), |cause| cause.source());
    let text = causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        // Many messages end with that of their cause.
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    });
    let text = hidden(&text, |c| !c.is_ascii_digit() && c != ' ' && c != '-', looks_like_card_number);
    hidden(&text, char::is_whitespace, has_sensitive_part)
}

/// Hides the parts of a text that are sensitive.
fn hidden(text: &str, separates: impl Fn(char) -> bool, is_sensitive: impl Fn(&str) -> bool) -> String {
    let part = |part: &str| {
        let separator = part.chars().next_back().filter(|c| separates(*c));
        let word = separator.and_then(|separator| part.strip_suffix(separator)).unwrap_or(part);
        if is_sensitive(word) {
            separator.into_iter().fold("…".to_owned(), |text, c| text + &c.to_string())
        } else {
            part.to_owned()
        }
    };
    text.split_inclusive(&separates).map(part).collect()
}

impl From<NotAnId> for Error {
    fn from(error: NotAnId) -> Self {
        Self::Approval(error.into())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Ledger(error.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use backends::NotesError;

    use super::*;

    #[test]
    fn chain_lists_each_cause_once_and_hides_credentials() {
        let source = io::Error::other("no sk_live_4eC39HqLyjWDarjtT1zdp7dc, (pk_test_4eC39HqLyjWDarjtT1zdp7dc)");
        let file = FsError { action: "read", path: PathBuf::from("/work/x"), source };
        let error = Error::Ledger(StoreError::from(file).into());
        assert_eq!(chain(&error), "could not read /work/x: other error: no … …");
        let declined = io::Error::other("card 4242 4242 4242 4242 declined; row 12345 stays");
        assert_eq!(chain(&declined), "card…declined; row 12345 stays");
    }

    #[test]
    fn chain_reaches_the_innermost_cause() {
        let ledger = LedgerError::from(StoreError::Damaged(rusqlite::Error::InvalidQuery.into()));
        let why = BackendError::from(NotesError::new(ledger));
        let error = Error::NotTornDown { name: ProjectName::parse("memory").unwrap(), why: Box::new(why.into()) };
        let depth = iter::successors(error::Error::source(&error), |cause| cause.source()).count();
        assert!(depth >= 3, "{depth}");
    }
}
