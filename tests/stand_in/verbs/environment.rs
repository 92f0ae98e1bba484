//! Environments and the variables in them. Values are shown as dots; the file that `--pull` writes has them.

use serde_json::{Map, Value, json};

use super::{Scene, invalid, is_beside_us};
use crate::{
    account::{provider_of, tracked},
    answer::{Failure, Outcome},
    folder, mint,
};

pub fn show(scene: &mut Scene<'_>) -> Outcome {
    let id = scene.project_id()?;
    let environment = folder::active_environment();
    let variables = variables(scene, &id, &environment);
    let output = scene.world.project(&id).unwrap()["environments"][&environment]["output"].clone();
    let hidden = variables.iter().map(|one| json!({ "env_key": one.key, "name": one.resource, "value": "••••••••" }));
    Ok(json!({ "environment": environment, "output": output, "variables": hidden.collect::<Vec<_>>() }))
}

/// Fetches the values of the active environment into its file.
pub fn pull(scene: &mut Scene<'_>) -> Outcome {
    let id = scene.project_id()?;
    let environment = folder::active_environment();
    let variables = variables(scene, &id, &environment);
    if variables.is_empty() {
        let message = format!("The environment {environment} has no resources.");
        return Err(Failure::new("PROJECT_ENVIRONMENT_HAS_NO_RESOURCES", message));
    }
    let always_quote = scene.world.setting("env", "quote") == true;
    let project = scene.world.project(&id).unwrap();
    let output = project["environments"][&environment]["output"].as_str().unwrap().to_owned();
    for resource in project["resources"].as_array_mut().unwrap() {
        if variables.iter().any(|one| resource["name"] == *one.resource) {
            resource["last_revealed_at"] = mint::now().into();
        }
    }
    let values: Vec<(String, String)> = variables.iter().map(|one| (one.key.clone(), one.value.clone())).collect();
    folder::write_env_file(&output, &values, always_quote);
    let hidden = variables.iter().map(|one| json!({ "env_key": one.key, "name": one.resource, "value": "••••••••" }));
    let hidden: Vec<Value> = hidden.collect();
    Ok(json!({ "environment": environment, "output": output, "variables": hidden, "files_modified": [output] }))
}

pub fn list(scene: &mut Scene<'_>) -> Outcome {
    let id = scene.project_id()?;
    let known = scene.world.project(&id).unwrap()["environments"].as_object().unwrap().clone();
    let mut shown = Map::new();
    for (name, environment) in known {
        let variables = variables(scene, &id, &name).into_iter();
        // Whether `name` is the resource's or the credential's is not recorded; here it is the resource's.
        let variables = variables.map(|one| json!({ "env_key": one.key, "name": one.resource }));
        let row = json!({
            "name": name,
            "output": environment["output"],
            "resources": environment["resources"],
            "variables": variables.collect::<Vec<_>>(),
        });
        shown.insert(name, row);
    }
    Ok(json!({ "active_environment": folder::active_environment(), "environments": shown }))
}

/// The shape of `data` is not recorded.
pub fn create(scene: &mut Scene<'_>) -> Outcome {
    let id = scene.project_id()?;
    let name = scene.call.subject();
    let default = format!(".env.{name}");
    let output = scene.call.value("output").unwrap_or(&default);
    if name.is_empty() || !is_beside_us(output) {
        return Err(invalid("An environment needs a name, and a file of this folder."));
    }
    let environments = &mut scene.world.project(&id).unwrap()["environments"];
    if environments.get(name).is_some() {
        return Err(invalid("There is an environment of that name."));
    }
    environments[name] = json!({ "output": output, "resources": [] });
    let environment = json!({ "name": name, "output": output, "resources": [] });
    scene.write_folder(&id);
    Ok(json!({ "environment": environment, "files_modified": folder::FILES }))
}

/// The shape of `data` is not recorded.
pub fn activate(scene: &mut Scene<'_>) -> Outcome {
    let id = scene.project_id()?;
    let name = scene.call.subject();
    if scene.world.project(&id).unwrap()["environments"].get(name).is_none() {
        return Err(invalid("There is no environment of that name."));
    }
    folder::activate(name);
    Ok(json!({ "active_environment": name }))
}

struct Variable {
    key: String,
    resource: String,
    value: String,
}

/// What is ready in an environment. A variable is named after its resource, or after the provider where a test has
/// set that for the service and nothing else of the provider is there.
fn variables(scene: &mut Scene<'_>, id: &str, environment: &str) -> Vec<Variable> {
    let project = scene.world.project(id).unwrap().clone();
    let named = project["environments"][environment]["resources"].as_array().cloned().unwrap_or_default();
    let here: Vec<&Value> =
        tracked(&project).filter(|resource| resource["kind"] != "plan" && named.contains(&resource["name"])).collect();
    let mut variables = Vec::new();
    for resource in here.iter().filter(|resource| resource["status"] == "complete") {
        let provider = provider_of(resource);
        let alone = here.iter().filter(|other| provider_of(other) == provider).count() == 1;
        let by_provider = scene.world.setting(resource["service"].as_str().unwrap(), "naming") == "provider";
        let name = resource["name"].as_str().unwrap();
        let prefix = if by_provider && alone { provider } else { name };
        let prefix = prefix.to_uppercase().replace('-', "_");
        for (suffix, value) in resource["credentials"].as_object().unwrap() {
            let value = value.as_str().unwrap().to_owned();
            variables.push(Variable { key: format!("{prefix}_{suffix}"), resource: name.to_owned(), value });
        }
    }
    variables
}
