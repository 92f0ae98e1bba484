//! Parses the arguments of a command, each of them once.

use domain::{
    budget::Month,
    clock::{Timestamp, moment},
    name::ProjectName,
};
use serde_json::json;

use super::{
    arguments::{Audit, Commands, OneOrMany, Providers, Scan, Usage, Workspaces},
    budget_arguments::{Budget, Spend},
};
use crate::{
    app::{self, Action, Command, Fields, Rejected, Target},
    error::Error,
    provisioner::{AuditFilter, BudgetLimits, Search},
    settings,
};

/// Parses a command; times that count from now count from `now`.
///
/// # Errors
/// [`Rejected`] with the first argument that cannot be parsed.
pub fn parse(command: Commands, now: Timestamp) -> Result<Command, Rejected> {
    match command {
        Commands::Abandon { name } => named(Action::Abandon, &name, Command::Abandon),
        Commands::Approvals { clear: true } => Ok(Command::ClearApprovals),
        Commands::Approvals { clear: false } => Ok(Command::Approvals),
        Commands::Approve { id } => {
            let mut fields = Fields::new(Action::Approve);
            let id = fields.approval(&id);
            fields.finish(id.map(Command::Approve))
        }
        Commands::Audit(Audit { accept: true, .. }) => Ok(Command::AcceptAudit),
        Commands::Audit(Audit { verify: true, .. }) => Ok(Command::VerifyAudit),
        Commands::Audit(audit) => filter(&audit, now),
        Commands::Budget(Budget { amount, max_live, max }) => {
            let mut fields = Fields::new(Action::Budget { write: true });
            let monthly_budget = amount.map(|amount| fields.limit(&amount));
            let monthly_max = max.map(|max| fields.limit(&max));
            let (monthly_budget, monthly_max) = (monthly_budget.flatten(), monthly_max.flatten());
            let limits = BudgetLimits { monthly_budget, monthly_max, max_live_projects: max_live };
            fields.finish(Some(Command::Budget(limits)))
        }
        Commands::Cap { name, amount } => {
            let mut fields = Fields::new(Action::Cap);
            let (name, cap) = (fields.name(&name), fields.cap(&amount));
            fields.finish(name.zip(cap).map(|(name, cap)| Command::Cap { name, cap }))
        }
        Commands::Connect { .. } => Ok(Command::Connect),
        Commands::Deny { id } => {
            let mut fields = Fields::new(Action::Deny);
            let id = fields.approval(&id);
            fields.finish(id.map(Command::Deny))
        }
        Commands::Doctor { repair, everywhere } => Ok(Command::Doctor { repair, everywhere }),
        Commands::Extend { name, time } => {
            let mut fields = Fields::new(Action::Extend);
            let (name, lifetime) = (fields.name(&name), fields.lifetime("time", &time));
            fields.finish(name.zip(lifetime).map(|(name, lifetime)| Command::Extend { name, lifetime }))
        }
        Commands::Keep { name } => named(Action::Keep, &name, Command::Keep),
        Commands::List { all, everywhere } => Ok(Command::List { torn_down: all, everywhere }),
        Commands::Providers { command: None } => Ok(Command::Providers),
        Commands::Providers { command: Some(Providers::Check) } => Ok(Command::CheckProviders),
        Commands::Provision { name, provider, cap, expires_in, replace } => {
            let mut fields = Fields::new(Action::Provision);
            let (name, provider, cap) = (fields.name(&name), fields.provider(&provider), fields.cap(&cap));
            let lifetime = expires_in.and_then(|time| fields.lifetime("expires_in", &time));
            fields.fact("replace", json!(replace));
            let provision = name.zip(provider).zip(cap).map(|((name, provider), cap)| {
                Command::Provision(app::Provision { name, provider, cap: Some(cap), lifetime, replace: Some(replace) })
            });
            fields.finish(provision)
        }
        Commands::Reap { after, .. } => {
            let mut fields = Fields::new(Action::Reap);
            let after = after.and_then(|time| fields.unlisted(domain::lifetime::Lifetime::parse(&time)));
            fields.finish(Some(Command::Reap { after }))
        }
        Commands::Resume { name, replace } => named(Action::Resume, &name, |name| Command::Resume { name, replace }),
        Commands::Rotate { name, replace } => named(Action::Rotate, &name, |name| Command::Rotate { name, replace }),
        Commands::Scan(Scan { paths, agents, rotate, everywhere, watch }) => {
            let places = if agents { settings::homes().transcripts() } else { Vec::new() };
            Ok(Command::Scan(app::Scan { search: Search { paths, places, everywhere }, rotate, watch }))
        }
        Commands::Spend(Spend { release: Some(name), .. }) => named(Action::Release, &name, Command::Release),
        Commands::Spend(Spend { month, release: None }) => {
            let mut fields = Fields::new(Action::Spend);
            let month = month.and_then(|text| fields.unlisted(Month::parse(&text).ok_or(Error::InvalidMonth)));
            fields.finish(Some(Command::Spend(month)))
        }
        Commands::Suspend(target) => targeted(Action::Suspend, &target, Command::Suspend),
        Commands::Teardown(target) => targeted(Action::Teardown, &target, Command::Teardown),
        Commands::Usage { command: Usage::Record { name, amount } } => {
            let mut fields = Fields::new(Action::RecordUsage);
            let (name, amount) = (fields.name(&name), fields.usage(&amount));
            fields.finish(name.zip(amount).map(|(name, amount)| Command::RecordUsage { name, amount }))
        }
        Commands::Workspaces { command: None } => Ok(Command::Workspaces),
        Commands::Workspaces { command: Some(Workspaces::Move { old, new }) } => {
            Ok(Command::MoveWorkspace { old, new })
        }
        Commands::Workspaces { command: Some(Workspaces::Detach { workspace }) } => {
            Ok(Command::DetachWorkspace(workspace))
        }
        // Tasks of their own, which `super::parse` has taken out.
        Commands::Completions { .. } | Commands::Man { .. } | Commands::Serve(_) | Commands::Setup { .. } => {
            Fields::new(Action::UnreadableCommand).finish(None)
        }
        #[cfg(feature = "simulator")]
        Commands::Simulator { .. } => Fields::new(Action::UnreadableCommand).finish(None),
    }
}

fn named(action: Action, name: &str, command: impl FnOnce(ProjectName) -> Command) -> Result<Command, Rejected> {
    let mut fields = Fields::new(action);
    let name = fields.name(name);
    fields.finish(name.map(command))
}

fn targeted(action: Action, many: &OneOrMany, command: impl FnOnce(Target) -> Command) -> Result<Command, Rejected> {
    match &many.target.name {
        Some(name) => named(action, name, |name| command(Target::Project(name))),
        None if many.everywhere => Ok(command(Target::Everywhere)),
        None => Ok(command(Target::All)),
    }
}

fn filter(audit: &Audit, now: Timestamp) -> Result<Command, Rejected> {
    let mut fields = Fields::new(Action::Audit);
    let project = audit.project.as_deref().and_then(|name| fields.unlisted(ProjectName::parse(name)));
    let mut time =
        |text: Option<&str>| text.and_then(|text| fields.unlisted(moment(text, now).ok_or(Error::InvalidTime)));
    let (since, until) = (time(audit.since.as_deref()), time(audit.until.as_deref()));
    let (actor, outcome, limit) = (audit.actor.clone(), audit.outcome.clone(), audit.limit);
    fields.finish(Some(Command::Audit(AuditFilter {
        project,
        actor,
        since,
        until,
        outcome,
        own_workspace: false,
        limit,
    })))
}
