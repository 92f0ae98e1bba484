//! Subscriptions to changes: a legacy client is notified directly, a modern one over the stream that it opened.
//!
//! Changes are collected in a set and sent by one task, so that a client that does not read delays no work, and the same
//! change is not sent twice before the first notification is out.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rmcp::{
    ErrorData, Peer, RoleServer,
    model::{ResourceUpdatedNotificationParam, SubscriptionFilter},
    service::{SubscriptionContext, SubscriptionSink},
};
use tokio::{
    sync::Notify,
    time::{self, MissedTickBehavior},
};

use super::{change::Change, resources, shutdown::Shutdown};
use crate::provisioner::{Provisioner, RegistryStamp};

/// The listeners of one connection.
#[derive(Clone, Default)]
pub struct Subscribers(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Known once a client of the legacy era is initialized.
    legacy: Mutex<Option<Peer<RoleServer>>>,
    /// The resources that it subscribed to.
    subscribed: Mutex<BTreeSet<String>>,
    modern: Mutex<Vec<SubscriptionSink>>,
    due: Mutex<BTreeSet<Change>>,
    changed: Notify,
}

impl Subscribers {
    pub fn initialized(&self, peer: Peer<RoleServer>) {
        *held(&self.0.legacy) = Some(peer);
    }

    /// Subscribes a legacy client to a resource.
    ///
    /// # Errors
    /// An invalid-params error for a resource that does not change, or for too many subscriptions.
    pub fn subscribe(&self, uri: String) -> Result<(), ErrorData> {
        if !resources::is_subscribable(&uri) {
            return Err(resources::not_found());
        }
        let mut subscribed = held(&self.0.subscribed);
        if subscribed.len() >= MAX_RESOURCES && !subscribed.contains(&uri) {
            return Err(too_many());
        }
        subscribed.insert(uri);
        Ok(())
    }

    pub fn unsubscribe(&self, uri: &str) {
        held(&self.0.subscribed).remove(uri);
    }

    /// Returns the part of a modern client's filter that is supported.
    pub fn accepted(requested: &SubscriptionFilter) -> SubscriptionFilter {
        let mut accepted = SubscriptionFilter::default();
        accepted.tools_list_changed = requested.tools_list_changed;
        let uris = requested.resource_subscriptions.iter().flatten().filter(|uri| resources::is_subscribable(uri));
        accepted.resource_subscriptions = Some(uris.take(MAX_RESOURCES).cloned().collect());
        accepted
    }

    /// Keeps a modern client's stream open until it or the server ends.
    ///
    /// # Errors
    /// An invalid-params error if the client has too many streams open.
    pub async fn listen(&self, stream: &SubscriptionContext, shutdown: &Shutdown) -> Result<(), ErrorData> {
        let id = stream.sink().id().clone();
        {
            let mut modern = held(&self.0.modern);
            if modern.len() >= MAX_STREAMS {
                return Err(too_many());
            }
            modern.push(stream.sink().clone());
        }
        tokio::select! {
            () = stream.cancelled() => {}
            () = shutdown.begun() => {}
        }
        held(&self.0.modern).retain(|sink| *sink.id() != id);
        Ok(())
    }

    /// Adds a change that subscribers are notified of.
    pub fn publish(&self, change: Change) {
        held(&self.0.due).insert(change);
        self.0.changed.notify_one();
    }

    /// Sends the notifications that are due, until the runtime ends.
    pub async fn run(self) {
        loop {
            self.0.changed.notified().await;
            let due = mem::take(&mut *held(&self.0.due));
            let tools = due.contains(&Change::Registry);
            let uris: BTreeSet<String> = due.iter().flat_map(resources::changed_by).collect();
            self.notify_legacy(tools, &uris).await;
            let sinks = held(&self.0.modern).clone();
            for sink in sinks {
                notify_modern(&sink, tools, &uris).await;
            }
        }
    }

    // A client that has left is no error.

    async fn notify_legacy(&self, tools: bool, uris: &BTreeSet<String>) {
        let Some(peer) = held(&self.0.legacy).clone() else { return };
        if tools {
            let _ = peer.notify_tool_list_changed().await;
        }
        let wanted: Vec<String> = held(&self.0.subscribed).intersection(uris).cloned().collect();
        for uri in wanted {
            let _ = peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await;
        }
    }
}

/// Publishes every change of the registry's files since `known`, until the runtime ends.
pub async fn watch_registry(provisioner: Arc<Provisioner>, subscribers: Subscribers, mut known: RegistryStamp) {
    let mut ticks = time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let looking = Arc::clone(&provisioner);
        // A file on a network may block.
        let Ok(current) = tokio::task::spawn_blocking(move || looking.ports.registry_stamp()).await else { return };
        if current != known {
            known = current;
            subscribers.publish(Change::Registry);
        }
    }
}

async fn notify_modern(sink: &SubscriptionSink, tools: bool, uris: &BTreeSet<String>) {
    if tools && sink.accepted().tools_list_changed == Some(true) {
        let _ = sink.notify_tool_list_changed().await;
    }
    for uri in sink.accepted().resource_subscriptions.iter().flatten().filter(|uri| uris.contains(*uri)) {
        let _ = sink.notify_resource_updated(uri.clone()).await;
    }
}

fn held<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn too_many() -> ErrorData {
    ErrorData::invalid_params("too many subscriptions on this connection", None)
}

const INTERVAL: Duration = Duration::from_secs(1);

const MAX_RESOURCES: usize = 256;

const MAX_STREAMS: usize = 16;
