//! Runs one command: executes it, shows the result, and returns the exit code.

use std::{process::ExitCode, sync::Arc, time::Duration};

use domain::{approval::Approval, channel::Channel, clock::Clock, diagnostic::Diagnostic as _, principal::Principal};
use files::scan::Stop;
use tokio::runtime::Handle;

use super::{
    Output, command,
    confirm::Terminal,
    doctor,
    interrupt::Supervisor,
    parse::Job,
    render::{self, show_error, warn},
};
use crate::{
    app::{self, Action, App, Call, Command, Limits, Rejected},
    error::Error,
    provisioner::{Access, AuditFacts, Provisioner},
    view::{ApprovalView, ApprovalsView, BudgetView, ConnectionPlanView, ConnectionView, ProvidersView, SpendView},
};

/// One command at a terminal.
struct Cli {
    app: Arc<App>,
    principal: Principal,
    output: Output,
    terminal: Arc<Terminal>,
}

/// Runs a command on a thread of its own, shows what it waits for, and handles Ctrl-C.
pub async fn run(job: Job, services: Provisioner, principal: Principal, output: Output) -> ExitCode {
    let stop = Stop::default();
    let supervisor =
        Supervisor::new(services.ports.backend_wait(), job.command.is_endless().then(|| stop.clone()), output);
    let services = if job.command.is_kill() { services.waiting_for_the_ledger(KILL_TIMEOUT) } else { services };
    let app = app(services.with_phase_hook(supervisor.watch()));
    let terminal = Arc::new(Terminal { confirmed: job.confirmed, stop, output });
    let (cli, runtime) = (Cli { app, principal, output, terminal }, Handle::current());
    let work = tokio::task::spawn_blocking(move || cli.run(job, &runtime));
    supervisor.stay(work).await
}

/// Records a command line that could not be read, if there is a ledger.
pub async fn record_unreadable(services: Provisioner, principal: &Principal) {
    let app = app(services);
    let rejected: Result<Command, _> =
        Err(Rejected { action: Action::UnreadableCommand, facts: AuditFacts::default(), error: Box::new(()) });
    app.record(Call::new(&rejected, principal), USAGE).await;
    app.flush_audit(false).await;
}

fn app(services: Provisioner) -> Arc<App> {
    Arc::new(App::new(Arc::new(services), Arc::new(warn)))
}

impl Cli {
    /// Runs on a thread that may block: neither a slow reader of stdout nor a question delays Ctrl-C.
    fn run(self, job: Job, runtime: &Handle) -> ExitCode {
        let Self { app, principal, output, terminal } = self;
        let command = command::parse(job.command, app.services().ports.now());
        let access =
            command.as_ref().map_or_else(|rejected| rejected.action.access(), |command| command.action().access());
        let is_kill = matches!(command, Ok(Command::Suspend(_)));
        let records_usage = matches!(command, Ok(Command::RecordUsage { .. }));
        if records_usage {
            app.services().alerts.subscribe(Arc::new(render::notice));
        }
        let result = runtime.block_on(app.execute(command, &principal, terminal, Limits::none()));
        let code = match &result {
            Ok(result) => shown(result, output),
            Err(error) => show_error(error, output),
        };
        if records_usage
            && result.is_ok()
            && let Err(error) = app.services().alerts.deliver()
        {
            warn(&format!("alerts cannot be sent: {error}"));
        }
        for suspended in app.services().caps.suspend_exhausted(&principal) {
            render::stopped(&suspended);
        }
        if !is_kill && let Err(error) = app.services().projects.record_kills() {
            warn(&format!("a suspension is not recorded yet: {error}; {}", error.hint(Channel::Cli)));
        }
        // A read is sealed together with the next effect: a list should cost no flush of the disk.
        runtime.block_on(app.flush_audit(access == Access::Write));
        code
    }
}

/// Shows a result, and returns the exit code that it ends with.
fn shown(result: &app::Output, output: Output) -> ExitCode {
    match result {
        app::Output::Abandoned(view) => render::abandoned(view, output),
        app::Output::Connected(connection) => render::connected(&ConnectionView::from(&**connection), output),
        app::Output::ConnectionPlan { plan, missing } => {
            return render::connection_plan(&ConnectionPlanView::new(plan, missing));
        }
        app::Output::Approvals(approvals) => render::approvals(&approvals_view(approvals), output),
        app::Output::ApprovalsCleared(ended) => render::approvals_cleared(*ended, output),
        app::Output::AuditRows(rows) => render::audit(rows, output),
        app::Output::Budget(state) => render::budget(&BudgetView::from(state), output),
        app::Output::Decided(approval) => render::approval(&ApprovalView::from(&**approval), output),
        app::Output::Diagnosis(report) => return doctor::show(report, output),
        app::Output::Outcomes(outcomes) => return render::outcomes(outcomes, "No live projects.", output),
        app::Output::OutcomesEverywhere(outcomes) => return render::outcomes_everywhere(outcomes, output),
        app::Output::Project(project) => render::project(project, output),
        app::Output::Projects(list) => render::projects(list, Clock::system().now(), output),
        app::Output::ProjectsEverywhere(pages) => render::projects_everywhere(pages, output),
        app::Output::Proof(proof) => render::proof(proof, output),
        app::Output::Providers(registry) => render::providers(&ProvidersView::new(registry), output),
        app::Output::Reaped { outcomes, usage_error } => {
            if let Some(error) = usage_error {
                warn(&usage_unknown(error));
            }
            return render::outcomes(outcomes, "Nothing has expired, and no cap is used up.", output);
        }
        app::Output::RegistryChecked(registry) => render::valid_registry(&ProvidersView::new(registry), output),
        app::Output::Workspaces(workspaces) => render::workspaces(workspaces, output),
        app::Output::Spend(spend) => render::spend(&SpendView::from(spend), output),
        app::Output::Scanned(end) => return end.map_or(ExitCode::SUCCESS, |end| ExitCode::from(end as u8)),
    }
    ExitCode::SUCCESS
}

fn approvals_view(approvals: &[Approval]) -> ApprovalsView {
    ApprovalsView { approvals: approvals.iter().map(ApprovalView::from).collect() }
}

fn usage_unknown(error: &Error) -> String {
    format!("usage could not be read: {error}; {}", error.hint(Channel::Cli))
}

/// How long a kill waits for a held ledger. The keys are disabled by then.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);

/// The outcome of a command line that could not be read.
const USAGE: &str = "usage";
