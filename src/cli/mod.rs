//! The human's door: a command is one call, and what came of it is shown.

mod arguments;
mod audit;
mod call_log;
mod doctor;
mod interrupt;
mod pages;
mod render;
mod scan;
mod setup;
mod usage_error;

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    process::ExitCode,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use arguments::{Arguments, Audit, Command, OneOrAll, Providers, Scan, Serve, Usage};
use call_log::PendingCall;
use clap::Parser as _;
use interrupt::Supervisor;
pub use render::{Output, cannot_serve, cannot_start, exit_code, report_panic, say_address, show_error, warn};
pub use setup::SetUp;

use crate::{
    approval::{Answer, ApprovalId, Subject},
    clock::Clock,
    env_file::Replace,
    error::Error,
    ledger::Visibility,
    lifetime::Lifetime,
    money::{Cents, MicroUsd},
    name::{ProjectName, ProviderKey},
    provisioner::{LARGEST_PAGE, Listing, Principal, ProvisionRequest, Provisioner, UnresolvedOrder},
    scan::Stop,
    settings::CliOptions,
    view::{ApprovalView, ApprovalsView, ProjectList, ProvidersView},
};

/// A command line that could be read.
pub struct Call {
    pub task: Task,
    pub options: CliOptions,
    pub output: Output,
}

/// A command line after which there is nothing more to say.
pub struct EarlyExit {
    pub code: ExitCode,
    /// It was a mistake: where its workspace is, as far as it could be read.
    pub mistake_in: Option<Box<CliOptions>>,
}

/// What to do.
pub enum Task {
    Once(Job),
    Serve(Serving),
    /// Put us into a host's configuration, which takes no backend and no ledger.
    SetUp(SetUp),
    /// Serve the simulated world over HTTP on that address, without a connection to those providers.
    Simulate {
        listen: String,
        unlinked: Vec<String>,
    },
}

/// How MCP is served.
#[derive(Default)]
pub struct Serving {
    pub read_only: bool,
    /// The only tools to offer.
    pub tools: Option<Vec<String>>,
    /// The grace of a session that gives back what it took, as it was typed.
    pub session: Option<String>,
}

/// A command and the flags that are about commands.
pub struct Job {
    command: Command,
    confirmed: bool,
    stop: Stop,
}

impl Job {
    /// How to end a command that goes on until somebody says so; `None` for any other.
    fn endless(&self) -> Option<Stop> {
        matches!(self.command, Command::Scan(Scan { watch: true, .. })).then(|| self.stop.clone())
    }
}

/// Reads the command line. Without a command, a pipe is served and a person is greeted.
///
/// # Errors
/// [`EarlyExit`], when everything has been said already: help, the version, or what is wrong.
pub fn parse(arguments: impl IntoIterator<Item = OsString>, stdin_is_terminal: bool) -> Result<Call, EarlyExit> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    let Arguments { global, command } = Arguments::try_parse_from(&arguments).map_err(|error| {
        if error.use_stderr() {
            let code = render::mistake(&usage_error::explain(&error), Output::of(wants_json));
            EarlyExit { code, mistake_in: Some(Box::new(usage_error::folders(&arguments))) }
        } else {
            EarlyExit { code: render::clap_text(&error), mistake_in: None }
        }
    })?;
    let output = Output::of(global.json);
    let task = match command {
        Some(Command::Serve(Serve { read_only, tools, session, grace })) => {
            Task::Serve(Serving { read_only, tools, session: session.then_some(grace) })
        }
        Some(Command::Simulator { listen, unlinked }) => Task::Simulate { listen, unlinked },
        Some(Command::Setup { host, print, remove }) => {
            Task::SetUp(SetUp { host, print, remove, confirmed: global.yes })
        }
        None if !stdin_is_terminal => Task::Serve(Serving::default()),
        None => return Err(EarlyExit { code: render::greeting(), mistake_in: None }),
        Some(Command::Completions { shell }) => {
            return Err(EarlyExit { code: render::page(&pages::completions(shell)), mistake_in: None });
        }
        Some(Command::Man { command }) => {
            let page = pages::man(command.as_deref());
            let code = page.map_or_else(|mistake| render::mistake(&mistake, output), |page| render::page(&page));
            return Err(EarlyExit { code, mistake_in: None });
        }
        Some(command) => Task::Once(Job { command, confirmed: global.yes, stop: Stop::default() }),
    };
    let options = CliOptions {
        dir: global.dir,
        env_file: global.env_file,
        providers: global.providers,
        state_dir: global.state_dir,
        backend: global.backend,
        payment_method: global.payment_method,
        accept_tos: global.accept_tos,
        stripe_bin: global.stripe_bin,
        stripe_api_base: global.stripe_api_base,
        stripe_api_key_file: global.stripe_api_key_file,
    };
    Ok(Call { task, options, output })
}

/// Writes down a command line that could not be read, where there is something to write it into.
pub fn note_mistake(provisioner: &Provisioner, principal: &Principal) {
    PendingCall::unreadable().ended(provisioner, principal, "usage");
}

/// Does one command on a thread of its own, and stays with it: shows what it waits for, and answers Ctrl-C.
pub async fn run(job: Job, provisioner: Provisioner, principal: Principal, output: Output) -> ExitCode {
    let supervisor = Supervisor::new(provisioner.backend_wait(), job.endless(), output);
    let provisioner = provisioner.with_phase_hook(supervisor.watch());
    let work = tokio::task::spawn_blocking(move || execute(&job, &provisioner, &principal, output));
    supervisor.stay(work).await
}

/// Does one command and shows what came of it.
fn execute(job: &Job, provisioner: &Provisioner, principal: &Principal, output: Output) -> ExitCode {
    let entry = PendingCall::of(&job.command);
    let outcome = match &job.command {
        Command::Doctor { repair } => Ok(doctor::run(*repair, provisioner, principal, output)),
        Command::Scan(wanted) => scan::scan(wanted, job, provisioner, principal, output),
        _ => attempt(job, provisioner, principal, output),
    };
    let code = match &outcome {
        Ok(code) => *code,
        Err(error) => show_error(error, output),
    };
    for stopped in provisioner.suspend_exhausted(principal) {
        render::stopped(&stopped);
    }
    entry.answered(provisioner, principal, &outcome);
    code
}

fn attempt(job: &Job, provisioner: &Provisioner, principal: &Principal, output: Output) -> Result<ExitCode, Error> {
    match &job.command {
        Command::Completions { .. }
        | Command::Doctor { .. }
        | Command::Man { .. }
        | Command::Scan(_)
        | Command::Serve(_)
        | Command::Setup { .. }
        | Command::Simulator { .. } => {} // are done elsewhere
        Command::Extend { name, time } => {
            let (name, lifetime) = (ProjectName::parse(name)?, Lifetime::parse(time)?);
            render::project(&provisioner.extend(&name, lifetime, principal)?, output);
        }
        Command::Abandon { name } => {
            let name = ProjectName::parse(name)?;
            render::abandoned(&provisioner.abandon(&name, principal, |order| confirm_abandon(job, order))?, output);
        }
        Command::Keep { name } => {
            render::project(&provisioner.keep(&ProjectName::parse(name)?, principal)?, output);
        }
        Command::Provision { name, provider, cap, expires_in, replace } => {
            let wanted = ProvisionRequest {
                name: ProjectName::parse(name)?,
                provider: ProviderKey::parse(provider)?,
                cap: Cents::parse_usd(cap)?,
                lifetime: expires_in.as_deref().map(Lifetime::parse).transpose()?,
                replace: if *replace { Replace::Foreign } else { Replace::OursOnly },
            };
            render::project(&provisioner.provision(&wanted, principal)?, output);
        }
        Command::Audit(Audit { accept: true, .. }) => audit::accept(job, provisioner, principal, output)?,
        Command::Audit(asked) => audit::show(asked, provisioner, output)?,
        Command::List { all } => {
            render::projects(&everything(provisioner, *all)?, Clock::system().now(), output);
        }
        Command::Rotate { name } => {
            render::project(&provisioner.rotate(&ProjectName::parse(name)?, principal)?, output);
        }
        Command::Reap { after } => {
            if let Some(after) = after {
                thread::sleep(Duration::from_millis(Lifetime::parse(after)?.milliseconds().unsigned_abs()));
            }
            let mut outcomes = provisioner.reap(principal)?;
            match provisioner.enforce_caps(principal) {
                Ok(stopped) => outcomes.extend(stopped),
                Err(error) => warn(&format!("what was used is not known: {error}; {}", error.hint())),
            }
            return Ok(render::outcomes(&outcomes, "Nothing has expired, and no cap is used up.", output));
        }
        Command::Resume { name } => {
            render::project(&provisioner.resume(&ProjectName::parse(name)?, principal)?, output);
        }
        Command::Suspend(OneOrAll { name: Some(name), .. }) => {
            render::project(&provisioner.suspend(&ProjectName::parse(name)?, principal)?, output);
        }
        Command::Suspend(OneOrAll { name: None, .. }) => {
            return Ok(render::outcomes(&provisioner.suspend_all(principal)?, NONE, output));
        }
        Command::Teardown(OneOrAll { name: Some(name), .. }) => {
            let name = ProjectName::parse(name)?;
            confirm(job.confirmed, &format!("Tear down {name} for good, with its data at the provider?"))?;
            render::project(&provisioner.teardown(&name, principal)?, output);
        }
        Command::Teardown(OneOrAll { name: None, .. }) => {
            confirm(job.confirmed, "Tear down every live project for good, with its data at the provider?")?;
            return Ok(render::outcomes(&provisioner.teardown_all(principal)?, NONE, output));
        }
        Command::Approvals => {
            let approvals = provisioner.approvals()?;
            render::approvals(&ApprovalsView { approvals: approvals.iter().map(ApprovalView::from).collect() }, output);
        }
        Command::Approve { id } => decide(job, provisioner, principal, (id, Answer::Accepted), output)?,
        Command::Deny { id } => decide(job, provisioner, principal, (id, Answer::Declined), output)?,
        Command::Usage { command: Usage::Record { name, amount } } => {
            let (name, amount) = (ProjectName::parse(name)?, MicroUsd::parse_usd(amount)?);
            provisioner.subscribe(Arc::new(render::notice));
            render::project(&provisioner.record_usage(&name, amount, principal)?, output);
            if let Err(error) = provisioner.deliver_alerts() {
                warn(&format!("alerts cannot be sent: {error}"));
            }
        }
        Command::Providers { command: None } => {
            render::providers(&ProvidersView::new(&provisioner.registry()?), output);
        }
        Command::Providers { command: Some(Providers::Check) } => {
            render::sound_registry(&ProvidersView::new(&provisioner.registry()?), output);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A human's word on a request, after it was read back to him.
fn decide(
    job: &Job,
    provisioner: &Provisioner,
    principal: &Principal,
    (id, answer): (&str, Answer),
    output: Output,
) -> Result<(), Error> {
    let id = ApprovalId::parse(id)?;
    let approval = provisioner.undecided(&id, answer)?;
    let Subject { name, provider, service, cap, .. } = &approval.subject;
    let verb = if answer == Answer::Accepted { "Approve" } else { "Deny" };
    let asker = if approval.asked_by.is_empty() { "an unnamed client" } else { &approval.asked_by };
    confirm(
        job.confirmed,
        &format!("{verb} `{name}` on {provider} ({service}) with a cap of {cap} USD, asked by {asker}?"),
    )?;
    render::approval(&ApprovalView::from(&provisioner.decide(&id, answer, principal)?), output);
    Ok(())
}

/// A human's word that a purchase is given up, after he was told what that means.
fn confirm_abandon(job: &Job, UnresolvedOrder { project, resource, place }: &UnresolvedOrder) -> Result<(), Error> {
    if !job.confirmed {
        render::before_asking(&format!(
            "Nobody can tell any more whether `{project}` was bought. Look at {place} first: if {resource} exists \
             there, it is billed and nothing here will list it."
        ));
    }
    confirm(job.confirmed, &format!("Give {project} up?"))
}

/// Every page as one.
fn everything(provisioner: &Provisioner, all: bool) -> Result<ProjectList, Error> {
    let visibility = if all { Visibility::All } else { Visibility::Live };
    let mut listing = Listing { visibility, limit: LARGEST_PAGE, cursor: None };
    let mut list = provisioner.list(&listing)?;
    while let Some(cursor) = list.next_cursor.take() {
        listing.cursor = Some(cursor);
        let mut page = provisioner.list(&listing)?;
        list.projects.append(&mut page.projects);
        list.next_cursor = page.next_cursor;
        list.warning = list.warning.or(page.warning);
    }
    Ok(list)
}

/// Asks, unless the answer was given with `--yes`; without a terminal there is nobody to ask.
fn confirm(confirmed: bool, question: &str) -> Result<(), Error> {
    agreed_to(confirmed, question, answer)
}

/// The same in a command that goes on until somebody says so: who says so at the question has not agreed.
fn confirm_unless_stopped(job: &Job, question: &str) -> Result<(), Error> {
    agreed_to(job.confirmed, question, || {
        let (told, hears) = mpsc::channel();
        thread::spawn(move || told.send(answer()));
        loop {
            match hears.recv_timeout(AT_THE_QUESTION) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) if !job.stop.is_asked() => {}
                Err(_) => return String::new(), // nobody waits any more for the thread that reads
            }
        }
    })
}

fn agreed_to(confirmed: bool, question: &str, ask: impl FnOnce() -> String) -> Result<(), Error> {
    if confirmed {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Error::NotConfirmed { asked: false });
    }
    render::question(question);
    let answer = ask();
    if !answer.ends_with('\n') {
        render::end_of_question();
    }
    let agreed = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if agreed { Ok(()) } else { Err(Error::NotConfirmed { asked: true }) }
}

/// A line of the person's; empty where none can be read.
fn answer() -> String {
    let mut answer = String::new();
    match io::stdin().read_line(&mut answer) {
        Ok(_) => answer,
        Err(_) => String::new(),
    }
}

/// How soon a question notices that it will not be answered.
const AT_THE_QUESTION: Duration = Duration::from_millis(50);

/// Printed when a command about every live project finds none.
const NONE: &str = "No live projects.";
