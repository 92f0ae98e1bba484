//! A resource's life after `add`: its row in listings, its credentials, `rotate` and `remove`.

use serde_json::{Map, Value, json};

use super::{Scene, invalid};
use crate::{
    account::tracked,
    answer::{Failure, Outcome},
    catalog, folder, mint,
};

/// As listings show it. One verb was seen to say `provider`, another `provider_name`.
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

/// A generation of values for a service that has none yet.
pub fn credentials(scene: &Scene<'_>, service: &str) -> Map<String, Value> {
    let suffixes = catalog::suffixes(service).iter();
    suffixes
        .map(|suffix| {
            let value = if mint::is_secret(suffix) { secret(scene, service, suffix) } else { mint::identifier(suffix) };
            ((*suffix).to_owned(), value.into())
        })
        .collect()
}

/// Kills the old values at once, without grace. The shape of `data` is not recorded.
pub fn rotate(scene: &mut Scene<'_>) -> Outcome {
    scene.confirmed()?;
    let project = scene.project_id()?;
    let (place, resource) = find(scene, &project)?;
    let service = resource["service"].as_str().unwrap();
    if scene.world.setting(service, "unrotatable") == true || resource["kind"] == "plan" {
        return Err(Failure::new("provider_failure", "The provider has nothing to rotate for this resource."));
    }
    if !scene.weather.has("no_change") {
        let mut renewed = resource["credentials"].as_object().unwrap().clone();
        for (suffix, value) in renewed.iter_mut().filter(|(suffix, _)| mint::is_secret(suffix)) {
            *value = secret(scene, service, suffix).into();
        }
        let generation = resource["generation"].as_u64().unwrap() + 1;
        let live = &mut scene.world.project(&project).unwrap()["resources"][place];
        live["credentials"] = renewed.into();
        live["generation"] = generation.into();
    }
    scene.write_folder(&project);
    Ok(json!({ "resource": resource["name"], "rotated": true, "files_modified": folder::FILES }))
}

/// Deprovisions; with `--untrack` only forgets, and what it forgets lives on and costs. What is in an env file stays
/// there. The shape of `data` is not recorded.
pub fn remove(scene: &mut Scene<'_>) -> Outcome {
    scene.confirmed()?;
    let project = scene.project_id()?;
    let (place, resource) = find(scene, &project)?;
    if !scene.weather.has("survives") {
        let live = scene.world.project(&project).unwrap();
        if scene.call.has("untrack") {
            live["resources"][place]["untracked"] = true.into();
        } else {
            live["resources"].as_array_mut().unwrap().remove(place);
        }
        for environment in live["environments"].as_object_mut().unwrap().values_mut() {
            environment["resources"].as_array_mut().unwrap().retain(|name| *name != resource["name"]);
        }
    }
    scene.write_folder(&project);
    Ok(json!({ "resource": resource["name"], "removed": true, "files_modified": folder::FILES }))
}

/// The resource that the call names, and its place in the project. What is said of a wrong name is not recorded.
fn find(scene: &mut Scene<'_>, project: &str) -> Result<(usize, Value), Failure> {
    let name = scene.call.subject();
    let project = scene.world.project(project).unwrap();
    let known = tracked(project).any(|resource| resource["name"] == name);
    let mut resources = project["resources"].as_array().unwrap().iter().enumerate();
    let found = resources.find(|(_, resource)| known && resource["name"] == name && resource["untracked"] != true);
    found
        .map(|(place, resource)| (place, resource.clone()))
        .ok_or_else(|| invalid("There is no resource of that name."))
}

fn secret(scene: &Scene<'_>, service: &str, suffix: &str) -> String {
    let broken = if scene.weather.has("newline_credential") { "\n" } else { "" };
    let key = format!("{}{}{broken}{}", mint::PREFIX, mint::hex(8), mint::hex(8));
    if suffix == "CONNECTION_STRING" && scene.world.setting(service, "connection_string") == true {
        return format!("postgresql://standin:{key}@ep-standin.example:5432/main?sslmode=require");
    }
    key
}
