//! A small world around one session: legs, a clock, and workers that say anything.
//!
//! It does what the edge's shell does and nothing cleverer, and checks what a shell relies on:
//! nothing is written to a leg that is gone or said on a stream that is over, deliveries have no
//! holes, the log keeps its bounds, and the session always comes to an end. (What becomes of each
//! frame is the simulation's business.)

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use holdline_session::{
    Attributes, Class, Close, EndReason, Epoch, Event, Fault, Frame, FromWorker, InputKind, LegRef,
    LegState, Limits, Loss, MoveReason, Output, Payload, Seq, Session, SessionId, Setup, Time,
    ToWorker, WorkerId,
};
use holdline_workers::fuzzing::understood;

use crate::reader::Reader;

/// When worlds begin.
pub(crate) const NOW: Time = Time(1_700_000_000_000_000);
/// More steps than any end takes.
const LAST_STEPS: u32 = 10_000;
const UPSTREAM: &str = "model";

/// Bounds that an input of a few KiB can reach.
pub(crate) fn limits() -> Limits {
    Limits {
        log_bytes: 2_048,
        log_frames: 32,
        window_inputs: 8,
        window_bytes: 1_024,
        message_bytes: 1_024,
        state_bytes: 512,
        state_keys: 8,
        key_bytes: 16,
        value_bytes: 256,
        timers: 4,
        commands: 16,
        legs: 4,
        leg_high: 512,
        ..Limits::default()
    }
}

/// A session and all that it knows.
pub(crate) struct World {
    session: Session,
    now: Time,
    out: Vec<Output>,
    legs: BTreeMap<LegRef, Leg>,
    /// Attachments being sought or open, with the last seq that each was given.
    streams: BTreeMap<Epoch, Stream>,
    largest: u64,
    over: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leg {
    Connecting,
    Open,
    Closing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Sought,
    Offered,
    Attached(Seq),
}

impl World {
    /// A call with its caller, and a model that is being dialled.
    pub(crate) fn new() -> Self {
        let mut out = Vec::new();
        let setup = Setup {
            id: SessionId(1),
            limits: limits(),
            caller: Attributes::new(),
            dialled: vec![LegRef::new("model", 1).name],
            upstreams: [UPSTREAM.to_owned()].into(),
        };
        let session = Session::new(setup, NOW, &mut out);
        let mut world = Self::of(session);
        world.out = out;
        world.perform();
        world
    }

    /// A session that was restored, its legs as it has them.
    pub(crate) fn restored(session: Session) -> Self {
        let mut world = Self::of(session);
        world.tell(Event::Tick);
        world
    }

    fn of(session: Session) -> Self {
        let legs = session.view(NOW).legs.into_iter().filter_map(|leg| {
            let state = match leg.state {
                LegState::Connecting => Leg::Connecting,
                LegState::Open => Leg::Open,
                LegState::Closing => Leg::Closing,
                LegState::Awaited => return None,
            };
            let name = leg.name;
            let incarnation = leg.incarnation;
            Some((LegRef { name, incarnation }, state))
        });
        Self {
            legs: legs.collect(),
            largest: session.log_depth().1,
            session,
            now: NOW,
            out: Vec::new(),
            streams: BTreeMap::new(),
            over: false,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    #[cfg(test)]
    pub(crate) fn snapshot(&self) -> holdline_session::Snapshot {
        self.session.snapshot()
    }

    /// What has come of it.
    #[cfg(test)]
    pub(crate) fn account(&self) -> &holdline_session::Account {
        self.session.account()
    }

    /// Lets the next thing happen that the input says.
    pub(crate) fn step(&mut self, input: &mut Reader<'_>) {
        let what = input.byte();
        match what & 15 {
            0..=3 => self.step_leg(what, input),
            4 => self.hear(self.leg(what), Class::Stop, input.chunk()),
            5 => self.open_leg(what),
            6 => {
                let code = input.short();
                self.close_leg(what, code);
            }
            7 => self.replace_caller(),
            8..=12 => self.step_worker(what, input),
            13 => {
                self.now = self.now + Duration::from_millis(1 << (what >> 4));
                self.tell(Event::Tick);
            }
            14 => self.tell(Event::DeadlineNear {
                remaining: Duration::from_secs(1),
            }),
            _ if what > 0xf0 => self.end(),
            _ => self.lose(what),
        }
    }

    /// Hangs up, and sees the session to its end, which must come.
    pub(crate) fn finish(mut self) {
        self.end();
        for _ in 0..LAST_STEPS {
            if self.over {
                let before = self.session.next_wake();
                self.tell(Event::Tick);
                assert_eq!((before, self.session.is_over()), (None, true));
                return;
            }
            if let Some(leg) = self.legs.keys().next().cloned() {
                self.closed(leg, 1000, Fault::None);
                continue;
            }
            let due = self
                .session
                .next_wake()
                .expect("what is not over waits for something");
            self.now = self.now.max(due);
            self.tell(Event::Tick);
        }
        panic!("the session does not come to its end");
    }

    fn end(&mut self) {
        let detail = "asked".to_owned();
        self.tell(Event::End {
            reason: EndReason::Operator,
            detail,
        });
    }

    fn step_leg(&mut self, what: u8, input: &mut Reader<'_>) {
        let leg = self.leg(what);
        match what & 3 {
            0 => self.hear(leg, Class::Media { ms: 20 }, input.chunk()),
            1 | 2 => self.hear(leg, Class::Control, input.chunk()),
            _ => {
                let (frames, bytes) = (u64::from(what >> 6) + 1, u64::from(input.short()));
                if let Some(leg) = leg.filter(|leg| self.legs[leg] != Leg::Connecting) {
                    self.tell(Event::LegWritten {
                        leg,
                        frames,
                        bytes,
                        sound: 0,
                    });
                }
            }
        }
    }

    fn step_worker(&mut self, what: u8, input: &mut Reader<'_>) {
        let Some((&epoch, &stream)) = self.stream(what) else {
            return;
        };
        match (what & 15, stream) {
            (8, Stream::Sought) => self.found(epoch, what),
            (8, Stream::Offered) => self.say(epoch, FromWorker::Accept),
            (9, Stream::Attached(through)) => {
                let wire = input.chunk();
                if let Ok(FromWorker::Commit(mut commit)) = understood(wire) {
                    commit.through = through;
                    self.say(epoch, FromWorker::Commit(commit));
                }
            }
            (10 | 11, Stream::Offered | Stream::Attached(_)) => match understood(input.chunk()) {
                Ok(message) => self.say(epoch, message),
                Err(what) => self.lost(epoch, Loss::Malformed { what }),
            },
            (12, Stream::Attached(_)) => self.tell(Event::Move {
                epoch,
                reason: MoveReason::Drain,
            }),
            _ => {}
        }
    }

    /// One of the legs, whichever.
    fn leg(&self, what: u8) -> Option<LegRef> {
        let index = usize::from(what >> 4 & 3) % self.legs.len().max(1);
        self.legs.keys().nth(index).cloned()
    }

    fn stream(&self, what: u8) -> Option<(&Epoch, &Stream)> {
        let index = usize::from(what >> 6 & 1) % self.streams.len().max(1);
        self.streams.iter().nth(index)
    }

    fn hear(&mut self, leg: Option<LegRef>, class: Class, bytes: &[u8]) {
        let Some(leg) = leg.filter(|leg| self.legs[leg] == Leg::Open) else {
            return;
        };
        if !self.session.reads(&leg.name) {
            return;
        }
        self.largest = self.largest.max(bytes.len() as u64);
        let payload = Payload::Binary(Bytes::copy_from_slice(bytes));
        self.tell(Event::Frame {
            leg,
            frame: Frame { class, payload },
        });
    }

    fn open_leg(&mut self, what: u8) {
        let Some(leg) = self
            .leg(what)
            .filter(|leg| self.legs[leg] == Leg::Connecting)
        else {
            return;
        };
        self.legs.insert(leg.clone(), Leg::Open);
        self.tell(Event::LegOpened {
            leg,
            attributes: Attributes::new(),
        });
    }

    fn close_leg(&mut self, what: u8, code: u16) {
        const FAULTS: [Fault; 4] = [Fault::None, Fault::Peer, Fault::Network, Fault::Edge];
        if let Some(leg) = self.leg(what) {
            self.closed(leg, code, FAULTS[usize::from(what >> 6)]);
        }
    }

    fn closed(&mut self, leg: LegRef, code: u16, fault: Fault) {
        let dial_failed = self.legs.remove(&leg) == Some(Leg::Connecting);
        let reason = String::new();
        let close = Close {
            code,
            reason,
            fault,
            dial_failed,
        };
        self.tell(Event::LegClosed { leg, close });
    }

    fn replace_caller(&mut self) {
        let before = self.session.account().resumes;
        self.tell_only(Event::CallerReplaced {
            attributes: Attributes::new(),
        });
        if self.session.account().resumes > before {
            let view = self.session.view(self.now);
            let caller = view.legs.into_iter().find(|leg| leg.name.is_caller());
            let caller = caller.expect("a caller who came back is there");
            let leg = LegRef {
                name: caller.name,
                incarnation: caller.incarnation,
            };
            self.legs.insert(leg, Leg::Open);
        }
        self.perform();
    }

    fn found(&mut self, epoch: Epoch, what: u8) {
        if what > 0xe0 {
            self.streams.remove(&epoch);
            return self.tell(Event::SeekFailed {
                epoch,
                reason: "none".to_owned(),
                crowded: what > 0xf0,
            });
        }
        self.streams.insert(epoch, Stream::Offered);
        let worker = WorkerId(u64::from(what >> 4));
        let version = "v1".to_owned();
        self.tell(Event::Offered {
            epoch,
            worker,
            version,
        });
    }

    fn say(&mut self, epoch: Epoch, message: FromWorker) {
        if self.session.hears(epoch) {
            self.tell(Event::FromWorker { epoch, message });
        }
    }

    fn lose(&mut self, what: u8) {
        if let Some((&epoch, stream)) = self.stream(what)
            && *stream != Stream::Sought
        {
            self.lost(epoch, Loss::Ended);
        }
    }

    fn lost(&mut self, epoch: Epoch, loss: Loss) {
        self.streams.remove(&epoch);
        self.tell(Event::StreamLost { epoch, loss });
    }

    fn tell(&mut self, event: Event) {
        self.tell_only(event);
        self.perform();
    }

    fn tell_only(&mut self, event: Event) {
        self.session.handle(self.now, event, &mut self.out);
    }

    fn perform(&mut self) {
        for output in std::mem::take(&mut self.out) {
            assert!(!self.over, "nothing comes after Finished: {output:?}");
            match output {
                Output::Send { leg, .. } => {
                    let state = self.legs.get(&leg);
                    assert!(
                        matches!(state, Some(Leg::Connecting | Leg::Open)),
                        "{leg:?} is gone"
                    );
                }
                Output::OpenLeg { leg, upstream, .. } => {
                    assert_eq!(upstream, UPSTREAM);
                    self.legs.insert(leg, Leg::Connecting);
                }
                Output::CloseLeg { leg, .. } => {
                    self.legs.entry(leg).and_modify(|leg| *leg = Leg::Closing);
                }
                Output::Seek(seek) => drop(self.streams.insert(seek.epoch, Stream::Sought)),
                Output::ToWorker { epoch, message } => self.deliver(epoch, message),
                Output::Hangup { epoch, .. } => drop(self.streams.remove(&epoch)),
                Output::Finished => self.over = true,
                _ => {}
            }
        }
        self.check_bounds();
    }

    fn deliver(&mut self, epoch: Epoch, message: ToWorker) {
        let Some(stream) = self.streams.get_mut(&epoch) else {
            panic!("epoch {epoch} has no stream");
        };
        match (message, stream) {
            (ToWorker::Attach(attach), stream) => {
                *stream = Stream::Attached(Seq(attach.next_seq.0 - 1));
            }
            (ToWorker::Inputs { inputs, .. }, Stream::Attached(through)) => {
                for input in inputs {
                    let first = match &input.kind {
                        InputKind::Gap(gap) => gap.first,
                        _ => input.seq,
                    };
                    assert!(first <= through.next(), "a hole before {first}");
                    assert!(input.seq > *through, "{first} again");
                    *through = input.seq;
                }
            }
            (ToWorker::Release { .. }, Stream::Attached(_)) => {}
            (message, _) => panic!("{message:?} before Attach"),
        }
    }

    /// The log may pass its limit by its newest input alone.
    fn check_bounds(&self) {
        let (_, bytes) = self.session.log_depth();
        assert!(
            bytes <= limits().log_bytes.max(self.largest) + self.largest,
            "{bytes}"
        );
    }
}
