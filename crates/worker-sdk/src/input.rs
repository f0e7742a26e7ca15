//! What a worker is told: everything that happens to a call, in one order over all its legs.

mod convert;

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{Attributes, Fault, JobKey, JobResult};

/// Something that happened to the call.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Input {
    /// A message came in on a leg.
    Frame(Frame),
    /// A leg is open.
    LegOpened(LegOpened),
    /// A leg is closed, or could not be opened.
    LegClosed(LegClosed),
    /// The same call came back on a new socket.
    LegReplaced(LegReplaced),
    /// A timer ran out that was neither cancelled nor set again since.
    TimerFired {
        /// As given to [`Call::set_timer`](crate::Call::set_timer).
        name: String,
    },
    /// Caller media that the edge had to drop.
    Gap(Gap),
    /// A command that could not be done, because the world had changed.
    Dropped(Dropped),
    /// Something that happened outside of the call.
    External(External),
    /// Something a worker may want to know.
    Notice(Notice),
    /// The last input of every session.
    SessionEnded(SessionEnded),
    /// A job is over. Comes from this SDK, and has no seq of its own.
    JobDone(JobDone),
}

/// One whole WebSocket message, verbatim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The leg on which it came.
    pub leg: String,
    /// Which opening of that leg.
    pub incarnation: u32,
    /// The message.
    pub payload: Payload,
}

/// A WebSocket message. A clone shares its bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    /// A text message: valid UTF-8.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
}

impl Payload {
    /// The bytes of either kind.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }

    /// The text of a text message. `None` for a binary one, or where the text is not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok(),
            Self::Binary(_) => None,
        }
    }
}

impl fmt::Debug for Payload {
    /// The kind and the length alone: the content is what people said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(bytes) => write!(f, "Text({} bytes)", bytes.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}

/// Something that happened outside of the call, told to the edge by whoever knows of it: a person is
/// ready to talk, a slow tool has its result. Exactly once, like every input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct External {
    /// As chosen by whoever told it; no two of late have the same.
    pub key: String,
    /// What kind of thing it is.
    pub name: String,
    /// What is to be known.
    pub payload: Payload,
}

/// A leg is open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LegOpened {
    /// The leg's name.
    pub leg: String,
    /// Which opening.
    pub incarnation: u32,
    /// What is known of it.
    pub attributes: Attributes,
}

/// A leg is closed, or could not be opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LegClosed {
    /// The leg's name.
    pub leg: String,
    /// Which opening.
    pub incarnation: u32,
    /// WebSocket close code; 1006 where no close frame came; 0 where it was never open.
    pub code: u16,
    /// In words.
    pub reason: String,
    /// Whose fault it was.
    pub fault: Fault,
    /// Frames of applied commits that were not written to the socket.
    pub unsent_frames: u64,
    /// Whether it could not be opened at all.
    pub dial_failed: bool,
}

/// The same call came back on a new socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LegReplaced {
    /// The leg's name.
    pub leg: String,
    /// The opening that is gone.
    pub old_incarnation: u32,
    /// The opening that takes its place.
    pub incarnation: u32,
    /// What is known of the new one, for example its `stream_sid`.
    pub attributes: Attributes,
    /// Frames of applied commits that were not written to the old socket.
    pub unsent_frames: u64,
}

/// Caller media that the edge had to drop, because no worker took it for too long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    /// The leg whose media it was.
    pub leg: String,
    /// Seq of the first dropped frame.
    pub first_seq: u64,
    /// Seq of the last dropped frame.
    pub last_seq: u64,
    /// How many frames.
    pub frames: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Their playing time.
    pub media: Duration,
}

/// Why a command was not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropReason {
    /// The leg is closed or was never opened.
    LegGone,
    /// The command was for an older opening of the leg.
    IncarnationGone,
    /// The upstream is not in the edge's configuration.
    UnknownUpstream,
    /// A leg of that name is already open.
    NameInUse,
    /// As many legs as allowed are open.
    TooManyLegs,
    /// The session is ending.
    Ending,
    /// A word that this SDK does not know.
    Unknown,
}

/// A command of an applied commit that could not be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dropped {
    /// Position of its commit.
    pub through_seq: u64,
    /// Its index among that commit's commands.
    pub command_index: u32,
    /// The leg it was for.
    pub leg: String,
    /// The opening it was for; 0: none was named.
    pub incarnation: u32,
    /// Why.
    pub reason: DropReason,
}

/// Something a worker may want to know.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The call had no worker for a while.
    Hold {
        /// How long.
        held: Duration,
        /// Playing time of the hold sound that the caller was sent meanwhile.
        audio: Duration,
    },
    /// The edge will close this call soon.
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

/// The session is over. What the handler still writes to legs is dropped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionEnded {
    /// Why.
    pub reason: EndReason,
    /// In words.
    pub detail: String,
    /// Whose fault it was.
    pub fault: Fault,
}

/// Why a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum EndReason {
    /// The caller hung up.
    CallerHungUp,
    /// The caller's socket was lost and did not come back in time.
    CallerLost,
    /// A worker said [`Call::end_session`](crate::Call::end_session).
    Worker,
    /// A worker said [`Call::hand_back`](crate::Call::hand_back).
    HandedBack,
    /// No worker could be had for too long.
    GaveUp,
    /// The session made its workers fail again and again.
    Poisoned,
    /// Control frames alone overflowed the edge's log.
    LogOverflow,
    /// The edge reached its drain deadline.
    EdgeDeadline,
    /// An operator said so.
    Operator,
    /// A new stream of the same call took over and could not be joined to this session.
    Superseded,
    /// The caller broke its protocol.
    CallerProtocol,
    /// Not told, or a word that this SDK does not know.
    Unknown,
}

/// A job is over.
#[derive(Clone, PartialEq, Eq)]
pub struct JobDone {
    /// As returned by [`Call::spawn`](crate::Call::spawn).
    pub key: JobKey,
    /// The job's name.
    pub name: String,
    /// What became of it.
    pub result: JobResult,
}

impl fmt::Debug for JobDone {
    /// Without the content of the result.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobDone")
            .field("key", &self.key)
            .field("name", &self.name)
            .field("result", &self.result.as_ref().map(Bytes::len))
            .finish()
    }
}
