//! Tool schemas as every host accepts them: plain objects, without unions in inputs and without number formats.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool};
use serde_json::{Value, json};

/// Normalises both schemas of a tool.
pub fn normalise(tool: &mut Tool) {
    tool.input_schema = Arc::new(input(&tool.input_schema));
    if let Some(schema) = &tool.output_schema {
        tool.output_schema = Some(Arc::new(output(schema)));
    }
}

/// Adds words to the description of one parameter.
pub fn describe(tool: &mut Tool, parameter: &str, words: &str) {
    let mut schema = JsonObject::clone(&tool.input_schema);
    if let Some(Value::String(description)) = property(&mut schema, parameter).and_then(|of| of.get_mut("description"))
    {
        description.push_str(words);
    }
    tool.input_schema = Arc::new(schema);
}

fn input(schema: &JsonObject) -> JsonObject {
    let mut schema = cleaned(schema, Unions::Dropped);
    schema.insert("additionalProperties".to_owned(), json!(false));
    schema
}

/// A failed call answers with code, message and hint instead of the result, and some clients validate that, too: the
/// schema describes both, and requires neither.
fn output(schema: &JsonObject) -> JsonObject {
    let mut schema = cleaned(schema, Unions::Spelled);
    schema.remove("required");
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for (word, kind) in [("code", "string"), ("message", "string"), ("hint", "string"), ("project", "object")] {
            properties.insert(word.to_owned(), json!({ "type": kind, "description": "Only in an error." }));
        }
    }
    schema
}

/// How "a type or null" is written.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Unions {
    /// For inputs, where leaving it out means the same.
    Dropped,
    /// For outputs, where null has a meaning.
    Spelled,
}

fn cleaned(schema: &JsonObject, unions: Unions) -> JsonObject {
    let mut schema = schema.clone();
    for noise in ["$schema", "title", "description"] {
        schema.remove(noise);
    }
    schema.values_mut().for_each(|value| walk(value, unions));
    schema
}

fn walk(value: &mut Value, unions: Unions) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, unions)),
        Value::Object(object) => {
            object.remove("format");
            object.remove("minimum"); // of unsigned numbers; the description has the range
            if object.get("default") == Some(&Value::Null) {
                object.remove("default");
            }
            if let Some(Value::Array(types)) = object.get("type").cloned() {
                spell_union(object, &types, unions);
            }
            object.values_mut().for_each(|value| walk(value, unions));
        }
        _ => {}
    }
}

fn spell_union(object: &mut JsonObject, types: &[Value], unions: Unions) {
    object.remove("type");
    if unions == Unions::Spelled {
        object.insert("anyOf".to_owned(), types.iter().map(|kind| json!({ "type": kind })).collect());
    } else if let Some(kind) = types.iter().find(|kind| **kind != "null") {
        object.insert("type".to_owned(), kind.clone());
    }
}

fn property<'a>(schema: &'a mut JsonObject, name: &str) -> Option<&'a mut JsonObject> {
    schema.get_mut("properties")?.get_mut(name)?.as_object_mut()
}
