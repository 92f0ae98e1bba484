//! The time limit of a call. The time that the user takes to answer does not count.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

/// The moment by which a call is answered, even if work remains. It can be moved while a task waits for it.
#[derive(Clone)]
pub struct Deadline(Arc<watch::Sender<Instant>>);

impl Deadline {
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Instant::now() + ALLOWED)))
    }

    /// Extends the limit while the user is asked.
    pub fn wait_for_user(&self, timeout: Duration) {
        self.0.send_replace(Instant::now() + timeout + ALLOWED);
    }

    /// Restarts the call's own time after the user has answered.
    pub fn resume(&self) {
        self.0.send_replace(Instant::now() + ALLOWED);
    }

    pub async fn passed(&self) {
        let mut moved = self.0.subscribe();
        loop {
            let until = *moved.borrow_and_update();
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                _ = moved.changed() => {}
            }
        }
    }
}

pub const ALLOWED: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_of_the_user_does_not_count() {
        let deadline = Deadline::new();
        let begun = Instant::now();
        deadline.wait_for_user(Duration::from_secs(300));
        let other = deadline.clone();
        let waiting = tokio::spawn(async move { other.passed().await });
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert!(!waiting.is_finished());
        deadline.resume();
        waiting.await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(200) + ALLOWED);
    }
}
