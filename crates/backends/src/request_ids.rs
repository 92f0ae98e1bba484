//! Ids of requests, which Stripe's support asks for, on their way to the audit log.
//!
//! A backend records them as responses arrive. The caller of the backend collects them, also after an error.

use std::{cell::RefCell, future::Future};

tokio::task_local! {
    static REQUEST_IDS: RefCell<Vec<String>>;
}

/// Awaits a call, and returns its output with the ids of the requests that it made, in order.
pub async fn collect_request_ids<T>(call: impl Future<Output = T>) -> (T, Vec<String>) {
    let scope = REQUEST_IDS.scope(RefCell::default(), async {
        let output = call.await;
        (output, REQUEST_IDS.with(RefCell::take))
    });
    scope.await
}

/// Records the id of a request. Does nothing outside of [`collect_request_ids`].
pub fn record(request_id: &str) {
    let _ = REQUEST_IDS.try_with(|request_ids| request_ids.borrow_mut().push(request_id.to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn request_ids_are_collected_once() {
        record("req_outside");
        let (output, ids) = collect_request_ids(async {
            record("req_1");
            tokio::task::yield_now().await;
            record("req_2");
            7
        })
        .await;
        assert_eq!((output, ids), (7, vec!["req_1".to_owned(), "req_2".to_owned()]));
        assert_eq!(collect_request_ids(async {}).await.1, Vec::<String>::new());
    }
}
