//! Outputs come out: all that a session can ask of its shell.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    Attributes, Command, EndReason, Epoch, Fault, Gap, Incarnation, Inputs, LegName, LegRef,
    MoveReason, Payload, Seq, Taken, Time, WorkerId,
};

/// What the shell is to do, in order, without waiting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Put a message into a leg's out-buffer. The leg may still be connecting.
    Send {
        /// Which leg.
        leg: LegRef,
        /// The message.
        payload: Payload,
    },
    /// Let the caller hear 20 ms of the hold sound, behind all that is queued. Told as written apart
    /// from workers' frames; where the leg is gone, it is forgotten.
    HoldSound {
        /// The caller's leg, which is open.
        leg: LegRef,
        /// Which piece, counted from 0 for each time without a worker; the sound begins anew behind its
        /// last one.
        piece: u64,
    },
    /// Dial; answered by `LegOpened` or `LegClosed`.
    OpenLeg {
        /// The opening's name.
        leg: LegRef,
        /// Which upstream of the configuration.
        upstream: String,
        /// For the upstream's profile.
        attributes: Attributes,
    },
    /// Write what is queued, close, and answer with `LegClosed`, all `within` this time.
    CloseLeg {
        /// Which leg.
        leg: LegRef,
        /// WebSocket close code.
        code: u16,
        /// Close reason.
        reason: String,
        /// After this the socket is dropped, whatever is unwritten.
        within: Duration,
    },
    /// Choose a worker, open a stream to it and offer the session; answered by `Offered` or
    /// `SeekFailed`.
    Seek(Seek),
    /// Say something on an attachment's stream.
    ToWorker {
        /// Which attachment.
        epoch: Epoch,
        /// What.
        message: ToWorker,
    },
    /// End a stream. Nothing that it still says matters.
    Hangup {
        /// Which attachment.
        epoch: Epoch,
        /// Why.
        cause: HangupCause,
    },
    /// Something worth a log line, a metric or a place in the session's account.
    Report(Report),
    /// The session is over: all legs are closed or closing, and no stream is left. The last output.
    Finished,
}

/// A worker is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seek {
    /// The number of the attachment to be.
    pub epoch: Epoch,
    /// Why one is sought.
    pub reason: AttachReason,
    /// Schema of the state; 0: none yet.
    pub schema: u32,
    /// A worker that just failed this session, or that it leaves: only if there is no other.
    pub avoid: Option<WorkerId>,
    /// For a planned move: `avoid` must not be chosen at all, and the new worker must be a better
    /// place than it (not draining).
    pub planned: bool,
    /// The session is a [`Suspicion::Suspect`] until this input is committed. `None` too for one
    /// that waited `isolation_wait` for a place apart from others in vain: it is then placed as one
    /// in doubt, and the loss of that place is held against nobody.
    pub suspect: Option<Seq>,
    /// The session is at least in [`Suspicion::Doubt`] until this input is committed.
    pub doubt: Option<Seq>,
    /// The last workers, with their versions, that failed this session since it made progress: only
    /// if there is no other. Where there are several, the same holds for all workers of their versions.
    pub failed: Vec<(WorkerId, String)>,
}

impl Seek {
    /// What is to be kept in mind when it is placed.
    #[must_use]
    pub fn suspicion(&self) -> Suspicion {
        match (self.suspect, self.doubt) {
            (Some(_), _) => Suspicion::Suspect,
            (None, Some(_)) => Suspicion::Doubt,
            (None, None) => Suspicion::None,
        }
    }
}

/// How far a session is suspected of killing its workers. Two of whom either could be to blame for
/// the next loss must not share a worker, or the innocent one is ended for what the other did: see
/// [`is_apart_from`](Self::is_apart_from).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub enum Suspicion {
    /// Not at all.
    #[default]
    None,
    /// A worker was lost with its next input, and that input with others'.
    Doubt,
    /// That happened again at an input that was in doubt.
    Suspect,
}

impl Suspicion {
    /// Whether the two must not be at one worker: suspects not with each other, nor with one in
    /// doubt. Those in doubt are too many after each loss to be kept apart from each other.
    #[must_use]
    pub fn is_apart_from(self, other: Self) -> bool {
        self.min(other) >= Self::Doubt && self.max(other) == Self::Suspect
    }
}

/// Why a worker is sought, and is told so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttachReason {
    /// The first attachment.
    New,
    /// A planned move.
    Handoff,
    /// The last worker was lost.
    Recovery,
    /// The edge restored the session.
    Resume,
}

impl AttachReason {
    /// The word used in logs and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Handoff => "handoff",
            Self::Recovery => "recovery",
            Self::Resume => "resume",
        }
    }
}

/// What the edge says to a worker. The offer itself is the shell's part of `Seek`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToWorker {
    /// The session is yours.
    Attach(Box<Attach>),
    /// This happened.
    Inputs {
        /// What, in order.
        inputs: Inputs,
        /// Commits of this attachment applied so far.
        applied: u64,
    },
    /// Finish and let go.
    Release {
        /// In this time.
        within: Duration,
    },
}

/// A session as of its last commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attach {
    /// Why.
    pub reason: AttachReason,
    /// The whole state, sorted by key.
    pub state: Vec<(String, Bytes)>,
    /// The state's schema; 0: none yet.
    pub schema: u32,
    /// All legs as of that commit: the inputs to come tell what became of them since.
    pub legs: Vec<LegView>,
    /// All timers that are set or fired but not committed: name, time left, tag.
    pub timers: Vec<(String, Duration, u64)>,
    /// Seq of the first input that will come.
    pub next_seq: Seq,
}

/// A leg as seen from outside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LegView {
    /// Its name.
    pub name: LegName,
    /// Which opening.
    pub incarnation: Incarnation,
    /// What it is doing.
    pub state: LegState,
    /// What is known of it.
    pub attributes: Attributes,
}

/// What a leg is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LegState {
    /// Being dialled.
    Connecting,
    /// Open.
    Open,
    /// Flushing, then closing.
    Closing,
    /// The caller's socket is gone and its return is awaited.
    Awaited,
}

/// Why the engine ended a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HangupCause {
    /// The session moved on in good order.
    Done,
    /// A newer attachment has taken over.
    Fenced,
    /// No progress.
    Stuck,
    /// The worker broke the protocol.
    Refused {
        /// A name for the rule, for metrics.
        rule: &'static str,
        /// In words, for the worker's author.
        detail: String,
    },
}

/// Something that happened, for people and dashboards. Carries no payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// An attachment is in force.
    Attached {
        /// Its number.
        epoch: Epoch,
        /// Why.
        reason: AttachReason,
        /// Which worker.
        worker: WorkerId,
        /// Its version.
        version: String,
        /// Inputs that come again.
        replayed: u64,
    },
    /// A planned move began.
    MoveStarted {
        /// Of which attachment.
        epoch: Epoch,
        /// Why.
        reason: MoveReason,
    },
    /// A worker was lost; recovery begins.
    Lost {
        /// Which attachment.
        epoch: Epoch,
        /// Which worker, where one was known.
        worker: Option<WorkerId>,
        /// A word for metrics: `stream`, `connection`, `stuck`, `refused`, `release`, `ended`.
        kind: &'static str,
        /// In words.
        detail: String,
    },
    /// A commit advanced the position.
    Committed {
        /// By so many inputs.
        inputs: u64,
        /// When the oldest of them was received.
        received: Time,
    },
    /// The first commit of an attachment was applied: the handoff that began at `since` is over.
    Recovered {
        /// Which attachment.
        epoch: Epoch,
        /// Why it was made.
        reason: AttachReason,
        /// When the move or the loss began.
        since: Time,
    },
    /// An offer came to nothing.
    OfferFailed {
        /// Which attachment.
        epoch: Epoch,
        /// In words.
        detail: String,
    },
    /// A message of an older attachment was dropped.
    Fenced {
        /// Which.
        epoch: Epoch,
    },
    /// Media was dropped from the log.
    MediaDropped(Gap),
    /// Dropped media was committed without any worker having seen it: lost.
    MediaLost(Gap),
    /// A command could not be done.
    CommandDropped {
        /// Which.
        what: Box<Command>,
        /// Why.
        reason: crate::DropReason,
    },
    /// The session has no worker.
    HoldStarted,
    /// It has one again.
    HoldEnded {
        /// After so long.
        held: Duration,
        /// Hold sound that was handed to the caller's socket, in milliseconds.
        audio_ms: u64,
    },
    /// A loss without progress.
    Strike {
        /// How many now.
        strikes: u32,
    },
    /// The session is under less suspicion: what may have made its workers fail is committed.
    Cleared {
        /// By which attachment.
        epoch: Epoch,
        /// What is left of the suspicion.
        left: Suspicion,
    },
    /// Something that happened outside of the call was told; said in answer to
    /// [`Event::External`](crate::Event::External) alone.
    External {
        /// By its key.
        key: String,
        /// What came of it.
        taken: Taken,
    },
    /// A leg took nothing for too long and is being closed.
    WriteTimeout {
        /// Which.
        leg: LegRef,
    },
    /// The end began.
    Ending {
        /// Why.
        reason: EndReason,
        /// In words.
        detail: String,
        /// Whose fault it was.
        fault: Fault,
    },
    /// `SessionEnded` was never committed: so many inputs are lost.
    EndLost {
        /// Inputs without a commit.
        inputs: u64,
    },
}
