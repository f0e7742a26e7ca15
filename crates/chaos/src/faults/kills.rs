//! `kill -9` of workers at random moments, and a new process in the place of each.

use std::{io, time::Instant};

use crate::{Row, Settings, trial::Trial};

/// Kills in a run of its own.
const USUAL: u32 = 200;
/// Quiet time before a kill, in milliseconds.
const PAUSE_MS: (u64, u64) = (20, 800);

/// Runs it.
///
/// # Errors
/// If it cannot be done.
pub(crate) async fn run(settings: &Settings) -> io::Result<Vec<Row>> {
    let mut trial = Trial::begin(settings, |_| {}).await?;
    let mut rounds = settings.rounds(USUAL);
    while rounds.another() {
        trial.pause_ms(PAUSE_MS.0, PAUSE_MS.1).await;
        kill(&mut trial).await?;
        if rounds.done.is_multiple_of(10) {
            trial.tell(&format!("{} kills", rounds.done));
        }
    }
    Ok(vec![
        trial
            .finish(&[])
            .await?
            .row("kill -9 of a worker", rounds.done),
    ])
}

/// Kills one, and starts another.
///
/// # Errors
/// If the new one does not serve.
pub(crate) async fn kill(trial: &mut Trial) -> io::Result<()> {
    let slot = trial.victim().await?;
    let since = Instant::now();
    trial.stage.kill(slot).await?;
    trial.stage.start(slot, &trial.version()).await?;
    trial.fault_since(since);
    Ok(())
}
