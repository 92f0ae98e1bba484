//! The commands of `stripe projects`, run one after another under one lock.

use std::{path::Path, time::Duration};

use domain::{money::Cents, name::ServiceRef};
use files::fs::Lock;
use serde_json::{Map, Value};

use super::{
    Timeouts,
    cli_error::{CliError, Invocation},
    envelope,
    runner::{CliCall, CliOutput, RunError, Runner},
    services::ServiceList,
};
use crate::{BackendError, Setup};

/// `stripe`, locked for this workspace.
pub struct Stripe<'a> {
    pub runner: &'a Runner,
    pub lock: Lock,
    pub folder: &'a Path,
    /// Where an ordinary call notes its process group; `None` for a kill, which no other kill ends.
    pub running: Option<&'a Path>,
    pub timeouts: Timeouts,
}

impl Stripe<'_> {
    pub async fn status(&self) -> Result<Value, CliError> {
        self.run("status", &[]).await
    }

    /// Lists the account's projects.
    pub async fn projects(&self) -> Result<Value, CliError> {
        self.run("list", &[]).await
    }

    /// Lists every service and plan.
    ///
    /// # Errors
    /// [`BackendError::Malformed`] if the list may be incomplete.
    pub async fn services(&self) -> Result<ServiceList, BackendError> {
        let verb = "services list";
        ServiceList::read(
            &self.run(verb, &[]).await.map_err(|cli_error| cli_error.for_read(self.invocation(verb, None)))?,
        )
    }

    pub async fn catalog(&self, provider: &str) -> Result<Value, BackendError> {
        let verb = "catalog";
        self.run(verb, &[provider]).await.map_err(|cli_error| cli_error.for_read(self.invocation(verb, Some(provider))))
    }

    pub async fn spend(&self, provider: &str) -> Result<Value, CliError> {
        self.run_within("spend", &[provider], self.timeouts.verb.min(SPEND_TIMEOUT)).await
    }

    pub async fn init(&self, name: &str) -> Result<Value, CliError> {
        let flags = ["--mode", "manual", "--skip-install", "--skip-skills", "--accept-tos", "--yes"];
        self.run("init", &[&[name], &flags[..]].concat()).await
    }

    pub async fn pull(&self, project: &str) -> Result<Value, CliError> {
        self.run("pull", &[project, "--skip-skills", "--yes"]).await
    }

    pub async fn create_environment(&self, name: &str, file: &str) -> Result<Value, CliError> {
        self.run("env create", &[name, "--output", file]).await
    }

    pub async fn use_environment(&self, name: &str) -> Result<Value, CliError> {
        self.run("env use", &[name]).await
    }

    /// Writes the active environment's file.
    pub async fn pull_variables(&self) -> Result<Value, CliError> {
        self.run("env", &["--pull"]).await
    }

    pub async fn limit(&self, provider: &str, limit: Cents) -> Result<Value, CliError> {
        self.run("billing update", &["--limit", &limit.to_string(), "--provider", provider, "--yes"]).await
    }

    /// Creates a service or a plan; not idempotent. `paid` confirms that it may bill.
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
        self.run("add", &arguments).await
    }

    pub async fn rotate(&self, name: &str) -> Result<Value, CliError> {
        self.run("rotate", &[name, "--yes"]).await
    }

    pub async fn remove(&self, name: &str) -> Result<Value, CliError> {
        self.run("remove", &[name, "--yes"]).await
    }

    /// Describes a command for its errors.
    pub fn invocation<'b>(&'b self, verb: &'b str, provider: Option<&'b str>) -> Invocation<'b> {
        Invocation { verb, provider, folder: self.folder }
    }

    async fn run(&self, verb: &str, arguments: &[&str]) -> Result<Value, CliError> {
        self.run_within(verb, arguments, self.timeouts.verb).await
    }

    async fn run_within(&self, verb: &str, arguments: &[&str], timeout: Duration) -> Result<Value, CliError> {
        let mut all: Vec<&str> = vec!["projects"];
        all.extend(verb.split(' '));
        all.extend_from_slice(arguments);
        all.push("--json");
        match envelope::data(self.start(&all, timeout).await) {
            Err(CliError::NoPlugin) => Err(self.why_no_plugin().await),
            result => result,
        }
    }

    /// A missing plugin and a missing login look the same; an old version does not.
    async fn why_no_plugin(&self) -> CliError {
        let version = envelope::version(self.start(&["--version"], VERSION_TIMEOUT).await);
        let too_old = version.is_some_and(|version| is_too_old(&version));
        CliError::NotSetUp(if too_old { Setup::CliTooOld } else { Setup::LoggedOut })
    }

    async fn start(&self, arguments: &[&str], timeout: Duration) -> Result<CliOutput, RunError> {
        self.runner.run(CliCall { arguments, lock: &self.lock, running: self.running, timeout }).await
    }
}

pub fn is_too_old(version: &[u32]) -> bool {
    version < OLDEST_WITH_PROJECTS
}

/// Major and minor.
const OLDEST_WITH_PROJECTS: &[u32] = &[1, 40];

pub const VERSION_TIMEOUT: Duration = Duration::from_secs(3);

/// A list does not wait longer for usage.
const SPEND_TIMEOUT: Duration = Duration::from_secs(5);
