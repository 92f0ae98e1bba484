//! One recipe: which service, how it is configured, what it may cost, and which variables its credentials become.

use serde_json::{Map, Value as Json};

use super::approval::ApprovalRule;
use super::config;
use super::error::{Fault, Problem};
use super::wire::{self, Table, Value};
use crate::lifetime::Lifetime;
use crate::money::Cents;
use crate::name::{EnvVar, ProviderKey, ServiceRef};
use crate::project::Delivery;
use crate::safe_url::SafeUrl;

/// An entry of the registry. `default_cap` is never above `max_cap`, and neither is zero.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provider {
    pub key: ProviderKey,
    pub label: String,
    pub service: ServiceRef,
    /// What must exist before the service does; of the same provider.
    pub plan: Option<ServiceRef>,
    pub config: Map<String, Json>,
    /// Never empty: the first is `env_var`. No two variables are the same, in any case of letters.
    pub deliveries: Vec<Delivery>,
    pub default_cap: Cents,
    pub max_cap: Cents,
    /// How long a project lives when nobody says; never longer than `max_lease`.
    pub default_lease: Option<Lifetime>,
    pub max_lease: Option<Lifetime>,
    /// `None`: as the policy over all of them says.
    pub approval: Option<ApprovalRule>,
    pub docs: String,
    pub paid: bool,
    /// Whether the human has said that the provider's terms of service are accepted.
    pub terms_accepted: bool,
}

impl Provider {
    pub(super) fn read(key: ProviderKey, value: &Value<'_>) -> Result<Self, Fault> {
        let entry = Table::of(value)?;
        entry.refuse_unknown_keys(KEYS)?;
        let label = entry.required("label", wire::parsed(label))?;
        let service = entry.required("service", wire::parsed(ServiceRef::parse))?;
        let plan = entry.optional("plan", wire::parsed(|text| plan(text, &service)))?;
        let config = entry.optional("config", config::read)?.unwrap_or_default();
        let deliveries = deliveries(&entry)?;
        let (default_cap, max_cap) = caps(&entry)?;
        let (default_lease, max_lease) = lifetimes(&entry)?;
        let docs = entry.required("docs", wire::parsed(docs))?;
        let paid = entry.optional("paid", wire::boolean)?.unwrap_or_default();
        let terms_accepted = entry.optional("terms_accepted", wire::boolean)?.unwrap_or_default();
        let approval = entry.optional("approval", ApprovalRule::read)?;
        let recipe = Self {
            key,
            label,
            service,
            plan,
            config,
            deliveries,
            default_cap,
            max_cap,
            default_lease,
            max_lease,
            approval,
            docs,
            paid,
            terms_accepted,
        };
        Ok(recipe)
    }
}

/// The variable that is always there, then those that the entry adds.
fn deliveries(entry: &Table<'_>) -> Result<Vec<Delivery>, Fault> {
    let env_var = entry.required("env_var", wire::parsed(EnvVar::parse))?;
    let named = entry.optional("credential", wire::parsed(credential))?;
    let mut deliveries = vec![Delivery { env_var, credential: named }];
    let extra = entry.optional("extra_env", Table::of)?;
    for (name, value) in extra.iter().flat_map(Table::entries) {
        let env_var = wire::name(name, EnvVar::parse)?;
        // Some systems tell variables apart by case and some do not, so one entry must work on both.
        if deliveries.iter().any(|other| other.env_var.as_str().eq_ignore_ascii_case(env_var.as_str())) {
            return Err(Fault::at(name, Problem::DuplicateVariable));
        }
        deliveries.push(Delivery { env_var, credential: Some(wire::parsed(credential)(value)?) });
    }
    Ok(deliveries)
}

/// The default cap and the highest one, which without a word about it is the same.
fn caps(entry: &Table<'_>) -> Result<(Cents, Cents), Fault> {
    let default = entry.required("default_cap_usd", wire::cap)?;
    let max = entry.optional("max_cap_usd", |value| match wire::cap(value)? {
        max if max < default => Err(Fault::at(value, Problem::MaxBelowDefault)),
        max => Ok(max),
    })?;
    Ok((default, max.unwrap_or(default)))
}

/// The usual length of life and the longest.
fn lifetimes(entry: &Table<'_>) -> Result<(Option<Lifetime>, Option<Lifetime>), Fault> {
    let default = entry.optional("default_expires_in", wire::parsed(Lifetime::parse))?;
    let max = entry.optional("max_expires_in", |value| match (wire::parsed(Lifetime::parse)(value)?, default) {
        (max, Some(default)) if max < default => Err(Fault::at(value, Problem::MaxBelowDefault)),
        (max, _) => Ok(max),
    })?;
    Ok((default, max))
}

fn label(text: &str) -> Result<String, Problem> {
    let fits = (1..=80).contains(&text.chars().count()) && !text.trim().is_empty();
    // Beyond control characters: line separators, and the marks that make a line read in another order.
    let odd = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (fits && !text.contains(odd)).then(|| text.to_owned()).ok_or(Problem::Label)
}

fn plan(text: &str, service: &ServiceRef) -> Result<ServiceRef, Problem> {
    let plan = ServiceRef::parse(text)?;
    if plan.provider() == service.provider() { Ok(plan) } else { Err(Problem::PlanOfAnotherProvider) }
}

fn credential(text: &str) -> Result<String, Problem> {
    let starts_well = text.starts_with(|c: char| c.is_ascii_uppercase());
    let continues_well = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    (starts_well && continues_well && text.len() <= 64).then(|| text.to_owned()).ok_or(Problem::CredentialName)
}

/// Parses an https address that is safe to print and to open.
fn docs(text: &str) -> Result<String, Problem> {
    let is_safe = text.len() <= 2048 && SafeUrl::parse(text).is_ok_and(|url| url.is_https());
    is_safe.then(|| text.to_owned()).ok_or(Problem::Docs)
}

/// Everything an entry may say.
const KEYS: &[&str] = &[
    "approval",
    "config",
    "credential",
    "default_cap_usd",
    "default_expires_in",
    "docs",
    "env_var",
    "extra_env",
    "label",
    "max_cap_usd",
    "max_expires_in",
    "paid",
    "plan",
    "service",
    "terms_accepted",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Registry, RegistryError};

    /// A whole entry; tests replace one line of it. The header is line 2, `label` line 3.
    const ENTRY: &[(&str, &str)] = &[
        ("label", "'Neon'"),
        ("service", "'neon/postgres'"),
        ("plan", "'neon/free'"),
        ("env_var", "'DATABASE_URL'"),
        ("credential", "'CONNECTION_STRING'"),
        ("default_cap_usd", "12.50"),
        ("max_cap_usd", "100"),
        ("docs", "'https://neon.com/docs'"),
        ("paid", "true"),
        ("config", "{ region = 'eu', tags = ['a'], size = 1 }"),
        ("extra_env", "{ NEON_PROJECT_ID = 'PROJECT_ID' }"),
        ("terms_accepted", "true"),
        ("approval", "'always'"),
    ];

    fn text(change: impl Fn(&str, &str) -> Option<String>) -> String {
        let lines =
            ENTRY.iter().filter_map(|(key, value)| change(key, value).map(|value| format!("{key} = {value}\n")));
        format!("version = 1\n[providers.postgres]\n{}", lines.collect::<String>())
    }

    fn with(changed: &str, new: &str) -> Result<Provider, RegistryError> {
        let text = text(|key, value| Some(if key == changed { new } else { value }.to_owned()));
        let registry = Registry::parse(&text, "p.toml")?;
        Ok(registry.providers().next().unwrap().clone())
    }

    fn without(dropped: &str) -> Result<Registry, RegistryError> {
        Registry::parse(&text(|key, value| (key != dropped).then(|| value.to_owned())), "p.toml")
    }

    #[test]
    fn an_entry_becomes_words() {
        let provider = with("", "").unwrap();
        assert_eq!(provider.key.as_str(), "postgres");
        assert_eq!((provider.default_cap.cents(), provider.max_cap.cents()), (1250, 10_000));
        let deliveries: Vec<_> =
            provider.deliveries.iter().map(|to| (to.env_var.as_str(), to.credential.as_deref().unwrap())).collect();
        assert_eq!(deliveries, [("DATABASE_URL", "CONNECTION_STRING"), ("NEON_PROJECT_ID", "PROJECT_ID")]);
        assert_eq!(serde_json::to_string(&provider.config).unwrap(), r#"{"region":"eu","size":1,"tags":["a"]}"#);
        assert!(provider.paid);
        assert_eq!(provider.approval, Some(ApprovalRule::Always));
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        for key in ["approval", "plan", "credential", "max_cap_usd", "paid", "config", "extra_env"] {
            without(key).unwrap();
        }
        for key in ["label", "service", "env_var", "default_cap_usd", "docs"] {
            assert_eq!(without(key).unwrap_err().to_string(), format!("p.toml:2:1: `{key}` is missing"));
        }
        let provider = without("max_cap_usd").unwrap().providers().next().unwrap().clone();
        assert_eq!(provider.max_cap, provider.default_cap);
    }

    #[test]
    fn caps_are_read_from_the_digits_in_the_file() {
        for (written, cents) in [("1", 100), ("+7", 700), ("1_2", 1_200), ("0.07", 7), ("33.30", 3_330), ("1.100", 110)]
        {
            assert_eq!(with("default_cap_usd", written).unwrap().default_cap.cents(), cents, "{written}");
        }
    }

    #[test]
    fn every_bad_value_is_found_where_it_stands() {
        let not_a_number = "8:19: the amount is not a plain decimal number of US dollars, such as 15 or 15.50";
        let label = "3:9: a label is one line of 1 to 80 visible characters";
        let docs = "10:8: a documentation link is a plain https:// URL without user or password";
        let service = "4:11: a service is written provider/service, such as supermemory/memory";
        let credential = "7:14: a credential name is 1 to 64 of A-Z, 0-9 and `_`, starting with a letter";
        let rule = "a variable name is 1 to 128 letters, digits or `_` and does not start with a digit";
        let dangerous = "this variable changes how programs start, so it may not carry a credential";
        let same = "another variable of this provider has the same name; upper and lower case count as one";
        let secret = "a registry carries no credential, and this reads like one";
        for (key, value, error) in [
            ("label", "''", label),
            ("label", "'  '", label),
            ("label", "\"a\\nb\"", label),
            ("label", "\"a\\u0000\"", label),
            ("label", "'a\u{202e}b'", label),
            ("label", &format!("'{}'", "é".repeat(81)), label),
            ("label", "7", "3:9: expected a text in quotes"),
            ("label", "'4242 4242 4242 4242'", &format!("3:9: {secret}")),
            ("service", "'neon'", service),
            ("service", "'--x/y'", service),
            ("plan", "'exa/free'", "5:8: a plan belongs to the same provider as its service"),
            ("plan", "{}", "5:8: expected a text in quotes"),
            ("env_var", "'A-B'", &format!("6:11: {rule}")),
            ("env_var", "'PATH'", &format!("6:11: {dangerous}")),
            ("env_var", "'ld_preload'", &format!("6:11: {dangerous}")),
            ("env_var", "'NEON_project_ID'", &format!("13:15: {same}")),
            ("env_var", "'sk_live_0123456789abcdef'", &format!("6:11: {secret}")),
            ("credential", "'api_key'", credential),
            ("credential", "'_KEY'", credential),
            ("credential", "''", credential),
            ("credential", &format!("'{}'", "K".repeat(65)), credential),
            ("default_cap_usd", "-1", "8:19: the amount is negative"),
            ("default_cap_usd", "-0.5", "8:19: the amount is negative"),
            ("default_cap_usd", "0", "8:19: a cap is more than 0"),
            ("default_cap_usd", "0.00", "8:19: a cap is more than 0"),
            ("default_cap_usd", "9.999", "8:19: the amount has more decimals than can be billed"),
            ("default_cap_usd", "1e1", not_a_number),
            ("default_cap_usd", "nan", not_a_number),
            ("default_cap_usd", "-inf", not_a_number),
            ("default_cap_usd", "0x10", "8:19: expected an amount in US dollars, such as 15 or 15.50"),
            ("default_cap_usd", "'10'", "8:19: expected an amount in US dollars, such as 15 or 15.50"),
            ("default_cap_usd", "1000000.01", "8:19: the amount is above 1000000 USD"),
            ("default_cap_usd", "99999999999999999999999", "8:19: the amount is above 1000000 USD"),
            ("max_cap_usd", "12.49", "9:15: the maximum is below the default"),
            ("docs", "'http://neon.com'", docs),
            ("docs", "'https://'", docs),
            ("docs", "'https://u:p@neon.com'", docs),
            ("docs", "'https://neon.com/a b'", docs),
            ("docs", "'javascript:alert(1)'", docs),
            ("docs", "'http://localhost/docs'", docs),
            ("docs", "'https://neon.com:80@evil.example/'", docs),
            ("docs", "'https://neon.com\\@evil.example'", docs),
            ("paid", "'yes'", "11:8: expected true or false"),
            ("config", "[]", "12:10: expected a table"),
            ("extra_env", "'X'", "13:13: expected a table"),
            ("extra_env", "{ LD_PRELOAD = 'KEY' }", &format!("13:15: {dangerous}")),
            ("extra_env", "{ '' = 'KEY' }", &format!("13:15: {rule}")),
            ("extra_env", "{ database_url = 'KEY' }", &format!("13:15: {same}")),
            ("extra_env", "{ A = 'KEY', a = 'KEY' }", &format!("13:26: {same}")),
            ("extra_env", "{ sk_live_0123456789abcdef = 'KEY' }", &format!("13:15: {secret}")),
            ("extra_env", "{ A = 'key' }", &credential.replace("7:14", "13:19")),
        ] {
            assert_eq!(with(key, value).unwrap_err().to_string(), format!("p.toml:{error}"), "{key} = {value}");
        }
    }

    #[test]
    fn no_error_quotes_what_stands_in_an_entry() {
        const CANARY: &str = "sk_live_51Canary0123456789";
        let shapes = ["'X'", "X", "['X']", "{ X = 1 }", "{ A = 'X' }", "{ A = { B = ['X'] } }", "'X", "\"X\\q\"", "1X"];
        for (key, _) in ENTRY {
            for shape in shapes {
                let error = with(key, &shape.replace('X', CANARY)).unwrap_err();
                assert!(!format!("{error} {error:?}").contains("anary"), "{key} = {shape}: {error:?}");
            }
        }
    }
}
