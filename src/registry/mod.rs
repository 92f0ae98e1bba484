//! The registry: which services may be provisioned, under which variable and cap, and the limits over all of them.
//!
//! It is a recipe book, read whole or refused whole: half a registry would provision half of what its owner meant.
//! Text comes in and words go out; where the text is kept is the caller's business. It is read as a tree that
//! remembers where each word stood rather than through serde, whose messages quote what they did not expect, and
//! whose floats have forgotten what was written.

mod alerts;
mod approval;
mod ceiling;
mod config;
mod diagnostic;
mod error;
mod policy;
mod provider;
mod source;
mod spelling;
mod wire;

use std::collections::BTreeMap;

use toml::de::DeTable;

use crate::name::ProviderKey;
pub use alerts::Alerts;
pub use approval::ApprovalRule;
pub use ceiling::Ceiling;
use error::Fault;
pub use error::{Problem, RegistryError};
pub use policy::Policy;
pub use provider::Provider;
pub use source::{CeilingFile, RegistryFile};
use wire::{Table, Value};

/// The registry that ships with the program.
pub const BUILTIN: &str = include_str!("../../providers.toml");

/// Every recipe there is, and the policy over them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Registry {
    /// Where alerts go; `None`: nowhere.
    pub alerts: Option<Alerts>,
    pub policy: Policy,
    providers: BTreeMap<ProviderKey, Provider>,
}

impl Registry {
    /// Reads a whole registry. `file` is what errors call the text's origin.
    ///
    /// # Errors
    /// [`RegistryError`] says where the text is wrong and why, and never quotes it.
    pub fn parse(text: &str, file: &str) -> Result<Self, RegistryError> {
        // Editors of another era begin a file with this mark. No column counts it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self::read(text).map_err(|fault| fault.in_file(file, text))
    }

    /// Reads [`BUILTIN`].
    ///
    /// # Errors
    /// None in a released program: a test reads it too.
    pub fn builtin() -> Result<Self, RegistryError> {
        Self::parse(BUILTIN, "built-in providers.toml")
    }

    pub fn get(&self, key: &ProviderKey) -> Option<&Provider> {
        self.providers.get(key)
    }

    /// All recipes, by key.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.values()
    }

    /// The key somebody meant who wrote `wrong`: a slip of the finger, or the service's own name (`neon`).
    pub fn closest(&self, wrong: &str) -> Option<&ProviderKey> {
        closest(&self.providers, wrong)
    }

    fn read(text: &str) -> Result<Self, Fault> {
        let tree = DeTable::parse(text).map_err(|error| Fault::syntax(&error))?;
        let file = Table::whole_file(tree.get_ref());
        // The version comes first: a file of another version may well have other keys.
        file.required("version", version)?;
        file.refuse_unknown_keys(&["alerts", "policy", "providers", "version"])?;
        let alerts = file.optional("alerts", Alerts::read)?;
        let providers = file.required("providers", read_providers)?;
        let policy = file.optional("policy", |value| Policy::read(value, &providers))?.unwrap_or_default();
        Ok(Self { alerts, policy, providers })
    }
}

fn version(value: &Value<'_>) -> Result<(), Fault> {
    match wire::integer(value)? {
        1 => Ok(()),
        _ => Err(Fault::at(value, Problem::Version)),
    }
}

fn read_providers(value: &Value<'_>) -> Result<BTreeMap<ProviderKey, Provider>, Fault> {
    let table = Table::of(value)?;
    let mut providers = BTreeMap::new();
    for (name, entry) in table.entries() {
        let key = wire::name(name, ProviderKey::parse)?;
        providers.insert(key.clone(), Provider::read(key, entry)?);
    }
    if providers.is_empty() {
        return Err(Fault::at(value, Problem::NoProviders));
    }
    Ok(providers)
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
    fn the_built_in_registry_is_whole() {
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
    fn the_variables_of_the_built_in_registry_are_all_different() {
        let registry = Registry::builtin().unwrap();
        let mut variables: Vec<_> =
            registry.providers().flat_map(|provider| &provider.deliveries).map(|to| to.env_var.as_str()).collect();
        variables.sort_unstable();
        let count = variables.len();
        variables.dedup();
        assert_eq!(variables.len(), count);
    }

    #[test]
    fn a_wrong_key_leads_to_the_right_one() {
        let registry = Registry::builtin().unwrap();
        for (wrong, right) in [
            ("supermemry", Some("supermemory")),
            ("Vector_DB", Some("vector-db")),
            ("neon", Some("postgres")),
            ("elevenlab", Some("tts")),
            ("weather", None),
        ] {
            assert_eq!(registry.closest(wrong).map(ProviderKey::as_str), right, "{wrong}");
        }
    }

    #[test]
    fn an_error_stands_where_the_mistake_does() {
        let entry = |line: &str| format!("version = 1\n[providers.a]\n{ENTRY}{line}");
        for (text, error) in [
            (String::new(), "1:1: `version` is missing"),
            ("version = '1'".into(), "1:11: expected a whole number"),
            (
                "other = 3\nversion = 2".into(),
                "2:11: this version of the registry format is unknown; this program reads version 1",
            ),
            ("version = 1".into(), "1:1: `providers` is missing"),
            ("version = 1\nproviders = []".into(), "2:13: expected a table"),
            ("version = 1\n[providers]".into(), "2:1: there is no provider in this registry"),
            ("version = 1\n[provider.a]".into(), "2:2: unknown key; did you mean `providers`?"),
            ("version = 1\nproviders.a = 'x'".into(), "2:15: expected a table"),
            ("version = 1\n[[providers.a]]".into(), "2:1: expected a table"),
            ("version = 1\n  [providers.a]".into(), "2:3: `label` is missing"),
            (
                "version = 1\n[providers.A]".into(),
                "2:12: a provider key is 1 to 63 of a-z, 0-9 and `-`, starting with a letter or digit",
            ),
            (
                "version = 1\n[providers.sk-canary-0123456789]".into(),
                "2:12: a registry carries no credential, and this reads like one",
            ),
            (entry("default_cap = 1"), "8:1: unknown key; did you mean `default_cap_usd`?"),
            (entry("sk_live_canary = 1"), "8:1: unknown key"),
            (entry("zzz = 1\npiad = 2"), "8:1: unknown key"),
            (entry("label = 'canary'"), "8:1: this key is already there"),
            (entry("[providers.a]"), "8:12: this key is already there"),
            (entry("plan = sk_live_canary"), "8:8: this is not valid TOML: text stands in quotes"),
            (entry("plan = 'canary"), "8:15: this is not valid TOML"),
            (entry("plan = \"canary\\q\""), "8:16: this is not valid TOML"),
            (entry("plan = 'canary\0'"), "8:15: this is not valid TOML"),
            (entry("# canary\0"), "8:9: this is not valid TOML"),
            (entry("[canary"), "8:8: this is not valid TOML"),
            (entry(&format!("config{} = 1", ".a".repeat(1_000))), "1:1: this is nested too deeply"),
            (entry("canary"), "8:7: this is not valid TOML"),
            (entry(&format!("config.a = {}", "[".repeat(1_000))), "8:92: this is nested too deeply"),
        ] {
            assert_eq!(refused(&text), format!("p.toml:{error}"), "{text}");
            assert!(!format!("{:?}", Registry::parse(&text, "p.toml")).contains("canary"), "{text}");
        }
    }

    #[test]
    fn line_ends_marks_and_wide_letters_do_not_move_the_place() {
        let text = format!("\u{feff}version = 1\n[providers.a]\n{ENTRY}config = {{ 'ßß' = 'é漢🦀', b = nan }}");
        let error = "p.toml:8:30: a config holds no number that JSON cannot carry";
        assert_eq!(refused(&text), error);
        assert_eq!(refused(&text.replace('\n', "\r\n")), error);
        assert_eq!(refused("\u{feff}version = 2"), refused("version = 2"));
    }

    #[test]
    fn an_error_carries_what_a_hint_needs() {
        let text = format!("version = 1\npolicy.denied = ['b']\n[providers.a]\n{ENTRY}");
        let problem = Registry::parse(&text, "p.toml").unwrap_err().problem;
        let a = ProviderKey::parse("a").unwrap();
        assert_eq!(problem, Problem::UnknownProvider { meant: Some(a.clone()), valid: vec![a] });
        let problem = Registry::parse("version = 1\nzzz = 1", "p.toml").unwrap_err().problem;
        assert_eq!(problem, Problem::UnknownKey { meant: None, valid: &["alerts", "policy", "providers", "version"] });
    }
}
