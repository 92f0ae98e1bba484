//! Approval requests and their decisions.
//!
//! An approval covers one subject, which is the canonical whole of a request. The id is short because a person types it;
//! it is not a secret, and knowing it grants nothing.

mod diagnostic;
mod id;
mod question;
mod subject;

pub use id::{ApprovalId, NotAnId};
pub use question::{Question, asker};
pub use subject::{Subject, SubjectFacts};

use crate::{clock::Timestamp, name::ProviderKey};

/// An approval request as the ledger stores it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Approval {
    pub id: ApprovalId,
    pub subject: Subject,
    /// The client's name and version, as the client reports them.
    pub asked_by: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub status: ApprovalStatus,
    /// Who approved or denied it.
    pub decided_by: Option<String>,
    /// Until when a denial holds back other requests for the provider.
    pub quiet_until: Option<Timestamp>,
}

/// The status of an approval request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ApprovalStatus {
    /// Approved and not used yet.
    Approved,
    Denied,
    /// Not decided, or not used, in time.
    Expired,
    Pending,
    /// Approved and used by its one project.
    Used,
}

impl ApprovalStatus {
    const ALL: [Self; 5] = [Self::Approved, Self::Denied, Self::Expired, Self::Pending, Self::Used];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Pending => "pending",
            Self::Used => "used",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Returns whether `answer` is still a legal decision.
    ///
    /// Pending requests accept any answer. At a terminal, an unused decision may also be reversed, because hosts without
    /// a user decline automatically.
    pub fn may_be(self, answer: Answer, at_terminal: bool) -> bool {
        match self {
            Self::Approved => at_terminal && answer == Answer::Declined,
            Self::Denied => at_terminal && answer == Answer::Accepted,
            Self::Expired | Self::Used => false,
            Self::Pending => true,
        }
    }

    /// Returns the status at `now`: undecided or unused approvals expire at `expires_at`.
    #[must_use]
    pub fn at(self, now: Timestamp, expires_at: Timestamp) -> Self {
        match self {
            Self::Approved | Self::Denied | Self::Pending if now >= expires_at => Self::Expired,
            other => other,
        }
    }
}

/// A user's answer to an approval form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    Accepted,
    /// Closed without a decision.
    Cancelled,
    Declined,
    /// Not answered in time.
    TimedOut,
    /// The client accepted, but the form's value does not confirm it.
    Unclear,
}

/// A missing, expired or invalid approval.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    #[error("the question was closed without an answer, so nothing was provisioned")]
    Cancelled { id: ApprovalId, command: String },
    #[error("this request is already {}", status.as_str())]
    Decided { status: ApprovalStatus },
    #[error("this request was denied ({id})")]
    Denied { id: ApprovalId, until: Timestamp },
    #[error("this request has expired")]
    Expired,
    /// As good as impossible, but a loop that draws ids must end.
    #[error("no free id for this request was found")]
    NoFreeId,
    /// The returned request state has no valid signature of this server.
    #[error("the requestState was not issued by this server")]
    Forged,
    #[error("the requestState belongs to a call with other arguments, or of another client")]
    Mismatch,
    #[error(transparent)]
    NotAnId(#[from] NotAnId),
    #[error("there is no such request")]
    NotFound,
    /// A denial for the provider holds back every request that needs a person.
    #[error("a request for {provider} was denied ({id}), so none is shown until {until:.0}")]
    Quiet { id: ApprovalId, provider: ProviderKey, until: Timestamp },
    #[error("this requestState was answered already, or replaced by a later question")]
    Replayed,
    #[error(
        "approval required: `{}` on {} with a cap of {} USD (request {})",
        .0.approval.subject.name, .0.approval.subject.provider, .0.approval.subject.cap, .0.approval.id
    )]
    Required(Box<Question>),
    #[error("the question was not answered in time, so nothing was provisioned")]
    TimedOut { id: ApprovalId, command: String },
    #[error("{most} requests are already pending")]
    TooMany { most: u32 },
    /// The answer came too fast for a person to have read the form.
    #[error("the question was answered in under a second, so no person has read it, and nothing was provisioned")]
    Unattended { id: ApprovalId, command: String, answer: Answer },
    #[error("the answer neither approves nor denies, so nothing was provisioned")]
    Unclear { id: ApprovalId, command: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_decisions_are_reversible_at_a_terminal_only() {
        use Answer::{Accepted, Cancelled, Declined, TimedOut, Unclear};
        use ApprovalStatus::{Approved, Denied, Pending};
        for status in ApprovalStatus::ALL {
            for answer in [Accepted, Cancelled, Declined, TimedOut, Unclear] {
                assert_eq!(status.may_be(answer, false), status == Pending, "{status:?} {answer:?}");
                let reversal = [(Approved, Declined), (Denied, Accepted)].contains(&(status, answer));
                assert_eq!(status.may_be(answer, true), status == Pending || reversal, "{status:?} {answer:?}");
            }
        }
    }

    #[test]
    fn every_status_but_used_expires() {
        let (soon, late) = (Timestamp::from_second(1).unwrap(), Timestamp::from_second(2).unwrap());
        for status in ApprovalStatus::ALL {
            assert_eq!(ApprovalStatus::parse(status.as_str()), Some(status));
            assert_eq!(status.at(soon, late), status);
            let ends = status != ApprovalStatus::Used;
            assert_eq!(status.at(late, late) == ApprovalStatus::Expired, ends, "{status:?}");
        }
    }
}
