//! Tool arguments: described by schemas, parsed once, never quoted.

use domain::{
    lifetime::{Lifetime, LifetimeError},
    money::{Cents, MoneyError},
    name::{NameError, ProjectName, ProviderKey},
};
use rmcp::{ErrorData, model::JsonObject};
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Number, Value, json};

use super::answer::Stop;
use crate::{
    app::{self, Action, Command, Page, Rejected, Target},
    error::Error,
    provisioner::{AuditFacts, CAP, NAME, PROVIDER},
    view::ErrorView,
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(any(test, feature = "fuzzing")), expect(dead_code, reason = "for the schema; `Fields` has the values"))]
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
    /// Include torn-down projects
    #[serde(default)]
    pub include_torn_down: Option<bool>,
    /// Page size, 1-200 (default 50)
    #[serde(default)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before
    #[serde(default)]
    pub cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "for the schema; `Fields` has the value")]
pub struct Named {
    /// Name of the project
    pub name: String,
}

/// Parses a call of a tool.
///
/// # Errors
/// [`Rejected`] with [`Stop::Tool`] for arguments that the tool does not take, [`Stop::Protocol`] for an unknown tool.
pub fn parse(tool: &str, arguments: JsonObject) -> Result<Command, Rejected<Stop>> {
    let fields = Fields::read(&arguments);
    let (action, facts) = (action(tool), fields.facts.clone());
    command(action, fields, Value::Object(arguments)).map_err(|error| Rejected {
        action,
        facts,
        error: Box::new(error),
    })
}

/// Checks that arguments have the shape of `T`. The error names the place and the expected type; serde's own messages
/// quote the value, which may be a pasted key.
pub fn shaped<T: DeserializeOwned>(arguments: Value) -> Result<T, ErrorView> {
    serde_path_to_error::deserialize(arguments).map_err(|error| explain(&error))
}

/// Returns the action of a tool. A name that is not ours is not repeated: it may be a pasted key.
fn action(tool: &str) -> Action {
    match tool {
        "list_projects" => Action::List,
        "provision" => Action::Provision,
        "rotate_key" => Action::Rotate,
        "teardown" => Action::Teardown,
        _ => Action::UnknownTool,
    }
}

fn command(action: Action, fields: Fields, arguments: Value) -> Result<Command, Stop> {
    match action {
        Action::List => {
            let ListProjects { include_torn_down, limit, cursor } = shaped(arguments).map_err(Stop::Tool)?;
            Ok(Command::ListPage(Page::new(include_torn_down, limit, cursor.as_deref())?))
        }
        Action::Provision => {
            shaped::<Provision>(arguments).map_err(Stop::Tool)?;
            let (cap, provider) = (fields.cap.transpose()?, required(fields.provider)?);
            let (lifetime, name) = (fields.lifetime.transpose()?, required(fields.name)?);
            Ok(Command::Provision(app::Provision { name, provider, cap, lifetime, replace: None }))
        }
        Action::Rotate => {
            shaped::<Named>(arguments).map_err(Stop::Tool)?;
            Ok(Command::Rotate { name: required(fields.name)?, replace: false })
        }
        Action::Teardown => {
            shaped::<Named>(arguments).map_err(Stop::Tool)?;
            Ok(Command::Teardown(Target::Project(required(fields.name)?)))
        }
        _ => Err(ErrorData::invalid_params("tool not found", None).into()),
    }
}

/// A required field is present after the check of the shape.
fn required<T, E: Into<Error>>(field: Option<Result<T, E>>) -> Result<T, Stop> {
    match field {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(error.into().into()),
        None => Err(Stop::Tool(wrong("an argument is missing".to_owned()))),
    }
}

/// The arguments of any tool, parsed one by one; a field of the wrong JSON type is `None`.
#[derive(Default)]
pub struct Fields {
    pub facts: AuditFacts,
    pub name: Option<Result<ProjectName, NameError>>,
    provider: Option<Result<ProviderKey, NameError>>,
    cap: Option<Result<Cents, Error>>,
    lifetime: Option<Result<Lifetime, Error>>,
}

impl Fields {
    pub fn read(arguments: &JsonObject) -> Self {
        let (mut fields, mut facts, mut unknown) = (Self::default(), AuditFacts::default(), 0);
        for (field, value) in arguments {
            facts = match field.as_str() {
                "cursor" => facts_of(facts, "cursor", value.is_string().then(|| json!("given"))),
                "expires_in" => {
                    let lifetime = value.as_str().map(Lifetime::parse);
                    fields.lifetime = lifetime.map(|parsed| parsed.map_err(|error: LifetimeError| error.into()));
                    kept(facts, "expires_in", fields.lifetime.as_ref(), |facts, lifetime| {
                        facts.lifetime("expires_in", *lifetime)
                    })
                }
                "include_torn_down" => facts_of(facts, "include_torn_down", value.as_bool().map(Value::from)),
                "limit" => {
                    let limit = value.as_u64().filter(|limit| *limit <= MAX_SHOWN_LIMIT);
                    facts_of(facts, "limit", limit.map(Value::from))
                }
                "name" => {
                    fields.name = value.as_str().map(ProjectName::parse);
                    kept(facts, NAME, fields.name.as_ref(), AuditFacts::project)
                }
                "provider" => {
                    fields.provider = value.as_str().map(ProviderKey::parse);
                    kept(facts, PROVIDER, fields.provider.as_ref(), AuditFacts::provider)
                }
                "spend_cap_usd" => {
                    let cap = value.as_number().map(|cap| Cents::parse_usd(&cap.to_string()));
                    fields.cap = cap.map(|parsed| parsed.map_err(|error: MoneyError| error.into()));
                    kept(facts, CAP, fields.cap.as_ref(), |facts, cap| facts.cap(*cap))
                }
                _ => {
                    unknown += 1;
                    facts
                }
            };
        }
        fields.facts = if unknown == 0 { facts } else { facts.fact("unknown_arguments", json!(unknown)) };
        fields
    }
}

fn kept<T, E>(
    facts: AuditFacts,
    field: &'static str,
    parsed: Option<&Result<T, E>>,
    fact: impl FnOnce(AuditFacts, &T) -> AuditFacts,
) -> AuditFacts {
    match parsed {
        Some(Ok(value)) => fact(facts, value),
        _ => facts.unreadable(field),
    }
}

fn facts_of(facts: AuditFacts, field: &'static str, value: Option<Value>) -> AuditFacts {
    match value {
        Some(value) => facts.fact(field, value),
        None => facts.unreadable(field),
    }
}

fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> ErrorView {
    let sentence = error.inner().to_string();
    wrong(if sentence.starts_with("missing field") {
        format!("an argument is missing: {}", quoted_word(&sentence))
    } else if sentence.starts_with("unknown field") {
        "unknown argument".to_owned()
    } else {
        let expected = match sentence.rsplit_once("expected ") {
            Some((_, "u32")) => "a positive whole number", // serde speaks Rust where JSON is meant
            Some((_, expected)) => expected,
            None => "another type",
        };
        format!("`{}` has the wrong type: expected {expected}", error.path())
    })
}

fn wrong(message: String) -> ErrorView {
    let hint = "call again with the arguments that tools/list describes".to_owned();
    ErrorView { code: "invalid_arguments", message, hint, project: None }
}

/// A larger limit is not written to the audit.
const MAX_SHOWN_LIMIT: u64 = 1_000;

/// Returns the name of our own field in "missing field `name`".
fn quoted_word(sentence: &str) -> &str {
    sentence.split('`').nth(1).unwrap_or_default()
}
