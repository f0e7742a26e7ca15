//! A caller as its user sees it: connect, run a script, act and watch from outside.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::options::CallerOptions;
use super::record::CallRecord;
use super::script::{Action, Script};
use crate::net::Socket;
use crate::traffic::Traffic;

mod call;
mod dial;

use call::Call;
pub use dial::CallerError;

/// Commands waiting for a call that is busy.
const COMMAND_LIMIT: usize = 64;

/// A connected caller whose stream has not started yet.
#[derive(Debug)]
pub struct TwilioCaller {
    options: Arc<CallerOptions>,
    socket: Socket,
    commands: mpsc::Receiver<Action>,
    handle: CallHandle,
    progress: watch::Sender<Progress>,
}

/// Speaks to a running call from outside.
#[derive(Debug, Clone)]
pub struct CallHandle {
    commands: mpsc::Sender<Action>,
    progress: watch::Receiver<Progress>,
}

/// The call is over, or does not keep up with its commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call is over or has {COMMAND_LIMIT} commands waiting; the command was not taken")]
pub struct CallOver;

/// How far a call is; all numbers are of all its streams together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Streams opened.
    pub streams: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// Stamped frames received, repeated ones too.
    pub frames_received: u64,
    /// Pieces of 20 ms of hold sound received.
    pub hold_pieces: u64,
    /// Marks echoed.
    pub marks_echoed: u64,
    /// `clear` messages received.
    pub clears: u64,
    /// Messages that Twilio would warn of.
    pub violations: u64,
    /// Messages of all kinds.
    pub traffic: Traffic,
    /// The caller is saying something.
    pub speaking: bool,
    /// The caller is hearing something.
    pub playing: bool,
    /// The call has ended.
    pub over: bool,
}

impl CallHandle {
    /// Does this now, beside the script.
    ///
    /// # Errors
    /// [`CallOver`] when the call cannot take it any more; retrying helps only if commands
    /// were sent in a burst.
    pub fn act(&self, action: Action) -> Result<(), CallOver> {
        self.commands.try_send(action).map_err(|_| CallOver)
    }

    /// How far the call is now.
    #[must_use]
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Waits until the call is as wanted; `None` when it ended before. Cancel safe.
    pub async fn wait_for(&mut self, wanted: impl Fn(&Progress) -> bool) -> Option<Progress> {
        let reached = self
            .progress
            .wait_for(|progress| wanted(progress) || progress.over)
            .await
            .ok()?;
        wanted(&reached).then_some(*reached)
    }
}

impl TwilioCaller {
    /// Opens the WebSocket as Twilio does.
    ///
    /// # Errors
    /// [`CallerError`]: the URL, the network, TLS, or the server that refused the upgrade.
    pub async fn connect(options: CallerOptions) -> Result<Self, CallerError> {
        let options = Arc::new(options);
        let socket = dial::dial(&options, &options.url).await?;
        let (sender, commands) = mpsc::channel(COMMAND_LIMIT);
        let (progress, watcher) = watch::channel(Progress::default());
        let handle = CallHandle {
            commands: sender,
            progress: watcher,
        };
        Ok(Self {
            options,
            socket,
            commands,
            handle,
            progress,
        })
    }

    /// For commands and progress while [`TwilioCaller::run`] runs.
    #[must_use]
    pub fn handle(&self) -> CallHandle {
        self.handle.clone()
    }

    /// Makes the call, to its end. Bounded by [`CallerOptions::max_length`]. Dropping the
    /// future drops the call without a word.
    pub async fn run(self, script: Script) -> CallRecord {
        let Self {
            options,
            socket,
            commands,
            handle,
            progress,
        } = self;
        drop(handle);
        let call = Call::start(options, socket, commands, script, progress);
        // The future is large; one allocation per call is cheap.
        Box::pin(call.run()).await
    }
}
