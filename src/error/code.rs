//! The codes that scripts and models decide on. They never change their meaning.

use super::{Error, Exit, approval};
use crate::{
    backend::{BackendError, Consent, Refusal, Setup, simulated::PaymentError},
    dotenv::DotenvError,
    env_file::EnvFileError,
    git::GitError,
    ledger::LedgerError,
    policy::Rule,
    setup::{Refused, SetupError, ShapeError},
    simulator::SimulatorError,
    store::StoreError,
};

impl Error {
    /// Stable, `snake_case`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlreadyExists { .. } => "already_exists",
            Self::Approval(error) => approval::code(error),
            Self::AuditBroken { .. } => "audit_broken",
            Self::Backend(error) => backend(error),
            Self::Ceiling(_) => "invalid_policy",
            Self::EnvFile(error) => env_file(error),
            Self::File(_) => "file_error",
            Self::InvalidAmount(_) => "invalid_amount",
            Self::InvalidBase(_) => "invalid_api_base",
            Self::InvalidCursor => "invalid_cursor",
            Self::InvalidLifetime(_) => "invalid_duration",
            Self::InvalidLimit => "invalid_limit",
            Self::InvalidName(_) => "invalid_name",
            Self::InvalidTime => "invalid_time",
            Self::KeyNotRecorded { .. } => "key_not_recorded",
            Self::Ledger(error) => ledger(error),
            Self::NoFolder { .. } => "no_folder",
            Self::NoKeyFile { .. } => "no_key_file",
            Self::NoPath { .. } => "no_path",
            Self::NoRandomness(_) => "no_randomness",
            Self::NotConfirmed { .. } => "not_confirmed",
            Self::NotDelivered { .. } => "key_not_delivered",
            Self::NotSuspended { .. } => "suspension_incomplete",
            Self::NotTornDown { .. } => "teardown_incomplete",
            Self::NotWithdrawn { .. } => "variable_not_removed",
            Self::NothingToAbandon { .. } => "nothing_to_forget",
            Self::OutcomeUnknown { .. } => "outcome_unknown",
            Self::PathNotText { .. } => "path_not_text",
            Self::PaymentMethod(PaymentError::NotATestToken) => "invalid_payment_method",
            Self::PaymentMethod(PaymentError::RawCardNumber) => "raw_card_number",
            Self::ProjectBusy => "project_busy",
            Self::ProjectNotFound { .. } => "project_not_found",
            Self::Registry(_) => "invalid_registry",
            Self::RotationNotEffective { .. } => "rotation_not_effective",
            Self::Rule(Rule::AboveMaximum { .. }) => "cap_above_maximum",
            Self::Rule(Rule::LifetimeTooLong { .. }) => "expiry_above_maximum",
            Self::Rule(Rule::NotAllowed) => "provider_not_allowed",
            Self::Rule(Rule::TooManyProjects { .. }) => "project_limit_reached",
            Self::Rule(Rule::TotalCap { .. }) => "total_cap_reached",
            Self::Setup(error) => host_config(error),
            Self::Simulator(error) => simulator(error),
            Self::StoppedWaiting => "stopped_waiting",
            Self::Suspended { .. } => "suspended",
            Self::UnknownBackend => "unknown_backend",
            Self::UnknownProvider { .. } => "unknown_provider",
            Self::UnknownTool => "unknown_tool",
            Self::WrongBackend { .. } => "wrong_backend",
        }
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::Approval(error) => approval::exit(error),
            Self::Backend(_) | Self::KeyNotRecorded { .. } | Self::RotationNotEffective { .. } => Exit::Backend,
            Self::AuditBroken { .. }
            | Self::File(_)
            | Self::Ledger(_)
            | Self::NoRandomness(_)
            | Self::Setup(SetupError::NotWritten(_) | SetupError::TooManyBackups { .. } | SetupError::Unreadable(_))
            | Self::Simulator(SimulatorError::CannotListen(_) | SimulatorError::Store(_)) => Exit::Failure,
            Self::AlreadyExists { .. }
            | Self::EnvFile(_)
            | Self::NotConfirmed { .. }
            | Self::NothingToAbandon { .. }
            | Self::ProjectBusy
            | Self::Rule(_)
            | Self::Setup(
                SetupError::Changed { .. }
                | SetupError::NotText { .. }
                | SetupError::Refused { .. }
                | SetupError::Shape { .. },
            )
            | Self::Suspended { .. }
            | Self::WrongBackend { .. } => Exit::Refused,
            Self::Ceiling(_)
            | Self::InvalidAmount(_)
            | Self::InvalidBase(_)
            | Self::InvalidCursor
            | Self::InvalidLifetime(_)
            | Self::InvalidLimit
            | Self::InvalidName(_)
            | Self::InvalidTime
            | Self::NoFolder { .. }
            | Self::NoKeyFile { .. }
            | Self::NoPath { .. }
            | Self::PathNotText { .. }
            | Self::PaymentMethod(_)
            | Self::Registry(_)
            | Self::Setup(SetupError::NoHome { .. } | SetupError::PathNotText { .. } | SetupError::UnknownHost)
            | Self::Simulator(
                SimulatorError::AddressUnreadable | SimulatorError::NotLoopback | SimulatorError::UnknownProvider,
            )
            | Self::UnknownBackend
            | Self::UnknownProvider { .. }
            | Self::UnknownTool => Exit::Usage,
            Self::NotDelivered { .. }
            | Self::NotSuspended { .. }
            | Self::NotTornDown { .. }
            | Self::NotWithdrawn { .. }
            | Self::OutcomeUnknown { .. }
            | Self::StoppedWaiting => Exit::Incomplete,
            Self::ProjectNotFound { .. } => Exit::NotFound,
        }
    }
}

fn backend(error: &BackendError) -> &'static str {
    match error {
        BackendError::Forgotten { .. } => "backend_forgot",
        BackendError::Malformed { .. } => "backend_malformed",
        BackendError::NeedsBrowser => "browser_needed",
        BackendError::NeedsConsent(Consent::Other) => "needs_consent",
        BackendError::NeedsConsent(Consent::Price) => "price_not_confirmed",
        BackendError::NeedsConsent(Consent::Terms) => "terms_not_accepted",
        BackendError::NeedsInformation { .. } => "needs_information",
        BackendError::NeedsLink { .. } => "needs_link",
        BackendError::NotFound => "resource_not_found",
        BackendError::NotLinked { .. } => "provider_not_linked",
        BackendError::NotSetUp(missing) => setup(missing),
        BackendError::Refused(refusal) => refused(refusal),
        BackendError::Unauthenticated => "backend_unauthenticated",
        BackendError::Unavailable { .. } => "backend_unavailable",
        BackendError::Unknown { .. } => "backend_unclear",
    }
}

fn refused(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::AccountNotEligible => "account_not_eligible",
        Refusal::CapReached => "cap_reached",
        Refusal::CardDeclined => "card_declined",
        Refusal::Configuration { .. } => "invalid_configuration",
        Refusal::LimitNotSet { .. } => "limit_not_set",
        Refusal::MonthlyLimitReached { .. } => "monthly_limit_reached",
        Refusal::PlanRequired => "plan_required",
        Refusal::ProviderFailed { .. } => "provider_failed",
        Refusal::ServiceMissing { .. } => "service_missing",
        Refusal::Suspended => "suspended",
        Refusal::TooMany => "too_many_resources",
        Refusal::UsageIsMetered => "usage_is_metered",
    }
}

fn setup(missing: &Setup) -> &'static str {
    match missing {
        Setup::CliMissing => "stripe_cli_missing",
        Setup::CliTooOld => "stripe_cli_too_old",
        Setup::KeyMissing => "api_key_missing",
        Setup::KeyUnfit => "api_key_unfit",
        Setup::LoggedOut => "not_logged_in",
        Setup::OtherProject { .. } => "other_stripe_project",
        Setup::WrongAccount => "wrong_stripe_account",
    }
}

fn env_file(error: &EnvFileError) -> &'static str {
    match error {
        EnvFileError::CannotHold { source: DotenvError::OpenQuote, .. } => "env_file_open_quote",
        EnvFileError::CannotHold { source: DotenvError::SelfCheck | DotenvError::Unrepresentable, .. } => {
            "credential_not_representable"
        }
        EnvFileError::Directory { .. } => "env_file_is_a_folder",
        EnvFileError::Exposed { .. } => "env_file_exposed",
        EnvFileError::File(_) => "env_file_not_writable",
        EnvFileError::Git(GitError::NotRunnable(_) | GitError::Unclear) => "env_file_git_unknown",
        EnvFileError::Locked { .. } => "env_file_locked",
        EnvFileError::ReadOnly { .. } => "env_file_read_only",
        EnvFileError::Taken { .. } => "env_var_taken",
        EnvFileError::Tracked { .. } => "env_file_tracked",
    }
}

fn ledger(error: &LedgerError) -> &'static str {
    match error {
        LedgerError::Store(StoreError::Damaged(_)) => "ledger_damaged",
        LedgerError::Store(StoreError::Newer { .. }) => "ledger_newer",
        LedgerError::Store(StoreError::Mistyped { .. } | StoreError::Unreadable { .. }) => "ledger_unreadable",
        LedgerError::Store(
            StoreError::Conflict(_) | StoreError::File(_) | StoreError::Locked | StoreError::Unavailable(_),
        ) => "ledger_unavailable",
        LedgerError::Gone => "ledger_gone",
        LedgerError::Moved { .. } => "wrong_status",
    }
}

fn host_config(error: &SetupError) -> &'static str {
    match error {
        SetupError::Changed { .. } => "config_changed",
        SetupError::NoHome { .. } => "no_home",
        SetupError::NotText { .. } => "config_not_text",
        SetupError::NotWritten(_) => "config_not_writable",
        SetupError::PathNotText { .. } => "path_not_text",
        SetupError::Refused { why: Refused::Dangling, .. } => "config_link_dangling",
        SetupError::Refused { why: Refused::Folder, .. } => "config_is_a_folder",
        SetupError::Refused { why: Refused::ReadOnly, .. } => "config_read_only",
        SetupError::Refused { why: Refused::TooLarge, .. } => "config_too_large",
        SetupError::Shape { why: ShapeError::Duplicate, .. } => "config_duplicate_key",
        SetupError::Shape { why: ShapeError::NotATable { .. }, .. } => "config_wrong_shape",
        SetupError::Shape { why: ShapeError::Syntax { .. }, .. } => "config_syntax",
        SetupError::Shape { why: ShapeError::Unusual, .. } => "config_not_editable",
        SetupError::TooManyBackups { .. } => "too_many_backups",
        SetupError::UnknownHost => "unknown_host",
        SetupError::Unreadable(_) => "config_unreadable",
    }
}

fn simulator(error: &SimulatorError) -> &'static str {
    match error {
        SimulatorError::AddressUnreadable => "listen_address_invalid",
        SimulatorError::CannotListen(_) => "cannot_listen",
        SimulatorError::NotLoopback => "listen_address_not_loopback",
        SimulatorError::UnknownProvider => "unlinked_provider_unknown",
        SimulatorError::Store(_) => "simulated_world_unavailable",
    }
}
