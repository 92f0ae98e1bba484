//! Rules for all tools: the requirements of hosts on a tool list, and valid results.

use serde_json::{Value, json};

use crate::{raw_client::RawClient, workspace::Workspace};

#[test]
fn each_tool_has_a_description_and_annotations() {
    for tool in tools() {
        for words in ["title", "description"] {
            assert!(tool[words].as_str().is_some_and(|text| !text.is_empty()), "{words}: {tool}");
        }
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            assert!(tool["annotations"][hint].is_boolean(), "{hint}: {tool}");
        }
    }
}

/// Some hosts reject a whole list for one root that is not a plain object.
#[test]
fn each_schema_root_is_a_plain_object() {
    for tool in tools() {
        for schema in [&tool["inputSchema"], &tool["outputSchema"]] {
            assert_eq!(schema["type"], "object", "{tool}");
            for word in ["anyOf", "oneOf", "allOf", "not", "$ref"] {
                assert!(schema.get(word).is_none(), "{word}: {schema}");
            }
        }
    }
}

#[test]
fn tool_arguments_are_simple_and_described() {
    for tool in tools() {
        let schema = &tool["inputSchema"];
        assert_eq!(schema["additionalProperties"], false, "{tool}");
        for (name, parameter) in schema["properties"].as_object().unwrap() {
            assert!(parameter["description"].as_str().is_some_and(|text| !text.is_empty()), "{name} of {tool}");
            assert!(parameter["type"].is_string(), "{name} of {tool}");
        }
        for word in ["anyOf", "oneOf", "allOf", "format", "$ref", "$defs", "default"] {
            assert!(!mentions(schema, word), "{word}: {schema}");
        }
    }
}

/// A model pays for this list in every conversation.
#[test]
fn tool_list_is_small() {
    let tools = tools();
    let whole = json!({ "tools": tools }).to_string().len();
    assert!(whole < 12 * 1024, "{whole} bytes");

    // Hosts show a model names, descriptions and inputs, and a token of such text is about four bytes long.
    let shown = |tool: &Value| json!([tool["name"], tool["description"], tool["inputSchema"]]).to_string().len();
    let tokens = tools.iter().map(shown).sum::<usize>() / 4;
    assert!(tokens < 1_000, "about {tokens} tokens");
}

#[test]
fn each_result_fits_its_output_schema() {
    let workspace = Workspace::new();
    let mut client = RawClient::initialize(&workspace);
    let (named, provision) = (json!({ "name": "memory" }), json!({ "name": "memory", "provider": "supermemory" }));
    let mut answered = Vec::new();
    for (tool, arguments) in [
        ("list_projects", &json!({})),
        ("rotate_key", &named),
        ("provision", &provision),
        ("provision", &provision),
        ("provision", &named),
        ("rotate_key", &named),
        ("list_projects", &json!({ "limit": 1 })),
        ("list_projects", &json!({ "limit": 0 })),
        ("teardown", &named),
        ("teardown", &json!({})),
        ("list_projects", &json!({ "include_torn_down": true })),
    ] {
        answered.push((tool, client.call(tool, arguments)));
    }
    for tool in tools() {
        let answers: Vec<_> =
            answered.iter().filter(|(name, _)| tool["name"] == *name).map(|(_, found)| found).collect();
        assert!(answers.iter().any(|answer| answer.get("code").is_some()), "an error of {}", tool["name"]);
        assert!(answers.iter().any(|answer| answer.get("code").is_none()), "a success of {}", tool["name"]);
        for answer in answers {
            assert!(validates(answer, &tool["outputSchema"]), "{answer} is not as {} promises", tool["name"]);
            for key in answer.as_object().unwrap().keys().filter(|key| *key != "project") {
                assert!(tool["outputSchema"]["properties"].get(key).is_some(), "{key} of {}", tool["name"]);
            }
        }
    }
}

#[test]
fn schema_check_rejects_violations() {
    let schema = json!({ "type": "object", "required": ["a"], "properties": {
        "a": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
        "b": { "type": "array", "items": { "type": "integer" } },
    } });
    for value in [json!({ "a": null }), json!({ "a": "x", "b": [1, 2], "c": true })] {
        assert!(validates(&value, &schema), "{value}");
    }
    for value in [json!([]), json!({}), json!({ "a": 1 }), json!({ "a": "x", "b": 1 }), json!({ "a": "x", "b": [0.5] })]
    {
        assert!(!validates(&value, &schema), "{value}");
    }
}

fn tools() -> Vec<Value> {
    let mut listed = RawClient::initialize(&Workspace::new()).request("tools/list", &json!({}));
    serde_json::from_value(listed["result"]["tools"].take()).unwrap()
}

/// Validates with the part of JSON Schema that the tools use. An unknown keyword is a failure.
fn validates(value: &Value, schema: &Value) -> bool {
    schema.as_object().unwrap().iter().all(|(word, rule)| match word.as_str() {
        "description" => true,
        "anyOf" => rule.as_array().unwrap().iter().any(|schema| validates(value, schema)),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| validates(item, rule))),
        "properties" => {
            let known = rule.as_object().unwrap().iter();
            known
                .filter_map(|(key, schema)| Some((value.get(key)?, schema)))
                .all(|(value, schema)| validates(value, schema))
        }
        "required" => rule.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
        "type" => match rule.as_str().unwrap() {
            "array" => value.is_array(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "null" => value.is_null(),
            "number" => value.is_number(),
            "object" => value.is_object(),
            "string" => value.is_string(),
            other => panic!("no check for the type {other}"),
        },
        other => panic!("no check for {other}"),
    })
}

/// Returns whether a schema contains a key of that name anywhere.
fn mentions(schema: &Value, word: &str) -> bool {
    match schema {
        Value::Array(items) => items.iter().any(|item| mentions(item, word)),
        Value::Object(entries) => entries.iter().any(|(key, value)| key == word || mentions(value, word)),
        _ => false,
    }
}
