//! A listener that limits connections and can abort each without a response.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
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
};

/// A listener that limits the number of connections; others wait.
pub struct LimitedListener {
    listener: TcpListener,
    slots: Arc<Semaphore>,
}

/// Aborts one connection: later writes fail.
#[derive(Clone, Debug, Default)]
pub struct ConnectionAborter(Arc<AtomicBool>);

/// A connection that can be aborted.
pub struct Connection {
    stream: TcpStream,
    aborter: ConnectionAborter,
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
        self.0.store(true, Ordering::SeqCst);
    }

    fn is_aborted(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
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
                return (Connection { stream, aborter: aborter.clone(), _slot: slot }, aborter);
            }
            // Probably out of file descriptors; wait for another connection to end.
            tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
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
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.aborter.is_aborted() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
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

/// The delay after a failed accept.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
