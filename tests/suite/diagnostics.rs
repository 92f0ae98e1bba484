//! The code and the exit code of every error: scripts and models decide on them, so none may change.

use std::{fmt::Write as _, io, path::PathBuf};

use backends::{BackendError, Consent, Refusal, Setup, simulated::PaymentError, stripe_api::ApiBaseError};
use domain::{
    approval::{Answer, Approval, ApprovalError, ApprovalId, ApprovalStatus, NotAnId, Question, Subject, SubjectFacts},
    budget::{BudgetFacts, CapPeriod, Committed, Excess, Month, RuleSource},
    channel::Channel,
    clock::Timestamp,
    diagnostic::{Diagnostic as _, Exit, PROGRAM},
    lifetime::{Lifetime, LifetimeError},
    money::{Cents, MoneyError},
    name::{EnvVar, NameError, ProjectName, ProviderKey, ServiceRef},
    project::{Delivery, NoRandomness, Project, ProjectId, ResourceId, Status},
};
use files::{
    dotenv::DotenvError,
    env_file::{EnvFileError, VersionControl},
    fs::{Distrust, FsError, Obstacle, ProgramError, RefusedProgram},
    git::GitError,
    host_config::{Host, Refused, SetupError, ShapeError},
    registry::{Problem, RegistryError},
    state_folder::StateFolderError,
};
use simulator::SimulatorError;
use storage::{
    ledger::{Break, LedgerError, Operation},
    store::{StoreError, sqlite::Difference},
};
use stripe_projects_mcp::{
    error::Error,
    policy::Rule,
    project_state::{CapEnforcement, Observation, ProjectState},
};

type Row = (Error, &'static str, Exit);

#[test]
fn every_error_keeps_its_code_and_exit_code() {
    for (error, code, exit) in all() {
        assert_eq!((error.code(), error.exit()), (code, exit), "{error:?}");
    }
}

#[test]
fn hints_name_tools_to_agents_and_commands_to_people() {
    let mut page = String::new();
    for (error, code, _) in all() {
        let (agent, terminal) = (error.hint(Channel::Mcp), error.hint(Channel::Cli));
        for hint in [&agent, &terminal] {
            assert!(hint.starts_with(|c: char| c.is_lowercase()) && !hint.ends_with('.'), "{code}: {hint}");
            assert!(!hint.contains("the human"), "{code}: {hint}");
        }
        for (at, _) in agent.match_indices(PROGRAM) {
            assert!(agent[..at].contains("show this to the user, do not run it: `"), "{code}: {agent}");
        }
        assert!(!terminal.contains("the user"), "{code}: {terminal}");
        let names_tools = terminal.contains("list_projects") || terminal.contains("rotate_key");
        assert!(!names_tools || code == "unknown_tool", "{code}: {terminal}");
        let both = if agent == terminal { String::new() } else { format!("\n  terminal: {terminal}") };
        let _ = writeln!(page, "{code}: {error}\n  hint: {agent}{both}"); // a `String` takes everything
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("hints", page));
}

/// One of each variant, down to the innermost.
fn all() -> Vec<Row> {
    let groups = [
        own(),
        incomplete(),
        approvals(),
        backends(),
        refusals(),
        env_files(),
        ledgers(),
        state_folders(),
        words(),
        setups(),
    ];
    groups.into_iter().flatten().collect()
}

fn own() -> Vec<Row> {
    vec![
        (Error::AlreadyExists { state: Box::new(state()) }, "already_exists", Exit::Refused),
        (Error::AuditBroken { broken: Break::Changed { seq: 7 } }, "audit_broken", Exit::Failure),
        (Error::EnvFileOutside, "env_file_outside", Exit::Refused),
        (Error::NotAdoptable { resource: ResourceId::new("fres_1".to_owned()) }, "not_adoptable", Exit::Refused),
        (BackendError::NotConnected { backend: "stripe-api" }.into(), "workspace_not_connected", Exit::Refused),
        (Error::AuditBroken { broken: Break::HeadFileDisagrees { seq: 7 } }, "audit_broken", Exit::Failure),
        (Error::AuditBroken { broken: Break::HeadFileMissing }, "audit_broken", Exit::Failure),
        (Error::AuditBroken { broken: Break::HeadFileUnreadable }, "audit_broken", Exit::Failure),
        (Error::AuditBroken { broken: Break::Missing { seq: 7 } }, "audit_broken", Exit::Failure),
        (Error::AuditBroken { broken: Break::Surplus { seq: 7 } }, "audit_broken", Exit::Failure),
        (
            Error::EarlierNotDelivered { name: name(), why: Box::new(EnvFileError::Locked { path: path() }.into()) },
            "earlier_key_not_delivered",
            Exit::Refused,
        ),
        (
            Error::KeyWithheld { name: name(), why: Box::new(EnvFileError::Tracked { path: path() }.into()) },
            "key_withheld",
            Exit::Incomplete,
        ),
        (Error::ProgramRefused(refused_program()), "program_refused", Exit::Usage),
        (Error::UserPolicy(refused(Problem::Dangling)), "invalid_policy", Exit::Usage),
        (Error::UserPolicy(refused(Problem::NoFile)), "invalid_policy", Exit::Usage),
        (Error::UserPolicy(refused(Problem::NotYours)), "invalid_policy", Exit::Usage),
        (Error::UserPolicy(refused(Problem::OpenToOthers)), "invalid_policy", Exit::Usage),
        (Error::UserPolicy(refused(Problem::OwnerOnly { key: "alerts" })), "invalid_policy", Exit::Usage),
        (Error::UserPolicy(refused(Problem::Syntax)), "invalid_policy", Exit::Usage),
        (Error::UserPolicy(refused(unknown_key())), "invalid_policy", Exit::Usage),
        (Error::File(file()), "file_error", Exit::Failure),
        (Error::CannotDisable { name: name() }, "cannot_disable", Exit::Incomplete),
        (Error::InvalidCursor, "invalid_cursor", Exit::Usage),
        (Error::InvalidLimit, "invalid_limit", Exit::Usage),
        (Error::CapReached { name: name(), cap: dollars("5") }, "cap_reached", Exit::Backend),
        (Error::InvalidMonth, "invalid_month", Exit::Usage),
        (Error::InvalidTime, "invalid_time", Exit::Usage),
        (Error::LimitZero, "invalid_amount", Exit::Usage),
        (Error::NoPolicyFolder, "no_policy_folder", Exit::Usage),
        (Error::NothingToRelease { name: name() }, "nothing_to_release", Exit::Refused),
        (Error::KeyNotRecorded { name: name() }, "key_not_recorded", Exit::Backend),
        (Error::NoFolder { path: path() }, "no_folder", Exit::Usage),
        (Error::NoHome, "no_home", Exit::Usage),
        (Error::NoKeyFile { path: path() }, "no_key_file", Exit::Usage),
        (Error::NoPath { position: 2 }, "no_path", Exit::Usage),
        (Error::NoRandomness(NoRandomness), "no_randomness", Exit::Failure),
        (Error::NotConfirmed { asked: false }, "not_confirmed", Exit::Refused),
        (Error::NotConfirmed { asked: true }, "not_confirmed", Exit::Refused),
        (Error::NothingToAbandon { name: name() }, "nothing_to_forget", Exit::Refused),
        (Error::PathNotText { path: path() }, "path_not_text", Exit::Usage),
        (Error::ProjectBusy, "project_busy", Exit::Refused),
        (Error::ProjectNotFound { torn_down: false }, "project_not_found", Exit::NotFound),
        (Error::ProjectNotFound { torn_down: true }, "project_not_found", Exit::NotFound),
        (Error::RotationLimit { name: name(), limit: 6 }, "rotation_limit", Exit::Refused),
        (Error::RotationNotEffective { name: name() }, "rotation_not_effective", Exit::Backend),
        (Error::StoppedWaiting, "stopped_waiting", Exit::Incomplete),
        (Error::Suspended { name: name() }, "suspended", Exit::Refused),
        (Error::UnknownBackend, "unknown_backend", Exit::Usage),
        (Error::UnknownProvider { closest: Some(key()), known: vec![key()] }, "unknown_provider", Exit::Usage),
        (Error::UnknownProvider { closest: None, known: vec![key()] }, "unknown_provider", Exit::Usage),
        (Error::UnknownTool, "unknown_tool", Exit::Usage),
        (Error::UnknownWorkspace, "unknown_workspace", Exit::NotFound),
        (Error::WorkspaceTaken, "workspace_taken", Exit::Refused),
        (LedgerError::WorkspaceReplaced.into(), "workspace_replaced", Exit::Refused),
        (Error::WrongBackend { theirs: "stripe-cli".to_owned(), ours: "simulated" }, "wrong_backend", Exit::Refused),
    ]
}

fn incomplete() -> Vec<Row> {
    let why = || Box::new(Error::from(EnvFileError::Locked { path: path() }));
    let forgotten = || Box::new(Error::from(forgotten()));
    let of_each = [
        Operation::Cap,
        Operation::Provision,
        Operation::Resume,
        Operation::Rotate,
        Operation::Suspend,
        Operation::Teardown,
    ];
    let of_each = of_each.into_iter().flat_map(move |operation| {
        [
            (Error::NotDelivered { name: name(), operation, why: why() }, "key_not_delivered", Exit::Incomplete),
            (Error::NotWithdrawn { name: name(), operation, why: why() }, "variable_not_removed", Exit::Incomplete),
            (Error::OutcomeUnknown { name: name(), operation, why: why() }, "outcome_unknown", Exit::Incomplete),
            (Error::OutcomeUnknown { name: name(), operation, why: forgotten() }, "outcome_unknown", Exit::Incomplete),
        ]
    });
    let rows = [
        (Error::NotRecorded { name: name(), why: why() }, "suspension_not_recorded", Exit::Incomplete),
        (Error::NotSuspended { name: name(), why: why() }, "suspension_incomplete", Exit::Incomplete),
        (Error::NotTornDown { name: name(), why: why() }, "teardown_incomplete", Exit::Incomplete),
    ];
    of_each.chain(rows).collect()
}

fn approvals() -> Vec<Row> {
    use ApprovalError as E;
    let command = || "stripe-projects-mcp approve ap-7k3f9q2m --dir '/work'".to_owned();
    let rows = [
        (E::Cancelled { id: id(), command: command() }, "approval_cancelled", Exit::Refused),
        (E::Decided { status: ApprovalStatus::Used }, "approval_decided", Exit::Refused),
        (E::Denied { id: id(), until: time() }, "approval_declined", Exit::Refused),
        (E::Expired, "approval_expired", Exit::Refused),
        (E::NoFreeId, "no_free_id", Exit::Refused),
        (E::Quiet { id: id(), provider: key(), until: time() }, "approval_declined", Exit::Refused),
        (unattended(Answer::Cancelled), "approval_cancelled", Exit::Refused),
        (unattended(Answer::Declined), "approval_declined", Exit::Refused),
        (unattended(Answer::Unclear), "approval_unclear", Exit::Refused),
        (E::Forged, "approval_forged", Exit::Refused),
        (E::Mismatch, "approval_mismatch", Exit::Refused),
        (E::NotAnId(NotAnId), "invalid_approval_id", Exit::Usage),
        (E::NotFound, "approval_not_found", Exit::NotFound),
        (E::Replayed, "approval_replayed", Exit::Refused),
        (E::Required(question(Some(dollars("25")), command())), "approval_required", Exit::Refused),
        (E::Required(question(None, command())), "approval_required", Exit::Refused),
        (E::TimedOut { id: id(), command: command() }, "approval_timed_out", Exit::Refused),
        (E::TooMany { most: 10 }, "too_many_approvals", Exit::Refused),
        (E::Unclear { id: id(), command: command() }, "approval_unclear", Exit::Refused),
    ];
    rows.into_iter().map(|(error, code, exit)| (error.into(), code, exit)).collect()
}

fn backends() -> Vec<Row> {
    use BackendError as E;
    let rows = [
        (forgotten(), "backend_forgot"),
        (E::Malformed { what: "status", got: "odd".to_owned() }, "backend_malformed"),
        (E::NeedsBrowser, "browser_needed"),
        (Consent::Other.into(), "needs_consent"),
        (Consent::Price.into(), "price_not_confirmed"),
        (Consent::Terms.into(), "terms_not_accepted"),
        (E::NeedsInformation { fields: vec!["region".to_owned()] }, "needs_information"),
        (E::NeedsLink { url: "https://dashboard.stripe.com/link".to_owned() }, "needs_link"),
        (E::NotFound, "resource_not_found"),
        (E::NotLinked { provider: "exa".to_owned(), folder: path() }, "provider_not_linked"),
        (Setup::CliMissing.into(), "stripe_cli_missing"),
        (Setup::CliTooOld.into(), "stripe_cli_too_old"),
        (Setup::KeyMissing.into(), "api_key_missing"),
        (Setup::KeyUnfit.into(), "api_key_unfit"),
        (Setup::LoggedOut.into(), "not_logged_in"),
        (Setup::OtherProject { folder: path() }.into(), "other_stripe_project"),
        (Setup::WrongAccount.into(), "wrong_stripe_account"),
        (E::Unauthenticated, "backend_unauthenticated"),
        (E::Unavailable { why: "words".into() }, "backend_unavailable"),
        (E::Unknown { why: "words".into() }, "backend_unclear"),
    ];
    rows.into_iter().map(|(error, code)| (error.into(), code, Exit::Backend)).collect()
}

fn refusals() -> Vec<Row> {
    use Refusal as R;
    let rows = [
        (R::AccountNotEligible, "account_not_eligible"),
        (R::CapReached, "cap_reached"),
        (R::CardDeclined, "card_declined"),
        (R::Configuration { fields: vec!["plan".to_owned()] }, "invalid_configuration"),
        (R::LimitNotSet { provider: "exa".to_owned(), limit: dollars("5") }, "limit_not_set"),
        (R::MonthlyLimitReached { limit: dollars("5") }, "monthly_limit_reached"),
        (R::PlanRequired, "plan_required"),
        (R::ProviderFailed { code: Some("odd".to_owned()) }, "provider_failed"),
        (R::ProviderFailed { code: None }, "provider_failed"),
        (R::ServiceMissing { service: "exa/api".to_owned() }, "service_missing"),
        (R::Suspended, "suspended"),
        (R::TooMany, "too_many_resources"),
        (R::UsageIsMetered, "usage_is_metered"),
    ];
    let rules = [
        (Rule::AboveMaximum { asked: dollars("500"), maximum: dollars("100") }, "cap_above_maximum"),
        (Rule::LifetimeTooLong { asked: lifetime("8d"), maximum: lifetime("7d") }, "expiry_above_maximum"),
        (Rule::NotAllowed, "provider_not_allowed"),
        (Rule::TooManyProjects { live: 3, maximum: 3, source_of: source("max_projects") }, "project_limit_reached"),
        (
            Rule::TotalCap {
                asked: dollars("5"),
                committed: dollars("98"),
                total: dollars("100"),
                source_of: source("total_cap_usd"),
            },
            "total_cap_reached",
        ),
        (Rule::BudgetExhausted(monthly_excess("98")), "budget_exhausted"),
        (Rule::BudgetExhausted(monthly_excess("100")), "budget_exhausted"),
        (
            Rule::BudgetExhausted(Excess::ProviderCaps {
                provider: "exa".to_owned(),
                needed: dollars("60"),
                limit: dollars("40"),
                source: source("max_cap_usd"),
            }),
            "budget_exhausted",
        ),
    ];
    let rules = rules.into_iter().map(|(rule, code)| (rule.into(), code, Exit::Refused));
    let refusals = rows.into_iter().map(|(refusal, code)| (BackendError::from(refusal).into(), code, Exit::Backend));
    let incomplete = (BackendError::from(R::CannotDisable).into(), "cannot_disable", Exit::Incomplete);
    refusals.chain(rules).chain([incomplete]).collect()
}

fn env_files() -> Vec<Row> {
    use EnvFileError as E;
    let cannot_hold = |source| E::CannotHold { variable: variable(), source };
    let rows = [
        (cannot_hold(DotenvError::OpenQuote), "env_file_open_quote"),
        (cannot_hold(DotenvError::SelfCheck), "credential_not_representable"),
        (cannot_hold(DotenvError::Unrepresentable), "credential_not_representable"),
        (E::Directory { path: path() }, "env_file_is_a_folder"),
        (E::Exposed { path: path(), to: VersionControl::Git }, "env_file_exposed"),
        (E::Exposed { path: path(), to: VersionControl::Jujutsu }, "env_file_exposed"),
        (E::Exposed { path: path(), to: VersionControl::Mercurial }, "env_file_exposed"),
        (E::File(file()), "env_file_not_writable"),
        (E::Git(GitError::NoProgram(ProgramError::Refused(refused_program()))), "env_file_git_unknown"),
        (E::Git(GitError::NotRegular(path())), "env_file_git_unknown"),
        (E::Git(GitError::NotRunnable(denied())), "env_file_git_unknown"),
        (E::Git(GitError::TimedOut), "env_file_git_unknown"),
        (E::Git(GitError::Unclear), "env_file_git_unknown"),
        (E::LeadsOut { path: path() }, "env_file_outside"),
        (E::Locked { path: path() }, "env_file_locked"),
        (E::NotReplaceable { path: path(), why: Obstacle::AppendOnly }, "env_file_not_replaceable"),
        (E::NotReplaceable { path: path(), why: Obstacle::Immutable }, "env_file_not_replaceable"),
        (E::NotReplaceable { path: path(), why: Obstacle::MountPoint }, "env_file_not_replaceable"),
        (E::NotReplaceable { path: path(), why: Obstacle::Refused }, "env_file_not_replaceable"),
        (E::ReadOnly { path: path() }, "env_file_read_only"),
        (E::Taken { variable: variable(), path: path() }, "env_var_taken"),
        (E::Tracked { path: path() }, "env_file_tracked"),
        (E::Unsteady { path: path() }, "env_file_unsteady"),
    ];
    rows.into_iter().map(|(error, code)| (error.into(), code, Exit::Refused)).collect()
}

fn refused_program() -> RefusedProgram {
    RefusedProgram { path: PathBuf::from("/work/bin/git"), reason: Distrust::InWorkspace }
}

fn ledgers() -> Vec<Row> {
    use StoreError as E;
    let sqlite = || rusqlite::Error::InvalidQuery;
    let rows = [
        (E::Damaged(sqlite().into()).into(), "ledger_damaged"),
        (E::ForeignFile { name: "ledger.db".to_owned(), why: "it is a symbolic link" }.into(), "ledger_foreign_file"),
        (E::ForeignSchema(Difference::Added { kind: "trigger" }).into(), "ledger_foreign_schema"),
        (E::Newer { found: 99, known: 9 }.into(), "ledger_newer"),
        (E::OnAnotherHost { host: "alpha".to_owned(), process: 7 }.into(), "ledger_on_another_host"),
        (E::Unavailable(sqlite().into()).into(), "ledger_unavailable"),
        (E::Conflict(sqlite().into()).into(), "ledger_unavailable"),
        (E::Mistyped { column: 3 }.into(), "ledger_unreadable"),
        (E::File(file()).into(), "ledger_unavailable"),
        (E::Locked.into(), "ledger_unavailable"),
        (E::Unreadable { column: "status" }.into(), "ledger_unreadable"),
        (LedgerError::Gone, "ledger_gone"),
        (LedgerError::Moved { status: "torn_down" }, "wrong_status"),
    ];
    let behind = LedgerError::ClockBehind { now: time(), seen: time() };
    let rows = rows.into_iter().map(|(error, code)| (error.into(), code, Exit::Failure));
    rows.chain([(behind.into(), "clock_behind", Exit::Refused)]).collect()
}

fn words() -> Vec<Row> {
    let rows: [(Error, &str); 27] = [
        (MoneyError::Negative.into(), "invalid_amount"),
        (MoneyError::NotANumber.into(), "invalid_amount"),
        (MoneyError::TooLarge.into(), "invalid_amount"),
        (MoneyError::TooPrecise.into(), "invalid_amount"),
        (ApiBaseError.into(), "invalid_api_base"),
        (LifetimeError.into(), "invalid_duration"),
        (NameError::DangerousEnvVar.into(), "invalid_name"),
        (NameError::EnvVar.into(), "invalid_name"),
        (NameError::Project.into(), "invalid_name"),
        (NameError::Provider.into(), "invalid_name"),
        (NameError::Sensitive.into(), "invalid_name"),
        (NameError::Service.into(), "invalid_name"),
        (PaymentError::NotATestToken.into(), "invalid_payment_method"),
        (PaymentError::RawCardNumber.into(), "raw_card_number"),
        (refused(unknown_key()).into(), "invalid_registry"),
        (refused(Problem::UnknownProvider { meant: None, valid: vec![key()] }).into(), "invalid_registry"),
        (refused(Problem::NoFile).into(), "invalid_registry"),
        (refused(Problem::Dangling).into(), "invalid_registry"),
        (refused(Problem::Syntax).into(), "invalid_registry"),
        (refused(MoneyError::Negative.into()).into(), "invalid_registry"),
        (refused(Problem::Unreadable { why: io::ErrorKind::PermissionDenied }).into(), "invalid_registry"),
        (SimulatorError::AddressUnreadable.into(), "listen_address_invalid"),
        (SimulatorError::NotLoopback.into(), "listen_address_not_loopback"),
        (SimulatorError::UnknownProvider.into(), "unlinked_provider_unknown"),
        (SetupError::NoHome { host: Host::Cursor }.into(), "no_home"),
        (SetupError::PathNotText { path: path() }.into(), "path_not_text"),
        (SetupError::UnknownHost.into(), "unknown_host"),
    ];
    let failures = [
        (SimulatorError::CannotListen(denied()).into(), "cannot_listen", Exit::Failure),
        (SimulatorError::from(StoreError::Locked).into(), "simulated_world_unavailable", Exit::Failure),
    ];
    rows.into_iter().map(|(error, code)| (error, code, Exit::Usage)).chain(failures).collect()
}

fn setups() -> Vec<Row> {
    use SetupError as E;
    let refused = |why| E::Refused { why, path: path() };
    let shape = |why| E::Shape { why, path: path() };
    let rows = [
        (E::Changed { path: path() }, "config_changed", Exit::Refused),
        (E::NotText { path: path() }, "config_not_text", Exit::Refused),
        (E::NotWritten(file()), "config_not_writable", Exit::Failure),
        (refused(Refused::Dangling), "config_link_dangling", Exit::Refused),
        (refused(Refused::Folder), "config_is_a_folder", Exit::Refused),
        (refused(Refused::ReadOnly), "config_read_only", Exit::Refused),
        (refused(Refused::TooLarge), "config_too_large", Exit::Refused),
        (shape(ShapeError::Duplicate), "config_duplicate_key", Exit::Refused),
        (shape(ShapeError::NotATable { key: "mcpServers" }), "config_wrong_shape", Exit::Refused),
        (shape(ShapeError::Syntax { line: 3, column: 1 }), "config_syntax", Exit::Refused),
        (shape(ShapeError::Unusual), "config_not_editable", Exit::Refused),
        (E::TooManyBackups { path: path() }, "too_many_backups", Exit::Failure),
        (E::Unreadable(file()), "config_unreadable", Exit::Failure),
    ];
    rows.into_iter().map(|(error, code, exit)| (error.into(), code, exit)).collect()
}

fn name() -> ProjectName {
    ProjectName::parse("memory").unwrap()
}

fn key() -> ProviderKey {
    ProviderKey::parse("supermemory").unwrap()
}

fn variable() -> EnvVar {
    EnvVar::parse("MEMORY_API_KEY").unwrap()
}

fn state_folders() -> Vec<Row> {
    use StateFolderError as E;
    let refused = [
        E::Foreign { path: path() },
        E::ForeignHome { path: path(), owned: path() },
        E::GitUnclear { path: path(), why: GitError::Unclear },
        E::Link { path: path() },
        E::NotAFolder { path: path() },
        E::Open { path: path(), mode: 0o755 },
        E::Taken { path: path() },
    ];
    let mut rows: Vec<Row> =
        refused.into_iter().map(|error| (error.into(), "state_folder_unsafe", Exit::Refused)).collect();
    let wide = E::WorkspaceTooWide { workspace: path(), what: "home folder", path: path() };
    rows.push((wide.into(), "workspace_too_wide", Exit::Refused));
    let source = io::ErrorKind::PermissionDenied.into();
    let file = FsError { action: "look at", path: path(), source };
    rows.push((E::File(file).into(), "ledger_unavailable", Exit::Failure));
    rows
}

fn path() -> PathBuf {
    PathBuf::from("/work/x")
}

fn dollars(text: &str) -> Cents {
    Cents::parse_usd(text).unwrap()
}

fn lifetime(text: &str) -> Lifetime {
    Lifetime::parse(text).unwrap()
}

fn time() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn id() -> ApprovalId {
    ApprovalId::parse("ap-7k3f9q2m").unwrap()
}

fn denied() -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

fn file() -> FsError {
    FsError { action: "read", path: path(), source: denied() }
}

fn forgotten() -> BackendError {
    BackendError::Forgotten { name: "memory-1".to_owned(), place: "https://dashboard.stripe.com" }
}

fn refused(problem: Problem) -> RegistryError {
    RegistryError { file: "providers.toml".to_owned(), line: 3, column: 1, problem }
}

fn unknown_key() -> Problem {
    Problem::UnknownKey { meant: Some("label".to_owned()), valid: vec!["label".to_owned(), "service".to_owned()] }
}

fn source(key: &'static str) -> RuleSource {
    RuleSource { key, place: Some("policy.toml:3".to_owned()) }
}

fn monthly_excess(committed: &str) -> Excess {
    Excess::MonthlyBudget {
        month: Some(month()),
        needed: dollars("103"),
        committed: dollars(committed),
        limit: dollars("100"),
        source: source("monthly_max_usd"),
    }
}

fn month() -> Month {
    Month::parse("2026-11").unwrap()
}

fn question(without: Option<Cents>, command: String) -> Box<Question> {
    let subject = Subject {
        name: name(),
        provider: key(),
        service: ServiceRef::parse("supermemory/memory").unwrap(),
        cap: dollars("80"),
        shown: SubjectFacts { label: "Supermemory".to_owned(), paid: true, ..SubjectFacts::default() },
        digest: String::new(),
    };
    let approval = Approval {
        id: id(),
        subject,
        asked_by: "a client".to_owned(),
        created_at: time(),
        expires_at: time(),
        status: ApprovalStatus::Pending,
        decided_by: None,
        quiet_until: None,
    };
    let budget = BudgetFacts {
        cap: dollars("80"),
        period: CapPeriod::Month,
        raised_from: None,
        committed: Committed::none(month()),
        excess: vec![monthly_excess("98")],
    };
    let (live_projects, committed) = (0, dollars("0"));
    Box::new(Question { approval, live_projects, committed, without, command, budget })
}

fn unattended(answer: Answer) -> ApprovalError {
    let command = "stripe-projects-mcp approve ap-7k3f9q2m".to_owned();
    ApprovalError::Unattended { id: id(), command, answer }
}

fn state() -> ProjectState {
    let at = Timestamp::from_second(1_795_253_400).unwrap();
    let project = Project {
        id: ProjectId::from_stored("proj_1".to_owned()),
        name: name(),
        provider: ProviderKey::parse("supermemory").unwrap(),
        service: ServiceRef::parse("supermemory/memory").unwrap(),
        backend: "simulated".to_owned(),
        resource: None,
        status: Status::Active,
        cap: Cents::new(500).unwrap(),
        cap_period: CapPeriod::Total,
        last_usage: None,
        key_version: 1,
        mask: None,
        deliveries: vec![Delivery { env_var: EnvVar::parse("MEMORY_API_KEY").unwrap(), credential: None }],
        env_file: PathBuf::from("/work/.env"),
        expires_at: None,
        created_at: at,
        updated_at: at,
    };
    ProjectState { project, observation: Observation::Unknown, enforcement: CapEnforcement::Project, notes: Vec::new() }
}
