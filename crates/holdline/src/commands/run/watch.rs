//! Reads the configuration again when its file changes, or upon SIGHUP.
//!
//! The content is compared once a second, not watched through the kernel: in Kubernetes a ConfigMap
//! is a symbolic link that is put in the place of another, elsewhere an editor writes a new file over
//! the old one, and of both a watch on a file sees nothing or too much. The file is small.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use holdline_config::Config;
use holdline_proxy::{Control, Reload};
use holdline_telemetry::logging::Level;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval},
};
use tracing::warn;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The file that an edge runs with.
#[derive(Debug)]
pub(crate) struct Watched {
    path: PathBuf,
    /// Its content when it was last read; `None`: it could not be.
    seen: Option<Vec<u8>>,
    hangup: Signal,
    level: Level,
}

impl Watched {
    /// From now on SIGHUP does not end the process. `seen`: the content that is in force. `level`: of
    /// the process's log, which belongs to nobody else.
    ///
    /// # Errors
    /// The signal cannot be listened for.
    pub(super) fn new(path: &Path, seen: Option<Vec<u8>>, level: Level) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            seen,
            hangup: signal(SignalKind::hangup())?,
            level,
        })
    }

    /// Hands over what it reads, for as long as it is polled.
    pub(super) async fn follow(mut self, control: Control) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let asked = tokio::select! {
                _ = look.tick() => false,
                Some(()) = self.hangup.recv() => true,
            };
            let content = tokio::fs::read(&self.path).await.ok();
            // A file that is away for a moment is being replaced: what is in force stays.
            if !asked && (content.is_none() || content == self.seen) {
                continue;
            }
            self.seen = content;
            let reload = self.read().await;
            if let Reload::Read(next) = &reload
                && let Err(error) = self.level.set(next.log_level().as_str())
            {
                warn!(%error, "log level stays");
            }
            control.reload(reload).await;
        }
    }

    /// Not on a thread of the runtime: a file can be slow.
    async fn read(&self) -> Reload {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || match Config::load_again(&path) {
            Ok(next) => Reload::Read(Box::new(next)),
            Err(errors) => Reload::Refused(errors),
        });
        match read.await {
            Ok(reload) => reload,
            // The reader does not panic; were it to, the process is about to end.
            Err(_) => std::future::pending().await,
        }
    }
}
