//! A question to the task of a call, which nothing may wait for long.

use std::time::Duration;

use tokio::{sync::oneshot, time::timeout};

use crate::{order::Order, table::Entry};

/// What a call may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unanswered {
    /// The task takes no orders now; it was not asked.
    Busy,
    /// The call ended over it.
    Over,
    /// The task was asked, and may still do what it was asked for.
    Late,
}

/// Asks the task of a call for something.
///
/// # Errors
/// Why there is no answer.
pub(super) async fn ask<T>(
    entry: &Entry,
    order: impl FnOnce(oneshot::Sender<T>) -> Order,
) -> Result<T, Unanswered> {
    let (to, answer) = oneshot::channel();
    if !entry.begun || entry.orders.try_send(order(to)).is_err() {
        return Err(Unanswered::Busy);
    }
    match timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(|_| Unanswered::Over),
        Err(_) => Err(Unanswered::Late),
    }
}
