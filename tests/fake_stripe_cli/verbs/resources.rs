//! Existing resources: their rows in listings, their credentials, `rotate` and `remove`.

use serde_json::{Map, Value, json};

use super::{Context, invalid};
use crate::{
    catalog, folder, generate,
    response::{Failure, Outcome},
    store::tracked,
};

/// Returns the row for a listing. Recorded: one verb uses the key `provider`, another `provider_name`.
pub fn row(resource: &Value, provider: &str) -> Value {
    let mut row = json!({
        "id": resource["id"],
        "name": resource["name"],
        "provider_id": resource["provider_id"],
        "service_id": resource["service_id"],
        "status": resource["status"],
        "configuration": resource["configuration"],
        "created_at": resource["created_at"],
        "environments": resource["environments"],
        "last_revealed_at": resource["last_revealed_at"],
        "pricing": resource["pricing"],
    });
    row[provider] = resource["provider"].clone();
    row
}

/// Generates the first credentials of a service.
pub fn credentials(context: &Context<'_>, service: &str) -> Map<String, Value> {
    let suffixes = catalog::suffixes(service).iter();
    suffixes
        .map(|suffix| {
            let value = if generate::is_secret(suffix) {
                secret(context, service, suffix)
            } else {
                generate::identifier(suffix)
            };
            ((*suffix).to_owned(), value.into())
        })
        .collect()
}

/// Replaces the credentials; the old ones stop working immediately. The shape of `data` is not recorded.
pub fn rotate(context: &mut Context<'_>) -> Outcome {
    context.confirmed()?;
    let project = context.project_id()?;
    let (index, resource) = find(context, &project)?;
    let service = resource["service"].as_str().unwrap();
    if context.store.setting(service, "unrotatable") == true || resource["kind"] == "plan" {
        return Err(Failure::new("provider_failure", "The provider has nothing to rotate for this resource."));
    }
    if !context.faults.has("no_change") {
        let mut renewed = resource["credentials"].as_object().unwrap().clone();
        for (suffix, value) in renewed.iter_mut().filter(|(suffix, _)| generate::is_secret(suffix)) {
            *value = secret(context, service, suffix).into();
        }
        let generation = resource["generation"].as_u64().unwrap() + 1;
        let stored = &mut context.store.project(&project).unwrap()["resources"][index];
        stored["credentials"] = renewed.into();
        stored["generation"] = generation.into();
    }
    context.write_folder(&project);
    Ok(json!({ "resource": resource["name"], "rotated": true, "files_modified": folder::FILES }))
}

/// Removes a resource; with `--untrack` it only stops listing it, and the resource still costs money.
///
/// Env files keep its variables. The shape of `data` is not recorded.
pub fn remove(context: &mut Context<'_>) -> Outcome {
    context.confirmed()?;
    let project = context.project_id()?;
    let (index, resource) = find(context, &project)?;
    if !context.faults.has("survives") {
        let stored = context.store.project(&project).unwrap();
        if context.call.has("untrack") {
            stored["resources"][index]["untracked"] = true.into();
        } else {
            stored["resources"].as_array_mut().unwrap().remove(index);
        }
        for environment in stored["environments"].as_object_mut().unwrap().values_mut() {
            environment["resources"].as_array_mut().unwrap().retain(|name| *name != resource["name"]);
        }
    }
    context.write_folder(&project);
    Ok(json!({ "resource": resource["name"], "removed": true, "files_modified": folder::FILES }))
}

/// Returns the resource that the call names, and its index in the project. The error for an unknown name is not recorded.
fn find(context: &mut Context<'_>, project: &str) -> Result<(usize, Value), Failure> {
    let name = context.call.subject();
    let project = context.store.project(project).unwrap();
    let known = tracked(project).any(|resource| resource["name"] == name);
    let mut resources = project["resources"].as_array().unwrap().iter().enumerate();
    let named = resources.find(|(_, resource)| known && resource["name"] == name && resource["untracked"] != true);
    named
        .map(|(index, resource)| (index, resource.clone()))
        .ok_or_else(|| invalid("There is no resource of that name."))
}

fn secret(context: &Context<'_>, service: &str, suffix: &str) -> String {
    let line_break = if context.faults.has("newline_credential") { "\n" } else { "" };
    let key = format!("{}{}{line_break}{}", generate::PREFIX, generate::hex(8), generate::hex(8));
    if suffix == "CONNECTION_STRING" && context.store.setting(service, "connection_string") == true {
        return format!("postgresql://standin:{key}@ep-standin.example:5432/main?sslmode=require");
    }
    key
}
