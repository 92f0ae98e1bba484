//! Which call of the API a method and a path mean.

use axum::http::Method;

/// A call, with the id that its path names.
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
    /// The call, if there is one.
    pub fn find(method: &Method, path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/v2/provisioning/")?;
        let segments: Vec<&str> = rest.split('/').collect();
        if segments.iter().any(|segment| segment.is_empty()) {
            return None;
        }
        match *method {
            Method::GET => Self::look(&segments),
            Method::POST => Self::change(&segments),
            _ => None,
        }
    }

    fn look(segments: &[&str]) -> Option<Self> {
        Some(match segments {
            ["catalog", "providers"] => Self::ProviderList,
            ["catalog", "services"] => Self::ServiceList,
            ["eligibility"] => Self::EligibilityRetrieve,
            ["payment_profile"] => Self::PaymentProfileRetrieve,
            ["provider_connection_requests", id] => Self::ConnectionRequestRetrieve((*id).to_owned()),
            ["provider_connections"] => Self::ConnectionList,
            ["resources", id] => Self::ResourceRetrieve((*id).to_owned()),
            _ => return None,
        })
    }

    fn change(segments: &[&str]) -> Option<Self> {
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

    /// Whether it leaves the world as it was. A reveal does: it mints nothing, and its answer is never kept.
    pub fn only_looks(&self) -> bool {
        matches!(
            self,
            Self::ConnectionList
                | Self::ConnectionRequestRetrieve(_)
                | Self::EligibilityRetrieve
                | Self::PaymentProfileRetrieve
                | Self::ProviderList
                | Self::ResourceReveal(_)
                | Self::ServiceList
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_not_taken_for_an_id() {
        let find = |path: &str| Call::find(&Method::POST, path);
        assert_eq!(find("/v2/provisioning/resources/link"), Some(Call::ResourceLink));
        assert_eq!(find("/v2/provisioning/resources/fres_1"), Some(Call::ResourceUpdate("fres_1".to_owned())));
        for nothing in ["/v2/provisioning/resources/", "/v2/provisioning", "/v1/resources", "/v2/provisioning//x"] {
            assert_eq!(find(nothing), None, "{nothing}");
        }
        assert_eq!(Call::find(&Method::DELETE, "/v2/provisioning/resources/fres_1"), None);
    }
}
