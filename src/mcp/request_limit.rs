//! The limit of a connection's unanswered requests, whatever their method.
//!
//! A request counts from its delivery until its handler has ended and its response is written. Where the limit is
//! reached, because handlers are slow or the client does not read, further requests wait in a short queue, and after that
//! in the pipe of the client. Responses and notifications overtake that queue: an answer to a form, or a cancellation,
//! may be what a handler waits for.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    thread,
    time::Duration,
};

use rmcp::{
    RoleServer,
    model::{ClientNotification, ClientRequest, GetExtensions as _, JsonRpcMessage, JsonRpcRequest, RequestId},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::{Transport, async_rw::AsyncRwTransport},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::{self, Instant},
};

/// A transport that delivers a limited number of requests before their responses are written.
pub struct LimitedTransport<T> {
    inner: T,
    unanswered: Arc<Unanswered>,
    /// Requests that were read and not delivered, with their sizes.
    queue: VecDeque<(JsonRpcRequest<ClientRequest>, u64)>,
    queued_bytes: u64,
    received: ByteCount,
    /// How many of those bytes belong to messages so far.
    accounted: u64,
    /// Set when the client has ended its messages: until then, the queue is delivered.
    deadline: Option<Instant>,
}

impl<R, W> LimitedTransport<AsyncRwTransport<RoleServer, ByteCounter<R>, W>>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    pub fn new(input: R, output: W) -> Self {
        let received = ByteCount::default();
        let input = ByteCounter { inner: input, count: received.clone() };
        Self {
            inner: AsyncRwTransport::new_server(input, output),
            unanswered: Arc::default(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            received,
            accounted: 0,
            deadline: None,
        }
    }
}

impl<T> LimitedTransport<T> {
    fn enqueue(&mut self, request: JsonRpcRequest<ClientRequest>) {
        let received = self.received.0.load(Ordering::Relaxed);
        let size = received.saturating_sub(self.accounted);
        self.accounted = received;
        self.queued_bytes += size;
        self.queue.push_back((request, size));
    }

    /// Delivers the next request, if there is one and room for it.
    fn next(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        if !self.unanswered.has_room() {
            return None;
        }
        let (mut request, size) = self.queue.pop_front()?;
        self.queued_bytes -= size;
        let handler = Unanswered::add(&self.unanswered, request.id.clone(), size);
        request.request.extensions_mut().insert(handler);
        Some(JsonRpcMessage::Request(request))
    }

    /// Removes a request that its client has cancelled. Returns whether it was still in the queue.
    fn cancel(&mut self, id: &RequestId) -> bool {
        if let Some(place) = self.queue.iter().position(|(request, _)| request.id == *id) {
            let removed = self.queue.remove(place);
            self.queued_bytes -= removed.map_or(0, |(_, size)| size);
            true
        } else {
            self.unanswered.answered(id); // rmcp sends no response to it
            false
        }
    }

    fn reads_on(&self) -> bool {
        self.deadline.is_none() && self.queue.len() < MAX_QUEUED && self.queued_bytes < MAX_QUEUED_BYTES
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for LimitedTransport<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let slot = match &message {
            JsonRpcMessage::Response(response) => self.unanswered.answered(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref().and_then(|id| self.unanswered.answered(id)),
            JsonRpcMessage::Notification(_) | JsonRpcMessage::Request(_) => None,
        };
        let sending = self.inner.send(message);
        async move {
            let sent = sending.await;
            drop(slot);
            sent
        }
    }

    /// Loses nothing if it is cancelled, because rmcp awaits it beside other work.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(request) = self.next() {
                return Some(request);
            }
            let unanswered = Arc::clone(&self.unanswered);
            match self.deadline {
                Some(_) if self.queue.is_empty() => return None,
                Some(deadline) => time::timeout_at(deadline, unanswered.one_less.notified()).await.ok()?,
                None if !self.reads_on() => unanswered.one_less.notified().await,
                None => tokio::select! {
                    () = unanswered.one_less.notified() => {}
                    message = self.inner.receive() => match message {
                        None => self.deadline = Some(Instant::now() + END_TIMEOUT),
                        Some(JsonRpcMessage::Request(request)) => self.enqueue(request),
                        Some(JsonRpcMessage::Notification(notification)) => {
                            let was_queued = match &notification.notification {
                                ClientNotification::CancelledNotification(cancelled) => {
                                    cancelled.params.request_id.as_ref().is_some_and(|id| self.cancel(id))
                                }
                                _ => false,
                            };
                            if !was_queued {
                                return Some(JsonRpcMessage::Notification(notification));
                            }
                        }
                        Some(response) => return Some(response),
                    },
                },
            }
        }
    }

    /// Gives up where the client does not read: a message that is half written holds the output.
    async fn close(&mut self) -> Result<(), Self::Error> {
        time::timeout(CLOSE_TIMEOUT, self.inner.close()).await.unwrap_or(Ok(()))
    }
}

/// The requests of a connection that are not answered.
#[derive(Default)]
struct Unanswered {
    count: AtomicU64,
    bytes: AtomicU64,
    slots: Mutex<HashMap<RequestId, Arc<Slot>>>,
    one_less: Notify,
}

impl Unanswered {
    /// One request is admitted whatever its size.
    fn has_room(&self) -> bool {
        let (count, bytes) = (self.count.load(Ordering::SeqCst), self.bytes.load(Ordering::SeqCst));
        count == 0 || (count < MAX_UNANSWERED && bytes < MAX_BYTES)
    }

    /// Counts a request until the returned guard is dropped and [`Self::answered`] has been called for it.
    fn add(this: &Arc<Self>, id: RequestId, size: u64) -> Handled {
        this.count.fetch_add(1, Ordering::SeqCst);
        this.bytes.fetch_add(size, Ordering::SeqCst);
        let slot = Arc::new(Slot { unanswered: Arc::clone(this), size });
        // An id that is used twice gets one response, as rmcp drops the other.
        let before = this.slots().insert(id.clone(), Arc::clone(&slot));
        drop(before);
        Handled(Arc::new(Handler { slot, id }))
    }

    /// Returns the request's slot, for its response to hold until it is written.
    fn answered(&self, id: &RequestId) -> Option<Arc<Slot>> {
        self.slots().remove(id)
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<RequestId, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one request among the unanswered, held by its handler and its response.
struct Slot {
    unanswered: Arc<Unanswered>,
    size: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.unanswered.bytes.fetch_sub(self.size, Ordering::SeqCst);
        self.unanswered.count.fetch_sub(1, Ordering::SeqCst);
        self.unanswered.one_less.notify_one();
    }
}

/// The handler's part of a slot: it travels with the request and is dropped with its context.
#[derive(Clone)]
struct Handled(#[expect(dead_code, reason = "held, not read")] Arc<Handler>);

struct Handler {
    slot: Arc<Slot>,
    id: RequestId,
}

impl Drop for Handler {
    fn drop(&mut self) {
        // A handler that panicked leaves no response that would free the slot.
        if thread::panicking() {
            drop(self.slot.unanswered.answered(&self.id));
        }
    }
}

#[derive(Clone, Default)]
struct ByteCount(Arc<AtomicU64>);

/// A reader that counts what it has read.
pub struct ByteCounter<R> {
    inner: R,
    count: ByteCount,
}

impl<R: AsyncRead + Unpin> AsyncRead for ByteCounter<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        self.count.0.fetch_add(read as u64, Ordering::Relaxed);
        polled
    }
}

/// More than the tool calls and subscriptions that may wait for the client, so that other requests always end.
const MAX_UNANSWERED: u64 = 128;

/// The size of the requests that are not answered, in bytes; the last of them may be above it.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// How many requests a client may send ahead without reading.
const MAX_QUEUED: usize = 4_096;

const MAX_QUEUED_BYTES: u64 = 4 * 1024 * 1024;

/// How long queued requests wait for room after the client has ended its messages.
const END_TIMEOUT: Duration = Duration::from_secs(5);

const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use rmcp::model::{EmptyResult, ServerResult};
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    type Pipe = LimitedTransport<AsyncRwTransport<RoleServer, ByteCounter<DuplexStream>, DuplexStream>>;

    /// Returns the transport, the client's output and the client's input, which holds one response.
    fn pipe() -> (Pipe, DuplexStream, DuplexStream) {
        let (client_output, input) = duplex(1024 * 1024);
        let (output, client_input) = duplex(64);
        (LimitedTransport::new(input, output), client_output, client_input)
    }

    async fn pings(client: &mut DuplexStream, ids: std::ops::Range<u64>) {
        for id in ids {
            let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}\n");
            client.write_all(line.as_bytes()).await.unwrap();
        }
    }

    /// Returns the next message, or `None` if none is delivered.
    async fn delivered(pipe: &mut Pipe) -> Option<RxJsonRpcMessage<RoleServer>> {
        time::timeout(Duration::from_millis(200), pipe.receive()).await.ok().flatten()
    }

    fn id_of(message: &RxJsonRpcMessage<RoleServer>) -> RequestId {
        let JsonRpcMessage::Request(request) = message else { panic!("{message:?}") };
        request.id.clone()
    }

    fn pong(id: RequestId) -> TxJsonRpcMessage<RoleServer> {
        JsonRpcMessage::response(ServerResult::EmptyResult(EmptyResult {}), id)
    }

    #[tokio::test]
    async fn unanswered_requests_are_limited() {
        let (mut pipe, mut client, mut reader) = pipe();
        pings(&mut client, 0..MAX_UNANSWERED + 2).await;
        let mut held = Vec::new();
        while let Some(request) = delivered(&mut pipe).await {
            held.push(request);
        }
        assert_eq!(held.len() as u64, MAX_UNANSWERED);
        let first = held.remove(0);
        let (sent, id) = (pipe.send(pong(id_of(&first))), id_of(&first));
        sent.await.unwrap();
        assert!(delivered(&mut pipe).await.is_none(), "the handler of {id:?} has not ended");
        drop(first);
        assert!(delivered(&mut pipe).await.is_some());
        // A response that the client does not read keeps its place.
        let second = held.remove(0);
        let blocked = tokio::spawn(pipe.send(pong(id_of(&second))));
        drop(second);
        assert!(delivered(&mut pipe).await.is_none());
        let mut line = [0; 64];
        while !blocked.is_finished() {
            tokio::io::AsyncReadExt::read(&mut reader, &mut line).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(delivered(&mut pipe).await.is_some());
    }

    #[tokio::test]
    async fn responses_and_cancellations_overtake_queued_requests() {
        let (mut pipe, mut client, _reader) = pipe();
        pings(&mut client, 0..MAX_UNANSWERED + 3).await;
        let mut held = Vec::new();
        while let Some(request) = delivered(&mut pipe).await {
            held.push(request);
        }
        let cancel = |id: u64| {
            format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":{id}}}}}\n"
            )
        };
        client.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n").await.unwrap();
        assert!(matches!(delivered(&mut pipe).await, Some(JsonRpcMessage::Response(_))));
        client.write_all(cancel(MAX_UNANSWERED).as_bytes()).await.unwrap();
        assert!(delivered(&mut pipe).await.is_none(), "a queued request is cancelled in the queue");
        client.write_all(cancel(0).as_bytes()).await.unwrap();
        assert!(matches!(delivered(&mut pipe).await, Some(JsonRpcMessage::Notification(_))));
        assert!(delivered(&mut pipe).await.is_none(), "its handler has not ended");
        held.remove(0);
        let next = delivered(&mut pipe).await.unwrap();
        assert_eq!(id_of(&next), RequestId::Number(i64::try_from(MAX_UNANSWERED + 1).unwrap()));
    }

    #[tokio::test]
    async fn long_queue_stops_the_reading_and_is_delivered_after_the_end() {
        let (mut pipe, mut client, _reader) = pipe();
        let all = MAX_UNANSWERED + 10_000;
        let writer = tokio::spawn(async move { pings(&mut client, 0..all).await });
        let mut held = VecDeque::new();
        while pipe.queue.len() < MAX_QUEUED {
            held.extend(delivered(&mut pipe).await);
        }
        assert!(delivered(&mut pipe).await.is_none());
        assert_eq!((pipe.queue.len(), held.len() as u64), (MAX_QUEUED, MAX_UNANSWERED));
        let mut seen = held.len() as u64;
        while let Some(request) = held.pop_front() {
            pipe.cancel(&id_of(&request));
            drop(request);
            if let Some(next) = pipe.receive().await {
                seen += 1;
                held.push_back(next);
            }
        }
        writer.await.unwrap();
        assert_eq!(seen, all);
        assert!(pipe.receive().await.is_none());
    }

    #[tokio::test]
    async fn panic_of_a_handler_frees_its_slot() {
        let unanswered = Arc::<Unanswered>::default();
        let handler = Unanswered::add(&unanswered, RequestId::Number(1), 10);
        let panicked = tokio::spawn(async move {
            let _held = handler;
            panic!("a test");
        });
        assert!(panicked.await.is_err());
        assert_eq!((unanswered.count.load(Ordering::SeqCst), unanswered.bytes.load(Ordering::SeqCst)), (0, 0));
    }
}
