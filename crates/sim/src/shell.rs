//! The engine as the world drives it, with a seam at which a planted bug can sit: what goes in or
//! comes out is changed, or the engine is given other bounds than the model was told. A checker
//! that such a bug gets past is no checker.

use std::{collections::BTreeSet, time::Duration};

use holdline_session::{
    Account, Attributes, EndReason, Epoch, Event, External, FromWorker, InputKind, LegName, LegRef,
    LegState, Limits, Notice, Output, Report, Session, SessionId, Setup, Snapshot, Taken, Time,
    ToWorker, View,
};

use crate::model::Broken;

macro_rules! bugs {
    ($($name:ident $word:literal),+ $(,)?) => {
        /// A mistake that an engine or its shell could make.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "the words say it")]
        pub enum Bug { $($name),+ }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name used on the command line and in logs.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }
        }
    };
}

bugs! {
    FenceSkipped "fence-skipped",
    ReplaySkipsOne "replay-skips-one",
    ReplayRepeatsOne "replay-repeats-one",
    CommitAppliedTwice "commit-applied-twice",
    CommandLost "command-lost",
    CommandsSwapped "commands-swapped",
    TimersLostAtHandoff "timers-lost-at-handoff",
    TimersRestartAtHandoff "timers-restart-at-handoff",
    FiredTimerNeverDelivered "fired-timer-never-delivered",
    StaleMarkLost "stale-mark-lost",
    LegsAsOfNow "legs-as-of-now",
    StateKeyLost "state-key-lost",
    StateOfEarlierAttach "state-of-earlier-attach",
    StrikesForgotten "strikes-forgotten",
    StrikeNotCleared "strike-not-cleared",
    SuspectNotKeptApart "suspect-not-kept-apart",
    IsolationEndless "isolation-endless",
    IsolationAlone "isolation-clock-runs-without-a-worker",
    CrowdedByNobody "crowded-by-nobody",
    DoubtUntold "doubt-untold",
    ExternalTwice "external-input-twice",
    ExternalLost "external-input-lost",
    SuspectFlagIgnored "suspect-flag-ignored-by-workers",
    FailedForgotten "failed-workers-forgotten",
    LossUnsaid "loss-unsaid",
    GapUnderstated "gap-understated",
    LogBoundIgnored "log-bound-ignored",
    WindowTooWide "window-too-wide",
    HighMarkIgnored "high-mark-ignored",
    StuckTooEarly "stuck-too-early",
    OfferCutShort "offer-cut-short",
    ReleaseCutShort "release-cut-short",
    AbsenceBlamed "absence-blamed",
    StrikePauseSkipped "strike-pause-skipped",
    GivesUpTooEarly "gives-up-too-early",
    PatienceAnew "give-up-begins-anew-at-each-attach",
    ResumeWindowCut "resume-window-cut",
    OldSnapshotRestored "old-snapshot-restored",
    CallerNotRead "caller-not-read",
    HoldUnsaid "hold-unsaid",
    HoldSoundEarly "hold-sound-early",
    HoldSoundNotStopped "hold-sound-not-stopped",
    HoldSoundTooFast "hold-sound-too-fast",
    HoldSoundBursts "hold-sound-bursts-after-absence",
    HoldSoundHeld "hold-sound-runs-dry",
    HoldSoundUntold "hold-sound-untold",
    EndSaidTwice "end-said-twice",
    EndNeverSaid "end-never-said",
}

pub(crate) struct Shell {
    session: Session,
    bug: Option<Bug>,
    /// The edge was away.
    is_late: bool,
    /// The last hold sound.
    sound: Option<(LegRef, u64)>,
    /// A snapshot of some time ago, for a bug that restores it.
    old: Option<Snapshot>,
    old_state: Option<Vec<(String, bytes::Bytes)>>,
    current: Option<Epoch>,
    attaches: u32,
    /// Ever, for a bug that clears none; 0 without it.
    strikes: u32,
    /// Since when no worker is there, and how long that is borne, for a bug that looks at no more.
    alone_since: Option<Time>,
    give_up: Duration,
}

impl Shell {
    pub(crate) fn new(
        id: u128,
        limits: Limits,
        dialled: bool,
        bug: Option<Bug>,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Self {
        let give_up = limits.give_up;
        let setup = Setup {
            id: SessionId(id),
            limits: with_bug(limits, bug),
            caller: Attributes::new(),
            dialled: dialled
                .then(|| LegName::new(LegName::MODEL))
                .into_iter()
                .collect(),
            upstreams: BTreeSet::from(["model".to_owned()]),
        };
        Self {
            session: Session::new(setup, now, out),
            bug,
            is_late: false,
            sound: None,
            old: None,
            old_state: None,
            current: None,
            attaches: 0,
            strikes: 0,
            alone_since: Some(now),
            give_up,
        }
    }

    pub(crate) fn handle(&mut self, now: Time, mut event: Event, out: &mut Vec<Output>) {
        if let Some(bug) = self.bug {
            self.spoil_event(bug, now, &mut event, out);
        }
        self.session.handle(now, event, out);
        if let Some(bug) = self.bug {
            self.spoil_outputs(bug, now, out);
        }
    }

    /// The session as bytes, and back, under whatever bounds the other edge has.
    pub(crate) fn hand_over(&mut self, limits: Limits, now: Time) -> Result<(), Broken> {
        let snapshot = match &self.old {
            Some(old) if self.bug == Some(Bug::OldSnapshotRestored) => old.clone(),
            _ => self.session.snapshot(),
        };
        let bytes = snapshot.to_bytes();
        let again = bytes.and_then(|bytes| Snapshot::from_bytes(&bytes));
        let snapshot = again.map_err(|error| Broken {
            rule: "a snapshot can be read back",
            detail: error.to_string(),
        })?;
        self.session = Session::restore(snapshot, with_bug(limits, self.bug), now);
        self.current = None;
        Ok(())
    }

    pub(crate) fn next_wake(&self) -> Option<Time> {
        let wake = self.session.next_wake()?;
        let anew = self
            .gives_up_at()
            .filter(|_| self.session.end_reason().is_none());
        Some(anew.map_or(wake, |at| at.min(wake)))
    }

    fn gives_up_at(&self) -> Option<Time> {
        let since = self
            .alone_since
            .filter(|_| self.bug == Some(Bug::PatienceAnew))?;
        Some(since + self.give_up)
    }

    pub(crate) fn reads(&self, leg: &LegName) -> bool {
        let spoilt = self.bug == Some(Bug::CallerNotRead) && leg.is_caller();
        self.session.reads(leg) && !(spoilt && self.current.is_none())
    }

    pub(crate) fn hears(&self, epoch: Epoch) -> bool {
        self.session.hears(epoch)
    }

    pub(crate) fn account(&self) -> &Account {
        self.session.account()
    }

    pub(crate) fn view(&self, now: Time) -> View {
        let mut view = self.session.view(now);
        view.strikes = view.strikes.max(self.strikes);
        view
    }

    pub(crate) fn leg_state(&self, leg: &LegName) -> Option<LegState> {
        self.session.leg_state(leg)
    }

    fn spoil_event(&mut self, bug: Bug, now: Time, event: &mut Event, out: &mut Vec<Output>) {
        match (bug, &mut *event) {
            (
                Bug::FenceSkipped,
                Event::FromWorker {
                    epoch,
                    message: FromWorker::Commit(_),
                },
            ) => {
                if let Some(current) = self.current {
                    *epoch = current;
                }
            }
            (
                Bug::CommitAppliedTwice,
                Event::FromWorker {
                    epoch,
                    message: FromWorker::Commit(_),
                },
            ) if self.current == Some(*epoch) => self.session.handle(now, event.clone(), out),
            (Bug::ExternalTwice, Event::External(external)) => {
                let external = External {
                    key: format!("{}'", external.key),
                    ..external.clone()
                };
                let mut unheard = Vec::new();
                self.session
                    .handle(now, Event::External(external), &mut unheard);
                unheard.retain(|output| !matches!(output, Output::Report(Report::External { .. })));
                out.append(&mut unheard);
            }
            (Bug::ExternalLost, Event::External(external)) => {
                let (key, last) = (external.key.clone(), self.session.view(now).last);
                let taken = Taken::Now(last.next());
                out.push(Output::Report(Report::External { key, taken }));
                *event = Event::Tick;
            }
            (Bug::AbsenceBlamed, _) => {
                while let Some(due) = self.session.next_wake().filter(|due| *due < now) {
                    let step = (due + Duration::from_millis(49)).min(now);
                    self.session.handle(step, Event::Tick, out);
                }
            }
            (Bug::IsolationAlone, Event::SeekFailed { crowded, .. }) => *crowded = true,
            (Bug::PatienceAnew, _) => {
                let late = self.session.next_wake().map(|due| now.since(due));
                let late = late.filter(|late| *late >= Duration::from_millis(50));
                let late = late.unwrap_or_default();
                self.alone_since = self.alone_since.map(|since| since + late);
                if self.gives_up_at().is_some_and(|at| at <= now) {
                    let (reason, detail) = (EndReason::GaveUp, String::new());
                    self.session.handle(now, Event::End { reason, detail }, out);
                }
            }
            (Bug::HoldSoundBursts, _) => {
                let due = self.session.next_wake();
                self.is_late = due.is_some_and(|due| now.since(due) >= Duration::from_millis(50));
            }
            (Bug::OldSnapshotRestored, _) if self.session.account().commits % 16 == 3 => {
                self.old = Some(self.session.snapshot());
            }
            _ => {}
        }
    }

    /// Who runs the session, as far as its outputs say.
    fn follow(&mut self, now: Time, out: &[Output]) {
        for output in out {
            match output {
                Output::ToWorker {
                    epoch,
                    message: ToWorker::Attach(_),
                } => {
                    self.current = Some(*epoch);
                    self.attaches += 1;
                    self.alone_since = None;
                }
                Output::Hangup { epoch, .. } if self.current == Some(*epoch) => {
                    self.current = None;
                    self.alone_since = Some(now);
                }
                _ => {}
            }
        }
    }

    fn spoil_outputs(&mut self, bug: Bug, now: Time, out: &mut Vec<Output>) {
        self.follow(now, out);
        let again = self.attaches > 1;
        for output in &mut *out {
            if let Output::ToWorker { message, .. } = output {
                self.spoil_message(bug, again, now, message);
            }
            match output {
                Output::Report(Report::Strike { strikes }) if bug == Bug::StrikeNotCleared => {
                    self.strikes += 1;
                    *strikes = self.strikes;
                }
                Output::Seek(seek) if bug == Bug::SuspectNotKeptApart => seek.suspect = None,
                Output::Seek(seek) if bug == Bug::DoubtUntold => seek.doubt = None,
                Output::Seek(seek) if bug == Bug::FailedForgotten => seek.failed.clear(),
                _ => {}
            }
        }
        let is_send = |output: &Output| matches!(output, Output::Send { .. });
        match bug {
            Bug::CommandLost if again => {
                if let Some(index) = out.iter().position(is_send) {
                    out.remove(index);
                }
            }
            Bug::CommandsSwapped => {
                let first = out.iter().position(is_send);
                let last = out.iter().rposition(is_send);
                if let (Some(first), Some(last)) = (first, last) {
                    out.swap(first, last);
                }
            }
            Bug::LossUnsaid => {
                out.retain(|output| !matches!(output, Output::Report(Report::MediaLost(_))));
            }
            Bug::HoldUnsaid => {
                out.retain(|output| !matches!(output, Output::Report(Report::HoldEnded { .. })));
            }
            Bug::HoldSoundTooFast => {
                let sound = out.iter().rev().find_map(|output| match output {
                    Output::HoldSound { leg, piece } if piece % 16 == 7 => Some(leg.clone()),
                    _ => None,
                });
                if let Some(leg) = sound {
                    out.push(Output::HoldSound { leg, piece: 8 });
                }
            }
            // It makes up for what it did not say in time.
            Bug::HoldSoundBursts if self.is_late => {
                let last = out.iter().rev().find_map(|output| match output {
                    Output::HoldSound { leg, piece } => Some((leg.clone(), *piece)),
                    _ => None,
                });
                if let Some((leg, piece)) = last {
                    let piece = piece + 1;
                    out.push(Output::HoldSound { leg, piece });
                }
            }
            Bug::HoldSoundHeld => {
                out.retain(|output| !matches!(output, Output::HoldSound { piece: 9.., .. }));
            }
            Bug::HoldSoundNotStopped => self.play_on(out),
            Bug::EndNeverSaid => out.retain(|output| *output != Output::Finished),
            Bug::EndSaidTwice if out.last() == Some(&Output::Finished) => {
                out.push(Output::Finished);
            }
            _ => {}
        }
    }

    /// The sound goes on for one more piece when a worker is there.
    fn play_on(&mut self, out: &mut Vec<Output>) {
        for output in &*out {
            if let Output::HoldSound { leg, piece } = output {
                self.sound = Some((leg.clone(), *piece));
            }
        }
        if self.current.is_some()
            && let Some((leg, piece)) = self.sound.take()
        {
            let piece = piece + 1;
            out.push(Output::HoldSound { leg, piece });
        }
    }

    fn spoil_message(&mut self, bug: Bug, again: bool, now: Time, message: &mut ToWorker) {
        match message {
            ToWorker::Attach(attach) => {
                let state = attach.state.clone();
                match bug {
                    Bug::TimersLostAtHandoff => attach.timers.clear(),
                    Bug::TimersRestartAtHandoff => {
                        for (_, left, _) in &mut attach.timers {
                            *left *= 2;
                        }
                    }
                    Bug::LegsAsOfNow => attach.legs = self.session.view(now).legs,
                    Bug::StateKeyLost => drop(attach.state.pop()),
                    Bug::StateOfEarlierAttach => {
                        if let Some(old) = self.old_state.replace(state) {
                            attach.state = old;
                        }
                    }
                    _ => {}
                }
            }
            ToWorker::Inputs { inputs, .. } => {
                match bug {
                    Bug::ReplaySkipsOne if again && !inputs.is_empty() => drop(inputs.remove(0)),
                    Bug::ReplayRepeatsOne if again => {
                        if let Some(input) = inputs.last().cloned() {
                            inputs.push(input);
                        }
                    }
                    Bug::FiredTimerNeverDelivered if again => {
                        inputs.retain(|input| !matches!(input.kind, InputKind::TimerFired { .. }))
                    }
                    _ => {}
                }
                for input in inputs {
                    match &mut input.kind {
                        InputKind::TimerFired { stale, .. } if bug == Bug::StaleMarkLost => {
                            *stale = false;
                        }
                        InputKind::Notice(Notice::Hold { audio_ms, .. })
                            if bug == Bug::HoldSoundUntold =>
                        {
                            *audio_ms = 0;
                        }
                        InputKind::Gap(gap) if bug == Bug::GapUnderstated => {
                            gap.size.frames -= 1;
                        }
                        _ => {}
                    }
                }
            }
            ToWorker::Release { .. } => {}
        }
    }
}

/// The bounds that an engine with this bug keeps.
fn with_bug(mut limits: Limits, bug: Option<Bug>) -> Limits {
    match bug {
        Some(Bug::StrikesForgotten) => limits.poison_limit += 100,
        Some(Bug::LogBoundIgnored) => limits.log_frames *= 2,
        Some(Bug::WindowTooWide) => limits.window_inputs += 1,
        Some(Bug::HighMarkIgnored) => limits.leg_high *= 4,
        Some(Bug::StuckTooEarly) => limits.progress_timeout /= 2,
        Some(Bug::OfferCutShort) => limits.offer_timeout /= 3,
        Some(Bug::ReleaseCutShort) => limits.release_timeout /= 3,
        Some(Bug::PatienceAnew) => limits.give_up *= 100,
        Some(Bug::GivesUpTooEarly) => limits.give_up /= 2,
        Some(Bug::HoldSoundEarly) => limits.hold_after = limits.hold_after.map(|after| after / 2),
        Some(Bug::IsolationEndless) => limits.isolation_wait *= 100,
        Some(Bug::StrikePauseSkipped) => limits.strike_pause /= 2,
        Some(Bug::ResumeWindowCut) => limits.resume_window /= 2,
        _ => {}
    }
    limits
}
