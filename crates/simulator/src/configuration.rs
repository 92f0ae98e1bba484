//! Validates a resource's configuration against its service's JSON Schema.
//!
//! Supports the part of JSON Schema that the catalog needs: `required`, `properties` with `type`, `enum`, `minLength`,
//! `maxLength`, and `additionalProperties: false`. `pattern` is ignored.

use serde_json::{Map, Value};

use super::{failure::Failure, parameters::is_quotable};

/// Validates `values` against `schema`.
///
/// # Errors
/// 400 that names the path, such as `configuration.plan`.
pub fn check(values: &Map<String, Value>, schema: &Value, path: &str) -> Result<(), Failure> {
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    for name in required(schema) {
        if !values.contains_key(name) {
            let name = format!("{path}.{name}");
            return Err(Failure::parameter("parameter_missing", &name, "missing required parameter"));
        }
    }
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    for (name, value) in values {
        match properties.get(name) {
            Some(rule) => check_value(value, rule, &format!("{path}.{name}"))?,
            None if !closed => {}
            None if is_quotable(name) => {
                let name = format!("{path}.{name}");
                return Err(Failure::parameter("parameter_unknown", &name, "received unknown parameter"));
            }
            None => return Err(Failure::parameter("parameter_unknown", path, "received an unknown parameter in")),
        }
    }
    Ok(())
}

/// Returns the required names.
fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn check_value(value: &Value, rule: &Value, name: &str) -> Result<(), Failure> {
    let invalid = |reason: &str| Err(Failure::parameter("parameter_invalid", name, &format!("this is {reason}")));
    let has_type = match rule.get("type").and_then(Value::as_str) {
        Some("array") => value.is_array(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("object") => value.is_object(),
        Some("string") => value.is_string(),
        _ => true,
    };
    if !has_type {
        return invalid("not of the right type");
    }
    if let Some(words) = rule.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        let words: Vec<_> = words.iter().map(ToString::to_string).collect();
        return invalid(&format!("not one of {}", words.join(", ")));
    }
    let bound = |word: &str| rule.get(word).and_then(Value::as_u64);
    let length = value.as_str().map(|text| text.chars().count() as u64);
    match length {
        Some(length) if bound("minLength").is_some_and(|least| length < least) => invalid("too short"),
        Some(length) if bound("maxLength").is_some_and(|most| length > most) => invalid("too long"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn check_reports_each_violated_rule() {
        let schema = json!({ "additionalProperties": false, "required": ["name"], "properties": {
            "name": { "type": "string", "minLength": 3, "maxLength": 5 }, "size": { "enum": ["s", "m"] },
        } });
        let outcome = |values: Value| match check(values.as_object().unwrap(), &schema, "configuration") {
            Ok(()) => "valid".to_owned(),
            Err(failure) => format!("{} {}", failure.error.code, failure.error.param.unwrap()),
        };
        assert_eq!(outcome(json!({ "name": "abc", "size": "m" })), "valid");
        assert_eq!(outcome(json!({})), "parameter_missing configuration.name");
        assert_eq!(outcome(json!({ "name": 3 })), "parameter_invalid configuration.name");
        assert_eq!(outcome(json!({ "name": "ab" })), "parameter_invalid configuration.name");
        assert_eq!(outcome(json!({ "name": "abcdef" })), "parameter_invalid configuration.name");
        assert_eq!(outcome(json!({ "name": "abc", "size": "xl" })), "parameter_invalid configuration.size");
        assert_eq!(outcome(json!({ "name": "abc", "colour": 1 })), "parameter_unknown configuration.colour");
    }
}
