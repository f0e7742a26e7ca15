//! What the core is told.

use crate::{
    ids::{CallSid, StreamSid},
    state::ModelLeg,
};

/// What is known of a call before its first input.
#[derive(Clone, Default, Debug)]
pub(crate) struct Facts {
    pub(crate) call_sid: Option<CallSid>,
    pub(crate) stream: Option<StreamSid>,
    /// Opening of the model's leg that the edge dials or has dialled by itself.
    pub(crate) model: Option<u32>,
}

/// Something that happened to the call.
pub(crate) enum Event<'a> {
    /// A message on the caller's leg.
    Caller(&'a [u8]),
    /// A message on a leg of the model's.
    Model {
        leg: ModelLeg,
        text: &'a [u8],
    },
    ModelOpened {
        leg: ModelLeg,
        incarnation: u32,
    },
    ModelClosed(ModelClosed<'a>),
    /// A leg of the model's could not be asked for.
    ModelRefused {
        leg: ModelLeg,
        refusal: Refusal,
    },
    /// The caller's socket is gone; they may come back.
    CallerLost,
    /// The caller is back on a new socket.
    CallerReplaced {
        stream: Option<StreamSid>,
    },
    /// So much of the caller's media was lost on its way here.
    Gap {
        media_ms: u64,
    },
    Timer(super::Timer),
    /// A function has returned.
    ToolDone {
        number: u64,
        output: String,
    },
    /// Something happened outside of the call.
    News {
        name: &'a str,
        words: &'a str,
    },
}

/// How a leg of the model's ended.
pub(crate) struct ModelClosed<'a> {
    pub(crate) leg: ModelLeg,
    pub(crate) incarnation: u32,
    /// WebSocket close code; 0 where it was never open.
    pub(crate) code: u16,
    pub(crate) reason: &'a str,
    /// Whether it was refused in a way that asking again does not change.
    pub(crate) refused: bool,
}

/// Why a leg of the model's could not be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The edge knows no such upstream: asking again does not help.
    UnknownUpstream,
    /// A leg of that name is there: the old one still closes, or one opens that is not known of.
    NameInUse,
    /// As many legs are open as the edge allows.
    TooManyLegs,
}
