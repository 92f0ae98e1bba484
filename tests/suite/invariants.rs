//! The invariants, checked from the outside after any history.
//!
//! Every live resource is listed, the env file has the current key of every active project and no key of a torn-down
//! one, nothing was bought twice, no temporary file remains, the audit chain verifies, and no journal entry is open.

use std::collections::BTreeSet;

use domain::secret::Secret;
use serde_json::Value;
use storage::ledger::Visibility;

use crate::{raw_client::until, workspace::Workspace};

/// Panics, naming the case, if an invariant is broken.
pub fn check(workspace: &Workspace, case: &str) {
    let list = workspace.json(&["list", "--all"]);
    let projects = list["projects"].as_array().unwrap();
    let env_file = workspace.read(".env");

    let live: Vec<&Value> = projects.iter().filter(|project| is_live(project)).collect();
    let page = workspace.ledger().projects().page(Visibility::Live, 0, 100).unwrap();
    let known = page.projects.iter().map(|project| project.resource.as_ref().expect(case).as_str().to_owned());
    assert_eq!(
        known.collect::<BTreeSet<_>>(),
        workspace.billed_resources(),
        "{case}: billed and listed differ: {list:#}"
    );
    assert_eq!(live.len(), page.projects.len(), "{case}");

    let suspended = live.iter().filter(|project| project["status"] == "suspended").count();
    for project in &live {
        let variable = project["env_var"].as_str().unwrap();
        if project["status"] == "suspended" {
            assert_eq!(workspace.variable(variable), None, "{case}: the key of a suspended project is withheld");
            continue;
        }
        assert_eq!(project["status"], "active", "{case}: {project:#}");
        let key = workspace.variable(variable).expect(case);
        assert!(workspace.owner_of(&key).is_some(), "{case}: the env file has a revoked key: {project:#}");
        let mask = Secret::new(key).mask();
        assert_eq!(project["api_key_masked"], mask.as_str(), "{case}");
    }
    let keys = env_file.matches(workspace.key_prefix()).count();
    assert_eq!(keys, live.len() - suspended, "{case}: {} live projects", live.len());
    assert!(env_file.starts_with(USER_LINES), "{case}: the existing content is lost: {env_file:?}");

    // A running server may have a temporary file at this moment.
    until(&format!("{case}: {:?} to go", workspace.leftovers()), || workspace.leftovers().is_empty().then_some(()));
    assert_eq!(workspace.ledger().audit().first_broken_row().unwrap(), None, "{case}: the audit chain is broken");
    assert!(workspace.ledger().projects().unsettled().unwrap().is_empty(), "{case}: something is still open");
}

/// Repeats the interrupted operation on the victim, which reconciles it.
pub fn finish(workspace: &Workspace, operation: &str, case: &str) {
    let output = match operation {
        "provision" => workspace.run(&["provision", "victim", "supermemory"]),
        "resume" | "rotate" | "suspend" => workspace.run(&[operation, "victim"]),
        _ => workspace.run(&["teardown", "victim", "--yes"]),
    };
    let exists = output.code == 3 && output.stderr.contains("live already");
    assert!(output.code == 0 || exists, "{case}: {output:?}");
}

fn is_live(project: &Value) -> bool {
    !matches!(project["status"].as_str().unwrap(), "torn_down" | "failed")
}

/// The content of the user's env file before.
pub const USER_LINES: &str = "# mine\nOTHER='kept as it is'  \n";
