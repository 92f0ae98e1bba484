//! The journal: operations that were begun, and their outcomes.

use std::path::PathBuf;

use domain::{
    budget::CapPeriod,
    clock::Timestamp,
    money::{Cents, MicroUsd},
    name::{ProjectName, ProviderKey, ServiceRef},
    project::{Delivery, Project, ProjectId, ResourceId, Status},
    secret::Secret,
};

use super::{
    Event, Ledger, LedgerError, LifetimeTerms, Operation, OperationId, OperationRecord, Verdict,
    audit::chain,
    commitments, halts, operation,
    projects::{ProvisionTx, named, one},
    rows::{Stored, amount, parsed},
    scope::ScopedTx,
};
use crate::store::{Access, Tx, values};

/// A project that does not exist yet.
pub struct NewProject {
    pub op: OperationId,
    pub id: ProjectId,
    pub name: ProjectName,
    pub provider: ProviderKey,
    pub service: ServiceRef,
    pub backend: String,
    pub env_file: PathBuf,
}

/// What the decision inside the transaction grants a new project.
#[derive(Clone, Debug)]
pub struct Grant {
    pub cap: Cents,
    pub period: CapPeriod,
    pub deliveries: Vec<Delivery>,
    pub term: LifetimeTerms,
}

/// An open journal entry and its project.
///
/// It ends in [`Journal::close`]. Where the outcome is unknown, [`Intent::leave_open`] leaves it open explicitly, and the
/// next operation on the project reconciles it first.
#[must_use = "an intent is closed, or left open on purpose"]
pub struct Intent {
    pub operation: Operation,
    /// The project in its present state.
    pub project: Project,
    was_status: Status,
    /// The key version before; a higher one now means that the credential has been exchanged.
    pub was_version: u32,
    /// The backend's ids of the requests made for it, for the audit.
    pub request_ids: Vec<String>,
    /// What the backend reported for the cap's period just before the end; `None` where that is not known.
    pub usage: Option<MicroUsd>,
    /// Whether a project that was never seen may exist nevertheless, so that its cap stays committed.
    pub may_exist: bool,
    pub(super) entry: i64,
    pub(super) row: i64,
}

impl Intent {
    /// The project's status once the operation is done.
    pub fn when_done(&self) -> Status {
        match self.operation {
            Operation::Provision | Operation::Resume => Status::Active,
            Operation::Cap | Operation::Rotate => self.was_status,
            Operation::Suspend => Status::Suspended,
            Operation::Teardown => Status::TornDown,
        }
    }

    /// The project's status if nothing happened. A teardown is never given up: it is repeated.
    pub fn when_nothing_happened(&self) -> Status {
        match self.operation {
            Operation::Provision => Status::Failed,
            Operation::Cap | Operation::Resume | Operation::Rotate | Operation::Suspend => self.was_status,
            Operation::Teardown => Status::TearingDown,
        }
    }

    /// Leaves the entry open: the backend may still tell the outcome.
    pub fn leave_open(self) -> ProjectName {
        self.project.name
    }
}

/// The operations of the ledger.
#[derive(Clone, Copy)]
pub struct Journal<'a>(pub(super) &'a Ledger);

impl Journal<'_> {
    /// Records the intent to provision: project, variables, journal and audit, in one transaction, if `decide` grants it
    /// from the state that this transaction sees. Two calls cannot both spend the rest of a budget.
    ///
    /// `decide` may run more than once; see [`crate::store::Store`].
    ///
    /// # Errors
    /// The refusal of `decide`, and then nothing was written; or the ledger's own.
    pub fn begin_provision<E: From<LedgerError>>(
        &self,
        draft: &NewProject,
        event: &Event,
        mut decide: impl FnMut(&ProvisionTx<'_>) -> Result<Grant, E>,
    ) -> Result<Intent, E> {
        self.0.write(|tx| {
            let grant = decide(&ProvisionTx(tx))?;
            let intent = begin_granted(tx, draft, grant, event)?;
            halts::allocate(self.0, intent.row)?; // while no other process can see the row
            Ok(intent)
        })
    }

    /// Records the intent to change the live project of that name; `None` when there is none.
    ///
    /// A teardown supersedes an open entry of any operation: the resource is removed in any case. So does a suspension,
    /// of any operation but a teardown: the key is disabled in any case.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when its status rules the operation out; nothing was written then.
    pub fn begin(
        &self,
        name: &ProjectName,
        operation: Operation,
        op: &OperationId,
        event: &Event,
    ) -> Result<Option<Intent>, LedgerError> {
        self.0.write(|tx| {
            let Some(Stored { row, mut project }) = named(tx, name)? else {
                return Ok(None);
            };
            let was_status = project.status;
            if matches!(operation, Operation::Suspend | Operation::Teardown) {
                let sql =
                    "UPDATE journal SET closed_at = ?2, outcome = 'superseded' WHERE project = ?1 AND outcome IS NULL";
                tx.run(sql, &values![row, event.at.as_millisecond()])?;
            }
            move_to(tx, row, &mut project, operation.under_way(was_status), event.at)?;
            let opening = Opening { operation, op, was_status };
            open(tx, row, project, &opening, event).map(Some)
        })
    }

    /// Returns the operation that was recorded under that id; `None` if it was not recorded. Decides the outcome of a
    /// commit whose answer was lost.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn operation(&self, op: &OperationId) -> Result<Option<OperationRecord>, LedgerError> {
        self.0.read(|tx| operation::find(tx, op))
    }

    /// Returns the open entry of a project, if it has one.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn open_intent(&self, id: &ProjectId) -> Result<Option<Intent>, LedgerError> {
        let sql =
            "SELECT entry, operation, was_status, was_version FROM journal WHERE project = ?1 AND outcome IS NULL";
        self.0.read(|tx| {
            let Some(Stored { row, project }) = one(tx, "p.id = ?1", id.as_str())? else {
                return Ok(None);
            };
            let entries = tx.rows(sql, &values![row])?;
            let Some(entry) = entries.first() else {
                return Ok(None);
            };
            Ok(Some(Intent {
                entry: entry.get(0)?,
                operation: parsed("operation", Operation::parse(entry.get(1)?).ok_or(()))?,
                was_status: parsed("was_status", Status::parse(entry.get(2)?).ok_or(()))?,
                was_version: entry.get(3)?,
                project,
                request_ids: Vec::new(),
                usage: None,
                may_exist: false,
                row,
            }))
        })
    }

    /// Records the backend's answer: the resource, and a new key version with mask and fingerprint of each delivered
    /// credential. `credentials` are in the order of the project's deliveries; without any, only the resource is
    /// recorded.
    ///
    /// It does not wait for the disk: [`Self::close`] does. A power loss before that leaves the intent without an answer,
    /// and recovery asks the backend again, which it must be able to do anyway.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn record(
        &self,
        intent: &mut Intent,
        resource: &ResourceId,
        credentials: &[Secret],
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        let version = intent.project.key_version + u32::from(!credentials.is_empty());
        let (row, now) = (intent.row, at.as_millisecond());
        let update = "UPDATE projects SET resource = ?2, key_version = ?3, updated_at = ?4 WHERE row = ?1";
        let insert = "INSERT INTO credentials VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.0.transact::<_, LedgerError>(Access::WriteUnsynced, |tx| {
            tx.run(update, &values![row, resource.as_str(), version, now])?;
            for (position, credential) in (0_i64..).zip(credentials) {
                let (fingerprint, mask) = (credential.fingerprint(), credential.mask());
                let length = i64::try_from(credential.len()).unwrap_or(i64::MAX);
                tx.run(insert, &values![row, version, position, fingerprint.as_str(), mask.as_str(), length, now])?;
            }
            Ok(())
        })?;
        intent.project.resource = Some(resource.clone());
        intent.project.key_version = version;
        intent.project.mask = credentials.first().map(Secret::mask).or(intent.project.mask.take());
        intent.project.updated_at = at;
        Ok(())
    }

    /// Ends the entry: the project's new status, what stays committed of its cap, and the audit row of the outcome, in one
    /// transaction.
    ///
    /// # Errors
    /// When the ledger cannot be written; the entry is then still open.
    #[expect(clippy::needless_pass_by_value, reason = "an intent ends once")]
    pub fn close(&self, intent: Intent, status: Status, event: &Event) -> Result<Project, LedgerError> {
        let now = event.at.as_millisecond();
        self.0.write(|tx| {
            let mut project = intent.project.clone();
            let (row, entry) = (intent.row, intent.entry);
            commitments::settle(tx, &intent, &mut project, status, event)?;
            move_to(tx, row, &mut project, status, event.at)?;
            if !status.is_live() {
                tx.run("UPDATE deliveries SET held = 0 WHERE project = ?1", &values![row])?;
            }
            let sql = "UPDATE journal SET closed_at = ?2, outcome = ?3 WHERE entry = ?1 AND outcome IS NULL";
            if tx.run(sql, &values![entry, now, event.verdict.as_str()])? == 0 {
                return Err(LedgerError::Moved { status: SUPERSEDED });
            }
            chain::append(tx, event, Some(&project))?;
            Ok(project)
        })
    }
}

/// The outcome of an entry that a kill or a teardown has taken over.
const SUPERSEDED: &str = "superseded";

/// What a new entry says beside its project.
pub(super) struct Opening<'a> {
    pub operation: Operation,
    pub op: &'a OperationId,
    pub was_status: Status,
}

fn begin_granted(tx: &ScopedTx<'_>, draft: &NewProject, grant: Grant, event: &Event) -> Result<Intent, LedgerError> {
    let project = Project {
        id: draft.id.clone(),
        name: draft.name.clone(),
        provider: draft.provider.clone(),
        service: draft.service.clone(),
        backend: draft.backend.clone(),
        resource: None,
        status: Status::Provisioning,
        cap: grant.cap,
        cap_period: grant.period,
        last_usage: None,
        key_version: 0,
        mask: None,
        deliveries: grant.deliveries,
        env_file: draft.env_file.clone(),
        expires_at: grant.term.expires_at,
        created_at: event.at,
        updated_at: event.at,
    };
    let row = insert(tx, &project, grant.term.session.as_deref())?;
    commitments::grant(tx, row, &project, event.at)?;
    let opening = Opening { operation: Operation::Provision, op: &draft.op, was_status: Status::Provisioning };
    open(tx, row, project, &opening, event)
}

pub(super) fn insert(tx: &ScopedTx<'_>, project: &Project, session: Option<&str>) -> Result<i64, LedgerError> {
    let sql = "INSERT INTO projects (id, name, provider, service, service_provider, backend, money, kind, workspace, \
        status, cap_cents, key_version, env_file, created_at, updated_at, expires_at, session, cap_period) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'project', ?8, ?9, ?10, ?11, ?12, ?13, ?13, ?14, ?15, ?16) RETURNING row";
    let env_file = project.env_file.to_string_lossy();
    let inserted = tx.rows(
        sql,
        &values![
            project.id.as_str(),
            project.name.as_str(),
            project.provider.as_str(),
            project.service.as_str(),
            project.service.provider(),
            &project.backend,
            project.money().as_str(),
            tx.registered()?,
            project.status.as_str(),
            amount(project.cap.cents()),
            project.key_version,
            &*env_file,
            project.created_at.as_millisecond(),
            project.expires_at.map(Timestamp::as_millisecond),
            session,
            project.cap_period.as_str(),
        ],
    )?;
    let row = inserted.one()?.get(0)?;
    for (position, delivery) in (0_i64..).zip(&project.deliveries) {
        let values = values![row, position, &*env_file, delivery.env_var.as_str(), delivery.credential.as_deref()];
        tx.run("INSERT INTO deliveries VALUES (?1, ?2, ?3, ?4, ?5, 1)", &values)?;
    }
    Ok(row)
}

pub(super) fn open(
    tx: &ScopedTx<'_>,
    row: i64,
    project: Project,
    opening: &Opening<'_>,
    event: &Event,
) -> Result<Intent, LedgerError> {
    let sql = "INSERT INTO journal (project, operation, op, was_status, was_version, opened_at) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING entry";
    let Opening { operation, op, was_status } = *opening;
    let (was_version, now) = (project.key_version, event.at.as_millisecond());
    let values = values![row, operation.as_str(), op.as_str(), was_status.as_str(), was_version, now];
    let entry = tx.rows(sql, &values)?.one()?.get(0)?;
    debug_assert_eq!(event.verdict, Verdict::Intended, "an opening event announces");
    chain::append(tx, event, Some(&project))?;
    Ok(Intent {
        operation,
        project,
        was_status,
        was_version,
        request_ids: Vec::new(),
        usage: None,
        may_exist: false,
        entry,
        row,
    })
}

fn move_to(tx: &dyn Tx, row: i64, project: &mut Project, next: Status, at: Timestamp) -> Result<(), LedgerError> {
    // During a suspension or its end, a project already has the status that the operation ends in.
    if project.status != next && !project.status.may_become(next) {
        return Err(LedgerError::Moved { status: project.status.as_str() });
    }
    let sql = "UPDATE projects SET status = ?2, updated_at = ?3 WHERE row = ?1";
    tx.run(sql, &values![row, next.as_str(), at.as_millisecond()])?;
    project.status = next;
    project.updated_at = at;
    Ok(())
}
