//! Asking calls how they are.
//!
//! Calls are asked only when an operator asks, so that a frame costs nothing for it. A task that
//! does not answer in time is told from outside: that it does not is worth seeing.

use std::time::Duration;

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::{edge::Edge, order::Order, status::SessionStatus, table::Entry};

/// What all calls together may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// All calls, oldest first.
pub(super) async fn all(edge: &Edge) -> Vec<SessionStatus> {
    let asked: Vec<_> = edge.table.all().into_iter().map(ask).collect();
    let deadline = Instant::now() + PATIENCE;
    let mut answers = Vec::with_capacity(asked.len());
    for (entry, answer) in asked {
        answers.extend(hear(edge, entry, answer, deadline).await);
    }
    answers
}

/// One call, by session id or by the carrier's id.
pub(super) async fn one(edge: &Edge, name: &str) -> Option<SessionStatus> {
    let (entry, answer) = ask(edge.table.find(name)?);
    hear(edge, entry, answer, Instant::now() + PATIENCE).await
}

type Answer = oneshot::Receiver<Box<SessionStatus>>;

fn ask(entry: Entry) -> (Entry, Option<Answer>) {
    if !entry.begun {
        return (entry, None);
    }
    let (to, answer) = oneshot::channel();
    let asked = entry.orders.try_send(Order::Show(to)).is_ok();
    (entry, asked.then_some(answer))
}

/// None where the call has ended meanwhile.
async fn hear(
    edge: &Edge,
    entry: Entry,
    answer: Option<Answer>,
    deadline: Instant,
) -> Option<SessionStatus> {
    if let Some(answer) = answer
        && let Ok(Ok(status)) = timeout_at(deadline, answer).await
    {
        return Some(*status);
    }
    if entry.orders.is_closed() {
        return None;
    }
    Some(SessionStatus::outside(&entry, edge.clock.now()))
}
