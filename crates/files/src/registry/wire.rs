//! The registry and the user's policy as TOML states them: structs that serde fills before any value is checked.
//!
//! Three things are not left to serde, and come from the parsed tree or from the text. Caps are read from their digits,
//! because serde has made floats of them already. A `config` may hold anything, and a `toml::Value` does not know the
//! places in it. Only a table is read as a struct, because serde would also accept an array of the values, or a date.

use std::collections::BTreeMap;

use domain::{money::Cents, secret::looks_sensitive};
use serde::{Deserialize, de::IgnoredAny};
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue, ValueDeserializer},
};

use super::error::{Problem, SpannedProblem};
use super::limit_source::{Source, Written};

/// A value of the parsed tree, and its place.
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// A string, and its place.
pub(super) type Text = Spanned<String>;

/// The place of a number, whose digits are read from the file.
pub(super) type Amount = Spanned<IgnoredAny>;

/// The one key that every version of the format has.
#[derive(Deserialize)]
struct Versioned {
    version: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "each table is read on its own, by its key")]
pub(super) struct RegistryKeys {
    version: IgnoredAny,
    alerts: Option<IgnoredAny>,
    policy: Option<IgnoredAny>,
    providers: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "each table is read on its own, by its key")]
pub(super) struct UserPolicyKeys {
    version: Option<IgnoredAny>,
    alerts: Option<IgnoredAny>,
    policy: Option<IgnoredAny>,
    providers: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Alerts {
    pub allow_hosts: Option<Vec<Text>>,
    pub url: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    pub allowed: Option<Spanned<Vec<Text>>>,
    pub approval: Option<Text>,
    pub approval_ttl_minutes: Option<Spanned<i64>>,
    pub denied: Option<Spanned<Vec<Text>>>,
    pub max_forms_per_hour: Option<Spanned<i64>>,
    pub max_live_projects: Option<Spanned<i64>>,
    pub max_projects: Option<Spanned<i64>>,
    pub max_rotations_per_hour: Option<Spanned<i64>>,
    pub monthly_budget_usd: Option<Amount>,
    pub monthly_max_usd: Option<Amount>,
    pub total_cap_usd: Option<Amount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provider {
    pub label: Text,
    pub service: Text,
    pub plan: Option<Text>,
    #[serde(rename = "config")]
    _config: Option<IgnoredAny>,
    pub env_var: Text,
    pub credential: Option<Text>,
    pub extra_env: Option<BTreeMap<Text, Text>>,
    pub default_cap_usd: Amount,
    pub max_cap_usd: Option<Amount>,
    pub default_expires_in: Option<Text>,
    pub max_expires_in: Option<Text>,
    pub docs: Text,
    pub paid: Option<bool>,
    pub terms_accepted: Option<Spanned<bool>>,
    pub approval: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderLimits {
    pub approval: Option<Text>,
    pub default_cap_usd: Option<Amount>,
    pub max_cap_usd: Option<Amount>,
}

/// A parsed file.
pub(super) struct Document<'a> {
    file: &'a str,
    text: &'a str,
    root: Value<'a>,
}

impl<'a> Document<'a> {
    /// Parses a file with the keys of `K`. The version comes first, because another one may well have other keys.
    pub(super) fn parse<K: Deserialize<'a>>(text: &'a str, file: &'a str) -> Result<Self, SpannedProblem> {
        let tree = DeTable::parse(text).map_err(|error| SpannedProblem::from_syntax(&error))?;
        let root = Spanned::new(tree.span(), DeValue::Table(tree.into_inner()));
        if let Some(version) = read::<Versioned>(&root)?.version.filter(|version| *version.get_ref() != 1) {
            return Err(SpannedProblem::at(&version, Problem::Version));
        }
        read::<K>(&root)?;
        Ok(Self { file, text, root })
    }

    /// Returns a table of the file, which may be absent.
    pub(super) fn get(&self, key: &str) -> Option<&Value<'a>> {
        member(&self.root, key)
    }

    /// Reads a value that may be absent, and its line.
    pub(super) fn written<T, U>(
        &self,
        value: Option<&Spanned<T>>,
        read: impl FnOnce(&Spanned<T>) -> Result<U, SpannedProblem>,
    ) -> Result<Option<Written<U>>, SpannedProblem> {
        let read = |value| Ok(Written { value: read(value)?, source: self.source(value) });
        value.map(read).transpose()
    }

    /// Returns the line of a value.
    pub(super) fn source<T>(&self, value: &Spanned<T>) -> Source {
        let before = self.text.get(..value.span().start).unwrap_or_default();
        Source { file: self.file.to_owned(), line: before.matches('\n').count() + 1 }
    }

    /// Parses a cap, which is above 0.
    pub(super) fn cap(&self, amount: &Amount) -> Result<Cents, SpannedProblem> {
        match self.amount(amount)? {
            cap if cap.is_zero() => Err(SpannedProblem::at(amount, Problem::CapZero)),
            cap => Ok(cap),
        }
    }

    /// Parses the digits of an amount, which never become a float.
    pub(super) fn amount(&self, amount: &Amount) -> Result<Cents, SpannedProblem> {
        let refused = |problem| SpannedProblem::at(amount, problem);
        let digits = self.text.get(amount.span()).unwrap_or_default().replace('_', "");
        let is_number = digits.starts_with(|first: char| first.is_ascii_digit() || "+-in".contains(first));
        if !is_number || ["0b", "0o", "0x"].iter().any(|radix| digits.starts_with(radix)) {
            return Err(refused(Problem::WrongType { expected: "an amount in US dollars, such as 15 or 15.50" }));
        }
        Cents::parse_usd(digits.strip_prefix('+').unwrap_or(&digits)).map_err(|error| refused(error.into()))
    }

    pub(super) fn optional_cap(&self, amount: Option<&Amount>) -> Result<Option<Cents>, SpannedProblem> {
        amount.map(|amount| self.cap(amount)).transpose()
    }
}

/// Reads a table as one of the structs above.
pub(super) fn read<'a, T: Deserialize<'a>>(table: &Value<'a>) -> Result<T, SpannedProblem> {
    entries(table)?;
    T::deserialize(ValueDeserializer::from(table.clone())).map_err(|error| SpannedProblem::from_serde(&error))
}

/// Returns the entries of a table, in the order of the file.
pub(super) fn entries<'b, 'a>(table: &'b Value<'a>) -> Result<Vec<(Text, &'b Value<'a>)>, SpannedProblem> {
    let entries = table.get_ref().as_table().map(|entries| {
        let name = |key: &Spanned<DeString<'_>>| Spanned::new(key.span(), key.get_ref().to_string());
        entries.iter().map(|(key, value)| (name(key), value)).collect()
    });
    entries.ok_or_else(|| SpannedProblem::at(table, Problem::WrongType { expected: "a table" }))
}

/// Returns the value of a key, if there is one.
pub(super) fn member<'b, 'a>(table: &'b Value<'a>, key: &str) -> Option<&'b Value<'a>> {
    table.get_ref().as_table()?.get(key)
}

/// Parses a string, unless it looks like a key: no such string gets any further.
pub(super) fn parse<T, E: Into<Problem>>(
    text: &Text,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, SpannedProblem> {
    if looks_sensitive(text.get_ref()) {
        return Err(SpannedProblem::at(text, Problem::Sensitive));
    }
    parse(text.get_ref()).map_err(|error| SpannedProblem::at(text, error))
}

/// Parses a string that may be left out.
pub(super) fn parse_optional<T, E: Into<Problem>>(
    text: Option<&Text>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, SpannedProblem> {
    text.map(|text| self::parse(text, parse)).transpose()
}
