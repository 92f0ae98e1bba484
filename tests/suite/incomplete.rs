//! Half-way ends: the backend has done its part and the env file cannot take it, or give it up. The report says which,
//! what is billed stays listed, and the next call finishes.

use std::{fs, sync::Arc};

use rusqlite::Connection;
use stripe_projects_mcp::{
    env_file::Replace,
    error::Error,
    money::Cents,
    name::{ProjectName, ProviderKey},
    policy::Asker,
    provisioner::{Phase, Principal, ProvisionRequest, Provisioner},
    settings::{CliOptions, Settings},
    view::ProjectView,
};
use tokio::runtime::{Builder, Runtime};

use crate::workspace::Workspace;

#[test]
fn a_key_that_cannot_be_delivered_is_reported_listed_and_delivered_later() {
    let workspace = Workspace::new();
    let error = taken_meanwhile(&workspace, |provisioner| provisioner.provision(&wanted(), &principal())).unwrap_err();
    assert_eq!(error.code(), "key_not_delivered");
    assert!(error.hint().contains("rotate victim"), "{}", error.hint());
    let listed = workspace.json(&["list"]);
    assert_eq!(listed["projects"][0]["status"], "provisioning", "what is billed is listed");
    assert_eq!(workspace.read(".env"), THEIRS, "and their value is theirs");
    let kept = workspace.json(&["abandon", "victim", "--yes"]);
    assert_eq!(kept["code"], "nothing_to_forget", "it is known what became of it, so it is there to be torn down");

    fs::remove_file(workspace.file(".env")).unwrap();
    workspace.ok(&["rotate", "victim"]);
    let key = workspace.variable("EXA_API_KEY").unwrap();
    assert!(workspace.owner_of(&key).is_some());
    assert_eq!(workspace.world().observe_everything().unwrap().len(), 1, "nothing was bought twice");
}

/// The provision ends well on the way, which ends nothing: it was asked for the end. Asked twice is as good as once.
#[test]
fn what_was_half_way_is_torn_down_all_the_same() {
    let workspace = Workspace::new();
    taken_meanwhile(&workspace, |provisioner| provisioner.provision(&wanted(), &principal())).unwrap_err();
    fs::remove_file(workspace.file(".env")).unwrap();
    for _ in 0..2 {
        assert_eq!(workspace.json(&["teardown", "victim", "--yes"])["status"], "torn_down");
        assert!(workspace.billed().is_empty());
    }
}

#[test]
fn a_rotated_key_that_cannot_be_delivered_is_reported_and_delivered_later() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "victim", "search"]);
    let old = workspace.variable("EXA_API_KEY").unwrap();
    let error = taken_meanwhile(&workspace, |provisioner| provisioner.rotate(&name(), &principal())).unwrap_err();
    assert_eq!(error.code(), "key_not_delivered");
    assert!(error.to_string().starts_with("the old key is dead and a new one exists"), "{error}");
    assert!(workspace.owner_of(&old).is_none());
    assert_eq!(workspace.json(&["rotate", "victim"])["code"], "key_not_delivered", "still, and said again");

    fs::remove_file(workspace.file(".env")).unwrap();
    workspace.ok(&["rotate", "victim"]);
    assert!(workspace.owner_of(&workspace.variable("EXA_API_KEY").unwrap()).is_some());
}

#[test]
fn a_rotation_that_cannot_be_recorded_is_reported_as_what_it_is() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "victim", "search"]);
    let old = workspace.variable("EXA_API_KEY").unwrap();
    let ledger = workspace.state().join("ledger.db");
    let full = "CREATE TRIGGER full BEFORE INSERT ON credentials BEGIN SELECT RAISE(ABORT, 'full'); END";
    let error = interrupted(
        &workspace,
        Phase::Acted,
        move || Connection::open(&ledger).unwrap().execute_batch(full).unwrap(),
        |provisioner| provisioner.rotate(&name(), &principal()),
    )
    .unwrap_err();
    assert_eq!(error.code(), "key_not_delivered", "the old key is dead, and that is what has to be said");
    assert!(workspace.owner_of(&old).is_none());

    Connection::open(workspace.state().join("ledger.db")).unwrap().execute_batch("DROP TRIGGER full").unwrap();
    workspace.ok(&["rotate", "victim"]);
    assert!(workspace.owner_of(&workspace.variable("EXA_API_KEY").unwrap()).is_some());
}

#[test]
fn what_cannot_be_delivered_can_still_be_torn_down() {
    let workspace = Workspace::new();
    taken_meanwhile(&workspace, |provisioner| provisioner.provision(&wanted(), &principal())).unwrap_err();
    workspace.ok(&["teardown", "victim", "--yes"]);
    assert!(workspace.world().observe_everything().unwrap().is_empty());
    assert_eq!(workspace.read(".env"), THEIRS);
    assert!(workspace.ledger().projects().unsettled().unwrap().is_empty());
}

#[test]
fn a_variable_that_cannot_be_removed_is_reported_and_removed_later() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "victim", "search"]);
    let file = workspace.file(".env");
    let kept = workspace.read(".env");
    let error = interrupted(
        &workspace,
        Phase::Acted,
        {
            let file = file.clone();
            move || {
                fs::remove_file(&file).unwrap();
                fs::create_dir(&file).unwrap();
            }
        },
        |provisioner| provisioner.teardown(&name(), &principal()),
    )
    .unwrap_err();
    assert_eq!(error.code(), "variable_not_removed");
    assert_eq!(workspace.json(&["list"])["projects"][0]["status"], "tearing_down");

    fs::remove_dir(&file).unwrap();
    workspace.write(".env", kept);
    workspace.ok(&["teardown", "victim", "--yes"]);
    assert_eq!(workspace.read(".env"), "");
    assert_eq!(workspace.json(&["list"])["live_count"], 0);
}

#[test]
fn a_teardown_does_not_wait_for_a_folder_that_is_gone() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.file("sub")).unwrap();
    workspace.ok(&["provision", "victim", "search", "--env-file", "sub/.env"]);
    fs::remove_dir_all(workspace.file("sub")).unwrap();
    workspace.ok(&["teardown", "victim", "--yes"]);
    assert!(workspace.world().observe_everything().unwrap().is_empty());
}

/// Runs an operation during which, after the backend has acted, somebody puts a value of his own into the variable.
fn taken_meanwhile(
    workspace: &Workspace,
    operation: impl FnOnce(&Provisioner) -> Result<ProjectView, Error>,
) -> Result<ProjectView, Error> {
    let file = workspace.file(".env");
    interrupted(workspace, Phase::Acted, move || fs::write(&file, THEIRS).unwrap(), operation)
}

fn interrupted(
    workspace: &Workspace,
    at: Phase,
    meanwhile: impl Fn() + Send + Sync + 'static,
    operation: impl FnOnce(&Provisioner) -> Result<ProjectView, Error>,
) -> Result<ProjectView, Error> {
    let runtime: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let options = CliOptions { dir: Some(workspace.path()), ..CliOptions::default() };
    let provisioner = Settings::resolve(options).unwrap().provisioner(runtime.handle().clone());
    operation(&provisioner.with_phase_hook(Arc::new(move |step| {
        if step == at {
            meanwhile();
        }
    })))
}

fn wanted() -> ProvisionRequest {
    let provider = ProviderKey::parse("search").unwrap();
    ProvisionRequest { name: name(), provider, cap: Cents::ZERO, lifetime: None, replace: Replace::OursOnly }
}

fn name() -> ProjectName {
    ProjectName::parse("victim").unwrap()
}

fn principal() -> Principal {
    Principal { door: "cli", actor: "a test".to_owned(), asker: Asker::Human }
}

const THEIRS: &str = "EXA_API_KEY=put-here-by-somebody-else\n";
