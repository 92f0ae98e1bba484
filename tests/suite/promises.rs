//! The promises of the core, from the outside, whatever happened before: every live resource is listed, the env file has
//! the current key of every active project and no key of a dead one, nothing was bought twice, nothing lies about, the
//! audit chain verifies, and nothing is open.

use std::collections::BTreeSet;

use serde_json::Value;
use stripe_projects_mcp::{ledger::Visibility, secret::Secret};

use crate::{lines::until, workspace::Workspace};

/// Panics, naming the case, where one of them is broken.
pub fn check(workspace: &Workspace, case: &str) {
    let list = workspace.json(&["list", "--all"]);
    let projects = list["projects"].as_array().unwrap();
    let env_file = workspace.read(".env");

    let live: Vec<&Value> = projects.iter().filter(|project| is_live(project)).collect();
    let page = workspace.ledger().projects().page(Visibility::Live, 0, 100).unwrap();
    let known = page.projects.iter().map(|project| project.resource.as_ref().expect(case).as_str().to_owned());
    assert_eq!(known.collect::<BTreeSet<_>>(), workspace.billed(), "{case}: billed and listed differ: {list:#}");
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
        assert!(workspace.owner_of(&key).is_some(), "{case}: the env file has a dead key: {project:#}");
        let mask = Secret::new(key).mask();
        assert_eq!(project["api_key_masked"], mask.as_str(), "{case}");
    }
    let keys = env_file.matches(workspace.key_prefix()).count();
    assert_eq!(keys, live.len() - suspended, "{case}: {} live projects", live.len());
    assert!(env_file.starts_with(MINE), "{case}: what was there before is gone: {env_file:?}");

    // A server that lives on may have one in hand at this moment.
    until(&format!("{case}: {:?} to go", workspace.leftovers()), || workspace.leftovers().is_empty().then_some(()));
    assert_eq!(workspace.ledger().audit().first_broken_row().unwrap(), None, "{case}: the audit chain is broken");
    assert!(workspace.ledger().projects().unsettled().unwrap().is_empty(), "{case}: something is still open");
}

/// Touches the victim, which settles it: by repeating what was interrupted.
pub fn finish(workspace: &Workspace, operation: &str, case: &str) {
    let ran = match operation {
        "provision" => workspace.run(&["provision", "victim", "supermemory"]),
        "resume" | "rotate" | "suspend" => workspace.run(&[operation, "victim"]),
        _ => workspace.run(&["teardown", "victim", "--yes"]),
    };
    let exists = ran.code == 3 && ran.stderr.contains("live already");
    assert!(ran.code == 0 || exists, "{case}: {ran:?}");
}

fn is_live(project: &Value) -> bool {
    !matches!(project["status"].as_str().unwrap(), "torn_down" | "failed")
}

/// What the user had in the env file before.
pub const MINE: &str = "# mine\nOTHER='kept as it is'  \n";
