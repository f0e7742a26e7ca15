//! Calls come and go under kills, freezes and rolls, while the edge is watched: its memory must stay
//! flat, and when the last call is over, its descriptors and tasks must be back where they were.

use std::{
    fmt::Write as _,
    fs, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Args;
use holdline_testkit::{
    openai::{ConnectionRecord, OpenAiSim},
    prng::Prng,
    stage,
    twilio::{CallRecord, CallerError},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

mod trend;
mod watcher;

use super::{freeze::freeze, kills::kill};
use crate::{
    Row, Settings,
    trial::Trial,
    verdict::{Span, Tally},
};
use trend::Trend;
use watcher::{Sample, Watcher};

/// How long it usually lasts.
const USUAL: Duration = Duration::from_secs(30 * 60);
/// How often the edge is looked at.
const SAMPLE_EVERY: Duration = Duration::from_secs(2);
/// Growth of the memory over the measured time that still counts as flat, as a share of it.
const FLAT: f64 = 0.05;
/// A shorter measured time says nothing of a trend.
const TREND_FROM: Duration = Duration::from_secs(5 * 60);
/// Longest wait until the edge is as it was, when the last call is over.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);
/// Longest wait for the model's side of a call that is over.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// Time between two calls that begin.
const APART: Duration = Duration::from_millis(40);

/// Options of `churn`.
#[derive(Args, Debug)]
pub(crate) struct ChurnArgs {
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Shortest call, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    shortest: u64,
    /// Longest call, in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    longest: u64,
    /// Time at the beginning that does not count for the memory's trend; else a fifth of all.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    warm_up: Option<Duration>,
    /// Writes all samples to this file.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// If it cannot be done.
pub(crate) async fn run(args: &ChurnArgs) -> io::Result<Vec<Row>> {
    let settings = &args.settings;
    let lasting = settings.lasting.unwrap_or(USUAL);
    if settings.repeat.is_some() || args.shortest > args.longest {
        return Err(io::Error::other(
            "churn takes --for in place of --repeat, and no --shortest beyond --longest",
        ));
    }
    let mut trial = Trial::prepare(settings, |_| {}).await?;
    let watcher = Watcher::new(&trial);
    let before = watcher.sample().await?;
    let (stop, stopped) = watch::channel(false);
    let traffic = tokio::spawn(traffic(
        Traffic {
            url: trial.stage.url().to_owned(),
            model: trial.model(),
            calls: settings.calls as usize,
            lasts: (args.shortest, args.longest),
            random: Prng::new(!settings.seed),
            up: Arc::clone(&trial.passing),
        },
        stopped.clone(),
    ));
    let watching = tokio::spawn(watch_on(watcher.clone(), stopped));
    let blows = havoc(&mut trial, lasting).await;
    // The calls that are up may end; then all is told.
    stop.send_replace(true);
    let ended = traffic.await.map_err(io::Error::other)?;
    let samples = watching.await.map_err(io::Error::other)??;
    let blows = blows?;
    let most = before.with_connections(settings.workers);
    let after = settled(&trial, &watcher, &most).await?;
    if let Some(file) = &args.csv {
        fs::write(file, csv(&samples))?;
    }
    let mut outcome = trial.finish(&[]).await?;
    // Whoever called is gone by now, with an account of its own.
    outcome.tally = ended.tally;
    let mut row = outcome.row("churn", blows);
    row.expect(ended.refused.is_empty(), || {
        format!(
            "{} calls were not answered: {}",
            ended.refused.len(),
            ended.refused[0]
        )
    });
    row.note(format!(
        "before the first call: {before}; behind the last: {after}"
    ));
    told(&mut row, &most, &after);
    let warm_up = args.warm_up.unwrap_or(lasting / 5);
    trend(&mut row, &samples, warm_up);
    Ok(vec![row])
}

fn told(row: &mut Row, most: &Sample, after: &Sample) {
    row.expect(after.descriptors <= most.descriptors, || {
        format!(
            "{} descriptors were left",
            after.descriptors - most.descriptors
        )
    });
    row.expect(after.tasks <= most.tasks, || {
        format!("{} tasks were left", after.tasks - most.tasks)
    });
}

fn trend(row: &mut Row, samples: &[Sample], warm_up: Duration) {
    let points = samples.iter().filter(|it| it.at >= warm_up);
    let points: Vec<_> = points
        .map(|it| (it.at.as_secs_f64(), it.resident as f64))
        .collect();
    let Some(trend) = Trend::of(&points) else {
        row.note("the memory was looked at too seldom for a trend");
        return;
    };
    row.note(format!(
        "memory over {:.0} s: mean {:.1} MiB, trend {:+.2} % over that time",
        trend.length,
        trend.mean / f64::from(1 << 20),
        trend.growth * 100.0
    ));
    if trend.length >= TREND_FROM.as_secs_f64() {
        row.expect(trend.growth <= FLAT, || {
            "the edge's memory grows".to_owned()
        });
    }
}

/// Who calls.
struct Traffic {
    url: String,
    model: Arc<OpenAiSim>,
    calls: usize,
    /// Shortest and longest call, in seconds.
    lasts: (u64, u64),
    random: Prng,
    /// How many are up.
    up: Arc<AtomicUsize>,
}

/// What came of all calls.
#[derive(Default)]
struct Ended {
    tally: Tally,
    refused: Vec<CallerError>,
}

/// Keeps so many calls up until it is told to stop, then waits for the last. Every call is judged
/// when it is over, and forgotten.
async fn traffic(mut traffic: Traffic, stopped: watch::Receiver<bool>) -> Ended {
    let mut ended = Ended::default();
    let start = Instant::now();
    let mut up = JoinSet::new();
    let mut number = 0;
    let mut begin = interval(APART);
    begin.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let stopping = *stopped.borrow();
        traffic.up.store(up.len(), Ordering::Relaxed);
        if stopping && up.is_empty() {
            return ended;
        }
        tokio::select! {
            _ = begin.tick(), if !stopping && up.len() < traffic.calls => {
                number += 1;
                let (low, high) = (traffic.lasts.0 * 1_000, traffic.lasts.1 * 1_000);
                let lasts = Duration::from_millis(low + traffic.random.below(high - low + 1));
                up.spawn(call(traffic.url.clone(), Arc::clone(&traffic.model), number, lasts));
            }
            Some(Ok(call)) = up.join_next() => match call {
                Ok((record, model)) => {
                    let all_the_time = Span { from: start, until: Instant::now() };
                    ended.tally.add(&record, &model, &[all_the_time]);
                }
                Err(error) => ended.refused.push(error),
            },
            () = sleep(SAMPLE_EVERY) => {}
        }
    }
}

async fn call(
    url: String,
    model: Arc<OpenAiSim>,
    number: u32,
    lasts: Duration,
) -> Result<(CallRecord, Vec<ConnectionRecord>), CallerError> {
    let record = stage::call(&url, number, lasts).await?;
    let patience = Instant::now() + ENDS_WITHIN;
    loop {
        let taken = model.take(number);
        if !taken.is_empty() || Instant::now() > patience {
            return Ok((record, taken));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// One blow after another for this long; how many there were.
async fn havoc(trial: &mut Trial, lasting: Duration) -> io::Result<u32> {
    let until = Instant::now() + lasting;
    let mut blows = 0;
    while Instant::now() < until {
        trial.pause_ms(500, 3_000).await;
        let what = match trial.random.below(10) {
            0..6 => {
                kill(trial).await?;
                "kill -9"
            }
            6..8 => {
                let length = trial.chance_ms(200, 3_500);
                freeze(trial, length).await?;
                "SIGSTOP"
            }
            _ => {
                trial.roll().await?;
                "roll"
            }
        };
        blows += 1;
        if blows % 20 == 0 {
            trial.tell(&format!("{blows} blows, the last: {what}"));
        }
    }
    Ok(blows)
}

async fn watch_on(watcher: Watcher, mut stopped: watch::Receiver<bool>) -> io::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let mut ticks = interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = ticks.tick() => samples.push(watcher.sample().await?),
            () = told_to_stop(&mut stopped) => return Ok(samples),
        }
    }
}

/// Also ends when nobody is left who could tell.
async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// The edge when it has come to rest, or after the longest wait for that.
async fn settled(trial: &Trial, watcher: &Watcher, most: &Sample) -> io::Result<Sample> {
    for slot in 0..trial.stage.len() {
        trial.stage.ready(slot).await?;
    }
    let patience = Instant::now() + SETTLES_WITHIN;
    loop {
        let now = watcher.sample().await?;
        let at_rest =
            now.sessions == 0 && now.descriptors <= most.descriptors && now.tasks <= most.tasks;
        if at_rest || Instant::now() > patience {
            return Ok(now);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn csv(samples: &[Sample]) -> String {
    let mut text = "seconds,resident_bytes,descriptors,tasks,sessions\n".to_owned();
    for it in samples {
        let seconds = it.at.as_secs_f64();
        let _ = writeln!(
            text,
            "{seconds:.1},{},{},{},{}",
            it.resident, it.descriptors, it.tasks, it.sessions
        );
    }
    text
}
