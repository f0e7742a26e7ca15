//! From the wire's words to the author's.

use std::time::Duration;

use holdline_wire::v1;

use super::{
    DropReason, Dropped, EndReason, External, Frame, Gap, LegClosed, LegOpened, LegReplaced,
    Notice, Payload, SessionEnded,
};

impl Frame {
    /// `None` where the edge sent a kind of payload that this SDK does not know.
    pub(crate) fn from_wire(frame: v1::Frame) -> Option<Self> {
        let payload = match frame.payload? {
            v1::frame::Payload::Text(bytes) => Payload::Text(bytes),
            v1::frame::Payload::Binary(bytes) => Payload::Binary(bytes),
        };
        Some(Self {
            leg: frame.leg,
            incarnation: frame.incarnation,
            payload,
        })
    }
}

impl External {
    /// `None` where the edge sent a kind of payload that this SDK does not know.
    pub(crate) fn from_wire(external: v1::External) -> Option<Self> {
        let payload = match external.payload? {
            v1::external::Payload::Text(bytes) => Payload::Text(bytes),
            v1::external::Payload::Binary(bytes) => Payload::Binary(bytes),
        };
        Some(Self {
            key: external.key,
            name: external.name,
            payload,
        })
    }
}

impl From<v1::LegOpened> for LegOpened {
    fn from(opened: v1::LegOpened) -> Self {
        Self {
            leg: opened.leg,
            incarnation: opened.incarnation,
            attributes: opened.attributes,
        }
    }
}

impl From<v1::LegClosed> for LegClosed {
    fn from(closed: v1::LegClosed) -> Self {
        Self {
            fault: closed.fault().into(),
            leg: closed.leg,
            incarnation: closed.incarnation,
            code: u16::try_from(closed.code).unwrap_or(u16::MAX),
            reason: closed.reason,
            unsent_frames: closed.unsent_frames,
            dial_failed: closed.dial_failed,
        }
    }
}

impl From<v1::LegReplaced> for LegReplaced {
    fn from(replaced: v1::LegReplaced) -> Self {
        Self {
            leg: replaced.leg,
            old_incarnation: replaced.old_incarnation,
            incarnation: replaced.incarnation,
            attributes: replaced.attributes,
            unsent_frames: replaced.unsent_frames,
        }
    }
}

impl From<v1::Gap> for Gap {
    fn from(gap: v1::Gap) -> Self {
        Self {
            leg: gap.leg,
            first_seq: gap.first_seq,
            last_seq: gap.last_seq,
            frames: gap.frames,
            bytes: gap.bytes,
            media: Duration::from_millis(gap.media_ms),
        }
    }
}

impl From<v1::Dropped> for Dropped {
    fn from(dropped: v1::Dropped) -> Self {
        let reason = match dropped.reason() {
            v1::DropReason::LegGone => DropReason::LegGone,
            v1::DropReason::IncarnationGone => DropReason::IncarnationGone,
            v1::DropReason::UnknownUpstream => DropReason::UnknownUpstream,
            v1::DropReason::NameInUse => DropReason::NameInUse,
            v1::DropReason::TooManyLegs => DropReason::TooManyLegs,
            v1::DropReason::Ending => DropReason::Ending,
            v1::DropReason::Unspecified => DropReason::Unknown,
        };
        Self {
            through_seq: dropped.through_seq,
            command_index: dropped.command_index,
            leg: dropped.leg,
            incarnation: dropped.incarnation,
            reason,
        }
    }
}

impl Notice {
    /// `None` for a notice that this SDK does not know.
    pub(crate) fn from_wire(notice: v1::Notice) -> Option<Self> {
        use v1::notice::Notice as Wire;
        Some(match notice.notice? {
            Wire::Hold(hold) => Self::Hold {
                held: Duration::from_micros(hold.held_us),
                audio: Duration::from_millis(hold.audio_ms),
            },
            Wire::Deadline(deadline) => Self::Deadline {
                remaining: Duration::from_micros(deadline.remaining_us),
            },
            Wire::StateNearLimit(near) => Self::StateNearLimit {
                bytes: near.bytes,
                limit: near.limit_bytes,
            },
        })
    }
}

impl From<v1::SessionEnded> for SessionEnded {
    fn from(ended: v1::SessionEnded) -> Self {
        let reason = match ended.reason() {
            v1::EndReason::CallerHungUp => EndReason::CallerHungUp,
            v1::EndReason::CallerLost => EndReason::CallerLost,
            v1::EndReason::Worker => EndReason::Worker,
            v1::EndReason::HandedBack => EndReason::HandedBack,
            v1::EndReason::GaveUp => EndReason::GaveUp,
            v1::EndReason::Poisoned => EndReason::Poisoned,
            v1::EndReason::LogOverflow => EndReason::LogOverflow,
            v1::EndReason::EdgeDeadline => EndReason::EdgeDeadline,
            v1::EndReason::Operator => EndReason::Operator,
            v1::EndReason::Superseded => EndReason::Superseded,
            v1::EndReason::CallerProtocol => EndReason::CallerProtocol,
            v1::EndReason::Unspecified => EndReason::Unknown,
        };
        Self {
            reason,
            fault: ended.fault().into(),
            detail: ended.detail,
        }
    }
}
