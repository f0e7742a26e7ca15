//! One trial: an exchange with callers on the line, to which something is done.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use holdline_testkit::{
    openai::{OpenAiSim, SimOptions},
    prng::Prng,
    stage::{ANSWER_WITHIN, Callers, Calling, Metrics, Plan, Stage},
    twilio::CallRecord,
};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{
    Row, Settings,
    settings::tell,
    verdict::{Span, Tally},
};

/// How often the edge is asked while something is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(90);
/// No call lasts longer, whatever happens.
const LONGEST: Duration = Duration::from_secs(4 * 3_600);
/// When a caller first says something.
const FIRST_WORDS: Duration = Duration::from_secs(3);
/// Quiet time before the first fault and behind the last, so that every call is well under way.
const QUIET: Duration = Duration::from_secs(1);
/// What the processes need beside the shipped values: an end without delay.
pub(crate) const SECTIONS: &str = "drain: {lame_duck: 0s, deadline: 60s, notice: 1s}\n";

/// A folder for files and logs, which may be kept.
#[derive(Debug)]
enum Folder {
    Kept(PathBuf),
    Passing(TempDir),
}

/// What is going on.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) stage: Stage,
    pub(crate) callers: Callers,
    /// How many more are up, whom the fault itself brings and takes away.
    pub(crate) passing: Arc<AtomicUsize>,
    /// Of callers who have hung up already.
    parted: Vec<CallRecord>,
    pub(crate) random: Prng,
    model: Arc<OpenAiSim>,
    version: u32,
    faults: Vec<Span>,
    folder: Folder,
    start: Instant,
}

/// What is left of a trial.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) records: Vec<CallRecord>,
    pub(crate) tally: Tally,
    /// The edge's, as of the moment before it ended.
    pub(crate) metrics: Metrics,
    /// Whether every process ended as it should.
    pub(crate) in_order: bool,
    start: Instant,
}

impl Trial {
    /// Starts everything and places the calls. `change` may alter the plan of the exchange.
    ///
    /// # Errors
    /// If something does not start, or a call is not answered.
    pub(crate) async fn begin(
        settings: &Settings,
        change: impl FnOnce(&mut Plan),
    ) -> io::Result<Self> {
        let mut trial = Self::prepare(settings, change).await?;
        tell(&format!("placing {} calls ...", settings.calls));
        trial.callers = Callers::dial(trial.stage.url(), calling(1, settings.calls)).await?;
        trial.callers_are_served(settings.calls.into()).await?;
        sleep(QUIET).await;
        Ok(trial)
    }

    /// Starts everything but calls.
    ///
    /// # Errors
    /// If something does not start.
    pub(crate) async fn prepare(
        settings: &Settings,
        change: impl FnOnce(&mut Plan),
    ) -> io::Result<Self> {
        let folder = match &settings.keep {
            Some(folder) => {
                fs::create_dir_all(folder)?;
                Folder::Kept(folder.canonicalize()?)
            }
            None => Folder::Passing(tempfile::tempdir()?),
        };
        let options = SimOptions {
            seed: settings.seed,
            max_connections: u16::MAX,
            ..SimOptions::default()
        };
        let model = OpenAiSim::bind(([127, 0, 0, 1], 0).into(), options).await;
        let model = model.map_err(io::Error::other)?;
        let program = settings.program()?;
        let workers = settings.workers.into();
        let mut plan = Plan::new(folder.path(), &program, model.local_addr(), workers);
        SECTIONS.clone_into(&mut plan.sections);
        change(&mut plan);
        tell(&format!("starting an edge and {workers} workers ..."));
        Ok(Self {
            stage: Stage::set_up(plan, "v1").await?,
            callers: Callers::default(),
            passing: Arc::default(),
            parted: Vec::new(),
            random: Prng::new(settings.seed),
            model: Arc::new(model),
            version: 1,
            faults: Vec::new(),
            folder,
            start: Instant::now(),
        })
    }

    /// Where the files and logs are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The model's side.
    pub(crate) fn model(&self) -> Arc<OpenAiSim> {
        Arc::clone(&self.model)
    }

    /// The version of the workers that are started now.
    pub(crate) fn version(&self) -> String {
        format!("v{}", self.version)
    }

    /// Replaces all workers by those of a next version, one after another, each new one first.
    ///
    /// # Errors
    /// If a new one does not serve, or an old one does not end in good order.
    pub(crate) async fn roll(&mut self) -> io::Result<()> {
        self.version += 1;
        for slot in 0..self.stage.len() {
            self.stage.replace(slot, &self.version()).await?;
        }
        Ok(())
    }

    /// A fault was in force from then until now.
    pub(crate) fn fault_since(&mut self, from: Instant) -> Span {
        let until = Instant::now();
        let span = Span { from, until };
        self.faults.push(span);
        span
    }

    /// Progress, with the time and the calls that are up.
    pub(crate) fn tell(&self, text: &str) {
        let seconds = self.start.elapsed().as_secs_f64();
        tell(&format!(
            "{seconds:>7.1} s  {:>3} calls up  {text}",
            self.callers.up() + self.passing.load(Ordering::Relaxed)
        ));
    }

    /// A random time between two, in milliseconds.
    pub(crate) fn chance_ms(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(low + self.random.below(high - low + 1))
    }

    /// Waits for a random time between two, in milliseconds.
    pub(crate) async fn pause_ms(&mut self, low: u64, high: u64) {
        sleep(self.chance_ms(low, high)).await;
    }

    /// A slot by lot: its worker is ready and, if any has, has calls; and another is ready too, so
    /// that these have where to go.
    ///
    /// # Errors
    /// If that does not become so.
    pub(crate) async fn victim(&mut self) -> io::Result<usize> {
        let patience = Instant::now() + PATIENCE;
        loop {
            let rows = self.stage.admin().workers().await?;
            let addresses: Vec<_> = (0..self.stage.len())
                .map(|slot| self.stage.address(slot))
                .collect();
            let ready = rows.iter().filter(|row| row.state == "ready");
            let slots: Vec<_> = ready
                .filter_map(|row| {
                    let slot = addresses.iter().position(|it| *it == row.address)?;
                    Some((slot, row.sessions))
                })
                .collect();
            if slots.len() >= 2 {
                let busy: Vec<_> = slots.iter().filter(|(_, calls)| *calls > 0).collect();
                let choice = match busy.len() {
                    0 => &slots[self.lot(slots.len())],
                    count => busy[self.lot(count)],
                };
                return Ok(choice.0);
            }
            if Instant::now() > patience {
                return Err(io::Error::other("fewer than two workers are ready"));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the edge says that so many calls are with workers.
    ///
    /// # Errors
    /// If that does not become so.
    pub(crate) async fn callers_are_served(&self, calls: u64) -> io::Result<()> {
        let patience = Instant::now() + PATIENCE;
        loop {
            let rows = self.stage.admin().workers().await?;
            let served: u64 = rows.iter().map(|row| row.sessions).sum();
            if served >= calls {
                return Ok(());
            }
            if Instant::now() > patience {
                return Err(io::Error::other(format!(
                    "only {served} of {calls} calls are served"
                )));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// These callers hang up; they are judged with the others.
    ///
    /// # Errors
    /// If a caller's task panicked.
    pub(crate) async fn part(&mut self, callers: Callers) -> io::Result<()> {
        self.parted.extend(callers.hang_up().await?);
        Ok(())
    }

    /// Everybody hangs up, everything ends, and the calls are judged, save those with these numbers.
    ///
    /// # Errors
    /// If a process does not end.
    pub(crate) async fn finish(self, excused: &[u32]) -> io::Result<Outcome> {
        sleep(QUIET).await;
        self.tell("everybody hangs up");
        let mut records = self.parted;
        records.extend(self.callers.hang_up().await?);
        let metrics = self.stage.admin().metrics().await?;
        let in_order = self.stage.strike().await?;
        let model = Arc::into_inner(self.model);
        let model = model.ok_or_else(|| io::Error::other("the model is still in use"))?;
        let report = model.shutdown().await;
        let mut tally = Tally::default();
        for record in records.iter().filter(|it| !excused.contains(&it.call)) {
            tally.add(record, &report.connections, &self.faults);
        }
        Ok(Outcome {
            records,
            tally,
            metrics,
            in_order,
            start: self.start,
        })
    }

    fn lot(&mut self, count: usize) -> usize {
        // Both numbers are small.
        usize::try_from(self.random.below(count as u64)).unwrap_or(0)
    }
}

impl Outcome {
    /// The row of the table, with what every trial promises.
    pub(crate) fn row(self, fault: &'static str, repetitions: u32) -> Row {
        let mut row = Row::new(fault, repetitions, self.tally);
        let sum = |name: &str| self.metrics.sum(name);
        row.in_gaps = sum("holdline_media_lost_frames_total") as u64;
        row.held = sum("holdline_session_holds_total") > 0.0;
        row.note(format!(
            "handoffs {}, inputs replayed {}, late messages fenced {}, times held {}, media lost in gaps {}",
            sum("holdline_handoffs_total"),
            sum("holdline_replayed_inputs_total"),
            sum("holdline_fenced_messages_total"),
            sum("holdline_session_holds_total"),
            row.in_gaps,
        ));
        row.tell_losses(self.start);
        row.expect(self.in_order, || {
            "a process did not end in good order".to_owned()
        });
        row
    }
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Passing(folder) => folder.path(),
        }
    }
}

/// Callers from this number on.
pub(crate) fn calling(first: u32, calls: u32) -> Calling {
    Calling {
        first,
        calls,
        longest: LONGEST,
        first_words: FIRST_WORDS,
        answer_within: ANSWER_WITHIN,
        keep_audio: false,
    }
}
