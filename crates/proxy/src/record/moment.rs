//! One thing that happened to a call.

use holdline_session::{Close, Fault, LegRef, Time};
use serde::Serialize;

/// The longest text that is kept of what somebody else said, in bytes.
const WORDS: usize = 256;

/// When, and what.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
pub(crate) struct Moment {
    at_unix_us: u64,
    /// Where it happened several times: when last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_unix_us: Option<u64>,
    #[serde(flatten)]
    what: What,
}

/// What can happen to a call. The words are part of the admin port's promise: see `openapi.json`.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum What {
    /// The session began.
    Began,
    /// A dialled leg is open.
    LegOpened { leg: String, incarnation: u32 },
    /// A leg is closed, or could not be opened.
    LegClosed {
        leg: String,
        incarnation: u32,
        code: u16,
        fault: &'static str,
        dial_failed: bool,
        /// In our words; what a peer said is not kept.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A leg took nothing for too long.
    WriteTimeout { leg: String, incarnation: u32 },
    /// A worker has the call.
    Attached {
        epoch: u64,
        reason: &'static str,
        worker: String,
        version: String,
        replayed: u64,
    },
    /// A planned move began.
    MoveStarted { epoch: u64, reason: &'static str },
    /// A worker was lost.
    Lost {
        epoch: u64,
        kind: &'static str,
        detail: String,
        worker: Option<String>,
    },
    /// The next worker has committed for the first time.
    Handoff {
        epoch: u64,
        reason: &'static str,
        kind: &'static str,
        gap_us: u64,
        from: Option<String>,
        to: Option<String>,
        version: Option<String>,
    },
    /// A worker broke the protocol.
    ProtocolBroken {
        epoch: u64,
        rule: &'static str,
        detail: String,
    },
    /// An offer came to nothing.
    OfferFailed { detail: String, times: u64 },
    /// The call has no worker.
    HoldStarted { why: Option<String> },
    /// It has one again.
    HoldEnded { held_us: u64, audio_ms: u64 },
    /// A full log dropped media of the caller.
    MediaDropped { frames: u64, times: u64 },
    /// No worker heard this part of the call.
    MediaLost {
        frames: u64,
        media_ms: u64,
        times: u64,
    },
    /// Commands of a worker could not be done.
    CommandDropped { reason: &'static str, times: u64 },
    /// A new stream of the caller took the place of the one before.
    CallerReplaced { stream_sid: Option<String> },
    /// A loss without progress since the last.
    Strike { strikes: u32 },
    /// An operator said so.
    Ordered { order: &'static str },
    /// Something happened outside of the call; what was told of it is not kept.
    External {
        name: String,
        key: String,
        taken: &'static str,
    },
    /// The end began.
    Ending {
        reason: &'static str,
        detail: String,
        fault: &'static str,
    },
    /// The end was never committed.
    EndLost { inputs: u64 },
    /// The session is over.
    Ended,
}

impl Moment {
    pub(crate) fn new(at: Time, what: What) -> Self {
        Self {
            at_unix_us: at.0,
            last_unix_us: None,
            what,
        }
    }

    /// What happened.
    pub(crate) fn what(&self) -> &What {
        &self.what
    }

    /// Takes in a moment of the same kind. False where it is of another, and is left alone.
    pub(super) fn joins(&mut self, next: &Self) -> bool {
        let joined = self.what.joins(&next.what);
        if joined {
            self.last_unix_us = Some(next.at_unix_us);
        }
        joined
    }
}

impl What {
    /// The end of a leg.
    pub(crate) fn closed(leg: &LegRef, close: &Close) -> Self {
        // A close frame's words are the peer's; of the rest the edge itself says what was wrong.
        let ours = close.dial_failed
            || matches!(close.fault, Fault::Network | Fault::Edge | Fault::Config);
        Self::LegClosed {
            leg: leg.name.to_string(),
            incarnation: leg.incarnation.0,
            code: close.code,
            fault: close.fault.as_str(),
            dial_failed: close.dial_failed,
            reason: (ours && !close.reason.is_empty()).then(|| cut(&close.reason)),
        }
    }

    fn joins(&mut self, next: &Self) -> bool {
        match (self, next) {
            (
                Self::MediaDropped { frames, times },
                Self::MediaDropped {
                    frames: more,
                    times: again,
                },
            ) => {
                *frames += more;
                *times += again;
            }
            (
                Self::MediaLost {
                    frames,
                    media_ms,
                    times,
                },
                Self::MediaLost {
                    frames: more,
                    media_ms: longer,
                    times: again,
                },
            ) => {
                *frames += more;
                *media_ms += longer;
                *times += again;
            }
            (
                Self::OfferFailed { detail, times },
                Self::OfferFailed {
                    detail: same,
                    times: again,
                },
            ) if detail == same => *times += again,
            (
                Self::CommandDropped { reason, times },
                Self::CommandDropped {
                    reason: same,
                    times: again,
                },
            ) if reason == same => *times += again,
            _ => return false,
        }
        true
    }
}

/// So much of a text as is kept.
pub(crate) fn cut(words: &str) -> String {
    if words.len() <= WORDS {
        return words.to_owned();
    }
    let end = words.floor_char_boundary(WORDS);
    format!("{}...", &words[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = "ä".repeat(1_000);
        let kept = cut(&long);
        assert!(kept.len() <= WORDS + 3 && kept.ends_with("ä..."), "{kept}");
    }
}
