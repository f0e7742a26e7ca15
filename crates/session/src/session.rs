//! The engine itself. See the crate's page for what it promises.
//!
//! | file | part |
//! |---|---|
//! | `session/attach.rs` | seeking, attaching, moving, losing workers |
//! | `session/apply.rs` | commits: checked whole, applied whole |
//! | `session/inputs.rs` | what legs and timers bring in; delivery to the worker |
//! | `session/external.rs` | what happens outside of the call |
//! | `session/hold.rs` | what happens while there is no worker |
//! | `session/ending.rs` | how a session ends |
//! | `session/snapshot.rs` | the whole session as data |
//! | `session/view.rs` | what people may see of it |
//! | `session/invariants.rs` | what must hold after every step |

use std::{collections::BTreeSet, time::Duration};

use crate::{
    Attributes, Epoch, Event, Fault, InputKind, LegName, LegRef, LegState, Limits, Output, Report,
    Seq, SessionId, Suspicion, Time, WorkerId,
    legs::{CommittedLegs, Legs, Phase},
    link::{Attachment, Link, Speaker},
    log::Log,
    state::State,
    timers::Timers,
};

mod apply;
mod attach;
mod ending;
mod external;
mod hold;
mod inputs;
mod invariants;
mod snapshot;
mod view;

pub use snapshot::{Snapshot, SnapshotError};
pub use view::{Account, AttachmentView, LegCounts, View};

use ending::Life;
use external::Externals;
use hold::{Alone, Unserved};

/// A shell that comes this much later than it was asked to did not run, or hardly, in between.
const LATE: Duration = Duration::from_millis(50);
/// While someone is waited for, the engine looks up so often, to notice that it is late.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What a new session starts from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its random name.
    pub id: SessionId,
    /// Its bounds.
    pub limits: Limits,
    /// What is known of the caller's leg, which is open: `caller#1`.
    pub caller: Attributes,
    /// Legs that the shell is already dialling, with their upstreams. Each is opening 1.
    pub dialled: Vec<LegName>,
    /// The upstreams that `OpenLeg` may name.
    pub upstreams: BTreeSet<String>,
}

/// One call.
///
/// Every method is immediate and deterministic. `handle` appends what the shell is to do to `out`,
/// in order; the shell does all of it before the next event.
#[derive(Clone, Debug)]
pub struct Session {
    id: SessionId,
    limits: Limits,
    upstreams: BTreeSet<String>,
    log: Log,
    state: State,
    timers: Timers,
    legs: Legs,
    committed_legs: CommittedLegs,
    life: Life,
    link: Link,
    /// The next attachment's number.
    next_epoch: Epoch,
    recovery: Recovery,
    state_warned: bool,
    externals: Externals,
    account: Account,
    /// When the shell was last asked to come back.
    wake: Option<Time>,
}

/// What is remembered between attachments.
#[derive(Clone, Debug)]
struct Recovery {
    reason: crate::AttachReason,
    /// When the present handoff began.
    since: Time,
    /// While no worker runs the session.
    alone: Option<Alone>,
    /// While one does that was attached to inputs that waited, and has committed none of them.
    unproven: Option<Unserved>,
    /// Failed seeks in a row.
    failures: u32,
    /// The worker that was lost or is being left.
    avoid: Option<WorkerId>,
    /// The last workers that failed it since it made progress, with their versions; at most
    /// `poison_limit`.
    failed: Vec<(WorkerId, String)>,
    /// The last input that a worker held when it was lost and this session may have been the cause:
    /// up to here inputs go out one at a time, so that the next loss tells which one it was.
    doubt_through: Seq,
    /// Losses since the last progress at an input that was in doubt already.
    strikes: u32,
}

/// Doublings of the patience with a session's next workers.
const PATIENCE_DOUBLINGS: usize = 2;
/// A worker that had more patience shown to it, and still gets on after so many times
/// `progress_timeout`, is held to the usual one.
const PATIENCE_LASTS: u32 = 10;

/// Whether a session with so many strikes is taken to no further worker.
fn is_poison(strikes: u32, limits: &Limits) -> bool {
    strikes + 1 >= limits.poison_limit
}

impl Recovery {
    /// What the next worker may take for progress: longer where others failed before it, since it
    /// may be the machine that is slow, and each move only adds to its work.
    fn patience(&self, limits: &Limits) -> Duration {
        let doublings = self.failed.len().min(PATIENCE_DOUBLINGS);
        limits.progress_timeout * (1 << doublings)
    }

    fn note_failed(&mut self, at: &Attachment, limits: &Limits) {
        if self.failed.len() >= limits.poison_limit as usize {
            self.failed.remove(0);
        }
        self.failed.push((at.worker, at.version.clone()));
    }

    /// Whether the next input was in the hands of a worker that was lost.
    fn in_doubt(&self, committed: Seq) -> bool {
        committed < self.doubt_through
    }

    /// Until which input the session is a suspect, if it is one.
    fn suspect_through(&self, committed: Seq) -> Option<Seq> {
        (self.strikes > 0).then(|| committed.next())
    }

    /// Until which input it is in doubt, if it is.
    fn doubt_through(&self, committed: Seq) -> Option<Seq> {
        self.in_doubt(committed).then_some(self.doubt_through)
    }

    fn suspicion(&self, committed: Seq) -> Suspicion {
        match (self.strikes, self.in_doubt(committed)) {
            (0, false) => Suspicion::None,
            (0, true) => Suspicion::Doubt,
            _ => Suspicion::Suspect,
        }
    }
}

impl Session {
    /// Begins a session. Its first input is the caller's `LegOpened`.
    #[must_use]
    pub fn new(setup: Setup, now: Time, out: &mut Vec<Output>) -> Self {
        let mut session = Self {
            id: setup.id,
            limits: setup.limits,
            upstreams: setup.upstreams,
            log: Log::default(),
            state: State::default(),
            timers: Timers::default(),
            legs: Legs::default(),
            committed_legs: CommittedLegs::default(),
            life: Life::Running,
            link: Link::Vacant { retry_at: now },
            next_epoch: Epoch(1),
            recovery: Recovery {
                reason: crate::AttachReason::New,
                since: now,
                alone: Some(Alone::new(now)),
                unproven: None,
                failures: 0,
                avoid: None,
                failed: Vec::new(),
                doubt_through: Seq::default(),
                strikes: 0,
            },
            state_warned: false,
            externals: Externals::default(),
            account: Account::default(),
            wake: None,
        };
        let caller = LegName::new(LegName::CALLER);
        let leg = session.legs.add(&caller, Phase::Open, setup.caller.clone());
        let attributes = setup.caller;
        session
            .committed_legs
            .add(&leg, LegState::Open, attributes.clone());
        session.log_input(now, InputKind::LegOpened { leg, attributes }, out);
        for name in &setup.dialled {
            if !name.is_caller() && session.legs.get(name).is_none() {
                let unknown = Attributes::default();
                let leg = session.legs.add(name, Phase::Connecting, unknown.clone());
                session
                    .committed_legs
                    .add(&leg, LegState::Connecting, unknown);
            }
        }
        session.handle(now, Event::Tick, out);
        session
    }

    /// Takes in what happened and says what is to be done. `now` never goes back.
    pub fn handle(&mut self, now: Time, event: Event, out: &mut Vec<Output>) {
        if self.is_over() {
            return;
        }
        self.forgive_own_absence(now);
        self.dispatch(now, event, out);
        self.look_at_clocks(now, out);
        self.apply_when_possible(now, out);
        self.check_end(now);
        self.deliver(now, out);
        self.play_hold(now, out);
        self.finish_if_done(now, out);
        self.wake = self.earliest_deadline(now);
        if cfg!(debug_assertions) {
            self.assert_invariants();
        }
    }

    /// When `handle` is to be called with `Event::Tick` if nothing happens before.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        self.wake
    }

    /// Whether the shell may read this leg now. The caller is always read; an outbound leg is
    /// left unread while the log is deep, so that its audio waits with the vendor.
    #[must_use]
    pub fn reads(&self, leg: &LegName) -> bool {
        leg.is_caller() || !matches!(self.life, Life::Running) || !self.is_deep()
    }

    /// Whether so much waits for a worker that nothing is taken which can wait elsewhere.
    fn is_deep(&self) -> bool {
        let percent = u64::from(self.limits.pause_percent);
        self.log.bytes() * 100 >= self.limits.log_bytes * percent
            || u64::from(self.log.frames()) * 100 >= u64::from(self.limits.log_frames) * percent
    }

    /// Whether the shell may take the next message from this attachment's stream. False while a
    /// commit waits for a slow leg.
    #[must_use]
    pub fn hears(&self, epoch: Epoch) -> bool {
        match self.link.speaker(epoch) {
            Speaker::Current => self.link.attachment().is_none_or(|at| at.held.is_none()),
            Speaker::Target | Speaker::Past => true,
        }
    }

    /// Whether the session is over: `Output::Finished` has been said.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.link, Link::Over)
    }

    fn dispatch(&mut self, now: Time, event: Event, out: &mut Vec<Output>) {
        match event {
            Event::Tick => {}
            Event::Frame { leg, frame } => self.frame(now, leg, frame, out),
            Event::LegOpened { leg, attributes } => self.leg_opened(now, leg, attributes, out),
            Event::LegClosed { leg, close } => self.leg_closed(now, &leg, close, out),
            Event::LegWritten {
                leg,
                frames,
                bytes,
                sound,
            } => {
                self.leg_written(now, &leg, (frames, bytes), sound);
            }
            Event::CallerReplaced { attributes } => self.caller_replaced(now, attributes, out),
            Event::Offered {
                epoch,
                worker,
                version,
            } => self.offered(now, epoch, worker, version),
            Event::SeekFailed {
                epoch,
                reason,
                crowded,
            } => self.seek_failed(now, epoch, reason, crowded, out),
            Event::FromWorker { epoch, message } => self.worker_said(now, epoch, message, out),
            Event::StreamLost { epoch, loss } => self.stream_lost(now, epoch, &loss, out),
            Event::Move { epoch, reason } => self.leave(now, epoch, reason, out),
            Event::External(external) => self.external(now, external, out),
            Event::DeadlineNear { remaining } => {
                let notice = crate::Notice::Deadline { remaining };
                self.log_input(now, InputKind::Notice(notice), out);
            }
            Event::End { reason, detail } => self.begin_end(now, reason, detail, out),
        }
    }

    /// Time in which the edge itself was not running is not held against anyone else. A worker is
    /// given a moment more: what it said meanwhile may still lie unread.
    fn forgive_own_absence(&mut self, now: Time) {
        let Some(due) = self.wake else { return };
        let late = now.since(due);
        if late >= LATE {
            self.link.forgive(late + LATE);
            self.legs.forgive(late);
            self.life.forgive(late);
            if let Some(alone) = &mut self.recovery.alone {
                alone.forgive(late);
            }
            if let Some(unserved) = &mut self.recovery.unproven {
                unserved.forgive(late);
            }
        }
    }

    fn look_at_clocks(&mut self, now: Time, out: &mut Vec<Output>) {
        self.fire_timers(now, out);
        self.close_overdue_legs(now, out);
        self.check_link(now, out);
    }

    fn earliest_deadline(&self, now: Time) -> Option<Time> {
        if self.is_over() {
            return None;
        }
        let alone = self.recovery.alone.as_ref();
        let give_up = alone
            .filter(|_| matches!(self.life, Life::Running))
            .map(|alone| alone.give_up_at(&self.limits));
        let link = self.link.next_deadline();
        // While a worker or a lost caller is waited for, the engine looks up often enough to notice
        // that it was itself not running for a part of that time.
        let link = link.filter(|due| *due < Time(u64::MAX));
        let patience = [link, give_up, self.legs.awaited_until()];
        let patience = patience.into_iter().flatten().min();
        [
            patience.map(|due| due.min(now + LOOK_UP)),
            self.timers.next_due(),
            self.legs.next_deadline(&self.limits),
            self.life.deadline(),
            self.next_hold_piece(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Logs an input, making room first. The one way into the log.
    fn log_input(&mut self, now: Time, kind: InputKind, out: &mut Vec<Output>) {
        self.log_media(now, kind, None, out);
    }

    fn log_media(
        &mut self,
        now: Time,
        kind: InputKind,
        media_ms: Option<u32>,
        out: &mut Vec<Output>,
    ) {
        if self.life.log_is_closed() {
            self.account.ignored_inputs += 1;
            return;
        }
        let (delivered, epoch) = match self.link.attachment() {
            Some(at) => (at.delivered, at.epoch),
            None => (self.log.committed(), Epoch(0)),
        };
        let mut dropped = Vec::new();
        let mut room = self
            .log
            .make_room(&self.limits, now, delivered, epoch, &mut dropped);
        if room.is_err() && self.life != Life::Running {
            self.account.ignored_inputs += 1;
            return self.tell_dropped(dropped, out);
        }
        self.log.append(&self.limits, now, kind, media_ms);
        if room.is_err()
            && let Some(gap) = self.log.drop_newest(delivered)
        {
            dropped.push(gap);
            room = Ok(());
        }
        self.tell_dropped(dropped, out);
        if room.is_err() {
            let (inputs, results) = (self.log.frames(), self.log.results());
            let detail = format!(
                "{inputs} inputs of {} bytes wait for a worker, none of them is caller media, and \
                 {results} say that a command of the worker could not be done",
                self.log.bytes()
            );
            let reason = crate::EndReason::LogOverflow;
            let fault = if results * 2 > inputs as usize {
                Fault::Worker
            } else {
                reason.fault()
            };
            self.begin_end_by(now, reason, fault, detail, out);
        }
    }

    fn tell_dropped(&mut self, dropped: Vec<crate::Gap>, out: &mut Vec<Output>) {
        for gap in dropped {
            self.account.media_dropped += gap.size.frames;
            out.push(Output::Report(Report::MediaDropped(gap)));
        }
    }

    fn caller_ref(&self) -> Option<LegRef> {
        let name = LegName::new(LegName::CALLER);
        self.legs.get(&name).map(|leg| LegRef {
            incarnation: leg.incarnation,
            name,
        })
    }
}
