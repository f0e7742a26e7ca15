//! Calls that kill every worker that serves them, among calls that do not.
//!
//! A caller presses a key at which the worker of this trial aborts. The call is replayed to the
//! next worker, and that one dies of it too, with all its other calls on board; until the edge sees
//! that it is always the same input of the same call, and ends that one.

use std::{
    io,
    time::{Duration, Instant},
};

use clap::Args;
use holdline_testkit::twilio::Action;
use tokio::time::sleep;

use crate::{Row, Settings, settings::faulty_worker, trial::Trial, verdict::was_dropped};

/// Options of this fault.
#[derive(Args, Debug, Clone)]
pub(crate) struct PoisonArgs {
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// What passes between a worker's death and the start of the next in its place, such as 1500ms: as
    /// in a crash loop, where an orchestrator waits longer each time.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "0s")]
    restart_after: Duration,
}

/// Poisonous calls in a run of its own.
const USUAL: u32 = 1;
/// The key that kills.
const KEY: char = '*';
/// `session.poison_limit`, as shipped: the most workers that may die of a call.
const LIMIT: u32 = 3;
/// How often the workers are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Longest wait for the end of a poisonous call.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// Runs it. The last calls are the poisonous ones, one after the other.
///
/// # Errors
/// If it cannot be done.
pub(crate) async fn run(args: &PoisonArgs) -> io::Result<Vec<Row>> {
    let settings = &args.settings;
    let poisonous = settings.repeat.unwrap_or(USUAL);
    if settings.lasting.is_some() || poisonous >= settings.calls {
        return Err(io::Error::other(
            "poison takes --repeat, the number of poisonous calls, and more --calls than that",
        ));
    }
    let worker = faulty_worker(&["--poison", &KEY.to_string()])?;
    let mut trial = Trial::begin(settings, |plan| plan.worker = worker).await?;
    let excused: Vec<u32> = (settings.calls - poisonous + 1..=settings.calls).collect();
    let mut deaths = Vec::new();
    for call in &excused {
        trial.pause_ms(100, 1_000).await;
        let since = Instant::now();
        deaths.push(poison(&mut trial, *call, args.restart_after).await?);
        trial.fault_since(since);
        trial.tell(&format!("call {call} was poison: {deaths:?} workers died"));
    }
    let outcome = trial.finish(&excused).await?;
    let ended = |number: &u32| {
        let mut records = outcome.records.iter();
        records.any(|it| it.call == *number && was_dropped(it))
    };
    let all_ended = excused.iter().all(ended);
    let mut row = outcome.row("poison call", poisonous);
    row.note(format!("workers that died of each: {deaths:?}"));
    row.expect(all_ended, || "a poisonous call was not ended".to_owned());
    row.expect(deaths.iter().all(|dead| (1..=LIMIT).contains(dead)), || {
        format!("{deaths:?} workers died of a call, and at most {LIMIT} may")
    });
    Ok(vec![row])
}

/// Lets a caller press the key; how many workers die before its call is ended.
async fn poison(trial: &mut Trial, call: u32, restart_after: Duration) -> io::Result<u32> {
    let handle = trial.callers.handles[call as usize - 1].clone();
    handle.act(Action::Dtmf(KEY)).map_err(io::Error::other)?;
    let mut dead = Dead::default();
    let patience = Instant::now() + ENDS_WITHIN;
    while !handle.progress().over {
        dead.look(trial)?;
        dead.replace(trial, restart_after)?;
        if Instant::now() > patience {
            return Err(io::Error::other(format!(
                "call {call} was not ended within {ENDS_WITHIN:?}; {} workers died",
                dead.count
            )));
        }
        sleep(LOOK_EVERY).await;
    }
    dead.look(trial)?;
    dead.replace(trial, Duration::ZERO)?;
    for slot in 0..trial.stage.len() {
        trial.stage.ready(slot).await?;
    }
    Ok(dead.count)
}

/// Workers that died of a call.
#[derive(Default)]
struct Dead {
    count: u32,
    /// Those that have no successor yet: their places, and when they were found.
    open: Vec<(usize, Instant)>,
}

impl Dead {
    fn look(&mut self, trial: &mut Trial) -> io::Result<()> {
        let found = trial.stage.bury()?;
        self.count += u32::try_from(found.len()).unwrap_or(u32::MAX);
        let now = Instant::now();
        self.open.extend(found.into_iter().map(|slot| (slot, now)));
        Ok(())
    }

    fn replace(&mut self, trial: &mut Trial, after: Duration) -> io::Result<()> {
        for (slot, _) in self
            .open
            .extract_if(.., |(_, since)| since.elapsed() >= after)
        {
            trial.stage.launch(slot, &trial.version())?;
        }
        Ok(())
    }
}
