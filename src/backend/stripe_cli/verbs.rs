//! The verbs of `stripe projects` that we need, each as it is said, one after another under one lock.

use std::{path::Path, time::Duration};

use serde_json::{Map, Value};

use super::{
    Timeouts,
    cli_error::{CliError, Invocation},
    envelope,
    runner::{Call, Output, RunError, Runner},
    services::Rows,
};
use crate::{
    backend::{BackendError, Setup},
    fs::Lock,
    money::Cents,
    name::ServiceRef,
};

/// `stripe`, while nobody else of this workspace uses it.
pub struct Stripe<'a> {
    pub runner: &'a Runner,
    pub lock: Lock,
    pub folder: &'a Path,
    pub timeouts: Timeouts,
}

impl Stripe<'_> {
    /// # Errors
    /// [`CliError`], as of every verb here.
    pub async fn status(&self) -> Result<Value, CliError> {
        self.ask("status", &[]).await
    }

    /// Every service and plan there is, of an answer that would have shown each.
    ///
    /// # Errors
    /// [`BackendError::Malformed`] when the answer proves nothing; else as of any verb that changes nothing.
    pub async fn services(&self) -> Result<Rows, BackendError> {
        let verb = "services list";
        Rows::read(&self.ask(verb, &[]).await.map_err(|cli_error| cli_error.for_read(self.asked(verb, None)))?)
    }

    pub async fn catalog(&self, provider: &str) -> Result<Value, BackendError> {
        let verb = "catalog";
        self.ask(verb, &[provider]).await.map_err(|cli_error| cli_error.for_read(self.asked(verb, Some(provider))))
    }

    pub async fn spend(&self, provider: &str) -> Result<Value, CliError> {
        self.ask_for("spend", &[provider], self.timeouts.verb.min(SPEND_PATIENCE)).await
    }

    pub async fn init(&self, name: &str) -> Result<Value, CliError> {
        let flags = ["--mode", "manual", "--skip-install", "--skip-skills", "--accept-tos", "--yes"];
        self.ask("init", &[&[name], &flags[..]].concat()).await
    }

    pub async fn pull(&self, project: &str) -> Result<Value, CliError> {
        self.ask("pull", &[project, "--skip-skills", "--yes"]).await
    }

    pub async fn create_environment(&self, name: &str, file: &str) -> Result<Value, CliError> {
        self.ask("env create", &[name, "--output", file]).await
    }

    pub async fn use_environment(&self, name: &str) -> Result<Value, CliError> {
        self.ask("env use", &[name]).await
    }

    /// Writes the active environment's file.
    pub async fn pull_variables(&self) -> Result<Value, CliError> {
        self.ask("env", &["--pull"]).await
    }

    pub async fn limit(&self, provider: &str, limit: Cents) -> Result<Value, CliError> {
        self.ask("billing update", &["--limit", &limit.to_string(), "--provider", provider, "--yes"]).await
    }

    /// Creates a service or a plan; not idempotent. `paid`: somebody has said that it may bill.
    pub async fn add(
        &self,
        service: &ServiceRef,
        name: &str,
        config: &Map<String, Value>,
        paid: bool,
    ) -> Result<Value, CliError> {
        let config = Value::Object(config.clone()).to_string();
        let mut arguments = vec![service.as_str(), "--name", name, "--config", &config, "--accept-tos", "--yes"];
        if paid {
            arguments.push("--confirm-paid-service");
        }
        self.ask("add", &arguments).await
    }

    pub async fn rotate(&self, name: &str) -> Result<Value, CliError> {
        self.ask("rotate", &[name, "--yes"]).await
    }

    pub async fn remove(&self, name: &str) -> Result<Value, CliError> {
        self.ask("remove", &[name, "--yes"]).await
    }

    /// For what an error says of a verb.
    pub fn asked<'b>(&'b self, verb: &'b str, provider: Option<&'b str>) -> Invocation<'b> {
        Invocation { verb, provider, folder: self.folder }
    }

    async fn ask(&self, verb: &str, arguments: &[&str]) -> Result<Value, CliError> {
        self.ask_for(verb, arguments, self.timeouts.verb).await
    }

    async fn ask_for(&self, verb: &str, arguments: &[&str], timeout: Duration) -> Result<Value, CliError> {
        let mut words: Vec<&str> = vec!["projects"];
        words.extend(verb.split(' '));
        words.extend_from_slice(arguments);
        words.push("--json");
        match envelope::data(self.run(&words, timeout).await) {
            Err(CliError::NoPlugin) => Err(self.why_no_plugin().await),
            told => told,
        }
    }

    /// Plugin absent and logged out look the same; too old does not.
    async fn why_no_plugin(&self) -> CliError {
        let version = envelope::version(self.run(&["--version"], VERSION_TIMEOUT).await);
        let too_old = version.is_some_and(|version| is_too_old(&version));
        CliError::NotSetUp(if too_old { Setup::CliTooOld } else { Setup::LoggedOut })
    }

    async fn run(&self, arguments: &[&str], timeout: Duration) -> Result<Output, RunError> {
        self.runner.run(Call { arguments, lock: &self.lock, timeout }).await
    }
}

pub fn is_too_old(version: &[u32]) -> bool {
    version < OLDEST_WITH_PROJECTS
}

/// Major and minor.
const OLDEST_WITH_PROJECTS: &[u32] = &[1, 40];

pub const VERSION_TIMEOUT: Duration = Duration::from_secs(3);

/// What a list is not worth waiting for any longer.
const SPEND_PATIENCE: Duration = Duration::from_secs(5);
