//! Maps the variables of Stripe's env file to the credentials of a service.
//!
//! A variable is `{RESOURCE}_{SUFFIX}`, where the resource's name is unique; or `{PROVIDER}_{SUFFIX}`, or the suffix
//! itself if that begins with the provider, as in `AGENTMAIL_API_KEY`. The last two do not identify a service, so they
//! count only while the project has one service of that provider: a key is never guessed.

use std::collections::{BTreeMap, BTreeSet};

use domain::{name::EnvVar, secret::Secret};
use files::dotenv::EnvText;

use super::services::{ServiceList, ServiceRow};
use crate::{BackendError, Credentials};

/// Returns the credentials of one service: each of `wanted`, and all others, so that "the only one" is never one of
/// several.
///
/// # Errors
/// [`BackendError::Malformed`] with the names of the variables, unless each wanted name has exactly one variable, and
/// there is at least one credential.
pub fn credentials(
    text: &EnvText,
    row: &ServiceRow,
    rows: &ServiceList,
    wanted: &[String],
) -> Result<Credentials, BackendError> {
    let names = text.names();
    let malformed = || BackendError::Malformed { what: "variables", got: shown(&names) };
    let mut variables = owned(&names, row, rows);
    for wanted in wanted {
        if !variables.contains_key(wanted) {
            let other = find_alternative(&variables, wanted, row).ok_or_else(malformed)?;
            let variable = variables.remove(&other).ok_or_else(malformed)?;
            variables.insert(wanted.clone(), variable);
        }
    }
    if variables.is_empty() {
        return Err(malformed());
    }
    let secrets = variables.into_iter().map(|(name, variable)| {
        let values = text.values(&variable);
        let value = match <[Vec<u8>; 1]>::try_from(values) {
            Ok([value]) if !value.is_empty() => String::from_utf8(value).ok(),
            _ => None,
        };
        Ok((name, Secret::new(value.ok_or_else(malformed)?)))
    });
    secrets.collect()
}

/// Returns the variables that certainly belong to the row, by suffix.
fn owned(names: &BTreeSet<EnvVar>, row: &ServiceRow, rows: &ServiceList) -> BTreeMap<String, EnvVar> {
    let by_prefix = |prefix: &str, free: &dyn Fn(&EnvVar) -> bool| -> BTreeMap<String, EnvVar> {
        let suffix = |variable: &EnvVar| Some((variable.as_str().strip_prefix(prefix)?.to_owned(), variable.clone()));
        let suffixes = names.iter().filter(|variable| free(variable)).filter_map(suffix);
        suffixes.filter(|(suffix, _)| !suffix.is_empty()).collect()
    };
    // A duplicate's name begins with the original's: the longest prefix is the owner's.
    let prefix = prefix(&row.name);
    let others: Vec<String> =
        rows.iter().filter(|other| *other != row).map(|other| self::prefix(&other.name)).collect();
    let is_others = |variable: &EnvVar| others.iter().any(|other| variable.as_str().starts_with(other.as_str()));
    let is_longer = |variable: &EnvVar| {
        others.iter().any(|other| other.len() > prefix.len() && variable.as_str().starts_with(other.as_str()))
    };
    let ours = by_prefix(&prefix, &|variable| !is_longer(variable));
    // A row without a provider may be of the same one.
    let may_share = |other: &&ServiceRow| other.is_same_provider(row) || other.provider().is_empty();
    let alone = rows.services().filter(may_share).count() == 1;
    if ours.is_empty() && alone {
        return by_prefix(&self::prefix(row.provider()), &|variable| !is_others(variable));
    }
    ours
}

/// Finds the only suffix that differs from `wanted` by the provider's prefix.
fn find_alternative(variables: &BTreeMap<String, EnvVar>, wanted: &str, row: &ServiceRow) -> Option<String> {
    let provider = prefix(row.provider());
    let mut same = variables.keys().filter(|suffix| {
        suffix.strip_prefix(&provider) == Some(wanted) || wanted.strip_prefix(&provider) == Some(suffix)
    });
    let only = same.next()?;
    same.next().is_none().then(|| only.clone())
}

/// The prefix of a name's variables: `MY_DB_` for `my-db`.
fn prefix(name: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(upper).chain(['_']).collect()
}

/// Lists names for a message, without those that could be values.
fn shown(names: &BTreeSet<EnvVar>) -> String {
    let is_name =
        |text: &&str| text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    names.iter().map(EnvVar::as_str).filter(is_name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rows(more: &[Value]) -> ServiceList {
        let mut services = vec![json!({ "name": "box-01", "id": "1", "provider": "AgentMail" })];
        services.extend_from_slice(more);
        ServiceList::read(
            &json!({ "services": services, "plans": [{ "name": "agentmail-free", "provider": "AgentMail" }] }),
        )
        .unwrap()
    }

    /// The credentials as `NAME=value`.
    fn read(file: &str, rows: &ServiceList, wanted: &[&str]) -> Result<Vec<String>, BackendError> {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let row = rows.service_named("box-01").unwrap();
        let credentials = credentials(&EnvText::new(file.as_bytes().to_vec()), row, rows, &wanted)?;
        let names = ["API_KEY", "AGENTMAIL_API_KEY", "ID"];
        let value = |name: &str| {
            let secret = credentials.pick(Some(name)).ok()?;
            let value = ["k1", "k2", "k3"]
                .into_iter()
                .find(|v| Secret::from((*v).to_owned()).fingerprint() == secret.fingerprint());
            Some(format!("{name}={}", value.unwrap_or("?")))
        };
        let pairs: Vec<String> = names.into_iter().filter_map(value).collect();
        assert_eq!(pairs.len(), credentials.secrets().count());
        Ok(pairs)
    }

    #[test]
    fn variable_with_the_resource_name_comes_first() {
        let file = "BOX_01_API_KEY=k1\nAGENTMAIL_API_KEY=k2\nOTHER=k3\nBOX_01_ID=k3\n";
        assert_eq!(read(file, &rows(&[]), &["API_KEY"]).unwrap(), ["API_KEY=k1", "ID=k3"]);
        assert_eq!(read(file, &rows(&[]), &[]).unwrap(), ["API_KEY=k1", "ID=k3"]);
        assert_eq!(read("BOX_01_API_KEY=\"k1\"\n", &rows(&[]), &[]).unwrap(), ["API_KEY=k1"]);
    }

    #[test]
    fn suffix_may_begin_with_its_provider() {
        for file in ["BOX_01_AGENTMAIL_API_KEY=k1\n", "AGENTMAIL_AGENTMAIL_API_KEY=k1\n", "AGENTMAIL_API_KEY=k1\n"] {
            for wanted in ["AGENTMAIL_API_KEY", "API_KEY"] {
                assert_eq!(read(file, &rows(&[]), &[wanted]).unwrap(), [format!("{wanted}=k1")], "{file}");
            }
        }
    }

    #[test]
    fn ambiguous_variable_is_malformed() {
        let second = json!({ "name": "second", "id": "2", "provider": "agentmail" });
        for file in ["AGENTMAIL_API_KEY=k1\n", "SECOND_API_KEY=k1\n", "SECOND_AGENTMAIL_API_KEY=k1\n"] {
            let error = read(file, &rows(std::slice::from_ref(&second)), &["API_KEY"]).unwrap_err();
            assert!(matches!(error, BackendError::Malformed { what: "variables", .. }), "{error}");
        }
        let without_provider = json!({ "name": "second", "id": "2" });
        assert!(read("AGENTMAIL_API_KEY=k1\n", &rows(&[without_provider]), &["API_KEY"]).is_err());
        let duplicate = json!({ "name": "box-01-2", "id": "2", "provider": "agentmail" });
        let file = "BOX_01_2_API_KEY=k2\nBOX_01_API_KEY=k1\n";
        assert_eq!(read(file, &rows(&[duplicate]), &[]).unwrap(), ["API_KEY=k1"]);
    }

    #[test]
    fn missing_or_repeated_variable_is_named_without_a_value() {
        for (file, got) in [
            ("", ""),
            ("BOX_01_ID=canary\nlower=canary\n", "BOX_01_ID"),
            ("BOX_01_API_KEY=canary\nBOX_01_API_KEY=canary2\n", "BOX_01_API_KEY"),
            ("BOX_01_API_KEY=\n", "BOX_01_API_KEY"),
        ] {
            let error = read(file, &rows(&[]), &["API_KEY"]).unwrap_err();
            assert!(matches!(&error, BackendError::Malformed { got: names, .. } if names == got), "{error}");
        }
        let bytes = EnvText::new(b"BOX_01_API_KEY=\xff\n".to_vec());
        let rows = rows(&[]);
        assert!(credentials(&bytes, rows.service_named("box-01").unwrap(), &rows, &[]).is_err());
    }
}
