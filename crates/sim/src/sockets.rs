//! The sockets of a call as its edge holds them: out-buffers that the peer empties at its own pace,
//! dials, and closes.

use std::collections::VecDeque;

use holdline_session::{Attributes, Close, Event, Fault, Incarnation, LegName, LegRef, Output};

use crate::{
    coverage::Mark,
    queue::Happening,
    world::{World, ms},
};

/// All legs that a call may ever have, by index.
pub(crate) const LEGS: [&str; 4] = [LegName::CALLER, LegName::MODEL, "extra", "fourth"];
pub(crate) const CALLER: usize = 0;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum State {
    #[default]
    None,
    Dialling,
    Open,
    Closing,
    Gone,
}

/// What waits to be written.
#[derive(Clone, Copy, Debug)]
enum Piece {
    Frame { bytes: u64 },
    Sound,
}

/// One leg's present socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Socket {
    pub(crate) opening: u32,
    pub(crate) state: State,
    out: VecDeque<Piece>,
    writing: bool,
    /// The peer reads one frame at a time, or nothing at all, until then.
    pub(crate) slow_until: u64,
    pub(crate) reads_nothing: bool,
}

impl Socket {
    pub(crate) fn new(opening: u32, state: State) -> Self {
        Self {
            opening,
            state,
            ..Self::default()
        }
    }
}

/// What is known of an opening and of no other.
pub(crate) fn facts(opening: u32) -> Attributes {
    Attributes::from([("serial".to_owned(), opening.to_string())])
}

impl World {
    pub(crate) fn leg_ref(&self, call: usize, leg: usize) -> LegRef {
        LegRef {
            name: self.names[leg].clone(),
            incarnation: Incarnation(self.calls[call].sockets[leg].opening),
        }
    }

    /// Performs what the engine wants of a leg.
    pub(crate) fn leg_output(&mut self, call: usize, output: &Output) {
        match output {
            Output::Send { leg, payload } => {
                let Some(index) = self.socket_of(call, leg) else {
                    return;
                };
                let socket = &mut self.calls[call].sockets[index];
                let bytes = payload.len() as u64;
                socket.out.push_back(Piece::Frame { bytes });
                self.start_writing(call, index);
            }
            Output::HoldSound { leg, .. } => {
                if let Some(index) = self.socket_of(call, leg) {
                    self.calls[call].sockets[index].out.push_back(Piece::Sound);
                    self.start_writing(call, index);
                }
            }
            Output::OpenLeg { leg, .. } => {
                let index = LEGS.iter().position(|name| *name == leg.name.as_str());
                self.dial(call, index.unwrap_or(1), leg.incarnation.0);
            }
            Output::CloseLeg { leg, within, .. } => {
                if let Some(index) = self.socket_of(call, leg) {
                    self.close(call, index, within.as_micros() as u64);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn dial(&mut self, call: usize, leg: usize, opening: u32) {
        self.calls[call].sockets[leg] = Socket::new(opening, State::Dialling);
        let at = self.now.0 + self.rng.range(ms(2), ms(25));
        self.queue
            .push(at, Happening::Dialled { call, leg, opening });
    }

    pub(crate) fn dialled(&mut self, call: usize, leg: usize, opening: u32) {
        let socket = &self.calls[call].sockets[leg];
        if socket.opening != opening || socket.state != State::Dialling {
            return;
        }
        if self.rng.percent(12) {
            self.coverage.mark(Mark::DialFailed);
            let close = Close {
                code: 0,
                reason: "refused".to_owned(),
                fault: Fault::Network,
                dial_failed: true,
            };
            return self.closed_with(call, leg, close);
        }
        self.calls[call].sockets[leg].state = State::Open;
        let at = self.now.0 + self.rng.range(ms(5), ms(80));
        self.queue.push(at, Happening::Talk { call, leg, opening });
        self.start_writing(call, leg);
        let leg = self.leg_ref(call, leg);
        let attributes = facts(opening);
        self.feed(call, Event::LegOpened { leg, attributes });
    }

    /// A socket takes what waits in its out-buffer, or some of it.
    pub(crate) fn write(&mut self, call: usize, leg: usize, opening: u32) {
        let now = self.now.0;
        let socket = &mut self.calls[call].sockets[leg];
        if socket.opening != opening || !matches!(socket.state, State::Open | State::Closing) {
            return;
        }
        socket.writing = false;
        let slow = now < socket.slow_until;
        if slow && socket.reads_nothing {
            socket.writing = true;
            let at = socket.slow_until;
            return self.queue.push(at, Happening::Write { call, leg, opening });
        }
        let pieces = if slow { 1 } else { socket.out.len() };
        let pieces = pieces.min(socket.out.len());
        let (mut frames, mut bytes, mut sound) = (0, 0, 0);
        for piece in socket.out.drain(..pieces) {
            match piece {
                Piece::Frame { bytes: more } => {
                    frames += 1;
                    bytes += more;
                }
                Piece::Sound => sound += 1,
            }
        }
        self.start_writing(call, leg);
        if pieces > 0 {
            let leg = self.leg_ref(call, leg);
            self.feed(
                call,
                Event::LegWritten {
                    leg,
                    frames,
                    bytes,
                    sound,
                },
            );
        }
    }

    fn start_writing(&mut self, call: usize, leg: usize) {
        let now = self.now.0;
        let socket = &mut self.calls[call].sockets[leg];
        if socket.writing || socket.out.is_empty() || socket.state == State::Dialling {
            return;
        }
        socket.writing = true;
        let opening = socket.opening;
        let after = if now < socket.slow_until {
            self.rng.range(ms(8), ms(25))
        } else {
            self.rng.range(50, ms(2))
        };
        self.queue
            .push(now + after, Happening::Write { call, leg, opening });
    }

    /// The engine wants a socket closed: what is queued goes first, within a bound.
    fn close(&mut self, call: usize, leg: usize, within: u64) {
        let now = self.now.0;
        let socket = &mut self.calls[call].sockets[leg];
        if !matches!(socket.state, State::Dialling | State::Open) {
            return;
        }
        let opening = socket.opening;
        socket.state = State::Closing;
        let slow = now < socket.slow_until;
        if within > 0 && self.rng.percent(2) {
            return self.coverage.mark(Mark::StuckClose);
        }
        let after = if slow {
            within
        } else {
            self.rng.range(ms(2), ms(5)).min(within)
        };
        self.queue
            .push(now + after, Happening::Closed { call, leg, opening });
    }

    pub(crate) fn closed(&mut self, call: usize, leg: usize, opening: u32) {
        let socket = &self.calls[call].sockets[leg];
        if socket.opening == opening && socket.state == State::Closing {
            self.closes(call, leg, 1000, Fault::None);
        }
    }

    /// A socket is gone, by the peer, by the network, or as it was asked to.
    pub(crate) fn closes(&mut self, call: usize, leg: usize, code: u16, fault: Fault) {
        let close = Close {
            code,
            reason: "closed".to_owned(),
            fault,
            dial_failed: false,
        };
        self.closed_with(call, leg, close);
    }

    fn closed_with(&mut self, call: usize, leg: usize, close: Close) {
        self.calls[call].sockets[leg].state = State::Gone;
        let leg = self.leg_ref(call, leg);
        self.feed(call, Event::LegClosed { leg, close });
    }

    fn socket_of(&self, call: usize, leg: &LegRef) -> Option<usize> {
        let index = LEGS.iter().position(|name| *name == leg.name.as_str())?;
        let socket = &self.calls[call].sockets[index];
        (socket.opening == leg.incarnation.0).then_some(index)
    }
}
