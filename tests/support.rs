//! Processes, and a caller who talks to them.

use std::{future::Future, time::Duration};

use tokio::time::timeout;

mod caller;
mod process;
mod tools;
mod worker;

pub(crate) use caller::Caller;
pub(crate) use process::{EdgeProcess, WorkerProcess, example, holdline, raw_edge_config};
pub(crate) use tools::{tool, workspace};
pub(crate) use worker::{Attachment, BareWorker};

/// Nothing in these tests takes longer, unless it hangs, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);
/// After its last frame a caller stays this long, so that all that is under way arrives.
pub(crate) const SETTLE: Duration = Duration::from_secs(3);

/// Waits for something that must come.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
