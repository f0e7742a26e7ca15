//! The world around one session: a shell, sockets and workers that do what a schedule says, and a
//! ledger that watches every step.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use holdline_session::{
    Attributes, Class, Close, Commit, EndReason, Epoch, Event, Fault, Frame, FromWorker, LegName,
    Limits, Loss, MoveReason, Output, Payload, Session, SessionId, Setup, Snapshot, Time, WorkerId,
};

use super::{
    ledger::{Ledger, Phase},
    rig::{Patience, START, ms},
    schedule::{Change, Op},
};

mod workers;

const LEGS: [&str; 3] = ["caller", "model", "extra"];

/// How far an offer has got.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Stage {
    Sought,
    Asked,
    Accepted,
}

pub(crate) struct World {
    session: Session,
    limits: Limits,
    now: Time,
    ledger: Ledger,
    offers: BTreeMap<u64, Stage>,
    /// Every epoch that there was.
    epochs: Vec<u64>,
    /// Makes every payload its own.
    counter: u32,
}

/// Limits so small that a short schedule meets all of them.
fn limits() -> Limits {
    Limits {
        log_bytes: 400,
        log_frames: 14,
        log_age: ms(2_500),
        window_inputs: 5,
        window_bytes: 150,
        message_bytes: 500,
        legs: 3,
        timers: 3,
        leg_high: 40,
        write_timeout: ms(1_500),
        close_timeout: ms(300),
        hold_after: Some(ms(150)),
        give_up: ms(5_000),
        resume_window: ms(2_000),
        end_timeout: ms(3_000),
        ..Limits::default()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let limits = limits();
        let setup = Setup {
            id: SessionId(1),
            limits: limits.clone(),
            caller: Attributes::new(),
            dialled: vec![LegName::new("model")],
            upstreams: ["openai".to_owned()].into(),
        };
        let mut out = Vec::new();
        let session = Session::new(setup, START, &mut out);
        let mut world = Self {
            ledger: Ledger::new(limits.clone()),
            session,
            limits,
            now: START,
            offers: BTreeMap::new(),
            epochs: Vec::new(),
            counter: 0,
        };
        world.ledger.begin(&world.session, START, &out);
        world.note(&out);
        world
    }

    pub(crate) fn play(&mut self, op: &Op) {
        if self.session.is_over() {
            return self.knock();
        }
        match op {
            Op::CallerMedia { size } => self.frame(0, Class::Media { ms: 20 }, *size),
            Op::CallerControl => self.frame(0, Class::Control, 1),
            Op::OutboundFrame { leg } => {
                self.frame(1 + usize::from(leg % 2), Class::Media { ms: 20 }, 12)
            }
            Op::CallerStop => self.frame(0, Class::Stop, 1),
            Op::LegOpens { leg } => self.leg_opens(usize::from(*leg)),
            Op::LegCloses { leg, network } => self.leg_closes(usize::from(*leg), *network),
            Op::LegWrites { leg, frames } => self.leg_writes(usize::from(*leg), *frames),
            Op::CallerReplaced => {
                let attributes = self.attributes();
                self.feed(Event::CallerReplaced { attributes });
            }
            Op::Accept => self.answer(Stage::Accepted),
            Op::Ask => self.answer(Stage::Asked),
            Op::Reject | Op::SeekFails | Op::TargetLost => self.offer_fails(op),
            Op::Commit { quarters, change } => self.commit(*quarters, change),
            Op::Misbehave { how } => self.misbehave(*how),
            Op::Released => self.release(),
            Op::Draining => self.worker_says(FromWorker::Draining { within: None }),
            Op::OperatorMove => self.operator_moves(),
            Op::WorkerLost => self.worker_lost(),
            Op::Late { which, what } => self.late(*which, *what),
            Op::Wait { ms: by } => self.wait(ms(u64::from(*by))),
            Op::Freeze { ms: by } => {
                self.now = self.now + ms(u64::from(*by));
                self.feed(Event::Tick);
            }
            Op::DeadlineNear => self.feed(Event::DeadlineNear { remaining: ms(1) }),
            Op::End => self.feed(Event::End {
                reason: EndReason::Operator,
                detail: String::new(),
            }),
            Op::Restore => self.restore(),
        }
    }

    /// The world turns kind: all that is outstanding gets done.
    pub(crate) fn settle(&mut self) {
        for _ in 0..60 {
            if self.session.is_over() {
                return;
            }
            for leg in 0..LEGS.len() {
                self.leg_opens(leg);
                self.leg_writes(leg, u8::MAX);
            }
            for leg in 0..LEGS.len() {
                if self.phase(leg) == Some(Phase::Closing) {
                    self.leg_closes(leg, false);
                }
            }
            self.answer(Stage::Accepted);
            if self.ledger.release_asked() {
                self.release();
            }
            self.commit(4, &Change::default());
            self.wait(ms(100));
        }
        if !self.session.is_over() && self.ledger.ending().is_none() {
            self.ledger.assert_all_done();
        }
    }

    /// After the end was asked for: it comes, and nothing comes after it.
    pub(crate) fn finish(&mut self) {
        self.settle();
        assert!(
            self.session.is_over(),
            "a kind world lets every session end"
        );
        self.ledger.assert_closed(&self.session);
        self.knock();
    }

    /// Nothing that happens to a finished session has any effect.
    fn knock(&mut self) {
        let mut out = Vec::new();
        self.session.handle(self.now, Event::Tick, &mut out);
        let epoch = Epoch(self.epochs.last().copied().unwrap_or(0));
        let message = FromWorker::Commit(Commit::default());
        let event = Event::FromWorker { epoch, message };
        self.session.handle(self.now, event, &mut out);
        assert!(out.is_empty(), "after Finished comes nothing: {out:?}");
        assert_eq!(self.session.next_wake(), None);
    }

    fn feed(&mut self, event: Event) {
        let mut out = Vec::new();
        self.ledger.before(self.now, &event);
        self.session.handle(self.now, event, &mut out);
        self.ledger.after(&self.session, self.now, &out);
        self.note(&out);
    }

    /// Remembers which offers and epochs there are.
    fn note(&mut self, out: &[Output]) {
        for output in out {
            match output {
                Output::Seek(seek) => {
                    self.offers.insert(seek.epoch.0, Stage::Sought);
                    self.epochs.push(seek.epoch.0);
                }
                Output::Hangup { epoch, .. } => {
                    self.offers.remove(&epoch.0);
                }
                Output::ToWorker {
                    epoch,
                    message: holdline_session::ToWorker::Attach(_),
                } => {
                    self.offers.remove(&epoch.0);
                }
                _ => {}
            }
        }
        assert!(self.offers.len() <= 1, "one attachment is prepared at most");
    }

    /// A punctual shell.
    fn wait(&mut self, by: Duration) {
        let until = self.now + by;
        let mut patience = Patience::default();
        while let Some(wake) = self.session.next_wake().filter(|wake| *wake <= until) {
            self.now = patience.wake(self.now, wake);
            self.feed(Event::Tick);
        }
        self.now = until;
        self.feed(Event::Tick);
    }

    fn restore(&mut self) {
        let before = self.session.view(self.now);
        let bytes = self.session.snapshot().to_bytes().unwrap();
        let snapshot = Snapshot::from_bytes(&bytes).unwrap();
        self.session = Session::restore(snapshot, self.limits.clone(), self.now);
        let after = self.session.view(self.now);
        assert_eq!(
            (before.committed, before.last),
            (after.committed, after.last)
        );
        assert_eq!(
            (before.log_frames, before.log_bytes),
            (after.log_frames, after.log_bytes)
        );
        assert_eq!((before.legs, before.timers), (after.legs, after.timers));
        assert_eq!((before.state, before.strikes), (after.state, after.strikes));
        assert_eq!(
            (before.ending, before.unwritten_bytes),
            (after.ending, after.unwritten_bytes)
        );
        self.offers.clear();
        self.ledger.restored(self.now);
        self.feed(Event::Tick);
    }

    fn payload(&mut self, size: u8) -> Payload {
        self.counter += 1;
        let mut words = self.counter.to_string().into_bytes();
        words.resize(words.len().max(usize::from(size)), b'.');
        Payload::Text(Bytes::from(words))
    }

    /// What is known of an opening, and of no other.
    fn attributes(&mut self) -> Attributes {
        self.counter += 1;
        Attributes::from([("serial".to_owned(), self.counter.to_string())])
    }

    fn phase(&self, leg: usize) -> Option<Phase> {
        self.ledger.phase(LEGS[leg % LEGS.len()])
    }

    fn frame(&mut self, leg: usize, class: Class, size: u8) {
        let name = LegName::new(LEGS[leg]);
        let Some(leg) = self.ledger.leg_ref(LEGS[leg]) else {
            return;
        };
        if !self.session.reads(&name) {
            assert!(!name.is_caller(), "the caller is always read");
            return;
        }
        let payload = self.payload(size);
        let frame = Frame { class, payload };
        self.feed(Event::Frame { leg, frame });
    }

    fn leg_opens(&mut self, leg: usize) {
        let name = LEGS[leg % LEGS.len()];
        if self.ledger.phase(name) == Some(Phase::Connecting) {
            let leg = self.ledger.leg_ref(name).unwrap();
            let attributes = self.attributes();
            self.feed(Event::LegOpened { leg, attributes });
        }
    }

    fn leg_closes(&mut self, leg: usize, network: bool) {
        let Some(leg) = self.ledger.leg_ref(LEGS[leg % LEGS.len()]) else {
            return;
        };
        let fault = if network { Fault::Network } else { Fault::None };
        let close = Close {
            code: 1000,
            reason: "closed".to_owned(),
            fault,
            dial_failed: false,
        };
        self.feed(Event::LegClosed { leg, close });
    }

    fn leg_writes(&mut self, leg: usize, frames: u8) {
        let name = LEGS[leg % LEGS.len()];
        if !matches!(self.ledger.phase(name), Some(Phase::Open | Phase::Closing)) {
            return;
        }
        let sizes = self.ledger.unwritten(name, usize::from(frames));
        let sound = self.ledger.unwritten_sound(name).min(u64::from(frames));
        if sizes.is_empty() && sound == 0 {
            return;
        }
        let leg = self.ledger.leg_ref(name).unwrap();
        let (frames, bytes) = (sizes.len() as u64, sizes.iter().sum());
        self.feed(Event::LegWritten {
            leg,
            frames,
            bytes,
            sound,
        });
    }

    /// The open offer gets as far as this.
    fn answer(&mut self, to: Stage) {
        let Some((&epoch, &stage)) = self.offers.last_key_value() else {
            return;
        };
        if stage < Stage::Asked {
            self.offers.insert(epoch, Stage::Asked);
            self.feed(Event::Offered {
                epoch: Epoch(epoch),
                worker: WorkerId(epoch),
                version: String::new(),
            });
        }
        if to == Stage::Accepted && stage < to && self.offers.contains_key(&epoch) {
            self.offers.insert(epoch, to);
            self.said(epoch, FromWorker::Accept);
        }
    }

    fn offer_fails(&mut self, op: &Op) {
        let Some((&number, &stage)) = self.offers.last_key_value() else {
            return;
        };
        let epoch = Epoch(number);
        match op {
            Op::SeekFails if stage == Stage::Sought => self.feed(Event::SeekFailed {
                epoch,
                reason: "none".to_owned(),
                crowded: number % 2 == 0,
            }),
            Op::Reject if stage == Stage::Asked => self.said(
                number,
                FromWorker::Reject {
                    reason: "full".to_owned(),
                    retry: true,
                },
            ),
            Op::TargetLost if stage > Stage::Sought => self.lose(number),
            _ => {}
        }
    }

    fn said(&mut self, epoch: u64, message: FromWorker) {
        let epoch = Epoch(epoch);
        self.feed(Event::FromWorker { epoch, message });
    }

    fn lose(&mut self, epoch: u64) {
        self.feed(Event::StreamLost {
            epoch: Epoch(epoch),
            loss: Loss::Disconnected {
                cause: "killed".to_owned(),
            },
        });
    }

    /// The attachment in force, where the shell may take its next message.
    fn heard(&self) -> Option<u64> {
        let epoch = self.ledger.current()?;
        self.session.hears(Epoch(epoch)).then_some(epoch)
    }

    fn worker_says(&mut self, message: FromWorker) {
        if let Some(epoch) = self.heard() {
            self.said(epoch, message);
        }
    }

    fn worker_lost(&mut self) {
        if let Some(epoch) = self.ledger.current() {
            self.lose(epoch);
        }
    }

    fn operator_moves(&mut self) {
        if let Some(epoch) = self.ledger.current() {
            let (epoch, reason) = (Epoch(epoch), MoveReason::Operator);
            self.feed(Event::Move { epoch, reason });
        }
    }

    fn release(&mut self) {
        if self.ledger.release_asked() {
            self.worker_says(FromWorker::Released);
        }
    }
}
