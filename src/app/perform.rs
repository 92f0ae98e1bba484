//! Performs a command with its service, and returns the result.

use std::{thread, time::Duration};

use domain::{
    approval::{Answer, Approval, ApprovalId},
    connection::Connection,
    diagnostic::Exit,
    principal::Principal,
};
use files::registry::Registry;
use storage::ledger::Visibility;

use super::{Command, Confirmation, Interaction, Prompt, Resource, Target, command::replacing, leaks};
use crate::{
    doctor::{self, Report},
    error::Error,
    project_state::ProjectState,
    provisioner::{
        Abandoned, AuditEntry, AuditFilter, AuditProof, BudgetLimits, BudgetState, ConnectionPlan, Listing, Missing,
        Outcome, ProjectPage, Provisioner, Spend, WorkspaceState,
    },
};

/// The result of a command.
#[derive(Debug)]
pub enum Output {
    Abandoned(Box<Abandoned>),
    Connected(Box<Connection>),
    /// Nothing was recorded, because something is missing.
    ConnectionPlan {
        plan: Box<ConnectionPlan>,
        missing: Vec<Missing>,
    },
    Approvals(Vec<Approval>),
    /// How many quiet times were ended.
    ApprovalsCleared(u64),
    AuditRows(Vec<AuditEntry>),
    Budget(BudgetState),
    Decided(Box<Approval>),
    Diagnosis(Report),
    Outcomes(Vec<Outcome>),
    /// By the labels of the workspaces.
    OutcomesEverywhere(Vec<(String, Vec<Outcome>)>),
    Project(Box<ProjectState>),
    Projects(ProjectPage),
    /// By the labels of the workspaces.
    ProjectsEverywhere(Vec<(String, ProjectPage)>),
    Proof(AuditProof),
    Providers(Registry),
    /// `usage_error`: the usage of the live projects could not be read, so no cap was enforced.
    Reaped {
        outcomes: Vec<Outcome>,
        usage_error: Option<Error>,
    },
    RegistryChecked(Registry),
    /// How a scan ends that has found anything; the findings were shown already.
    Scanned(Option<Exit>),
    Workspaces(Vec<WorkspaceState>),
    Spend(Spend),
}

/// Does a command. It blocks.
pub fn perform(
    services: &Provisioner,
    command: &Command,
    principal: &Principal,
    interaction: &dyn Interaction,
) -> Result<Output, Error> {
    if command.is_about_workspace() {
        services.ports.state.check_workspace()?;
    }
    if command.changes_backend() {
        services.ports.backend.ensure_connected()?;
    }
    Ok(match command {
        Command::Abandon(name) => {
            let agree = |order: &_| interaction.confirm(&Confirmation::Abandon(order));
            Output::Abandoned(Box::new(services.projects.abandon(name, principal, agree)?))
        }
        Command::AcceptAudit => Output::Proof(accept_audit(services, principal, interaction)?),
        Command::Approvals => Output::Approvals(services.approvals.list()?),
        Command::Approve(id) => decide(services, id, Answer::Accepted, principal, interaction)?,
        Command::Audit(filter) => Output::AuditRows(services.audit.entries(filter)?),
        Command::ClearApprovals => Output::ApprovalsCleared(services.approvals.end_quiet_times(principal)?),
        Command::Budget(limits) if *limits == BudgetLimits::default() => Output::Budget(services.budgets.state()?),
        Command::Budget(limits) => Output::Budget(services.budgets.set(limits, principal)?),
        Command::Cap { name, cap } => project(services.projects.set_cap(name, *cap, principal)?),
        Command::CheckProviders => Output::RegistryChecked(services.ports.registry()?),
        Command::Connect => connect(services, principal, interaction)?,
        Command::Deny(id) => decide(services, id, Answer::Declined, principal, interaction)?,
        Command::DetachWorkspace(label) => Output::Workspaces(vec![services.workspaces.detach(label, principal)?]),
        Command::Doctor { everywhere: true, .. } => Output::Diagnosis(doctor::examine_everywhere(services)),
        Command::Doctor { repair: false, .. } => Output::Diagnosis(doctor::examine(&services.ports)),
        Command::Doctor { repair: true, .. } => {
            accept_clock(services, principal, interaction)?;
            Output::Diagnosis(doctor::repair(&services.ports, &services.projects, &services.adoption, principal))
        }
        Command::Extend { name, lifetime } => project(services.lifetimes.extend(name, *lifetime, principal)?),
        Command::Keep(name) => project(services.lifetimes.keep(name, principal)?),
        Command::List { torn_down, everywhere } => {
            let visibility = if *torn_down { Visibility::All } else { Visibility::Live };
            if *everywhere {
                Output::ProjectsEverywhere(
                    services.everywhere(!torn_down, |elsewhere| elsewhere.projects.list_all(visibility))?,
                )
            } else {
                Output::Projects(services.projects.list_all(visibility)?)
            }
        }
        Command::ListPage(page) => Output::Projects(services.projects.list(&page.listing)?),
        Command::MoveWorkspace { old, new } => {
            Output::Workspaces(vec![services.workspaces.move_to(old, new, principal)?])
        }
        Command::Prompt(Prompt::Budget | Prompt::EndSession) => {
            Output::Projects(services.projects.list_all(Visibility::Live)?)
        }
        Command::Prompt(Prompt::RotateOnLeak(name)) => {
            let shown = services.projects.show(name)?;
            project(shown.filter(|state| state.status().is_live()).ok_or(Error::ProjectNotFound { torn_down: false })?)
        }
        Command::Providers => Output::Providers(services.ports.registry()?),
        Command::Provision(provision) => project(services.projects.provision(&provision.request(), principal)?),
        Command::ReadResource(resource) => read(services, resource)?,
        Command::Reap { after } => {
            if let Some(after) = after {
                thread::sleep(Duration::from_millis(after.milliseconds().unsigned_abs()));
            }
            reap(services, principal)?
        }
        Command::RecordUsage { name, amount } => project(services.projects.record_usage(name, *amount, principal)?),
        Command::Release(name) => {
            interaction.confirm(&Confirmation::Release(name))?;
            Output::Spend(services.budgets.release(name, principal)?)
        }
        Command::Resume { name, replace } => {
            project(services.projects.resume_replacing(name, replacing(*replace), principal)?)
        }
        Command::Rotate { name, replace } => {
            project(services.projects.rotate_replacing(name, replacing(*replace), principal)?)
        }
        Command::Scan(scan) => Output::Scanned(leaks::scan(services, scan, principal, interaction)?),
        Command::Spend(month) => Output::Spend(services.budgets.spend(*month)?),
        Command::Suspend(Target::All) => Output::Outcomes(services.projects.suspend_all(principal)?),
        Command::Suspend(Target::Everywhere) => Output::OutcomesEverywhere(
            services.everywhere(true, |elsewhere| elsewhere.projects.suspend_all(principal))?,
        ),
        Command::Suspend(Target::Project(name)) => project(services.projects.suspend(name, principal)?),
        Command::Teardown(target) => {
            interaction.confirm(&Confirmation::Teardown(target))?;
            teardown(services, target, principal)?
        }
        Command::VerifyAudit => Output::Proof(services.audit.verify()?),
        Command::Workspaces => Output::Workspaces(services.workspaces.all()?),
    })
}

/// Records a connection after the person has seen it and agreed.
fn connect(services: &Provisioner, principal: &Principal, interaction: &dyn Interaction) -> Result<Output, Error> {
    let plan = services.connections.plan()?;
    let mut missing = plan.missing();
    let Some(target) = plan.target() else { return Ok(Output::ConnectionPlan { plan: Box::new(plan), missing }) };
    match interaction.confirm(&Confirmation::Connect(&plan)) {
        Ok(()) => Ok(Output::Connected(Box::new(services.connections.record(&target, principal)?))),
        Err(Error::NotConfirmed { asked: false }) => {
            missing.push(Missing::Confirmation);
            Ok(Output::ConnectionPlan { plan: Box::new(plan), missing })
        }
        Err(error) => Err(error),
    }
}

fn project(state: ProjectState) -> Output {
    Output::Project(Box::new(state))
}

fn teardown(services: &Provisioner, target: &Target, principal: &Principal) -> Result<Output, Error> {
    Ok(match target {
        Target::All => Output::Outcomes(services.projects.teardown_all(principal)?),
        Target::Everywhere => Output::OutcomesEverywhere(
            services.everywhere(true, |elsewhere| elsewhere.projects.teardown_all(principal))?,
        ),
        Target::Project(name) => project(services.projects.teardown(name, principal)?),
    })
}

/// Decides a request, after it was read back to the person who decides.
fn decide(
    services: &Provisioner,
    id: &ApprovalId,
    answer: Answer,
    principal: &Principal,
    interaction: &dyn Interaction,
) -> Result<Output, Error> {
    let approval = services.approvals.undecided(id, answer)?;
    interaction.confirm(&Confirmation::Decide { approval: &approval, answer })?;
    Ok(Output::Decided(Box::new(services.approvals.decide(id, answer, principal)?)))
}

/// Accepts a head record that does not fit, if there is one and the person confirms it.
fn accept_audit(
    services: &Provisioner,
    principal: &Principal,
    interaction: &dyn Interaction,
) -> Result<AuditProof, Error> {
    match services.audit.verify() {
        Err(Error::AuditBroken { broken }) if broken.may_be_accepted() => {
            interaction.confirm(&Confirmation::AcceptAudit(&broken))?;
            services.audit.accept(principal)
        }
        proof => proof,
    }
}

/// Accepts a clock that went back, if the person confirms it. A refusal leaves the other repairs to be made.
fn accept_clock(services: &Provisioner, principal: &Principal, interaction: &dyn Interaction) -> Result<(), Error> {
    // A ledger that cannot be read is among the findings of the check.
    if let Ok(Some((now, seen))) = services.budgets.clock_behind()
        && interaction.confirm(&Confirmation::AcceptClock { now, seen }).is_ok()
    {
        services.budgets.reset_clock(principal)?;
    }
    Ok(())
}

fn reap(services: &Provisioner, principal: &Principal) -> Result<Output, Error> {
    let mut outcomes = services.lifetimes.reap(principal)?;
    let usage_error = match services.caps.enforce(principal) {
        Ok(suspended) => {
            outcomes.extend(suspended);
            None
        }
        Err(error) => Some(error),
    };
    Ok(Output::Reaped { outcomes, usage_error })
}

fn read(services: &Provisioner, resource: &Resource) -> Result<Output, Error> {
    Ok(match resource {
        Resource::Audit => {
            let filter = AuditFilter { own_workspace: true, limit: AUDIT_ROWS, ..AuditFilter::default() };
            Output::AuditRows(services.audit.entries(&filter)?)
        }
        Resource::Project(name) => {
            project(services.projects.show(name)?.ok_or(Error::ProjectNotFound { torn_down: false })?)
        }
        Resource::Projects => Output::Projects(services.projects.list(&Listing::first(Visibility::Live))?),
        Resource::Providers => Output::Providers(services.ports.registry()?),
    })
}

/// How many rows the audit resource shows.
const AUDIT_ROWS: usize = 50;
