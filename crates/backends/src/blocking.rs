//! Runs blocking work from async code.

use tokio::task;

/// Runs `work` on a thread where it may block. A panic in it becomes the error that `on_panic` makes.
pub async fn blocking<T: Send + 'static, E: Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
    on_panic: impl FnOnce() -> E,
) -> Result<T, E> {
    task::spawn_blocking(work).await.unwrap_or_else(|_| Err(on_panic()))
}
