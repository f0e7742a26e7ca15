//! A plain model of what a session promises, kept by someone who sees only what goes in and out.
//!
//! It knows every input that ever happened, in order, which of them which attachment has received,
//! what the applied commits cover, and what all of that makes of state, timers and legs. It shares
//! nothing with the engine but the vocabulary. Where the engine is free to choose a moment (a leg
//! that is closed for being late), it is believed and the moment is checked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use holdline_session::{
    Class, Commit, EndReason, Event, FromWorker, Gap, InputKind, LegRef, LegState, Limits, Notice,
    Output, Report, Session, Time,
};

mod commit;
mod deliver;
mod hold;
mod legs;
mod told;

use hold::Hold;
use told::Told;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Connecting,
    Open,
    Closing,
    Awaited,
}

#[derive(Clone, Debug)]
struct Leg {
    incarnation: u32,
    phase: Phase,
    /// Since when it is in this phase.
    since: Time,
    stopped: bool,
    unwritten: VecDeque<u64>,
    /// Pieces of hold sound that its socket has not taken.
    unwritten_sound: u64,
}

impl Leg {
    fn takes_frames(&self) -> bool {
        matches!(self.phase, Phase::Connecting | Phase::Open)
    }
}

/// One seq.
#[derive(Clone, Debug)]
struct Slot {
    at: Time,
    /// The step in which it came: one of what that step brought.
    step: usize,
    /// Known at once for what an event brought, else once it was delivered.
    kind: Option<InputKind>,
    is_media: bool,
    is_dropped: bool,
}

impl Slot {
    fn bytes(&self) -> u64 {
        match &self.kind {
            Some(InputKind::Frame { payload, .. }) if !self.is_dropped => payload.len() as u64,
            _ => 0,
        }
    }
}

/// The attachment in force, as its worker sees it.
#[derive(Clone, Debug)]
struct At {
    epoch: u64,
    /// The seq that has to come next.
    next: u64,
    /// Seqs that it received as they were, not as a gap.
    received: BTreeSet<u64>,
    /// Inputs beyond the last commit, with their payload bytes.
    outstanding: VecDeque<(u64, u64)>,
    waiting_since: Time,
    release_asked: bool,
    /// Nothing waited when it came, or it has committed something.
    serves: bool,
}

/// What one event is expected to bring into the log.
#[derive(Default)]
struct Step {
    /// What the event itself brings; it comes first.
    first: Option<(InputKind, bool)>,
    must: Vec<InputKind>,
    may: Vec<InputKind>,
    closes: Vec<LegRef>,
    sends: Vec<(LegRef, Bytes)>,
    dials: Vec<LegRef>,
    lost: Vec<u64>,
    caller_closed: bool,
}

pub(crate) struct Ledger {
    limits: Limits,
    slots: Vec<Slot>,
    groups: Vec<Vec<InputKind>>,
    committed: u64,
    state: BTreeMap<String, Bytes>,
    schema: u32,
    timers: BTreeMap<String, (Time, u64)>,
    /// Fires that are not committed: tag and name.
    fired: BTreeMap<u64, String>,
    stale: BTreeSet<u64>,
    legs: BTreeMap<String, Leg>,
    incarnations: BTreeMap<String, u32>,
    told: Told,
    at: Option<At>,
    last_epoch: u64,
    /// Since when, at the latest, no worker was there that served.
    unserved_since: Time,
    hold: Hold,
    ending: Option<EndReason>,
    is_closed: bool,
    is_finished: bool,
    end_lost: u64,
    pending: Option<Commit>,
    refusal_due: bool,
    commits: u64,
    media_dropped: u64,
    media_lost: u64,
    /// The position at each loss.
    losses: Vec<u64>,
    /// The last input that was outstanding at a loss.
    doubted: u64,
    step: Step,
}

impl Ledger {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: Vec::new(),
            groups: Vec::new(),
            committed: 0,
            state: BTreeMap::new(),
            schema: 0,
            timers: BTreeMap::new(),
            fired: BTreeMap::new(),
            stale: BTreeSet::new(),
            legs: BTreeMap::new(),
            incarnations: BTreeMap::new(),
            told: Told::new(),
            at: None,
            last_epoch: 0,
            unserved_since: Time(0),
            hold: Hold::default(),
            ending: None,
            is_closed: false,
            is_finished: false,
            end_lost: 0,
            pending: None,
            refusal_due: false,
            commits: 0,
            media_dropped: 0,
            media_lost: 0,
            losses: Vec::new(),
            doubted: 0,
            step: Step::default(),
        }
    }

    /// A session begins: its caller is there, its model is being dialled.
    pub(crate) fn begin(&mut self, session: &Session, now: Time, out: &[Output]) {
        self.unserved_since = now;
        let caller = self.add_leg("caller", Phase::Open, now);
        let model = self.add_leg("model", Phase::Connecting, now);
        let attributes = BTreeMap::new();
        self.told_of(&caller, LegState::Open, &attributes);
        self.told_of(&model, LegState::Connecting, &attributes);
        let opened = InputKind::LegOpened {
            leg: caller,
            attributes,
        };
        self.step.first = Some((opened, false));
        self.after(session, now, out);
    }

    /// Notes what an event is about to bring.
    pub(crate) fn before(&mut self, now: Time, event: &Event) {
        self.step = Step::default();
        let first = match event {
            Event::Frame { leg, frame } => {
                let is_caller = leg.name.is_caller();
                let present = self.present(leg);
                let open = present.filter(|leg| leg.phase == Phase::Open);
                open.map(|present| {
                    present.stopped |= frame.class == Class::Stop;
                    let is_media = is_caller && matches!(frame.class, Class::Media { .. });
                    let (leg, payload) = (leg.clone(), frame.payload.clone());
                    (InputKind::Frame { leg, payload }, is_media)
                })
            }
            Event::LegOpened { leg, attributes } => self.present(leg).map(|present| {
                present.phase = Phase::Open;
                let (leg, attributes) = (leg.clone(), attributes.clone());
                (InputKind::LegOpened { leg, attributes }, false)
            }),
            Event::LegClosed { leg, close } => self.closes(now, leg, close.fault).map(|unsent| {
                let (leg, close, unsent_frames) = (leg.clone(), close.clone(), unsent);
                (
                    InputKind::LegClosed {
                        leg,
                        close,
                        unsent_frames,
                    },
                    false,
                )
            }),
            Event::LegWritten {
                leg, frames, sound, ..
            } => {
                if let Some(present) = self.present(leg) {
                    present.unwritten_sound -= sound;
                    present.unwritten.drain(..usize::try_from(*frames).unwrap());
                }
                None
            }
            Event::CallerReplaced { attributes } => {
                let returned = self.caller_returns(now, attributes);
                returned.map(|kind| (kind, false))
            }
            Event::DeadlineNear { remaining } => {
                let remaining = *remaining;
                let notice = InputKind::Notice(Notice::Deadline { remaining });
                (!self.is_closed).then_some((notice, false))
            }
            Event::FromWorker {
                epoch,
                message: FromWorker::Commit(commit),
            } => {
                let is_current = self.current() == Some(epoch.0);
                if is_current && !self.refusal_due {
                    self.pending = Some(commit.clone());
                }
                None
            }
            _ => None,
        };
        self.step.first = first;
    }

    /// Checks all that one step did.
    pub(crate) fn after(&mut self, session: &Session, now: Time, out: &[Output]) {
        let reported = out.iter().find_map(|output| match output {
            Output::Report(Report::Ending { reason, .. }) => Some(*reason),
            _ => None,
        });
        assert!(
            reported.is_none() || self.ending.is_none(),
            "a session ends once"
        );
        self.fire_timers(now, reported.is_some());
        self.writes_time_out(now, out);
        self.legs_vanish(session, now);
        let by_commit = matches!(reported, Some(EndReason::Worker | EndReason::HandedBack))
            && !self.step.caller_closed
            || reported == Some(EndReason::LogOverflow) && overflowed_last(out);
        if let Some(reason) = reported.filter(|_| !by_commit) {
            self.end(now, reason);
        }
        self.drops(session, now, out);
        self.applies(session, now);
        if let Some(reason) = reported {
            self.check_reason(now, reason);
            self.end(now, reason);
        }
        self.appends(session, now, out);
        self.drops(session, now, out);
        self.outputs(session, now, out);
        self.compare(session, now);
    }

    /// The session went on in another process: every epoch so far is of the past.
    pub(crate) fn restored(&mut self, now: Time) {
        if let Some(at) = self.at.take() {
            self.begins_alone(now, &at);
        }
        self.pending = None;
    }

    pub(crate) fn expect_refusal(&mut self) {
        self.refusal_due = true;
    }

    pub(crate) fn current(&self) -> Option<u64> {
        self.at.as_ref().map(|at| at.epoch)
    }

    pub(crate) fn ending(&self) -> Option<EndReason> {
        self.ending
    }

    pub(crate) fn release_asked(&self) -> bool {
        self.at.as_ref().is_some_and(|at| at.release_asked)
    }

    /// What is committed, and what the worker in force has received.
    pub(crate) fn position(&self) -> (u64, u64) {
        let delivered = self.at.as_ref().map_or(self.committed, |at| at.next - 1);
        (self.committed, delivered)
    }

    pub(crate) fn phase(&self, leg: &str) -> Option<Phase> {
        self.legs.get(leg).map(|leg| leg.phase)
    }

    pub(crate) fn leg_ref(&self, name: &str) -> Option<LegRef> {
        let leg = self.legs.get(name)?;
        Some(LegRef::new(name, leg.incarnation))
    }

    pub(crate) fn unwritten_sound(&self, name: &str) -> u64 {
        self.legs[name].unwritten_sound
    }

    /// Sizes of the oldest unwritten frames.
    pub(crate) fn unwritten(&self, name: &str, most: usize) -> Vec<u64> {
        let leg = &self.legs[name];
        leg.unwritten.iter().take(most).copied().collect()
    }

    pub(crate) fn assert_all_done(&self) {
        assert_eq!(
            self.committed,
            self.slots.len() as u64,
            "in a kind world all gets done"
        );
    }

    pub(crate) fn assert_closed(&self, session: &Session) {
        assert!(self.is_finished && self.is_closed);
        let account = session.account();
        assert_eq!(account.media_dropped, self.media_dropped);
        assert_eq!(account.media_lost, self.media_lost);
        assert_eq!(account.end_lost, self.end_lost);
        assert_eq!(self.committed + self.end_lost, self.slots.len() as u64);
    }

    fn weight(&self, bytes: u64) -> u64 {
        bytes.min(self.limits.log_bytes.div_ceil(2))
    }

    fn check_reason(&self, now: Time, reason: EndReason) {
        match reason {
            EndReason::Poisoned => {
                // The last loss is reported in this very step. Those before it were here too, but
                // the first: that one may have been at an earlier input of a batch.
                let others = self.losses.iter().rev();
                let here = others.take_while(|at| **at == self.committed).count();
                let needed = self.limits.poison_limit as usize - 1;
                assert!(here >= needed || here + 1 == needed && self.doubted > self.committed);
            }
            EndReason::GaveUp => {
                // One that was no service may be lost in this very step.
                assert!(self.at.as_ref().is_none_or(|at| !at.serves));
                assert!(now.since(self.unserved_since) >= self.limits.give_up);
            }
            EndReason::LogOverflow => {
                let mut kept = self
                    .slots
                    .iter()
                    .skip(usize::try_from(self.committed).unwrap());
                assert!(!kept.any(|slot| slot.is_media && !slot.is_dropped));
            }
            _ => {}
        }
    }

    /// What the session says of itself is what the ledger says of it.
    fn compare(&self, session: &Session, now: Time) {
        let view = session.view(now);
        assert_eq!(view.committed.0, self.committed);
        let kept = &self.slots[usize::try_from(self.committed).unwrap()..];
        let frames = kept.iter().filter(|slot| !slot.is_dropped).count();
        assert_eq!(view.log_frames as usize, frames);
        assert_eq!(view.log_bytes, kept.iter().map(Slot::bytes).sum::<u64>());
        let state = self
            .state
            .iter()
            .map(|(key, value)| (key.clone(), value.len()));
        assert_eq!(view.state, state.collect::<Vec<_>>());
        let timers: Vec<_> = view.timers.into_iter().map(|(name, _)| name).collect();
        assert_eq!(timers, self.timers.keys().cloned().collect::<Vec<_>>());
        let unwritten = self
            .legs
            .values()
            .map(|leg| leg.unwritten.iter().sum::<u64>());
        assert_eq!(view.unwritten_bytes, unwritten.collect::<Vec<_>>());
        assert_eq!(
            view.attachment.map(|at| at.epoch.0),
            self.current().filter(|_| !self.is_finished)
        );
        assert_eq!(view.ending, self.ending);
    }
}

/// Whether the log overflowed by what a commit's commands brought into it.
fn overflowed_last(out: &[Output]) -> bool {
    let ending = out
        .iter()
        .position(|output| matches!(output, Output::Report(Report::Ending { .. })));
    let commit = out.iter().position(|output| {
        matches!(
            output,
            Output::Send { .. } | Output::Report(Report::CommandDropped { .. })
        )
    });
    matches!((commit, ending), (Some(commit), Some(ending)) if commit < ending)
}

fn gaps(out: &[Output], pick: impl Fn(&Report) -> Option<&Gap>) -> Vec<Gap> {
    let reports = out.iter().filter_map(|output| match output {
        Output::Report(report) => pick(report).cloned(),
        _ => None,
    });
    reports.collect()
}
