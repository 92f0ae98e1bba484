//! What a look at the house needs: where things are, what the backend shows, and a key delivered once more.

use std::{path::Path, time::Duration};

use serde_json::json;

use super::{Principal, Provisioner, make_state_folder};
use crate::{
    backend::{BackendError, Observed, Scope},
    env_file::{EnvFile, Replace},
    error::Error,
    ledger::Verdict,
    name::{EnvVar, ProjectName},
    project::{Project, Status},
    registry::{CeilingFile, RegistryFile},
    secret::{Fingerprint, Secret},
};

impl Provisioner {
    pub fn backend_name(&self) -> &'static str {
        self.backend.name()
    }

    /// Where keys of new projects go.
    pub fn env_file(&self) -> &Path {
        self.env_file.path()
    }

    pub fn state(&self) -> &Path {
        &self.state
    }

    pub fn registry_file(&self) -> &RegistryFile {
        &self.registry
    }

    pub fn ceiling_file(&self) -> &CeilingFile {
        &self.ceiling
    }

    /// The folder that the agent works in, and can edit.
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// The program that the backend works through, with its version, if it is one with such a program.
    ///
    /// # Errors
    /// When there is no such program, or it does not say.
    pub fn backend_version(&self) -> Result<Option<String>, BackendError> {
        self.wait(self.backend.version())
    }

    /// Asks the backend what there is.
    ///
    /// # Errors
    /// The backend's.
    pub fn observe(&self, scope: Scope<'_>) -> Result<Vec<Observed>, BackendError> {
        self.wait(self.backend.observe(scope))
    }

    /// Whether a living process is at work on a project.
    ///
    /// # Errors
    /// When the state folder cannot be used.
    pub fn is_busy(&self, name: &ProjectName) -> Result<bool, Error> {
        Ok(self.lock(name, Duration::ZERO)?.is_none())
    }

    /// Makes the state folder what it has to be: there, and ignored by git.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn guard_state(&self) -> Result<(), Error> {
        make_state_folder(&self.state.join("locks"), &self.state.join(".gitignore"))
    }

    /// Writes the current key of an active project to its variable once more, as the backend reveals it. A value that
    /// is not ours is not overwritten, and a key that was never recorded is not delivered.
    ///
    /// # Errors
    /// [`Error::KeyNotRecorded`] when the backend holds another key than the ledger knows; else the backend's or the
    /// env file's. Nothing was changed then.
    pub fn deliver_again(&self, name: &ProjectName, principal: &Principal) -> Result<(), Error> {
        let _lock = self.lock_project(name)?;
        let project = self.live(name)?.ok_or_else(|| self.missing(name))?;
        if project.status != Status::Active {
            return Err(Error::ProjectBusy);
        }
        let intended = self.event(principal, ACTION, Verdict::Intended, json!({}));
        self.ledger.audit().note(&intended, Some(name))?;
        let delivered = self.reveal_and_write(&project);
        let (verdict, detail) = match &delivered {
            Ok(()) => (Verdict::Done, json!({ "key_version": project.key_version })),
            Err(error) => (Verdict::Failed, json!({ "code": error.code() })),
        };
        self.ledger.audit().note(&self.event(principal, ACTION, verdict, detail), Some(name))?;
        delivered
    }

    fn reveal_and_write(&self, project: &Project) -> Result<(), Error> {
        let env_file = EnvFile::new(project.env_file.clone());
        env_file.preflight()?;
        let resource = project.resource.as_ref().ok_or(BackendError::NotFound)?;
        let credentials = self.wait(self.backend.reveal(resource))?;
        let names = project.deliveries.iter().map(|delivery| delivery.credential.as_deref());
        let picked: Vec<&Secret> = names.map(|name| credentials.pick(name)).collect::<Result<_, _>>()?;
        let found: Vec<Fingerprint> = picked.iter().map(|secret| secret.fingerprint()).collect();
        if found != self.ledger.issued_keys().current_fingerprints(project)? {
            return Err(Error::KeyNotRecorded { name: project.name.clone() });
        }
        let variables = project.deliveries.iter().map(|delivery| &delivery.env_var);
        let pairs: Vec<(&EnvVar, &Secret)> = variables.zip(picked).collect();
        env_file.deliver(&pairs, Replace::OursOnly, |found| self.recognise(found))
    }
}

const ACTION: &str = "deliver";
