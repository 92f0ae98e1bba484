//! The `config` of a service: a TOML table becomes the JSON that the backend sends.

use domain::secret::looks_sensitive;
use serde_json::{Map, Number, Value as Json};
use toml::{Spanned, de::DeValue};

use super::error::{Problem, SpannedProblem};

/// Reads a `config` table. It is sent and stored in the clear, so nothing that looks like a key may be in it.
pub(super) fn read(value: &Spanned<DeValue<'_>>) -> Result<Map<String, Json>, SpannedProblem> {
    match json(value)? {
        Json::Object(config) => Ok(config),
        _ => Err(SpannedProblem::at(value, Problem::WrongType { expected: "a table" })),
    }
}

/// The TOML parser limits the depth, and with it this recursion.
fn json(value: &Spanned<DeValue<'_>>) -> Result<Json, SpannedProblem> {
    let refused = |problem| SpannedProblem::at(value, problem);
    match value.get_ref() {
        DeValue::Array(items) => items.iter().map(json).collect(),
        DeValue::Boolean(yes) => Ok(Json::Bool(*yes)),
        DeValue::Datetime(_) => Err(refused(Problem::ConfigDatetime)),
        DeValue::Float(digits) => {
            let number = digits.as_str().parse().ok().and_then(Number::from_f64);
            number.map(Json::Number).ok_or_else(|| refused(Problem::ConfigNumber))
        }
        DeValue::Integer(digits) if looks_sensitive(digits.as_str()) => Err(refused(Problem::Sensitive)),
        DeValue::Integer(digits) => {
            let number = i64::from_str_radix(digits.as_str(), digits.radix());
            number.map(Json::from).map_err(|_| refused(Problem::OutOfRange))
        }
        DeValue::String(text) if looks_sensitive(text) => Err(refused(Problem::Sensitive)),
        DeValue::String(text) => Ok(Json::from(text.as_ref())),
        DeValue::Table(entries) => {
            let pairs = entries.iter().map(|(key, value)| match key.get_ref() {
                text if looks_sensitive(text) => Err(SpannedProblem::at(key, Problem::Sensitive)),
                text => Ok((text.to_string(), json(value)?)),
            });
            pairs.collect::<Result<_, _>>().map(Json::Object)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Json, String> {
        let value = DeValue::parse(text).unwrap();
        read(&value).map(Json::Object).map_err(|problem| problem.in_file("p", text).to_string())
    }

    #[test]
    fn toml_table_becomes_json() {
        let toml = "{ a = 1, b.c = [true, 1.5, 0xf], 'd e' = { f = 'é' } }";
        let json = serde_json::json!({"a": 1, "b": {"c": [true, 1.5, 15]}, "d e": {"f": "é"}});
        assert_eq!(config(toml), Ok(json));
    }

    #[test]
    fn date_odd_number_or_credential_is_refused() {
        let secret = "this looks like a credential, which this file must not contain";
        let number = "a config cannot contain a number that JSON does not have";
        for (toml, error) in [
            ("{ a = 2026-01-01 }", "p:1:7: a config cannot contain a date or time, which JSON does not have"),
            ("{ a = [12:00:00] }", "p:1:8: a config cannot contain a date or time, which JSON does not have"),
            ("{ a = nan }", &format!("p:1:7: {number}")),
            ("{ a = -inf }", &format!("p:1:7: {number}")),
            ("{ a = 1e999 }", &format!("p:1:7: {number}")),
            ("{ a = 9223372036854775808 }", "p:1:7: the number is out of range"),
            ("{ 'é' = { b = ['sk_live_0123456789abcdef'] } }", &format!("p:1:16: {secret}")),
            ("{ a = 4242424242424242 }", &format!("p:1:7: {secret}")),
            ("{ a = 4242_4242_4242_4242 }", &format!("p:1:7: {secret}")),
            ("{ a = { sk_live_0123456789abcdef = 1 } }", &format!("p:1:9: {secret}")),
        ] {
            assert_eq!(config(toml), Err(error.to_owned()), "{toml}");
        }
    }
}
