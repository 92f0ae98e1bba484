//! What this backend remembers in the ledger between two processes.

use std::sync::Arc;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::task;

use crate::{
    backend::BackendError,
    ledger::{Ledger, LedgerError},
    money::Cents,
};

/// The ledger, as far as this backend writes into it.
#[derive(Clone)]
pub struct Notes {
    ledger: Arc<Ledger>,
}

/// An order that was sent, or is about to be: everything that it takes to send the very same again.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Sent {
    pub body: String,
    /// The idempotency key.
    pub key: String,
    /// When it was first sent, in milliseconds since 1970.
    pub at_ms: i64,
    /// Known once Stripe has answered.
    pub resource: Option<String>,
}

impl Sent {
    /// Whether Stripe may have forgotten the idempotency key, so that sending it again could create a second one.
    pub fn is_beyond_recall(&self, now_ms: i64) -> bool {
        let age = now_ms.saturating_sub(self.at_ms);
        self.resource.is_none() && !(-REMEMBERED_MS..REMEMBERED_MS).contains(&age)
    }

    /// What was ordered is called that at Stripe.
    pub fn name(&self) -> String {
        let body = serde_json::from_str::<Value>(&self.body).unwrap_or_default();
        body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

impl Notes {
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger }
    }

    pub async fn sent(&self, key: &str) -> Result<Option<Sent>, BackendError> {
        Ok(self.get_note::<Option<Sent>>(key).await?.flatten())
    }

    pub async fn note_sent(&self, key: &str, sent: &Sent) -> Result<(), BackendError> {
        self.put_note(key, &Some(sent)).await
    }

    /// There is no such order any more, or there never was.
    pub async fn forget_sent(&self, key: &str) -> Result<(), BackendError> {
        self.put_note(key, &None::<Sent>).await
    }

    pub async fn text(&self, key: &str) -> Result<Option<String>, BackendError> {
        self.get_note(key).await
    }

    pub async fn note_text(&self, key: &str, text: &str) -> Result<(), BackendError> {
        if self.text(key).await?.as_deref() == Some(text) { Ok(()) } else { self.put_note(key, text).await }
    }

    /// Notes a text unless there is one; what there is now.
    pub async fn note_first(&self, key: &str, text: &str) -> Result<String, BackendError> {
        if let Some(noted) = self.text(key).await? {
            return Ok(noted);
        }
        let (key, text) = (key.to_owned(), json(text));
        parsed(&self.blocking(move |ledger| ledger.kv().put_note_if_absent(NAME, &key, &text)).await?)
    }

    /// The sum of the caps of our live projects with a provider.
    pub async fn committed_with(&self, provider: &str) -> Result<Cents, BackendError> {
        let provider = provider.to_owned();
        self.blocking(move |ledger| ledger.projects().committed_with(NAME, &provider)).await
    }

    async fn get_note<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, BackendError> {
        let key = key.to_owned();
        let text = self.blocking(move |ledger| ledger.kv().get_note(NAME, &key)).await?;
        text.as_deref().map(parsed).transpose()
    }

    async fn put_note<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), BackendError> {
        let (key, text) = (key.to_owned(), json(value));
        self.blocking(move |ledger| ledger.kv().put_note(NAME, &key, &text)).await
    }

    /// The ledger is a file, and files block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Ledger) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let ledger = Arc::clone(&self.ledger);
        match task::spawn_blocking(move || work(&ledger)).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(BackendError::Unavailable { why: "the ledger stopped half way".to_owned() }),
        }
    }
}

/// Names, texts and numbers, of which JSON can hold all.
fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// What is noted and cannot be read could be an order; nothing is done on a guess.
fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, BackendError> {
    let why = "the ledger holds a note that this version cannot read";
    serde_json::from_str(text).map_err(|_| BackendError::Unknown { why: why.to_owned() })
}

/// What the ledger knows this backend by.
pub const NAME: &str = "stripe-api";

/// How long Stripe remembers an idempotency key, less an hour for clocks that disagree.
const REMEMBERED_MS: i64 = 23 * 60 * 60 * 1000;
