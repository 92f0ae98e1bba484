//! A provider of the registry: its service, configuration, caps and environment variables.

use domain::{
    lifetime::Lifetime,
    money::Cents,
    name::{EnvVar, ProviderKey, ServiceRef},
    project::Delivery,
    safe_url::SafeUrl,
    visible::is_visible,
};
use serde_json::{Map, Value as Json, json};
use toml::Spanned;

use super::approval::ApprovalRule;
use super::config;
use super::error::{Problem, SpannedProblem};
use super::limit_source::Sources;
use super::wire::{self, Document, parse, parse_optional};

/// An entry of the registry. `default_cap` is never above `max_cap`, and neither is zero.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provider {
    pub key: ProviderKey,
    pub label: String,
    pub service: ServiceRef,
    /// A plan of the same provider, which must be bought before the service.
    pub plan: Option<ServiceRef>,
    pub config: Map<String, Json>,
    /// Never empty: the first is `env_var`. No two variables are the same, in any case of letters.
    pub deliveries: Vec<Delivery>,
    pub default_cap: Cents,
    pub max_cap: Cents,
    /// The highest cap that an agent gets without approval; a workspace cannot raise it for a known service.
    pub unapproved_cap: Cents,
    /// The `max_cap_usd` of the entry, if it has one: a person is asked before the live caps exceed it in sum.
    pub caps_in_sum: Option<Cents>,
    /// The lifetime of a project without one of its own; never longer than `max_lifetime`.
    pub default_lifetime: Option<Lifetime>,
    pub max_lifetime: Option<Lifetime>,
    /// `None`: as in the policy over all providers.
    pub approval: Option<ApprovalRule>,
    pub docs: String,
    pub paid: bool,
    /// Whether the owner has accepted the provider's terms of service; `None` where this entry does not say.
    pub terms_accepted: Option<bool>,
    /// The lines of its caps and of what denies it.
    pub sources: Sources,
}

impl Provider {
    pub(super) fn read(
        key: ProviderKey,
        table: &wire::Value<'_>,
        document: &Document<'_>,
    ) -> Result<Self, SpannedProblem> {
        let entry: wire::Provider = wire::read(table)?;
        let label = parse(&entry.label, label)?;
        let service = parse(&entry.service, ServiceRef::parse)?;
        let plan = parse_optional(entry.plan.as_ref(), |text| plan(text, &service))?;
        let config = wire::member(table, "config").map(config::read).transpose()?.unwrap_or_default();
        let deliveries = deliveries(&entry)?;
        let default_cap = document.cap(&entry.default_cap_usd)?;
        let caps_in_sum = document.optional_cap(entry.max_cap_usd.as_ref())?;
        let max_cap = caps_in_sum.unwrap_or(default_cap);
        if let Some(place) = entry.max_cap_usd.as_ref().filter(|_| max_cap < default_cap) {
            return Err(SpannedProblem::at(place, Problem::MaxBelowDefault));
        }
        let default_lifetime = parse_optional(entry.default_expires_in.as_ref(), Lifetime::parse)?;
        let max_lifetime =
            parse_optional(entry.max_expires_in.as_ref(), |text| match (Lifetime::parse(text)?, default_lifetime) {
                (max, Some(default)) if max < default => Err(Problem::MaxBelowDefault),
                (max, _) => Ok(max),
            })?;
        let mut sources = Sources::default();
        sources.set("default_cap_usd", &document.source(&entry.default_cap_usd));
        let max_cap_line = document.source(entry.max_cap_usd.as_ref().unwrap_or(&entry.default_cap_usd));
        sources.set("max_cap_usd", &max_cap_line);
        Ok(Self {
            key,
            label,
            service,
            plan,
            config,
            deliveries,
            default_cap,
            max_cap,
            unapproved_cap: default_cap,
            caps_in_sum,
            default_lifetime,
            max_lifetime,
            approval: entry.approval.as_ref().map(ApprovalRule::read).transpose()?,
            docs: parse(&entry.docs, docs)?,
            paid: entry.paid.unwrap_or_default(),
            terms_accepted: entry.terms_accepted.map(Spanned::into_inner),
            sources,
        })
    }

    /// Returns whether a person has agreed to the provider's terms in a file that may say so.
    pub fn has_accepted_terms(&self) -> bool {
        self.terms_accepted == Some(true)
    }

    /// Returns every field of the entry that acts or is shown, in an order of its own.
    pub fn facts(&self) -> Json {
        let lifetime = |lifetime: Option<Lifetime>| lifetime.map(|lifetime| lifetime.to_string());
        let deliveries = self.deliveries.iter().map(|to| json!([to.env_var.as_str(), to.credential]));
        json!([
            ["key", self.key.as_str()],
            ["label", self.label],
            ["service", self.service.as_str()],
            ["plan", self.plan.as_ref().map(ServiceRef::as_str)],
            ["config", self.config],
            ["deliveries", deliveries.collect::<Vec<_>>()],
            ["default_cap", self.default_cap.cents()],
            ["max_cap", self.max_cap.cents()],
            ["default_expires_in", lifetime(self.default_lifetime)],
            ["max_expires_in", lifetime(self.max_lifetime)],
            ["docs", self.docs],
            ["paid", self.paid],
            ["terms_accepted", self.has_accepted_terms()],
        ])
    }

    /// Limits an entry of a workspace by the owner's entry of the same service.
    pub(super) fn limited_by(&mut self, owned: &Self) {
        self.approval = self.approval.max(owned.approval);
        self.unapproved_cap = self.unapproved_cap.min(owned.unapproved_cap);
        self.terms_accepted = self.terms_accepted.or(owned.terms_accepted);
    }
}

/// Returns `env_var` first, then the variables of `extra_env`.
fn deliveries(entry: &wire::Provider) -> Result<Vec<Delivery>, SpannedProblem> {
    let first = parse_optional(entry.credential.as_ref(), credential)?;
    let mut deliveries = vec![Delivery { env_var: parse(&entry.env_var, EnvVar::parse)?, credential: first }];
    let mut extra: Vec<_> = entry.extra_env.iter().flatten().collect();
    extra.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in extra {
        let env_var = parse(name, EnvVar::parse)?;
        // Some systems ignore the case of a variable, and an entry must work on all of them.
        if deliveries.iter().any(|other| other.env_var.as_str().eq_ignore_ascii_case(env_var.as_str())) {
            return Err(SpannedProblem::at(name, Problem::DuplicateVariable));
        }
        deliveries.push(Delivery { env_var, credential: Some(parse(value, credential)?) });
    }
    Ok(deliveries)
}

fn label(text: &str) -> Result<String, Problem> {
    let fits = (1..=80).contains(&text.chars().count()) && !text.trim().is_empty();
    (fits && text.chars().all(is_visible)).then(|| text.to_owned()).ok_or(Problem::Label)
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

/// Accepts an https URL that is safe to print and to open.
fn docs(text: &str) -> Result<String, Problem> {
    let is_safe = text.len() <= 2048 && SafeUrl::parse(text).is_ok_and(|url| url.is_https());
    is_safe.then(|| text.to_owned()).ok_or(Problem::Docs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Registry, RegistryError};

    /// A complete entry with the header on line 2. Tests replace one line.
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
    fn entry_with_all_keys_is_read() {
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
    fn entry_without_optional_keys_has_defaults() {
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
    fn cap_is_read_from_the_digits_in_the_file() {
        for (written, cents) in [("1", 100), ("+7", 700), ("1_2", 1_200), ("0.07", 7), ("33.30", 3_330), ("1.100", 110)]
        {
            assert_eq!(with("default_cap_usd", written).unwrap().default_cap.cents(), cents, "{written}");
        }
    }

    #[test]
    fn invalid_value_is_refused_with_its_place() {
        let not_a_number = "8:19: the amount is not a plain decimal number of US dollars, such as 15 or 15.50";
        let label = "3:9: a label is one line of 1 to 80 visible characters";
        let docs = "10:8: a documentation link must be an https:// URL without user or password";
        let service = "4:11: a service is written provider/service, such as supermemory/memory";
        let credential = "7:14: a credential name is 1 to 64 of A-Z, 0-9 and `_`, starting with a letter";
        let rule = "a variable name is 1 to 128 letters, digits or `_` and does not start with a digit";
        let dangerous = "this variable changes how programs start, so it may not carry a credential";
        let same = "another variable of this provider has the same name (case is ignored)";
        let secret = "this looks like a credential, which this file must not contain";
        for (key, value, error) in [
            ("label", "''", label),
            ("label", "'  '", label),
            ("label", "\"a\\nb\"", label),
            ("label", "\"a\\u0000\"", label),
            ("label", "'a\u{202e}b'", label),
            ("label", "'a\u{200d}b'", label),
            ("label", "'a\u{3164}'", label),
            ("label", "'a\u{e0041}'", label),
            ("label", &format!("'{}'", "é".repeat(81)), label),
            ("label", "7", "3:9: expected a quoted string"),
            ("label", "'4242 4242 4242 4242'", &format!("3:9: {secret}")),
            ("service", "'neon'", service),
            ("service", "'--x/y'", service),
            ("plan", "'exa/free'", "5:8: the plan must be of the same provider as the service"),
            ("plan", "{}", "5:8: expected a quoted string"),
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
            ("default_cap_usd", "0", "8:19: a cap must be above 0"),
            ("default_cap_usd", "0.00", "8:19: a cap must be above 0"),
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
    fn error_quotes_no_value() {
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
