//! Tool arguments: typed, described, and refused without being quoted.

use std::borrow::Cow;

use rmcp::{
    ErrorData,
    handler::server::{common::FromContextPart, tool::ToolCallContext},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Number, Value};

use crate::view::ErrorView;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provision {
    /// Your name for it: 1-63 of a-z, 0-9 and -
    pub name: String,
    /// Key of the provider
    pub provider: String,
    /// Budget in US dollars; 0 or left out: the provider's default
    #[serde(default)]
    pub spend_cap_usd: Option<Number>,
    /// Lifetime such as 30m, 8h or 7d, after which it is torn down
    #[serde(default)]
    pub expires_in: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListProjects {
    /// Show dead ones too
    #[serde(default)]
    pub include_torn_down: Option<bool>,
    /// 1-200, usually 50
    #[serde(default)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before
    #[serde(default)]
    pub cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Name of the project
    pub name: String,
}

/// The arguments of a call, or why they are not what the tool takes. The reason names the place and the type that
/// was expected; serde's own sentences quote the value, which may be a pasted key.
pub struct Args<T>(pub Result<T, ErrorView>);

impl<T: JsonSchema> JsonSchema for Args<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<S, T: DeserializeOwned> FromContextPart<ToolCallContext<'_, S>> for Args<T> {
    fn from_context_part(context: &mut ToolCallContext<'_, S>) -> Result<Self, ErrorData> {
        Ok(Self::of(Value::Object(context.arguments.take().unwrap_or_default())))
    }
}

impl<T: DeserializeOwned> Args<T> {
    pub fn of(arguments: Value) -> Self {
        Self(serde_path_to_error::deserialize(arguments).map_err(|error| explain(&error)))
    }
}

fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> ErrorView {
    let sentence = error.inner().to_string();
    let message = if sentence.starts_with("missing field") {
        format!("an argument is missing: {}", quoted_word(&sentence))
    } else if sentence.starts_with("unknown field") {
        "there is an argument that this tool does not take".to_owned()
    } else {
        let expected = match sentence.rsplit_once("expected ") {
            Some((_, "u32")) => "a positive whole number", // serde speaks Rust where JSON is meant
            Some((_, expected)) => expected,
            None => "another type",
        };
        format!("`{}` has the wrong type: expected {expected}", error.path())
    };
    let hint = "call again with the arguments that tools/list describes".to_owned();
    ErrorView { code: "invalid_arguments", message, hint, project: None }
}

/// The name of our own field in "missing field `name`".
fn quoted_word(sentence: &str) -> &str {
    sentence.split('`').nth(1).unwrap_or_default()
}
