//! Usage by hand: how a simulated project comes to its cap.

use std::iter;

use serde_json::json;

use super::{Principal, Provisioner};
use crate::{
    error::Error,
    ledger::Verdict,
    money::MicroUsd,
    name::ProjectName,
    view::{ProjectView, Sight},
};

impl Provisioner {
    /// Adds usage to a live project. At the cap, the backend suspends it.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`]; the backend's refusal for what is suspended, or metered by its provider.
    pub fn record_usage(
        &self,
        name: &ProjectName,
        amount: MicroUsd,
        principal: &Principal,
    ) -> Result<ProjectView, Error> {
        let _lock = self.lock_project(name)?;
        let project = self.live(name)?.ok_or_else(|| self.missing(name))?;
        let resource = project.resource.as_ref().ok_or_else(|| self.missing(name))?;
        let detail = json!({ "micro_usd": amount.micro_usd() });
        let event = self.event(principal, "usage record", Verdict::Intended, detail);
        self.ledger.audit().note(&event, Some(name))?;
        let observed = self.wait(self.backend.record_usage(resource, amount))?;
        self.observe_usage(iter::once((&project, &observed)));
        let shares = self.sharing()?.contains(project.service.provider());
        Ok(ProjectView::new(&project, Sight::Seen(&observed), &*self.backend, shares))
    }
}
