//! The four tools as they are listed. Their schemas are built once; the list is renewed when the registry changes.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rmcp::{
    handler::server::common::{schema_for_input, schema_for_output},
    model::{Tool, ToolAnnotations},
};
use schemars::JsonSchema;

use super::{
    arguments::{ListProjects, Named, Provision},
    schema,
    tool_filter::ToolFilter,
};
use crate::{
    provisioner::{Provisioner, RegistryStamp},
    view::{ProjectList, ProjectView},
};

/// The tools, with schemas that every host accepts, without the keys of the registry.
pub static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    let mut tools = vec![list_projects(), provision(), rotate_key(), teardown()];
    tools.iter_mut().for_each(schema::normalise);
    tools
});

/// The list that a server offers, valid for one state of the registry's files.
#[derive(Default)]
pub struct ToolList(Mutex<Option<(RegistryStamp, Vec<Tool>)>>);

impl ToolList {
    /// Returns the last list if the registry's files are unchanged. Costs two `stat` calls, so it may run on any thread.
    pub fn unchanged(&self, services: &Provisioner) -> Option<Vec<Tool>> {
        let stamp = services.ports.registry_stamp();
        let cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cached.as_ref().filter(|(valid_for, _)| *valid_for == stamp).map(|(_, tools)| tools.clone())
    }

    /// Reads the registry and returns the tools; the provider parameter names the keys that the registry has now.
    pub fn read(&self, services: &Provisioner, filter: &ToolFilter) -> Vec<Tool> {
        let stamp = services.ports.registry_stamp();
        let tools = offered(services, filter);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((stamp, tools.clone()));
        tools
    }
}

fn offered(services: &Provisioner, filter: &ToolFilter) -> Vec<Tool> {
    let keys = match services.ports.registry() {
        Ok(registry) => {
            registry.providers().map(|provider| provider.key.as_str().to_owned()).collect::<Vec<_>>().join(", ")
        }
        Err(_) => "see stripe-projects://providers".to_owned(),
    };
    let mut tools: Vec<Tool> = TOOLS.iter().filter(|tool| filter.has(&tool.name)).cloned().collect();
    for tool in tools.iter_mut().filter(|tool| tool.name == "provision") {
        schema::describe(tool, "provider", &format!(": {keys}"));
    }
    tools
}

fn list_projects() -> Tool {
    let description = "Lists projects with status, cap, usage and remaining budget, oldest first. Keys are masked.";
    let annotations = ToolAnnotations::new().read_only(true).destructive(false).idempotent(true).open_world(true);
    tool::<ListProjects, ProjectList>("list_projects", "List projects", description, annotations)
}

fn provision() -> Tool {
    let description = "Creates a capped project on a third-party service. Its key is written to the env file; you get a \
        mask and the name of the variable. May bill up to the cap.";
    let annotations = ToolAnnotations::new().read_only(false).destructive(false).idempotent(true).open_world(true);
    tool::<Provision, ProjectView>("provision", "Provision a service", description, annotations)
}

fn rotate_key() -> Tool {
    let description = "Revokes a project's key and writes a new one to the same variable of the env file. Do it at once \
        when a key may have leaked; programs that use the variable have to load it again.";
    let annotations = ToolAnnotations::new().read_only(false).destructive(true).idempotent(false).open_world(true);
    tool::<Named, ProjectView>("rotate_key", "Rotate a key", description, annotations)
}

fn teardown() -> Tool {
    let description = "Removes a project and its data at the provider for good, revokes its key, and takes the variable \
        out of the env file. Safe to repeat.";
    let annotations = ToolAnnotations::new().read_only(false).destructive(true).idempotent(true).open_world(true);
    tool::<Named, ProjectView>("teardown", "Tear down a project", description, annotations)
}

fn tool<I: JsonSchema + 'static, O: JsonSchema + 'static>(
    name: &'static str,
    title: &'static str,
    description: &'static str,
    annotations: ToolAnnotations,
) -> Tool {
    // Only a type that is not an object has no input schema, and a test lists every tool.
    let input = schema_for_input::<I>().unwrap_or_default();
    Tool::new(name, description, input)
        .with_title(title)
        .with_raw_output_schema(Arc::clone(&schema_for_output::<O>()))
        .with_annotations(annotations)
}
