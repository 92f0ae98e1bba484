//! The services and plans that `status` and `services list` show, and the names that we give them.

use domain::{
    name::ServiceRef,
    project::{ProjectId, ResourceId},
};
use serde::Deserialize;
use serde_json::Value;

use crate::{BackendError, marked::mark};

/// A service, or a plan.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceRow {
    /// `services list` may omit it.
    pub id: Option<ResourceId>,
    pub name: String,
    /// In Stripe's spelling, which may differ from `<provider>/<service>`.
    provider: String,
    service: String,
    pub status: String,
    pub is_plan: bool,
}

impl ServiceRow {
    pub fn is_by(&self, provider: &str) -> bool {
        normalized(&self.provider) == normalized(provider)
    }

    pub fn is_of(&self, service: &ServiceRef) -> bool {
        let part = service.as_str().rsplit('/').next().unwrap_or_default();
        self.is_by(service.provider()) && (self.service == part || self.service == service.as_str())
    }

    pub fn is_same_provider(&self, other: &Self) -> bool {
        self.is_by(&other.provider)
    }

    /// In Stripe's spelling.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The service's name without its provider.
    pub fn part(&self) -> &str {
        self.service.rsplit('/').next().unwrap_or_default()
    }

    /// In the spelling of arguments.
    pub fn slug(&self) -> String {
        normalized(&self.provider)
    }
}

/// All rows of one answer, each with a name, and no name or id twice.
///
/// Only in such an answer does a missing row prove that a service does not exist.
#[derive(Clone, Debug, Default)]
pub struct ServiceList(Vec<ServiceRow>);

impl ServiceList {
    /// # Errors
    /// [`BackendError::Malformed`] if the list may be incomplete.
    pub fn read(data: &Value) -> Result<Self, BackendError> {
        let [services, plans] = ["services", "plans"].map(|list| data.get(list).filter(|list| !list.is_null()));
        if services.is_none() && plans.is_none() {
            return Err(malformed("neither services nor plans"));
        }
        let mut rows: Vec<ServiceRow> = Vec::new();
        for (list, is_plan) in [(services, false), (plans, true)] {
            for wire in list.map_or(Ok(Vec::new()), wires)? {
                let row = row(wire, is_plan)?;
                let repeated = |other: &ServiceRow| {
                    other.name == row.name && other.is_plan == is_plan || other.id.is_some() && other.id == row.id
                };
                if rows.iter().any(repeated) {
                    return Err(malformed("a repeated row"));
                }
                rows.push(row);
            }
        }
        Ok(Self(rows))
    }

    pub fn iter(&self) -> impl Iterator<Item = &ServiceRow> {
        self.0.iter()
    }

    pub fn services(&self) -> impl Iterator<Item = &ServiceRow> {
        self.iter().filter(|row| !row.is_plan)
    }

    pub fn service_named(&self, name: &str) -> Option<&ServiceRow> {
        self.services().find(|row| row.name == name)
    }

    /// # Errors
    /// [`BackendError::Malformed`] if it may be a row without an id.
    pub fn service_with_id(&self, id: &ResourceId) -> Result<Option<&ServiceRow>, BackendError> {
        match self.services().find(|row| row.id.as_ref() == Some(id)) {
            None if self.services().any(|row| row.id.is_none()) => Err(malformed("a row without an id")),
            service => Ok(service),
        }
    }

    /// Whether there is that plan, under any name.
    pub fn has_plan(&self, plan: &ServiceRef) -> bool {
        self.iter().any(|row| row.is_plan && row.is_of(plan))
    }
}

/// The name of an order's service at Stripe, which is unique to the order.
pub fn name_for(project: &str, order: &ProjectId) -> String {
    let prefix: String = project.chars().take(LONGEST_PROJECT_NAME).collect();
    // Variables begin with this name, and a variable cannot begin with a digit.
    let guard = if prefix.starts_with(|c: char| c.is_ascii_digit()) { "p-" } else { "" };
    format!("{guard}{}-{}", prefix.trim_end_matches('-'), mark(order))
}

/// Whether a service of that name belongs to the order: ours, or a duplicate, which Stripe names `…-2`.
pub fn is_for(name: &str, order: &ProjectId) -> bool {
    let original = match name.rsplit_once('-') {
        Some((before, number)) if number.len() < 4 && number.bytes().all(|byte| byte.is_ascii_digit()) => before,
        _ => name,
    };
    let has_mark = |name: &str| name.rsplit_once('-').is_some_and(|(_, end)| end == mark(order));
    has_mark(name) || has_mark(original)
}

/// Removes the differences between spellings, so that `AgentMail` is `agentmail`.
fn normalized(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[derive(Deserialize)]
struct WireRow {
    id: Option<String>,
    key: Option<String>,
    name: Option<String>,
    provider: Option<String>,
    provider_name: Option<String>,
    service_id: Option<String>,
    status: Option<String>,
}

fn wires(list: &Value) -> Result<Vec<WireRow>, BackendError> {
    Vec::deserialize(list).map_err(|_| malformed("a list of something else"))
}

fn row(wire: WireRow, is_plan: bool) -> Result<ServiceRow, BackendError> {
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok(ServiceRow {
        id: filled(wire.id).or(filled(wire.key)).map(ResourceId::new),
        name: filled(wire.name).ok_or_else(|| malformed("a row without a name"))?,
        provider: filled(wire.provider_name).or(filled(wire.provider)).unwrap_or_default(),
        service: wire.service_id.unwrap_or_default(),
        status: wire.status.unwrap_or_default(),
        is_plan,
    })
}

fn malformed(got: &str) -> BackendError {
    BackendError::Malformed { what: "list of services", got: got.to_owned() }
}

const LONGEST_PROJECT_NAME: usize = 27;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answer_that_could_omit_a_row_is_malformed() {
        for data in [
            json!(null),
            json!({}),
            json!({ "services": null, "plans": null }),
            json!({ "services": {} }),
            json!({ "services": [{}] }),
            json!({ "services": [{ "name": "" }] }),
            json!({ "services": ["a"] }),
            json!({ "services": [{ "name": "a" }, { "name": "a" }] }),
            json!({ "services": [{ "name": "a", "id": "1" }, { "name": "b", "id": "1" }] }),
            json!({ "services": [{ "name": "a", "id": "1" }], "plans": [{ "name": "b", "id": "1" }] }),
        ] {
            let error = ServiceList::read(&data).unwrap_err();
            assert!(matches!(error, BackendError::Malformed { .. }), "{data}: {error}");
        }
        assert_eq!(ServiceList::read(&json!({ "plans": [] })).unwrap().iter().count(), 0);
    }

    #[test]
    fn row_without_an_id_makes_a_lookup_malformed() {
        let rows = ServiceList::read(&json!({ "services": [{ "name": "a", "key": "1" }, { "name": "b" }] })).unwrap();
        assert_eq!(rows.service_with_id(&ResourceId::new("1".to_owned())).unwrap().unwrap().name, "a");
        assert!(rows.service_with_id(&ResourceId::new("2".to_owned())).is_err());
    }

    #[test]
    fn providers_and_plans_match_in_each_spelling() {
        let data = json!({ "services": [{ "name": "a", "provider_name": "Open Router", "service_id": "api" }],
            "plans": [{ "name": "x", "provider": "Neon", "service_id": "free" }] });
        let rows = ServiceList::read(&data).unwrap();
        let service = |text: &str| ServiceRef::parse(text).unwrap();
        assert!(rows.has_plan(&service("neon/free")) && !rows.has_plan(&service("neon/launch")));
        assert!(!rows.has_plan(&service("exa/free")));
        assert!(rows.service_named("a").unwrap().is_of(&service("openrouter/api")));
        assert!(rows.service_named("x").is_none(), "a plan is no service");
    }

    #[test]
    fn name_identifies_its_order() {
        let order = ProjectId::from_stored("proj_0123456789abcdef01234567".to_owned());
        assert_eq!(name_for("agent-memory", &order), "agent-memory-0123456789ab");
        assert_eq!(name_for("2nd", &order), "p-2nd-0123456789ab");
        assert_eq!(
            name_for(&"a-".repeat(31), &order),
            format!("{}-0123456789ab", "a-".repeat(14).trim_end_matches('-'))
        );
        for name in ["x-0123456789ab", "x-0123456789ab-2", "x-0123456789ab-13"] {
            assert!(is_for(name, &order), "{name}");
        }
        for name in ["x", "x-0123456789ac", "0123456789ab", "x-0123456789ab-b", "x0123456789ab"] {
            assert!(!is_for(name, &order), "{name}");
        }
        let digits = ProjectId::from_stored("proj_012345678901000000000000".to_owned());
        assert!(is_for(&name_for("x", &digits), &digits) && is_for("x-012345678901-2", &digits));
    }
}
