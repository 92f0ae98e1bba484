//! What every transport shows, made from the results of use cases. Nothing here can hold a [`domain::secret::Secret`].

mod budget;
mod leaks;

pub use budget::{BudgetClassView, BudgetView, SpendView};
use domain::{
    approval::Approval,
    channel::Channel,
    clock::Timestamp,
    diagnostic::Diagnostic as _,
    money::{MicroUsd, MoneyClass},
    name::EnvVar,
    project::Status,
};
use files::{fs::shell_quoted, registry::Registry};
pub use leaks::{LeakView, ScanView};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use storage::ledger::AcceptedBreak;

use crate::{
    error::{self, Error},
    project_state::{CapEnforcement, Note, Observation, ProjectState},
    provisioner::{Abandoned, AuditEntry, AuditProof, ProjectPage},
};

/// A project, masked.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
#[schemars(inline)]
pub struct ProjectView {
    pub name: String,
    pub provider: String,
    pub project_id: String,
    /// Known prefix and last four; the key itself is only in the env file.
    pub api_key_masked: Option<String>,
    /// `provisioning`, `active`, `suspended`, `rotating`, `tearing_down`, `torn_down` or `failed`
    pub status: String,
    pub spend_cap_usd: f64,
    /// The period for which the cap counts: `total`, `month` or `day`
    pub cap_per: String,
    /// Whether no real money is spent.
    pub simulated: bool,
    /// null: the backend cannot know
    pub usage_usd: Option<f64>,
    pub remaining_usd: Option<f64>,
    /// One more after each rotation.
    pub key_version: u32,
    /// The variable that holds the key.
    pub env_var: String,
    pub env_written_to: Option<String>,
    pub backend: String,
    pub cap_enforced_by: String,
    /// When it is torn down by itself; null: never
    pub expires_at: Option<String>,
    pub created_at: String,
    pub updated_at: String,
    /// What to do now.
    pub next: String,
}

/// Some of the projects, oldest first.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct ProjectList {
    pub projects: Vec<ProjectView>,
    pub live_count: u64,
    pub torn_down_count: u64,
    /// Give it back as `cursor` for the next page.
    pub next_cursor: Option<String>,
    /// Why something is unknown.
    pub warning: Option<String>,
}

/// What can be provisioned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProvidersView {
    pub providers: Vec<ProviderView>,
}

/// An entry of the registry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProviderView {
    pub key: String,
    pub label: String,
    pub service: String,
    pub env_var: String,
    pub extra_env: Vec<String>,
    pub default_cap_usd: f64,
    pub max_cap_usd: f64,
    pub paid: bool,
    pub docs: String,
}

/// The result of abandoning a purchase.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AbandonView {
    /// `found`, `given_up` or `never_was`
    pub came_of_it: &'static str,
    pub project: ProjectView,
}

/// Requests for approval, pending and decided.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApprovalsView {
    pub approvals: Vec<ApprovalView>,
}

/// A request for approval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApprovalView {
    pub id: String,
    pub name: String,
    pub provider: String,
    pub cap_usd: f64,
    pub asked_by: String,
    pub created_at: String,
    pub expires_at: String,
    /// `pending`, `approved`, `denied`, `used` or `expired`
    pub status: &'static str,
}

/// A row of the audit. Its facts were masked when it was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditView {
    pub seq: i64,
    pub at: String,
    /// `mcp`, `cli`, or a part of this program that acts by itself.
    pub door: String,
    /// A client's name and version, or a user and a terminal.
    pub actor: String,
    pub action: String,
    pub project: Option<String>,
    pub project_id: Option<String>,
    /// `called`, `intended`, `done`, `failed` or `refused`
    pub outcome: String,
    /// Arguments, answer, duration in ms, policy's decision, approval, and the backend's ids, where there are any.
    pub detail: Value,
    /// Over this row and the hash of the one before.
    pub hash: String,
}

/// A verified audit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProofView {
    pub whole: bool,
    pub rows: i64,
    /// The hash of the last row.
    pub head: String,
    /// Accepted breaks, where rows are missing.
    pub accepted: Vec<AcceptedBreakView>,
}

/// A break in the audit that a person accepted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AcceptedBreakView {
    /// The row that records the acceptance.
    pub row: i64,
    pub at: String,
    /// Who accepted it.
    pub actor: String,
    /// The last row of the head record that was replaced; null: it could not be read.
    pub head_row: Option<i64>,
}

/// A failure: a stable code, what happened, and what to do next.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorView {
    pub code: &'static str,
    pub message: String,
    pub hint: String,
    /// The project that already exists, for `already_exists`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<Box<ProjectView>>,
}

impl From<&ProjectState> for ProjectView {
    fn from(state: &ProjectState) -> Self {
        let project = &state.project;
        let env_file = project.env_file.display().to_string();
        Self {
            name: project.name.to_string(),
            provider: project.provider.to_string(),
            project_id: project.id.as_str().to_owned(),
            api_key_masked: project.mask.as_ref().map(|mask| mask.as_str().to_owned()),
            status: state.status().to_string(),
            spend_cap_usd: project.cap.usd(),
            cap_per: project.cap_period.to_string(),
            simulated: project.money() == MoneyClass::Simulated,
            usage_usd: state.usage().map(MicroUsd::usd),
            remaining_usd: state.remaining().map(MicroUsd::usd),
            key_version: project.key_version,
            next: next(state, &env_file),
            env_var: env_var(state).to_owned(),
            env_written_to: state.is_delivered().then_some(env_file),
            backend: project.backend.clone(),
            cap_enforced_by: cap_enforced_by(state),
            expires_at: project.expires_at.map(|at| at.to_string()),
            created_at: project.created_at.to_string(),
            updated_at: project.updated_at.to_string(),
        }
    }
}

impl ProjectList {
    /// Converts a page for the reader of a channel.
    pub fn new(page: &ProjectPage, channel: Channel) -> Self {
        let doubt = |error: &Error| format!("status and usage are as last known: {error}; {}", error.hint(channel));
        Self {
            projects: page.projects.iter().map(ProjectView::from).collect(),
            live_count: page.live,
            torn_down_count: page.torn_down,
            next_cursor: page.next.as_ref().map(ToString::to_string),
            warning: page.unobserved.as_ref().map(doubt),
        }
    }
}

impl From<&Abandoned> for AbandonView {
    fn from(abandoned: &Abandoned) -> Self {
        Self { came_of_it: abandoned.resolution.as_str(), project: (&abandoned.state).into() }
    }
}

impl ErrorView {
    /// Converts a failure for the reader of a channel, and logs its causes for debugging.
    pub fn new(error: &Error, channel: Channel) -> Self {
        tracing::debug!(code = error.code(), "{}", error::chain(error));
        let project = match error {
            Error::AlreadyExists { state } => Some(Box::new(ProjectView::from(&**state))),
            _ => None,
        };
        Self { code: error.code(), message: error.to_string(), hint: error.hint(channel), project }
    }
}

impl Error {
    /// Converts the failure to what every transport shows.
    pub fn view(&self, channel: Channel) -> ErrorView {
        ErrorView::new(self, channel)
    }
}

impl From<&Approval> for ApprovalView {
    fn from(approval: &Approval) -> Self {
        Self {
            id: approval.id.to_string(),
            name: approval.subject.name.to_string(),
            provider: approval.subject.provider.to_string(),
            cap_usd: approval.subject.cap.usd(),
            asked_by: approval.asked_by.clone(),
            created_at: approval.created_at.to_string(),
            expires_at: approval.expires_at.to_string(),
            status: approval.status.as_str(),
        }
    }
}

impl From<&AuditEntry> for AuditView {
    fn from(AuditEntry { row, detail }: &AuditEntry) -> Self {
        Self {
            seq: row.seq,
            at: time(row.at),
            door: row.channel.clone(),
            actor: row.actor.clone(),
            action: row.action.clone(),
            project: row.name.clone(),
            project_id: row.project.clone(),
            outcome: row.outcome.clone(),
            detail: detail.clone(),
            hash: row.hash.clone(),
        }
    }
}

impl From<&AuditProof> for ProofView {
    fn from(AuditProof { rows, head, accepted }: &AuditProof) -> Self {
        let accepted = accepted.iter().map(AcceptedBreakView::from).collect();
        Self { whole: true, rows: *rows, head: head.clone(), accepted }
    }
}

impl From<&AcceptedBreak> for AcceptedBreakView {
    fn from(AcceptedBreak { seq, at, actor, head_row }: &AcceptedBreak) -> Self {
        Self { row: *seq, at: time(*at), actor: actor.clone(), head_row: *head_row }
    }
}

impl ProvidersView {
    pub fn new(registry: &Registry) -> Self {
        let providers = registry.providers().map(|provider| {
            let mut variables = provider.deliveries.iter().map(|delivery| delivery.env_var.to_string());
            ProviderView {
                key: provider.key.to_string(),
                label: provider.label.clone(),
                service: provider.service.to_string(),
                env_var: variables.next().unwrap_or_default(),
                extra_env: variables.collect(),
                default_cap_usd: provider.default_cap.usd(),
                max_cap_usd: provider.max_cap.usd(),
                paid: provider.paid,
                docs: provider.docs.clone(),
            }
        });
        Self { providers: providers.collect() }
    }
}

/// Describes who enforces the cap, without overstating it.
fn cap_enforced_by(state: &ProjectState) -> String {
    let project = &state.project;
    match state.enforcement {
        CapEnforcement::OtherBackend => format!("the {} backend, which is not in use here", project.backend),
        CapEnforcement::Project => format!("the {} backend, per project", project.backend),
        CapEnforcement::ProviderAndMonth { shared: false } => "stripe, per provider and month".to_owned(),
        CapEnforcement::ProviderAndMonth { shared: true } => format!(
            "stripe, per provider and month; all live projects with {} share one limit, the sum of their caps",
            project.service.provider()
        ),
    }
}

fn next(state: &ProjectState, env_file: &str) -> String {
    let mut next = next_by_status(state, env_file);
    for note in &state.notes {
        match note {
            Note::ExcludedFromGit => {
                next += " Git would have committed that file, so it was added to .git/info/exclude.";
            }
            Note::StaysCommitted { amount, used, month } => {
                next += &match used {
                    Some(used) => format!(" {amount} USD of its cap count in {month}: it used {used} USD."),
                    None => format!(
                        " {amount} USD of its cap stay committed in {month}, because its usage is not known; a person can \
                         release them with `spend --release`."
                    ),
                };
            }
            Note::MayExist { resource, place } => {
                next = format!(
                    "If {resource} exists at {place}, it is billed and nothing here lists it: remove it there. The name \
                     and the variable are free."
                );
            }
        }
    }
    next
}

fn next_by_status(state: &ProjectState, env_file: &str) -> String {
    match state.status() {
        Status::Active => format!(
            "{} in {env_file} holds the key. Load that file in the process that needs it \
             (for example `set -a; . {}; set +a`), use the variable, and never print it.",
            env_var(state),
            shell_quoted(env_file)
        ),
        Status::Failed if state.observation == Observation::Gone => {
            "The backend no longer has this project. Tear it down to close it.".to_owned()
        }
        Status::Failed => "As far as is known it was never created. The name is free.".to_owned(),
        Status::Provisioning | Status::Rotating => {
            "It is not finished yet. If this stays, fix what the error reports and rotate it, or tear it down."
                .to_owned()
        }
        Status::Suspended => {
            "The key does not work: the cap is used up, or it was suspended at a terminal. Report that; \
             tear it down if it is not needed any more."
                .to_owned()
        }
        Status::TearingDown => "It is not removed yet. Tear it down again to finish.".to_owned(),
        Status::TornDown => "Nothing: it is removed, its key is revoked, and the name is free.".to_owned(),
    }
}

fn env_var(state: &ProjectState) -> &str {
    state.env_var().map(EnvVar::as_str).unwrap_or_default()
}

/// Returns a stored time, or empty text if the row was edited, which the audit chain shows.
fn time(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).map(|at| at.to_string()).unwrap_or_default()
}
