//! `holdline run`: the edge as a process.

mod watch;

use std::io;

use holdline_config::{Config, LogFormat};
use holdline_proxy::{Control, Lifecycle, Listeners, RunError};
use holdline_telemetry::logging::{self, Format, Level, LogGuard};
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
};
use tracing::{info, warn};

use self::watch::Watched;
use crate::{Failure, cli::RunArgs};

/// Runs the edge until it has drained.
pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    // Before it is parsed: what changes from now on is seen.
    let content = std::fs::read(&args.file.config).ok();
    let config = super::load(&args.file.config)?;
    let (_log, level) = start_logs(&config)?;
    // Calls have threads of their own: this one is left to all else.
    super::block_on_with(Builder::new_current_thread(), async {
        let watched = Watched::new(&args.file.config, content, level)?;
        serve(config, Some(watched)).await
    })
}

/// Sets the process up as the configuration says. The guard is kept until its end.
pub(crate) fn start_logs(config: &Config) -> Result<(LogGuard, Level), Failure> {
    let format = match config.log.format {
        LogFormat::Json => Format::Json,
        LogFormat::Text => Format::Text,
    };
    let log = logging::init(format, config.log.level.as_str(), io::stderr())
        .map_err(|error| Failure::misconfigured(&error))?;
    raise_open_files();
    Ok(log)
}

/// Serves until it has drained, which SIGTERM or SIGINT asks for.
pub(crate) async fn serve(config: Config, watched: Option<Watched>) -> Result<(), Failure> {
    let signals = Signals::watch()?;
    let listeners = Listeners::bind(&config).await.map_err(failure)?;
    let (lifecycle, control) = Lifecycle::new();
    if let Some(watched) = watched {
        tokio::spawn(watched.follow(control.clone()));
    }
    tokio::spawn(signals.obey(control));
    info!(version = env!("CARGO_PKG_VERSION"), "edge starts");
    let report = holdline_proxy::run(config, listeners, lifecycle)
        .await
        .map_err(failure)?;
    info!(
        drained_in_ms = report.drained_in.as_millis(),
        cut = report.cut,
        aborted = report.aborted,
        "edge is done"
    );
    Ok(())
}

fn failure(error: RunError) -> Failure {
    match error {
        RunError::Bind { .. } | RunError::Threads(_) => Failure::failed(&error),
        _ => Failure::misconfigured(&error),
    }
}

/// What asks a process to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn watch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// The first signal drains, the second ends what is left.
    async fn obey(mut self, control: Control) {
        self.next().await;
        info!("signal: the edge drains; a second one ends live calls");
        control.drain();
        self.next().await;
        warn!("second signal: live calls are ended");
        control.close();
        // Kept until the end: a control that is gone counts as a wish too.
        std::future::pending::<()>().await;
    }
}

/// A call takes two sockets and its share of others; the usual soft limit is 1,024.
fn raise_open_files() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => info!(limit, "open files"),
        Err(error) => warn!(%error, "the limit of open files cannot be raised"),
    }
}
