//! SIGSTOP of a worker, and SIGCONT some time later.
//!
//! Some are short and only delay; from `progress_timeout` (one second) on the edge gives the worker
//! up, and what it says when it runs again is of the past.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{Row, Settings, trial::Trial};

/// Freezes in a run of its own.
const USUAL: u32 = 30;
/// How long a worker is frozen, in milliseconds.
const FROZEN_MS: (u64, u64) = (200, 3_500);
/// Longer than this the edge must have given the worker up: its own deadline, and room.
const GIVEN_UP_AFTER: Duration = Duration::from_millis(1_500);
/// The same where the worker took the calls of one that was given up, and has not had them for long: it
/// is given twice the time, since it may be the machine that is slow.
const NEXT_GIVEN_UP_AFTER: Duration = Duration::from_millis(2_500);
/// For how long that is so.
const NEXT_FOR: Duration = Duration::from_secs(11);

/// Runs it.
///
/// # Errors
/// If it cannot be done.
pub(crate) async fn run(settings: &Settings) -> io::Result<Vec<Row>> {
    let mut trial = Trial::begin(settings, |_| {}).await?;
    let mut rounds = settings.rounds(USUAL);
    let (mut given_up, mut kept) = (0, 0);
    let mut last_moved: Option<Instant> = None;
    while rounds.another() {
        trial.pause_ms(200, 1_000).await;
        // The first is long, so that even a single one shows a worker that is given up.
        let shortest = if rounds.done == 1 { 2_000 } else { FROZEN_MS.0 };
        let length = trial.chance_ms(shortest, FROZEN_MS.1);
        let is_next = last_moved.is_some_and(|at| at.elapsed() < NEXT_FOR);
        let bound = if is_next {
            NEXT_GIVEN_UP_AFTER
        } else {
            GIVEN_UP_AFTER
        };
        let moved = freeze(&mut trial, length).await?;
        if moved {
            last_moved = Some(Instant::now());
        }
        if length > bound {
            given_up += u32::from(moved);
            kept += u32::from(!moved);
        }
        trial.tell(&format!("{} freezes, the last for {length:?}", rounds.done));
    }
    let mut row = trial
        .finish(&[])
        .await?
        .row("SIGSTOP of a worker", rounds.done);
    row.note(format!("given up for standing still: {given_up}"));
    row.expect(kept == 0, || {
        format!("{kept} workers stood still for longer than they are borne and kept their calls")
    });
    Ok(vec![row])
}

/// Freezes one for this long; whether calls left it meanwhile.
///
/// # Errors
/// If the system refuses a signal.
pub(crate) async fn freeze(trial: &mut Trial, length: Duration) -> io::Result<bool> {
    let slot = trial.victim().await?;
    let before = handoffs(trial).await?;
    let since = Instant::now();
    if let Some(worker) = trial.stage.worker(slot) {
        worker.freeze()?;
        sleep(length).await;
        worker.thaw()?;
    }
    trial.fault_since(since);
    Ok(handoffs(trial).await? > before)
}

async fn handoffs(trial: &Trial) -> io::Result<f64> {
    let metrics = trial.stage.admin().metrics().await?;
    Ok(metrics.sum("holdline_handoffs_total"))
}
