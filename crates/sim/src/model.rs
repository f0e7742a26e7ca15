//! The reference model: what each side of one session must have seen.
//!
//! It watches what goes into the engine and what comes out, and shares no code with it but ids and
//! vocabulary. It knows every input that ever happened, which attachment was handed which of them,
//! what the applied commits cover, and what all of that makes of state, timers and legs. It also
//! knows the worker program: count and digest in the state must be those of the inputs done.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use holdline_session::{
    Commit, EndReason, Event, FromWorker, InputKind, LegRef, LegState, Limits, Notice, Output,
    Payload, Report, Suspicion, Taken, Time, WorkerId,
};

use crate::{
    coverage::Coverage,
    digest::{EMPTY, essence},
    shell::Shell,
};

mod commit;
mod deliver;
mod hold;
mod inputs;
mod legs;
mod link;
mod outputs;
mod told;

use hold::Hold;
use legs::{Leg, Phase};
use link::Link;
use told::Told;

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) rule: &'static str,
    pub(crate) detail: String,
}

pub(crate) type Check = Result<(), Broken>;

macro_rules! ensure {
    ($holds:expr, $rule:literal, $($detail:tt)+) => {
        if !$holds {
            return Err($crate::model::Broken { rule: $rule, detail: format!($($detail)+) });
        }
    };
}
pub(crate) use ensure;

/// An input that is expected, or known.
#[derive(Clone, Copy, Debug)]
struct Known {
    essence: u64,
    /// The tag of a timer that fired.
    tag: Option<u64>,
    /// It says that a command could not be done.
    is_result: bool,
}

impl Known {
    fn new(kind: &InputKind) -> Self {
        let tag = match kind {
            InputKind::TimerFired { tag, .. } => Some(*tag),
            _ => None,
        };
        Self {
            essence: essence(kind),
            tag,
            is_result: matches!(kind, InputKind::Dropped(_)),
        }
    }
}

/// What an event itself brings.
#[derive(Clone, Copy, Debug)]
struct First {
    known: Known,
    bytes: u64,
    is_media: bool,
    is_frame: bool,
}

/// One seq.
#[derive(Clone, Debug)]
struct Slot {
    at: Time,
    /// Known at once, or once it was delivered: until then it is one of its group.
    known: Option<Known>,
    group: usize,
    bytes: u64,
    is_media: bool,
    is_dropped: bool,
    /// The last attachment that was handed it as it was.
    handed_to: u64,
}

/// The attachment in force.
#[derive(Clone, Debug)]
struct At {
    epoch: u64,
    attached_at: Time,
    /// The seq that has to come next.
    next: u64,
    /// Inputs beyond the last commit: seq and payload bytes.
    outstanding: VecDeque<(u64, u64)>,
    waiting_since: Time,
    /// When it was asked to let go.
    release_asked: Option<Time>,
    applied: u64,
    /// As a suspect it was kept apart from all others who may be to blame.
    apart: bool,
    /// What it may take for progress.
    patience: Duration,
    /// It had nothing to do when it came, or has done something.
    serves: bool,
}

/// What one step is expected to bring.
#[derive(Default)]
struct Step {
    first: Option<First>,
    must: Vec<Known>,
    may: Vec<Known>,
    closes: Vec<LegRef>,
    sends: VecDeque<(LegRef, Payload)>,
    dials: VecDeque<LegRef>,
    lost: VecDeque<u64>,
    /// What had come in before, and whether the clock, which is looked at after the event, took the
    /// worker away.
    had: u64,
    by_clock: bool,
    /// The caller is gone for good, and this is what that must be called.
    caller_gone: Option<EndReason>,
    /// A lost caller was awaited until this step.
    was_awaited: bool,
    /// The reason of an end that the edge or an operator asks for.
    asked: Option<EndReason>,
    /// The event itself ends what is being prepared.
    target_fails: bool,
    fenced: u64,
    strike: Option<u32>,
    /// It may have been the session's doing, and not for the first time.
    blamed_again: bool,
    cleared: Option<Suspicion>,
    /// The worker has to hear that its commit was applied.
    untold: bool,
    /// What must be said of an external input.
    taken: Option<Taken>,
    poisoned: bool,
    refusal: bool,
}

/// One session, as its promises have it.
pub(crate) struct Model {
    limits: Limits,
    slots: Vec<Slot>,
    groups: Vec<Vec<Known>>,
    committed: u64,
    /// Over all inputs that are committed, as the committing workers knew them.
    digest: u64,
    state: BTreeMap<String, Bytes>,
    schema: u32,
    state_warned: bool,
    timers: BTreeMap<String, (Time, u64)>,
    /// Fires that are not committed, by tag.
    fired: BTreeMap<u64, String>,
    stale: BTreeSet<u64>,
    legs: BTreeMap<String, Leg>,
    incarnations: BTreeMap<String, u32>,
    /// The legs as of the last commit, by name.
    told: BTreeMap<String, Told>,
    /// What was delivered of legs and is not committed, by seq.
    turns: BTreeMap<u64, InputKind>,
    link: Link,
    at: Option<At>,
    last_epoch: u64,
    /// Since when an answer is awaited to what is being prepared.
    asked_since: Time,
    /// Whether what is being prepared is sought for a suspect, apart from others.
    target_apart: bool,
    unattached_since: Time,
    /// Since when nothing was done for the caller, though workers may have come and gone.
    unserved_since: Time,
    /// Since when a place apart from others is denied to it.
    denied_since: Option<Time>,
    hold: Hold,
    ending: Option<EndReason>,
    is_closed: bool,
    is_finished: bool,
    end_lost: u64,
    pending: Option<Commit>,
    commits: u64,
    media_dropped: u64,
    media_lost: u64,
    /// The position at the last loss that may have been the session's doing.
    loss_at: Option<u64>,
    /// Up to here inputs were outstanding at such a loss.
    doubted: u64,
    strikes: u32,
    /// Until then no worker is sought.
    paused_until: Time,
    /// Workers that failed the session since its last progress.
    failed: Vec<WorkerId>,
    /// The keys of all external inputs that were taken, the latest last.
    externals: Vec<String>,
    /// The worker of the attachment in force.
    worker: Option<WorkerId>,
    /// A worker was attached before.
    attached: bool,
    handoffs: u64,
    steps: u64,
    step: Step,
}

impl Model {
    pub(crate) fn new(limits: Limits, dialled: bool, now: Time) -> Self {
        let mut model = Self {
            limits,
            slots: Vec::new(),
            groups: Vec::new(),
            committed: 0,
            digest: EMPTY,
            state: BTreeMap::new(),
            schema: 0,
            state_warned: false,
            timers: BTreeMap::new(),
            fired: BTreeMap::new(),
            stale: BTreeSet::new(),
            legs: BTreeMap::new(),
            incarnations: BTreeMap::new(),
            told: BTreeMap::new(),
            turns: BTreeMap::new(),
            link: Link::Vacant,
            at: None,
            last_epoch: 0,
            asked_since: now,
            target_apart: false,
            unattached_since: now,
            unserved_since: now,
            denied_since: None,
            hold: Hold::default(),
            ending: None,
            is_closed: false,
            is_finished: false,
            end_lost: 0,
            pending: None,
            commits: 0,
            media_dropped: 0,
            media_lost: 0,
            loss_at: None,
            doubted: 0,
            strikes: 0,
            paused_until: now,
            failed: Vec::new(),
            externals: Vec::new(),
            worker: None,
            attached: false,
            handoffs: 0,
            steps: 0,
            step: Step::default(),
        };
        let leg = model.add_leg("caller", Phase::Open, now);
        let attributes = BTreeMap::new();
        model.tell(&leg, LegState::Open, attributes.clone());
        if dialled {
            let leg = model.add_leg("model", Phase::Connecting, now);
            model.tell(&leg, LegState::Connecting, attributes.clone());
        }
        model.step.first = Some(First {
            known: Known::new(&InputKind::LegOpened { leg, attributes }),
            bytes: 0,
            is_media: false,
            is_frame: false,
        });
        model
    }

    /// Notes what an event is about to bring. `late` is how long after its own wish the engine is
    /// called, where that is more than a busy moment.
    pub(crate) fn before(&mut self, now: Time, late: Duration, event: &Event) {
        self.step = Step {
            had: self.slots.len() as u64,
            ..Step::default()
        };
        self.forgives(late);
        self.step.target_fails = self.fails_target(event);
        self.is_denied(now, event);
        let input = match event {
            Event::Frame { leg, frame } => return self.frame_comes(leg, frame),
            Event::External(external) => return self.external_comes(external),
            Event::LegOpened { leg, attributes } => self.present(leg).map(|present| {
                present.phase = Phase::Open;
                let (leg, attributes) = (leg.clone(), attributes.clone());
                InputKind::LegOpened { leg, attributes }
            }),
            Event::LegClosed { leg, close } => {
                self.closes(now, leg, close.fault).map(|unsent_frames| {
                    let (leg, close) = (leg.clone(), close.clone());
                    InputKind::LegClosed {
                        leg,
                        close,
                        unsent_frames,
                    }
                })
            }
            Event::LegWritten {
                leg, frames, sound, ..
            } => {
                let frames = usize::try_from(*frames).unwrap_or(usize::MAX);
                if let Some(present) = self.present(leg) {
                    let frames = frames.min(present.unwritten.len());
                    present.unwritten.drain(..frames);
                    present.unwritten_sound -= sound;
                }
                None
            }
            Event::CallerReplaced { attributes } => self.caller_returns(now, attributes),
            Event::DeadlineNear { remaining } if !self.is_closed => {
                let remaining = *remaining;
                Some(InputKind::Notice(Notice::Deadline { remaining }))
            }
            Event::FromWorker { epoch, message } => {
                self.worker_speaks(epoch.0, message);
                None
            }
            Event::Offered { epoch, .. } => {
                if self.link.target() == Some(epoch.0) {
                    self.asked_since = now;
                }
                None
            }
            Event::End { reason, .. } => {
                self.step.asked = Some(*reason);
                None
            }
            _ => None,
        };
        self.step.first = input.map(|kind| First {
            known: Known::new(&kind),
            bytes: 0,
            is_media: false,
            is_frame: false,
        });
    }

    /// Checks all that one step did.
    ///
    /// # Errors
    /// The first promise that was not kept.
    pub(crate) fn after(
        &mut self,
        shell: &Shell,
        now: Time,
        out: &[Output],
        coverage: &mut Coverage,
    ) -> Check {
        self.steps += 1;
        let reported = out.iter().find_map(|output| match output {
            Output::Report(Report::Ending { reason, .. }) => Some(*reason),
            _ => None,
        });
        ensure!(
            reported.is_none() || self.ending.is_none(),
            "a session ends once",
            "{reported:?} after {:?}",
            self.ending
        );
        self.fire_timers(now, reported.is_some());
        self.writes_time_out(now, out)?;
        self.legs_vanish(shell, now)?;
        let by_commit = outputs::ended_by_commit(out, reported, self.step.caller_gone.is_some());
        if let Some(reason) = reported.filter(|_| !by_commit) {
            self.check_reason(reason)?;
            self.end(now, reason)?;
        }
        let applied = self.is_applied(shell)?;
        self.drops(now, out, applied)?;
        if applied {
            self.applies(now, coverage)?;
        }
        if let Some(reason) = reported.filter(|_| by_commit) {
            self.check_reason(reason)?;
            self.end(now, reason)?;
        }
        self.appends(shell, now, out)?;
        self.drops(now, out, false)?;
        if reported == Some(EndReason::LogOverflow) {
            self.has_overflowed(out)?;
        }
        self.outputs(now, out, coverage)?;
        self.settle_step()?;
        self.hears_enough(shell, now)?;
        self.is_borne(now)?;
        if self.steps.is_multiple_of(16) || reported.is_some() {
            self.compare(shell, now)?;
        }
        Ok(())
    }

    /// The session went on at another edge: every epoch so far is of the past.
    pub(crate) fn restored(&mut self, now: Time) {
        if let Some(at) = self.at.take() {
            self.begins_alone(now, &at);
        }
        self.pending = None;
        // Who failed is not carried over: the other edge has other workers.
        self.failed.clear();
        self.paused_until = Time(0);
        self.link = Link::Vacant;
    }

    /// When the session is over, all that ever happened is committed or said to be lost.
    ///
    /// # Errors
    /// Where it is not.
    pub(crate) fn finish(&self, shell: &Shell) -> Check {
        let account = shell.account();
        let inputs = self.slots.len() as u64;
        ensure!(
            self.is_finished,
            "every session ends",
            "{:?} with {} of {inputs} inputs committed, ending {:?}",
            self.link,
            self.committed,
            self.ending
        );
        ensure!(
            self.committed + self.end_lost == inputs,
            "every input is committed or said to be lost",
            "{} committed and {} lost of {inputs}",
            self.committed,
            self.end_lost
        );
        let said = (account.media_dropped, account.media_lost, account.end_lost);
        let seen = (self.media_dropped, self.media_lost, self.end_lost);
        ensure!(said == seen, "the account is true", "{said:?} for {seen:?}");
        Ok(())
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn ending(&self) -> Option<EndReason> {
        self.ending
    }

    pub(crate) fn inputs(&self) -> u64 {
        self.slots.len() as u64
    }

    pub(crate) fn handoffs(&self) -> u64 {
        self.handoffs
    }

    /// Whether something was committed since the last loss that may have been the session's doing.
    pub(crate) fn is_steady(&self) -> bool {
        self.loss_at != Some(self.committed)
    }

    /// Whether the session may be what makes its workers fail.
    fn is_suspect(&self) -> bool {
        self.strikes > 0
    }

    /// Until which input it is.
    fn suspect_through(&self) -> Option<u64> {
        self.is_suspect().then_some(self.committed + 1)
    }

    /// Until which input a loss may have been its doing.
    fn doubt_through(&self) -> Option<u64> {
        (self.doubted > self.committed).then_some(self.doubted)
    }

    fn suspicion(&self) -> Suspicion {
        match (self.suspect_through(), self.doubt_through()) {
            (Some(_), _) => Suspicion::Suspect,
            (None, Some(_)) => Suspicion::Doubt,
            (None, None) => Suspicion::None,
        }
    }

    /// The attachment that is being prepared.
    pub(crate) fn target(&self) -> Option<u64> {
        self.link.target()
    }

    fn kept(&self) -> &[Slot] {
        &self.slots[usize::try_from(self.committed).unwrap_or(usize::MAX)..]
    }

    fn kept_frames(&self) -> usize {
        self.kept().iter().filter(|slot| !slot.is_dropped).count()
    }

    fn kept_bytes(&self) -> u64 {
        let kept = self.kept().iter().filter(|slot| !slot.is_dropped);
        kept.map(|slot| slot.bytes).sum()
    }

    /// What the log holds, where no frame counts for more than half of it.
    fn kept_weight(&self) -> u64 {
        let kept = self.kept().iter().filter(|slot| !slot.is_dropped);
        kept.map(|slot| self.weight(slot.bytes)).sum()
    }

    fn weight(&self, bytes: u64) -> u64 {
        bytes.min(self.limits.log_bytes.div_ceil(2))
    }

    fn fails_target(&self, event: &Event) -> bool {
        let epoch = match event {
            Event::SeekFailed { epoch, .. } | Event::StreamLost { epoch, .. } => epoch,
            Event::FromWorker { epoch, message } if *message != FromWorker::Accept => epoch,
            _ => return false,
        };
        self.link.target() == Some(epoch.0)
    }

    /// Whether it was for the sake of isolation that nobody took the session. A worker that may take
    /// it later has, for all that the edge knows, a suspect of another edge.
    fn is_denied(&mut self, now: Time, event: &Event) {
        if !self.step.target_fails || self.at.is_some() {
            return;
        }
        let denied = match event {
            Event::SeekFailed { crowded, .. } => *crowded,
            Event::FromWorker {
                message: FromWorker::Reject { retry: true, .. },
                ..
            } => true,
            _ => return,
        };
        self.denied_since = denied.then(|| self.denied_since.unwrap_or(now));
    }

    fn worker_speaks(&mut self, epoch: u64, message: &FromWorker) {
        let Some(at) = self.at.as_ref().filter(|at| at.epoch == epoch) else {
            self.step.fenced = u64::from(self.link.target() != Some(epoch) && !self.is_finished);
            return;
        };
        match message {
            FromWorker::Commit(commit) => {
                let through = commit.through.0;
                if through < self.committed || through >= at.next || self.pending.is_some() {
                    self.step.refusal = true;
                } else {
                    self.pending = Some(commit.clone());
                }
            }
            FromWorker::Released => self.step.refusal = at.release_asked.is_none(),
            FromWorker::Accept | FromWorker::Reject { .. } => self.step.refusal = true,
            FromWorker::Draining { .. } => {}
        }
    }
}
