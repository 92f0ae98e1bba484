//! Requests for approval, with everything that they cover.

use domain::approval::Approval;
use serde::Serialize;

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
    /// The service that is bought.
    pub service: String,
    /// The period for which the cap counts.
    pub cap_per: &'static str,
    /// For how long the project lives; null: until it is torn down
    pub expires_in: Option<String>,
    pub variables: Vec<String>,
    pub env_file: String,
    pub workspace: String,
    pub backend: String,
    /// Until when a denial holds back other requests for the provider.
    pub quiet_until: Option<String>,
    /// All of it in lines, as the form shows it.
    #[serde(skip)]
    pub shown: Vec<String>,
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
            service: approval.subject.service.to_string(),
            cap_per: "month",
            expires_in: approval.subject.shown.lifetime.map(|lifetime| lifetime.to_string()),
            variables: approval.subject.shown.variables.iter().map(ToString::to_string).collect(),
            env_file: approval.subject.shown.env_file.clone(),
            workspace: approval.subject.shown.workspace.clone(),
            backend: approval.subject.shown.backend.clone(),
            quiet_until: approval.quiet_until.map(|until| until.to_string()),
            shown: approval.subject.lines(),
        }
    }
}
