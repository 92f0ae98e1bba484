//! What an outsider may see, in one shape for every door. Nothing here can hold a [`crate::secret::Secret`].

mod leaks;

pub use leaks::{LeakView, ScanView};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    approval::Approval,
    backend::{Backend, CapScope, Observed},
    clock::Timestamp,
    ledger::{AcceptedBreak, AuditRow},
    money::MicroUsd,
    project::{Project, Status},
    registry::Registry,
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

/// What came of giving a purchase up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AbandonView {
    pub came_of_it: Resolution,
    pub project: ProjectView,
}

/// What is known in the end of a purchase whose answer was lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The backend could still tell: it exists, and has been finished.
    Found,
    /// Nobody could tell, and a human gave it up.
    GivenUp,
    /// The backend could still tell: there was never anything.
    NeverWas,
}

/// What waits for a human's yes, and what became of what waited.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApprovalsView {
    pub approvals: Vec<ApprovalView>,
}

/// A request for a human's yes.
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

/// A row of the audit. What it tells of is masked already when it is written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditView {
    pub seq: i64,
    pub at: String,
    /// `mcp`, `cli`, or a part of ours that acts by itself.
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
    #[serde(skip)]
    milliseconds: i64,
}

/// An audit that is whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProofView {
    pub whole: bool,
    pub rows: i64,
    /// The hash of the last row.
    pub head: String,
    /// Where rows are missing that a human has given up.
    pub accepted: Vec<AcceptedBreakView>,
}

/// A break in the audit that a human has accepted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AcceptedBreakView {
    /// The row that says so.
    pub row: i64,
    pub at: String,
    /// Who accepted it.
    pub actor: String,
    /// How far the head record had come that was given up; null: it could not be read.
    pub head_row: Option<i64>,
}

/// A failure: a stable code, what happened, and what to do next.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorView {
    pub code: &'static str,
    pub message: String,
    pub hint: String,
    /// The project that stands in the way, if that is what happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<Box<ProjectView>>,
}

/// What the backend was found to say of a project.
#[derive(Clone, Copy, Debug)]
pub enum Sight<'a> {
    /// It has no such resource.
    Gone,
    /// It was not asked, or did not answer.
    Unknown,
    Seen(&'a Observed),
}

impl ProjectView {
    /// `shares` says whether another live project has the same provider at Stripe.
    pub fn new(project: &Project, sight: Sight<'_>, backend: &dyn Backend, shares: bool) -> Self {
        let status = status(project, sight);
        let usage = match sight {
            Sight::Seen(observed) => observed.usage,
            Sight::Gone | Sight::Unknown => None,
        };
        let delivered = status.is_live() && project.key_version > 0 && project.status != Status::Suspended;
        let env_var = project.deliveries.first().map(|delivery| delivery.env_var.to_string()).unwrap_or_default();
        let env_file = project.env_file.display().to_string();
        Self {
            name: project.name.to_string(),
            provider: project.provider.to_string(),
            project_id: project.id.as_str().to_owned(),
            api_key_masked: project.mask.as_ref().map(|mask| mask.as_str().to_owned()),
            status: status.to_string(),
            spend_cap_usd: project.cap.usd(),
            usage_usd: usage.map(MicroUsd::usd),
            remaining_usd: usage.map(|usage| project.cap.micro_usd().saturating_sub(usage).usd()),
            key_version: project.key_version,
            next: next(status, sight, &env_var, &env_file),
            env_var,
            env_written_to: delivered.then_some(env_file),
            backend: project.backend.clone(),
            cap_enforced_by: cap_enforced_by(project, backend, shares),
            expires_at: project.expires_at.map(|at| at.to_string()),
            created_at: project.created_at.to_string(),
            updated_at: project.updated_at.to_string(),
        }
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

impl AuditView {
    /// When it was written, in milliseconds since 1970.
    pub fn time(&self) -> i64 {
        self.milliseconds
    }
}

impl From<AuditRow> for AuditView {
    fn from(row: AuditRow) -> Self {
        let at = Timestamp::from_millisecond(row.at).map(|at| at.to_string());
        Self {
            seq: row.seq,
            at: at.unwrap_or_default(), // a time that is none was put there by hand, which the chain shows
            door: row.channel,
            actor: row.actor,
            action: row.action,
            project: row.name,
            project_id: row.project,
            outcome: row.outcome,
            detail: serde_json::from_str(&row.detail).unwrap_or_default(),
            hash: row.hash,
            milliseconds: row.at,
        }
    }
}

impl From<AcceptedBreak> for AcceptedBreakView {
    fn from(AcceptedBreak { seq, at, actor, head_row }: AcceptedBreak) -> Self {
        let at = Timestamp::from_millisecond(at).map(|at| at.to_string());
        Self { row: seq, at: at.unwrap_or_default(), actor, head_row }
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

/// Who stops the spending, and at what: no more than the backend in use can truly do.
fn cap_enforced_by(project: &Project, backend: &dyn Backend, shares: bool) -> String {
    if project.backend != backend.name() {
        return format!("the {} backend, which is not in use here", project.backend);
    }
    match (backend.cap_scope(), shares) {
        (CapScope::Project, _) => format!("the {} backend, per project", backend.name()),
        (CapScope::ProviderAndMonth, false) => "stripe, per provider and month".to_owned(),
        (CapScope::ProviderAndMonth, true) => format!(
            "stripe, per provider and month; all live projects with {} share one limit, the sum of their caps",
            project.service.provider()
        ),
    }
}

/// The backend's word counts where the ledger can only know what was asked for.
fn status(project: &Project, sight: Sight<'_>) -> Status {
    match (project.status, sight) {
        (Status::Active, Sight::Seen(observed)) if observed.suspended => Status::Suspended,
        (Status::Active | Status::Suspended, Sight::Gone) => Status::Failed,
        (status, _) => status,
    }
}

fn next(status: Status, sight: Sight<'_>, env_var: &str, env_file: &str) -> String {
    match status {
        Status::Active => format!(
            "{env_var} in {env_file} holds the key. Load that file in the process that needs it \
             (for example `set -a; . {}; set +a`), use the variable, and never print it.",
            quoted(env_file)
        ),
        Status::Failed if matches!(sight, Sight::Gone) => {
            "The backend no longer has this project. Tear it down to close it.".to_owned()
        }
        Status::Failed => "As far as is known it never came to be. The name is free.".to_owned(),
        Status::Provisioning | Status::Rotating => {
            "It is not finished yet. If this stays, fix what the error said and rotate it, or tear it down.".to_owned()
        }
        Status::Suspended => {
            "The key does not work: the cap is used up, or the human stopped it. Tell the human; tear \
             it down if it is not needed any more."
                .to_owned()
        }
        Status::TearingDown => "It is not gone yet. Tear it down again to finish.".to_owned(),
        Status::TornDown => "Nothing: it is gone, its key is dead, and the name is free.".to_owned(),
    }
}

/// A path as one word of a shell command.
pub fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}
