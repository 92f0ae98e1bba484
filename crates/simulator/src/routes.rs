//! Routes methods and paths to the calls of the API.

use axum::http::Method;

/// A call of the API, with the id from its path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Call {
    ConnectionList,
    ConnectionRequestCreate,
    ConnectionRequestRetrieve(String),
    ConnectionRequestSubmit(String),
    ConnectionUnlink(String),
    EligibilityRetrieve,
    PaymentMethodRequestCreate,
    PaymentProfileRetrieve,
    PaymentProfileUpdateLimit,
    ProjectCreate,
    ProviderList,
    ResourceCreate,
    ResourceLink,
    ResourceList,
    ResourceRemove(String),
    ResourceRetrieve(String),
    ResourceReveal(String),
    ResourceRotate(String),
    ResourceSubmit(String),
    ResourceUnlink(String),
    ResourceUpdate(String),
    ServiceList,
}

impl Call {
    /// Routes a request; `None` for an unknown path.
    pub fn find(method: &Method, path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/v2/provisioning/")?;
        let segments: Vec<&str> = rest.split('/').collect();
        if segments.iter().any(|segment| segment.is_empty()) {
            return None;
        }
        match *method {
            Method::GET => Self::read(&segments),
            Method::POST => Self::write(&segments),
            _ => None,
        }
    }

    fn read(segments: &[&str]) -> Option<Self> {
        Some(match segments {
            ["catalog", "providers"] => Self::ProviderList,
            ["catalog", "services"] => Self::ServiceList,
            ["eligibility"] => Self::EligibilityRetrieve,
            ["payment_profile"] => Self::PaymentProfileRetrieve,
            ["provider_connection_requests", id] => Self::ConnectionRequestRetrieve((*id).to_owned()),
            ["provider_connections"] => Self::ConnectionList,
            ["resources"] => Self::ResourceList,
            ["resources", id] => Self::ResourceRetrieve((*id).to_owned()),
            _ => return None,
        })
    }

    fn write(segments: &[&str]) -> Option<Self> {
        let id = |id: &&str| (*id).to_owned();
        Some(match segments {
            ["payment_method_requests"] => Self::PaymentMethodRequestCreate,
            ["payment_profile", "update_limit"] => Self::PaymentProfileUpdateLimit,
            ["projects"] => Self::ProjectCreate,
            ["provider_connection_requests"] => Self::ConnectionRequestCreate,
            ["provider_connection_requests", request, "submit_information"] => {
                Self::ConnectionRequestSubmit(id(request))
            }
            ["provider_connections", connection, "unlink"] => Self::ConnectionUnlink(id(connection)),
            ["resources"] => Self::ResourceCreate,
            ["resources", "link"] => Self::ResourceLink,
            ["resources", resource] => Self::ResourceUpdate(id(resource)),
            ["resources", resource, "remove"] => Self::ResourceRemove(id(resource)),
            ["resources", resource, "reveal_access_configuration"] => Self::ResourceReveal(id(resource)),
            ["resources", resource, "rotate_credentials"] => Self::ResourceRotate(id(resource)),
            ["resources", resource, "submit_information"] => Self::ResourceSubmit(id(resource)),
            ["resources", resource, "unlink"] => Self::ResourceUnlink(id(resource)),
            _ => return None,
        })
    }

    /// Returns whether the call changes nothing. A reveal changes nothing and is never stored.
    pub fn is_read_only(&self) -> bool {
        matches!(
            self,
            Self::ConnectionList
                | Self::ConnectionRequestRetrieve(_)
                | Self::EligibilityRetrieve
                | Self::PaymentProfileRetrieve
                | Self::ProviderList
                | Self::ResourceList
                | Self::ResourceReveal(_)
                | Self::ServiceList
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_distinguishes_words_from_ids() {
        let find = |path: &str| Call::find(&Method::POST, path);
        assert_eq!(find("/v2/provisioning/resources/link"), Some(Call::ResourceLink));
        assert_eq!(find("/v2/provisioning/resources/fres_1"), Some(Call::ResourceUpdate("fres_1".to_owned())));
        for unknown in ["/v2/provisioning/resources/", "/v2/provisioning", "/v1/resources", "/v2/provisioning//x"] {
            assert_eq!(find(unknown), None, "{unknown}");
        }
        assert_eq!(Call::find(&Method::DELETE, "/v2/provisioning/resources/fres_1"), None);
    }
}
