//! The edge out of file descriptors, with more callers than fit; and a worker that can open none.

use std::{
    io,
    time::{Duration, Instant},
};

use holdline_testkit::stage::Callers;
use tokio::time::{sleep, timeout};

use crate::{
    Row, Settings,
    faults::kills::kill,
    proc,
    trial::{Trial, calling},
};

/// Rounds in a run of its own: each is a crowd that does not fit.
const USUAL: u32 = 3;
/// Descriptors that the edge may have beyond those of the calls that are up.
const ROOM: u64 = 9;
/// Callers that come all at once: with two sockets each they do not fit.
const CROWD: u32 = 24;
/// How long each of them waits to be taken.
const WAITS: Duration = Duration::from_secs(3);
/// How long those that were stay.
const STAYS: Duration = Duration::from_secs(1);
/// Calls that are placed when the crowd has gone. With two sockets each they fit.
const NEWCOMERS: u32 = 2;
/// Longest wait until a call is taken again, and then until its model is heard.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

/// Runs it.
///
/// # Errors
/// If it cannot be done.
pub(crate) async fn run(settings: &Settings) -> io::Result<Vec<Row>> {
    let mut trial = Trial::begin(settings, |_| {}).await?;
    let edge = trial.stage.edge().pid();
    let usual = proc::descriptors(edge)?;
    proc::limit_descriptors(edge, usual + ROOM)?;
    starve_a_worker(&trial)?;
    let mut rounds = settings.rounds(USUAL);
    let mut next = settings.calls + 1;
    let mut excused = Vec::new();
    let (mut refused, mut most) = (0, 0);
    while rounds.another() {
        // This also keeps the connection to the admin port, for which there will be no other.
        trial.callers_are_served(settings.calls.into()).await?;
        let since = Instant::now();
        excused.extend(next..next + CROWD);
        let url = trial.stage.url().to_owned();
        let mut many = calling(next, CROWD);
        many.answer_within = WAITS;
        let (crowd, not_taken) = Callers::crowd(&url, many).await;
        next += CROWD;
        refused += not_taken.len();
        most = most.max(proc::descriptors(edge)?);
        trial.tell(&format!(
            "{CROWD} more callers came, {} were not taken",
            not_taken.len()
        ));
        kill(&mut trial).await?;
        sleep(STAYS).await;
        crowd.hang_up().await?;
        trial.fault_since(since);
        let newcomers = newcomers(&mut trial, &url, next).await?;
        // Those that were refused beside them do not count.
        excused.extend(newcomers.1);
        next = newcomers.0;
        trial.tell("calls are taken again");
    }
    let outcome = trial.finish(&excused).await?;
    let mut row = outcome.row("out of descriptors", rounds.done);
    row.note(format!(
        "the edge had {usual} descriptors, at most {most} of {} allowed; {refused} callers not taken",
        usual + ROOM
    ));
    row.expect(refused > 0, || {
        "every caller was taken: nothing ran out".to_owned()
    });
    Ok(vec![row])
}

/// One worker may open nothing more: it goes on with the connections that it has.
fn starve_a_worker(trial: &Trial) -> io::Result<()> {
    if let Some(worker) = trial.stage.worker(0) {
        let open = proc::descriptors(worker.pid())?;
        proc::limit_descriptors(worker.pid(), open)?;
    }
    Ok(())
}

/// Places calls until they are taken, and ends them once their model is heard: the next crowd is to
/// find the same room. Gives the next free number, and the numbers that were not taken.
async fn newcomers(trial: &mut Trial, url: &str, first: u32) -> io::Result<(u32, Vec<u32>)> {
    let patience = Instant::now() + TAKEN_WITHIN;
    let mut number = first;
    let mut missing = Vec::new();
    let mut taken = Callers::default();
    while taken.handles.len() < NEWCOMERS as usize {
        let (caller, refused) = Callers::crowd(url, calling(number, 1)).await;
        match refused.first() {
            None => taken.join(caller),
            Some(error) if Instant::now() > patience => {
                return Err(io::Error::other(format!(
                    "no call was taken within {TAKEN_WITHIN:?} of the crowd's end: {error}"
                )));
            }
            Some(_) => {
                missing.push(number);
                sleep(Duration::from_millis(100)).await;
            }
        }
        number += 1;
    }
    for call in &mut taken.handles {
        let answered = call.wait_for(|call| call.frames_received > 0);
        if timeout(TAKEN_WITHIN, answered).await.is_err() {
            return Err(io::Error::other(format!(
                "a call that was taken had no model within {TAKEN_WITHIN:?}"
            )));
        }
    }
    trial.part(taken).await?;
    Ok((number, missing))
}
