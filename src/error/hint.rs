//! What to do next, for each failure: a command or a change, in one or two sentences.

use super::{Error, approval};
use crate::{
    backend::{BackendError, Consent, Refusal, Setup},
    dotenv::DotenvError,
    env_file::EnvFileError,
    git::GitError,
    ledger::{LedgerError, Operation},
    money::MoneyError,
    name::{NameError, ProviderKey},
    policy::Rule,
    registry::{Problem, RegistryError},
    setup::{Refused, SetupError, ShapeError},
    simulator::SimulatorError,
    store::StoreError,
};

impl Error {
    /// The next command or change, standing on its own.
    pub fn hint(&self) -> String {
        match self {
            Self::AlreadyExists { project } => format!(
                "use it ({} holds its key), choose another name, or run `{PROGRAM} teardown {}` first",
                project.env_var, project.name
            ),
            Self::Approval(error) => approval::hint(error),
            Self::AuditBroken { broken } if broken.may_be_accepted() => format!(
                "if you put a backup of ledger.db in its place, run `{PROGRAM} audit --accept`; if you did not, somebody \
                 else did: look at what is billed with the backend itself, and do not delete `audit.head`, which is the \
                 evidence"
            ),
            Self::AuditBroken { .. } => {
                "somebody changed the ledger or put an older one in its place: compare it with a backup, look at \
                 what is billed with the backend itself, and do not delete `audit.head`, which is the evidence"
                    .to_owned()
            }
            Self::Backend(error) => backend(error),
            Self::Ceiling(error) => ceiling(error),
            Self::EnvFile(error) => env_file(error),
            Self::File(_) => "check that the folder exists, has space and may be written by you".to_owned(),
            Self::InvalidAmount(error) => amount(*error),
            Self::InvalidBase(_) => {
                "leave `--stripe-api-base` out for Stripe itself, or give the address that `simulator` says".to_owned()
            }
            Self::InvalidCursor => "call without a cursor to begin at the first page".to_owned(),
            Self::InvalidLifetime(_) => "write 30m, 8h or 7d".to_owned(),
            Self::InvalidLimit => "leave the limit out for 50, or give a number from 1 to 200".to_owned(),
            Self::InvalidName(error) => name(*error),
            Self::InvalidTime => {
                "give a time such as 2026-11-21T09:30:00Z or 2026-11-21, or how long ago: 30m, 8h, 7d".to_owned()
            }
            Self::KeyNotRecorded { name } => format!(
                "it was rotated outside of this program; run `{PROGRAM} rotate {name}` for one that is in the env file"
            ),
            Self::Ledger(error) => ledger(error),
            Self::NoFolder { .. } => "name an existing folder with `--dir`".to_owned(),
            Self::NoKeyFile { .. } => "name an existing file with `--stripe-api-key-file`".to_owned(),
            Self::NoPath { .. } => "name files or folders that exist; they count from the current folder".to_owned(),
            Self::NoRandomness(_) => "restart the machine; without randomness no key is safe".to_owned(),
            Self::NotConfirmed { asked: true } => "nothing was changed; answer `y` to go on".to_owned(),
            Self::NotConfirmed { asked: false } => "add `--yes` if you are sure".to_owned(),
            Self::NotDelivered { name, why, .. } => format!(
                "{}; then run `{PROGRAM} rotate {name}` for a working key, or `{PROGRAM} teardown {name}` to stop paying",
                why.hint()
            ),
            Self::NotSuspended { name, why } | Self::NotWithdrawn { name, why, operation: Operation::Suspend } => {
                format!("{}; then run `{PROGRAM} suspend {name}` again", why.hint())
            }
            Self::NotTornDown { name, why } | Self::NotWithdrawn { name, why, .. } => {
                format!("{}; then run `{PROGRAM} teardown {name}` again", why.hint())
            }
            Self::NothingToAbandon { name } => {
                format!("run `{PROGRAM} list` to see where it stands, and `{PROGRAM} teardown {name}` if it is to go")
            }
            Self::OutcomeUnknown { name, operation, why } => outcome_unknown(name.as_str(), *operation, why),
            Self::PathNotText { .. } => "use a path that is plain text".to_owned(),
            Self::PaymentMethod(_) => "give one of Stripe's test tokens, such as pm_card_visa".to_owned(),
            Self::ProjectBusy => "wait for it to finish and call again".to_owned(),
            Self::ProjectNotFound { torn_down: true } => "provision it again if you still need it".to_owned(),
            Self::ProjectNotFound { torn_down: false } => format!("run `{PROGRAM} list` to see the names there are"),
            Self::Registry(error) => registry(error),
            Self::RotationNotEffective { name } => format!(
                "the old key may still work: run `{PROGRAM} teardown {name}` if it has leaked, and provision anew"
            ),
            Self::Rule(rule) => policy(*rule),
            Self::Setup(error) => host_config(error),
            Self::Simulator(error) => simulator(error).to_owned(),
            Self::StoppedWaiting => {
                "run the same command again: it finishes this first, and never buys twice".to_owned()
            }
            Self::Suspended { name } => format!("let the human run `{PROGRAM} resume {name}`, or tear it down"),
            Self::UnknownBackend => "there are: simulated, stripe-cli, stripe-api".to_owned(),
            Self::UnknownProvider { known, .. } => format!("the registry has: {}", listed(known)),
            Self::UnknownTool => "there are: list_projects, provision, rotate_key, teardown".to_owned(),
            Self::WrongBackend { theirs, .. } => format!("run the same with `--backend {theirs}`"),
        }
    }
}

fn outcome_unknown(name: &str, operation: Operation, why: &Error) -> String {
    if let Error::Backend(BackendError::Forgotten { place, .. }) = why {
        return format!(
            "a human looks at {place} first: what exists there is billed, and is removed there; then he runs \
             `{PROGRAM} abandon {name}`, which frees the name and the variable"
        );
    }
    let again = match operation {
        Operation::Provision | Operation::Teardown => {
            "call provision again with the same name: it looks before it acts, and never buys twice"
        }
        Operation::Rotate => "call rotate again: it looks before it acts",
        Operation::Resume | Operation::Suspend => "run the same again: it looks before it acts",
    };
    format!("{}; then {again}. Until then `{PROGRAM} list` shows {name} as it is known", why.hint())
}

fn backend(error: &BackendError) -> String {
    match error {
        BackendError::Forgotten { place, .. } => {
            format!("a human looks at {place}: what exists there is billed, and is removed there")
        }
        BackendError::Malformed { .. } => "update this program; if it stays, report the message above".to_owned(),
        BackendError::NeedsBrowser => {
            "a human runs `stripe projects status` in a terminal, in the folder stripe-cli of the state folder, and \
             follows it into the browser; then call again"
                .to_owned()
        }
        BackendError::NeedsConsent(Consent::Other) => {
            "a human does it once with `stripe projects` in a terminal, in the folder stripe-cli of the state folder; \
             then call again"
                .to_owned()
        }
        BackendError::NeedsConsent(Consent::Price) => {
            "it is billed: if the human agrees, he writes `paid = true` into the provider's entry of the registry; then \
             call again"
                .to_owned()
        }
        BackendError::NeedsConsent(Consent::Terms) => {
            "the human reads the provider's terms, and writes `terms_accepted = true` into its entry of the registry or \
             starts this program with `--accept-tos`; then call again"
                .to_owned()
        }
        BackendError::NeedsInformation { .. } => {
            "the human adds these to `config` of the provider's entry in the registry; then call again".to_owned()
        }
        BackendError::NeedsLink { url } => format!("a human opens {url} in a browser; then call again"),
        BackendError::NotFound => {
            "it was removed outside of this program; tear the project down to close it here".to_owned()
        }
        BackendError::NotLinked { provider, folder } => format!(
            "a human runs `stripe projects link {provider}` in a terminal, in {}; then call again",
            folder.display()
        ),
        BackendError::NotSetUp(missing) => setup(missing),
        BackendError::Refused(refusal) => refused(refusal),
        BackendError::Unauthenticated => {
            "check the key in STRIPE_API_KEY (it is revoked, or lacks the rights for Stripe Projects), or run `stripe login`"
                .to_owned()
        }
        BackendError::Unavailable { .. } | BackendError::Unknown { .. } => {
            "try again when the backend answers".to_owned()
        }
    }
}

fn refused(refusal: &Refusal) -> String {
    let words = match refusal {
        Refusal::AccountNotEligible => {
            "run `stripe projects init --preflight` to see what Stripe wants, or use another account"
        }
        Refusal::CapReached => {
            "the budget is spent; tear the project down, or provision another with a cap the human agrees to"
        }
        Refusal::CardDeclined => {
            "use another payment method: at Stripe, or `--payment-method pm_card_visa` in the simulation"
        }
        Refusal::Configuration { .. } => {
            "correct `config` in the provider's entry of the registry; `stripe projects catalog` shows the schema"
        }
        Refusal::LimitNotSet { .. } => {
            "nothing was provisioned, because nothing would have capped it: set up billing at Stripe, then call again"
        }
        Refusal::MonthlyLimitReached { .. } => "wait for the next month, or let the human raise the provider's limit",
        Refusal::PlanRequired => "the human adds `plan` to the provider's entry of the registry; then call again",
        Refusal::ProviderFailed { .. } => "try again later; if it stays, ask the provider",
        Refusal::ServiceMissing { .. } => {
            "look for it with `stripe projects search`, and correct `service` in the provider's entry of the registry"
        }
        Refusal::Suspended => "tear it down if it is not needed any more",
        Refusal::TooMany => "use or tear down the one there is",
        Refusal::UsageIsMetered => "usage is recorded by hand in the simulation only",
    };
    words.to_owned()
}

fn setup(missing: &Setup) -> String {
    match missing {
        Setup::CliMissing => {
            "install the Stripe CLI (https://docs.stripe.com/stripe-cli), or name it with `--stripe-bin`"
        }
        Setup::CliTooOld => "update the Stripe CLI to 1.40 or newer",
        Setup::KeyMissing => {
            "set STRIPE_API_KEY to a restricted key (rk_…) where this program is started, or name a file that holds it \
             with `--stripe-api-key-file`"
        }
        Setup::KeyUnfit => "a key begins with rk_test_, rk_live_, sk_test_ or sk_live_ and is one line",
        Setup::LoggedOut => "run `stripe login`, then `stripe plugin install projects`, in a terminal; then call again",
        Setup::OtherProject { folder } => {
            return format!(
                "what this workspace provisioned is in another Stripe project: put {} back as it was, or name another \
                 `--state-dir`",
                folder.display()
            );
        }
        Setup::WrongAccount => {
            "use a key of the account that this workspace was provisioned with, test or live as it was, or run \
             `stripe login` with it; for another account or mode, name another `--state-dir`"
        }
    }
    .to_owned()
}

fn env_file(error: &EnvFileError) -> String {
    match error {
        EnvFileError::CannotHold { source: DotenvError::OpenQuote, .. } => {
            "close the quote that is left open in the env file".to_owned()
        }
        EnvFileError::CannotHold { source: DotenvError::SelfCheck | DotenvError::Unrepresentable, .. } => {
            "readers of env files would disagree about it; name another variable in the registry, or let the \
             provider give out another kind of credential"
                .to_owned()
        }
        EnvFileError::Directory { .. } => "name a file with `--env-file`".to_owned(),
        EnvFileError::Exposed { .. } => {
            "remove the rule in .gitignore that takes the file back in, such as `!.env`".to_owned()
        }
        EnvFileError::File(_) => {
            "make the folder of the env file exist and writable by you, or name another file with `--env-file`"
                .to_owned()
        }
        EnvFileError::Git(GitError::NotRunnable(_) | GitError::Unclear) => {
            "make `git status` work in that folder, or name a file outside of it with `--env-file`".to_owned()
        }
        EnvFileError::Locked { .. } => "call again; if it stays, end the process that is stuck".to_owned(),
        EnvFileError::ReadOnly { path } => {
            format!("run `chmod u+w {}`, or name another file with `--env-file`", path.display())
        }
        EnvFileError::Taken { variable, .. } => format!(
            "remove or rename {variable} in that file, or let the human run \
             `{PROGRAM} provision … --replace` to overwrite it"
        ),
        EnvFileError::Tracked { path } => {
            format!("run `git rm --cached {0}` and ignore it, or name another file with `--env-file`", path.display())
        }
    }
}

fn ledger(error: &LedgerError) -> String {
    match error {
        LedgerError::Store(StoreError::Newer { .. }) => "update this program".to_owned(),
        LedgerError::Store(StoreError::Damaged(_) | StoreError::Mistyped { .. } | StoreError::Unreadable { .. }) => {
            "end every server of this folder and put a backup of ledger.db into the state folder, without the files \
             ledger.db-wal and ledger.db-shm; the projects it listed are still billed, and at Stripe they can be seen"
                .to_owned()
        }
        LedgerError::Store(StoreError::Locked) => "call again; if it stays, end the process that is stuck".to_owned(),
        LedgerError::Store(StoreError::Conflict(_) | StoreError::File(_) | StoreError::Unavailable(_)) => {
            "check that the state folder (.stripe-projects) has space and may be written by you".to_owned()
        }
        LedgerError::Gone => format!(
            "put ledger.db back into the state folder, from a backup if need be; if it was taken away on purpose, let the \
             human run `{PROGRAM} audit --accept` and begin anew: what it listed is still billed"
        ),
        LedgerError::Moved { .. } => format!("run `{PROGRAM} list` to see where the project stands"),
    }
}

fn amount(error: MoneyError) -> String {
    match error {
        MoneyError::Negative => "give 0 for the provider's default, or a positive amount".to_owned(),
        MoneyError::NotANumber => "write dollars as 15 or 15.50, without a sign or a currency".to_owned(),
        MoneyError::TooLarge => "ask for less".to_owned(),
        MoneyError::TooPrecise => "round a cap to whole cents, usage to millionths of a dollar".to_owned(),
    }
}

fn name(error: NameError) -> String {
    match error {
        NameError::DangerousEnvVar | NameError::EnvVar => {
            "choose a variable such as MEMORY_API_KEY in the registry, or a shorter project name".to_owned()
        }
        NameError::Project => "choose a name such as agent-memory".to_owned(),
        NameError::Provider => format!("run `{PROGRAM} providers` to see the keys there are"),
        NameError::Sensitive => {
            "choose a name such as agent-memory; if that was a real key, rotate it now, it is in your history"
                .to_owned()
        }
        NameError::Service => "copy the service's name from `stripe projects catalog`".to_owned(),
    }
}

fn registry(error: &RegistryError) -> String {
    match &error.problem {
        Problem::UnknownKey { valid, .. } => format!("the keys that go here: {}", valid.join(", ")),
        Problem::UnknownProvider { valid, .. } => format!("the providers in this file: {}", listed(valid)),
        Problem::NoFile => "name an existing file with `--providers`".to_owned(),
        _ => format!(
            "correct the file and run `{PROGRAM} providers check`; until then nothing is provisioned, \
             and list, rotate and teardown go on"
        ),
    }
}

/// A policy that cannot be read might have been a no.
fn ceiling(error: &RegistryError) -> String {
    match &error.problem {
        Problem::UnknownKey { valid, .. } => format!("the keys that go here: {}", valid.join(", ")),
        Problem::Dangling => {
            "the human lets that link lead to the policy again, or removes it; until then nothing is provisioned, and \
             list, rotate and teardown go on"
                .to_owned()
        }
        Problem::NoFile => "let STRIPE_PROJECTS_POLICY name an existing file, or unset it".to_owned(),
        _ => "the human corrects that file; until then nothing is provisioned, and list, rotate and teardown go on"
            .to_owned(),
    }
}

fn policy(rule: Rule) -> String {
    match rule {
        Rule::AboveMaximum { maximum, .. } => format!("ask for {maximum} USD or less"),
        Rule::LifetimeTooLong { maximum, .. } => format!("ask for {maximum} or less"),
        Rule::NotAllowed => format!("run `{PROGRAM} providers` to see the others"),
        Rule::TooManyProjects { .. } | Rule::TotalCap { .. } => {
            "tear down what is not needed any more, or let the human change the policy".to_owned()
        }
    }
}

fn host_config(error: &SetupError) -> String {
    match error {
        SetupError::Changed { .. } => "nothing was changed; call again".to_owned(),
        SetupError::NoHome { .. } => "set HOME (on Windows APPDATA) and call again".to_owned(),
        SetupError::NotText { .. } => "save the file as UTF-8 and call again".to_owned(),
        SetupError::NotWritten(_) | SetupError::Unreadable(_) => {
            "check that the file and its folder may be read and written by you".to_owned()
        }
        SetupError::PathNotText { .. } => "use a path that is plain text".to_owned(),
        SetupError::Refused { why: Refused::Dangling, .. } => {
            "make the link lead to a file, or remove it; then call again".to_owned()
        }
        SetupError::Refused { why: Refused::Folder, .. } => "move the folder away and call again".to_owned(),
        SetupError::Refused { why: Refused::ReadOnly, path } => {
            format!("run `chmod u+w {}` and call again", path.display())
        }
        SetupError::Refused { why: Refused::TooLarge, .. }
        | SetupError::Shape { why: ShapeError::NotATable { .. } | ShapeError::Unusual, .. } => {
            "look at the file; `--print` shows what to put into it by hand".to_owned()
        }
        SetupError::Shape { why: ShapeError::Duplicate, .. } => {
            "remove one of the two and call again: hosts disagree about which one counts".to_owned()
        }
        SetupError::Shape { why: ShapeError::Syntax { .. }, .. } => {
            "the host cannot read it either: correct the file there and call again".to_owned()
        }
        SetupError::TooManyBackups { .. } => "remove the old ones that you do not need".to_owned(),
        SetupError::UnknownHost => "there are: cursor, claude-desktop, claude-code, vscode, codex".to_owned(),
    }
}

fn simulator(error: &SimulatorError) -> &'static str {
    match error {
        SimulatorError::AddressUnreadable => "write it as 127.0.0.1:12111, or with port 0 for any free one",
        SimulatorError::CannotListen(_) => "give another port with `--listen`; 127.0.0.1:0 takes any free one",
        SimulatorError::NotLoopback => "listen on 127.0.0.1 or [::1]: the simulator gives keys to whoever can reach it",
        SimulatorError::UnknownProvider => "name a provider of the catalog, such as Supermemory",
        SimulatorError::Store(_) => {
            "check that the state folder (.stripe-projects) has space and may be written by you"
        }
    }
}

fn listed(keys: &[ProviderKey]) -> String {
    keys.iter().map(ProviderKey::as_str).collect::<Vec<_>>().join(", ")
}

pub(super) const PROGRAM: &str = "stripe-projects-mcp";
