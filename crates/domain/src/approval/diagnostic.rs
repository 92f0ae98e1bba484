//! Diagnostics for missing, expired or invalid approvals.

use super::{Answer, ApprovalError, ApprovalId, NotAnId, Question};
use crate::channel::Channel;
use crate::diagnostic::{Diagnostic, Exit, PROGRAM};

impl Diagnostic for ApprovalError {
    fn code(&self) -> &'static str {
        match self {
            Self::Cancelled { .. } => "approval_cancelled",
            Self::Decided { .. } => "approval_decided",
            Self::Denied { .. } | Self::Quiet { .. } => "approval_declined",
            Self::Expired => "approval_expired",
            Self::Forged => "approval_forged",
            Self::Mismatch => "approval_mismatch",
            Self::NotAnId(error) => error.code(),
            Self::NoFreeId => "no_free_id",
            Self::NotFound => "approval_not_found",
            Self::Replayed => "approval_replayed",
            Self::Required(_) => "approval_required",
            Self::TimedOut { .. } => "approval_timed_out",
            Self::TooMany { .. } => "too_many_approvals",
            Self::Unattended { answer, .. } => match answer {
                Answer::Declined => "approval_declined",
                Answer::Cancelled | Answer::TimedOut => "approval_cancelled",
                Answer::Accepted | Answer::Unclear => "approval_unclear",
            },
            Self::Unclear { .. } => "approval_unclear",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::Cancelled { id, command } | Self::TimedOut { id, command } | Self::Unclear { id, command } => {
                still_open(id, command, channel)
            }
            Self::Decided { .. } => channel.select(
                "make the same call again without a requestState; it follows the decision".to_owned(),
                format!("run `{PROGRAM} approvals` to see the state of each request"),
            ),
            Self::Denied { id, until } => channel.select(
                format!("do not ask for the same again before {until:.0}; ask the user what they would accept"),
                format!("run `{PROGRAM} approve {id}` to reverse the decision, or wait until {until:.0}"),
            ),
            Self::Quiet { id, provider, until } => channel.select(
                format!(
                    "do not ask for {provider} again before {until:.0}, except for what needs no approval; ask the user \
                     what they would accept"
                ),
                format!(
                    "run `{PROGRAM} approve {id}` to reverse the decision or `{PROGRAM} approvals --clear` to be asked \
                     again, or wait until {until:.0}"
                ),
            ),
            Self::Expired => channel.select(
                "make the same call again without a requestState to ask again".to_owned(),
                "let the agent make the same call again, which opens a new request".to_owned(),
            ),
            Self::Forged | Self::Mismatch | Self::Replayed => {
                "make the call again without a requestState; nothing was provisioned".to_owned()
            }
            Self::NoFreeId => "make the same call again".to_owned(),
            Self::NotAnId(error) => error.hint(channel),
            Self::NotFound => list_ids(channel),
            Self::Required(question) => required(question, channel),
            Self::Unattended { id, command, .. } => {
                channel.person_runs(command, &format!(" decides the request {id}, which stays open"))
            }
            Self::TooMany { .. } => channel.select(
                format!(
                    "ask for no more than a default cap, or show this to the user, do not run it: \
                     `{PROGRAM} approvals` lists the requests to decide"
                ),
                format!("run `{PROGRAM} approvals` and decide the requests"),
            ),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::NotAnId(error) => error.exit(),
            Self::NotFound => Exit::NotFound,
            Self::Cancelled { .. }
            | Self::Decided { .. }
            | Self::Denied { .. }
            | Self::Expired
            | Self::Forged
            | Self::Mismatch
            | Self::NoFreeId
            | Self::Quiet { .. }
            | Self::Replayed
            | Self::Required(_)
            | Self::TimedOut { .. }
            | Self::TooMany { .. }
            | Self::Unattended { .. }
            | Self::Unclear { .. } => Exit::Refused,
        }
    }
}

impl Diagnostic for NotAnId {
    fn code(&self) -> &'static str {
        "invalid_approval_id"
    }

    fn hint(&self, channel: Channel) -> String {
        list_ids(channel)
    }

    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

fn list_ids(channel: Channel) -> String {
    channel.person_runs(&format!("{PROGRAM} approvals"), " to see the request ids")
}

fn required(question: &Question, channel: Channel) -> String {
    let less = match question.without {
        Some(default) => format!("ask for {default} USD or less, or "),
        None => String::new(),
    };
    let again = channel.select("make the same call again", "run the same command again");
    let rest = format!(" (valid until {:.0}); then {again}", question.approval.expires_at);
    format!("{less}{}", channel.person_runs(&question.command, &rest))
}

fn still_open(id: &ApprovalId, command: &str, channel: Channel) -> String {
    let decide = channel.person_runs(command, &format!(" decides the request {id}, which stays open"));
    channel.select(
        format!("make the same call again to ask once more, or {decide}"),
        format!("run `{command}` to decide the request {id}, which stays open"),
    )
}
