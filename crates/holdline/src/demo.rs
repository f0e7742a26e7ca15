//! `holdline demo`: real processes, real sockets, recorded speech; only the vendors are simulated.
//!
//! An edge and its workers run as processes of their own. Callers talk to a simulated model through
//! them, while the workers are rolled to a new version, rolled back, killed and frozen. At the end
//! the simulators, which stamped every 20 ms of audio, say what became of each frame.

use std::{
    fs,
    io::{self, BufWriter},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;
use holdline_testkit::{
    openai::{OpenAiSim, SimOptions},
    process::LogLine,
    stage::{ANSWER_WITHIN, Callers, Calling, WorkerRow},
    twilio::CallRecord,
    wav,
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

mod handoffs;
mod picture;
mod show;
mod stage;
mod verdict;

use handoffs::{Clocks, Deed, Handoff};
use picture::{Moment, Series};
use show::{Now, Show, say};
use stage::Stage;
use verdict::Verdict;

/// Log lines of children waiting to be looked at.
const LINES_WAITING: usize = 1_024;
/// How often the table is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// When a caller first says something.
const FIRST_WORDS: Duration = Duration::from_secs(5);
/// How long the frozen worker stays frozen: longer than any deadline of the edge for it.
const FROZEN: Duration = Duration::from_secs(4);

/// Options of `holdline demo`.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Simultaneous calls.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    calls: u32,
    /// Worker processes of one version.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=16))]
    workers: u8,
    /// How often to go through deploy, roll-back, kill and freeze.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Shortest time that the calls last, in seconds.
    #[arg(long, default_value_t = 62, value_parser = clap::value_parser!(u64).range(5..=14_400))]
    seconds: u64,
    /// Quiet time before each thing that is done, in seconds.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(0..=600))]
    pause: u64,
    /// Folder for the picture, the recording, the account and all logs. Made if need be.
    #[arg(long, default_value = "holdline-demo", value_name = "FOLDER")]
    out: PathBuf,
}

pub(crate) const AFTER_HELP: &str = "\
The edge and its workers run as processes of their own; only the two vendors are simulated. Every
20 ms of audio carries a number in its samples, so the simulators know what became of each frame.

Exit status:
  0  no call was dropped, no frame was lost, doubled or out of order
  1  something was, or the demo could not run

For handoff figures worth quoting, more of them:
  holdline demo --rounds 20 --pause 2";

/// Runs it. False if anything was lost, doubled, out of order or cut off.
pub(crate) async fn run(args: DemoArgs) -> io::Result<bool> {
    fs::create_dir_all(&args.out)?;
    let (lines, from_children) = mpsc::channel(LINES_WAITING);
    let clocks = Clocks::now();
    let sim = OpenAiSim::bind(([127, 0, 0, 1], 0).into(), SimOptions::default())
        .await
        .map_err(io::Error::other)?;
    say(&format!(
        "Starting an edge, {} workers of v1 and a simulated OpenAI Realtime server ...",
        args.workers
    ));
    let stage = Stage::set_up(&args.out, args.workers.into(), sim.local_addr(), lines).await?;
    let mut performance = Performance {
        start: Instant::now(),
        show: Show::new(Instant::now()),
        callers: Callers::dial(stage.url(), calling(&args)).await?,
        from_children,
        clocks,
        handoffs: Vec::new(),
        moments: Vec::new(),
    };
    performance
        .show
        .tell(&format!("{} callers are on the line", args.calls));
    let (stage, played) = performance.play(stage, &args).await;
    played?;
    performance.show.tell("everybody hangs up");
    let (records, handoffs) = performance.curtain().await?;
    let report = sim.shutdown().await;
    let verdict = Verdict::new(&records.calls, &report, &handoffs, &stage.deeds);
    keep(&args.out, &records, &verdict)?;
    let in_order = stage.strike().await?;
    verdict.print();
    tell_files(&args.out);
    Ok(conclude(&verdict, in_order))
}

/// What is going on.
struct Performance {
    start: Instant,
    show: Show,
    callers: Callers,
    from_children: mpsc::Receiver<LogLine>,
    clocks: Clocks,
    handoffs: Vec<Handoff>,
    moments: Vec<Moment>,
}

/// What is left of it.
struct Records {
    start: Instant,
    length: Duration,
    calls: Vec<CallRecord>,
    moments: Vec<Moment>,
}

impl Performance {
    /// Does everything to the workers, while the table shows the calls.
    async fn play(&mut self, stage: Stage, args: &DemoArgs) -> (Stage, io::Result<()>) {
        let (news, mut told) = mpsc::channel::<String>(64);
        let (rows, workers) = tokio::sync::watch::channel(Vec::new());
        let (rounds, pause) = (args.rounds, Duration::from_secs(args.pause));
        let until = self.start + Duration::from_secs(args.seconds);
        let mut acting = tokio::spawn(async move {
            let mut stage = stage;
            let done = act(&mut stage, rounds, pause, &news, &rows).await;
            tokio::time::sleep_until(until.into()).await;
            (stage, done)
        });
        let mut ticks = interval(DRAW_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                Some(text) = told.recv() => {
                    self.moments.push(Moment { at: Instant::now(), text: text.clone() });
                    self.show.tell(&text);
                }
                Some(line) = self.from_children.recv() => self.hear(&line),
                _ = ticks.tick() => {
                    let now = Now {
                        calls: self.callers.handles.iter().map(|call| call.progress()).collect(),
                        workers: workers.borrow().clone(),
                        handoffs: self.handoffs.len(),
                    };
                    self.show.update(&now);
                }
                ended = &mut acting => match ended {
                    Ok(ended) => return ended,
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                },
            }
        }
    }

    fn hear(&mut self, line: &LogLine) {
        if line.process == "edge"
            && let Some(handoff) = self.clocks.handoff(&line.line)
        {
            self.handoffs.push(handoff);
        }
    }

    async fn curtain(mut self) -> io::Result<(Records, Vec<Handoff>)> {
        let mut hanging_up = Box::pin(self.callers.hang_up());
        let calls = loop {
            tokio::select! {
                calls = &mut hanging_up => break calls?,
                Some(line) = self.from_children.recv() => {
                    if line.process == "edge" {
                        self.handoffs.extend(self.clocks.handoff(&line.line));
                    }
                }
            }
        };
        self.show.end();
        let records = Records {
            start: self.start,
            length: self.start.elapsed(),
            calls,
            moments: self.moments,
        };
        Ok((records, self.handoffs))
    }
}

/// Deploy, roll back, kill, freeze, and again.
async fn act(
    stage: &mut Stage,
    rounds: u32,
    pause: Duration,
    news: &mpsc::Sender<String>,
    rows: &tokio::sync::watch::Sender<Vec<WorkerRow>>,
) -> io::Result<()> {
    for round in 0..rounds as usize {
        for deed in Deed::ALL {
            rest(stage, pause, rows).await;
            let text = match deed {
                Deed::Deploy => "rolling deploy: v1 to v2",
                Deed::RollBack => "roll-back: v2 to v1",
                Deed::Kill => "kill -9 of a worker",
                Deed::Freeze => "SIGSTOP of a worker",
            };
            // Nobody listening means that the show is over.
            let _ = news.send(text.to_owned()).await;
            match deed {
                Deed::Deploy => stage.roll(deed, "v2").await?,
                Deed::RollBack => stage.roll(deed, "v1").await?,
                Deed::Kill => stage.kill(round, "v1").await?,
                Deed::Freeze => stage.freeze(round + 1, FROZEN).await?,
            }
            let _ = news.send(format!("{}: done", deed.as_str())).await;
        }
    }
    rest(stage, pause, rows).await;
    Ok(())
}

async fn rest(stage: &Stage, pause: Duration, rows: &tokio::sync::watch::Sender<Vec<WorkerRow>>) {
    let until = Instant::now() + pause;
    while Instant::now() < until {
        if let Ok(workers) = stage.workers().await {
            rows.send_replace(workers);
        }
        tokio::time::sleep(DRAW_EVERY).await;
    }
}

fn calling(args: &DemoArgs) -> Calling {
    Calling {
        first: 1,
        calls: args.calls,
        longest: longest(args),
        first_words: FIRST_WORDS,
        answer_within: ANSWER_WITHIN,
        keep_audio: true,
    }
}

/// Every call's bound: far beyond what the acts take.
fn longest(args: &DemoArgs) -> Duration {
    let act = Duration::from_secs(args.pause + 60);
    Duration::from_secs(args.seconds + 60) + act * 4 * args.rounds
}

fn keep(folder: &Path, records: &Records, verdict: &Verdict) -> io::Result<()> {
    let series = [
        Series {
            name: "caller to model",
            colour: "#1f6feb",
            delays: Verdict::since(&verdict.to_model, records.start),
        },
        Series {
            name: "model to caller",
            colour: "#e08a00",
            delays: Verdict::since(&verdict.to_caller, records.start),
        },
    ];
    let svg = picture::draw(records.start, records.length, &series, &records.moments);
    fs::write(folder.join("delay.svg"), svg)?;
    let account = serde_json::to_string_pretty(&verdict.to_json())?;
    fs::write(folder.join("account.json"), account)?;
    if let Some(first) = records.calls.first() {
        let (said, heard) = first.tracks();
        let mut file = BufWriter::new(fs::File::create(folder.join("call-1.wav"))?);
        wav::write_stereo(&mut file, &said, &heard)?;
    }
    Ok(())
}

fn tell_files(folder: &Path) {
    say(&format!("In {}:", folder.display()));
    say("  delay.svg     the delay of every frame, with what was done to the workers");
    say("  call-1.wav    one call: left what the caller said, right what it heard");
    say("  account.json  the account above, for programs");
    say("  edge.yaml     the edge's configuration; `holdline check` prints it with all defaults");
    say("  *.log         the logs of the edge and of every worker");
    say("");
}

fn conclude(verdict: &Verdict, in_order: bool) -> bool {
    if !in_order {
        say("A process did not end in good order; see its log.");
    }
    let good = verdict.is_good() && in_order;
    if good {
        say("Nothing was lost: the line held.");
    }
    good
}
