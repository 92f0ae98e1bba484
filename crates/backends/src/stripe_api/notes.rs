//! The notes of this backend: typed values, as JSON.

use std::sync::Arc;

use domain::money::Cents;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{BackendError, BackendNotes, CommittedCaps, NotesError, blocking};

/// Notes that are read and written without blocking.
#[derive(Clone)]
pub struct Notes {
    notes: Arc<dyn BackendNotes>,
    caps: Arc<dyn CommittedCaps>,
}

/// An order that was sent, or is about to be: everything needed to send the very same request again.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SentOrder {
    pub body: String,
    /// The idempotency key.
    pub key: String,
    /// When it was first sent, in milliseconds since 1970.
    pub at_ms: i64,
    /// Known once Stripe has answered.
    pub resource: Option<String>,
}

impl SentOrder {
    /// Whether Stripe may have forgotten the idempotency key, so that a retry could create a second resource.
    pub fn has_expired(&self, now_ms: i64) -> bool {
        let age = now_ms.saturating_sub(self.at_ms);
        self.resource.is_none() && !(-KEY_LIFETIME_MS..KEY_LIFETIME_MS).contains(&age)
    }

    /// The name of the resource at Stripe.
    pub fn name(&self) -> String {
        let body = serde_json::from_str::<Value>(&self.body).unwrap_or_default();
        body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

impl Notes {
    pub fn new(notes: Arc<dyn BackendNotes>, caps: Arc<dyn CommittedCaps>) -> Self {
        Self { notes, caps }
    }

    pub async fn sent_order(&self, key: &str) -> Result<Option<SentOrder>, BackendError> {
        Ok(self.value::<Option<SentOrder>>(key).await?.flatten())
    }

    pub async fn put_sent_order(&self, key: &str, order: &SentOrder) -> Result<(), BackendError> {
        self.put(key, &Some(order)).await
    }

    /// Notes that there is no such order.
    pub async fn clear_sent_order(&self, key: &str) -> Result<(), BackendError> {
        self.put(key, &None::<SentOrder>).await
    }

    pub async fn text(&self, key: &str) -> Result<Option<String>, BackendError> {
        self.value(key).await
    }

    pub async fn put_text(&self, key: &str, text: &str) -> Result<(), BackendError> {
        if self.text(key).await?.as_deref() == Some(text) { Ok(()) } else { self.put(key, text).await }
    }

    /// Notes a text unless there is one, and returns the text that is there now.
    pub async fn put_text_if_absent(&self, key: &str, text: &str) -> Result<String, BackendError> {
        if let Some(noted) = self.text(key).await? {
            return Ok(noted);
        }
        let (key, text) = (key.to_owned(), json(text));
        parsed(&self.run(move |notes| notes.put_if_absent(&key, &text)).await?)
    }

    /// Returns the sum of the caps of our live projects with a provider.
    pub async fn committed_with(&self, provider: &str) -> Result<Cents, BackendError> {
        let (caps, provider) = (Arc::clone(&self.caps), provider.to_owned());
        blocking(move || Ok(caps.committed_with(&provider)?), panicked).await
    }

    async fn value<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, BackendError> {
        let key = key.to_owned();
        let text = self.run(move |notes| notes.get(&key)).await?;
        text.as_deref().map(parsed).transpose()
    }

    async fn put<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), BackendError> {
        let (key, text) = (key.to_owned(), json(value));
        self.run(move |notes| notes.put(&key, &text)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn BackendNotes) -> Result<T, NotesError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let notes = Arc::clone(&self.notes);
        blocking(move || Ok(work(&*notes)?), panicked).await
    }
}

fn panicked() -> BackendError {
    BackendError::Unavailable { why: "reading or writing a note failed unexpectedly".into() }
}

/// Serializes a note. Names, texts and numbers cannot fail.
fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Parses a note. One that cannot be parsed could be an order, so the outcome is unknown.
fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, BackendError> {
    let why = "the ledger holds a note that this version cannot read";
    serde_json::from_str(text).map_err(|_| BackendError::Unknown { why: why.into() })
}

/// How long Stripe remembers an idempotency key, less an hour for clocks that disagree.
const KEY_LIFETIME_MS: i64 = 23 * 60 * 60 * 1000;
