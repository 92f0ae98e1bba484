//! Verbs for projects and the catalog: `init`, `pull`, `status`, `list`, `services list`, `catalog`, `search`.

use serde_json::{Value, json};

use super::{Context, invalid, resources};
use crate::{
    catalog,
    faults::Faults,
    folder, generate,
    response::{Failure, Outcome},
    store::tracked,
};

/// The shape of `data` is not recorded.
pub fn init(context: &mut Context<'_>) -> Outcome {
    context.confirmed()?;
    if let Some(failure) = init_failure(context) {
        return Err(failure);
    }
    context.accept_tos("stripe");
    let project = json!({
        "id": format!("project_{}", generate::hex(12)),
        "name": if context.call.subject().is_empty() { "project" } else { context.call.subject() },
        "created_at": generate::now(),
        "environments": { "default": { "output": ".env", "resources": [] } },
        "resources": [],
    });
    let id = project["id"].as_str().unwrap().to_owned();
    context.store.account["projects"].as_array_mut().unwrap().push(project);
    Ok(connect(context, &id))
}

pub fn preflight(context: &mut Context<'_>) -> Outcome {
    let failure = init_failure(context);
    let row = |label: &str, code: &str, remedy: &str| match failure.as_ref().filter(|failure| failure.code == code) {
        Some(_) => json!({ "label": label, "pass": false, "code": code, "remedy": remedy }),
        None => json!({ "label": label, "pass": true, "code": code }),
    };
    let rows = json!([
        row("Logged in", "JSON_REQUIRES_AUTH", "Run `stripe login`."),
        row("Folder not connected yet", "PROJECT_ALREADY_CONNECTED", "Use another folder."),
        row("Terms of service", "TOS_ACCEPTANCE_REQUIRED", "Run again with --accept-tos."),
    ]);
    match failure {
        Some(failure) => Err(failure.with(json!({ "preflight": rows }))),
        None => Ok(json!({ "ready": true, "preflight": rows })),
    }
}

/// Connects a folder to an existing project, or rewrites its files. The shape of `data` is not recorded.
pub fn pull(context: &mut Context<'_>) -> Outcome {
    context.confirmed()?;
    let id = context.call.subject().to_owned();
    if context.store.project(&id).is_none() {
        return Err(invalid("There is no such project in your account."));
    }
    if folder::connected_to().is_some_and(|connected| connected != id) {
        return Err(Failure::new("PROJECT_ALREADY_CONNECTED", "This folder belongs to another project."));
    }
    Ok(connect(context, &id))
}

pub fn status(context: &mut Context<'_>) -> Outcome {
    let id = context.project_id()?;
    let merchant = context.store.account["merchant"].clone();
    let providers = linked(context);
    let project = context.store.project(&id).unwrap();
    let shown_id = if context.faults.has("other_project") { "project_of_another_account" } else { &id };
    let mut data = json!({
        "project": {
            "id": shown_id,
            "name": project["name"],
            "merchant_id": merchant["id"],
            "merchant_name": merchant["name"],
            "created_at": project["created_at"],
        },
        "active_environment": folder::active_environment(),
        "environments": project["environments"],
        "providers": providers,
    });
    rows(project, "provider", context.faults, &mut data);
    Ok(data)
}

pub fn services(context: &mut Context<'_>) -> Outcome {
    let id = context.project_id()?;
    let project = context.store.project(&id).unwrap();
    let mut data = json!({});
    rows(project, "provider_name", context.faults, &mut data);
    Ok(data)
}

/// The shape of `data` is not recorded.
pub fn list(context: &Context<'_>) -> Value {
    let merchant = &context.store.account["merchant"]["id"];
    let projects = context.store.account["projects"].as_array().unwrap().iter();
    let projects =
        projects.map(|project| json!({ "id": project["id"], "name": project["name"], "merchant_id": merchant }));
    json!({ "projects": projects.collect::<Vec<_>>() })
}

pub fn catalog(context: &Context<'_>) -> Value {
    let provider = context.call.subject();
    let mut rows = catalog::rows(context.faults);
    rows.retain(|row| provider.is_empty() || catalog::slug(row) == provider);
    let provider = if provider.is_empty() { Value::Null } else { provider.into() };
    json!({
        "category_filter": null,
        "last_updated": "1970-01-01T00:00:00.000Z",
        "provider": provider,
        "provider_filter": provider,
        "services": rows,
        "source": "cache",
    })
}

/// The shape of `data` is not recorded.
pub fn search(context: &Context<'_>) -> Value {
    let query = context.call.subject().to_lowercase();
    let mut rows = catalog::rows(context.faults);
    rows.retain(|row| row.to_string().to_lowercase().contains(&query));
    json!({ "query": query, "services": rows })
}

fn init_failure(context: &Context<'_>) -> Option<Failure> {
    if folder::connected_to().is_some() {
        return Some(Failure::new("PROJECT_ALREADY_CONNECTED", "This folder belongs to a project already."));
    }
    let remedy = "Accept the terms of service with --accept-tos.";
    (!context.tos_accepted("stripe")).then(|| Failure::new("TOS_ACCEPTANCE_REQUIRED", remedy))
}

fn connect(context: &mut Context<'_>, id: &str) -> Value {
    context.write_folder(id);
    let merchant = context.store.account["merchant"]["id"].clone();
    let project = context.store.project(id).unwrap();
    let shown = json!({ "id": id, "name": project["name"], "merchant_id": merchant });
    json!({ "project": shown, "files_modified": folder::FILES })
}

/// Adds `services` and `plans` to `data`, with the provider under the key that the recorded verb uses.
///
/// Each listing also counts down the polls of pending resources.
fn rows(project: &mut Value, provider: &str, faults: &Faults, data: &mut Value) {
    let of_kind = |kind: &str| -> Vec<Value> {
        let rows = tracked(project).filter(|resource| resource["kind"] == kind);
        rows.map(|resource| resources::row(resource, provider)).collect()
    };
    let (mut services, plans) = (of_kind("deployable"), of_kind("plan"));
    if faults.has("repeated_row") {
        services.extend(services.last().cloned());
    }
    if let Some(last) = services.last_mut().filter(|_| faults.has("unnamed_row")) {
        last.as_object_mut().unwrap().remove("name");
    }
    if !faults.has("no_lists") {
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

fn linked(context: &Context<'_>) -> Vec<Value> {
    let all = catalog::rows(context.faults);
    let providers = context.store.account["providers"].as_object().unwrap().iter();
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
