//! What every transport shows, made from the results of use cases. Nothing here can hold a [`domain::secret::Secret`].

mod approvals;
mod budget;
mod connections;
mod json;
mod leaks;

pub use approvals::{ApprovalView, ApprovalsView};
pub use budget::{BudgetClassView, BudgetView, SpendView};
pub use connections::{ConnectionPlanView, ConnectionView};
use domain::{
    channel::Channel,
    clock::Timestamp,
    diagnostic::Diagnostic as _,
    money::{MicroUsd, MoneyClass},
    name::EnvVar,
    project::Status,
    visible::visible,
};
use files::{
    fs::shell_quoted,
    registry::{Provider, Registry},
};
pub use json::visible_json;
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
    /// The file and line that denies it; null: it is allowed
    pub denied_by: Option<String>,
    /// What the caps of all its live projects may sum up to; null: no policy limits it
    pub max_total_usd: Option<f64>,
}

/// The result of abandoning a purchase.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AbandonView {
    /// `found`, `given_up` or `never_was`
    pub came_of_it: &'static str,
    pub project: ProjectView,
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
            next: next(state),
            env_var: env_var(state).to_owned(),
            env_written_to: state.is_delivered().then(|| project.env_file.to_string_lossy().into_owned()),
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
                denied_by: denied_by(registry, provider),
                max_total_usd: registry.policy.provider_totals.get(&provider.key).map(|total| total.usd()),
            }
        });
        Self { providers: providers.collect() }
    }
}

/// Returns the line that denies a provider, from its own policy or from the registry's.
fn denied_by(registry: &Registry, provider: &Provider) -> Option<String> {
    let line = |key| provider.sources.get(key).or_else(|| registry.policy.sources.get(key));
    let place =
        || line("denied").or_else(|| line("allowed")).cloned().unwrap_or_else(|| "the registry's policy".to_owned());
    (!registry.allows(provider)).then(place)
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

fn next(state: &ProjectState) -> String {
    let mut next = next_by_status(state);
    for note in &state.notes {
        match note {
            Note::ExcludedFromGit => {
                next += " Git would have committed that file, so it was added to .git/info/exclude.";
            }
            Note::StaysCommitted { amount, used, month } => {
                let kept = match used {
                    Some(used) => format!(" {amount} USD of its cap count in {month}: it used {used} USD."),
                    None => format!(
                        " {amount} USD of its cap stay committed in {month}, because its usage is not known; a person can \
                         release them with `spend --release`."
                    ),
                };
                next += &kept;
            }
            Note::MayExist { resource, place } => {
                next = format!(
                    "If {} exists at {place}, it is billed and nothing here lists it: remove it there. The name \
                     and the variable are free.",
                    visible(resource)
                );
            }
        }
    }
    next
}

fn next_by_status(state: &ProjectState) -> String {
    let env_file = &state.project.env_file;
    match state.status() {
        Status::Active => format!(
            "{} in {} holds the key. Load that file in the process that needs it \
             (for example `set -a; . {}; set +a`), use the variable, and never print it.",
            env_var(state),
            visible(env_file),
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
