//! What this edge's pod is worth to Kubernetes.
//!
//! A Deployment that is scaled down takes away pods without a look at what they hold, unless they
//! bear a cost: of those that are otherwise alike, the cheapest go first. An edge that goes drains for
//! as long as its calls last, so its cost is the number of its calls.
//!
//! It is a help, and no call depends on it: what goes wrong is logged, counted and tried again at
//! the next time.

#[cfg(feature = "kubernetes")]
mod keeper;
#[cfg(feature = "kubernetes")]
mod pod;

use futures_util::future::BoxFuture;
use holdline_config::Config;

use crate::{RunError, edge::Edge};

/// Whether this build can do what `config` asks.
///
/// # Errors
/// If it cannot.
pub(crate) fn supported(config: &Config) -> Result<(), RunError> {
    match config.kubernetes.pod_deletion_cost {
        Some(_) if !cfg!(feature = "kubernetes") => Err(RunError::NoKubernetes),
        _ => Ok(()),
    }
}

/// What keeps the cost, for as long as it is polled; `None` where that is not wanted.
///
/// # Errors
/// The build cannot, or the environment does not name the pod.
#[cfg(feature = "kubernetes")]
pub(crate) fn keeping(
    config: &Config,
    edge: &Edge,
) -> Result<Option<BoxFuture<'static, ()>>, RunError> {
    let Some(settings) = config.kubernetes.pod_deletion_cost else {
        return Ok(None);
    };
    let pod = pod::Pod::from_environment(edge.metrics.pod.clone())?;
    let calls = edge.admission.follow();
    Ok(Some(Box::pin(keeper::keep(calls, settings.interval, pod))))
}

#[cfg(not(feature = "kubernetes"))]
pub(crate) fn keeping(
    config: &Config,
    _: &Edge,
) -> Result<Option<BoxFuture<'static, ()>>, RunError> {
    supported(config)?;
    Ok(None)
}
