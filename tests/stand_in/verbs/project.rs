//! Projects, and what there is in one: `init`, `pull`, `status`, `list`, `services list`, `catalog`, `search`.

use serde_json::{Value, json};

use super::{Scene, invalid, resources};
use crate::{
    account::tracked,
    answer::{Failure, Outcome},
    catalog, folder, mint,
    weather::Weather,
};

/// The shape of `data` is not recorded.
pub fn init(scene: &mut Scene<'_>) -> Outcome {
    scene.confirmed()?;
    if let Some(refusal) = refusal(scene) {
        return Err(refusal);
    }
    scene.accept_tos("stripe");
    let project = json!({
        "id": format!("project_{}", mint::hex(12)),
        "name": if scene.call.subject().is_empty() { "project" } else { scene.call.subject() },
        "created_at": mint::now(),
        "environments": { "default": { "output": ".env", "resources": [] } },
        "resources": [],
    });
    let id = project["id"].as_str().unwrap().to_owned();
    scene.world.account["projects"].as_array_mut().unwrap().push(project);
    Ok(connect(scene, &id))
}

pub fn preflight(scene: &mut Scene<'_>) -> Outcome {
    let refusal = refusal(scene);
    let row = |label: &str, code: &str, remedy: &str| match refusal.as_ref().filter(|refusal| refusal.code == code) {
        Some(_) => json!({ "label": label, "pass": false, "code": code, "remedy": remedy }),
        None => json!({ "label": label, "pass": true, "code": code }),
    };
    let rows = json!([
        row("Logged in", "JSON_REQUIRES_AUTH", "Run `stripe login`."),
        row("Folder not connected yet", "PROJECT_ALREADY_CONNECTED", "Use another folder."),
        row("Terms of service", "TOS_ACCEPTANCE_REQUIRED", "Run again with --accept-tos."),
    ]);
    match refusal {
        Some(refusal) => Err(refusal.with(json!({ "preflight": rows }))),
        None => Ok(json!({ "ready": true, "preflight": rows })),
    }
}

/// Connects a folder to a project that exists, or writes its files anew. The shape of `data` is not recorded.
pub fn pull(scene: &mut Scene<'_>) -> Outcome {
    scene.confirmed()?;
    let id = scene.call.subject().to_owned();
    if scene.world.project(&id).is_none() {
        return Err(invalid("There is no such project in your account."));
    }
    if folder::connected_to().is_some_and(|connected| connected != id) {
        return Err(Failure::new("PROJECT_ALREADY_CONNECTED", "This folder belongs to another project."));
    }
    Ok(connect(scene, &id))
}

pub fn status(scene: &mut Scene<'_>) -> Outcome {
    let id = scene.project_id()?;
    let merchant = scene.world.account["merchant"].clone();
    let providers = linked(scene);
    let project = scene.world.project(&id).unwrap();
    let shown = if scene.weather.has("other_project") { "project_of_somebody_else" } else { &id };
    let mut data = json!({
        "project": {
            "id": shown,
            "name": project["name"],
            "merchant_id": merchant["id"],
            "merchant_name": merchant["name"],
            "created_at": project["created_at"],
        },
        "active_environment": folder::active_environment(),
        "environments": project["environments"],
        "providers": providers,
    });
    rows(project, "provider", scene.weather, &mut data);
    Ok(data)
}

pub fn services(scene: &mut Scene<'_>) -> Outcome {
    let id = scene.project_id()?;
    let project = scene.world.project(&id).unwrap();
    let mut data = json!({});
    rows(project, "provider_name", scene.weather, &mut data);
    Ok(data)
}

/// The shape of `data` is not recorded.
pub fn list(scene: &Scene<'_>) -> Value {
    let merchant = &scene.world.account["merchant"]["id"];
    let projects = scene.world.account["projects"].as_array().unwrap().iter();
    let projects =
        projects.map(|project| json!({ "id": project["id"], "name": project["name"], "merchant_id": merchant }));
    json!({ "projects": projects.collect::<Vec<_>>() })
}

pub fn catalog(scene: &Scene<'_>) -> Value {
    let wanted = scene.call.subject();
    let mut rows = catalog::rows(scene.weather);
    rows.retain(|row| wanted.is_empty() || catalog::slug(row) == wanted);
    let wanted = if wanted.is_empty() { Value::Null } else { wanted.into() };
    json!({
        "category_filter": null,
        "last_updated": "1970-01-01T00:00:00.000Z",
        "provider": wanted,
        "provider_filter": wanted,
        "services": rows,
        "source": "cache",
    })
}

/// The shape of `data` is not recorded.
pub fn search(scene: &Scene<'_>) -> Value {
    let query = scene.call.subject().to_lowercase();
    let mut rows = catalog::rows(scene.weather);
    rows.retain(|row| row.to_string().to_lowercase().contains(&query));
    json!({ "query": query, "services": rows })
}

fn refusal(scene: &Scene<'_>) -> Option<Failure> {
    if folder::connected_to().is_some() {
        return Some(Failure::new("PROJECT_ALREADY_CONNECTED", "This folder belongs to a project already."));
    }
    let remedy = "Accept the terms of service with --accept-tos.";
    (!scene.tos_accepted("stripe")).then(|| Failure::new("TOS_ACCEPTANCE_REQUIRED", remedy))
}

fn connect(scene: &mut Scene<'_>, id: &str) -> Value {
    scene.write_folder(id);
    let merchant = scene.world.account["merchant"]["id"].clone();
    let project = scene.world.project(id).unwrap();
    let shown = json!({ "id": id, "name": project["name"], "merchant_id": merchant });
    json!({ "project": shown, "files_modified": folder::FILES })
}

/// Adds `services` and `plans` to the answer, the provider under the key that this verb was seen to use. A listing is
/// also when what is being set up gets closer to being ready.
fn rows(project: &mut Value, provider: &str, weather: &Weather, data: &mut Value) {
    let of_kind = |kind: &str| -> Vec<Value> {
        let rows = tracked(project).filter(|resource| resource["kind"] == kind);
        rows.map(|resource| resources::row(resource, provider)).collect()
    };
    let (mut services, plans) = (of_kind("deployable"), of_kind("plan"));
    if weather.has("repeated_row") {
        services.extend(services.last().cloned());
    }
    if let Some(last) = services.last_mut().filter(|_| weather.has("unnamed_row")) {
        last.as_object_mut().unwrap().remove("name");
    }
    if !weather.has("no_lists") {
        data["services"] = services.into();
        data["plans"] = plans.into();
    }
    for resource in project["resources"].as_array_mut().unwrap() {
        match resource["polls_left"].as_u64() {
            Some(0 | 1) => {
                resource["status"] = "complete".into();
                resource["polls_left"] = Value::Null;
            }
            Some(left) => resource["polls_left"] = json!(left - 1),
            None => {}
        }
    }
}

fn linked(scene: &Scene<'_>) -> Vec<Value> {
    let all = catalog::rows(scene.weather);
    let providers = scene.world.account["providers"].as_object().unwrap().iter();
    let row = |(slug, provider): (&String, &Value)| {
        let offer = all.iter().find(|row| catalog::slug(row) == *slug).unwrap_or(&Value::Null);
        json!({
            "id": offer["provider"],
            "name": offer["provider_name"],
            "status": provider["status"],
            "redirect_url": provider["redirect_url"],
            "linked_at": provider["linked_at"],
        })
    };
    providers.map(row).collect()
}
