//! Environments and their variables. Output masks the values; the file that `--pull` writes contains them.

use serde_json::{Map, Value, json};

use super::{Context, invalid, is_inside_folder};
use crate::{
    folder, generate,
    response::{Failure, Outcome},
    store::{provider_of, tracked},
};

pub fn show(context: &mut Context<'_>) -> Outcome {
    let id = context.project_id()?;
    let environment = folder::active_environment();
    let variables = variables(context, &id, &environment);
    let output = context.store.project(&id).unwrap()["environments"][&environment]["output"].clone();
    let hidden = variables.iter().map(|one| json!({ "env_key": one.key, "name": one.resource, "value": "••••••••" }));
    Ok(json!({ "environment": environment, "output": output, "variables": hidden.collect::<Vec<_>>() }))
}

/// Writes the values of the active environment to its file.
pub fn pull(context: &mut Context<'_>) -> Outcome {
    let id = context.project_id()?;
    let environment = folder::active_environment();
    let variables = variables(context, &id, &environment);
    if variables.is_empty() {
        let message = format!("The environment {environment} has no resources.");
        return Err(Failure::new("PROJECT_ENVIRONMENT_HAS_NO_RESOURCES", message));
    }
    let always_quote = context.store.setting("env", "quote") == true;
    let project = context.store.project(&id).unwrap();
    let output = project["environments"][&environment]["output"].as_str().unwrap().to_owned();
    for resource in project["resources"].as_array_mut().unwrap() {
        if variables.iter().any(|one| resource["name"] == *one.resource) {
            resource["last_revealed_at"] = generate::now().into();
        }
    }
    let values: Vec<(String, String)> = variables.iter().map(|one| (one.key.clone(), one.value.clone())).collect();
    folder::write_env_file(&output, &values, always_quote);
    let hidden = variables.iter().map(|one| json!({ "env_key": one.key, "name": one.resource, "value": "••••••••" }));
    let hidden: Vec<Value> = hidden.collect();
    Ok(json!({ "environment": environment, "output": output, "variables": hidden, "files_modified": [output] }))
}

pub fn list(context: &mut Context<'_>) -> Outcome {
    let id = context.project_id()?;
    let known = context.store.project(&id).unwrap()["environments"].as_object().unwrap().clone();
    let mut shown = Map::new();
    for (name, environment) in known {
        let variables = variables(context, &id, &name).into_iter();
        // Not recorded: whether `name` is the resource's name or the credential's. Here it is the resource's.
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
pub fn create(context: &mut Context<'_>) -> Outcome {
    let id = context.project_id()?;
    let name = context.call.subject();
    let default = format!(".env.{name}");
    let output = context.call.value("output").unwrap_or(&default);
    if name.is_empty() || !is_inside_folder(output) {
        return Err(invalid("An environment needs a name, and a file of this folder."));
    }
    let environments = &mut context.store.project(&id).unwrap()["environments"];
    if environments.get(name).is_some() {
        return Err(invalid("There is an environment of that name."));
    }
    environments[name] = json!({ "output": output, "resources": [] });
    let environment = json!({ "name": name, "output": output, "resources": [] });
    context.write_folder(&id);
    Ok(json!({ "environment": environment, "files_modified": folder::FILES }))
}

/// The shape of `data` is not recorded.
pub fn activate(context: &mut Context<'_>) -> Outcome {
    let id = context.project_id()?;
    let name = context.call.subject();
    if context.store.project(&id).unwrap()["environments"].get(name).is_none() {
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

/// Returns the variables of an environment's complete resources.
///
/// A variable is named after its resource; with the setting `naming`, it is named after the provider if that provider has
/// no other resource there.
fn variables(context: &mut Context<'_>, id: &str, environment: &str) -> Vec<Variable> {
    let project = context.store.project(id).unwrap().clone();
    let names = project["environments"][environment]["resources"].as_array().cloned().unwrap_or_default();
    let here: Vec<&Value> =
        tracked(&project).filter(|resource| resource["kind"] != "plan" && names.contains(&resource["name"])).collect();
    let mut variables = Vec::new();
    for resource in here.iter().filter(|resource| resource["status"] == "complete") {
        let provider = provider_of(resource);
        let alone = here.iter().filter(|other| provider_of(other) == provider).count() == 1;
        let by_provider = context.store.setting(resource["service"].as_str().unwrap(), "naming") == "provider";
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
