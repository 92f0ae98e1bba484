//! Provision: a capped project whose key is in the env file.

use serde_json::json;

use super::{Caller, Provisioner, Step, settle::Settled};
use crate::{
    backend::Order,
    env_file::{EnvFileError, Preflight, Replace},
    error::Error,
    ledger::{Draft, Grant, Intent, Live, Verdict},
    money::Cents,
    name::{EnvVar, ProjectName, ProviderKey},
    policy::{self, Committed, Decision},
    project::{Delivery, ProjectId},
    registry::{Policy, Provider},
    view::ProjectView,
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub name: ProjectName,
    pub provider: ProviderKey,
    /// Zero is the provider's default.
    pub cap: Cents,
    pub replace: Replace,
}

impl Provisioner {
    /// Provisions, and returns the project with its key masked; the key itself is in the env file.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] with the live project of that name; a rule's, the registry's or the env file's
    /// before anything is spent; [`Error::NotDelivered`] and [`Error::OutcomeUnknown`] when it may have been.
    pub fn provision(&self, wanted: &Wanted, caller: &Caller) -> Result<ProjectView, Error> {
        let _lock = self.lock_patiently(&wanted.name)?;
        let prepared = self.prepare(wanted, caller);
        let (mut intent, order, excluded) =
            prepared.map_err(|error| self.refused(caller, ACTION, &wanted.name, error))?;
        self.step(Step::Intended);

        let answer = self.act(&mut intent, self.backend.provision(&order));
        self.step(Step::Acted);
        let project = match answer {
            Ok(service) => self.deliver(intent, &service.resource, &service.credentials, wanted.replace, caller)?,
            Err(error) => self.resolve(intent, error, caller)?,
        };
        let mut view = self.view(&project);
        if excluded {
            view.next.push_str(" Git would have committed that file, so it was added to .git/info/exclude.");
        }
        Ok(view)
    }

    /// Everything before money is spent, ending in the recorded intent.
    fn prepare(&self, wanted: &Wanted, caller: &Caller) -> Result<(Intent, Order, bool), Error> {
        let registry = self.registry.read()?;
        let provider = registry.get(&wanted.provider).ok_or_else(|| Error::UnknownProvider {
            closest: registry.closest(wanted.provider.as_str()).cloned(),
            known: registry.providers().map(|provider| provider.key.clone()).collect(),
        })?;
        if let Some(project) = self.live(&wanted.name)? {
            // What a dead process left of this name comes first: it may be the very project that is asked for.
            if let Some(Settled::Open { why }) = self.settle_open(&project, caller)? {
                return Err(why);
            }
            if let Some(project) = self.live(&wanted.name)? {
                return Err(Error::AlreadyExists { project: Box::new(self.view(&project)) });
            }
        }
        // Asked again inside the transaction; here so that a refusal comes before the preflight leaves a line for git.
        capped(wanted, provider, &registry.policy, self.ledger.totals()?, caller)?;
        let preflight = self.env_file.preflight()?;
        self.step(Step::Checked);

        let draft = Draft {
            id: ProjectId::random()?,
            name: wanted.name.clone(),
            provider: provider.key.clone(),
            service: provider.service.clone(),
            backend: self.backend.name().to_owned(),
            env_file: self.env_file.path().to_owned(),
        };
        let detail = json!({
            "provider": provider.key.as_str(), "asked_cents": wanted.cap.cents(), "decision": "allowed"
        });
        let event = self.event(caller, ACTION, Verdict::Intended, detail);
        let intent = self.ledger.begin_provision(draft, &event, |live| {
            self.grant(live, wanted, provider, &registry.policy, &preflight, caller)
        })?;
        let order = order(&intent, provider, self.accept_terms);
        Ok((intent, order, preflight.excluded_now))
    }

    /// Decides inside the transaction, so that what it counts is still true when the project is written.
    fn grant(
        &self,
        live: &Live<'_>,
        wanted: &Wanted,
        provider: &Provider,
        policy: &Policy,
        preflight: &Preflight,
        caller: &Caller,
    ) -> Result<Grant, Error> {
        let cap = capped(wanted, provider, policy, live.totals()?, caller)?;
        let deliveries = provider.deliveries.iter().map(|delivery| {
            let env_var = self.free_variable(live, wanted, &delivery.env_var, preflight)?;
            Ok(Delivery { env_var, credential: delivery.credential.clone() })
        });
        Ok(Grant { cap, deliveries: deliveries.collect::<Result<_, Error>>()? })
    }

    /// The registry's variable; `<NAME>_<ENV_VAR>` when another live project of ours writes that one.
    fn free_variable(
        &self,
        live: &Live<'_>,
        wanted: &Wanted,
        usual: &EnvVar,
        preflight: &Preflight,
    ) -> Result<EnvVar, Error> {
        let path = self.env_file.path();
        let taken = |variable: &EnvVar| EnvFileError::Taken { variable: variable.clone(), path: path.to_owned() };
        let variable = if live.holds(path, usual)? { wanted.name.prefixed(usual)? } else { usual.clone() };
        if live.holds(path, &variable)? {
            return Err(taken(&variable).into());
        }
        preflight.rehearse(&variable)?;
        match preflight.holds(&variable) {
            Some(value) if wanted.replace == Replace::OursOnly && !live.is_spent(&value)? => {
                Err(taken(&variable).into())
            }
            _ => Ok(variable),
        }
    }
}

/// The cap that policy allows.
fn capped(
    wanted: &Wanted,
    provider: &Provider,
    policy: &Policy,
    (projects, caps): (u64, Cents),
    caller: &Caller,
) -> Result<Cents, Error> {
    match policy::decide(wanted.cap, caller.asker, provider, policy, Committed { projects, caps }) {
        Decision::Allowed { cap } => Ok(cap),
        Decision::Refused(rule) => Err(rule.into()),
        Decision::NeedsApproval { asked, default, maximum } => {
            let (name, provider) = (wanted.name.clone(), provider.key.clone());
            Err(Error::CapAboveDefault { name, provider, asked, default, maximum })
        }
    }
}

fn order(intent: &Intent, provider: &Provider, accept_terms: bool) -> Order {
    Order {
        id: intent.project.id.clone(),
        name: intent.project.name.clone(),
        service: provider.service.clone(),
        plan: provider.plan.clone(),
        config: provider.config.clone(),
        credentials: provider.deliveries.iter().filter_map(|delivery| delivery.credential.clone()).collect(),
        cap: intent.project.cap,
        paid: provider.paid,
        terms_accepted: accept_terms || provider.terms_accepted,
    }
}

const ACTION: &str = "provision";
