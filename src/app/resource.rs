//! The resources that clients can read, by URI.

use domain::name::ProjectName;

/// The data behind a resource's URI.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Resource {
    Audit,
    Project(ProjectName),
    Projects,
    Providers,
}

impl Resource {
    /// Returns the resource with that URI.
    pub fn from_uri(uri: &str) -> Option<Self> {
        match uri {
            AUDIT => Some(Self::Audit),
            PROJECTS => Some(Self::Projects),
            PROVIDERS => Some(Self::Providers),
            _ => {
                let name = uri.strip_prefix(PROJECTS)?.strip_prefix('/')?;
                ProjectName::parse(name).ok().map(Self::Project)
            }
        }
    }

    pub fn uri(&self) -> String {
        match self {
            Self::Audit => AUDIT.to_owned(),
            Self::Project(name) => format!("{PROJECTS}/{name}"),
            Self::Projects => PROJECTS.to_owned(),
            Self::Providers => PROVIDERS.to_owned(),
        }
    }
}

const AUDIT: &str = "stripe-projects://audit";

const PROJECTS: &str = "stripe-projects://projects";

const PROVIDERS: &str = "stripe-projects://providers";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uri_of_a_resource_leads_back_to_it() {
        let project = Resource::Project(ProjectName::parse("web").unwrap());
        for resource in [Resource::Audit, Resource::Projects, Resource::Providers, project] {
            assert_eq!(Resource::from_uri(&resource.uri()), Some(resource));
        }
        for unknown in ["stripe-projects://projects/", "stripe-projects://projects/Ünfug", "file:///etc/passwd"] {
            assert_eq!(Resource::from_uri(unknown), None, "{unknown}");
        }
    }
}
