//! The third party: a memory service on the loopback with Supermemory's API.
//!
//! It looks up the owner of a key in the simulated account and bills that project for each write.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    routing::post,
};
use backends::simulated::SimulatedStripe;
use domain::{clock::Clock, money::MicroUsd, project::ResourceId, secret::Secret};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A quarter of a dollar per write, so that a few writes reach a cap.
pub fn price_of_a_write() -> MicroUsd {
    MicroUsd::new(250_000)
}

struct Service {
    account: SimulatedStripe,
    memories: Mutex<Vec<(ResourceId, String)>>,
}

/// Serves in the background until the runtime stops.
pub async fn start(account: PathBuf) -> io::Result<SocketAddr> {
    let service = Service { account: SimulatedStripe::new(account, Clock::system()), memories: Mutex::default() };
    let routes = Router::new()
        .route("/v3/documents", post(store))
        .route("/v3/search", post(search))
        .with_state(Arc::new(service));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}

#[derive(Deserialize)]
struct Document {
    content: String,
}

#[derive(Deserialize)]
struct Question {
    q: String,
    limit: usize,
}

async fn store(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    Json(document): Json<Document>,
) -> Result<Json<Value>, StatusCode> {
    let owner = service.owner(&headers)?;
    service.account.accrue(&owner, price_of_a_write()).map_err(|_| StatusCode::PAYMENT_REQUIRED)?;
    let mut memories = service.memories.lock().unwrap_or_else(PoisonError::into_inner);
    memories.push((owner, document.content));
    Ok(Json(json!({ "id": memories.len().to_string(), "status": "done" })))
}

async fn search(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    Json(question): Json<Question>,
) -> Result<Json<Value>, StatusCode> {
    let owner = service.owner(&headers)?;
    let memories = service.memories.lock().unwrap_or_else(PoisonError::into_inner);
    let matching = memories.iter().filter(|(project, text)| *project == owner && text.contains(&question.q));
    let hit = |(_, text): &(ResourceId, String)| json!({ "chunks": [{ "content": text, "score": 1 }], "score": 1 });
    let results: Vec<Value> = matching.take(question.limit).map(hit).collect();
    Ok(Json(json!({ "total": results.len(), "results": results, "timing": 0 })))
}

impl Service {
    /// Returns the project of this key. Rotated, suspended and torn-down keys have no owner.
    fn owner(&self, headers: &HeaderMap) -> Result<ResourceId, StatusCode> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = header.and_then(|value| value.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)?;
        let owner = self.account.owner_of(&Secret::new(key.to_owned()));
        owner.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?.ok_or(StatusCode::UNAUTHORIZED)
    }
}
