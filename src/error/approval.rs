//! Codes, exit codes and hints of a human's yes that is not there.

use super::{Exit, hint::PROGRAM};
use crate::approval::{ApprovalError, ApprovalId, Question};

pub(super) fn code(error: &ApprovalError) -> &'static str {
    match error {
        ApprovalError::Cancelled { .. } => "approval_cancelled",
        ApprovalError::Decided { .. } => "approval_decided",
        ApprovalError::Denied { .. } => "approval_declined",
        ApprovalError::Expired => "approval_expired",
        ApprovalError::Forged => "approval_forged",
        ApprovalError::Mismatch => "approval_mismatch",
        ApprovalError::NotAnId(_) => "invalid_approval_id",
        ApprovalError::NotFound => "approval_not_found",
        ApprovalError::Replayed => "approval_replayed",
        ApprovalError::Required(_) => "approval_required",
        ApprovalError::TimedOut { .. } => "approval_timed_out",
        ApprovalError::TooMany { .. } => "too_many_approvals",
        ApprovalError::Unclear { .. } => "approval_unclear",
    }
}

pub(super) fn exit(error: &ApprovalError) -> Exit {
    match error {
        ApprovalError::NotAnId(_) => Exit::Usage,
        ApprovalError::NotFound => Exit::NotFound,
        ApprovalError::Cancelled { .. }
        | ApprovalError::Decided { .. }
        | ApprovalError::Denied { .. }
        | ApprovalError::Expired
        | ApprovalError::Forged
        | ApprovalError::Mismatch
        | ApprovalError::Replayed
        | ApprovalError::Required(_)
        | ApprovalError::TimedOut { .. }
        | ApprovalError::TooMany { .. }
        | ApprovalError::Unclear { .. } => Exit::Refused,
    }
}

pub(super) fn hint(error: &ApprovalError) -> String {
    match error {
        ApprovalError::Cancelled { id, command }
        | ApprovalError::TimedOut { id, command }
        | ApprovalError::Unclear { id, command } => still_open(id, command),
        ApprovalError::Decided { .. } => format!("run `{PROGRAM} approvals` to see where each request stands"),
        ApprovalError::Denied { until, .. } => {
            format!("do not ask for the same again before {until:.0}; ask the human what would be fine")
        }
        ApprovalError::Expired => "make the same call again, without a requestState, to ask anew".to_owned(),
        ApprovalError::Forged | ApprovalError::Mismatch | ApprovalError::Replayed => {
            "nothing was provisioned; make the call again without a requestState".to_owned()
        }
        ApprovalError::NotAnId(_) | ApprovalError::NotFound => {
            format!("run `{PROGRAM} approvals` to see the ids there are")
        }
        ApprovalError::Required(question) => required(question),
        ApprovalError::TooMany { .. } => {
            format!("the human runs `{PROGRAM} approvals` and decides them; or ask for no more than a default cap")
        }
    }
}

fn required(question: &Question) -> String {
    let less = match question.without {
        Some(default) => format!("ask for {default} USD or less, or "),
        None => String::new(),
    };
    format!(
        "{less}let the human run `{}` before {:.0} and make the same call again",
        question.command, question.approval.expires_at
    )
}

fn still_open(id: &ApprovalId, command: &str) -> String {
    format!("the request {id} stays open: the human runs `{command}`, or make the same call again to ask once more")
}
