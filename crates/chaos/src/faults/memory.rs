//! Workers that leak until they abort; and an edge all of whose workers stand still.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    Row, Settings, proc,
    settings::faulty_worker,
    trial::{SECTIONS, Trial},
};

/// Deaths in a run of its own, and times that all workers stand still.
const USUAL: u32 = 5;
/// Address space that a worker may gain.
const MAY_GAIN: u64 = 64 << 20;
/// About how long a worker lives by that.
const LIVES: u64 = 1;
/// Inputs of a call in a second, about: 20 ms of audio both ways.
const INPUTS: u64 = 100;
/// Longest wait for a death.
const DIES_WITHIN: Duration = Duration::from_secs(120);
/// How often a process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a session may keep to replay where it is to reach its limits.
const LOG_BYTES: u64 = 256 << 10;
/// The same in time.
const LOG_AGE: Duration = Duration::from_secs(2);
/// How long all workers stand still: beyond that, far below `hold.give_up`.
const STAND_STILL: Duration = Duration::from_secs(6);
/// What an edge may gain whatever its sessions do: buffers of sockets, arenas of the allocator.
const EDGE_ROOM: u64 = 24 << 20;

/// Runs both.
///
/// # Errors
/// If they cannot be done.
pub(crate) async fn run(settings: &Settings) -> io::Result<Vec<Row>> {
    Ok(vec![leaks(settings).await?, standstill(settings).await?])
}

/// Every worker leaks, and aborts when the system gives it no more.
async fn leaks(settings: &Settings) -> io::Result<Row> {
    let share = u64::from(settings.calls).div_ceil(settings.workers.into());
    let leak = MAY_GAIN / (share * INPUTS * LIVES);
    let worker = faulty_worker(&["--leak", &leak.to_string()])?;
    let mut trial = Trial::begin(settings, |plan| plan.worker = worker).await?;
    for slot in 0..trial.stage.len() {
        tighten(&trial, slot)?;
    }
    let mut rounds = settings.rounds(USUAL);
    let mut deaths = 0;
    while rounds.another() {
        let patience = Instant::now() + DIES_WITHIN;
        let since = loop {
            sleep(LOOK_EVERY).await;
            let now = Instant::now();
            let dead = trial.stage.bury()?;
            for slot in &dead {
                deaths += 1;
                trial.stage.launch(*slot, &trial.version())?;
                trial.stage.ready(*slot).await?;
                tighten(&trial, *slot)?;
            }
            if !dead.is_empty() {
                break now;
            }
            if now > patience {
                return Err(io::Error::other("no worker ran out of memory"));
            }
        };
        // It died some time within the last look.
        trial.fault_since(since.checked_sub(LOOK_EVERY).unwrap_or(since));
        trial.tell(&format!("{deaths} workers ran out of memory"));
    }
    relieve(&mut trial).await?;
    let mut row = trial.finish(&[]).await?.row("worker out of memory", deaths);
    row.note(format!(
        "each leaked {leak} bytes an input, {} MiB until its end",
        MAY_GAIN >> 20
    ));
    Ok(row)
}

/// Puts workers that do not leak in the place of all. Those that do would die at any moment, also in
/// the one in which they are told to end.
async fn relieve(trial: &mut Trial) -> io::Result<()> {
    trial.stage.workers_as_shipped();
    for slot in 0..trial.stage.len() {
        let since = Instant::now();
        trial.stage.start(slot, &trial.version()).await?;
        trial.fault_since(since);
    }
    Ok(())
}

fn tighten(trial: &Trial, slot: usize) -> io::Result<()> {
    let Some(worker) = trial.stage.worker(slot) else {
        return Ok(());
    };
    let now = proc::address_space(worker.pid())?;
    proc::limit_memory(worker.pid(), Some(now + MAY_GAIN))
}

/// All workers stand still for longer than a session may remember.
async fn standstill(settings: &Settings) -> io::Result<Row> {
    let log = format!(
        "session: {{log: {{bytes: {}KiB, age: {}s}}, window: {{bytes: {}KiB}}}}\n",
        LOG_BYTES >> 10,
        LOG_AGE.as_secs(),
        LOG_BYTES >> 11
    );
    let sections = format!("{SECTIONS}{log}");
    let mut trial = Trial::begin(settings, |plan| plan.sections = sections).await?;
    let edge = trial.stage.edge().pid();
    let mut rounds = settings.rounds(USUAL);
    let before = proc::resident(edge)?;
    let mut most = before;
    while rounds.another() {
        let since = Instant::now();
        let workers = || (0..trial.stage.len()).filter_map(|slot| trial.stage.worker(slot));
        workers().try_for_each(|worker| worker.freeze())?;
        while since.elapsed() < STAND_STILL {
            sleep(LOOK_EVERY).await;
            most = most.max(proc::resident(edge)?);
        }
        workers().try_for_each(|worker| worker.thaw())?;
        trial.callers_are_served(settings.calls.into()).await?;
        trial.fault_since(since);
        trial.tell(&format!("the edge has had at most {} KiB", most >> 10));
        trial.pause_ms(1_000, 2_000).await;
    }
    let mut row = trial
        .finish(&[])
        .await?
        .row("all workers stand still", rounds.done);
    row.may_lose = true;
    let bound = before + u64::from(settings.calls) * 2 * LOG_BYTES + EDGE_ROOM;
    row.note(format!(
        "the edge's memory: {} KiB before, at most {} KiB, bound {} KiB",
        before >> 10,
        most >> 10,
        bound >> 10
    ));
    row.expect(most <= bound, || {
        "the edge's memory went beyond its bound".to_owned()
    });
    row.expect(row.in_gaps > 0, || "no limit was reached".to_owned());
    Ok(row)
}
