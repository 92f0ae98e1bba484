//! The journal: what was begun, and how it ended.

use std::path::PathBuf;

use rusqlite::{Connection, params};

use super::{
    Ledger, LedgerError, LifetimeTerms,
    audit::{self, Event, Verdict},
    projects::{Tx, one},
    rows::{Stored, parsed},
};
use crate::{
    clock::Timestamp,
    money::Cents,
    name::{ProjectName, ProviderKey, ServiceRef},
    project::{Delivery, Project, ProjectId, ResourceId, Status},
    secret::Secret,
    sqlite::DatabaseError,
};

/// What can be begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    Provision,
    Resume,
    Rotate,
    Suspend,
    Teardown,
}

impl Operation {
    const ALL: [Self; 5] = [Self::Provision, Self::Resume, Self::Rotate, Self::Suspend, Self::Teardown];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Resume => "resume",
            Self::Rotate => "rotate",
            Self::Suspend => "suspend",
            Self::Teardown => "teardown",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.as_str() == text)
    }

    /// The status of a project while this is under way.
    fn under_way(self) -> Status {
        match self {
            Self::Provision => Status::Provisioning,
            Self::Resume | Self::Suspend => Status::Suspended,
            Self::Rotate => Status::Rotating,
            Self::Teardown => Status::TearingDown,
        }
    }
}

/// A project that does not exist yet.
pub struct NewProject {
    pub id: ProjectId,
    pub name: ProjectName,
    pub provider: ProviderKey,
    pub service: ServiceRef,
    pub backend: String,
    pub env_file: PathBuf,
}

/// What the decision taken inside the transaction grants a draft.
pub struct Grant {
    pub cap: Cents,
    pub deliveries: Vec<Delivery>,
    pub term: LifetimeTerms,
}

/// An open journal entry and the project it is about.
///
/// It ends in [`Ledger::close`]. Where the answer is not known it is left open with [`Intent::leave_open`], said
/// aloud, and whoever touches the project next settles it first.
#[must_use = "an intent is closed, or left open on purpose"]
pub struct Intent {
    pub operation: Operation,
    /// The project as it stands now.
    pub project: Project,
    was_status: Status,
    /// The key version before; a higher one now says that the credential has been exchanged.
    pub was_version: u32,
    /// What the backend called the requests made for it, for the audit.
    pub request_ids: Vec<String>,
    entry: i64,
    row: i64,
}

impl Intent {
    /// The project's status once the operation is done.
    pub fn when_done(&self) -> Status {
        match self.operation {
            Operation::Provision | Operation::Resume => Status::Active,
            Operation::Rotate => self.was_status,
            Operation::Suspend => Status::Suspended,
            Operation::Teardown => Status::TornDown,
        }
    }

    /// The project's status when it turns out that nothing happened. A teardown is never given up: it is repeated.
    pub fn when_nothing_happened(&self) -> Status {
        match self.operation {
            Operation::Provision => Status::Failed,
            Operation::Resume | Operation::Rotate | Operation::Suspend => self.was_status,
            Operation::Teardown => Status::TearingDown,
        }
    }

    /// Leaves the question open: its answer may still be found at the backend.
    pub fn leave_open(self) -> ProjectName {
        self.project.name
    }
}

impl Ledger {
    /// Records the intent to provision: project, variables, journal and audit, in one transaction, provided that
    /// `decide` grants it from what that same transaction sees. No two calls can both spend the last of a budget.
    ///
    /// # Errors
    /// What `decide` refuses with, and then nothing was written; or the ledger's own.
    pub fn begin_provision<E: From<LedgerError> + From<DatabaseError>>(
        &self,
        draft: NewProject,
        event: &Event,
        decide: impl FnOnce(&Tx<'_>) -> Result<Grant, E>,
    ) -> Result<Intent, E> {
        self.write(|connection| {
            let grant = decide(&Tx(connection))?;
            Ok(begin_granted(connection, draft, grant, event)?)
        })
    }

    /// Records the intent to change the live project of that name; `None` when there is none.
    ///
    /// A teardown supersedes an entry that is still open: whatever it was about, the resource is to go.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when its status rules the operation out; nothing was written then.
    pub fn begin(
        &self,
        name: &ProjectName,
        operation: Operation,
        event: &Event,
    ) -> Result<Option<Intent>, LedgerError> {
        self.write(|connection| {
            let Some(Stored { row, mut project }) = Tx(connection).named(name)? else {
                return Ok(None);
            };
            let was_status = project.status;
            if operation == Operation::Teardown {
                let sql =
                    "UPDATE journal SET closed_at = ?2, outcome = 'superseded' WHERE project = ?1 AND outcome IS NULL";
                connection.prepare_cached(sql)?.execute(params![row, event.at.as_millisecond()])?;
            }
            move_to(connection, row, &mut project, operation.under_way(), event.at)?;
            open(connection, row, project, operation, was_status, event).map(Some)
        })
    }

    /// The open entry of a project, if it has one.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn open_intent(&self, id: &ProjectId) -> Result<Option<Intent>, LedgerError> {
        self.read(|connection| {
            let Some(Stored { row, project }) = one(connection, "p.id = ?1", id.as_str())? else {
                return Ok(None);
            };
            let mut statement = connection.prepare_cached(
                "SELECT entry, operation, was_status, was_version FROM journal WHERE project = ?1 AND outcome IS NULL",
            )?;
            let mut rows = statement.query([row])?;
            let Some(found) = rows.next()? else {
                return Ok(None);
            };
            Ok(Some(Intent {
                entry: found.get(0)?,
                operation: parsed("operation", Operation::parse(&found.get::<_, String>(1)?).ok_or(()))?,
                was_status: parsed("was_status", Status::parse(&found.get::<_, String>(2)?).ok_or(()))?,
                was_version: found.get(3)?,
                project,
                request_ids: Vec::new(),
                row,
            }))
        })
    }

    /// Records what the backend handed out: the resource, and a new key version with mask and fingerprint of each
    /// delivered credential. `credentials` stand in the order of the project's deliveries; without any, only the
    /// resource is recorded.
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
        self.write::<_, LedgerError>(|connection| {
            let sql = "UPDATE projects SET resource = ?2, key_version = ?3, updated_at = ?4 WHERE row = ?1";
            let now = at.as_millisecond();
            connection.prepare_cached(sql)?.execute(params![intent.row, resource.as_str(), version, now])?;
            let mut insert =
                connection.prepare_cached("INSERT INTO credentials VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
            for (position, credential) in (0_i64..).zip(credentials) {
                let (fingerprint, mask) = (credential.fingerprint(), credential.mask());
                let length = i64::try_from(credential.len()).unwrap_or(i64::MAX);
                let (fingerprint, mask) = (fingerprint.as_str(), mask.as_str());
                insert.execute(params![intent.row, version, position, fingerprint, mask, length, now])?;
            }
            Ok(())
        })?;
        intent.project.resource = Some(resource.clone());
        intent.project.key_version = version;
        intent.project.mask = credentials.first().map(Secret::mask).or(intent.project.mask.take());
        intent.project.updated_at = at;
        Ok(())
    }

    /// Ends the entry: the project's new status and the audit row of the outcome, in one transaction.
    ///
    /// # Errors
    /// When the ledger cannot be written; the entry is then still open.
    pub fn close(&self, intent: Intent, status: Status, event: &Event) -> Result<Project, LedgerError> {
        let Intent { mut project, row, entry, .. } = intent;
        self.write(|connection| {
            move_to(connection, row, &mut project, status, event.at)?;
            if !status.is_live() {
                connection.prepare_cached("UPDATE deliveries SET held = 0 WHERE project = ?1")?.execute([row])?;
            }
            let sql = "UPDATE journal SET closed_at = ?2, outcome = ?3 WHERE entry = ?1";
            let now = event.at.as_millisecond();
            connection.prepare_cached(sql)?.execute(params![entry, now, event.verdict.as_str()])?;
            audit::append(connection, event, Some(&project))?;
            Ok::<_, LedgerError>(project)
        })
    }
}

fn begin_granted(
    connection: &Connection,
    draft: NewProject,
    grant: Grant,
    event: &Event,
) -> Result<Intent, LedgerError> {
    let project = Project {
        id: draft.id,
        name: draft.name,
        provider: draft.provider,
        service: draft.service,
        backend: draft.backend,
        resource: None,
        status: Status::Provisioning,
        cap: grant.cap,
        key_version: 0,
        mask: None,
        deliveries: grant.deliveries,
        env_file: draft.env_file,
        expires_at: grant.term.expires_at,
        created_at: event.at,
        updated_at: event.at,
    };
    let row = insert(connection, &project, grant.term.session.as_deref())?;
    open(connection, row, project, Operation::Provision, Status::Provisioning, event)
}

fn insert(connection: &Connection, project: &Project, session: Option<&str>) -> Result<i64, LedgerError> {
    let sql = "INSERT INTO projects (id, name, provider, service, backend, status, cap_cents, key_version, env_file, \
        created_at, updated_at, expires_at, session) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12)";
    let env_file = project.env_file.to_string_lossy();
    let row = connection.prepare_cached(sql)?.insert(params![
        project.id.as_str(),
        project.name.as_str(),
        project.provider.as_str(),
        project.service.as_str(),
        project.backend,
        project.status.as_str(),
        i64::try_from(project.cap.cents()).unwrap_or(i64::MAX),
        project.key_version,
        env_file,
        project.created_at.as_millisecond(),
        project.expires_at.map(Timestamp::as_millisecond),
        session,
    ])?;
    let mut insert = connection.prepare_cached("INSERT INTO deliveries VALUES (?1, ?2, ?3, ?4, ?5, 1)")?;
    for (position, delivery) in (0_i64..).zip(&project.deliveries) {
        insert.execute(params![row, position, env_file, delivery.env_var.as_str(), delivery.credential])?;
    }
    Ok(row)
}

fn open(
    connection: &Connection,
    row: i64,
    project: Project,
    operation: Operation,
    was_status: Status,
    event: &Event,
) -> Result<Intent, LedgerError> {
    let sql =
        "INSERT INTO journal (project, operation, was_status, was_version, opened_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    let was_version = project.key_version;
    let now = event.at.as_millisecond();
    let entry = connection.prepare_cached(sql)?.insert(params![
        row,
        operation.as_str(),
        was_status.as_str(),
        was_version,
        now
    ])?;
    debug_assert_eq!(event.verdict, Verdict::Intended, "an opening event announces");
    audit::append(connection, event, Some(&project))?;
    Ok(Intent { operation, project, was_status, was_version, request_ids: Vec::new(), entry, row })
}

fn move_to(
    connection: &Connection,
    row: i64,
    project: &mut Project,
    next: Status,
    at: Timestamp,
) -> Result<(), LedgerError> {
    // A suspension is under way in the status that it ends in, and so is its end.
    if project.status != next && !project.status.may_become(next) {
        return Err(LedgerError::Moved { status: project.status.as_str() });
    }
    let sql = "UPDATE projects SET status = ?2, updated_at = ?3 WHERE row = ?1";
    connection.prepare_cached(sql)?.execute(params![row, next.as_str(), at.as_millisecond()])?;
    project.status = next;
    project.updated_at = at;
    Ok(())
}
