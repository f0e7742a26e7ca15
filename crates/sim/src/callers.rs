//! Callers: 20 ms of audio at a time, now and then a word to the program, trouble with the line,
//! and an end.

use std::time::Duration;

use holdline_session::{Class, EndReason, Event, External, Fault, Frame};

use crate::{
    coverage::Mark,
    plan::{Farewell, Poison},
    program::text,
    queue::Happening,
    sockets::{CALLER, Socket, State, facts},
    world::{World, ms},
};

/// What a caller says to the program, and how often.
const WORDS: &[(u64, char)] = &[
    (26, 't'),
    (12, 'c'),
    (12, 'o'),
    (5, 'l'),
    (3, 'z'),
    (4, 'k'),
    (3, 'u'),
    (3, 'd'),
    (3, 'g'),
    (4, 'i'),
    (6, 'p'),
    (4, 'q'),
    (10, 'y'),
    (10, 's'),
];

impl World {
    /// The next 20 ms of a caller.
    pub(crate) fn caller(&mut self, call: usize) {
        if self.calls[call].farewell_said || self.calls[call].over {
            return;
        }
        let mut after = ms(20);
        if self.calls[call].sockets[CALLER].state == State::Open {
            if self.poison_due(call) {
                self.send_poison(call);
            } else if self.rng.percent(12) {
                let word = self.rng.weighted(WORDS);
                self.say(call, word, Class::Control);
            } else {
                self.say(call, 'm', Class::Media { ms: 20 });
            }
            if self.rng.percent(5) {
                self.tell_from_outside(call);
            }
            if self.rng.percent(3) {
                after = self.rng.range(ms(60), ms(250));
            }
        }
        self.queue
            .push(self.now.0 + after, Happening::Caller { call });
    }

    fn say(&mut self, call: usize, letter: char, class: Class) {
        let size = self.rng.range(8, 36) as usize;
        if letter == 't' && self.rng.percent(50) {
            // At about the moment when the timer runs out.
            let at = self.now.0 + ms(size as u64) + self.rng.below(ms(4));
            self.queue.push(at, Happening::Recant { call, size });
        }
        self.say_sized(call, letter, class, size);
    }

    /// Somebody outside of the call has news for it, or tells it again since no answer came.
    pub(crate) fn tell_from_outside(&mut self, call: usize) {
        let told = self.calls[call].told;
        let again = told > 0 && self.rng.percent(30);
        let number = if again {
            self.rng.range(1, told)
        } else {
            told + 1
        };
        self.calls[call].told = number.max(told);
        // What a number stands for never changes.
        let size = if number % 8 == 3 {
            601
        } else {
            8 + number as usize % 40
        };
        let external = External {
            key: format!("news-{number}"),
            name: "news".to_owned(),
            payload: text('n', number, size),
        };
        self.feed(call, Event::External(external));
    }

    pub(crate) fn recant(&mut self, call: usize, size: usize) {
        if self.calls[call].sockets[CALLER].state == State::Open {
            self.say_sized(call, 'c', Class::Control, size);
        }
    }

    fn say_sized(&mut self, call: usize, letter: char, class: Class, size: usize) {
        self.counter += 1;
        let payload = text(letter, self.counter, size);
        let leg = self.leg_ref(call, CALLER);
        let frame = Frame { class, payload };
        self.feed(call, Event::Frame { leg, frame });
    }

    /// Poison is given while nobody else has lost a worker without progress since, so that what it
    /// does to others is its own doing.
    fn poison_due(&self, call: usize) -> bool {
        let Some((at, _)) = self.calls[call].plan.poison else {
            return false;
        };
        self.now.0 >= at
            && self.poison_live.is_none()
            && self.calls[call].poisoned_at.is_none()
            && self.calls[call].model.ending().is_none()
            && self.calls.iter().all(|call| call.is_steady())
            && !self.workers.iter().any(|worker| {
                worker.hung_until > self.now.0
                    || worker.parted_until.iter().any(|until| *until > self.now.0)
            })
    }

    fn send_poison(&mut self, call: usize) {
        let Some((_, kind)) = self.calls[call].plan.poison else {
            return;
        };
        self.poison_live = Some(call);
        self.calls[call].poisoned_at = Some(self.now.0);
        let letter = match kind {
            Poison::Crash => 'X',
            Poison::Hang => 'H',
            Poison::Rule => 'R',
            Poison::Weak => 'W',
        };
        self.say(call, letter, Class::Control);
    }

    /// The socket of a caller breaks, or a second stream of the same call appears.
    pub(crate) fn caller_trouble(&mut self, call: usize) {
        let breaks = self.calls[call]
            .plan
            .trouble
            .is_some_and(|(_, breaks)| breaks);
        if !breaks {
            return self.caller_returns(call);
        }
        if self.calls[call].sockets[CALLER].state == State::Open && self.may_end(call) {
            self.closes(call, CALLER, 1006, Fault::Network);
            let at = self.now.0 + self.rng.range(ms(10), ms(240));
            self.queue.push(at, Happening::Return { call });
        }
    }

    /// The same call on a new socket.
    pub(crate) fn caller_returns(&mut self, call: usize) {
        if self.calls[call].over || self.calls[call].model.ending().is_some() {
            return;
        }
        let mark = match self.calls[call].sockets[CALLER].state {
            State::Open => Mark::CallerTakeover,
            State::Gone => Mark::CallerReturns,
            _ => return,
        };
        self.coverage.mark(mark);
        let opening = self.calls[call].sockets[CALLER].opening + 1;
        let attributes = facts(opening);
        self.calls[call].sockets[CALLER] = Socket::new(opening, State::Open);
        self.feed(call, Event::CallerReplaced { attributes });
    }

    /// A call ends as planned.
    pub(crate) fn farewell(&mut self, call: usize) {
        if self.calls[call].over || self.calls[call].model.ending().is_some() {
            return;
        }
        if self.poison_live == Some(call) || self.calls[call].sockets[CALLER].state != State::Open {
            let at = self.now.0 + ms(50);
            return self.queue.push(at, Happening::Farewell { call });
        }
        let farewell = self.calls[call].plan.farewell;
        self.note(|| format!("s{call} says farewell: {farewell:?}"));
        self.calls[call].farewell_said = true;
        match farewell {
            Farewell::Stop => self.say(call, 'S', Class::Stop),
            Farewell::HangUp => self.closes(call, CALLER, 1000, Fault::None),
            Farewell::Vanish => self.closes(call, CALLER, 1006, Fault::Network),
            Farewell::Protocol => self.closes(call, CALLER, 1002, Fault::Peer),
            Farewell::Worker => self.say(call, 'e', Class::Control),
            Farewell::Storm => self.say(call, 'j', Class::Control),
            Farewell::Operator => self.end(call, EndReason::Operator),
            Farewell::Superseded => self.end(call, EndReason::Superseded),
            Farewell::Deadline => {
                let remaining = Duration::from_millis(self.rng.range(5, 200));
                self.feed(call, Event::DeadlineNear { remaining });
                let at = self.now.0 + remaining.as_micros() as u64;
                self.queue.push(at, Happening::LastResort { call });
            }
            Farewell::Flood => {
                let most = self.calls[call].model.limits().log_frames + 8;
                for _ in 0..most {
                    if self.calls[call].model.ending().is_none() {
                        self.say(call, 's', Class::Control);
                    }
                }
            }
        }
        if self.rng.percent(20) {
            self.tell_from_outside(call);
        }
        let at = self.now.0 + ms(700);
        self.queue.push(at, Happening::LastResort { call });
    }

    /// Whatever was planned has not ended the call.
    pub(crate) fn last_resort(&mut self, call: usize) {
        if self.calls[call].over || self.calls[call].model.ending().is_some() {
            return;
        }
        match self.calls[call].plan.farewell {
            Farewell::Worker | Farewell::Flood | Farewell::Storm
                if self.calls[call].sockets[CALLER].state == State::Open =>
            {
                self.closes(call, CALLER, 1001, Fault::None);
            }
            _ => self.end(call, EndReason::EdgeDeadline),
        }
    }

    fn end(&mut self, call: usize, reason: EndReason) {
        let detail = "as planned".to_owned();
        self.feed(call, Event::End { reason, detail });
    }

    /// A poisoned call is to end by its poison.
    fn may_end(&self, call: usize) -> bool {
        self.poison_live != Some(call)
    }
}
