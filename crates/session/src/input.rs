//! Inputs: what happens to a session, as its workers are told.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{Attributes, Close, Fault, Incarnation, LegName, LegRef, Payload, Seq, Time};

/// Inputs that travel together. Mostly it is one, which needs no memory of its own.
pub type Inputs = SmallVec<[Input; 1]>;

/// One numbered input.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Input {
    /// Its place in the session's one order. A `Gap` carries its last seq.
    pub seq: Seq,
    /// When the edge received it.
    pub at: Time,
    /// What happened.
    pub kind: InputKind,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum InputKind {
    /// A message came in on a leg.
    Frame {
        /// On which.
        leg: LegRef,
        /// The message.
        payload: Payload,
    },
    /// A leg is open.
    LegOpened {
        /// Which.
        leg: LegRef,
        /// What is known of it.
        attributes: Attributes,
    },
    /// A leg is closed, or could not be opened.
    LegClosed {
        /// Which.
        leg: LegRef,
        /// How.
        close: Close,
        /// Frames of applied commits that were not written to the socket.
        unsent_frames: u64,
    },
    /// The same call came back on a new socket.
    LegReplaced {
        /// Which leg.
        name: LegName,
        /// The opening that is gone.
        old: Incarnation,
        /// The opening that takes its place.
        new: Incarnation,
        /// What is known of the new one.
        attributes: Attributes,
        /// Frames of applied commits that were not written to the old socket.
        unsent_frames: u64,
    },
    /// A timer ran out.
    TimerFired {
        /// Its name.
        name: String,
        /// The tag it was set with.
        tag: u64,
        /// Whether it was cancelled or set again since.
        stale: bool,
    },
    /// Caller media that the log could not hold.
    Gap(Gap),
    /// A command that could not be done.
    Dropped(Dropped),
    /// Something that happened outside of the call.
    External(External),
    /// Something a worker may want to know.
    Notice(Notice),
    /// The last input.
    SessionEnded {
        /// Why.
        reason: EndReason,
        /// In words.
        detail: String,
        /// Whose fault it was.
        fault: Fault,
    },
}

impl InputKind {
    /// Whether it changes what legs there are.
    pub(crate) fn is_of_legs(&self) -> bool {
        matches!(
            self,
            Self::LegOpened { .. } | Self::LegClosed { .. } | Self::LegReplaced { .. }
        )
    }
}

/// Media frames with neighbouring seqs that were dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct GapSize {
    /// How many frames.
    pub frames: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Their playing time in milliseconds.
    pub media_ms: u64,
}

/// A run of dropped media.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gap {
    /// The leg whose media it was.
    pub leg: LegName,
    /// Seq of the first frame.
    pub first: Seq,
    /// Seq of the last frame.
    pub last: Seq,
    /// How much.
    pub size: GapSize,
}

/// Why a command was not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DropReason {
    /// The leg is closed or was never opened.
    LegGone,
    /// The command names an older opening of the leg.
    IncarnationGone,
    /// The upstream is not configured.
    UnknownUpstream,
    /// A leg of that name is open.
    NameInUse,
    /// As many legs as allowed are open.
    TooManyLegs,
    /// The session is ending.
    Ending,
}

/// A command of an applied commit that could not be done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Dropped {
    /// Position of its commit.
    pub through: Seq,
    /// Its index among that commit's commands.
    pub index: u32,
    /// The leg it was for.
    pub leg: LegRef,
    /// Why.
    pub reason: DropReason,
}

/// Something that happened outside of the call and that its worker is to know: a person is ready to
/// talk, a slow tool has its result.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct External {
    /// Whoever tells it chooses this, and tells it again with the same: it is an input once.
    pub key: String,
    /// What kind of thing it is, for the worker to tell them apart.
    pub name: String,
    /// What is to be known.
    pub payload: Payload,
}

/// What came of an [`External`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It is an input.
    Now(Seq),
    /// It was one before.
    Before,
    /// The session is ending. A retry does not help.
    Ending,
    /// Too much waits for a worker already. A retry may help.
    Full,
    /// Key or name is longer than `key_bytes`, or the payload than `value_bytes`. A retry does not
    /// help.
    TooLarge,
}

/// Something a worker may want to know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Notice {
    /// The session had no worker for a while.
    Hold {
        /// How long.
        held: Duration,
        /// Hold sound that was handed to the caller's socket meanwhile, in milliseconds.
        audio_ms: u64,
    },
    /// The edge will close this session soon.
    Deadline {
        /// How soon.
        remaining: Duration,
    },
    /// The state has passed 80 % of its limit.
    StateNearLimit {
        /// Bytes of keys and values.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
}

/// Why a session ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum EndReason {
    /// The caller hung up.
    CallerHungUp,
    /// The caller's socket was lost and did not come back in time.
    CallerLost,
    /// A worker said so.
    Worker,
    /// A worker gave the caller back to the carrier, which goes on with its next instruction.
    HandedBack,
    /// No worker could be had for too long.
    GaveUp,
    /// It made its workers fail again and again.
    Poisoned,
    /// What must not be dropped overflowed the log. Where that was mostly results of commands that
    /// could not be done, the fault is the worker's.
    LogOverflow,
    /// The edge reached its drain deadline.
    EdgeDeadline,
    /// An operator said so.
    Operator,
    /// A new stream of the same call took over and could not be joined.
    Superseded,
    /// The caller broke its protocol.
    CallerProtocol,
}

impl EndReason {
    /// Every reason, for metrics that start at zero.
    pub const ALL: [Self; 11] = [
        Self::CallerHungUp,
        Self::CallerLost,
        Self::Worker,
        Self::HandedBack,
        Self::GaveUp,
        Self::Poisoned,
        Self::LogOverflow,
        Self::EdgeDeadline,
        Self::Operator,
        Self::Superseded,
        Self::CallerProtocol,
    ];

    /// The word used in logs and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CallerHungUp => "caller_hung_up",
            Self::CallerLost => "caller_lost",
            Self::Worker => "worker",
            Self::HandedBack => "handed_back",
            Self::GaveUp => "gave_up",
            Self::Poisoned => "poisoned",
            Self::LogOverflow => "log_overflow",
            Self::EdgeDeadline => "edge_deadline",
            Self::Operator => "operator",
            Self::Superseded => "superseded",
            Self::CallerProtocol => "caller_protocol",
        }
    }

    /// Whose fault an end for this reason usually is.
    #[must_use]
    pub const fn fault(self) -> Fault {
        match self {
            Self::CallerHungUp
            | Self::Worker
            | Self::HandedBack
            | Self::Operator
            | Self::Superseded => Fault::None,
            Self::CallerLost => Fault::Network,
            Self::GaveUp | Self::Poisoned => Fault::Worker,
            Self::LogOverflow | Self::CallerProtocol => Fault::Peer,
            Self::EdgeDeadline => Fault::Edge,
        }
    }
}
