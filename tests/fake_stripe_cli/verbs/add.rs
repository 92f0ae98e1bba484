//! `add`: its preflight checks, and the creation of a resource with its credentials.

use serde_json::{Map, Value, json};

use super::{Context, invalid, resources};
use crate::{
    catalog, folder, generate,
    response::{Failure, Outcome},
    store::tracked,
};

pub fn add(context: &mut Context<'_>) -> Outcome {
    context.confirmed()?;
    let request = AddRequest::read(context)?;
    if let Some(failure) = request.checks(context).into_iter().find_map(|check| check.failure) {
        return Err(failure);
    }
    context.accept_tos(&catalog::slug(&request.row));
    let resource = request.create(context);
    context.write_folder(&request.project);
    let mut service = resources::row(&resource, "provider");
    let key = service.as_object_mut().unwrap().remove("id").unwrap();
    service["key"] = key;
    Ok(json!({ "files_modified": folder::FILES, "service": service }))
}

pub fn preflight(context: &mut Context<'_>) -> Outcome {
    let request = AddRequest::read(context)?;
    let checks = request.checks(context);
    let rows: Vec<Value> = checks.iter().map(Check::row).collect();
    match checks.into_iter().find_map(|check| check.failure) {
        Some(failure) => {
            let mut details = failure.details.clone();
            details["preflight"] = rows.into();
            Err(failure.with(details))
        }
        None => Ok(json!({ "ready": true, "preflight": rows })),
    }
}

struct AddRequest {
    project: String,
    service: String,
    row: Value,
    config: Value,
    /// The price, or `null` for a free service.
    price: Value,
}

struct Check {
    label: &'static str,
    code: &'static str,
    remedy: &'static str,
    failure: Option<Failure>,
}

impl Check {
    /// Returns the row for the report; rows that pass have a code too.
    fn row(&self) -> Value {
        match self.failure {
            Some(_) => json!({ "label": self.label, "pass": false, "code": self.code, "remedy": self.remedy }),
            None => json!({ "label": self.label, "pass": true, "code": self.code }),
        }
    }
}

impl AddRequest {
    fn read(context: &mut Context<'_>) -> Result<Self, Failure> {
        let project = context.project_id()?;
        let service = context.call.subject().to_owned();
        let row =
            catalog::find(context.faults, &service).ok_or_else(|| invalid(format!("Unknown service: {service}")))?;
        let config = serde_json::from_str(context.call.value("config").unwrap_or("{}"));
        let config = config.map_err(|_| invalid("--config is not valid JSON"))?;
        let plans = services(context.store.project(&project).unwrap());
        let by_tier = context.store.setting(&service, "confirm_by_tier") == true;
        let price = catalog::price(&row, &config, &plans, by_tier);
        Ok(Self { project, service, row, config, price })
    }

    /// Runs the checks; a failure reports the first that fails. The order is not recorded.
    fn checks(&self, context: &mut Context<'_>) -> Vec<Check> {
        let provider = catalog::slug(&self.row);
        let linked = context.store.account["providers"][&provider]["status"] == "linked";
        let accepted = context.tos_accepted(&provider);
        let fields = catalog::invalid_fields(&self.row, &self.config);
        let paid = !self.price.is_null();
        let payable = !paid || context.store.account["payment_method"] == true;
        let existing = services(context.store.project(&self.project).unwrap());
        let plans = catalog::parents(&self.row);
        let planned = plans.is_empty() || plans.iter().any(|plan| existing.contains(plan));
        let constraints = self.row["constraints"].as_array().unwrap().iter();
        let most = constraints.filter_map(|constraint| constraint["count"]["at_most"].as_u64()).min();
        let room = most.is_none_or(|most| (existing.iter().filter(|one| **one == self.service).count() as u64) < most);
        let plan_first: Vec<String> = plans.iter().map(|plan| format!("stripe projects add {plan}")).collect();
        let link_first = format!("stripe projects link {provider}");

        let check = |label, code, remedy, good: bool, message: &str, details: Value| {
            let failure = (!good).then(|| Failure::new(code, message).with(details));
            Check { label, code, remedy, failure }
        };
        vec![
            check(
                "Provider linked",
                "PROVIDER_NOT_LINKED",
                "Link the provider first.",
                linked,
                &format!("{provider} is not linked to your account."),
                json!({ "provider": provider, "commands": [link_first] }),
            ),
            check(
                "Terms of service",
                "TOS_ACCEPTANCE_REQUIRED",
                "Run again with --accept-tos.",
                accepted,
                &format!("The terms of service of {provider} must be accepted."),
                json!({ "provider": provider }),
            ),
            check(
                "Plan",
                "PLAN_REQUIRED",
                "Add one of the provider's plans first.",
                planned,
                &format!("{} needs a plan first.", self.service),
                json!({ "commands": plan_first }),
            ),
            // Not recorded: the shape of these details.
            check(
                "Configuration",
                "invalid_fields",
                "Correct the fields.",
                fields.is_empty(),
                "The configuration is not valid.",
                json!({ "fields": fields }),
            ),
            check(
                "Number of resources",
                "resource_count_constraint_exceeded",
                "Remove the other one first.",
                room,
                "There can be no more of this service.",
                json!({ "at_most": most }),
            ),
            // Not recorded: the code for a missing payment method.
            check(
                "Payment method",
                "PAYMENT_METHOD_REQUIRED",
                "Add a payment method in a browser.",
                payable,
                "There is no payment method on your account.",
                json!({}),
            ),
            check(
                "Price",
                "PRICE_CONFIRMATION_REQUIRED",
                "Confirm the price with --confirm-paid-service.",
                !paid || context.call.has("confirm-paid-service"),
                "The price of this service must be confirmed.",
                json!({ "price": self.price }),
            ),
        ]
    }

    /// Creates the resource without looking for an earlier one; a name in use gets a numeric suffix.
    fn create(&self, context: &mut Context<'_>) -> Value {
        let credentials = match self.row["kind"].as_str().unwrap() {
            "plan" => Map::new(),
            _ => resources::credentials(context, &self.service),
        };
        let polls = context.faults.find("not_ready").map(|entry| entry["polls"].as_u64().unwrap());
        let environment = folder::active_environment();
        let default = self.service.replace(['/', ':'], "-");
        let base = context.call.value("name").unwrap_or(&default);
        let project = context.store.project(&self.project).unwrap();
        let is_used = |name: &str| tracked(project).any(|resource| resource["name"] == name);
        let numbered = || (2..100).map(|number| format!("{base}-{number}")).find(|name| !is_used(name)).unwrap();
        let name = if is_used(base) { numbered() } else { base.to_owned() };
        let pricing = if self.price.is_null() { json!({ "type": "free" }) } else { self.price.clone() };
        let resource = json!({
            "id": format!("fres_{}", generate::hex(12)),
            "name": name,
            "service": self.service,
            "provider": self.row["provider_name"],
            "provider_id": self.row["provider"],
            "service_id": self.row["service_id"],
            "kind": self.row["kind"],
            "status": if polls.is_some() { "pending" } else { "complete" },
            "polls_left": polls,
            "configuration": self.config,
            "created_at": generate::now(),
            "environments": [environment],
            "last_revealed_at": null,
            "pricing": pricing,
            "generation": 1,
            "credentials": credentials,
        });
        project["environments"][&environment]["resources"].as_array_mut().unwrap().push(name.into());
        project["resources"].as_array_mut().unwrap().push(resource.clone());
        resource
    }
}

/// Returns the services of a project's resources.
fn services(project: &Value) -> Vec<String> {
    tracked(project).map(|resource| resource["service"].as_str().unwrap().to_owned()).collect()
}
