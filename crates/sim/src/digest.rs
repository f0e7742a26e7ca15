//! What an input is, in one number, so that workers and model can remember all of them.
//!
//! Words that are for people, and the `stale` mark of a fired timer, which may be set between two
//! deliveries, are no part of it.

use holdline_session::{Attributes, DropReason, InputKind, LegRef, Notice};

use crate::rng::mix;

/// The digest of nothing.
pub(crate) const EMPTY: u64 = 0x00D1_6E57;
/// Stands for media that a worker knows only as dropped.
const GAP: u64 = 0x6A9;

/// Adds an input to the digest of all before it.
pub(crate) fn fold(digest: u64, seq: u64, essence: u64) -> u64 {
    mix(digest ^ essence.wrapping_add(seq.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// Adds a dropped input.
pub(crate) fn fold_gap(digest: u64, seq: u64) -> u64 {
    fold(digest, seq, GAP)
}

/// What an input is. A `Gap` is folded by seq and has no essence of its own.
pub(crate) fn essence(kind: &InputKind) -> u64 {
    match kind {
        InputKind::Frame { leg, payload } => bytes(leg_hash(1, leg), payload.bytes()),
        InputKind::LegOpened { leg, attributes } => facts(leg_hash(2, leg), attributes),
        InputKind::LegClosed {
            leg,
            close,
            unsent_frames,
        } => number(
            number(leg_hash(3, leg), *unsent_frames),
            u64::from(close.code),
        ),
        InputKind::LegReplaced {
            name,
            old,
            new,
            unsent_frames,
            attributes,
        } => {
            let hash = number(bytes(4, name.as_str().as_bytes()), u64::from(old.0));
            let hash = number(number(hash, u64::from(new.0)), *unsent_frames);
            facts(hash, attributes)
        }
        InputKind::TimerFired { name, tag, .. } => number(bytes(5, name.as_bytes()), *tag),
        InputKind::External(external) => {
            let hash = bytes(bytes(12, external.key.as_bytes()), external.name.as_bytes());
            bytes(hash, external.payload.bytes())
        }
        InputKind::Gap(_) => GAP,
        InputKind::Dropped(dropped) => {
            let hash = number(leg_hash(7, &dropped.leg), dropped.through.0);
            number(
                number(hash, u64::from(dropped.index)),
                reason(dropped.reason),
            )
        }
        InputKind::Notice(notice) => match notice {
            Notice::Hold { held, audio_ms } => {
                number(number(8, held.as_micros() as u64), *audio_ms)
            }
            Notice::Deadline { remaining } => number(9, remaining.as_micros() as u64),
            Notice::StateNearLimit { bytes, limit } => number(number(10, *bytes), *limit),
        },
        InputKind::SessionEnded { reason, .. } => bytes(11, reason.as_str().as_bytes()),
    }
}

fn facts(hash: u64, attributes: &Attributes) -> u64 {
    attributes.iter().fold(hash, |hash, (name, value)| {
        bytes(bytes(hash, name.as_bytes()), value.as_bytes())
    })
}

fn leg_hash(start: u64, leg: &LegRef) -> u64 {
    number(
        bytes(start, leg.name.as_str().as_bytes()),
        u64::from(leg.incarnation.0),
    )
}

fn reason(reason: DropReason) -> u64 {
    match reason {
        DropReason::LegGone => 1,
        DropReason::IncarnationGone => 2,
        DropReason::UnknownUpstream => 3,
        DropReason::NameInUse => 4,
        DropReason::TooManyLegs => 5,
        DropReason::Ending => 6,
    }
}

fn number(hash: u64, value: u64) -> u64 {
    mix(hash.wrapping_mul(31).wrapping_add(value))
}

fn bytes(mut hash: u64, bytes: &[u8]) -> u64 {
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = number(hash, u64::from_le_bytes(word));
    }
    number(hash, bytes.len() as u64)
}
