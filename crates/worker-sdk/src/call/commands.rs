//! What a handler can have done.
//!
//! Commands do not fail where they are given: what depends on the world comes back as an input, and
//! a limit of one commit that was passed fails the whole input once the handler returns.

use std::time::Duration;

use bytes::Bytes;
use holdline_wire::v1::{self, command::Command, send};

use super::Call;
use crate::{Attributes, CallError, Payload};

impl Call {
    /// Writes a message to a leg: to that opening of it which the handler knows of.
    ///
    /// Where the leg is gone by then, an [`Input::Dropped`](crate::Input::Dropped) follows. To a
    /// leg that is still connecting it is written once that is open.
    pub fn send(&mut self, leg: &str, payload: Payload) {
        let payload = match payload {
            Payload::Text(bytes) => send::Payload::Text(bytes),
            Payload::Binary(bytes) => send::Payload::Binary(bytes),
        };
        self.command(Command::Send(v1::Send {
            leg: leg.to_owned(),
            incarnation: self.legs.incarnation(leg),
            payload: Some(payload),
        }));
    }

    /// As [`Self::send`], a text message. Bytes must be valid UTF-8: nobody checks them before the
    /// leg's peer does, which closes the leg if they are not.
    pub fn send_text(&mut self, leg: &str, text: impl Into<Bytes>) {
        self.send(leg, Payload::Text(text.into()));
    }

    /// As [`Self::send`], a binary message.
    pub fn send_binary(&mut self, leg: &str, bytes: impl Into<Bytes>) {
        self.send(leg, Payload::Binary(bytes.into()));
    }

    /// Dials an upstream of the edge's configuration. Messages may be sent to the leg at once.
    ///
    /// Answered by [`Input::LegOpened`](crate::Input::LegOpened),
    /// [`Input::LegClosed`](crate::Input::LegClosed) with `dial_failed`, or
    /// [`Input::Dropped`](crate::Input::Dropped) where the upstream is unknown, the name in use or
    /// the number of legs at its limit.
    pub fn open_leg(&mut self, name: &str, upstream: &str, attributes: Attributes) {
        self.legs.asked(name, &attributes);
        self.command(Command::OpenLeg(v1::OpenLeg {
            leg: name.to_owned(),
            upstream: upstream.to_owned(),
            attributes,
        }));
    }

    /// Writes what is queued, then closes the leg with this WebSocket close code (0: 1000).
    /// Answered by [`Input::LegClosed`](crate::Input::LegClosed).
    pub fn close_leg(&mut self, name: &str, code: u16, reason: impl Into<String>) {
        let incarnation = self.legs.incarnation(name);
        self.legs.closing(name);
        self.command(Command::CloseLeg(v1::CloseLeg {
            leg: name.to_owned(),
            incarnation,
            code: code.into(),
            reason: reason.into(),
        }));
    }

    /// Sets a timer, in place of one of the same name. It counts from the moment at which the edge
    /// applies the commit, goes on while the session moves, and comes back once, as
    /// [`Input::TimerFired`](crate::Input::TimerFired).
    pub fn set_timer(&mut self, name: &str, after: Duration) {
        if !self.timers.contains(name) && self.timers.len() as u64 >= self.limits.timers {
            self.pending.fail(CallError::TooManyTimers {
                name: name.to_owned(),
                limit: self.limits.timers,
            });
            return;
        }
        if after > self.limits.timer {
            self.pending.fail(CallError::TimerTooLong {
                name: name.to_owned(),
                after,
                limit: self.limits.timer,
            });
            return;
        }
        let tag = self.timers.set(name);
        self.command(Command::SetTimer(v1::SetTimer {
            name: name.to_owned(),
            after_us: after.as_micros().try_into().unwrap_or(u64::MAX),
            tag,
        }));
    }

    /// Cancels a timer: its fire will not come any more, even where it is on its way.
    pub fn cancel_timer(&mut self, name: &str) {
        if self.timers.cancel(name) {
            self.command(Command::CancelTimer(v1::CancelTimer {
                name: name.to_owned(),
            }));
        }
    }

    /// Whether a timer of this name is set and its fire has not been handled.
    #[must_use]
    pub fn timer_is_set(&self, name: &str) -> bool {
        self.timers.contains(name)
    }

    /// Ends the session and the phone call. Its legs write what is queued and close;
    /// [`Input::SessionEnded`](crate::Input::SessionEnded) follows. The reason is for logs.
    pub fn end_session(&mut self, reason: impl Into<String>) {
        self.end(reason.into(), false);
    }

    /// Ends the session but not the phone call: the carrier goes on with what follows the stream in
    /// its instructions, such as voicemail or a human. Otherwise as
    /// [`end_session`](Self::end_session).
    pub fn hand_back(&mut self, reason: impl Into<String>) {
        self.end(reason.into(), true);
    }

    fn end(&mut self, reason: String, hand_back: bool) {
        self.command(Command::EndSession(v1::EndSession { reason, hand_back }));
    }

    fn command(&mut self, command: Command) {
        match bad_name(&command) {
            Some((what, name)) => {
                let name = name.to_owned();
                self.pending.fail(CallError::Name { what, name });
            }
            None => self.pending.command(command, self.limits.commands),
        }
    }
}

/// The first name in a command that the edge would refuse.
fn bad_name(command: &Command) -> Option<(&'static str, &str)> {
    let names: [(&'static str, &str); 2] = match command {
        Command::Send(send) => [("leg", &send.leg); 2],
        Command::OpenLeg(open) => [("leg", &open.leg), ("upstream", &open.upstream)],
        Command::CloseLeg(close) => [("leg", &close.leg); 2],
        Command::SetTimer(timer) => [("timer", &timer.name); 2],
        Command::CancelTimer(timer) => [("timer", &timer.name); 2],
        Command::EndSession(_) => return None,
    };
    names
        .into_iter()
        .find(|(_, name)| name.is_empty() || name.len() > holdline_wire::MAX_NAME_BYTES)
}
