//! Prompts: what hosts offer their users as slash commands. Each is one message that carries what is known now.

use rmcp::{
    ErrorData,
    model::{GetPromptRequestParams, GetPromptResult, Prompt, PromptArgument, PromptMessage, Role},
};
use serde_json::{Value, json};

use crate::{
    diagnostic::Channel,
    error::Error,
    ledger::Visibility,
    money::MicroUsd,
    name::ProjectName,
    project_state::ProjectState,
    provisioner::{ProjectPage, Provisioner},
    view::{ProjectList, ProjectView},
};

pub fn all() -> Vec<Prompt> {
    let name = PromptArgument::new("name").with_title("Project").with_description("Name of the project");
    vec![
        Prompt::new(BUDGET, Some("What is spent and what is left, project by project."), None).with_title("Budget"),
        Prompt::new(END_SESSION, Some("What would be torn down, and the question what to keep."), None)
            .with_title("End the session"),
        Prompt::new(
            ROTATE_ON_LEAK,
            Some("Kill a key that may have leaked, and find who has to load the new one."),
            Some(vec![name.with_required(true)]),
        )
        .with_title("Rotate a leaked key"),
    ]
}

/// Our own word for a prompt, if it is one of ours.
pub fn known(name: &str) -> Option<&'static str> {
    [BUDGET, END_SESSION, ROTATE_ON_LEAK].into_iter().find(|ours| *ours == name)
}

/// Writes a prompt from what is known now. What was asked for is not repeated unless it could be parsed.
///
/// # Errors
/// For an unknown prompt, and for arguments that are not what it takes.
pub fn written(provisioner: &Provisioner, request: &GetPromptRequestParams) -> Result<GetPromptResult, ErrorData> {
    let arguments = request.arguments.clone().unwrap_or_default();
    let text = match known(&request.name) {
        Some(BUDGET) if arguments.is_empty() => budget(&live(provisioner)?),
        Some(END_SESSION) if arguments.is_empty() => end_session(&live(provisioner)?),
        Some(ROTATE_ON_LEAK) if arguments.len() == 1 => rotate_on_leak(provisioner, arguments.get("name"))?,
        Some(_) => return Err(ErrorData::invalid_params("these are not the arguments that this prompt takes", None)),
        None => return Err(ErrorData::invalid_params("there is no such prompt", None)),
    };
    let description = all().into_iter().find(|prompt| prompt.name == request.name).and_then(|found| found.description);
    let result = GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]);
    Ok(result.with_description(description.unwrap_or_default()))
}

fn budget(list: &ProjectPage) -> String {
    let Some(lines) = lines(list) else {
        return "Say that there are no live projects, so nothing is spent and nothing committed.".to_owned();
    };
    let caps = list.projects.iter().map(|state| state.project.cap.micro_usd());
    let caps = caps.fold(MicroUsd::ZERO, MicroUsd::saturating_add);
    let together = match sum(list.projects.iter().map(ProjectState::usage)) {
        Some(spent) => format!("Together: {spent} USD spent of {caps} USD, {} USD left.", caps.saturating_sub(spent)),
        None => format!("Together: caps of {caps} USD; what is spent is not known of all of them."),
    };
    format!(
        "Show me the budget of these projects as a short table, and point out what is nearly used up or not used at \
         all.\n\n{lines}\n\n{together}{}",
        doubt(list)
    )
}

fn end_session(list: &ProjectPage) -> String {
    let Some(lines) = lines(list) else {
        return "Say that there are no live projects, so that this session leaves nothing behind.".to_owned();
    };
    format!(
        "I am about to end this session. These projects are live and go on costing money:\n\n{lines}\n\nAsk me which of \
         them to keep. Then call teardown for each of the others, one at a time: it removes the project and its data at \
         the provider for good. At the end show me list_projects.{}",
        doubt(list)
    )
}

fn rotate_on_leak(provisioner: &Provisioner, name: Option<&Value>) -> Result<String, ErrorData> {
    let wrong = |why: String| ErrorData::invalid_params(why, None);
    let name = name.and_then(Value::as_str).ok_or_else(|| wrong("`name` has to be text".to_owned()))?;
    let name = ProjectName::parse(name).map_err(|error| wrong(error.to_string()))?;
    let shown = provisioner.projects.show(&name).map_err(|error| unreadable(&error))?;
    let state = shown.filter(|state| state.status().is_live());
    let state = state.ok_or_else(|| wrong("there is no live project of that name".to_owned()))?;
    let ProjectView { env_var, api_key_masked, env_written_to, .. } = ProjectView::from(&state);
    let mask = api_key_masked.unwrap_or_else(|| "unknown".to_owned());
    let file = env_written_to.unwrap_or_else(|| "the env file".to_owned());
    let call = json!({ "name": name.as_str() });
    Ok(format!(
        "The key of the project `{name}` ({mask}) may have leaked. Call rotate_key with {call} now, before anything \
         else. Then find what has loaded {env_var} from {file} and has to load it again, and say where the old key may \
         still stand, so that I can remove it there. Print neither the old key nor the new one."
    ))
}

/// Every live project, however many pages there are.
fn live(provisioner: &Provisioner) -> Result<ProjectPage, ErrorData> {
    provisioner.projects.list_all(Visibility::Live).map_err(|error| unreadable(&error))
}

/// One line for each project; `None` when there is none.
fn lines(list: &ProjectPage) -> Option<String> {
    let line = |state: &ProjectState| {
        let (name, provider, status) = (&state.project.name, &state.project.provider, state.status());
        let cap = state.project.cap.micro_usd();
        let used = match (state.usage(), state.remaining()) {
            (Some(used), Some(left)) => format!("{used} of {cap} USD used, {left} USD left"),
            _ => format!("a cap of {cap} USD, usage unknown"),
        };
        format!("- `{name}` on {provider}, {status}: {used}")
    };
    let lines: Vec<String> = list.projects.iter().map(line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn doubt(page: &ProjectPage) -> String {
    ProjectList::from(page)
        .warning
        .as_ref()
        .map(|warning| format!("\n\nTell me this, too: {warning}."))
        .unwrap_or_default()
}

/// The sum, provided that every amount is known.
fn sum(mut amounts: impl Iterator<Item = Option<MicroUsd>>) -> Option<MicroUsd> {
    amounts.try_fold(MicroUsd::ZERO, |sum, amount| Some(sum.saturating_add(amount?)))
}

fn unreadable(error: &Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), Some(json!(error.view(Channel::Agent))))
}

const BUDGET: &str = "budget";

const END_SESSION: &str = "end-session";

const ROTATE_ON_LEAK: &str = "rotate-on-leak";
