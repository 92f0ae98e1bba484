//! What a service is configured with: a table of the file becomes the JSON that the backend sends.

use serde_json::{Map, Number, Value as Json};
use toml::de::DeValue;

use super::error::{Fault, Problem};
use super::wire::{self, Table, Value};
use crate::secret::looks_sensitive;

/// Reads a `config` table. It is sent in the clear and kept in clear, so nothing that reads like a key may be in it.
pub(super) fn read(value: &Value<'_>) -> Result<Map<String, Json>, Fault> {
    let pairs = Table::of(value)?.entries().into_iter();
    pairs.map(|(key, value)| Ok((wire::name(key, text)?, json(value)?))).collect()
}

/// TOML nests no deeper than its parser allows, which bounds this recursion.
fn json(value: &Value<'_>) -> Result<Json, Fault> {
    match value.get_ref() {
        DeValue::Array(_) => wire::list(value)?.map(json).collect(),
        DeValue::Boolean(yes) => Ok(Json::Bool(*yes)),
        DeValue::Datetime(_) => Err(Fault::at(value, Problem::ConfigDatetime)),
        DeValue::Float(digits) => {
            let number = digits.as_str().parse().ok().and_then(Number::from_f64);
            number.map(Json::Number).ok_or_else(|| Fault::at(value, Problem::ConfigNumber))
        }
        DeValue::Integer(digits) if looks_sensitive(digits.as_str()) => Err(Fault::at(value, Problem::Sensitive)),
        DeValue::Integer(_) => wire::integer(value).map(Json::from),
        DeValue::String(_) => wire::parsed(text)(value).map(Json::String),
        DeValue::Table(_) => read(value).map(Json::Object),
    }
}

/// Any text will do that was let in at all.
#[expect(clippy::unnecessary_wraps, reason = "the readers take a parser, and this is the one that always succeeds")]
fn text(text: &str) -> Result<String, Problem> {
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Json, String> {
        let value = DeValue::parse(text).unwrap();
        read(&value).map(Json::Object).map_err(|fault| fault.in_file("p", text).to_string())
    }

    #[test]
    fn toml_becomes_json() {
        let toml = "{ a = 1, b.c = [true, 1.5, 0xf], 'd e' = { f = 'é' } }";
        let json = serde_json::json!({"a": 1, "b": {"c": [true, 1.5, 15]}, "d e": {"f": "é"}});
        assert_eq!(config(toml), Ok(json));
    }

    #[test]
    fn what_json_cannot_carry_or_nobody_should_is_refused() {
        let secret = "a registry carries no credential, and this reads like one";
        let number = "a config holds no number that JSON cannot carry";
        for (toml, error) in [
            ("{ a = 2026-01-01 }", "p:1:7: a config holds no date or time: JSON has none"),
            ("{ a = [12:00:00] }", "p:1:8: a config holds no date or time: JSON has none"),
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
