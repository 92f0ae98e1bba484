//! The private folder in which `stripe` is run: whose project it speaks of, and the one environment that is ours.
//!
//! The project at Stripe is named after a random id that is noted before the project is made, and its own id is noted
//! once it is known. A folder that speaks of any other project is refused, never adopted.

use std::path::Path;

use serde_json::Value;

use super::{
    NAME,
    services::{Row, Rows},
    variables,
    verbs::Stripe,
};
use crate::{
    backend::{BackendError, Credentials, Setup},
    dotenv::EnvText,
    fs::{self, FsError},
    ledger::Ledger,
    project::{ProjectId, ResourceId},
};

/// Our project at Stripe, as `status` showed it last.
pub struct Workspace<'a> {
    pub stripe: &'a Stripe<'a>,
    ledger: &'a Ledger,
    status: Value,
}

/// Whether anything was ever begun here. If not, there is nothing to look at, and nothing is run.
pub fn is_begun(ledger: &Ledger, folder: &Path) -> Result<bool, BackendError> {
    Ok(Notes::read(ledger)?.name.is_some() || folder.join(STATE_FOLDER).exists())
}

impl<'a> Workspace<'a> {
    /// Our project, if there is one. A lost or half-written folder is pulled again from Stripe; nothing else changes.
    ///
    /// # Errors
    /// [`Setup::OtherProject`], [`Setup::WrongAccount`]; and whatever keeps us from knowing.
    pub async fn find(stripe: &'a Stripe<'a>, ledger: &'a Ledger) -> Result<Option<Self>, BackendError> {
        if !is_begun(ledger, stripe.folder)? {
            return Ok(None);
        }
        let known = Notes::read(ledger)?.project;
        let is_whole = is_whole(stripe.folder)?;
        if let (Some(id), false) = (&known, is_whole) {
            return Self::pulled(stripe, ledger, id).await.map(Some);
        }
        let status = match stripe.status().await {
            Ok(status) => status,
            Err(cli_error) if cli_error.code().is_some_and(|code| NO_PROJECT.contains(&code)) => Value::Null,
            Err(cli_error) if cli_error.code().is_some() && !is_whole => Value::Null, // an `init` that did not get far
            Err(cli_error) => return Err(cli_error.for_read(stripe.asked("status", None))),
        };
        match (project_of(&status), &known) {
            (Some(_), _) => Self::of_status(stripe, ledger, status).map(Some),
            (None, Some(id)) => Self::pulled(stripe, ledger, id).await.map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Makes our project, with the terms accepted.
    ///
    /// # Errors
    /// What `init` says, and as of [`Self::find`].
    pub async fn make(stripe: &'a Stripe<'a>, ledger: &'a Ledger) -> Result<Self, BackendError> {
        let random = ProjectId::random()?;
        let name = format!("agent-{}", random.as_str().trim_start_matches("proj_"));
        let name = ledger.kv().put_note_if_absent(NAME, NAME_NOTE, &name)?; // whoever dies behind this line left a trace
        let told = stripe.init(&name).await;
        let told = told.map_err(|cli_error| (cli_error.code() == Some(CONNECTED), cli_error));
        let refused = match told {
            Ok(_) => None,
            Err((is_connected, cli_error)) => {
                let error = cli_error.for_write(stripe.asked("init", None));
                if error.is_definite() && !is_connected {
                    return Err(error);
                }
                Some(error)
            }
        };
        // What it said is one thing; what there is now is what counts.
        let found = Self::find(stripe, ledger).await?;
        found.ok_or_else(|| match refused {
            Some(error) => BackendError::Unavailable { why: error.to_string() },
            None => BackendError::Unavailable { why: "Stripe made a project and does not show it".to_owned() },
        })
    }

    async fn pulled(stripe: &'a Stripe<'a>, ledger: &'a Ledger, id: &str) -> Result<Self, BackendError> {
        match stripe.pull(id).await {
            Err(cli_error) if cli_error.code() != Some(CONNECTED) => {
                return Err(cli_error.for_read(stripe.asked("pull", None)));
            }
            _ => {} // connected is what it should be, and to what, `status` says
        }
        Self::seen(stripe, ledger).await
    }

    async fn seen(stripe: &'a Stripe<'a>, ledger: &'a Ledger) -> Result<Self, BackendError> {
        let status = stripe.status().await.map_err(|cli_error| cli_error.for_read(stripe.asked("status", None)))?;
        Self::of_status(stripe, ledger, status)
    }

    /// Checks that the project is ours, and notes what was not known of it yet.
    fn of_status(stripe: &'a Stripe<'a>, ledger: &'a Ledger, status: Value) -> Result<Self, BackendError> {
        let other = || Setup::OtherProject { folder: stripe.folder.to_owned() };
        let project = project_of(&status).ok_or_else(other)?;
        let notes = Notes::read(ledger)?;
        let is_ours = match &notes.project {
            Some(id) => *id == project.id,
            None => notes.name.is_some() && notes.name.as_deref() == project.name,
        };
        if !is_ours {
            return Err(other().into());
        }
        if notes.merchant.is_some() && project.merchant.is_some() && notes.merchant.as_deref() != project.merchant {
            return Err(Setup::WrongAccount.into());
        }
        if let (None, Some(merchant)) = (&notes.merchant, project.merchant) {
            ledger.kv().put_note(NAME, MERCHANT_NOTE, merchant)?;
        }
        if notes.project.is_none() {
            ledger.kv().put_note(NAME, PROJECT_NOTE, project.id)?;
        }
        Ok(Self { stripe, ledger, status })
    }

    /// Looks again.
    ///
    /// # Errors
    /// As of [`Self::find`].
    pub async fn look(&mut self) -> Result<(), BackendError> {
        *self = Self::seen(self.stripe, self.ledger).await?;
        Ok(())
    }

    /// # Errors
    /// [`BackendError::Malformed`] when the answer proves nothing.
    pub fn rows(&self) -> Result<Rows, BackendError> {
        Rows::read(&self.status)
    }

    /// The service of that id, whose name can be said in an argument.
    ///
    /// # Errors
    /// [`BackendError::NotFound`]; [`BackendError::Malformed`] when the answer proves nothing.
    pub fn service(&self, id: &ResourceId) -> Result<Row, BackendError> {
        let rows = self.rows()?;
        let row = rows.service_with_id(id)?.ok_or(BackendError::NotFound)?;
        if !is_plain(&row.name) {
            return Err(BackendError::Malformed { what: "name of a service", got: "one that is no name".to_owned() });
        }
        Ok(row.clone())
    }

    /// Where a person connects the provider, if Stripe says where.
    pub fn link(&self, provider: &str) -> Option<String> {
        let plain = |text: &str| text.replace([' ', '-', '_'], "").to_ascii_lowercase();
        let is_it = |row: &&Value| {
            let names = ["id", "name"].into_iter().filter_map(|key| row.get(key).and_then(Value::as_str));
            names.into_iter().any(|name| plain(name) == plain(provider))
        };
        let row = self.status.get("providers").and_then(Value::as_array).into_iter().flatten().find(is_it)?;
        let url = row.get("redirect_url").and_then(Value::as_str)?;
        is_fit_to_open(url).then(|| url.to_owned())
    }

    /// Sees to it that our environment is there and in use, so that its file is ours to read and to remove.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] when it writes to another file, or cannot be had.
    pub async fn choose_environment(&mut self) -> Result<(), BackendError> {
        let stripe = self.stripe;
        if self.environment().is_none() {
            let told = stripe.create_environment(ENVIRONMENT, PLAIN_COPY).await;
            told.map_err(|cli_error| cli_error.for_read(stripe.asked("env create", None)))?;
            self.look().await?;
        }
        if !self.is_environment_in_use() {
            let told = stripe.use_environment(ENVIRONMENT).await;
            told.map_err(|cli_error| cli_error.for_read(stripe.asked("env use", None)))?;
            self.look().await?;
        }
        let output = self.environment().and_then(|environment| environment.get("output")).and_then(Value::as_str);
        let ours = plain_copy(stripe.folder);
        let is_ours = output.is_none_or(|output| stripe.folder.join(output.trim_start_matches("./")) == ours);
        if self.environment().is_some() && self.is_environment_in_use() && is_ours {
            return Ok(());
        }
        Err(BackendError::Unavailable { why: format!("the environment {ENVIRONMENT} is not as this program made it") })
    }

    fn environment(&self) -> Option<&Value> {
        self.status.get("environments").and_then(|environments| environments.get(ENVIRONMENT))
    }

    fn is_environment_in_use(&self) -> bool {
        self.status.get("active_environment").and_then(Value::as_str) == Some(ENVIRONMENT)
    }

    /// Notes which credentials of a service will be asked for. Nobody else remembers it.
    ///
    /// # Errors
    /// The ledger's.
    pub fn note_credentials(&self, service: &str, wanted: &[String]) -> Result<(), BackendError> {
        Ok(self.ledger.kv().put_note(NAME, &format!("{CREDENTIALS_NOTE}{service}"), &wanted.join(" "))?)
    }

    /// The credentials of a service, through the plain copy that Stripe writes, which is gone again on return.
    ///
    /// # Errors
    /// [`BackendError::Malformed`] when it is open which variable is which credential.
    pub async fn credentials(&self, row: &Row) -> Result<Credentials, BackendError> {
        let wanted = self.ledger.kv().get_note(NAME, &format!("{CREDENTIALS_NOTE}{}", row.name))?.unwrap_or_default();
        let wanted: Vec<String> = wanted.split_whitespace().map(str::to_owned).collect();
        let rows = self.rows()?;
        let copy = PlainCopy(self.stripe);
        let told = self.stripe.pull_variables().await;
        told.map_err(|cli_error| cli_error.for_read(self.stripe.asked("env", None)))?;
        let bytes = fs::read(&plain_copy(self.stripe.folder), LONGEST_COPY).map_err(|error| unavailable(&error))?;
        copy.remove()?;
        let bytes =
            bytes.ok_or_else(|| BackendError::Malformed { what: "variables", got: "no file with them".to_owned() })?;
        variables::credentials(&EnvText::new(bytes), row, &rows, &wanted)
    }
}

/// Where Stripe puts values in the plain.
pub fn plain_copy(folder: &Path) -> std::path::PathBuf {
    folder.join(PLAIN_COPY)
}

/// Removed when dropped, whatever came between.
struct PlainCopy<'a>(&'a Stripe<'a>);

impl PlainCopy<'_> {
    fn remove(&self) -> Result<(), BackendError> {
        fs::remove(&plain_copy(self.0.folder)).map_err(|error| unavailable(&error))
    }
}

impl Drop for PlainCopy<'_> {
    fn drop(&mut self) {
        let _ = self.remove(); // the next call tries again before anything else
    }
}

/// What the ledger remembers of us.
#[derive(Default)]
struct Notes {
    name: Option<String>,
    project: Option<String>,
    merchant: Option<String>,
}

impl Notes {
    fn read(ledger: &Ledger) -> Result<Self, BackendError> {
        if !ledger.exists() {
            return Ok(Self::default());
        }
        let recall = |key| ledger.kv().get_note(NAME, key);
        Ok(Self { name: recall(NAME_NOTE)?, project: recall(PROJECT_NOTE)?, merchant: recall(MERCHANT_NOTE)? })
    }
}

struct Project<'a> {
    id: &'a str,
    name: Option<&'a str>,
    merchant: Option<&'a str>,
}

fn project_of(status: &Value) -> Option<Project<'_>> {
    let project = status.get("project")?;
    let text = |key: &str| project.get(key).and_then(Value::as_str);
    let id = text("id").filter(|id| is_plain(id))?;
    Some(Project { id, name: text("name"), merchant: text("merchant_id") })
}

/// Whether the folder's state is there to its end.
fn is_whole(folder: &Path) -> Result<bool, BackendError> {
    let state = fs::read(&folder.join(STATE_FOLDER).join("state.json"), LONGEST_STATE);
    let bytes = state.map_err(|error| unavailable(&error))?;
    Ok(bytes.is_some_and(|bytes| serde_json::from_slice::<Value>(&bytes).is_ok()))
}

/// Whether it cannot be taken for a flag, or for anything but a name.
fn is_plain(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// An address that a person may be sent to: encrypted, and without a user or password before the host.
fn is_fit_to_open(url: &str) -> bool {
    let host = url.strip_prefix("https://").and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let is_host = host.starts_with(|c: char| c.is_ascii_alphanumeric())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':'));
    let printable = url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
    is_host && printable && url.len() <= 2048
}

fn unavailable(error: &FsError) -> BackendError {
    BackendError::Unavailable { why: error.to_string() }
}

const ENVIRONMENT: &str = "agent";
const PLAIN_COPY: &str = "credentials.env";
const STATE_FOLDER: &str = ".projects";

const NAME_NOTE: &str = "project-name";
const PROJECT_NOTE: &str = "project";
const MERCHANT_NOTE: &str = "merchant";
const CREDENTIALS_NOTE: &str = "credentials/";

/// Said of a folder that no project belongs to.
const NO_PROJECT: &[&str] = &["NO_PROJECT_CONFIG", "PROJECT_NOT_INITIALIZED"];

/// Said by `init` and `pull` in a folder that has a project.
const CONNECTED: &str = "PROJECT_ALREADY_CONNECTED";

/// Bytes.
const LONGEST_COPY: u64 = 1024 * 1024;
const LONGEST_STATE: u64 = 16 * 1024 * 1024;
