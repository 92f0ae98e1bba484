//! Tests of the ledger below the program: operation ids, and closures that run twice.

use std::sync::Arc;

use domain::{
    approval::{Answer, Approval, ApprovalError, ApprovalId, ApprovalStatus, Subject, SubjectFacts},
    budget::CapPeriod,
    clock::Timestamp,
    money::{Cents, MicroUsd, MoneyClass},
    name::{EnvVar, ProjectName, ProviderKey, ServiceRef},
    project::{Delivery, ProjectId, ResourceId, Status},
    secret::Secret,
};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::store::{Tx as _, contract::Rerunning};

#[test]
fn digest_is_that_of_the_migrated_schema() {
    assert_eq!(SCHEMA.digest(), SCHEMA.computed_digest().unwrap());
}

#[test]
fn an_operation_is_found_by_its_id_until_its_end_and_after() {
    let folder = TempDir::new().unwrap();
    let ledger = Ledger::of(folder.path());
    let (draft, rotation) = (draft(), OperationId::random().unwrap());
    let journal = ledger.journal();
    assert_eq!(journal.operation(&draft.op).unwrap(), None, "nothing was recorded");

    let intent = journal.begin_provision(&draft, &event(Verdict::Intended), granted).unwrap();
    let record = |operation, outcome: Option<&str>| {
        Some(OperationRecord { project: draft.id.clone(), operation, outcome: outcome.map(str::to_owned) })
    };
    assert_eq!(journal.operation(&draft.op).unwrap(), record(Operation::Provision, None), "it is open");
    journal.close(intent, Status::Active, &event(Verdict::Done)).unwrap();
    assert_eq!(journal.operation(&draft.op).unwrap(), record(Operation::Provision, Some("done")));

    let intent = journal.begin(&draft.name, Operation::Rotate, &rotation, &event(Verdict::Intended)).unwrap().unwrap();
    let _ = intent.leave_open();
    assert_eq!(journal.operation(&rotation).unwrap(), record(Operation::Rotate, None));
    let teardown = OperationId::random().unwrap();
    let begun = journal.begin(&draft.name, Operation::Teardown, &teardown, &event(Verdict::Intended)).unwrap();
    assert!(begun.is_some());
    assert_eq!(journal.operation(&rotation).unwrap(), record(Operation::Rotate, Some("superseded")));
    assert_eq!(journal.operation(&teardown).unwrap(), record(Operation::Teardown, None));
}

#[test]
fn an_operation_id_is_recorded_once() {
    let folder = TempDir::new().unwrap();
    let ledger = Ledger::of(folder.path());
    let draft = draft();
    let intent = ledger.journal().begin_provision(&draft, &event(Verdict::Intended), granted).unwrap();
    ledger.journal().close(intent, Status::Active, &event(Verdict::Done)).unwrap();
    let rows = ledger.audit().rows().unwrap().len();

    let again = ledger.journal().begin(&draft.name, Operation::Rotate, &draft.op, &event(Verdict::Intended));
    assert!(matches!(again, Err(LedgerError::Store(StoreError::Conflict(_)))), "the id is taken");
    let project = ledger.projects().live(&draft.name).unwrap().unwrap();
    assert_eq!(project.status, Status::Active, "nothing of it was written");
    assert!(ledger.projects().unsettled().unwrap().is_empty());
    assert_eq!(ledger.audit().rows().unwrap().len(), rows);
}

#[test]
fn closures_that_run_twice_write_once() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::new(folder.path().join("ledger.db"), &SCHEMA);
    let ledger = Ledger::new(Arc::new(Rerunning(Arc::new(store))), folder.path());
    let draft = draft();

    let approval = approve(&ledger);
    let mut decisions = 0;
    let begun = ledger.journal().begin_provision::<LedgerError>(&draft, &event(Verdict::Intended), |tx| {
        decisions += 1;
        assert_eq!(tx.totals(MoneyClass::Simulated)?, (0, Cents::ZERO));
        assert!(tx.spend(&approval, &draft.id, now())?, "the first run has spent nothing");
        granted(tx)
    });
    let mut intent = begun.unwrap();
    assert_eq!(decisions, 2);
    let secret = Secret::new("sk_test_0123456789abcdef".to_owned());
    ledger.journal().record(&mut intent, &ResourceId::new("r".to_owned()), &[secret], now()).unwrap();
    assert_eq!(intent.project.key_version, 1);
    let project = ledger.journal().close(intent, Status::Active, &event(Verdict::Done)).unwrap();

    let crossing = Crossing { project: &project, usage: MicroUsd::new(9), thresholds: &[50, 80] };
    assert_eq!(ledger.alerts().unraised(&[crossing]).unwrap(), [0]);
    let ids = vec!["evt_1".to_owned(), "evt_2".to_owned()];
    let raised = ledger.alerts().raise(&[(crossing, ids)], Outbox::Pending, &event(Verdict::Done)).unwrap();
    assert_eq!(raised.len(), 2);
    assert_eq!(ledger.alerts().unraised(&[crossing]).unwrap(), [0; 0]);
    let claim = ledger.alerts().claim_alert(now(), later(60)).unwrap().unwrap();
    assert_eq!((claim.attempts, claim.alert.id.as_str()), (1, "evt_1"));
    ledger.alerts().settle_alert(&claim, Outcome::Delivered).unwrap();

    ledger.lifetimes().extend(&draft.name, later(600), &event(Verdict::Done)).unwrap().unwrap();
    assert_eq!(ledger.lifetimes().expired(later(601)).unwrap(), std::slice::from_ref(&draft.name));
    assert_eq!(ledger.kv().put_note_if_absent("simulated", "key", "one").unwrap(), "one");
    assert_eq!(ledger.kv().put_note_if_absent("simulated", "key", "two").unwrap(), "one");
    let keys = ledger.issued_keys().all().unwrap();
    assert_eq!((keys.len(), keys[0].live, keys[0].owner.id.clone()), (1, true, draft.id));

    assert_eq!(ledger.audit().seal().unwrap(), None);
    let actions: Vec<_> = ledger.audit().rows().unwrap().into_iter().map(|row| (row.action, row.outcome)).collect();
    assert_eq!(actions.len(), 7, "{actions:?}"); // request, approval, intent, outcome, two alerts, extension
    assert!(matches!(ledger.audit().verify().unwrap(), Proof::Whole { rows: 7, .. }));
}

#[test]
fn new_rows_say_what_they_are() {
    let folder = TempDir::new().unwrap();
    let ledger = Ledger::of(folder.path());
    for (backend, money, variable) in
        [("simulated", "simulated", "ONE"), ("stripe-api", "real", "TWO"), ("stripe-cli", "real", "THREE")]
    {
        let name = ProjectName::parse(backend).unwrap();
        let variable = EnvVar::parse(variable).unwrap();
        let draft = NewProject { name, backend: backend.to_owned(), ..draft() };
        let begun = ledger.journal().begin_provision(&draft, &event(Verdict::Intended), |tx| {
            let deliveries = vec![Delivery { env_var: variable.clone(), credential: None }];
            granted(tx).map(|grant| Grant { deliveries, ..grant })
        });
        let _ = begun.unwrap().leave_open();
        let sql = "SELECT money, kind, workspace, service_provider FROM projects WHERE backend = ?1";
        let stored = ledger.read(|tx| {
            let rows = tx.rows(sql, &crate::store::values![backend])?;
            let row = rows.one()?;
            (0..4).map(|column| Ok(row.get::<String>(column)?)).collect::<Result<Vec<_>, LedgerError>>()
        });
        assert_eq!(stored.unwrap(), [money, "project", "-", "exa"]);
    }
    assert_eq!(ledger.projects().committed_with("stripe-api", "exa").unwrap(), cap());
    assert!(ledger.projects().shared_providers("stripe-api").unwrap().is_empty());
}

#[test]
fn a_long_chain_is_read_in_full_from_either_end() {
    let folder = TempDir::new().unwrap();
    let ledger = Ledger::of(folder.path());
    let calls: Vec<_> =
        (0..300).map(|_| Answered { event: event(Verdict::Called), name: None, project: None, looks: 0 }).collect();
    ledger.audit().note_calls(&calls).unwrap();
    let rows: Vec<_> = ledger.audit().rows().unwrap().into_iter().map(|row| row.seq).collect();
    assert_eq!(rows, (1..=300).collect::<Vec<_>>());
    let mut back = Vec::new();
    ledger
        .audit()
        .look_back(|row| {
            back.push(row.seq);
            true
        })
        .unwrap();
    assert_eq!(back, (1..=300).rev().collect::<Vec<_>>());
    let mut newest = Vec::new();
    ledger
        .audit()
        .look_back(|row| {
            newest.push(row.seq);
            newest.len() < 130
        })
        .unwrap();
    assert_eq!(newest.last(), Some(&171));
    assert!(matches!(ledger.audit().verify().unwrap(), Proof::Whole { rows: 300, .. }));
}

fn draft() -> NewProject {
    NewProject {
        op: OperationId::random().unwrap(),
        id: ProjectId::random().unwrap(),
        name: ProjectName::parse("memory").unwrap(),
        provider: ProviderKey::parse("search").unwrap(),
        service: ServiceRef::parse("exa/api").unwrap(),
        backend: "simulated".to_owned(),
        env_file: "/nowhere/.env".into(),
    }
}

fn granted(tx: &ProvisionTx<'_>) -> Result<Grant, LedgerError> {
    let env_var = EnvVar::parse("MEMORY_KEY").unwrap();
    assert!(!tx.holds(Path::new("/nowhere/.env"), &env_var)?, "no project holds it yet");
    let deliveries = vec![Delivery { env_var, credential: None }];
    Ok(Grant { cap: cap(), period: CapPeriod::Month, deliveries, term: LifetimeTerms::default() })
}

/// An approved request, which a person has answered once.
fn approve(ledger: &Ledger) -> ApprovalId {
    let request = Approval {
        id: ApprovalId::random().unwrap(),
        subject: Subject {
            name: ProjectName::parse("memory").unwrap(),
            provider: ProviderKey::parse("search").unwrap(),
            service: ServiceRef::parse("exa/api").unwrap(),
            cap: cap(),
            shown: SubjectFacts::default(),
            digest: String::new(),
        },
        asked_by: "an agent".to_owned(),
        created_at: now(),
        expires_at: later(900),
        status: ApprovalStatus::Pending,
        decided_by: None,
        quiet_until: None,
    };
    let asked = ledger.approvals().ask(&request, 10, &event(Verdict::Done)).unwrap();
    assert!(matches!(asked, Asked::New(_)), "the first run has asked nothing");
    let decided = ledger.approvals().decide::<Error>(&request.id, None, Answer::Accepted, &event(Verdict::Done));
    assert!(matches!(decided, Ok(Decided::Recorded(approval)) if approval.status == ApprovalStatus::Approved));
    request.id
}

fn event(verdict: Verdict) -> Event {
    Event { at: now(), channel: "test", actor: "a test".to_owned(), action: "test", verdict, detail: json!({}) }
}

fn cap() -> Cents {
    Cents::new(500).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000).unwrap()
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_millisecond(now().as_millisecond() + seconds * 1000).unwrap()
}

#[derive(Debug)]
#[expect(dead_code, reason = "shown when a test fails")]
enum Error {
    Approval(ApprovalError),
    Ledger(LedgerError),
}

impl From<ApprovalError> for Error {
    fn from(error: ApprovalError) -> Self {
        Self::Approval(error)
    }
}

impl From<LedgerError> for Error {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}
