//! Shutdown of the server: at once when idle, else after a grace period for the work in flight.
//!
//! Work that is not finished by then is in the journal, and the next process finishes it.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

/// Whether the server is stopping, and what is still in flight.
#[derive(Clone, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    in_flight: Arc<AtomicUsize>,
    one_less: Arc<Notify>,
}

impl Shutdown {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Returns when stopping has begun.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Returns a token that is cancelled when stopping begins.
    pub fn token(&self) -> CancellationToken {
        self.begun.clone()
    }

    /// Counts a piece of work until the guard is dropped.
    pub fn in_flight(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlight(self.clone())
    }

    /// Returns when stopping has begun and the grace period for the work in flight is over.
    pub async fn grace_elapsed(&self) {
        self.begun.cancelled().await;
        tokio::time::sleep(TIMEOUT).await;
    }

    pub async fn drained(&self) {
        tokio::select! {
            () = self.idle() => {}
            () = self.grace_elapsed() => {}
        }
    }

    async fn idle(&self) {
        loop {
            let changed = self.one_less.notified();
            if self.in_flight.load(Ordering::SeqCst) == 0 {
                return;
            }
            changed.await;
        }
    }
}

/// A piece of work in flight.
pub struct InFlight(Shutdown);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.0.one_less.notify_waiters();
    }
}

/// A reader that begins the shutdown when its input ends; rmcp by itself would wait five seconds.
pub struct EofDetector<R> {
    inner: R,
    shutdown: Shutdown,
}

impl<R> EofDetector<R> {
    pub fn new(inner: R, shutdown: Shutdown) -> Self {
        Self { inner, shutdown }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for EofDetector<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let room = buffer.remaining() > 0;
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if matches!(polled, Poll::Ready(Ok(()))) && room && buffer.filled().len() == before {
            self.shutdown.begin();
        }
        polled
    }
}

/// Completes when the process receives a signal to end.
///
/// It listens from the call on, not from the first poll: a client may send the signal right after `initialize`.
#[cfg(unix)]
pub fn signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    async move {
        let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] = signals else {
            return std::future::pending().await; // without handlers, the default action ends the process
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(not(unix))]
pub async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

/// Clients follow up with a signal after about two seconds; this leaves time to answer.
const TIMEOUT: Duration = Duration::from_millis(1500);

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    /// Without a listener, the signal would end the tests.
    #[tokio::test]
    async fn signal_before_the_first_poll_is_not_lost() {
        let shutdown_signal = signal();
        kill_process(getpid(), Signal::TERM).unwrap();
        tokio::time::timeout(Duration::from_secs(60), shutdown_signal).await.unwrap();
    }
}
