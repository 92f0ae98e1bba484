//! Measures the overhead of the `stripe-api` backend: the same requests by the backend and by plain reqwest.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use backends::{
    Backend, Order,
    stripe_api::{self, ApiBase, ApiConfig, RetryPolicy, StripeApi},
};
use domain::{
    money::Cents,
    name::{ProjectName, ServiceRef},
    project::ProjectId,
    secret::Secret,
};
use reqwest::{Client, Method};
use serde_json::json;
use storage::ledger::Ledger;
use stripe_projects_mcp::settings::LedgerNotes;
use tokio::runtime::Builder;

use crate::{
    rounds::Rounds,
    server::state_of,
    table::{median, ms, row, timed, times},
};

pub fn show(folder: &Path, rounds: &Rounds) {
    let workspace = folder.join("api");
    std::fs::create_dir(&workspace).unwrap();
    let labels = ["one request to the simulator", "two requests (rotate, reveal)"];
    for (label, (ours, bare)) in labels.iter().zip(measure(&workspace, rounds.calls)) {
        let (ours, bare) = (median(ours), median(bare));
        let comparison = format!("{} bare reqwest ({:.2} ms)", times(ours, bare), ms(bare));
        row(&format!("stripe-api, {label}"), ours, &comparison);
    }
}

/// Times one request and two requests, each by the backend and by reqwest: `[(ours, bare); 2]`.
fn measure(folder: &Path, rounds: usize) -> [(Vec<Duration>, Vec<Duration>); 2] {
    let simulator = Simulator::start(folder);
    let access = ApiConfig {
        base: ApiBase::parse(&simulator.base).unwrap(),
        key: Some(Secret::new(KEY.to_owned())),
        context: None,
    };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let notes = Arc::new(LedgerNotes::new(Arc::new(Ledger::of(folder)), stripe_api::NAME));
    let backend = StripeApi::new(access, notes, folder.to_owned(), RetryPolicy::default());
    let _ = rustls::crypto::ring::default_provider().install_default(); // reqwest requires it, even for plain http
    let client = Client::builder().no_proxy().build().unwrap();
    let resource = runtime.block_on(backend.provision(&order())).unwrap().resource;
    let path = format!("{}/v2/provisioning/resources/{}", simulator.base, resource.as_str());
    let send = async |method: Method, path: &str| {
        let request = client.request(method, path).bearer_auth(KEY).header("stripe-version", "2026-10-14.preview");
        request.json(&json!({})).send().await.unwrap().bytes().await.unwrap()
    };
    let retrieve = || runtime.block_on(send(Method::GET, &path));
    let rotate = || {
        runtime.block_on(async {
            send(Method::POST, &format!("{path}/rotate_credentials")).await;
            send(Method::POST, &format!("{path}/reveal_access_configuration")).await;
        });
    };
    let mut measured: [(Vec<Duration>, Vec<Duration>); 2] = Default::default();
    for _ in 0..rounds {
        measured[0].0.push(timed(|| runtime.block_on(backend.resume(&resource)).unwrap()).0);
        measured[0].1.push(timed(retrieve).0);
        measured[1].0.push(timed(|| runtime.block_on(backend.rotate(&resource)).unwrap()).0);
        measured[1].1.push(timed(rotate).0);
    }
    measured
}

struct Simulator {
    child: Child,
    base: String,
}

impl Simulator {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stripe-projects-mcp"));
        command
            .args(["simulator", "--listen", "127.0.0.1:0", "--dir"])
            .arg(folder)
            .arg("--state-dir")
            .arg(state_of(folder));
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        Self { base: line.trim().trim_start_matches("listening on ").to_owned(), child }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn order() -> Order {
    Order {
        id: ProjectId::random().unwrap(),
        name: ProjectName::parse("bench").unwrap(),
        service: ServiceRef::parse("elevenlabs/tts").unwrap(),
        plan: None,
        config: serde_json::Map::new(),
        credentials: Vec::new(),
        cap: Cents::parse_usd("1").unwrap(),
        paid: false,
        terms_accepted: true,
    }
}

const KEY: &str = "rk_test_0123456789";
