//! How many requests an operation makes to Stripe's API: none beyond those that it needs.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::workspace::{BackendKind, CommandOutput, Workspace};

#[test]
fn no_result_takes_a_request_of_its_own() {
    let workspace = Workspace::on(BackendKind::StripeApi);
    let relay = CountingRelay::to(&workspace.simulator().base);
    let count = |arguments: &[&str], code| {
        let before = relay.requests();
        let mut command = workspace.command(arguments);
        let ran = CommandOutput::from(command.env("STRIPE_PROJECTS_STRIPE_API_BASE", &relay.base).output().unwrap());
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        relay.requests() - before
    };
    let provision = ["provision", "memory", "supermemory", "--cap", "5"];
    count(&provision, 0);
    assert_eq!(count(&provision, 3), 0, "already_exists is known from the ledger");
    assert_eq!(count(&["provision", "search", "search", "--cap", "5"], 0), 7);
    assert_eq!(count(&["rotate", "memory"], 0), 2);
    assert_eq!(count(&["suspend", "memory"], 0), 1);
    assert_eq!(count(&["suspend", "memory"], 0), 0, "it is suspended already");
    assert_eq!(count(&["resume", "memory"], 0), 2);
}

/// Forwards connections, and counts the requests that pass.
struct CountingRelay {
    base: String,
    requests: Arc<AtomicUsize>,
}

impl CountingRelay {
    fn to(base: &str) -> Self {
        let address = base.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Self { base: format!("http://{}", listener.local_addr().unwrap()), requests: Arc::default() };
        let requests = Arc::clone(&relay.requests);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&address).unwrap());
                let requests = Arc::clone(&requests);
                let (from_client, to_client) = (client.try_clone().unwrap(), client);
                let (to_server, from_server) = (server.try_clone().unwrap(), server);
                thread::spawn(move || {
                    forward(from_client, to_server, |bytes| {
                        let ends = bytes.windows(REQUEST_LINE_END.len()).filter(|window| *window == REQUEST_LINE_END);
                        requests.fetch_add(ends.count(), Ordering::SeqCst);
                    });
                });
                thread::spawn(move || forward(from_server, to_client, |_| ()));
            }
        });
        relay
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, seen: impl Fn(&[u8])) {
    let mut buffer = vec![0; 64 * 1024]; // a request head comes in one piece
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        seen(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

const REQUEST_LINE_END: &[u8] = b" HTTP/1.1\r\n";
