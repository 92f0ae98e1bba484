//! A listener that limits connections and the time of their requests, and can abort each without a response.

use std::{
    future::Future as _,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{self, Sleep},
};

/// A listener that limits the number of connections; others wait.
pub struct LimitedListener {
    listener: TcpListener,
    slots: Arc<Semaphore>,
}

/// Aborts one connection: later writes fail.
#[derive(Clone, Debug, Default)]
pub struct ConnectionAborter(Arc<ConnectionState>);

#[derive(Debug, Default)]
struct ConnectionState {
    aborted: AtomicBool,
    /// Requests of this connection that were read and are not answered.
    at_work: AtomicUsize,
}

/// A request at work, until it is dropped.
pub struct AtWork(Arc<ConnectionState>);

/// A connection that can be aborted, and ends if its client sends or reads nothing.
pub struct Connection {
    stream: TcpStream,
    aborter: ConnectionAborter,
    /// When the next request has to be complete, but for its body.
    request_due: Option<Pin<Box<Sleep>>>,
    /// When the client has to have read something of a response.
    reading_due: Option<Pin<Box<Sleep>>>,
    /// The time for the next request: less before the first byte of a connection than after a response.
    request_timeout: Duration,
    _slot: Option<OwnedSemaphorePermit>,
}

impl LimitedListener {
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, slots: Arc::new(Semaphore::new(MAX_CONNECTIONS)) }
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl ConnectionAborter {
    pub fn abort(&self) {
        self.0.aborted.store(true, Ordering::SeqCst);
    }

    /// Counts a request as being at work until the guard is dropped.
    pub fn at_work(&self) -> AtWork {
        self.0.at_work.fetch_add(1, Ordering::SeqCst);
        AtWork(Arc::clone(&self.0))
    }

    fn is_aborted(&self) -> bool {
        self.0.aborted.load(Ordering::SeqCst)
    }

    fn is_at_work(&self) -> bool {
        self.0.at_work.load(Ordering::SeqCst) > 0
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Connection {
    fn new(stream: TcpStream, aborter: ConnectionAborter, slot: Option<OwnedSemaphorePermit>) -> Self {
        Self { stream, aborter, request_due: None, reading_due: None, request_timeout: HEADER_TIMEOUT, _slot: slot }
    }
}

/// Fails if the time is over. The task is woken when that happens.
fn in_time(due: &mut Option<Pin<Box<Sleep>>>, timeout: Duration, cx: &mut Context<'_>) -> io::Result<()> {
    let sleep = due.get_or_insert_with(|| Box::pin(time::sleep(timeout)));
    if sleep.as_mut().poll(cx).is_ready() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
}

impl Listener for LimitedListener {
    type Addr = ConnectionAborter;
    type Io = Connection;

    async fn accept(&mut self) -> (Connection, ConnectionAborter) {
        // Cannot fail, because the semaphore is never closed.
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        loop {
            if let Ok((stream, _)) = self.listener.accept().await {
                let _ = stream.set_nodelay(true); // otherwise a response may be delayed by 40 ms
                let aborter = ConnectionAborter::default();
                return (Connection::new(stream, aborter.clone(), slot), aborter);
            }
            // Probably out of file descriptors; wait for another connection to end.
            time::sleep(ACCEPT_RETRY_DELAY).await;
        }
    }

    fn local_addr(&self) -> io::Result<ConnectionAborter> {
        Ok(ConnectionAborter::default())
    }
}

impl Connected<IncomingStream<'_, LimitedListener>> for ConnectionAborter {
    fn connect_info(stream: IncomingStream<'_, LimitedListener>) -> Self {
        stream.remote_addr().clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.aborter.is_at_work() {
            // The handler limits the time of the body; the next request begins after the response.
            (this.request_due, this.request_timeout) = (None, IDLE_TIMEOUT);
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        in_time(&mut this.request_due, this.request_timeout, cx)?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before && this.request_timeout > HEADER_TIMEOUT {
            // The first bytes of another request.
            (this.request_due, this.request_timeout) = (None, HEADER_TIMEOUT);
            in_time(&mut this.request_due, this.request_timeout, cx)?;
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.aborter.is_aborted() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let this = &mut *self;
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        match polled {
            Poll::Ready(_) => this.reading_due = None,
            Poll::Pending => in_time(&mut this.reading_due, READING_TIMEOUT, cx)?,
        }
        // A response is on its way, so the time for the next request has not begun.
        (this.request_due, this.request_timeout) = (None, IDLE_TIMEOUT);
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// More than the clients of one machine need, fewer than the limit of file descriptors.
const MAX_CONNECTIONS: usize = 128;

/// How long the first line and the headers of a request may take. Clients are on this machine.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may be idle between two requests.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may read nothing of a response.
const READING_TIMEOUT: Duration = Duration::from_secs(10);

/// The delay after a failed accept.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
