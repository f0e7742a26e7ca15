//! Commits: what a worker wants done, as one atomic step.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Attributes, Incarnation, LegName, Payload, Seq};

/// Inputs through `through` are done; these changes and commands take effect together.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Commit {
    /// The new position. May repeat the last one.
    pub through: Seq,
    /// Schema of the state after this commit.
    pub schema: u32,
    /// Keys to set, with their values.
    pub put: Vec<(String, Bytes)>,
    /// Keys to remove.
    pub delete: Vec<String>,
    /// Whether `put` is the whole state.
    pub replace_state: bool,
    /// What to do, in this order.
    pub commands: Vec<Command>,
}

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Write a message to a leg.
    Send {
        /// To which leg.
        leg: LegName,
        /// The opening that is meant; `None`: the present one.
        incarnation: Option<Incarnation>,
        /// The message.
        payload: Payload,
    },
    /// Dial an upstream.
    OpenLeg {
        /// The new leg's name.
        leg: LegName,
        /// Which upstream of the configuration.
        upstream: String,
        /// For the upstream's profile.
        attributes: Attributes,
    },
    /// Write what is queued, then close.
    CloseLeg {
        /// Which leg.
        leg: LegName,
        /// The opening that is meant; `None`: the present one.
        incarnation: Option<Incarnation>,
        /// WebSocket close code.
        code: u16,
        /// Close reason; cut to 123 bytes.
        reason: String,
    },
    /// Set a timer, in place of one of the same name.
    SetTimer {
        /// Its name.
        name: String,
        /// From the moment of apply.
        after: Duration,
        /// Comes back when it fires.
        tag: u64,
    },
    /// Cancel a timer; nothing happens where there is none.
    CancelTimer {
        /// Its name.
        name: String,
    },
    /// End the session.
    EndSession {
        /// In words, for the log.
        reason: String,
        /// The caller goes back to the carrier, which goes on instead of hanging up.
        hand_back: bool,
    },
}

/// What a worker may say on its stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FromWorker {
    /// Yes to an offer.
    Accept,
    /// No to an offer.
    Reject {
        /// In words.
        reason: String,
        /// Whether the same worker, or another of its version, may take it later.
        retry: bool,
    },
    /// A step.
    Commit(Commit),
    /// All that was delivered is committed; the session may move.
    Released,
    /// Please move this session.
    Draining {
        /// Time that is left; `None`: unknown.
        within: Option<Duration>,
    },
}
