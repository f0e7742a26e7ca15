//! Telling sessions to leave a worker that drains, or that the rules want them to leave, one after
//! the other.

use std::{convert::Infallible, time::Duration};

use holdline_session::WorkerId;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    roster::{
        moves::SETTLED,
        pace::{Pacer, rate},
    },
    shared::Shared,
};

/// How often moves are handed out; a few at a time.
const TICK: Duration = Duration::from_millis(5);
/// Where nobody has a better place, or all have been told, the roster's changes are awaited; room
/// that other sessions leave is found after this long at the latest.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// The last sessions are told so long before the worker's time is over: they need to be released
/// and taken up elsewhere.
const MARGIN: Duration = Duration::from_secs(1);

/// Paces the moves of one worker. A worker's sessions stay with it while there
/// is no better place.
pub(crate) async fn run(shared: &Shared, worker: WorkerId) -> Infallible {
    let mut changes = shared.changes();
    loop {
        let mut pacer = Pacer::new(Instant::now());
        while let Some(leaving) = shared.leaving(worker) {
            let left = leaving.left.map(|left| left.saturating_sub(MARGIN));
            let limit = shared.roster().rules().handoffs_per_second;
            let pace = rate(limit, leaving.sessions, left);
            let due = match leaving.at_once {
                true => leaving.sessions.max(1),
                false => pacer.due(Instant::now(), pace, 2 * TICK),
            };
            let told = (0..due).take_while(|_| shared.move_one(worker)).count();
            if told < due {
                // Over or not, the roster is asked again.
                let _ = timeout(LOOK_AGAIN, changes.changed()).await;
            } else {
                sleep(TICK).await;
            }
        }
        // Over or not, and even if nothing will ever change again, the roster is asked again.
        let _ = timeout(SETTLED, changes.changed()).await;
    }
}
