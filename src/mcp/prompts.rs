//! Prompts: what hosts offer their users as slash commands. Each is one message with the current data.

use domain::{channel::Channel, money::MicroUsd};
use rmcp::{
    ErrorData,
    model::{GetPromptRequestParams, GetPromptResult, Prompt, PromptArgument, PromptMessage, Role},
};
use serde_json::json;

use super::{answer, arguments::Fields};
use crate::{
    app::{self, Action, Command, Output, Rejected},
    error::Error,
    project_state::ProjectState,
    provisioner::ProjectPage,
    view::{ProjectList, ProjectView},
};

pub fn all() -> Vec<Prompt> {
    let name = PromptArgument::new("name").with_title("Project").with_description("Name of the project");
    vec![
        Prompt::new(BUDGET, Some("Spent and remaining budget of each project."), None).with_title("Budget"),
        Prompt::new(END_SESSION, Some("Asks which projects to keep, and tears down the others."), None)
            .with_title("End the session"),
        Prompt::new(
            ROTATE_ON_LEAK,
            Some("Revoke a key that may have leaked, and find the programs that have to load the new one."),
            Some(vec![name.with_required(true)]),
        )
        .with_title("Rotate a leaked key"),
    ]
}

/// Parses a request. Unparsed input is not repeated.
///
/// # Errors
/// [`Rejected`] for an unknown prompt, and for arguments that it does not take.
pub fn parse(request: &GetPromptRequestParams) -> Result<Command, Rejected<ErrorData>> {
    let arguments = request.arguments.clone().unwrap_or_default();
    let fields = Fields::read(&arguments);
    let known = [BUDGET, END_SESSION, ROTATE_ON_LEAK].into_iter().find(|name| *name == request.name);
    let facts = match known {
        Some(name) => fields.facts.clone().fact("prompt", json!(name)),
        None => fields.facts.clone().unreadable("prompt"),
    };
    let prompt = match known {
        Some(BUDGET) if arguments.is_empty() => Ok(app::Prompt::Budget),
        Some(END_SESSION) if arguments.is_empty() => Ok(app::Prompt::EndSession),
        Some(ROTATE_ON_LEAK) if arguments.len() == 1 => match fields.name {
            Some(Ok(name)) => Ok(app::Prompt::RotateOnLeak(name)),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("`name` has to be text".to_owned()),
        },
        Some(_) => Err("unknown arguments for this prompt".to_owned()),
        None => Err("there is no such prompt".to_owned()),
    };
    prompt.map(Command::Prompt).map_err(|message| Rejected {
        action: Action::Prompt,
        facts,
        error: Box::new(ErrorData::invalid_params(message, None)),
    })
}

/// Writes a prompt from the result of its command.
pub fn rendered(name: &str, result: Result<Output, Error>) -> Result<GetPromptResult, ErrorData> {
    let text = match (name, result) {
        (BUDGET, Ok(Output::Projects(list))) => budget(&list),
        (_, Ok(Output::Projects(list))) => end_session(&list),
        (_, Ok(Output::Project(state))) => rotate_on_leak(&state),
        (_, Ok(_) | Err(Error::ProjectNotFound { .. })) => {
            return Err(ErrorData::invalid_params("there is no live project of that name", None));
        }
        (_, Err(error)) => return Err(answer::unreadable(&error)),
    };
    let description = all().into_iter().find(|known| known.name == name).and_then(|known| known.description);
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
        None => format!("Together: caps of {caps} USD; the usage of some is unknown."),
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
        "I am about to end this session. These projects are live and continue to cost money:\n\n{lines}\n\nAsk me which of \
         them to keep. Then call teardown for each of the others, one at a time: it removes the project and its data at \
         the provider for good. At the end show me list_projects.{}",
        doubt(list)
    )
}

fn rotate_on_leak(state: &ProjectState) -> String {
    let name = &state.project.name;
    let ProjectView { env_var, api_key_masked, env_written_to, .. } = ProjectView::from(state);
    let mask = api_key_masked.unwrap_or_else(|| "unknown".to_owned());
    let file = env_written_to.unwrap_or_else(|| "the env file".to_owned());
    let call = json!({ "name": name.as_str() });
    format!(
        "The key of the project `{name}` ({mask}) may have leaked. Call rotate_key with {call} now, before anything \
         else. Then find what has loaded {env_var} from {file} and has to load it again, and say where the old key may \
         still stand, so that I can remove it there. Print neither the old key nor the new one."
    )
}

/// Returns one line for each project; `None` when there is none.
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
    ProjectList::new(page, Channel::Mcp)
        .warning
        .as_ref()
        .map(|warning| format!("\n\nTell me this, too: {warning}."))
        .unwrap_or_default()
}

/// Returns the sum, if every amount is known.
fn sum(mut amounts: impl Iterator<Item = Option<MicroUsd>>) -> Option<MicroUsd> {
    amounts.try_fold(MicroUsd::ZERO, |sum, amount| Some(sum.saturating_add(amount?)))
}

const BUDGET: &str = "budget";

const END_SESSION: &str = "end-session";

const ROTATE_ON_LEAK: &str = "rotate-on-leak";
