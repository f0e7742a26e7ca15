//! What workers say.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use holdline_session::{Command, Commit, FromWorker, Incarnation, LegName, Payload, Seq};
use holdline_wire::v1::{self, command::Command as Wire, send, serve_response::Message};

use super::Malformed;

/// Longest close reason in bytes: a close frame's 125 less its code (RFC 6455, 5.5.1).
const CLOSE_REASON_MAX: usize = 123;
/// Close code that stands where a worker gave none: an ordinary end (RFC 6455, 7.4.1).
const CLOSE_NORMAL: u16 = 1000;

/// Understands a worker's message.
///
/// Payloads of frames share the receive buffer: they are written soon. Values of state live as
/// long as the session and would pin that buffer, so they are copied.
pub(crate) fn from_worker(response: v1::ServeResponse) -> Result<FromWorker, Malformed> {
    let message = response.message.ok_or_else(|| {
        Malformed("a ServeResponse without a message that this edge knows".to_owned())
    })?;
    Ok(match message {
        Message::Accept(v1::Accept {}) => FromWorker::Accept,
        Message::Reject(v1::Reject { reason, retry }) => FromWorker::Reject { reason, retry },
        Message::Commit(wire) => FromWorker::Commit(commit(wire)?),
        Message::Released(v1::Released {}) => FromWorker::Released,
        Message::Draining(v1::Draining { within_us }) => FromWorker::Draining {
            within: (within_us > 0).then(|| Duration::from_micros(within_us)),
        },
    })
}

fn commit(wire: v1::Commit) -> Result<Commit, Malformed> {
    let through = wire.through_seq;
    let commands = wire
        .commands
        .into_iter()
        .enumerate()
        .map(|(index, wire)| {
            command(wire).map_err(|what| {
                Malformed(format!("commit through {through}, command {index}: {what}"))
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Commit {
        through: Seq(through),
        schema: wire.state_schema,
        put: wire
            .put
            .into_iter()
            .map(|entry| (entry.key, Bytes::copy_from_slice(&entry.value)))
            .collect(),
        delete: wire.delete,
        replace_state: wire.replace_state,
        commands,
    })
}

fn command(wire: v1::Command) -> Result<Command, Cow<'static, str>> {
    Ok(
        match wire.command.ok_or("no command that this edge knows")? {
            Wire::Send(send) => Command::Send {
                incarnation: incarnation(send.incarnation),
                payload: payload(send.payload, &send.leg)?,
                leg: leg(&send.leg)?,
            },
            Wire::OpenLeg(open) => Command::OpenLeg {
                leg: leg(&open.leg)?,
                upstream: open.upstream,
                attributes: open.attributes,
            },
            Wire::CloseLeg(close) => Command::CloseLeg {
                leg: leg(&close.leg)?,
                incarnation: incarnation(close.incarnation),
                code: close_code(close.code)?,
                reason: cut(close.reason, CLOSE_REASON_MAX),
            },
            Wire::SetTimer(timer) => Command::SetTimer {
                name: timer.name,
                after: Duration::from_micros(timer.after_us),
                tag: timer.tag,
            },
            Wire::CancelTimer(timer) => Command::CancelTimer { name: timer.name },
            Wire::EndSession(end) => Command::EndSession {
                reason: end.reason,
                hand_back: end.hand_back,
            },
        },
    )
}

fn leg(name: &str) -> Result<LegName, Cow<'static, str>> {
    if name.is_empty() {
        return Err("no leg is named".into());
    }
    Ok(LegName::new(name))
}

fn incarnation(number: u32) -> Option<Incarnation> {
    (number > 0).then_some(Incarnation(number))
}

fn payload(wire: Option<send::Payload>, leg: &str) -> Result<Payload, Cow<'static, str>> {
    match wire {
        Some(send::Payload::Text(text)) => {
            if let Err(error) = std::str::from_utf8(&text) {
                return Err(format!("text for leg {leg:?} is not UTF-8: {error}").into());
            }
            Ok(Payload::Text(text))
        }
        Some(send::Payload::Binary(binary)) => Ok(Payload::Binary(binary)),
        None => Err(format!("Send to leg {leg:?} has neither text nor binary").into()),
    }
}

/// The codes that an endpoint may put into a close frame (RFC 6455, 7.4).
fn close_code(code: u32) -> Result<u16, Cow<'static, str>> {
    match u16::try_from(code) {
        Ok(0) => Ok(CLOSE_NORMAL),
        Ok(code @ (1000..=1003 | 1007..=1014 | 3000..=4999)) => Ok(code),
        _ => Err(format!("close code {code} may not be sent").into()),
    }
}

/// Cuts to at most `max` bytes, between characters.
fn cut(mut text: String, max: usize) -> String {
    text.truncate(text.floor_char_boundary(max));
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn response(message: Message) -> v1::ServeResponse {
        v1::ServeResponse {
            message: Some(message),
        }
    }

    fn commit_of(command: Option<Wire>) -> v1::ServeResponse {
        response(Message::Commit(v1::Commit {
            through_seq: 7,
            commands: vec![v1::Command { command }],
            ..v1::Commit::default()
        }))
    }

    fn send(payload: Option<send::Payload>) -> Option<Wire> {
        Some(Wire::Send(v1::Send {
            leg: "caller".to_owned(),
            incarnation: 0,
            payload,
        }))
    }

    fn close(code: u32, reason: &str) -> Option<Wire> {
        Some(Wire::CloseLeg(v1::CloseLeg {
            leg: "model".to_owned(),
            incarnation: 2,
            code,
            reason: reason.to_owned(),
        }))
    }

    fn only_command(response: v1::ServeResponse) -> Command {
        match from_worker(response).unwrap() {
            FromWorker::Commit(mut commit) => commit.commands.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused_with_its_place() {
        let cases = [
            (v1::ServeResponse { message: None }, "without a message"),
            (commit_of(None), "commit through 7, command 0: no command"),
            (commit_of(send(None)), "neither text nor binary"),
            (
                commit_of(send(Some(send::Payload::Text(Bytes::from_static(b"\xff"))))),
                "not UTF-8",
            ),
            (commit_of(close(70_000, "")), "close code 70000"),
            (commit_of(close(1006, "")), "close code 1006"),
            (
                commit_of(Some(Wire::OpenLeg(v1::OpenLeg::default()))),
                "no leg is named",
            ),
        ];
        for (wire, part) in cases {
            let Malformed(what) = from_worker(wire).unwrap_err();
            assert!(what.contains(part), "{what:?} should say {part:?}");
        }
    }

    #[test]
    fn an_empty_frame_is_a_frame() {
        let command = only_command(commit_of(send(Some(send::Payload::Binary(Bytes::new())))));
        assert_eq!(
            command,
            Command::Send {
                leg: LegName::new("caller"),
                incarnation: None,
                payload: Payload::Binary(Bytes::new()),
            }
        );
    }

    #[test]
    fn close_defaults_to_normal_and_cuts_its_reason_between_characters() {
        let command = only_command(commit_of(close(0, &"é".repeat(100))));
        let Command::CloseLeg {
            code,
            reason,
            incarnation,
            ..
        } = command
        else {
            panic!("{command:?}");
        };
        assert_eq!((code, incarnation), (1000, Some(Incarnation(2))));
        assert_eq!(reason.len(), 122);
    }

    #[test]
    fn payloads_share_the_receive_buffer_and_state_does_not() {
        let buffer = Bytes::from(vec![b'x'; 64]);
        let wire = response(Message::Commit(v1::Commit {
            put: vec![v1::StateEntry {
                key: "k".to_owned(),
                value: buffer.slice(0..32),
            }],
            commands: vec![v1::Command {
                command: send(Some(send::Payload::Text(buffer.slice(32..)))),
            }],
            ..v1::Commit::default()
        }));
        let FromWorker::Commit(commit) = from_worker(wire).unwrap() else {
            panic!("not a commit");
        };
        let range = buffer.as_ptr_range();
        assert!(!range.contains(&commit.put[0].1.as_ptr()));
        let Command::Send { payload, .. } = &commit.commands[0] else {
            panic!("not a send");
        };
        assert!(range.contains(&payload.bytes().as_ptr()));
    }

    #[test]
    fn a_drain_without_a_time_is_of_unknown_length() {
        let draining = |within_us| {
            from_worker(response(Message::Draining(v1::Draining { within_us }))).unwrap()
        };
        assert_eq!(draining(0), FromWorker::Draining { within: None });
        assert_eq!(
            draining(1_500),
            FromWorker::Draining {
                within: Some(Duration::from_micros(1_500))
            }
        );
    }
}
