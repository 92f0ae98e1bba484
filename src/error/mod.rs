//! Every sentence of failure: a stable code, what happened, what to do next, and the exit code.
//!
//! The matches are exhaustive on purpose: a new variant does not compile until somebody has written what its reader
//! should do. No message quotes input, because input may be a pasted key.

mod approval;
mod code;
mod hint;

use std::path::PathBuf;

use crate::{
    approval::{ApprovalError, NotAnId},
    backend::{BackendError, simulated::PaymentError, stripe_api::ApiBaseError},
    env_file::EnvFileError,
    fs::FsError,
    ledger::{Break, LedgerError, Operation},
    lifetime::LifetimeError,
    money::MoneyError,
    name::{NameError, ProjectName, ProviderKey},
    policy::Rule,
    project::NoRandomness,
    registry::RegistryError,
    setup::SetupError,
    simulator::SimulatorError,
    store::StoreError,
    view::{ErrorView, ProjectView},
};

/// Why a call did not end as it was meant to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a project of this name is live already")]
    AlreadyExists { project: Box<ProjectView> },
    #[error("{broken}")]
    AuditBroken { broken: Break },
    #[error("{0}")]
    Approval(#[from] ApprovalError),
    #[error("{0}")]
    Backend(#[from] BackendError),
    /// The policy outside the workspace is there and cannot be used.
    #[error("the policy outside the workspace cannot be used: {0}")]
    Ceiling(RegistryError),
    #[error("{0}")]
    EnvFile(#[from] EnvFileError),
    #[error("{0}")]
    File(#[from] FsError),
    #[error("{0}")]
    InvalidAmount(#[from] MoneyError),
    #[error("the cursor is not one that list_projects gave out")]
    InvalidCursor,
    #[error("the limit is not a whole number from 1 to 200")]
    InvalidLimit,
    #[error("{0}")]
    InvalidBase(#[from] ApiBaseError),
    #[error("{0}")]
    InvalidLifetime(#[from] LifetimeError),
    #[error("{0}")]
    InvalidName(#[from] NameError),
    #[error("this is neither a time nor a duration")]
    InvalidTime,
    #[error("the backend holds another key than the one that was recorded")]
    KeyNotRecorded { name: ProjectName },
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    #[error("there is no folder {}", path.display())]
    NoFolder { path: PathBuf },
    #[error("there is no file {}", path.display())]
    NoKeyFile { path: PathBuf },
    #[error("there is nothing at path number {position} of the call")]
    NoPath { position: usize },
    #[error("{0}")]
    NoRandomness(#[from] NoRandomness),
    #[error("{}", if *asked { "it was not confirmed" } else { "this needs a confirmation, and there is no terminal to ask at" })]
    NotConfirmed { asked: bool },
    /// The backend has done its part; the env file has not got the key.
    #[error("{}, but its key did not reach the env file: {why}", match operation {
        Operation::Rotate => "the old key is dead and a new one exists",
        Operation::Provision | Operation::Teardown => "the project exists and may be billed",
        Operation::Resume | Operation::Suspend => "the project works again",
    })]
    NotDelivered { name: ProjectName, operation: Operation, why: Box<Error> },
    /// The key may still work.
    #[error("it is not certain that the key is dead: {why}")]
    NotSuspended { name: ProjectName, why: Box<Error> },
    /// The backend still has it, or may have.
    #[error("the project is not gone yet and may be billed: {why}")]
    NotTornDown { name: ProjectName, why: Box<Error> },
    /// The backend has done its part; the env file still has the dead key.
    #[error("{} and its key is dead, but its variable is still in the env file: {why}", match operation {
        Operation::Suspend => "the project is suspended",
        Operation::Provision | Operation::Resume | Operation::Rotate | Operation::Teardown => "the project is gone",
    })]
    NotWithdrawn { name: ProjectName, operation: Operation, why: Box<Error> },
    /// It is no purchase that only a human can close.
    #[error("there is nothing to forget: this is no purchase whose outcome is unknown")]
    NothingToAbandon { name: ProjectName },
    #[error("it is not known what came of the {}: {why}", operation.as_str())]
    OutcomeUnknown { name: ProjectName, operation: Operation, why: Box<Error> },
    #[error("the path {} is not UTF-8 text", path.display())]
    PathNotText { path: PathBuf },
    #[error("{0}")]
    PaymentMethod(#[from] PaymentError),
    #[error("another call or process is at work on this project")]
    ProjectBusy,
    #[error("there is no such project{}", if *torn_down { " any more: it was torn down" } else { "" })]
    ProjectNotFound { torn_down: bool },
    #[error("the registry cannot be used: {0}")]
    Registry(#[from] RegistryError),
    #[error("the backend says that it rotated the key, and the key is the same as before")]
    RotationNotEffective { name: ProjectName },
    #[error("{0}")]
    Rule(#[from] Rule),
    #[error("{0}")]
    Setup(#[from] SetupError),
    #[error("{0}")]
    Simulator(#[from] SimulatorError),
    /// The person at the terminal stopped waiting for what had begun.
    #[error("nobody waited for the end of it; what was begun is in the journal and may still happen")]
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
    #[error("the project belongs to the {theirs} backend, and this process speaks to {ours}")]
    WrongBackend { theirs: String, ours: &'static str },
}

/// What kind of end it was, as an exit code tells a script.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// Something of ours failed: a file, the ledger.
    Failure = 1,
    /// The words of the call were wrong.
    Usage = 2,
    /// A rule said no. Nothing was changed.
    Refused = 3,
    /// There is no such project.
    NotFound = 4,
    /// The backend said no or could not be reached. Nothing was changed.
    Backend = 5,
    /// Part of it happened, or nobody knows yet. The message says which, the hint how to finish.
    Incomplete = 6,
    /// A scan found a credential where none belongs.
    Found = 7,
}

impl Error {
    pub fn view(&self) -> ErrorView {
        let project = match self {
            Self::AlreadyExists { project } => Some(project.clone()),
            _ => None,
        };
        ErrorView { code: self.code(), message: self.to_string(), hint: self.hint(), project }
    }
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
