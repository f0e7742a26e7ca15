//! What workers are told, cut into messages that they can take.

use std::time::Duration;

use holdline_session::{
    Attach, AttachReason, DropReason, EndReason, Fault, Input, InputKind, LegState, LegView,
    Limits, Notice, Payload, Seek, SessionId, ToWorker,
};
use holdline_wire::v1::{self, frame, input::Kind, notice, serve_request::Message};
use prost::Message as _;

/// What protobuf adds to an element of a repeated field at most: a tag and a length.
const ELEMENT_OVERHEAD: usize = 8;
/// Left free in a message for its own few fields.
const MESSAGE_OVERHEAD: usize = 32;

/// The first message of a stream.
pub(crate) fn offer(
    session: SessionId,
    seek: &Seek,
    attributes: holdline_session::Attributes,
) -> v1::ServeRequest {
    request(Message::Offer(v1::Offer {
        session_id: session.to_string(),
        epoch: seek.epoch.0,
        state_schema: seek.schema,
        attributes,
        suspect_through: seek.suspect.map_or(0, |through| through.0),
        doubt_through: seek.doubt.map_or(0, |through| through.0),
    }))
}

/// Cuts what the engine says into messages of at most `limits.message_bytes`, save one that
/// carries a single larger input.
#[derive(Debug)]
pub(crate) struct Batches {
    message_bytes: usize,
    limits: v1::Limits,
    traceparent: String,
}

impl Batches {
    pub(crate) fn new(limits: &Limits, traceparent: String) -> Self {
        Self {
            message_bytes: usize::try_from(limits.message_bytes).unwrap_or(usize::MAX),
            limits: wire_limits(limits),
            traceparent,
        }
    }

    /// Sends the messages for one thing said, in order. At least one.
    pub(crate) fn messages(&self, said: ToWorker, mut send: impl FnMut(v1::ServeRequest)) {
        match said {
            ToWorker::Attach(attach) => self.attach(*attach, send),
            ToWorker::Inputs { inputs, applied } => {
                self.grouped(inputs.into_iter().map(input), 0, |inputs| {
                    send(request(Message::Inputs(v1::Inputs { inputs, applied })))
                })
            }
            ToWorker::Release { within } => send(request(Message::Release(v1::Release {
                within_us: micros(within),
            }))),
        }
    }

    fn attach(&self, attach: Attach, send: impl FnMut(v1::ServeRequest)) {
        let mut first = v1::Attach {
            reason: attach_reason(attach.reason).into(),
            state_schema: attach.schema,
            legs: attach.legs.into_iter().map(leg).collect(),
            timers: attach.timers.into_iter().map(timer).collect(),
            next_seq: attach.next_seq.0,
            limits: Some(self.limits),
            protocol_revision: holdline_wire::PROTOCOL_REVISION,
            traceparent: self.traceparent.clone(),
            commands: holdline_wire::COMMANDS.map(str::to_owned).to_vec(),
            ..v1::Attach::default()
        };
        let entries = attach
            .state
            .into_iter()
            .map(|(key, value)| v1::StateEntry { key, value });
        let taken = first.encoded_len();
        let mut parts = Vec::new();
        self.grouped(entries, taken, |state| {
            parts.push(v1::Attach {
                state,
                ..std::mem::take(&mut first)
            });
        });
        let last = parts.len() - 1;
        for part in &mut parts[..last] {
            part.more_state = true;
        }
        parts
            .into_iter()
            .map(|part| request(Message::Attach(part)))
            .for_each(send);
    }

    /// Hands out groups that fit into a message each, the first beside `taken` bytes of other fields.
    /// Always at least one group, if an empty one.
    fn grouped<M: prost::Message>(
        &self,
        items: impl Iterator<Item = M>,
        taken: usize,
        mut hand_out: impl FnMut(Vec<M>),
    ) {
        // Mostly there is one item, and this is asked for each frame.
        let mut group = Vec::with_capacity(items.size_hint().0);
        let mut bytes = taken + MESSAGE_OVERHEAD;
        let mut filled = taken > 0;
        for item in items {
            let size = item.encoded_len() + ELEMENT_OVERHEAD;
            if filled && bytes.saturating_add(size) > self.message_bytes {
                hand_out(std::mem::take(&mut group));
                bytes = MESSAGE_OVERHEAD;
            }
            bytes += size;
            filled = true;
            group.push(item);
        }
        hand_out(group);
    }
}

fn request(message: Message) -> v1::ServeRequest {
    v1::ServeRequest {
        message: Some(message),
    }
}

fn wire_limits(limits: &Limits) -> v1::Limits {
    v1::Limits {
        max_message_bytes: limits.message_bytes,
        max_state_bytes: limits.state_bytes,
        max_state_keys: limits.state_keys,
        max_key_bytes: limits.key_bytes,
        max_value_bytes: limits.value_bytes,
        max_timers: limits.timers,
        max_commands_per_commit: limits.commands,
        max_uncommitted_inputs: limits.window_inputs,
        max_legs: limits.legs,
        max_timer_us: micros(limits.timer_max),
    }
}

fn leg(view: LegView) -> v1::Leg {
    v1::Leg {
        name: view.name.as_str().to_owned(),
        incarnation: view.incarnation.0,
        state: match view.state {
            LegState::Connecting => v1::LegState::Connecting,
            LegState::Open => v1::LegState::Open,
            LegState::Closing => v1::LegState::Closing,
            LegState::Awaited => v1::LegState::Awaited,
        }
        .into(),
        attributes: view.attributes,
    }
}

fn timer((name, remaining, tag): (String, Duration, u64)) -> v1::Timer {
    v1::Timer {
        name,
        remaining_us: micros(remaining),
        tag,
    }
}

fn input(input: Input) -> v1::Input {
    v1::Input {
        seq: input.seq.0,
        received_unix_us: input.at.0,
        kind: Some(kind(input.kind)),
    }
}

fn kind(kind: InputKind) -> Kind {
    match kind {
        InputKind::Frame { leg, payload } => Kind::Frame(v1::Frame {
            leg: leg.name.as_str().to_owned(),
            incarnation: leg.incarnation.0,
            payload: Some(match payload {
                Payload::Text(text) => frame::Payload::Text(text),
                Payload::Binary(binary) => frame::Payload::Binary(binary),
            }),
        }),
        InputKind::LegOpened { leg, attributes } => Kind::LegOpened(v1::LegOpened {
            leg: leg.name.as_str().to_owned(),
            incarnation: leg.incarnation.0,
            attributes,
        }),
        InputKind::LegClosed {
            leg,
            close,
            unsent_frames,
        } => Kind::LegClosed(v1::LegClosed {
            leg: leg.name.as_str().to_owned(),
            incarnation: leg.incarnation.0,
            code: close.code.into(),
            reason: close.reason,
            fault: fault(close.fault).into(),
            unsent_frames,
            dial_failed: close.dial_failed,
        }),
        InputKind::LegReplaced {
            name,
            old,
            new,
            attributes,
            unsent_frames,
        } => Kind::LegReplaced(v1::LegReplaced {
            leg: name.as_str().to_owned(),
            old_incarnation: old.0,
            incarnation: new.0,
            attributes,
            unsent_frames,
        }),
        InputKind::TimerFired { name, tag, stale } => {
            Kind::TimerFired(v1::TimerFired { name, stale, tag })
        }
        InputKind::Gap(gap) => Kind::Gap(v1::Gap {
            leg: gap.leg.as_str().to_owned(),
            first_seq: gap.first.0,
            last_seq: gap.last.0,
            frames: gap.size.frames,
            bytes: gap.size.bytes,
            media_ms: gap.size.media_ms,
        }),
        InputKind::Dropped(dropped) => Kind::Dropped(v1::Dropped {
            through_seq: dropped.through.0,
            command_index: dropped.index,
            leg: dropped.leg.name.as_str().to_owned(),
            incarnation: dropped.leg.incarnation.0,
            reason: drop_reason(dropped.reason).into(),
        }),
        InputKind::External(external) => Kind::External(v1::External {
            key: external.key,
            name: external.name,
            payload: Some(match external.payload {
                Payload::Text(text) => v1::external::Payload::Text(text),
                Payload::Binary(binary) => v1::external::Payload::Binary(binary),
            }),
        }),
        InputKind::Notice(said) => Kind::Notice(v1::Notice {
            notice: Some(notice(said)),
        }),
        InputKind::SessionEnded {
            reason,
            detail,
            fault: whose,
        } => Kind::SessionEnded(v1::SessionEnded {
            reason: end_reason(reason).into(),
            detail,
            fault: fault(whose).into(),
        }),
    }
}

fn notice(notice: Notice) -> notice::Notice {
    match notice {
        Notice::Hold { held, audio_ms } => notice::Notice::Hold(v1::HoldNotice {
            held_us: micros(held),
            audio_ms,
        }),
        Notice::Deadline { remaining } => notice::Notice::Deadline(v1::DeadlineNotice {
            remaining_us: micros(remaining),
        }),
        Notice::StateNearLimit { bytes, limit } => {
            notice::Notice::StateNearLimit(v1::StateNearLimit {
                bytes,
                limit_bytes: limit,
            })
        }
    }
}

fn attach_reason(reason: AttachReason) -> v1::AttachReason {
    match reason {
        AttachReason::New => v1::AttachReason::New,
        AttachReason::Handoff => v1::AttachReason::Handoff,
        AttachReason::Recovery => v1::AttachReason::Recovery,
        AttachReason::Resume => v1::AttachReason::Resume,
    }
}

fn fault(fault: Fault) -> v1::Fault {
    match fault {
        Fault::None => v1::Fault::None,
        Fault::Peer => v1::Fault::Peer,
        Fault::Network => v1::Fault::Network,
        Fault::Edge => v1::Fault::Edge,
        Fault::Worker => v1::Fault::Worker,
        Fault::Config => v1::Fault::Config,
    }
}

fn drop_reason(reason: DropReason) -> v1::DropReason {
    match reason {
        DropReason::LegGone => v1::DropReason::LegGone,
        DropReason::IncarnationGone => v1::DropReason::IncarnationGone,
        DropReason::UnknownUpstream => v1::DropReason::UnknownUpstream,
        DropReason::NameInUse => v1::DropReason::NameInUse,
        DropReason::TooManyLegs => v1::DropReason::TooManyLegs,
        DropReason::Ending => v1::DropReason::Ending,
    }
}

fn end_reason(reason: EndReason) -> v1::EndReason {
    match reason {
        EndReason::CallerHungUp => v1::EndReason::CallerHungUp,
        EndReason::CallerLost => v1::EndReason::CallerLost,
        EndReason::Worker => v1::EndReason::Worker,
        EndReason::HandedBack => v1::EndReason::HandedBack,
        EndReason::GaveUp => v1::EndReason::GaveUp,
        EndReason::Poisoned => v1::EndReason::Poisoned,
        EndReason::LogOverflow => v1::EndReason::LogOverflow,
        EndReason::EdgeDeadline => v1::EndReason::EdgeDeadline,
        EndReason::Operator => v1::EndReason::Operator,
        EndReason::Superseded => v1::EndReason::Superseded,
        EndReason::CallerProtocol => v1::EndReason::CallerProtocol,
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
