//! Approval requests and their decisions.
//!
//! An approval covers one subject: a name, a provider with its configuration at that time, a cap and a workspace. The id
//! is short because a person types it; it is not a secret, and knowing it grants nothing.

mod diagnostic;

use std::fmt;

use crate::{
    budget::BudgetFacts,
    clock::Timestamp,
    money::Cents,
    name::{ProjectName, ProviderKey, ServiceRef},
    project::{NoRandomness, fill_random},
};

/// An approval's id: `ap-` and four characters of Crockford's base32 alphabet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApprovalId(String);

impl ApprovalId {
    /// Creates an id from the operating system's randomness.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut bytes = [0; LENGTH];
        fill_random(&mut bytes)?;
        let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()));
        Ok(Self(letters.fold(PREFIX.to_owned(), |id, letter| id + &char::from(*letter).to_string())))
    }

    /// Parses a typed id. Accepts upper case, and `o`, `i` and `l` for the digits that they resemble.
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        let text = text.trim().to_ascii_lowercase();
        let letters = text.strip_prefix(PREFIX).ok_or(NotAnId)?.replace('o', "0").replace(['i', 'l'], "1");
        let known = letters.len() == LENGTH && letters.bytes().all(|letter| ALPHABET.contains(&letter));
        if known { Ok(Self(format!("{PREFIX}{letters}"))) } else { Err(NotAnId) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not an approval id. It is not quoted, because it may be a pasted key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an approval's id is written ap- and four letters or digits, such as ap-7k3f")]
pub struct NotAnId;

/// What an approval covers. Approving one subject approves no other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    pub name: ProjectName,
    pub provider: ProviderKey,
    pub service: ServiceRef,
    pub cap: Cents,
    /// A hash of everything else that the approval is bound to: backend, env file, plan, configuration, billing.
    pub terms: String,
}

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

/// An approval request with the facts needed to decide it.
#[derive(Clone, Debug)]
pub struct Question {
    pub approval: Approval,
    /// The provider's label in the registry.
    pub label: String,
    /// Whether the service can bill.
    pub paid: bool,
    pub live_projects: u64,
    /// The sum of the caps of the live projects.
    pub committed: Cents,
    /// The highest cap that needs no approval, if any.
    pub without: Option<Cents>,
    /// The command that decides it at a terminal.
    pub command: String,
    /// Period, commitments, and the limits that it would exceed.
    pub budget: BudgetFacts,
}

impl Question {
    /// Returns the question as one paragraph.
    ///
    /// It names the service beside the label, because the label comes from the registry, which an agent may edit.
    pub fn words(&self) -> String {
        let Approval { subject, asked_by, .. } = &self.approval;
        let Subject { name, provider, service, cap, .. } = subject;
        let asker = if asked_by.is_empty() { "A client without a name" } else { asked_by };
        let billed = if self.paid { "It is billed, up to that cap." } else { "Its plan is free." };
        let live = match self.live_projects {
            0 => "Nothing is live yet.".to_owned(),
            1 => format!("One project is live, with a cap of {} USD.", self.committed),
            more => format!("{more} projects are live, with caps of {} USD in sum.", self.committed),
        };
        let (label, budget) = (&self.label, &self.budget);
        match budget.raised_from {
            Some(before) => format!(
                "{asker} asks to raise the spending cap of `{name}` on {provider} ({label}; {service}) from {before} USD to \
                 {cap} USD. {billed} {budget} {live}"
            ),
            None => format!(
                "{asker} asks to provision `{name}` on {provider} ({label}; {service}), with a spending cap of {cap} USD. \
                 {billed} {budget} {live}"
            ),
        }
    }
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
    /// The returned request state has no valid signature of this server.
    #[error("the requestState was not issued by this server")]
    Forged,
    #[error("the requestState belongs to a call with other arguments, or of another client")]
    Mismatch,
    #[error(transparent)]
    NotAnId(#[from] NotAnId),
    #[error("there is no such request")]
    NotFound,
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
    #[error("the answer neither approves nor denies, so nothing was provisioned")]
    Unclear { id: ApprovalId, command: String },
}

const PREFIX: &str = "ap-";

/// 32 letters, so that a random byte modulo 32 has no bias.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

const LENGTH: usize = 4;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn typed_ids_parse_and_others_are_refused() {
        let id = ApprovalId::random().unwrap();
        assert_eq!(ApprovalId::parse(id.as_str()), Ok(id));
        assert_eq!(ApprovalId::parse(" AP-7K3F\n").unwrap().as_str(), "ap-7k3f");
        assert_eq!(ApprovalId::parse("ap-oIlz").unwrap().as_str(), "ap-011z");
        for bad in ["", "ap-", "7k3f", "ap-7k3", "ap-7k3ff", "ap-7k3u", "ap-7k3é", "sk_live_0123456789abcdef"] {
            assert_eq!(ApprovalId::parse(bad), Err(NotAnId), "{bad}");
        }
    }

    /// A smaller alphabet would make collisions of ids more likely.
    #[test]
    fn random_ids_use_the_whole_alphabet() {
        let ids: Vec<_> = (0..1000).map(|_| ApprovalId::random().unwrap()).collect();
        let letters: BTreeSet<u8> = ids.iter().flat_map(|id| id.as_str().bytes().skip(PREFIX.len())).collect();
        assert_eq!(letters, BTreeSet::from(*ALPHABET));
        assert!(ids.iter().all(|id| ApprovalId::parse(&id.to_string()).as_ref() == Ok(id)));
    }

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
