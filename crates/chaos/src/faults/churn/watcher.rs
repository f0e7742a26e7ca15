//! Looks at the edge from outside.

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use holdline_testkit::stage::Admin;
use rustix::process::Pid;

use crate::{proc, trial::Trial};

/// The edge at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    /// Since the watcher began.
    pub(super) at: Duration,
    /// Memory in bytes.
    pub(super) resident: u64,
    pub(super) descriptors: u64,
    pub(super) tasks: u64,
    pub(super) sessions: u64,
}

impl Sample {
    /// The most that may be left of an edge without calls: each of its threads keeps a connection,
    /// and the task that drives it, to each worker that it had a call with.
    pub(super) fn with_connections(self, workers: u8) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        let connections = threads * u64::from(workers);
        Self {
            descriptors: self.descriptors + connections,
            tasks: self.tasks + connections,
            ..self
        }
    }
}

/// Looks at the edge.
#[derive(Debug, Clone)]
pub(super) struct Watcher {
    start: Instant,
    edge: Pid,
    admin: Admin,
}

impl Watcher {
    pub(super) fn new(trial: &Trial) -> Self {
        Self {
            start: Instant::now(),
            edge: trial.stage.edge().pid(),
            admin: trial.stage.admin().clone(),
        }
    }

    /// Looks once.
    ///
    /// # Errors
    /// If the edge is gone, or does not answer.
    pub(super) async fn sample(&self) -> io::Result<Sample> {
        let metrics = self.admin.metrics().await?;
        Ok(Sample {
            at: self.start.elapsed(),
            resident: proc::resident(self.edge)?,
            descriptors: proc::descriptors(self.edge)?,
            tasks: metrics.sum("holdline_tasks") as u64,
            sessions: metrics.sum("holdline_sessions_active") as u64,
        })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} MiB, {} descriptors, {} tasks, {} sessions",
            self.resident as f64 / f64::from(1 << 20),
            self.descriptors,
            self.tasks,
            self.sessions
        )
    }
}
