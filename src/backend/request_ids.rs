//! The ids that a backend gave to our requests, on their way to the audit.
//!
//! They are what Stripe's support asks for. A backend drops them as answers come in; whoever waits for the backend
//! picks them up, also when the answer was an error.

use std::{cell::RefCell, future::Future};

tokio::task_local! {
    static TRAIL: RefCell<Vec<String>>;
}

/// Waits, and returns the answer with the ids of the requests made for it, in order.
pub async fn collect_request_ids<T>(answer: impl Future<Output = T>) -> (T, Vec<String>) {
    let scope = TRAIL.scope(RefCell::default(), async {
        let answer = answer.await;
        (answer, TRAIL.with(RefCell::take))
    });
    scope.await
}

/// Leaves the id of a request for whoever waits; outside of [`collect_request_ids`] nobody does.
pub fn record(request_id: &str) {
    let _ = TRAIL.try_with(|request_ids| request_ids.borrow_mut().push(request_id.to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_left_is_picked_up_once() {
        record("req_outside");
        let (answer, ids) = collect_request_ids(async {
            record("req_1");
            tokio::task::yield_now().await;
            record("req_2");
            7
        })
        .await;
        assert_eq!((answer, ids), (7, vec!["req_1".to_owned(), "req_2".to_owned()]));
        assert_eq!(collect_request_ids(async {}).await.1, Vec::<String>::new());
    }
}
