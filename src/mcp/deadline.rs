//! How long a call may take. The time that a person takes to think is not the call's.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

/// The moment by which a call is answered, whatever is left to do. It can be moved while somebody waits for it.
#[derive(Clone)]
pub struct Deadline(Arc<watch::Sender<Instant>>);

impl Deadline {
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Instant::now() + ALLOWED)))
    }

    /// A person is asked, and may take this long.
    pub fn wait_for_person(&self, timeout: Duration) {
        self.0.send_replace(Instant::now() + timeout + ALLOWED);
    }

    /// The person has answered: from here on it is the call's own time again.
    pub fn go_on(&self) {
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
    async fn a_person_may_think_and_the_work_may_not_dawdle() {
        let deadline = Deadline::new();
        let begun = Instant::now();
        deadline.wait_for_person(Duration::from_secs(300));
        let other = deadline.clone();
        let waiting = tokio::spawn(async move { other.passed().await });
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert!(!waiting.is_finished());
        deadline.go_on();
        waiting.await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(200) + ALLOWED);
    }
}
