//! Partial failures: the backend succeeded, and the env file cannot take or lose the variable. The report says which,
//! billed projects stay listed, and the next call finishes.

use std::{fs, sync::Arc};

use domain::{
    channel::Channel,
    diagnostic::Diagnostic as _,
    money::Cents,
    name::{ProjectName, ProviderKey},
};
use files::env_file::Replace;
use rusqlite::Connection;
use stripe_projects_mcp::{
    error::Error,
    project_state::ProjectState,
    provisioner::{Phase, Principal, ProvisionRequest, Provisioner},
    settings::Settings,
    view::ProjectView,
};
use tokio::runtime::{Builder, Runtime};

use crate::workspace::Workspace;

#[test]
fn undelivered_key_is_reported_listed_and_delivered_later() {
    let workspace = Workspace::new();
    let error =
        with_variable_replaced(&workspace, |provisioner| provisioner.projects.provision(&request(), &principal()))
            .unwrap_err();
    assert_eq!(error.code(), "key_not_delivered");
    assert!(error.hint(Channel::Cli).contains("rotate victim"), "{}", error.hint(Channel::Cli));
    let listed = workspace.json(&["list"]);
    assert_eq!(listed["projects"][0]["status"], "provisioning", "what is billed is listed");
    assert_eq!(workspace.read(".env"), THEIRS, "the user's value stays");
    let response = workspace.json(&["abandon", "victim", "--yes"]);
    assert_eq!(response["code"], "nothing_to_forget", "its outcome is known, so it can be torn down");

    fs::remove_file(workspace.file(".env")).unwrap();
    workspace.ok(&["rotate", "victim"]);
    let key = workspace.variable("EXA_API_KEY").unwrap();
    assert!(workspace.owner_of(&key).is_some());
    assert_eq!(workspace.world().observe_everything().unwrap().len(), 1, "nothing was bought twice");
}

/// Reconciling completes the provision, and the teardown goes on. A repeated teardown succeeds as well.
#[test]
fn half_done_provision_can_be_torn_down() {
    let workspace = Workspace::new();
    with_variable_replaced(&workspace, |provisioner| provisioner.projects.provision(&request(), &principal()))
        .unwrap_err();
    fs::remove_file(workspace.file(".env")).unwrap();
    for _ in 0..2 {
        assert_eq!(workspace.json(&["teardown", "victim", "--yes"])["status"], "torn_down");
        assert!(workspace.billed_resources().is_empty());
    }
}

#[test]
fn undelivered_rotated_key_is_reported_and_delivered_later() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "victim", "search"]);
    let old = workspace.variable("EXA_API_KEY").unwrap();
    let error = with_variable_replaced(&workspace, |provisioner| provisioner.projects.rotate(&name(), &principal()))
        .unwrap_err();
    assert_eq!(error.code(), "key_not_delivered");
    assert!(error.to_string().starts_with("the old key is revoked and a new one exists"), "{error}");
    assert!(workspace.owner_of(&old).is_none());
    assert_eq!(workspace.json(&["rotate", "victim"])["code"], "key_not_delivered", "still, and reported again");

    fs::remove_file(workspace.file(".env")).unwrap();
    workspace.ok(&["rotate", "victim"]);
    assert!(workspace.owner_of(&workspace.variable("EXA_API_KEY").unwrap()).is_some());
}

#[test]
fn unrecorded_rotation_is_reported_as_key_not_delivered() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "victim", "search"]);
    let old = workspace.variable("EXA_API_KEY").unwrap();
    let ledger = workspace.state().join("ledger.db");
    let full = "INSERT INTO credentials SELECT row, 2, 0, 'taken', '', 0, 0 FROM projects"; // the place of the next key
    let error = with_change_at(
        &workspace,
        Phase::Acted,
        move || Connection::open(&ledger).unwrap().execute_batch(full).unwrap(),
        |provisioner| provisioner.projects.rotate(&name(), &principal()),
    )
    .unwrap_err();
    assert_eq!(error.code(), "key_not_delivered", "the old key is revoked, which has to be reported");
    assert!(workspace.owner_of(&old).is_none());

    workspace.sql("DELETE FROM credentials WHERE fingerprint = 'taken'");
    workspace.ok(&["rotate", "victim"]);
    assert!(workspace.owner_of(&workspace.variable("EXA_API_KEY").unwrap()).is_some());
}

#[test]
fn project_with_an_undelivered_key_can_be_torn_down() {
    let workspace = Workspace::new();
    with_variable_replaced(&workspace, |provisioner| provisioner.projects.provision(&request(), &principal()))
        .unwrap_err();
    workspace.ok(&["teardown", "victim", "--yes"]);
    assert!(workspace.world().observe_everything().unwrap().is_empty());
    assert_eq!(workspace.read(".env"), THEIRS);
    assert!(workspace.ledger().projects().unsettled().unwrap().is_empty());
}

#[test]
fn unremoved_variable_is_reported_and_removed_later() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "victim", "search"]);
    let file = workspace.file(".env");
    let content = workspace.read(".env");
    let error = with_change_at(
        &workspace,
        Phase::Acted,
        {
            let file = file.clone();
            move || {
                fs::remove_file(&file).unwrap();
                fs::create_dir(&file).unwrap();
            }
        },
        |provisioner| provisioner.projects.teardown(&name(), &principal()),
    )
    .unwrap_err();
    assert_eq!(error.code(), "variable_not_removed");
    assert_eq!(workspace.json(&["list"])["projects"][0]["status"], "tearing_down");

    fs::remove_dir(&file).unwrap();
    workspace.write(".env", content);
    workspace.ok(&["teardown", "victim", "--yes"]);
    assert_eq!(workspace.read(".env"), "");
    assert_eq!(workspace.json(&["list"])["live_count"], 0);
}

#[test]
fn teardown_ignores_a_removed_env_folder() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.file("sub")).unwrap();
    workspace.ok(&["provision", "victim", "search", "--env-file", "sub/.env"]);
    fs::remove_dir_all(workspace.file("sub")).unwrap();
    workspace.ok(&["teardown", "victim", "--yes"]);
    assert!(workspace.world().observe_everything().unwrap().is_empty());
}

/// Runs an operation during which the user changes the variable, after the backend call.
fn with_variable_replaced(
    workspace: &Workspace,
    operation: impl FnOnce(&Provisioner) -> Result<ProjectState, Error>,
) -> Result<ProjectView, Error> {
    let file = workspace.file(".env");
    with_change_at(workspace, Phase::Acted, move || fs::write(&file, THEIRS).unwrap(), operation)
}

fn with_change_at(
    workspace: &Workspace,
    at: Phase,
    meanwhile: impl Fn() + Send + Sync + 'static,
    operation: impl FnOnce(&Provisioner) -> Result<ProjectState, Error>,
) -> Result<ProjectView, Error> {
    let runtime: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let options = workspace.options();
    let provisioner = Settings::resolve(options).unwrap().provisioner(runtime.handle().clone()).unwrap();
    operation(&provisioner.with_phase_hook(Arc::new(move |step| {
        if step == at {
            meanwhile();
        }
    })))
    .map(|state| ProjectView::from(&state))
}

fn request() -> ProvisionRequest {
    let provider = ProviderKey::parse("search").unwrap();
    ProvisionRequest { name: name(), provider, cap: Cents::ZERO, lifetime: None, replace: Replace::OursOnly }
}

fn name() -> ProjectName {
    ProjectName::parse("victim").unwrap()
}

fn principal() -> Principal {
    Principal::person("a test")
}

const THEIRS: &str = "EXA_API_KEY=put-here-by-another-program\n";
