//! The use cases, and the only place that knows the order of effects.
//!
//! Every operation has the same shape, one straight line on one thread:
//!
//! 1. lock the project, and reconcile what an earlier process left open;
//! 2. check everything that can be checked without spending;
//! 3. write the intent and its audit row, in one transaction;
//! 4. call the backend;
//! 5. record the credentials that it returned;
//! 6. write the env file;
//! 7. close the entry, with the audit row of the outcome.
//!
//! A process may die between any two of these. It leaves an open entry, and `reconciler.rs` turns every open entry into
//! one of: done, nothing happened, or not known yet.
//!
//! [`Provisioner`] holds one service for each group of use cases, over the same [`Ports`]. The methods block: call them
//! on a thread that may, while the runtime that drives the backend runs.

mod abandonment;
mod adoption;
mod alerts;
mod approvals;
mod audit_facts;
mod audit_log;
mod backend_wait;
mod batch;
mod budgets;
mod cap_changes;
mod cap_enforcer;
mod connections;
mod deliver;
mod kill_switch;
mod leak_scan;
mod lifetimes;
mod list;
mod locks;
mod observer;
mod ports;
mod projects;
mod provision;
#[expect(clippy::module_inception, reason = "the file is named for its type")]
mod provisioner;
mod reconciler;
mod recovery;
mod refusals;
mod rotation;
mod sessions;
mod suspension;
mod teardown;
mod waits;
mod workspaces;

pub use abandonment::{Abandoned, Resolution, UnresolvedOrder};
pub use adoption::{Adoption, lost};
pub use alerts::{Alerts, Listener};
pub use approvals::Approvals;
pub use audit_facts::{APPROVAL, AuditFacts, CAP, NAME, PROVIDER, USAGE};
pub use audit_log::{Access, AuditEntry, AuditFilter, AuditLog, AuditProof, Called, OK};
pub use backend_wait::BackendWait;
pub use batch::Outcome;
pub use budgets::{BudgetClass, BudgetLimits, BudgetState, Budgets, Limit, Spend};
pub use cap_enforcer::CapEnforcer;
pub use connections::{ConnectionChoice, ConnectionPlan, Connections, Missing};
pub use deliver::{Deliver, EnvFiles, Recognise};
pub use domain::principal::Principal;
pub use leak_scan::{LeakPlace, LeakScan, LeakedKey, ScanEvent, ScanReport, Search};
pub use lifetimes::Lifetimes;
pub use list::{Cursor, LARGEST_PAGE, Listing, ProjectPage, USUAL_PAGE};
pub use locks::{Held, LockFiles, Locks};
pub use ports::{Dependencies, Phase, PhaseHook, Ports, RegistryStamp};
pub use projects::Projects;
pub use provision::ProvisionRequest;
pub use provisioner::Provisioner;
pub use recovery::{Recovered, Recovery};
pub use sessions::Session;
pub use workspaces::{FolderState, WorkspaceState, Workspaces, workspace_states};
