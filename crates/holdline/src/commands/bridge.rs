//! `holdline bridge`: the ready-made worker, so that one binary is enough to begin with.

use holdline_bridge::{Options, RunError};

use crate::Failure;

/// Runs the bridge until it has drained.
pub(crate) fn bridge(options: Options) -> Result<(), Failure> {
    super::block_on(async {
        holdline_bridge::run(options)
            .await
            .map_err(|error| match error {
                RunError::Config(_) => Failure::misconfigured(&error),
                _ => Failure::failed(&error),
            })
    })
}
