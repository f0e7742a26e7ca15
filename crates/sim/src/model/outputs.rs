//! What comes out of one step, in its order.

use holdline_session::{
    AttachReason, DropReason, EndReason, Fault, Gap, HangupCause, MoveReason, Output, Report,
    Taken, Time,
};

use super::{Check, Link, Model, ensure};
use crate::{
    coverage::{Coverage, Mark},
    shell::Shell,
};

impl Model {
    pub(super) fn outputs(&mut self, now: Time, out: &[Output], coverage: &mut Coverage) -> Check {
        for output in out {
            ensure!(
                !self.is_finished,
                "Finished is the last word",
                "{output:?} came after it"
            );
            match output {
                Output::Send { leg, payload } => {
                    let expected = self.step.sends.pop_front();
                    let same = expected
                        .as_ref()
                        .is_some_and(|(to, what)| to == leg && what == payload);
                    ensure!(
                        same,
                        "each command of an applied commit is handed over once, in order",
                        "{payload:?} to {leg}, not {expected:?}"
                    );
                }
                Output::OpenLeg { leg, .. } => {
                    let expected = self.step.dials.pop_front();
                    ensure!(
                        expected.as_ref() == Some(leg),
                        "each leg is dialled once, in order",
                        "{leg}, not {expected:?}"
                    );
                }
                Output::CloseLeg { leg, .. } => {
                    let place = self.step.closes.iter().position(|one| one == leg);
                    ensure!(place.is_some(), "a leg is closed once", "{leg}");
                    place.map(|place| self.step.closes.swap_remove(place));
                }
                Output::HoldSound { leg, piece } => {
                    self.sounds(now, leg, *piece, coverage)?;
                }
                Output::Seek(seek) => self.seeks(now, seek, coverage)?,
                Output::ToWorker { epoch, message } => {
                    self.told(now, epoch.0, message, coverage)?;
                }
                Output::Hangup { epoch, cause } => self.hung_up(now, epoch.0, cause)?,
                Output::Report(report) => self.reported(now, report, coverage)?,
                Output::Finished => {
                    coverage.mark(Mark::Finished);
                    ensure!(
                        self.is_closed,
                        "SessionEnded comes before the end",
                        "it did not"
                    );
                    self.is_finished = true;
                    self.link = Link::Over;
                    self.at = None;
                }
            }
        }
        Ok(())
    }

    /// Nothing that had to happen in this step is missing.
    pub(super) fn settle_step(&mut self) -> Check {
        let step = std::mem::take(&mut self.step);
        let open = (step.sends.len(), step.dials.len(), step.closes.len());
        ensure!(
            open == (0, 0, 0),
            "every command of an applied commit is handed over",
            "{open:?} sends, dials and closes did not come"
        );
        ensure!(
            step.lost.is_empty(),
            "loss is always said",
            "{:?} were committed and never seen",
            step.lost
        );
        ensure!(!step.refusal, "a broken rule is refused", "it was not");
        ensure!(
            step.fenced == 0,
            "a late message is fenced, and counted",
            "it was not"
        );
        ensure!(
            step.strike.is_none(),
            "a loss without progress is a strike",
            "it is none"
        );
        ensure!(
            step.taken.is_none(),
            "what happens outside is an input once, and that is said",
            "{:?} was not said",
            step.taken
        );
        ensure!(
            step.cleared.is_none(),
            "suspicion ends with what caused it",
            "that was not said"
        );
        let releases = self.at.as_ref().is_none_or(|at| at.release_asked.is_some());
        ensure!(
            !step.untold || releases,
            "suspicion ends at the worker too",
            "it was not told"
        );
        ensure!(
            !step.poisoned || self.ending.is_some(),
            "a poison call ends at its limit",
            "it goes on"
        );
        self.is_bounded()?;
        if let Some(commit) = &self.pending {
            ensure!(
                self.must_wait(commit),
                "a commit waits only for a leg",
                "commit through {} waits for nothing",
                commit.through
            );
        }
        Ok(())
    }

    pub(super) fn moves_link(&mut self, next: Option<Link>, what: &'static str) -> Check {
        ensure!(
            next.is_some(),
            "the link to workers takes known ways",
            "{what} from {:?}",
            self.link
        );
        self.link = next.unwrap_or(self.link);
        Ok(())
    }

    fn seeks(
        &mut self,
        now: Time,
        seek: &holdline_session::Seek,
        coverage: &mut Coverage,
    ) -> Check {
        ensure!(
            seek.epoch.0 > self.last_epoch,
            "epochs only grow",
            "{} after {}",
            seek.epoch,
            self.last_epoch
        );
        self.last_epoch = seek.epoch.0;
        self.asked_since = now;
        let wait = self.limits.isolation_wait;
        let in_time = self.denied_since.is_none_or(|since| now < since + wait);
        let suspect = self.suspect_through().filter(|_| seek.planned || in_time);
        self.target_apart = suspect.is_some();
        ensure!(
            seek.suspect.map(|through| through.0) == suspect
                && seek.doubt.map(|through| through.0) == self.doubt_through()
                && seek.schema == self.schema,
            "a suspect is kept apart while that can be had, and a reader of the schema is sought",
            "suspect {:?}, in doubt {:?}, schema {}",
            seek.suspect,
            seek.doubt,
            seek.schema
        );
        let failed = seek.failed.iter().map(|(worker, _)| worker);
        ensure!(
            failed.eq(self.failed.iter()),
            "who failed a session is known to whoever picks the next",
            "{:?}, not {:?}",
            seek.failed,
            self.failed
        );
        ensure!(
            now >= self.paused_until,
            "a suspect waits for its next worker",
            "until {:?}",
            self.paused_until
        );
        let next = self.link.seeks(seek.epoch.0, seek.planned, coverage);
        self.moves_link(next, "seeks")
    }

    fn hung_up(&mut self, now: Time, epoch: u64, cause: &HangupCause) -> Check {
        let refused = matches!(cause, HangupCause::Refused { .. });
        let due = std::mem::take(&mut self.step.refusal);
        ensure!(
            refused == due,
            "a broken rule is refused, and only that",
            "{cause:?}"
        );
        let Some(at) = self.at.take_if(|at| at.epoch == epoch) else {
            return Ok(());
        };
        if *cause == HangupCause::Done {
            self.link = self.link.released();
        }
        self.begins_alone(now, &at);
        self.pending = None;
        if *cause == HangupCause::Stuck {
            let waited = now.since(at.waiting_since);
            ensure!(
                !at.outstanding.is_empty() && waited >= at.patience,
                "stuck is who had work and time",
                "{} inputs, {waited:?}",
                at.outstanding.len()
            );
        }
        Ok(())
    }

    fn reported(&mut self, now: Time, report: &Report, coverage: &mut Coverage) -> Check {
        match report {
            Report::Fenced { .. } => {
                coverage.mark(Mark::Fenced);
                ensure!(
                    self.step.fenced == 1,
                    "only a late message is fenced",
                    "it was not late"
                );
                self.step.fenced = 0;
            }
            Report::Lost { kind, .. } => {
                coverage.mark(loss_mark(kind));
                self.step.by_clock = matches!(*kind, "stuck" | "release");
                self.release_had_its_time(now, kind)?;
                self.counts_loss(now);
                let struck = self.step.blamed_again;
                let next = self.link.loses(struck, coverage);
                self.moves_link(next, "loses")?;
            }
            Report::Attached { worker, .. } => {
                self.worker = Some(*worker);
                other_marks(report, coverage);
            }
            Report::External { taken, .. } => self.told_from_outside(*taken, coverage)?,
            Report::Cleared { left, .. } => {
                coverage.mark(Mark::Cleared);
                let expected = self.step.cleared.take();
                self.step.untold = true;
                ensure!(
                    expected == Some(*left),
                    "suspicion ends with what caused it",
                    "{left:?} is left, not {expected:?}"
                );
            }
            Report::Strike { strikes } => {
                coverage.mark(Mark::Strike);
                let expected = self.step.strike.take();
                ensure!(
                    expected == Some(*strikes),
                    "strikes are counted, and progress clears them",
                    "{strikes}, not {expected:?}"
                );
            }
            Report::OfferFailed { epoch, .. } => {
                coverage.mark(Mark::OfferFailed);
                let waited = now.since(self.asked_since);
                ensure!(
                    self.step.target_fails || waited >= self.limits.offer_timeout,
                    "an offer has its time",
                    "epoch {epoch} had {waited:?}"
                );
                let next = self.link.offer_fails(epoch.0, coverage);
                self.moves_link(next, "offer fails")?;
            }
            Report::MediaLost(gap) => {
                coverage.mark(Mark::MediaLost);
                self.loses_media(gap)?;
            }
            Report::Ending { reason, fault, .. } => self.ends_as(now, *reason, *fault, coverage)?,
            Report::HoldEnded { held, audio_ms } => {
                coverage.mark(Mark::HoldEnded);
                self.held(now, *held, *audio_ms)?;
            }
            Report::EndLost { inputs } => {
                coverage.mark(Mark::EndLost);
                self.end_lost = *inputs;
            }
            other => other_marks(other, coverage),
        }
        Ok(())
    }

    fn ends_as(
        &mut self,
        now: Time,
        reason: EndReason,
        fault: Fault,
        coverage: &mut Coverage,
    ) -> Check {
        coverage.mark(end_mark(reason, fault));
        match reason {
            EndReason::GaveUp => self.gives_up(now, coverage)?,
            EndReason::Poisoned => {
                ensure!(
                    self.step.poisoned,
                    "only a call at its poison limit is poisoned",
                    "strikes: {}",
                    self.strikes
                );
                // Whoever asked next would be the next victim.
                self.link = Link::Vacant;
            }
            _ => {}
        }
        Ok(())
    }

    fn told_from_outside(&mut self, taken: Taken, coverage: &mut Coverage) -> Check {
        let expected = self.step.taken.take();
        ensure!(
            expected == Some(taken),
            "what happens outside is an input once, and that is said",
            "{taken:?}, not {expected:?}"
        );
        coverage.mark(match taken {
            Taken::Now(_) => Mark::ExternalTaken,
            Taken::Before => Mark::ExternalBefore,
            Taken::Ending => Mark::ExternalLate,
            Taken::Full => Mark::ExternalFull,
            Taken::TooLarge => Mark::ExternalLarge,
        });
        Ok(())
    }

    fn release_had_its_time(&self, now: Time, kind: &str) -> Check {
        let asked = self.at.as_ref().and_then(|at| at.release_asked);
        let waited = asked.map(|asked| now.since(asked));
        ensure!(
            kind != "release" || waited >= Some(self.limits.release_timeout),
            "a release has its time",
            "it had {waited:?}"
        );
        Ok(())
    }

    fn loses_media(&mut self, gap: &Gap) -> Check {
        for seq in gap.first.0..=gap.last.0 {
            let expected = self.step.lost.pop_front();
            ensure!(
                expected == Some(seq),
                "only loss is called loss",
                "{seq}, not {expected:?}"
            );
            self.media_lost += 1;
        }
        Ok(())
    }

    /// A loss is held against a session only where it may have caused it, and is a strike only
    /// where the next input was outstanding at an earlier loss, and where a suspect was kept apart.
    fn counts_loss(&mut self, now: Time) {
        let Some(at) = &self.at else { return };
        let delivered = at.next - 1;
        let just_attached =
            at.applied == 0 && now.since(at.attached_at) < self.limits.progress_timeout;
        let done = self.pending.as_ref().map(|commit| commit.through.0);
        if done.map_or(delivered <= self.committed && !just_attached, |done| {
            delivered <= done
        }) {
            return;
        }
        let apart = at.apart;
        self.failed.extend(self.worker);
        if self.failed.len() > self.limits.poison_limit as usize {
            self.failed.remove(0);
        }
        self.loss_at = Some(self.committed);
        if self.doubted > self.committed {
            self.step.blamed_again = true;
            if self.strikes == 0 || apart {
                self.strikes += 1;
                self.step.strike = Some(self.strikes);
            }
            self.paused_until = now + self.limits.strike_pause;
        }
        self.doubted = self.doubted.max(delivered).max(self.committed + 1);
        self.step.poisoned = apart && self.strikes + 1 >= self.limits.poison_limit;
    }

    /// What the session says of itself is what the model says of it.
    pub(super) fn compare(&self, shell: &Shell, now: Time) -> Check {
        let view = shell.view(now);
        let said = (view.committed.0, view.last.0, view.log_frames as usize);
        let seen = (self.committed, self.slots.len() as u64, self.kept_frames());
        ensure!(
            said == seen && view.log_bytes == self.kept_bytes(),
            "the view is true: position, end, frames",
            "{said:?}, not {seen:?}"
        );
        let (link, strikes) = (self.link.name(), self.strikes);
        ensure!(
            view.link == link && view.strikes == strikes && view.ending == self.ending,
            "the view is true: link, strikes, end",
            "{} with {}, not {link} with {strikes}",
            view.link,
            view.strikes
        );
        let epoch = view.attachment.as_ref().map(|at| at.epoch.0);
        ensure!(
            epoch == self.at.as_ref().map(|at| at.epoch),
            "the view is true: attachment",
            "{epoch:?}"
        );
        let keys = view.state.iter().map(|(key, size)| (key, *size));
        let timers = view.timers.iter().map(|(name, _)| name);
        ensure!(
            keys.eq(self.state.iter().map(|(key, value)| (key, value.len())))
                && timers.eq(self.timers.keys()),
            "the view is true: state and timers",
            "{:?} {:?}",
            view.state,
            view.timers
        );
        let unwritten = self.legs.values().map(super::Leg::unwritten_bytes);
        ensure!(
            unwritten.eq(view.unwritten_bytes.iter().copied()),
            "the view is true: legs",
            "{:?}",
            view.legs
        );
        Ok(())
    }
}

/// Whether the end that is reported began with the commands of a commit, or after them.
pub(super) fn ended_by_commit(
    out: &[Output],
    reason: Option<EndReason>,
    caller_gone: bool,
) -> bool {
    let traces = |output: &Output| {
        matches!(
            output,
            Output::Send { .. }
                | Output::OpenLeg { .. }
                | Output::Report(
                    Report::CommandDropped { .. }
                        | Report::Committed { .. }
                        | Report::Recovered { .. }
                        | Report::MediaLost(_)
                )
        )
    };
    let ending = |output: &Output| matches!(output, Output::Report(Report::Ending { .. }));
    match reason {
        Some(EndReason::Worker | EndReason::HandedBack) => !caller_gone,
        Some(EndReason::LogOverflow) => {
            let end = out.iter().position(ending).unwrap_or(0);
            out[..end].iter().any(traces)
        }
        _ => false,
    }
}

fn loss_mark(kind: &str) -> Mark {
    match kind {
        "connection" => Mark::LostConnection,
        "stuck" => Mark::LostStuck,
        "refused" => Mark::LostRefused,
        "release" => Mark::LostRelease,
        "ended" => Mark::LostEnded,
        _ => Mark::LostStream,
    }
}

fn end_mark(reason: EndReason, fault: Fault) -> Mark {
    match reason {
        EndReason::CallerHungUp => Mark::EndHungUp,
        EndReason::CallerLost => Mark::EndLostCaller,
        EndReason::Worker => Mark::EndWorker,
        EndReason::HandedBack => Mark::EndHandedBack,
        EndReason::GaveUp => Mark::EndGaveUp,
        EndReason::Poisoned => Mark::EndPoisoned,
        EndReason::LogOverflow if fault == Fault::Worker => Mark::EndResults,
        EndReason::LogOverflow => Mark::EndOverflow,
        EndReason::EdgeDeadline => Mark::EndDeadline,
        EndReason::Operator => Mark::EndOperator,
        EndReason::Superseded => Mark::EndSuperseded,
        EndReason::CallerProtocol => Mark::EndProtocol,
    }
}

fn other_marks(report: &Report, coverage: &mut Coverage) {
    let mark = match report {
        Report::Attached {
            reason, replayed, ..
        } => {
            if *replayed > 0 {
                coverage.mark(Mark::Replayed);
            }
            match reason {
                AttachReason::New => Mark::FirstAttach,
                AttachReason::Handoff => Mark::Handoff,
                AttachReason::Recovery => Mark::Recovery,
                AttachReason::Resume => Mark::Resume,
            }
        }
        Report::MoveStarted { reason, .. } => match reason {
            MoveReason::Drain => Mark::MoveDrain,
            MoveReason::Rollout => Mark::MoveRollout,
            MoveReason::Operator => Mark::MoveOperator,
        },
        Report::CommandDropped { reason, .. } => match reason {
            DropReason::LegGone => Mark::DropLegGone,
            DropReason::IncarnationGone => Mark::DropIncarnation,
            DropReason::UnknownUpstream => Mark::DropUpstream,
            DropReason::NameInUse => Mark::DropName,
            DropReason::TooManyLegs => Mark::DropLegs,
            DropReason::Ending => Mark::DropEnding,
        },
        Report::Committed { .. } => Mark::Committed,
        Report::Recovered { .. } => Mark::Recovered,
        Report::MediaDropped(_) => Mark::MediaDropped,
        Report::HoldStarted => Mark::HoldStarted,
        Report::WriteTimeout { .. } => Mark::WriteTimeout,
        _ => return,
    };
    coverage.mark(mark);
}
