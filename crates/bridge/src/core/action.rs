//! What the core wants done.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;

use super::ToolRequest;
use crate::{private::Private, state::ModelLeg};

/// Something to be done, in the order given.
#[derive(PartialEq, Eq)]
pub(crate) enum Action {
    /// A text message to the caller's leg.
    ToCaller(Bytes),
    /// A text message to a leg of the model's.
    ToModel {
        leg: ModelLeg,
        text: Bytes,
    },
    OpenModel {
        leg: ModelLeg,
        upstream: String,
        attributes: BTreeMap<String, String>,
    },
    CloseModel {
        leg: ModelLeg,
        reason: &'static str,
    },
    SetTimer {
        timer: Timer,
        after_ms: u64,
    },
    CancelTimer(Timer),
    /// Asks a webhook; answered by [`super::Event::ToolDone`].
    Ask(ToolRequest),
    /// Ends the session, and leaves the caller to what the carrier was told to do next.
    HandBack {
        reason: String,
    },
    /// Something that an operator may want to read.
    Note(Note),
}

/// A timer of the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Timer {
    /// The model's leg: takes too long to get ready, or is to be opened again.
    Model,
    /// The model was asked for an answer, and has to begin one.
    Reply,
    /// The caller speaks, and there has to be media.
    Quiet,
    /// No more keys.
    Keys,
    /// The model's session is old.
    Rollover,
}

impl Timer {
    /// Its name at the edge.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Reply => "reply",
            Self::Quiet => "quiet",
            Self::Keys => "keys",
            Self::Rollover => "rollover",
        }
    }

    /// The timer of this name; `None` for one of another version.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Model,
            Self::Reply,
            Self::Quiet,
            Self::Keys,
            Self::Rollover,
        ];
        all.into_iter().find(|timer| timer.name() == name)
    }
}

/// Something that an operator may want to read. Words of the call are [`Private`].
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Note {
    /// The model has confirmed its settings.
    ModelReady {
        expires_at: Option<u64>,
        /// How long there was none.
        away_ms: u64,
        /// Audio of the caller that no model will hear.
        unheard_ms: u64,
    },
    /// Another session has taken the old one's place.
    RolledOver {
        expires_at: Option<u64>,
    },
    /// The session that was to take the old one's place could not be had.
    SpareFailed {
        reason: String,
    },
    /// The model's leg is gone.
    ModelLost {
        code: u16,
        reason: String,
        attempt: u32,
    },
    /// The model was told what went before.
    Seeded {
        entries: usize,
        forgotten: u64,
    },
    /// The model reports an error.
    ModelError {
        code: String,
        message: Private,
        fatal: bool,
    },
    /// A message that cannot be understood.
    Malformed {
        leg: &'static str,
        bytes: usize,
    },
    CallerSaid {
        turn: u64,
        words: Private,
    },
    AgentSaid {
        turn: u64,
        words: Private,
    },
    Interrupted {
        turn: u64,
        heard_ms: u64,
        sent_ms: u64,
    },
    KeysPressed {
        keys: Private,
    },
    /// The model was told of something outside of the call.
    News {
        name: String,
        words: Private,
    },
    /// Something happened outside of the call that the model cannot be told.
    NewsIgnored {
        name: String,
    },
    ToolCalled {
        name: String,
        arguments: Private,
    },
    ToolAnswered {
        name: String,
        output: Private,
    },
    SilenceSent {
        ms: u64,
    },
    /// The model was told the settings of another version of the file.
    SettingsChanged,
}

impl fmt::Debug for Action {
    /// Kinds and lengths: what is said is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ToCaller(text) => write!(f, "ToCaller({} bytes)", text.len()),
            Self::ToModel { leg, text } => write!(f, "ToModel({leg:?}, {} bytes)", text.len()),
            Self::OpenModel { leg, upstream, .. } => write!(f, "OpenModel({leg:?}, {upstream})"),
            Self::CloseModel { leg, reason } => write!(f, "CloseModel({leg:?}, {reason})"),
            Self::SetTimer { timer, after_ms } => write!(f, "SetTimer({timer:?}, {after_ms} ms)"),
            Self::CancelTimer(timer) => write!(f, "CancelTimer({timer:?})"),
            Self::Ask(request) => write!(f, "Ask({})", request.tool),
            Self::HandBack { reason } => write!(f, "HandBack({reason})"),
            Self::Note(note) => write!(f, "Note({note:?})"),
        }
    }
}
