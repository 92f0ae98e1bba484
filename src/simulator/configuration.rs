//! A resource's configuration, held against the JSON Schema that its service publishes.
//!
//! As much of JSON Schema as the catalog needs: `required`, `properties` with `type`, `enum`, `minLength`,
//! `maxLength`, and `additionalProperties: false`. `pattern` is not looked at.

use serde_json::{Map, Value};

use super::{failure::Failure, parameters::is_plain};

/// # Errors
/// 400 that names the place, such as `configuration.plan`.
pub fn check(given: &Map<String, Value>, schema: &Value, place: &str) -> Result<(), Failure> {
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    for name in required(schema) {
        if !given.contains_key(name) {
            let name = format!("{place}.{name}");
            return Err(Failure::parameter("parameter_missing", &name, "missing required parameter"));
        }
    }
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    for (name, value) in given {
        match properties.get(name) {
            Some(rule) => check_value(value, rule, &format!("{place}.{name}"))?,
            None if !closed => {}
            None if is_plain(name) => {
                let name = format!("{place}.{name}");
                return Err(Failure::parameter("parameter_unknown", &name, "received unknown parameter"));
            }
            None => return Err(Failure::parameter("parameter_unknown", place, "received an unknown parameter in")),
        }
    }
    Ok(())
}

/// The names that must be given.
fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn check_value(value: &Value, rule: &Value, name: &str) -> Result<(), Failure> {
    let wrong = |what: &str| Err(Failure::parameter("parameter_invalid", name, &format!("this is {what}")));
    let fits = match rule.get("type").and_then(Value::as_str) {
        Some("array") => value.is_array(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("object") => value.is_object(),
        Some("string") => value.is_string(),
        _ => true,
    };
    if !fits {
        return wrong("not of the right type");
    }
    if let Some(words) = rule.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        let words: Vec<_> = words.iter().map(ToString::to_string).collect();
        return wrong(&format!("not one of {}", words.join(", ")));
    }
    let bound = |word: &str| rule.get(word).and_then(Value::as_u64);
    let length = value.as_str().map(|text| text.chars().count() as u64);
    match length {
        Some(length) if bound("minLength").is_some_and(|least| length < least) => wrong("too short"),
        Some(length) if bound("maxLength").is_some_and(|most| length > most) => wrong("too long"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_rule_can_say_no() {
        let schema = json!({ "additionalProperties": false, "required": ["name"], "properties": {
            "name": { "type": "string", "minLength": 3, "maxLength": 5 }, "size": { "enum": ["s", "m"] },
        } });
        let answer = |given: Value| match check(given.as_object().unwrap(), &schema, "configuration") {
            Ok(()) => "fine".to_owned(),
            Err(failure) => format!("{} {}", failure.error.code, failure.error.param.unwrap()),
        };
        assert_eq!(answer(json!({ "name": "abc", "size": "m" })), "fine");
        assert_eq!(answer(json!({})), "parameter_missing configuration.name");
        assert_eq!(answer(json!({ "name": 3 })), "parameter_invalid configuration.name");
        assert_eq!(answer(json!({ "name": "ab" })), "parameter_invalid configuration.name");
        assert_eq!(answer(json!({ "name": "abcdef" })), "parameter_invalid configuration.name");
        assert_eq!(answer(json!({ "name": "abc", "size": "xl" })), "parameter_invalid configuration.size");
        assert_eq!(answer(json!({ "name": "abc", "colour": 1 })), "parameter_unknown configuration.colour");
    }
}
