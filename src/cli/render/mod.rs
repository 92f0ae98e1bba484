//! The only module that prints. Results go to stdout, everything else to stderr.

mod ago;
mod audit;
mod budget;
mod everywhere;
mod leaks;
mod list;
mod paint;
mod stream;

use std::{fmt::Display, io, net::SocketAddr, process::ExitCode};

pub use audit::{audit, proof};
use backends::alerts::Notice;
pub use budget::{budget, spend};
use comfy_table::{Table, presets::NOTHING};
use domain::{
    channel::Channel,
    clock::Timestamp,
    diagnostic::{Diagnostic as _, Exit},
    money::MicroUsd,
    visible::{visible, visible_once},
};
pub use everywhere::{outcomes as outcomes_everywhere, projects as projects_everywhere, workspaces};
pub use leaks::{not_rotated, rotated, scanned, watched, watching};
use serde::Serialize;
use serde_json::json;
pub use stream::progress;
use stream::{Screen, below_key, err, out, over_key, prompt, raw};

use crate::{
    error::Error,
    project_state::ProjectState,
    provisioner::{Abandoned, Outcome, ProjectPage, Resolution},
    view::{
        AbandonView, ApprovalView, ApprovalsView, ConnectionPlanView, ConnectionView, ErrorView, ProjectList,
        ProjectView, ProvidersView, visible_json,
    },
};

/// The reader of the output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Output {
    Json,
    People,
}

impl Output {
    pub fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::People }
    }
}

pub fn project(state: &ProjectState, output: Output) {
    let project = &ProjectView::from(state);
    if output == Output::Json {
        return json(project);
    }
    let mut lines = vec![
        ("status", project.status.clone()),
        ("provider", format!("{} ({} backend)", project.provider, project.backend)),
        (
            "cap",
            format!(
                "{} USD {}, enforced by {}",
                usd(project.spend_cap_usd),
                per(&project.cap_per),
                project.cap_enforced_by
            ),
        ),
    ];
    if let (Some(used), Some(left)) = (state.usage(), state.remaining()) {
        lines.push(("used", format!("{} USD, {} USD left", exact_usd(used), exact_usd(left))));
    }
    if let (Some(mask), Some(file)) = (&project.api_key_masked, &project.env_written_to) {
        lines.push(("key", format!("{mask} (version {})", project.key_version)));
        lines.push(("variable", format!("{} in {}", project.env_var, visible(file))));
    }
    if let Some(end) = &project.expires_at {
        lines.push(("expires", to_the_second(end)));
    }
    lines.push(("next", project.next.clone()));
    out(&project.name);
    for (label, words) in lines {
        out(format_args!("  {label:<9} {words}"));
    }
}

/// The result of abandoning a purchase.
pub fn abandoned(abandoned: &Abandoned, output: Output) {
    if output == Output::Json {
        return json(&AbandonView::from(abandoned));
    }
    out(match abandoned.resolution {
        Resolution::Found => "It was bought, so nothing was abandoned:",
        Resolution::GivenUp => "Abandoned:",
        Resolution::NeverWas => "It was never bought, so nothing was abandoned:",
    });
    project(&abandoned.state, output);
}

/// The outcome of each project, one per line; the exit code is that of the first failure.
pub fn outcomes(outcomes: &[Outcome], none: &str, output: Output) -> ExitCode {
    let failed = outcomes.iter().find_map(|outcome| outcome.result.as_ref().err());
    if output == Output::Json {
        let shown = |outcome: &Outcome| match &outcome.result {
            Ok(state) => json!({ "name": outcome.name.as_str(), "project": ProjectView::from(state) }),
            Err(error) => json!({ "name": outcome.name.as_str(), "error": error.view(Channel::Cli) }),
        };
        json(&json!({ "projects": outcomes.iter().map(shown).collect::<Vec<_>>() }));
    } else if outcomes.is_empty() {
        out(none);
    } else {
        for Outcome { name, result } in outcomes {
            match result {
                Ok(state) => out(format_args!("{name}: {}", state.status())),
                Err(error) => {
                    err(format_args!("{name}: error: {error}\n{name}: hint: {}", error.hint(Channel::Cli)));
                }
            }
        }
    }
    failed.map_or(ExitCode::SUCCESS, |error| ExitCode::from(error.exit() as u8))
}

/// Prints a warning about a used-up cap, and whether the project is suspended.
pub fn stopped(Outcome { name, result }: &Outcome) {
    match result {
        Ok(_) => warn(&format!("{name} has used up its cap and is suspended")),
        Err(error) => {
            warn(&format!("{name} has used up its cap and is not suspended: {error}; {}", error.hint(Channel::Cli)));
        }
    }
}

/// A warning.
pub fn warn(words: &str) {
    err(format_args!("warning: {words}"));
}

/// Prints an alert, or the reason why alerts cannot be sent.
pub fn notice(notice: &Notice) {
    match notice {
        Notice::Raised(_) => err(format_args!("alert: {notice}")),
        _ => warn(&notice.to_string()),
    }
}

/// Prints the list: bars for budgets at a terminal, a plain and stable table to a pipe.
pub fn projects(page: &ProjectPage, now: Timestamp, output: Output) {
    let list = &ProjectList::new(page, Channel::Cli);
    if let Some(warning) = &list.warning {
        warn(warning);
    }
    if output == Output::Json {
        return json(list);
    }
    if list.projects.is_empty() {
        out("No live projects. `stripe-projects-mcp provision NAME PROVIDER` makes one.");
    } else if Screen::stdout().person {
        list::show(page, now, Screen::stdout());
    } else {
        project_rows(list.projects.iter().cloned());
    }
    if list.torn_down_count > 0 {
        out(format_args!("{} live, {} torn down", list.live_count, list.torn_down_count));
    }
}

/// Prints what was recorded.
pub fn connected(view: &ConnectionView, output: Output) {
    if output == Output::Json {
        return json(view);
    }
    out(format_args!(
        "Connected to {} at {}.",
        view.backend,
        view.program.as_ref().or(view.api_base.as_ref()).map_or("", String::as_str)
    ));
    out("  next      Servers of this workspace that were started with that backend use it from the next call on.");
}

/// Prints what is missing as JSON, because the reader is a script.
pub fn connection_plan(view: &ConnectionPlanView) -> ExitCode {
    json(view);
    ExitCode::from(Exit::Refused as u8)
}

/// Prints projects as a plain and stable table.
fn project_rows(projects: impl Iterator<Item = ProjectView>) {
    let rows = projects.map(|project| {
        let used = project.usage_usd.map_or_else(|| "?".to_owned(), usd);
        let mask = project.api_key_masked.clone().unwrap_or_default();
        let (cap, variable) = (usd(project.spend_cap_usd), project.env_var.clone());
        let end = project.expires_at.as_deref().map(to_the_second).unwrap_or_default();
        vec![project.name, project.provider, project.status, used, cap, mask, variable, end]
    });
    table(&["NAME", "PROVIDER", "STATUS", "USED USD", "CAP USD", "KEY", "VARIABLE", "EXPIRES"], rows);
}

pub fn approvals(view: &ApprovalsView, output: Output) {
    if output == Output::Json {
        return json(view);
    }
    if view.approvals.is_empty() {
        return out("No approval requests.");
    }
    let rows = view.approvals.iter().map(|approval| {
        let (name, provider) = (approval.name.clone(), approval.provider.clone());
        let (asker, until) = (approval.asked_by.clone(), to_the_second(&approval.expires_at));
        vec![approval.id.clone(), approval.status.to_owned(), name, provider, usd(approval.cap_usd), asker, until]
    });
    table(&["ID", "STATUS", "NAME", "PROVIDER", "CAP USD", "ASKED BY", "UNTIL"], rows);
}

/// Prints how many quiet times were ended.
pub fn approvals_cleared(ended: u64, output: Output) {
    match (output, ended) {
        (Output::Json, _) => json(&json!({ "quiet_times_ended": ended })),
        (Output::People, 0) => out("No quiet time was running; the next denial holds requests back for 5 minutes."),
        (Output::People, _) => out(format_args!("Quiet times ended: {ended}. Requests are shown again.")),
    }
}

/// Prints a request after its decision.
pub fn approval(approval: &ApprovalView, output: Output) {
    if output == Output::Json {
        return json(approval);
    }
    let ApprovalView { id, name, provider, cap_usd, expires_at, status, quiet_until, .. } = approval;
    let expires_at = to_the_second(expires_at);
    out(format_args!("{id} {status}: `{name}` on {provider} with a cap of {} USD", usd(*cap_usd)));
    approval.shown.iter().for_each(|line| out(format_args!("  {line}")));
    out(match (*status, quiet_until) {
        ("approved", _) => format!("  next      The agent's next identical call succeeds, once, until {expires_at}."),
        (_, Some(until)) => format!(
            "  next      Nothing: requests for this provider that need you are held back until {}.",
            to_the_second(until)
        ),
        (_, None) => "  next      Nothing: this request is refused.".to_owned(),
    });
}

pub fn providers(view: &ProvidersView, output: Output) {
    if output == Output::Json {
        return json(view);
    }
    let rows = view.providers.iter().map(|provider| {
        let (default, maximum) = (usd(provider.default_cap_usd), usd(provider.max_cap_usd));
        let label = match &provider.denied_by {
            Some(place) => format!("{} (denied: {place})", provider.label),
            None => provider.label.clone(),
        };
        vec![provider.key.clone(), default, maximum, provider.env_var.clone(), label]
    });
    table(&["KEY", "CAP USD", "MAX USD", "VARIABLE", "WHAT"], rows);
}

pub fn valid_registry(view: &ProvidersView, output: Output) {
    match output {
        Output::Json => json(view),
        Output::People => out(format_args!("The registry is valid ({} providers)", view.providers.len())),
    }
}

/// Prints a failure and returns its exit code.
pub fn show_error(error: &Error, output: Output) -> ExitCode {
    failure(&error.view(Channel::Cli), output);
    ExitCode::from(error.exit() as u8)
}

/// Prints a usage error.
pub fn mistake(mistake: &ErrorView, output: Output) -> ExitCode {
    failure(mistake, output);
    ExitCode::from(Exit::Usage as u8)
}

/// Help and the version, as clap writes them.
pub fn clap_text(text: &clap::Error) -> ExitCode {
    raw(text.render().to_string().as_bytes());
    ExitCode::SUCCESS
}

/// Prints a page for another program.
pub fn page(page: &[u8]) -> ExitCode {
    raw(page);
    ExitCode::SUCCESS
}

/// The text for a person who runs the program without a command.
pub fn greeting() -> ExitCode {
    out(GREETING);
    ExitCode::SUCCESS
}

/// A result with its own text.
pub fn result(view: &impl Serialize, text: &str, output: Output) {
    match output {
        Output::Json => json(view),
        Output::People => out(text),
    }
}

/// An explanation before a question.
pub fn before_asking(text: &str) {
    err(text);
}

pub fn question(question: &str) {
    prompt(format_args!("{question} [y/N] "));
}

/// Ends the line after an answer without a line feed.
pub fn end_of_question() {
    err("");
}

/// Reports the first Ctrl-C after the operation started.
pub fn finishing() {
    over_key("finishing the operation; press again to stop waiting (it is in the journal)");
}

/// Reports a Ctrl-C before the operation started.
pub fn called_off() {
    below_key("stopped; nothing was started");
}

/// Prints the simulator's address: scripts wait for this line.
pub fn say_address(address: SocketAddr) {
    err(format_args!("listening on http://{address}"));
}

pub fn cannot_start(error: &io::Error) -> ExitCode {
    err(format_args!("error: the program cannot start: {}", error.kind()));
    ExitCode::from(Exit::Failure as u8)
}

pub fn cannot_serve(error: &impl Display) -> ExitCode {
    err(format_args!("error: {error}"));
    ExitCode::from(Exit::Failure as u8)
}

/// Returns the exit code; one of success only if the whole output was written.
pub fn exit_code(code: ExitCode) -> ExitCode {
    let Some(why) = stream::lost() else { return code };
    err(format_args!("error: the result could not be written to stdout: {why}"));
    err("hint: the operation itself is complete; `stripe-projects-mcp list` shows the result");
    if code == ExitCode::SUCCESS { ExitCode::from(Exit::Failure as u8) } else { code }
}

pub fn report_panic(place: &str) {
    err(format_args!("internal error at {place}; nothing that was journaled is lost. Please report this line."));
}

fn failure(view: &ErrorView, output: Output) {
    match output {
        Output::Json => json(view),
        Output::People => {
            let screen = Screen::stderr();
            err(format_args!("{} {}", screen.paint(paint::ERROR, "error:"), view.message));
            err(format_args!("{} {}", screen.paint(paint::HINT, "hint:"), view.hint));
        }
    }
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let mut table = Table::new();
    let rows = rows.map(|row| row.into_iter().map(|cell| visible_once(&cell).into_owned()).collect::<Vec<_>>());
    table.load_style(NOTHING).set_header(head.iter().copied()).add_rows(rows);
    for line in table.lines() {
        out(line.trim());
    }
}

/// The period of a cap for people.
fn per(period: &str) -> String {
    if period == "total" { "in total".to_owned() } else { format!("a {period}") }
}

/// Dollars for people: cents, and more decimals only where there are any.
fn usd(amount: f64) -> String {
    let exact = amount.to_string();
    match exact.split_once('.') {
        Some((_, decimals)) if decimals.len() > 2 => exact,
        _ => format!("{amount:.2}"),
    }
}

/// An exact amount for people: cents, and more decimals only where there are any.
fn exact_usd(amount: MicroUsd) -> String {
    let exact = amount.to_string();
    if exact.contains('.') { exact } else { format!("{exact}.00") }
}

/// A time without fractions of a second.
fn to_the_second(time: &str) -> String {
    time.split_once('.').map_or_else(|| time.to_owned(), |(whole, _)| format!("{whole}Z"))
}

fn json(view: &impl Serialize) {
    if let Ok(text) = serde_json::to_string_pretty(view) {
        out(visible_json(text));
    }
}

const GREETING: &str = "\
stripe-projects-mcp gives an AI agent a prepaid, capped, revocable card instead of a root key.

  stripe-projects-mcp providers                      the providers
  stripe-projects-mcp provision memory supermemory   create a project; its key goes to .env
  stripe-projects-mcp list                           live projects and their cost
  stripe-projects-mcp teardown memory                remove it and its key

Agents speak to it over MCP: let their host start `stripe-projects-mcp serve --dir PROJECT`.
The default backend is simulated: no account, no money. `--help` lists everything.";
