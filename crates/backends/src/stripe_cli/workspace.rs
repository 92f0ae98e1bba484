//! The private folder in which `stripe` runs, its project at Stripe, and our environment in it.
//!
//! The project is named after a random id that is noted before the project is made, and its own id is noted once it is
//! known. A folder of any other project is refused, never adopted.

use std::path::{Path, PathBuf};

use domain::{
    project::{ResourceId, random_hex},
    safe_url::SafeUrl,
};
use files::{
    dotenv::EnvText,
    fs::{self, FsError},
};
use serde_json::Value;

use super::{
    services::{ServiceList, ServiceRow},
    variables,
    verbs::Stripe,
};
use crate::{BackendError, BackendNotes, Credentials, Setup};

/// Our project at Stripe, as `status` showed it last.
pub struct Workspace<'a> {
    pub stripe: &'a Stripe<'a>,
    notes: &'a dyn BackendNotes,
    status: Value,
}

/// Whether anything was ever begun here. If not, there is nothing to observe, and nothing is run.
pub fn has_begun(notes: &dyn BackendNotes, folder: &Path) -> Result<bool, BackendError> {
    Ok(ProjectNotes::read(notes)?.name.is_some() || folder.join(STATE_FOLDER).exists())
}

impl<'a> Workspace<'a> {
    /// Finds our project. A lost or half-written folder is pulled again from Stripe; nothing else changes.
    ///
    /// # Errors
    /// [`Setup::OtherProject`], [`Setup::WrongAccount`]
    pub async fn find(stripe: &'a Stripe<'a>, notes: &'a dyn BackendNotes) -> Result<Option<Self>, BackendError> {
        if !has_begun(notes, stripe.folder)? {
            return Ok(None);
        }
        let known = ProjectNotes::read(notes)?.project;
        let is_complete = is_state_complete(stripe.folder)?;
        if let (Some(id), false) = (&known, is_complete) {
            return Self::pull(stripe, notes, id).await.map(Some);
        }
        let status = match stripe.status().await {
            Ok(status) => status,
            Err(cli_error) if cli_error.code().is_some_and(|code| NO_PROJECT.contains(&code)) => Value::Null,
            Err(cli_error) if cli_error.code().is_some() && !is_complete => Value::Null, // an interrupted `init`
            Err(cli_error) => return Err(cli_error.for_read(stripe.invocation("status", None))),
        };
        match (project_of(&status), &known) {
            (Some(_), _) => Self::from_status(stripe, notes, status).map(Some),
            (None, Some(id)) => Self::pull(stripe, notes, id).await.map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Makes our project, with Stripe's terms accepted.
    ///
    /// # Errors
    /// The refusals of `init`, and those of [`Self::find`].
    pub async fn make(stripe: &'a Stripe<'a>, notes: &'a dyn BackendNotes) -> Result<Self, BackendError> {
        // Noted first, so that the project is recognized after a crash.
        let name = notes.put_if_absent(NAME_NOTE, &format!("agent-{}", random_hex::<12>()?))?;
        let refusal = match stripe.init(&name).await {
            Ok(_) => None,
            Err(cli_error) => {
                let is_connected = cli_error.code() == Some(CONNECTED);
                let error = cli_error.for_write(stripe.invocation("init", None));
                if error.is_definite() && !is_connected {
                    return Err(error);
                }
                Some(error)
            }
        };
        // Whatever `init` answered, `status` decides.
        let workspace = Self::find(stripe, notes).await?;
        workspace.ok_or_else(|| match refusal {
            Some(error) => BackendError::Unavailable { why: error.into() },
            None => BackendError::Unavailable { why: "Stripe made a project and does not show it".into() },
        })
    }

    /// Whether the ledger knows our project.
    pub fn is_noted(notes: &dyn BackendNotes) -> Result<bool, BackendError> {
        let known = ProjectNotes::read(notes)?;
        Ok(known.project.is_some() || known.name.is_some())
    }

    /// Finds the project that the folder is connected to, if it has a name of ours. Notes nothing.
    pub async fn find_connected(
        stripe: &'a Stripe<'a>,
        notes: &'a dyn BackendNotes,
    ) -> Result<Option<Self>, BackendError> {
        if !is_state_complete(stripe.folder)? {
            return Ok(None);
        }
        let status = stripe.status().await;
        let status = status.map_err(|cli_error| cli_error.for_read(stripe.invocation("status", None)))?;
        let is_ours = project_of(&status).and_then(|project| project.name).is_some_and(is_our_name);
        Ok(is_ours.then_some(Self { stripe, notes, status }))
    }

    /// Connects the folder to a project of ours that nothing here has noted. Notes nothing.
    pub async fn pull_lost(
        stripe: &'a Stripe<'a>,
        notes: &'a dyn BackendNotes,
        id: &str,
    ) -> Result<Self, BackendError> {
        if !is_plain(id) {
            return Err(BackendError::Malformed { what: "id of a project", got: "not a plain id".to_owned() });
        }
        let pulled = stripe.pull(id).await;
        pulled.map_err(|cli_error| cli_error.for_read(stripe.invocation("pull", None)))?;
        let found = Self::find_connected(stripe, notes).await?;
        found.ok_or_else(|| Setup::OtherProject { folder: stripe.folder.to_owned() }.into())
    }

    /// Notes the project, as if this program had just made it.
    pub fn note_project(&self) -> Result<(), BackendError> {
        let project = project_of(&self.status).ok_or(BackendError::NotFound)?;
        let notes = [(NAME_NOTE, project.name), (PROJECT_NOTE, Some(project.id)), (MERCHANT_NOTE, project.merchant)];
        for (key, value) in notes {
            if let Some(value) = value {
                self.notes.put_if_absent(key, value)?;
            }
        }
        Ok(())
    }

    async fn pull(stripe: &'a Stripe<'a>, notes: &'a dyn BackendNotes, id: &str) -> Result<Self, BackendError> {
        match stripe.pull(id).await {
            Err(cli_error) if cli_error.code() != Some(CONNECTED) => {
                return Err(cli_error.for_read(stripe.invocation("pull", None)));
            }
            _ => {} // `status` tells to which project it is connected
        }
        Self::read(stripe, notes).await
    }

    async fn read(stripe: &'a Stripe<'a>, notes: &'a dyn BackendNotes) -> Result<Self, BackendError> {
        let status = stripe.status().await;
        let status = status.map_err(|cli_error| cli_error.for_read(stripe.invocation("status", None)))?;
        Self::from_status(stripe, notes, status)
    }

    /// Checks that the project is ours, and notes its ids if they are new.
    fn from_status(stripe: &'a Stripe<'a>, notes: &'a dyn BackendNotes, status: Value) -> Result<Self, BackendError> {
        let other = || Setup::OtherProject { folder: stripe.folder.to_owned() };
        let project = project_of(&status).ok_or_else(other)?;
        let known = ProjectNotes::read(notes)?;
        let is_ours = match &known.project {
            Some(id) => *id == project.id,
            None => known.name.is_some() && known.name.as_deref() == project.name,
        };
        if !is_ours {
            return Err(other().into());
        }
        if known.merchant.is_some() && project.merchant.is_some() && known.merchant.as_deref() != project.merchant {
            return Err(Setup::WrongAccount.into());
        }
        if let (None, Some(merchant)) = (&known.merchant, project.merchant) {
            notes.put(MERCHANT_NOTE, merchant)?;
        }
        if known.project.is_none() {
            notes.put(PROJECT_NOTE, project.id)?;
        }
        Ok(Self { stripe, notes, status })
    }

    /// Reads the project again.
    ///
    /// # Errors
    /// As of [`Self::find`].
    pub async fn refresh(&mut self) -> Result<(), BackendError> {
        *self = Self::read(self.stripe, self.notes).await?;
        Ok(())
    }

    /// # Errors
    /// [`BackendError::Malformed`] if the list may be incomplete.
    pub fn services(&self) -> Result<ServiceList, BackendError> {
        ServiceList::read(&self.status)
    }

    /// Returns the service of that id. Its name is safe as an argument.
    ///
    /// # Errors
    /// [`BackendError::NotFound`]; [`BackendError::Malformed`] if the list may be incomplete.
    pub fn service(&self, id: &ResourceId) -> Result<ServiceRow, BackendError> {
        let services = self.services()?;
        let service = services.service_with_id(id)?.ok_or(BackendError::NotFound)?;
        if !is_plain(&service.name) {
            return Err(BackendError::Malformed { what: "name of a service", got: "not a plain name".to_owned() });
        }
        Ok(service.clone())
    }

    /// Returns the page where a person connects the provider, if Stripe names one that is safe to open.
    pub fn link(&self, provider: &str) -> Option<String> {
        let plain = |text: &str| text.replace([' ', '-', '_'], "").to_ascii_lowercase();
        let is_provider = |row: &&Value| {
            let names = ["id", "name"].into_iter().filter_map(|key| row.get(key).and_then(Value::as_str));
            names.into_iter().any(|name| plain(name) == plain(provider))
        };
        let row = self.status.get("providers").and_then(Value::as_array).into_iter().flatten().find(is_provider)?;
        let url = row.get("redirect_url").and_then(Value::as_str)?;
        SafeUrl::parse(url).is_ok_and(|url| url.is_https()).then(|| url.to_owned())
    }

    /// Creates and selects our environment, so that its file is ours to read and to remove.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] if it writes to another file, or cannot be created.
    pub async fn choose_environment(&mut self) -> Result<(), BackendError> {
        let stripe = self.stripe;
        if self.environment().is_none() {
            let result = stripe.create_environment(ENVIRONMENT, PLAIN_COPY).await;
            result.map_err(|cli_error| cli_error.for_read(stripe.invocation("env create", None)))?;
            self.refresh().await?;
        }
        if !self.is_environment_in_use() {
            let result = stripe.use_environment(ENVIRONMENT).await;
            result.map_err(|cli_error| cli_error.for_read(stripe.invocation("env use", None)))?;
            self.refresh().await?;
        }
        let output = self.environment().and_then(|environment| environment.get("output")).and_then(Value::as_str);
        let ours = plain_copy(stripe.folder);
        let is_ours = output.is_none_or(|output| stripe.folder.join(output.trim_start_matches("./")) == ours);
        if self.environment().is_some() && self.is_environment_in_use() && is_ours {
            return Ok(());
        }
        Err(BackendError::Unavailable {
            why: format!("the environment {ENVIRONMENT} was changed by another program").into(),
        })
    }

    fn environment(&self) -> Option<&Value> {
        self.status.get("environments").and_then(|environments| environments.get(ENVIRONMENT))
    }

    fn is_environment_in_use(&self) -> bool {
        self.status.get("active_environment").and_then(Value::as_str) == Some(ENVIRONMENT)
    }

    /// Notes the names of a service's credentials, which Stripe does not store.
    pub fn note_credentials(&self, service: &str, names: &[String]) -> Result<(), BackendError> {
        Ok(self.notes.put(&format!("{CREDENTIALS_NOTE}{service}"), &names.join(" "))?)
    }

    /// Reads the credentials of a service through the file that Stripe writes, which is removed on return.
    ///
    /// # Errors
    /// [`BackendError::Malformed`] if a credential's variable is missing or ambiguous.
    pub async fn credentials(&self, service: &ServiceRow) -> Result<Credentials, BackendError> {
        let names = self.notes.get(&format!("{CREDENTIALS_NOTE}{}", service.name))?.unwrap_or_default();
        let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
        let services = self.services()?;
        let copy = PlainCopy(self.stripe);
        let result = self.stripe.pull_variables().await;
        result.map_err(|cli_error| cli_error.for_read(self.stripe.invocation("env", None)))?;
        let bytes = fs::read(&plain_copy(self.stripe.folder), LONGEST_COPY).map_err(unavailable)?;
        copy.remove()?;
        let bytes = bytes.ok_or_else(|| BackendError::Malformed { what: "variables", got: "no file".to_owned() })?;
        variables::credentials(&EnvText::new(bytes), service, &services, &names)
    }
}

/// The file into which Stripe writes credentials in plain text.
pub fn plain_copy(folder: &Path) -> PathBuf {
    folder.join(PLAIN_COPY)
}

/// Returns the plain copies that exist, in this folder and in those of single accounts below it.
pub fn plain_copies(folder: &Path) -> Vec<PathBuf> {
    let accounts = fs::folders_in(folder).unwrap_or_default();
    let copies = [folder.to_owned()].into_iter().chain(accounts).map(|folder| plain_copy(&folder));
    copies.filter(|copy| copy.symlink_metadata().is_ok()).collect()
}

/// The plain copy, which is removed on drop.
struct PlainCopy<'a>(&'a Stripe<'a>);

impl PlainCopy<'_> {
    fn remove(&self) -> Result<(), BackendError> {
        fs::remove(&plain_copy(self.0.folder)).map_err(unavailable)
    }
}

impl Drop for PlainCopy<'_> {
    fn drop(&mut self) {
        let _ = self.remove(); // the next call removes it first
    }
}

/// The notes that identify our project.
#[derive(Default)]
struct ProjectNotes {
    name: Option<String>,
    project: Option<String>,
    merchant: Option<String>,
}

impl ProjectNotes {
    fn read(notes: &dyn BackendNotes) -> Result<Self, BackendError> {
        Ok(Self { name: notes.get(NAME_NOTE)?, project: notes.get(PROJECT_NOTE)?, merchant: notes.get(MERCHANT_NOTE)? })
    }
}

struct StripeProject<'a> {
    id: &'a str,
    name: Option<&'a str>,
    merchant: Option<&'a str>,
}

fn project_of(status: &Value) -> Option<StripeProject<'_>> {
    let project = status.get("project")?;
    let text = |key: &str| project.get(key).and_then(Value::as_str);
    let id = text("id").filter(|id| is_plain(id))?;
    Some(StripeProject { id, name: text("name"), merchant: text("merchant_id") })
}

/// Whether [`Workspace::make`] gives such a name.
pub fn is_our_name(name: &str) -> bool {
    let digits = name.strip_prefix("agent-").unwrap_or_default();
    digits.len() == 24 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether the state in the folder was written completely.
fn is_state_complete(folder: &Path) -> Result<bool, BackendError> {
    let state = fs::read(&folder.join(STATE_FOLDER).join("state.json"), LONGEST_STATE);
    let bytes = state.map_err(unavailable)?;
    Ok(bytes.is_some_and(|bytes| serde_json::from_slice::<Value>(&bytes).is_ok()))
}

/// Whether a text is a plain name, and not a flag.
fn is_plain(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn unavailable(error: FsError) -> BackendError {
    BackendError::Unavailable { why: error.into() }
}

const ENVIRONMENT: &str = "agent";
const PLAIN_COPY: &str = "credentials.env";
const STATE_FOLDER: &str = ".projects";

const NAME_NOTE: &str = "project-name";
const PROJECT_NOTE: &str = "project";
const MERCHANT_NOTE: &str = "merchant";
const CREDENTIALS_NOTE: &str = "credentials/";

/// Codes for a folder without a project.
const NO_PROJECT: &[&str] = &["NO_PROJECT_CONFIG", "PROJECT_NOT_INITIALIZED"];

/// The code of `init` and `pull` in a folder with a project.
const CONNECTED: &str = "PROJECT_ALREADY_CONNECTED";

/// In bytes.
const LONGEST_COPY: u64 = 1024 * 1024;
const LONGEST_STATE: u64 = 16 * 1024 * 1024;
