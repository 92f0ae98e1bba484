//! Connections: a bounded number at a time, each of which can be cut without an answer.

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

/// A listener that takes so many connections and no more; the others wait.
pub struct LimitedListener {
    listener: TcpListener,
    slots: Arc<Semaphore>,
}

/// Cuts one connection: nothing that is written afterwards leaves.
#[derive(Clone, Debug, Default)]
pub struct ConnectionAborter(Arc<AtomicBool>);

/// A connection that can be cut.
pub struct Connection {
    stream: TcpStream,
    aborter: ConnectionAborter,
    _slot: Option<OwnedSemaphorePermit>,
}

impl LimitedListener {
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, slots: Arc::new(Semaphore::new(MOST_CONNECTIONS)) }
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl ConnectionAborter {
    pub fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn have_cut(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Listener for LimitedListener {
    type Addr = ConnectionAborter;
    type Io = Connection;

    async fn accept(&mut self) -> (Connection, ConnectionAborter) {
        // The semaphore is never closed, so a slot is all that this can bring.
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        loop {
            if let Ok((stream, _)) = self.listener.accept().await {
                let _ = stream.set_nodelay(true); // an answer is one write; without this it may wait for 40 ms
                let aborter = ConnectionAborter::default();
                return (Connection { stream, aborter: aborter.clone(), _slot: slot }, aborter);
            }
            // Out of file descriptors, most likely: some connection has to end first.
            tokio::time::sleep(PAUSE).await;
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
        if self.aborter.have_cut() {
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

/// Far more than the clients of one machine need, far fewer than it has file descriptors.
const MOST_CONNECTIONS: usize = 128;

/// How long to wait after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(100);
