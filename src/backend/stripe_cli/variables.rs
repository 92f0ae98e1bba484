//! Which variable of Stripe's env file is which credential of which service.
//!
//! A variable is `{RESOURCE}_{SUFFIX}`, where the resource's name is ours alone; or `{PROVIDER}_{SUFFIX}`, or the
//! suffix itself where that begins with the provider already, as in `AGENTMAIL_API_KEY`. The last two do not say whose
//! they are, so they count only while the project has one service of that provider: a key is never guessed.

use std::collections::{BTreeMap, BTreeSet};

use super::services::{Row, Rows};
use crate::{
    backend::{BackendError, Credentials},
    dotenv::EnvText,
    name::EnvVar,
    secret::Secret,
};

/// The credentials of one service by its own names for them: each of `wanted`, and whatever else is the service's, so
/// that "the only one" is never said of one of several.
///
/// # Errors
/// [`BackendError::Malformed`] with the names that were there, unless each wanted name has exactly one variable, and at
/// least one credential was found.
pub fn credentials(text: &EnvText, row: &Row, rows: &Rows, wanted: &[String]) -> Result<Credentials, BackendError> {
    let names = text.names();
    let malformed = || BackendError::Malformed { what: "variables", got: shown(&names) };
    let mut found = owned(&names, row, rows);
    for wanted in wanted {
        if !found.contains_key(wanted) {
            let other = spelled_otherwise(&found, wanted, row).ok_or_else(malformed)?;
            let variable = found.remove(&other).ok_or_else(malformed)?;
            found.insert(wanted.clone(), variable);
        }
    }
    if found.is_empty() {
        return Err(malformed());
    }
    let secrets = found.into_iter().map(|(name, variable)| {
        let values = text.values(&variable);
        let value = match <[Vec<u8>; 1]>::try_from(values) {
            Ok([value]) if !value.is_empty() => String::from_utf8(value).ok(),
            _ => None,
        };
        Ok((name, Secret::new(value.ok_or_else(malformed)?)))
    });
    secrets.collect()
}

/// The variables that are certainly the row's, by suffix.
fn owned(names: &BTreeSet<EnvVar>, row: &Row, rows: &Rows) -> BTreeMap<String, EnvVar> {
    let by_prefix = |prefix: &str, free: &dyn Fn(&EnvVar) -> bool| -> BTreeMap<String, EnvVar> {
        let suffix = |variable: &EnvVar| Some((variable.as_str().strip_prefix(prefix)?.to_owned(), variable.clone()));
        let suffixes = names.iter().filter(|variable| free(variable)).filter_map(suffix);
        suffixes.filter(|(suffix, _)| !suffix.is_empty()).collect()
    };
    // A double's name begins with the name that it doubles: the longest prefix is the owner's.
    let prefix = prefix(&row.name);
    let others: Vec<String> =
        rows.iter().filter(|other| *other != row).map(|other| self::prefix(&other.name)).collect();
    let is_others = |variable: &EnvVar| others.iter().any(|other| variable.as_str().starts_with(other.as_str()));
    let is_longer = |variable: &EnvVar| {
        others.iter().any(|other| other.len() > prefix.len() && variable.as_str().starts_with(other.as_str()))
    };
    let ours = by_prefix(&prefix, &|variable| !is_longer(variable));
    // A row that does not say whose it is may be of the same provider.
    let may_share = |other: &&Row| other.is_same_provider(row) || other.provider().is_empty();
    let alone = rows.services().filter(may_share).count() == 1;
    if ours.is_empty() && alone {
        return by_prefix(&self::prefix(row.provider()), &|variable| !is_others(variable));
    }
    ours
}

/// The one suffix that is `wanted` with or without the provider before it.
fn spelled_otherwise(found: &BTreeMap<String, EnvVar>, wanted: &str, row: &Row) -> Option<String> {
    let provider = prefix(row.provider());
    let mut same = found.keys().filter(|suffix| {
        suffix.strip_prefix(&provider) == Some(wanted) || wanted.strip_prefix(&provider) == Some(suffix)
    });
    let only = same.next()?;
    same.next().is_none().then(|| only.clone())
}

/// `my-db` as variables begin: `MY_DB_`.
fn prefix(name: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(upper).chain(['_']).collect()
}

/// Names as they may be shown: a value that was taken for a name is not.
fn shown(names: &BTreeSet<EnvVar>) -> String {
    let is_name =
        |text: &&str| text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    names.iter().map(EnvVar::as_str).filter(is_name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rows(more: &[Value]) -> Rows {
        let mut services = vec![json!({ "name": "box-01", "id": "1", "provider": "AgentMail" })];
        services.extend_from_slice(more);
        Rows::read(&json!({ "services": services, "plans": [{ "name": "agentmail-free", "provider": "AgentMail" }] }))
            .unwrap()
    }

    /// The names found and their values' fingerprints' owners, as `NAME=value`.
    fn found(file: &str, rows: &Rows, wanted: &[&str]) -> Result<Vec<String>, BackendError> {
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
        let found: Vec<String> = names.into_iter().filter_map(value).collect();
        assert_eq!(found.len(), credentials.secrets().count());
        Ok(found)
    }

    #[test]
    fn the_resource_s_own_variables_come_first() {
        let file = "BOX_01_API_KEY=k1\nAGENTMAIL_API_KEY=k2\nOTHER=k3\nBOX_01_ID=k3\n";
        assert_eq!(found(file, &rows(&[]), &["API_KEY"]).unwrap(), ["API_KEY=k1", "ID=k3"]);
        assert_eq!(found(file, &rows(&[]), &[]).unwrap(), ["API_KEY=k1", "ID=k3"]);
        assert_eq!(found("BOX_01_API_KEY=\"k1\"\n", &rows(&[]), &[]).unwrap(), ["API_KEY=k1"]);
    }

    #[test]
    fn a_suffix_may_bring_its_provider_along() {
        for file in ["BOX_01_AGENTMAIL_API_KEY=k1\n", "AGENTMAIL_AGENTMAIL_API_KEY=k1\n", "AGENTMAIL_API_KEY=k1\n"] {
            for wanted in ["AGENTMAIL_API_KEY", "API_KEY"] {
                assert_eq!(found(file, &rows(&[]), &[wanted]).unwrap(), [format!("{wanted}=k1")], "{file}");
            }
        }
    }

    #[test]
    fn what_may_be_another_service_s_is_not_guessed() {
        let second = json!({ "name": "second", "id": "2", "provider": "agentmail" });
        for file in ["AGENTMAIL_API_KEY=k1\n", "SECOND_API_KEY=k1\n", "SECOND_AGENTMAIL_API_KEY=k1\n"] {
            let error = found(file, &rows(std::slice::from_ref(&second)), &["API_KEY"]).unwrap_err();
            assert!(matches!(error, BackendError::Malformed { what: "variables", .. }), "{error}");
        }
        let unsaid = json!({ "name": "second", "id": "2" });
        assert!(found("AGENTMAIL_API_KEY=k1\n", &rows(&[unsaid]), &["API_KEY"]).is_err());
        let double = json!({ "name": "box-01-2", "id": "2", "provider": "agentmail" });
        let file = "BOX_01_2_API_KEY=k2\nBOX_01_API_KEY=k1\n";
        assert_eq!(found(file, &rows(&[double]), &[]).unwrap(), ["API_KEY=k1"]);
    }

    #[test]
    fn what_is_missing_or_said_twice_is_named_without_a_value() {
        for (file, got) in [
            ("", ""),
            ("BOX_01_ID=canary\nlower=canary\n", "BOX_01_ID"),
            ("BOX_01_API_KEY=canary\nBOX_01_API_KEY=canary2\n", "BOX_01_API_KEY"),
            ("BOX_01_API_KEY=\n", "BOX_01_API_KEY"),
        ] {
            let error = found(file, &rows(&[]), &["API_KEY"]).unwrap_err();
            assert!(matches!(&error, BackendError::Malformed { got: names, .. } if names == got), "{error}");
        }
        let bytes = EnvText::new(b"BOX_01_API_KEY=\xff\n".to_vec());
        let rows = rows(&[]);
        assert!(credentials(&bytes, rows.service_named("box-01").unwrap(), &rows, &[]).is_err());
    }
}
