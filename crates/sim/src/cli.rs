//! The command line of `holdline-sim`.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Mutex,
    time::Instant,
};

use clap::{Parser, Subcommand, builder::PossibleValue};

use crate::{
    file,
    runner::{Outcome, Summary, run_seed, run_seeds},
    shell::Bug,
    world::Options,
};

/// From so many seeds on, a case that hardly ever occurs is a failure.
const COVERAGE_FROM: u64 = 1_000;
/// Lines of the log shown before a violation.
const CONTEXT: usize = 40;

/// Runs the session engine in a simulated world, and checks every promise after every step.
///
/// A seed is one world: four to six calls at two edges, workers of two versions, both legs of every
/// call, and the faults that its dice give. The same seed always runs the same way.
///
/// Exit status: 0 where every promise was kept, 1 where one was broken (or, from 1,000 seeds on,
/// where some fault, transition or report occurred in fewer than one in a hundred seeds), 2 where
/// the command could not be done.
#[derive(Parser, Debug)]
#[command(
    name = "holdline-sim",
    version,
    after_help = "\
Examples:
  holdline-sim run --seeds 10000          as CI does
  holdline-sim run --seeds 1000000 --jobs 8
  holdline-sim seed 4711                  one seed, line by line
  holdline-sim replay seed-4711.log       what a failing seed left behind
  holdline-sim replay seed-4711.log --until 350
  holdline-sim run --seeds 100 --plant fence-skipped   does the checker see it?"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run many seeds, and print how often each fault, transition and report occurred.
    Run {
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        seeds: u64,
        /// The first one.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Threads. Inside a seed there is only one.
        #[arg(long, default_value_t = 1)]
        jobs: usize,
        /// Plant a bug, to see that it is found.
        #[arg(long)]
        plant: Option<Bug>,
        /// Where a failing seed leaves its event log.
        #[arg(long, default_value = ".")]
        logs: PathBuf,
    },
    /// Run one seed and print its whole event log.
    Seed {
        /// Which.
        seed: u64,
        /// Plant a bug.
        #[arg(long)]
        plant: Option<Bug>,
    },
    /// Run a seed again from its event log, compare, and show the calls around the violation.
    Replay {
        /// The event log.
        file: PathBuf,
        /// Stop after this step, and show the calls as they are then.
        #[arg(long)]
        until: Option<u64>,
        /// Print the log from its beginning, not only its end.
        #[arg(long)]
        all: bool,
    },
}

impl clap::ValueEnum for Bug {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

impl Cli {
    /// Does what the command line says.
    pub fn run(self, out: &mut dyn Write, err: &mut (dyn Write + Send)) -> ExitCode {
        // What panics inside a seed is reported as a violation, not by the usual hook.
        std::panic::set_hook(Box::new(|_| {}));
        match self.dispatch(out, err) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(1),
            Err(error) => {
                let _ = writeln!(err, "holdline-sim: {error}");
                ExitCode::from(2)
            }
        }
    }

    fn dispatch(self, out: &mut dyn Write, err: &mut (dyn Write + Send)) -> io::Result<bool> {
        match self.command {
            Command::Run {
                seeds,
                from,
                jobs,
                plant,
                logs,
            } => {
                let options = Options {
                    bug: plant,
                    ..Options::default()
                };
                many(from, seeds, jobs, options, &logs, out, err)
            }
            Command::Seed { seed, plant } => {
                let outcome = run_seed(
                    seed,
                    Options {
                        bug: plant,
                        record: true,
                        until: None,
                    },
                );
                for line in &outcome.lines {
                    writeln!(out, "{line}")?;
                }
                account(&outcome, out)
            }
            Command::Replay { file, until, all } => replay(&file, until, all, out),
        }
    }
}

fn many(
    from: u64,
    seeds: u64,
    jobs: usize,
    options: Options,
    logs: &Path,
    out: &mut dyn Write,
    err: &mut (dyn Write + Send),
) -> io::Result<bool> {
    let start = Instant::now();
    let each = (seeds / 20).max(500);
    let err = Mutex::new(err);
    let progress = |done: u64| {
        if done.is_multiple_of(each)
            && let Ok(mut err) = err.lock()
        {
            let rate = done as f64 / start.elapsed().as_secs_f64();
            let _ = writeln!(err, "{done} of {seeds} seeds, {rate:.0} per second");
        }
    };
    let summary = run_seeds(from, seeds, jobs, options, &progress);
    let seconds = start.elapsed().as_secs_f64();
    print_summary(&summary, seconds, out)?;
    if let Some((seed, violation)) = &summary.failed {
        let path = logs.join(format!("seed-{seed}.log"));
        fs::write(&path, file::log_of(*seed, options))?;
        writeln!(
            out,
            "\nseed {seed} broke a promise at step {}, call s{}:\n  {}\n  {}\nits event log: {}",
            violation.step,
            violation.call,
            violation.rule,
            violation.detail,
            path.display()
        )?;
        return Ok(false);
    }
    let rare = summary.rare();
    if seeds >= COVERAGE_FROM && !rare.is_empty() {
        writeln!(out, "\nin fewer than 1 % of the seeds: {}", rare.join("; "))?;
        return Ok(false);
    }
    Ok(true)
}

fn print_summary(summary: &Summary, seconds: f64, out: &mut dyn Write) -> io::Result<()> {
    for (name, share) in summary.shares() {
        writeln!(out, "{share:>6.1} %  {name}")?;
    }
    let seeds = summary.seeds.max(1) as f64;
    writeln!(
        out,
        "\n{} seeds in {seconds:.1} s, {:.0} per second; per seed {:.0} inputs, {:.1} handoffs; {} violations",
        summary.seeds,
        seeds / seconds,
        summary.inputs as f64 / seeds,
        summary.handoffs as f64 / seeds,
        usize::from(summary.failed.is_some())
    )
}

fn replay(path: &Path, until: Option<u64>, all: bool, out: &mut dyn Write) -> io::Result<bool> {
    let text = fs::read_to_string(path)?;
    let recipe = file::read(&text).map_err(io::Error::other)?;
    let options = Options {
        bug: recipe.bug,
        record: true,
        until,
    };
    let outcome = run_seed(recipe.seed, options);
    let lines: Vec<_> = outcome
        .lines
        .iter()
        .map(|line| line.replace('\n', " "))
        .collect();
    let skip = if all {
        0
    } else {
        lines.len().saturating_sub(CONTEXT)
    };
    for line in &lines[skip..] {
        writeln!(out, "{line}")?;
    }
    let differs = lines.iter().zip(&recipe.lines).position(|(a, b)| a != b);
    let complete = until.is_some() || lines.len() == recipe.lines.len();
    match differs {
        Some(index) => writeln!(
            out,
            "\nthe file was written by another build; it says first otherwise:\n{}",
            recipe.lines[index]
        )?,
        None if !complete => writeln!(out, "\nthe file has {} lines", recipe.lines.len())?,
        None => writeln!(out, "\nsame as in the file, line by line")?,
    }
    account(&outcome, out)
}

/// The calls as they are, and what came of the seed.
fn account(outcome: &Outcome, out: &mut dyn Write) -> io::Result<bool> {
    writeln!(out)?;
    for view in &outcome.views {
        writeln!(out, "{view}")?;
    }
    writeln!(
        out,
        "\nseed {}: {} steps, {} inputs, {} handoffs",
        outcome.seed, outcome.steps, outcome.inputs, outcome.handoffs
    )?;
    match &outcome.violation {
        Some(violation) => {
            writeln!(
                out,
                "violation at step {}, call s{}: {}: {}",
                violation.step, violation.call, violation.rule, violation.detail
            )?;
            Ok(false)
        }
        None => {
            writeln!(out, "every promise was kept")?;
            Ok(true)
        }
    }
}
