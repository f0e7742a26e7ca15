//! Legs of a call, as this worker knows them.

use std::collections::BTreeMap;

use holdline_wire::v1;

/// What is known of a leg or a call, for example `call_sid` or `parameter.NAME`.
pub type Attributes = BTreeMap<String, String>;

/// The leg on which the call came in.
pub const CALLER: &str = "caller";

/// One WebSocket of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leg {
    /// `"caller"`, a name from the edge's configuration such as `"model"`, or one given to
    /// [`Call::open_leg`](crate::Call::open_leg).
    pub name: String,
    /// Counts the openings of this name, from 1; 0: asked for here, and not yet answered.
    pub incarnation: u32,
    /// What it can do just now.
    pub state: LegState,
    /// For example `call_sid`, `stream_sid`, `account_sid` and `parameter.NAME` of a Twilio leg.
    pub attributes: Attributes,
}

/// What a leg can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LegState {
    /// Being dialled: frames sent now are kept and written once it is open.
    Connecting,
    /// Open.
    Open,
    /// Writing what is queued, then closing: takes no more frames.
    Closing,
    /// The caller's socket is gone and its return is awaited: frames sent now are kept within
    /// limits.
    Awaited,
}

/// Whose fault something was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// An ordinary end.
    None,
    /// The other side of the leg: the caller's carrier or the model's service.
    Peer,
    /// The network in between.
    Network,
    /// The edge.
    Edge,
    /// A worker.
    Worker,
    /// The edge's configuration.
    Config,
    /// Not told, or a word that this SDK does not know.
    Unknown,
}

impl From<v1::Leg> for Leg {
    fn from(leg: v1::Leg) -> Self {
        let state = match leg.state() {
            v1::LegState::Connecting => LegState::Connecting,
            v1::LegState::Closing => LegState::Closing,
            v1::LegState::Awaited => LegState::Awaited,
            v1::LegState::Open | v1::LegState::Unspecified => LegState::Open,
        };
        Self {
            name: leg.name,
            incarnation: leg.incarnation,
            state,
            attributes: leg.attributes,
        }
    }
}

impl From<v1::Fault> for Fault {
    fn from(fault: v1::Fault) -> Self {
        match fault {
            v1::Fault::None => Self::None,
            v1::Fault::Peer => Self::Peer,
            v1::Fault::Network => Self::Network,
            v1::Fault::Edge => Self::Edge,
            v1::Fault::Worker => Self::Worker,
            v1::Fault::Config => Self::Config,
            v1::Fault::Unspecified => Self::Unknown,
        }
    }
}
