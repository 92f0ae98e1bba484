//! Resources that carry the id of an order, also where nothing here remembers the order.

use domain::{
    money::Cents,
    name::ServiceRef,
    project::{ProjectId, ResourceId},
};

/// An existing resource whose name or metadata carries the id of an order of this program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MarkedResource {
    pub resource: ResourceId,
    /// The order's id, or as much of it as the resource carries.
    pub order: ProjectId,
    /// The name of the project that ordered it, as far as the resource carries it. Foreign text.
    pub label: String,
    /// In the backend's spelling.
    pub provider: String,
    /// The part of the service's name after the slash.
    pub service: String,
    /// If the backend knows it.
    pub cap: Option<Cents>,
    pub suspended: bool,
}

impl MarkedResource {
    /// Whether the resource is of that service, in any spelling of its provider.
    pub fn is_of(&self, service: &ServiceRef) -> bool {
        let part = service.as_str().split_once('/').map_or("", |(_, part)| part);
        normalized(&self.provider) == normalized(service.provider()) && self.service == part
    }

    /// Whether the resource is that of an order.
    pub fn is_for(&self, order: &ProjectId) -> bool {
        self.order == *order || mark(&self.order) == mark(order)
    }
}

/// Splits the name of a resource at Stripe into the project's name and the order's mark. A duplicate, which the Stripe CLI
/// names `…-2`, has the mark of the original.
pub fn split_name(name: &str) -> Option<(&str, ProjectId)> {
    let is_number = |end: &str| (1..4).contains(&end.len()) && end.bytes().all(|byte| byte.is_ascii_digit());
    let split = |name| {
        let (label, end) = str::rsplit_once(name, '-')?;
        let is_mark = end.len() == MARK && end.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (is_mark && !label.is_empty()).then(|| (label, ProjectId::from_stored(format!("proj_{end}"))))
    };
    split(name).or_else(|| name.rsplit_once('-').filter(|(_, end)| is_number(end)).and_then(|(name, _)| split(name)))
}

/// The first digits of an order's id, without its `proj_`. Names at Stripe end in them.
pub fn mark(order: &ProjectId) -> String {
    order.as_str().trim_start_matches("proj_").chars().take(MARK).collect()
}

/// Removes the differences between spellings such as `Hugging Face` and `hugging-face`.
fn normalized(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// In characters.
const MARK: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_split_into_project_and_order() {
        for (name, split) in [
            ("agent-memory-0123456789ab", Some(("agent-memory", "proj_0123456789ab"))),
            ("agent-memory-0123456789ab-2", Some(("agent-memory", "proj_0123456789ab"))),
            ("p-2nd-012345678901", Some(("p-2nd", "proj_012345678901"))),
            ("x-012345678901-2", Some(("x", "proj_012345678901"))),
            ("x-0123456789AB", None),
            ("x-0123456789", None),
            ("-0123456789ab", None),
            ("0123456789ab", None),
            ("my own database", None),
            ("", None),
        ] {
            let order = |id: &str| ProjectId::from_stored(id.to_owned());
            assert_eq!(split_name(name), split.map(|(label, id)| (label, order(id))), "{name}");
        }
    }

    #[test]
    fn resource_belongs_to_its_order_and_service() {
        let order = ProjectId::from_stored("proj_0123456789abcdef01234567".to_owned());
        let resource = MarkedResource {
            resource: ResourceId::new("fres_1".to_owned()),
            order: ProjectId::from_stored("proj_0123456789ab".to_owned()),
            label: "x".to_owned(),
            provider: "Open Router".to_owned(),
            service: "api".to_owned(),
            cap: None,
            suspended: false,
        };
        assert!(resource.is_for(&order) && !resource.is_for(&ProjectId::from_stored("proj_0123456789ac".to_owned())));
        let service = |text: &str| ServiceRef::parse(text).unwrap();
        assert!(resource.is_of(&service("openrouter/api")) && !resource.is_of(&service("openrouter/other")));
        assert!(!resource.is_of(&service("exa/api")));
    }
}
