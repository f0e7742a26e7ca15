//! The command line of `holdline-chaos`.

use std::{
    future::Future,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{
    Row, Settings,
    faults::{churn, clock, descriptors, disk, freeze, kills, memory, partition, poison},
    settings::tell,
    table, worker,
};

/// Does one kind of damage to a running exchange under live calls, and accounts for every frame.
///
/// An edge and its workers run as processes; only the two vendors are simulated. Every 20 ms of
/// audio carries a number in its samples, so the simulators know what became of each frame.
///
/// Exit status: 0 where the promise was kept, 1 where it was broken, 2 where the fault could not be
/// done.
#[derive(Parser, Debug)]
#[command(
    name = "holdline-chaos",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  holdline-chaos kills --calls 100                 kill -9 of workers, 200 times
  holdline-chaos kills --for 10m
  holdline-chaos partition --calls 1               needs root
  holdline-chaos churn --calls 200 --for 30m --csv churn.csv"
)]
pub struct Cli {
    #[command(subcommand)]
    fault: Fault,
}

#[derive(Subcommand, Debug)]
enum Fault {
    /// kill -9 of workers at random moments, a new process in their place.
    Kills(Settings),
    /// SIGSTOP of a worker, later SIGCONT: it comes back and finds itself fenced.
    Freeze(Settings),
    /// A network that delays, loses, and swallows everything of one worker. Needs root.
    Partition(Settings),
    /// The disk of all logs is full. Needs root.
    Disk(Settings),
    /// The edge, and a worker, out of file descriptors.
    Descriptors(Settings),
    /// Workers that leak until they abort; an edge whose workers all stand still.
    Memory(Settings),
    /// Wall clocks that differ, and the edge's jumps. Needs libfaketime.
    Clock(Settings),
    /// Calls that kill every worker that serves them, among calls that do not.
    Poison(poison::PoisonArgs),
    /// Calls come and go under kills, freezes and rolls; memory, descriptors and tasks are watched.
    Churn(Box<churn::ChurnArgs>),
    /// The worker that some faults need: the voice worker, with a fault of its own.
    #[command(hide = true)]
    Worker(Box<worker::WorkerArgs>),
}

impl Cli {
    /// Does what the command line says.
    pub fn run(self) -> ExitCode {
        let done = match self.fault {
            Fault::Kills(settings) => account(&settings, kills::run),
            Fault::Freeze(settings) => account(&settings, freeze::run),
            Fault::Partition(settings) => shown(&settings, partition::run(&settings)),
            Fault::Disk(settings) => account(&settings, disk::run),
            Fault::Descriptors(settings) => account(&settings, descriptors::run),
            Fault::Memory(settings) => account(&settings, memory::run),
            Fault::Clock(settings) => account(&settings, clock::run),
            Fault::Poison(args) => {
                let rows = block_on(poison::run(&args));
                shown(&args.settings, rows)
            }
            Fault::Churn(args) => {
                let rows = block_on(churn::run(&args));
                shown(&args.settings, rows)
            }
            Fault::Worker(args) => block_on(worker::run(*args)).map(|()| true),
        };
        match done {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(1),
            Err(error) => {
                tell(&format!("holdline-chaos: {error}"));
                ExitCode::from(2)
            }
        }
    }
}

fn account(
    settings: &Settings,
    fault: impl AsyncFnOnce(&Settings) -> io::Result<Vec<Row>>,
) -> io::Result<bool> {
    shown(settings, block_on(fault(settings)))
}

/// Runs on a runtime of its own.
fn block_on<T>(doing: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    // The futures of whole trials are large.
    runtime.block_on(Box::pin(doing))
}

/// Prints the table; whether every promise was kept.
fn shown(settings: &Settings, rows: io::Result<Vec<Row>>) -> io::Result<bool> {
    let rows = rows?;
    let mut out = io::stdout().lock();
    out.write_all(table::text(&rows, settings.markdown).as_bytes())?;
    for row in &rows {
        for note in &row.notes {
            tell(&format!("{}: {note}", row.fault));
        }
        for broken in row.broken() {
            tell(&format!("{}: BROKEN: {broken}", row.fault));
        }
    }
    Ok(rows.iter().all(|row| row.broken().is_empty()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
