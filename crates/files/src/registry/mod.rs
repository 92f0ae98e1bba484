//! The registry: the services that may be provisioned, their variables and caps, and the limits over all of them.
//!
//! A file is read as a whole or refused as a whole, in three steps: TOML syntax, the private structs of `wire` that
//! serde fills, and the checks that make domain types of them. Every error has a line and a column and quotes no value.

mod alerts;
mod approval;
mod config;
mod config_folders;
mod diagnostic;
mod error;
mod file_text;
mod layer;
mod limit_source;
mod limits;
mod policy;
pub mod policy_file;
mod policy_files;
mod provider;
mod registry_files;
mod spelling;
mod user_policy;
mod wire;

use std::collections::BTreeMap;

pub use alerts::Alerts;
pub use approval::ApprovalRule;
pub use config_folders::ConfigFolders;
use domain::name::ProviderKey;
pub use error::{Problem, RegistryError};
use layer::Layer;
pub use limit_source::Sources;
pub use policy::Policy;
pub use policy_files::PolicyFiles;
pub use provider::Provider;
pub use registry_files::{RegistryFiles, WorkspaceRegistry};
pub use user_policy::UserPolicy;

/// The registry that ships with the program.
pub const BUILTIN: &str = include_str!("../../providers.toml");

/// Who may have written a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Origin {
    /// The owner of the money: the file lies outside every workspace.
    Owner,
    /// An agent, or the author of a repository.
    Workspace,
}

/// All providers, and the policy over them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Registry {
    /// Where alerts are sent, if anywhere.
    pub alerts: Option<Alerts>,
    pub policy: Policy,
    providers: BTreeMap<ProviderKey, Provider>,
}

impl Registry {
    /// Parses one file of the owner's as the whole registry. Errors name `file` and quote no value of it.
    ///
    /// # Errors
    /// [`RegistryError`] with the place and the rule.
    pub fn parse(text: &str, file: &str) -> Result<Self, RegistryError> {
        Layer::parse(Origin::Owner, text, file, &Layer::default()).map(Layer::into_registry)
    }

    /// Parses [`BUILTIN`], which a test proves to be valid.
    ///
    /// # Errors
    /// [`RegistryError`] as [`Registry::parse`].
    pub fn builtin() -> Result<Self, RegistryError> {
        Layer::builtin().map(Layer::into_registry)
    }

    pub fn get(&self, key: &ProviderKey) -> Option<&Provider> {
        self.providers.get(key)
    }

    /// Returns all providers in the order of their keys.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.values()
    }

    /// Returns whether the policy lets a provider be used at all.
    pub fn allows(&self, provider: &Provider) -> bool {
        let is_listed = self.policy.allowed.as_ref().is_none_or(|allowed| allowed.contains(&provider.key));
        is_listed && !self.policy.denied.contains(&provider.key)
    }

    /// Returns the key closest to a misspelt key or service provider (`neon`).
    pub fn closest(&self, wrong: &str) -> Option<&ProviderKey> {
        closest(&self.providers, wrong)
    }
}

fn closest<'a>(providers: &'a BTreeMap<ProviderKey, Provider>, wrong: &str) -> Option<&'a ProviderKey> {
    let keys = providers.keys().map(|key| (key.as_str(), key));
    let services = providers.values().map(|provider| (provider.service.provider(), &provider.key));
    spelling::closest(wrong, keys.chain(services))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "label = 'É'
service = 'exa/api'
env_var = 'EXA_API_KEY'
default_cap_usd = 10
docs = 'https://docs.exa.ai'
";

    fn refused(text: &str) -> String {
        Registry::parse(text, "p.toml").unwrap_err().to_string()
    }

    #[test]
    fn built_in_registry_is_valid() {
        let registry = Registry::builtin().unwrap();
        let keys: Vec<_> = registry.providers().map(|provider| provider.key.as_str()).collect();
        assert_eq!(
            keys,
            ["browser", "email", "llm", "postgres", "redis", "scrape", "search", "supermemory", "tts", "vector-db"]
        );
        for provider in registry.providers() {
            assert_eq!(registry.get(&provider.key), Some(provider));
        }
        assert_eq!(registry.policy, Policy::default());
    }

    #[test]
    fn built_in_registry_has_distinct_variables() {
        let registry = Registry::builtin().unwrap();
        let mut variables: Vec<_> =
            registry.providers().flat_map(|provider| &provider.deliveries).map(|to| to.env_var.as_str()).collect();
        variables.sort_unstable();
        let count = variables.len();
        variables.dedup();
        assert_eq!(variables.len(), count);
    }

    #[test]
    fn misspelt_key_finds_the_closest_one() {
        let registry = Registry::builtin().unwrap();
        for (wrong, right) in [
            ("supermemry", Some("supermemory")),
            ("Vector_DB", Some("vector-db")),
            ("neon", Some("postgres")),
            ("elevenlab", Some("tts")),
            ("climate", None),
        ] {
            assert_eq!(registry.closest(wrong).map(ProviderKey::as_str), right, "{wrong}");
        }
    }

    #[test]
    fn invalid_file_is_refused_with_its_place() {
        let entry = |line: &str| format!("version = 1\n[providers.a]\n{ENTRY}{line}");
        for (text, error) in [
            (String::new(), "1:1: `version` is missing"),
            ("version = '1'".into(), "1:11: expected a whole number"),
            ("other = 3\nversion = 2".into(), "2:11: unknown version of the file format; this program reads version 1"),
            ("version = 1".into(), "1:1: `providers` is missing"),
            ("version = 1\nproviders = []".into(), "2:13: expected a table"),
            ("version = 1\n[providers]".into(), "2:1: the registry has no providers"),
            ("version = 1\n[provider.a]".into(), "2:2: unknown key; did you mean `providers`?"),
            ("version = 1\nproviders.a = 'x'".into(), "2:15: expected a table"),
            ("version = 1\n[[providers.a]]".into(), "2:1: expected a table"),
            ("version = 1\nproviders = [[]]".into(), "2:13: expected a table"),
            ("version = 1\nproviders.a = 2026-01-01".into(), "2:15: expected a table"),
            ("version = 1\nalerts = [[], 'https://canary.example']\n[providers.a]".into(), "2:10: expected a table"),
            ("version = 1\nalerts = 2026-01-01\n[providers.a]".into(), "2:10: expected a table"),
            ("version = 1\n  [providers.a]".into(), "2:3: `label` is missing"),
            (
                "version = 1\n[providers.A]".into(),
                "2:12: a provider key is 1 to 63 of a-z, 0-9 and `-`, starting with a letter or digit",
            ),
            (
                "version = 1\n[providers.sk-canary-0123456789]".into(),
                "2:12: this looks like a credential, which this file must not contain",
            ),
            (entry("default_cap = 1"), "8:1: unknown key; did you mean `default_cap_usd`?"),
            (entry("sk_live_canary = 1"), "8:1: unknown key"),
            (entry("'canary`, expected one of `canary2`' = 1"), "8:1: unknown key"),
            (entry("paid = 'canary, expected a map'"), "8:8: expected true or false"),
            (entry("extra_env = 2026-01-01"), "8:13: expected a value of another type"),
            (entry("zzz = 1\npiad = 2"), "8:1: unknown key"),
            (entry("label = 'canary'"), "8:1: duplicate key"),
            (entry("[providers.a]"), "8:12: duplicate key"),
            (entry("plan = sk_live_canary"), "8:8: invalid TOML: expected a quoted string"),
            (entry("plan = 'canary"), "8:15: invalid TOML"),
            (entry("plan = \"canary\\q\""), "8:16: invalid TOML"),
            (entry("plan = 'canary\0'"), "8:15: invalid TOML"),
            (entry("# canary\0"), "8:9: invalid TOML"),
            (entry("[canary"), "8:8: invalid TOML"),
            (entry(&format!("config{} = 1", ".a".repeat(1_000))), "1:1: nested too deeply"),
            (entry("canary"), "8:7: invalid TOML"),
            (entry(&format!("config.a = {}", "[".repeat(1_000))), "8:92: nested too deeply"),
        ] {
            assert_eq!(refused(&text), format!("p.toml:{error}"), "{text}");
            assert!(!format!("{:?}", Registry::parse(&text, "p.toml")).contains("canary"), "{text}");
        }
    }

    #[test]
    fn column_counts_characters_without_byte_order_mark() {
        let text = format!("\u{feff}version = 1\n[providers.a]\n{ENTRY}config = {{ 'ßß' = 'é漢🦀', b = nan }}");
        let error = "p.toml:8:30: a config cannot contain a number that JSON does not have";
        assert_eq!(refused(&text), error);
        assert_eq!(refused(&text.replace('\n', "\r\n")), error);
        assert_eq!(refused("\u{feff}version = 2"), refused("version = 2"));
    }

    #[test]
    fn unknown_key_error_lists_the_valid_ones() {
        let text = format!("version = 1\npolicy.denied = ['b']\n[providers.a]\n{ENTRY}");
        let problem = Registry::parse(&text, "p.toml").unwrap_err().problem;
        let a = ProviderKey::parse("a").unwrap();
        assert_eq!(problem, Problem::UnknownProvider { meant: Some(a.clone()), valid: vec![a] });
        let problem = Registry::parse("version = 1\nzzz = 1", "p.toml").unwrap_err().problem;
        let valid = ["alerts", "policy", "providers", "version"].map(str::to_owned).to_vec();
        assert_eq!(problem, Problem::UnknownKey { meant: None, valid });
    }
}
