//! Projects as the ledger stores them.

use std::{fmt, path::PathBuf};

use rand::{TryRng as _, rngs::SysRng};

use crate::{
    budget::{CapPeriod, Terms},
    channel::Channel,
    clock::Timestamp,
    diagnostic::{Diagnostic, Exit},
    money::{Cents, MicroUsd, MoneyClass},
    name::{EnvVar, ProjectName, ProviderKey, ServiceRef},
    secret::{Mask, hex},
};

/// A service that is or was provisioned. Holds a mask, never a credential.
#[derive(Clone, Debug)]
pub struct Project {
    pub id: ProjectId,
    pub name: ProjectName,
    pub provider: ProviderKey,
    pub service: ServiceRef,
    /// The backend that holds the resource; no other backend may change it.
    pub backend: String,
    /// Known once the backend has answered.
    pub resource: Option<ResourceId>,
    pub status: Status,
    pub cap: Cents,
    pub cap_period: CapPeriod,
    /// The last usage that was recorded; kept when the project has ended.
    pub last_usage: Option<MicroUsd>,
    /// 1 after provision, plus 1 for each rotation.
    pub key_version: u32,
    /// The mask of the first delivery's current credential.
    pub mask: Option<Mask>,
    /// Which credential goes into which variable; the first is the project's key.
    pub deliveries: Vec<Delivery>,
    pub env_file: PathBuf,
    /// When it is torn down automatically; `None` for never.
    pub expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Project {
    /// Returns the class of money that it spends.
    pub fn money(&self) -> MoneyClass {
        MoneyClass::of_backend(&self.backend)
    }

    /// Returns the terms that count for a month that begins now.
    pub fn terms(&self) -> Terms {
        Terms {
            cap: self.cap,
            period: self.cap_period,
            granted_at: self.created_at,
            expires_at: self.expires_at,
            used_before: self.cap_period.used_before(self.last_usage),
        }
    }
}

/// The variable of the env file that receives a credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    pub env_var: EnvVar,
    /// The service's name for the credential; `None` for its only one.
    pub credential: Option<String>,
}

/// A project's id; also the order id for which a backend creates at most one resource.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ProjectId(String);

impl ProjectId {
    /// Creates an id from the operating system's randomness.
    pub fn random() -> Result<Self, NoRandomness> {
        Ok(Self(format!("proj_{}", random_hex::<12>()?)))
    }

    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A backend's id of a resource, such as `fres_…`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ResourceId(String);

impl ResourceId {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A project's status; `as_str` is what users see.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Status {
    Active,
    /// Never created; nothing is billed and the name is free.
    Failed,
    /// Requested; the backend's outcome may not be known yet.
    Provisioning,
    Rotating,
    /// Exists, but its credential is disabled: the cap is used up, or a person suspended it.
    Suspended,
    TearingDown,
    TornDown,
}

impl Status {
    pub const ALL: [Self; 7] = [
        Self::Active,
        Self::Failed,
        Self::Provisioning,
        Self::Rotating,
        Self::Suspended,
        Self::TearingDown,
        Self::TornDown,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Failed => "failed",
            Self::Provisioning => "provisioning",
            Self::Rotating => "rotating",
            Self::Suspended => "suspended",
            Self::TearingDown => "tearing_down",
            Self::TornDown => "torn_down",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Returns whether the project may cost money, holds its name and is listed.
    pub fn is_live(self) -> bool {
        !matches!(self, Self::Failed | Self::TornDown)
    }

    /// Returns whether `next` is a legal transition. `Failed` and `TornDown` are final.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Provisioning => {
                matches!(next, Self::Active | Self::Failed | Self::Suspended | Self::TearingDown)
            }
            Self::Active => matches!(next, Self::Rotating | Self::Suspended | Self::TearingDown),
            Self::Suspended => matches!(next, Self::Active | Self::Rotating | Self::TearingDown),
            Self::Rotating => matches!(next, Self::Active | Self::Suspended | Self::TearingDown),
            Self::TearingDown => matches!(next, Self::TornDown),
            Self::Failed | Self::TornDown => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The operating system has no randomness; without it no id or credential is safe.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoRandomness;

impl Diagnostic for NoRandomness {
    fn code(&self) -> &'static str {
        "no_randomness"
    }

    fn hint(&self, channel: Channel) -> String {
        channel.person("restart the machine: without randomness no key is safe")
    }

    fn exit(&self) -> Exit {
        Exit::Failure
    }
}

/// Fills `bytes` from the operating system's randomness.
pub fn fill_random(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    SysRng.try_fill_bytes(bytes).map_err(|_| NoRandomness)
}

/// Returns `BYTES` random bytes as hex digits, two for each byte.
///
/// # Errors
/// [`NoRandomness`]
pub fn random_hex<const BYTES: usize>() -> Result<String, NoRandomness> {
    let mut bytes = [0; BYTES];
    fill_random(&mut bytes)?;
    Ok(hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_statuses_have_no_transition() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            for next in Status::ALL {
                assert!(status.is_live() || !status.may_become(next), "{status} -> {next}");
                assert!(status != next || !status.may_become(next), "{status} -> {next}");
            }
        }
    }

    #[test]
    fn every_live_status_has_a_transition() {
        for status in Status::ALL.into_iter().filter(|status| status.is_live()) {
            assert!(Status::ALL.into_iter().any(|next| status.may_become(next)), "{status} has no next status");
        }
    }

    #[test]
    fn ids_differ() {
        assert_ne!(ProjectId::random().unwrap(), ProjectId::random().unwrap());
    }
}
