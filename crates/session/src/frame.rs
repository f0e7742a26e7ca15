//! What legs carry: whole WebSocket messages, and how a leg ends.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Facts about a call or a leg, for example `call_sid`. Sorted, so that the engine stays
/// deterministic.
pub type Attributes = std::collections::BTreeMap<String, String>;

/// A whole WebSocket message, verbatim.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// A text message: valid UTF-8, checked where it entered.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
}

impl Payload {
    /// The bytes, of whichever kind.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }
}

/// Shows kind and length alone: payloads are what people said.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Text(_) => "text",
            Self::Binary(_) => "binary",
        };
        write!(f, "{kind}[{}]", self.len())
    }
}

/// What the leg's profile knows of an incoming frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Class {
    /// Audio of so many milliseconds. On the caller leg it may become part of a `Gap`.
    Media {
        /// Playing time in milliseconds; 0 where the profile cannot tell.
        ms: u32,
    },
    /// Anything else. Never dropped.
    Control,
    /// As `Control`, and the peer's word that the leg ends here: its close is ordinary.
    Stop,
}

/// A frame that came in on a leg.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Frame {
    /// What it is.
    pub class: Class,
    /// The message.
    pub payload: Payload,
}

/// Whose fault an end or a failure was.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Fault {
    /// Nobody's: an ordinary end.
    None,
    /// The other side of the leg: the caller's carrier or the model's service.
    Peer,
    /// The network between.
    Network,
    /// This edge, or who runs it.
    Edge,
    /// The worker.
    Worker,
    /// The configuration.
    Config,
}

impl Fault {
    /// The word used in logs and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Peer => "peer",
            Self::Network => "network",
            Self::Edge => "edge",
            Self::Worker => "worker",
            Self::Config => "config",
        }
    }
}

/// How a leg ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Close {
    /// WebSocket close code; 1006 where no close frame came, 0 where the leg was never open.
    pub code: u16,
    /// The peer's reason, or ours; at most 123 bytes, as in the close frame.
    pub reason: String,
    /// Whose fault it was.
    pub fault: Fault,
    /// True where the leg could not be opened at all.
    pub dial_failed: bool,
}
