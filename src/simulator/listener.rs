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
pub struct Bounded {
    listener: TcpListener,
    slots: Arc<Semaphore>,
}

/// Cuts one connection: nothing that is written afterwards leaves.
#[derive(Clone, Debug, Default)]
pub struct Scissors(Arc<AtomicBool>);

/// A connection that can be cut.
pub struct Connection {
    stream: TcpStream,
    scissors: Scissors,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Bounded {
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, slots: Arc::new(Semaphore::new(MOST_CONNECTIONS)) }
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Scissors {
    pub fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn have_cut(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Listener for Bounded {
    type Addr = Scissors;
    type Io = Connection;

    async fn accept(&mut self) -> (Connection, Scissors) {
        // The semaphore is never closed, so a slot is all that this can bring.
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        loop {
            if let Ok((stream, _)) = self.listener.accept().await {
                let _ = stream.set_nodelay(true); // an answer is one write; without this it may wait for 40 ms
                let scissors = Scissors::default();
                return (Connection { stream, scissors: scissors.clone(), _slot: slot }, scissors);
            }
            // Out of file descriptors, most likely: some connection has to end first.
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn local_addr(&self) -> io::Result<Scissors> {
        Ok(Scissors::default())
    }
}

impl Connected<IncomingStream<'_, Bounded>> for Scissors {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
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
        if self.scissors.have_cut() {
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
