//! Serving a worker.

use std::future::Future;

use tokio::net::TcpListener;

use crate::{ServeError, Settings, Worker};

/// Serves with the settings of the environment until SIGTERM, then drains.
///
/// # Errors
/// [`ServeError`].
pub async fn run<W: Worker>(worker: W) -> Result<(), ServeError> {
    run_with(worker, Settings::from_env()?).await
}

/// As [`run`], with settings of the author's choice.
///
/// # Errors
/// [`ServeError`].
pub async fn run_with<W: Worker>(_worker: W, _settings: Settings) -> Result<(), ServeError> {
    Ok(())
}

/// Serves on a listener until `shutdown` is done, then drains.
///
/// # Errors
/// [`ServeError`].
pub async fn serve<W: Worker>(
    _worker: W,
    _listener: TcpListener,
    _settings: Settings,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    shutdown.await;
    Ok(())
}
