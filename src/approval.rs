//! A request for a human's yes, and what became of it.
//!
//! It is about one thing and nothing else: this name, this provider and its recipe as it stood, this cap, this
//! workspace. Its id is short because a person types it; it is no secret, and knowing it grants nothing.

use std::fmt;

use crate::{
    clock::Timestamp,
    money::Cents,
    name::{ProjectName, ProviderKey, ServiceRef},
    project::{NoRandomness, fill_random},
};

/// What a person types: `ap-` and four characters of Crockford's alphabet, which has no letter that reads like a digit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApprovalId(String);

impl ApprovalId {
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut bytes = [0; LENGTH];
        fill_random(&mut bytes)?;
        let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()));
        Ok(Self(letters.fold(PREFIX.to_owned(), |id, letter| id + &char::from(*letter).to_string())))
    }

    /// Reads what a person typed: upper case will do, and so will the letters that read like digits.
    ///
    /// # Errors
    /// [`NotAnId`], which does not repeat the text.
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

/// The text is no id of a request. It may be anything, a pasted key too.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an approval's id is written ap- and four letters or digits, such as ap-7k3f")]
pub struct NotAnId;

/// What exactly is asked for. A yes to one of these is a yes to no other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    pub name: ProjectName,
    pub provider: ProviderKey,
    pub service: ServiceRef,
    pub cap: Cents,
    /// A hash of everything else that a yes is bound to: backend, env file, plan, configuration, whether it is billed.
    pub terms: String,
}

/// A request as the ledger keeps it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Approval {
    pub id: ApprovalId,
    pub subject: Subject,
    /// A client's name and version, as it says of itself.
    pub asked_by: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub status: ApprovalStatus,
    /// Who said yes or no.
    pub decided_by: Option<String>,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ApprovalStatus {
    /// Granted, and not used yet.
    Approved,
    Denied,
    /// Nobody decided, or nobody used it, in time.
    Expired,
    Pending,
    /// Granted, and spent on the one project that it was for.
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

    /// Whether that may still be said of it. Of what waits, by anybody; a human at a terminal may also think better of
    /// what was said, as long as it is not spent: a host that has nobody in front of it says no by itself.
    pub fn may_be(self, answer: Answer, at_terminal: bool) -> bool {
        match self {
            Self::Approved => at_terminal && answer == Answer::Declined,
            Self::Denied => at_terminal && answer == Answer::Accepted,
            Self::Expired | Self::Used => false,
            Self::Pending => true,
        }
    }

    /// The status at a later time: what was not decided or used by then has expired.
    #[must_use]
    pub fn at(self, now: Timestamp, expires_at: Timestamp) -> Self {
        match self {
            Self::Approved | Self::Denied | Self::Pending if now >= expires_at => Self::Expired,
            other => other,
        }
    }
}

/// What a person at a host answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    Accepted,
    /// Closed without a decision.
    Cancelled,
    Declined,
    /// Nobody answered in time.
    TimedOut,
    /// The client says yes and the form does not.
    Unclear,
}

/// A request with all that a person wants to know before deciding.
#[derive(Clone, Debug)]
pub struct Question {
    pub approval: Approval,
    /// What the registry calls the provider.
    pub label: String,
    /// Whether the service can bill.
    pub paid: bool,
    pub live_projects: u64,
    /// The sum of the caps of what is live.
    pub committed: Cents,
    /// The cap that needs no human, if there is one.
    pub without: Option<Cents>,
    /// The words that decide it at a terminal.
    pub command: String,
}

impl Question {
    /// The question as a person reads it. The service is said beside the label, because whoever can edit the registry
    /// has chosen the label.
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
        format!(
            "{asker} asks to provision `{name}` on {provider} ({}; {service}), with a spending cap of {cap} USD. \
             {billed} {live}",
            self.label
        )
    }
}

/// Why a yes is not there, or does not count.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    #[error("the question was closed without an answer, so nothing was provisioned")]
    Cancelled { id: ApprovalId, command: String },
    #[error("this request is decided already: it is {}", status.as_str())]
    Decided { status: ApprovalStatus },
    #[error("a human said no to this request ({id})")]
    Denied { id: ApprovalId, until: Timestamp },
    #[error("this request has expired")]
    Expired,
    /// The state that came back was not sealed here.
    #[error("the requestState is not one that this server gave out")]
    Forged,
    #[error("the requestState belongs to a call with other arguments, or of another client")]
    Mismatch,
    #[error("{0}")]
    NotAnId(#[from] NotAnId),
    #[error("there is no such request")]
    NotFound,
    #[error("this requestState has been answered already, or a later question has taken its place")]
    Replayed,
    #[error(
        "a human has to approve this first: `{}` on {} with a cap of {} USD (request {})",
        .0.approval.subject.name, .0.approval.subject.provider, .0.approval.subject.cap, .0.approval.id
    )]
    Required(Box<Question>),
    #[error("nobody answered the question in time, so nothing was provisioned")]
    TimedOut { id: ApprovalId, command: String },
    #[error("{most} requests wait for a human already")]
    TooMany { most: u32 },
    #[error("the answer is neither a yes nor a no, so nothing was provisioned")]
    Unclear { id: ApprovalId, command: String },
}

const PREFIX: &str = "ap-";

/// 32 letters, so that a byte modulo their number is as random as the byte.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

const LENGTH: usize = 4;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_a_person_types_is_understood() {
        let id = ApprovalId::random().unwrap();
        assert_eq!(ApprovalId::parse(id.as_str()), Ok(id));
        assert_eq!(ApprovalId::parse(" AP-7K3F\n").unwrap().as_str(), "ap-7k3f");
        assert_eq!(ApprovalId::parse("ap-oIlz").unwrap().as_str(), "ap-011z");
        for bad in ["", "ap-", "7k3f", "ap-7k3", "ap-7k3ff", "ap-7k3u", "ap-7k3é", "sk_live_0123456789abcdef"] {
            assert_eq!(ApprovalId::parse(bad), Err(NotAnId), "{bad}");
        }
    }

    /// With fewer letters than the alphabet has, two requests would meet in one id far sooner.
    #[test]
    fn a_random_id_is_of_the_whole_alphabet() {
        let ids: Vec<_> = (0..1000).map(|_| ApprovalId::random().unwrap()).collect();
        let letters: BTreeSet<u8> = ids.iter().flat_map(|id| id.as_str().bytes().skip(PREFIX.len())).collect();
        assert_eq!(letters, BTreeSet::from(*ALPHABET));
        assert!(ids.iter().all(|id| ApprovalId::parse(&id.to_string()).as_ref() == Ok(id)));
    }

    #[test]
    fn only_a_human_at_a_terminal_takes_an_answer_back_and_never_one_that_is_spent() {
        use Answer::{Accepted, Cancelled, Declined, TimedOut, Unclear};
        use ApprovalStatus::{Approved, Denied, Pending};
        for status in ApprovalStatus::ALL {
            for answer in [Accepted, Cancelled, Declined, TimedOut, Unclear] {
                assert_eq!(status.may_be(answer, false), status == Pending, "{status:?} {answer:?}");
                let second_thought = [(Approved, Declined), (Denied, Accepted)].contains(&(status, answer));
                assert_eq!(status.may_be(answer, true), status == Pending || second_thought, "{status:?} {answer:?}");
            }
        }
    }

    #[test]
    fn time_runs_out_on_everything_but_what_is_spent() {
        let (soon, late) = (Timestamp::from_second(1).unwrap(), Timestamp::from_second(2).unwrap());
        for status in ApprovalStatus::ALL {
            assert_eq!(ApprovalStatus::parse(status.as_str()), Some(status));
            assert_eq!(status.at(soon, late), status);
            let ends = status != ApprovalStatus::Used;
            assert_eq!(status.at(late, late) == ApprovalStatus::Expired, ends, "{status:?}");
        }
    }
}
