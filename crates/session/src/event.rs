//! Events go in: all that a session can be told.

use std::time::Duration;

use crate::{Attributes, Close, EndReason, Epoch, External, Frame, FromWorker, LegRef};

/// Names a worker within one edge; opaque to the engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WorkerId(pub u64);

/// What a session can be told. An event about a leg opening or an epoch that is no longer the
/// present one is ignored, and counted where it matters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Time has passed: due timers and deadlines are looked at. Every event does that too.
    Tick,
    /// A message came in on a leg.
    Frame {
        /// On which.
        leg: LegRef,
        /// The message, classified.
        frame: Frame,
    },
    /// A dialled leg is open.
    LegOpened {
        /// Which.
        leg: LegRef,
        /// What is known of it.
        attributes: Attributes,
    },
    /// A leg is closed, or could not be opened. Nothing more comes from it.
    LegClosed {
        /// Which.
        leg: LegRef,
        /// How.
        close: Close,
    },
    /// A leg's socket has taken so much of what was handed to it.
    LegWritten {
        /// Which.
        leg: LegRef,
        /// Whole frames of workers' commands.
        frames: u64,
        /// Their payload bytes.
        bytes: u64,
        /// Pieces of hold sound.
        sound: u64,
    },
    /// The same call came back on a new socket, with proof.
    CallerReplaced {
        /// What is known of the new socket.
        attributes: Attributes,
    },
    /// A sought worker was found and the offer is on its way to it.
    Offered {
        /// Of which attachment.
        epoch: Epoch,
        /// Which worker.
        worker: WorkerId,
        /// Its version, for the account.
        version: String,
    },
    /// No worker could be had.
    SeekFailed {
        /// For which attachment.
        epoch: Epoch,
        /// In words.
        reason: String,
        /// A worker was there that would have taken the session, were it, or another there, under
        /// less suspicion.
        crowded: bool,
    },
    /// A worker spoke.
    FromWorker {
        /// On which attachment's stream.
        epoch: Epoch,
        /// What.
        message: FromWorker,
    },
    /// A stream ended or failed, or what came on it could not be understood.
    StreamLost {
        /// Of which attachment.
        epoch: Epoch,
        /// Why.
        loss: Loss,
    },
    /// The worker of an attachment is to be left: it drains, or a rule or an operator says so.
    Move {
        /// Which attachment.
        epoch: Epoch,
        /// Why.
        reason: MoveReason,
    },
    /// Something happened outside of the call. What came of it is said at once, by
    /// [`Report::External`](crate::Report::External).
    External(External),
    /// The edge will close this session in so much time.
    DeadlineNear {
        /// How soon.
        remaining: Duration,
    },
    /// The edge or an operator ends the session.
    End {
        /// Why.
        reason: EndReason,
        /// In words.
        detail: String,
    },
}

/// How an attachment was lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Loss {
    /// The worker ended the stream in good order, without `Released`.
    Ended,
    /// The stream failed with a gRPC status.
    Failed {
        /// The status, in words.
        status: String,
    },
    /// The connection to the worker failed, or its keepalive was not answered.
    Disconnected {
        /// In words.
        cause: String,
    },
    /// The worker said something that cannot be understood.
    Malformed {
        /// In words.
        what: String,
    },
}

/// Why a session leaves a worker that still lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MoveReason {
    /// The worker drains.
    Drain,
    /// A rollout rule.
    Rollout,
    /// An operator.
    Operator,
}

impl MoveReason {
    /// The word used in logs and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Rollout => "rollout",
            Self::Operator => "operator",
        }
    }
}
