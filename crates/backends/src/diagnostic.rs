//! Diagnostics of backends. Nearly all end with [`Exit::Backend`]: nothing happened, or the backend has to be asked.

use domain::channel::Channel;
use domain::diagnostic::{Diagnostic, Exit, PROGRAM};
use domain::visible::visible;
use files::fs::shell_word;

use super::{BackendError, Consent, Refusal, Setup};

impl Diagnostic for BackendError {
    fn code(&self) -> &'static str {
        match self {
            Self::Forgotten { .. } => "backend_forgot",
            Self::Malformed { .. } => "backend_malformed",
            Self::NeedsBrowser => "browser_needed",
            Self::NeedsConsent(consent) => consent.code(),
            Self::NeedsInformation { .. } => "needs_information",
            Self::NeedsLink { .. } => "needs_link",
            Self::NotConnected { .. } => "workspace_not_connected",
            Self::NotFound => "resource_not_found",
            Self::NotLinked { .. } => "provider_not_linked",
            Self::NotSetUp(missing) => missing.code(),
            Self::Refused(refusal) => refusal.code(),
            Self::Unauthenticated => "backend_unauthenticated",
            Self::Unavailable { .. } => "backend_unavailable",
            Self::Unknown { .. } => "backend_unclear",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::Forgotten { place, .. } => {
                channel.person(&format!("look at {place}: a resource that exists there is billed and is removed there"))
            }
            Self::Malformed { .. } => {
                channel.person("update this program; if the error stays, report the message above")
            }
            Self::NeedsBrowser => channel.person_runs(
                "stripe projects status",
                " in the folder stripe-cli of the state folder and continue in the browser; then try again",
            ),
            Self::NeedsConsent(consent) => consent.hint(channel),
            Self::NeedsInformation { .. } => {
                channel.person("add these to `config` of the provider's entry in the registry; then try again")
            }
            Self::NeedsLink { url } => channel.person(&format!("open {url} in a browser; then try again")),
            Self::NotConnected { backend } => {
                channel.person_runs(&format!("{PROGRAM} connect {backend}"), " in this folder; then try again")
            }
            Self::NotFound => channel.select(
                "call teardown to close the project; it was removed outside of this program".to_owned(),
                format!("run `{PROGRAM} teardown NAME` to close the project; it was removed outside of this program"),
            ),
            Self::NotLinked { provider, folder } => channel.person_runs(
                &format!("stripe projects link {}", shell_word(provider)),
                &format!(" in the folder {}; then try again", visible(folder)),
            ),
            Self::NotSetUp(missing) => missing.hint(channel),
            Self::Refused(refusal) => refusal.hint(channel),
            Self::Unauthenticated => channel.person(
                "check the key in STRIPE_API_KEY (revoked, or without the rights for Stripe Projects), or run `stripe login`",
            ),
            Self::Unavailable { .. } | Self::Unknown { .. } => "try again when the backend answers".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NotConnected { .. } => Exit::Refused,
            Self::Refused(refusal) => refusal.exit(),
            _ => Exit::Backend,
        }
    }
}

impl Diagnostic for Consent {
    fn code(&self) -> &'static str {
        match self {
            Self::Other => "needs_consent",
            Self::Price => "price_not_confirmed",
            Self::Terms => "terms_not_accepted",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::Other => channel.person_runs(
                "stripe projects",
                " in a terminal, in the folder stripe-cli of the state folder, and confirm it there once; then try again",
            ),
            Self::Price => channel.select(
                "ask the user whether they agree to be billed; only they may write `paid = true` into the provider's \
                 entry of the registry; then try again"
                    .to_owned(),
                "write `paid = true` into the provider's entry of the registry if you agree to be billed; then try again"
                    .to_owned(),
            ),
            Self::Terms => channel.select(
                "ask the user to read the provider's terms; only they may write `terms_accepted = true` into its entry \
                 in ~/.config/stripe-projects/providers.toml, or start this program with `--accept-tos`; then try again"
                    .to_owned(),
                "read the provider's terms, then write `terms_accepted = true` into its entry in \
                 ~/.config/stripe-projects/providers.toml or add `--accept-tos`"
                    .to_owned(),
            ),
        }
    }

    fn exit(&self) -> Exit {
        Exit::Backend
    }
}

impl Diagnostic for Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::AccountNotEligible => "account_not_eligible",
            Self::CannotDisable => "cannot_disable",
            Self::CapReached => "cap_reached",
            Self::CardDeclined => "card_declined",
            Self::Configuration { .. } => "invalid_configuration",
            Self::LimitNotSet { .. } => "limit_not_set",
            Self::MonthlyLimitReached { .. } => "monthly_limit_reached",
            Self::PlanRequired => "plan_required",
            Self::ProviderFailed { .. } => "provider_failed",
            Self::ServiceMissing { .. } => "service_missing",
            Self::Suspended => "suspended",
            Self::TooMany => "too_many_resources",
            Self::UsageIsMetered => "usage_is_metered",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::AccountNotEligible => channel.person_runs(
                "stripe projects init --preflight",
                " to see what Stripe requires, or use another account",
            ),
            Self::CannotDisable => channel.select(
                "call teardown for the project to stop it for good".to_owned(),
                "tear the project down to stop it for good".to_owned(),
            ),
            Self::CapReached => channel.select(
                "call teardown for the project, or provision another one with a cap that the user accepts".to_owned(),
                "tear the project down, or provision another one with a higher cap".to_owned(),
            ),
            Self::CardDeclined => channel.person(
                "use another payment method: at Stripe, or `--payment-method pm_card_visa` in the simulation",
            ),
            Self::Configuration { .. } => channel.person(
                "correct `config` in the provider's entry of the registry; `stripe projects catalog` shows the schema",
            ),
            Self::LimitNotSet { .. } => channel.person(
                "set up billing at Stripe, then try again; nothing was provisioned, because nothing would have capped it",
            ),
            Self::MonthlyLimitReached { .. } => channel.select(
                "wait for the next month, or ask the user to raise the provider's limit".to_owned(),
                "wait for the next month, or raise the provider's limit".to_owned(),
            ),
            Self::PlanRequired => {
                channel.person("add `plan` to the provider's entry of the registry; then try again")
            }
            Self::ProviderFailed { .. } => channel.select(
                "try again later; if it fails again, ask the user to contact the provider".to_owned(),
                "try again later; if it fails again, contact the provider".to_owned(),
            ),
            Self::ServiceMissing { .. } => channel.person(
                "look for it with `stripe projects search`, and correct `service` in the provider's entry of the \
                 registry",
            ),
            Self::Suspended => channel.select(
                "call teardown if the project is not needed any more".to_owned(),
                "tear the project down if you do not need it any more".to_owned(),
            ),
            Self::TooMany => channel.select(
                "use the existing one, or call teardown for it first".to_owned(),
                "use the existing one, or tear it down first".to_owned(),
            ),
            Self::UsageIsMetered => "record usage by hand in the simulation only".to_owned(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::CannotDisable => Exit::Incomplete,
            _ => Exit::Backend,
        }
    }
}

impl Diagnostic for Setup {
    fn code(&self) -> &'static str {
        match self {
            Self::CliMissing => "stripe_cli_missing",
            Self::CliTooOld => "stripe_cli_too_old",
            Self::KeyMissing => "api_key_missing",
            Self::KeyUnfit => "api_key_unfit",
            Self::LoggedOut => "not_logged_in",
            Self::OtherProject { .. } => "other_stripe_project",
            Self::WrongAccount => "wrong_stripe_account",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::CliMissing => channel.person(
                "install the Stripe CLI (https://docs.stripe.com/stripe-cli), or name it with `--stripe-bin`",
            ),
            Self::CliTooOld => channel.person("update the Stripe CLI to 1.40 or newer"),
            Self::KeyMissing => channel.person(
                "set STRIPE_API_KEY to a restricted key (rk_…) where this program is started, or name a file that holds \
                 it with `--stripe-api-key-file`",
            ),
            Self::KeyUnfit => {
                channel.person("use a key on one line that begins with rk_test_, rk_live_, sk_test_ or sk_live_")
            }
            Self::LoggedOut => {
                channel.person_runs("stripe login", ", then `stripe plugin install projects`; then try again")
            }
            Self::OtherProject { folder } => channel.person(&format!(
                "restore {} as it was, or name another `--state-dir`: what this workspace provisioned is in another \
                 Stripe project",
                visible(folder)
            )),
            Self::WrongAccount => channel.person(
                "use a key of the account and mode (test or live) that this workspace was provisioned with, or run \
                 `stripe login` with it; for another account or mode, name another `--state-dir`",
            ),
        }
    }

    fn exit(&self) -> Exit {
        Exit::Backend
    }
}
