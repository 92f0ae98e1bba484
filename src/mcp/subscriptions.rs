//! Who hears of changes, and how: unasked in the legacy era, over the stream that a client opened in the modern one.
//!
//! Changes are put into a set and told by one task, so that a client that does not read holds up nobody's work, and the
//! same change is not told twice before it was heard once.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rmcp::{
    ErrorData, Peer, RoleServer,
    model::{JsonObject, ResourceUpdatedNotificationParam, SubscriptionFilter},
    service::{SubscriptionContext, SubscriptionSink},
};
use tokio::{
    sync::Notify,
    time::{self, MissedTickBehavior},
};

use super::{resources, shutdown::Shutdown};
use crate::{
    clock::Timestamp,
    name::ProjectName,
    provisioner::{Provisioner, RegistryStamp},
};

/// Something that a client may want to look at again.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Change {
    Project(ProjectName),
    Registry,
}

/// The listeners of one connection.
#[derive(Clone, Default)]
pub struct Subscribers(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Known once a client of the legacy era has greeted us.
    legacy: Mutex<Option<Peer<RoleServer>>>,
    /// The resources that it subscribed to.
    subscribed: Mutex<BTreeSet<String>>,
    modern: Mutex<Vec<SubscriptionSink>>,
    due: Mutex<BTreeSet<Change>>,
    rung: Notify,
}

impl Subscribers {
    pub fn greeted(&self, peer: Peer<RoleServer>) {
        *held(&self.0.legacy) = Some(peer);
    }

    /// # Errors
    /// For what is no resource that changes, or one too many.
    pub fn subscribe(&self, uri: String) -> Result<(), ErrorData> {
        if !resources::changes(&uri) {
            return Err(resources::not_found());
        }
        let mut subscribed = held(&self.0.subscribed);
        if subscribed.len() >= MOST_RESOURCES && !subscribed.contains(&uri) {
            return Err(too_many());
        }
        subscribed.insert(uri);
        Ok(())
    }

    pub fn unsubscribe(&self, uri: &str) {
        held(&self.0.subscribed).remove(uri);
    }

    /// What of a modern client's wishes can be met.
    pub fn accepted(wishes: &SubscriptionFilter) -> SubscriptionFilter {
        let mut accepted = SubscriptionFilter::default();
        accepted.tools_list_changed = wishes.tools_list_changed;
        let uris = wishes.resource_subscriptions.iter().flatten().filter(|uri| resources::changes(uri));
        accepted.resource_subscriptions = Some(uris.take(MOST_RESOURCES).cloned().collect());
        accepted
    }

    /// Keeps a modern client's stream open until it or the server ends.
    ///
    /// # Errors
    /// When it has too many streams open.
    pub async fn listen(&self, stream: &SubscriptionContext, shutdown: &Shutdown) -> Result<(), ErrorData> {
        let id = stream.sink().id().clone();
        {
            let mut modern = held(&self.0.modern);
            if modern.len() >= MOST_STREAMS {
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

    /// Has everybody told who wants to know.
    pub fn publish(&self, change: Change) {
        held(&self.0.due).insert(change);
        self.0.rung.notify_one();
    }

    /// Tells whatever there is to be told, until the server ends.
    pub async fn keep_telling(self) {
        loop {
            self.0.rung.notified().await;
            let due = mem::take(&mut *held(&self.0.due));
            let tools = due.contains(&Change::Registry);
            let uris: BTreeSet<String> = due.iter().flat_map(resources::changed_by).collect();
            self.tell_legacy(tools, &uris).await;
            let sinks = held(&self.0.modern).clone();
            for sink in sinks {
                tell_modern(&sink, tools, &uris).await;
            }
        }
    }

    // That a client has gone is no error of ours: what it did not hear, it will see when it looks.

    async fn tell_legacy(&self, tools: bool, uris: &BTreeSet<String>) {
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

/// The change that a call may be about to make.
pub struct PendingChange(Option<(ProjectName, Timestamp)>);

impl PendingChange {
    pub fn to_come(provisioner: &Provisioner, arguments: Option<&JsonObject>) -> Self {
        let name = arguments.and_then(|arguments| ProjectName::parse(arguments.get("name")?.as_str()?).ok());
        Self(name.map(|name| (name, provisioner.ports.now())))
    }

    /// Tells of it, if the project did change. A call that failed may well have changed it.
    pub fn publish(self, provisioner: &Arc<Provisioner>, subscribers: &Subscribers) {
        let (provisioner, subscribers) = (Arc::clone(provisioner), subscribers.clone());
        if let Some((name, begun)) = self.0 {
            tokio::task::spawn_blocking(move || {
                if provisioner.projects.changed_since(&name, begun) {
                    subscribers.publish(Change::Project(name));
                }
            });
        }
    }
}

/// Tells of every change of the registry's files from what is `known` of them, however they were edited, until the server
/// ends. A file that is broken now is change as well.
pub async fn watch_registry(provisioner: Arc<Provisioner>, subscribers: Subscribers, mut known: RegistryStamp) {
    let mut ticks = time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let looking = Arc::clone(&provisioner);
        // A file on a network may keep whoever looks at it waiting.
        let Ok(found) = tokio::task::spawn_blocking(move || looking.ports.registry_stamp()).await else { return };
        if found != known {
            known = found;
            subscribers.publish(Change::Registry);
        }
    }
}

async fn tell_modern(sink: &SubscriptionSink, tools: bool, uris: &BTreeSet<String>) {
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

const MOST_RESOURCES: usize = 256;

const MOST_STREAMS: usize = 16;
