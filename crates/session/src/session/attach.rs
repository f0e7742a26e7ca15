//! Seeking, attaching, moving and losing workers.

use std::time::Duration;

use crate::{
    Attach, AttachReason, EndReason, Epoch, FromWorker, HangupCause, InputKind, Loss, MoveReason,
    Output, Report, Seek, Session, Time, ToWorker, WorkerId,
    link::{Attachment, Link, Offer, Speaker},
    refusal::Refusal,
};

use super::{ending::Life, is_poison};

/// What the loss of a worker means for the session that it ran.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Blame {
    /// Nothing.
    None,
    /// It may have been the cause.
    Doubt,
    /// It may have been, and not for the first time. It waits a little for its next worker: what
    /// takes several workers at once, an outage or other calls, is known by then.
    Strike,
    /// It was too often: the session ends.
    Poison,
}

impl Session {
    pub(super) fn worker_said(
        &mut self,
        now: Time,
        epoch: Epoch,
        message: FromWorker,
        out: &mut Vec<Output>,
    ) {
        match (self.link.speaker(epoch), message) {
            (Speaker::Past, _) => {
                self.account.fenced += 1;
                out.push(Output::Report(Report::Fenced { epoch }));
            }
            (Speaker::Target, FromWorker::Accept) => self.accepted(now, out),
            (Speaker::Target, FromWorker::Reject { reason, retry }) => {
                // What keeps it from a worker that may take it later is, as far as can be told, who
                // is there, from whichever edge.
                if retry {
                    self.note_crowd(now, true);
                }
                self.offer_failed(now, epoch, format!("rejected: {reason}"), out);
            }
            (Speaker::Target, FromWorker::Draining { .. }) => {
                self.offer_failed(now, epoch, "it began to drain".to_owned(), out);
            }
            (Speaker::Target, _) => {
                let detail = "it spoke before it was attached".to_owned();
                self.offer_failed(now, epoch, detail, out);
            }
            (Speaker::Current, FromWorker::Commit(commit)) => self.commit(now, commit, out),
            (Speaker::Current, FromWorker::Released) => self.released(now, out),
            (Speaker::Current, FromWorker::Draining { .. }) => {
                self.leave(now, epoch, MoveReason::Drain, out);
            }
            (Speaker::Current, FromWorker::Accept | FromWorker::Reject { .. }) => {
                let detail = "Accept or Reject on a session that is attached".to_owned();
                self.refuse(now, Refusal::new("answer_repeated", detail), out);
            }
        }
    }

    /// The shell has found a worker and sent the offer.
    pub(super) fn offered(&mut self, now: Time, epoch: Epoch, worker: WorkerId, version: String) {
        let deadline = now + self.limits.offer_timeout;
        if self.link.speaker(epoch) == Speaker::Target
            && let Some(offer) = self.link.offer_mut()
        {
            offer.worker = Some((worker, version));
            offer.deadline = deadline;
        }
    }

    pub(super) fn seek_failed(
        &mut self,
        now: Time,
        epoch: Epoch,
        reason: String,
        crowded: bool,
        out: &mut Vec<Output>,
    ) {
        if self.link.speaker(epoch) == Speaker::Target {
            self.note_crowd(now, crowded);
            self.offer_failed(now, epoch, reason, out);
        }
    }

    fn note_crowd(&mut self, now: Time, crowded: bool) {
        if let Some(alone) = &mut self.recovery.alone {
            alone.note_crowd(now, crowded);
        }
    }

    fn offer_failed(&mut self, now: Time, epoch: Epoch, detail: String, out: &mut Vec<Output>) {
        if self.link.speaker(epoch) != Speaker::Target {
            return;
        }
        out.push(Output::Report(Report::OfferFailed { epoch, detail }));
        let cause = HangupCause::Fenced;
        out.push(Output::Hangup { epoch, cause });
        self.account.offers_failed += 1;
        let retry_at = now + self.next_back_off();
        self.link = match std::mem::replace(&mut self.link, Link::Over) {
            Link::Seeking(offer) => {
                let asked = offer.worker.map(|(worker, _)| worker);
                self.recovery.avoid = asked.or(self.recovery.avoid);
                Link::Vacant { retry_at }
            }
            Link::Moving(mut at, _) => {
                at.leave = at.leave.map(|(reason, _)| (reason, retry_at));
                Link::Live(at)
            }
            Link::Releasing(at, _, deadline) => Link::Releasing(at, None, deadline),
            unmoved => unmoved,
        };
        if self.link.attachment().is_none() {
            self.say_hold(out);
        }
    }

    pub(super) fn stream_lost(
        &mut self,
        now: Time,
        epoch: Epoch,
        loss: &Loss,
        out: &mut Vec<Output>,
    ) {
        let (kind, detail) = match loss {
            Loss::Ended => (
                "ended",
                "the worker ended the stream without Released".to_owned(),
            ),
            Loss::Failed { status } => ("stream", status.clone()),
            Loss::Disconnected { cause } => ("connection", cause.clone()),
            Loss::Malformed { what } => ("refused", what.clone()),
        };
        match self.link.speaker(epoch) {
            Speaker::Past => {}
            Speaker::Target => self.offer_failed(now, epoch, detail, out),
            Speaker::Current => self.lost(now, kind, detail, HangupCause::Fenced, out),
        }
    }

    /// The worker in force is to be left for a better one.
    pub(super) fn leave(
        &mut self,
        now: Time,
        epoch: Epoch,
        reason: MoveReason,
        out: &mut Vec<Output>,
    ) {
        if !matches!(self.life, Life::Running) {
            return;
        }
        if self.link.speaker(epoch) == Speaker::Target
            && let Some(offer) = self.link.offer_mut()
        {
            offer.leave = Some(reason);
            return;
        }
        let Link::Live(at) = &mut self.link else {
            return;
        };
        if at.epoch != epoch {
            return;
        }
        let first = at.leave.is_none();
        at.leave = Some((reason, now));
        if first {
            self.recovery.since = now;
            out.push(Output::Report(Report::MoveStarted { epoch, reason }));
        }
    }

    /// Ends the attachment in force for a broken rule.
    pub(super) fn refuse(&mut self, now: Time, refusal: Refusal, out: &mut Vec<Output>) {
        self.account.refused += 1;
        let Refusal { rule, detail } = refusal;
        let said = format!("{rule}: {detail}");
        let cause = HangupCause::Refused { rule, detail };
        self.lost(now, "refused", said, cause, out);
    }

    /// What the clock says about workers.
    pub(super) fn check_link(&mut self, now: Time, out: &mut Vec<Output>) {
        let due = self.link.next_deadline().is_some_and(|due| due <= now);
        if due {
            self.link_overdue(now, out);
        }
        let given_up = self
            .recovery
            .alone
            .is_some_and(|alone| alone.give_up_at(&self.limits) <= now);
        if given_up {
            let detail = format!(
                "no worker, or none that committed anything, for {:?}",
                self.limits.give_up
            );
            self.begin_end(now, EndReason::GaveUp, detail, out);
        }
    }

    fn link_overdue(&mut self, now: Time, out: &mut Vec<Output>) {
        let stuck = self
            .link
            .attachment()
            .filter(|at| at.stuck_at().is_some_and(|due| due <= now));
        if let Some(at) = stuck {
            let detail = format!("no commit for {:?}", at.patience);
            return self.lost(now, "stuck", detail, HangupCause::Stuck, out);
        }
        // What is due is the one thing that this state of the link waits for.
        match &self.link {
            Link::Vacant { .. } => self.seek(now, out),
            Link::Seeking(offer) | Link::Moving(_, offer) => {
                let (epoch, detail) = (offer.epoch, "no answer to the offer".to_owned());
                self.offer_failed(now, epoch, detail, out);
            }
            Link::Live(_) => self.seek_better(now, out),
            Link::Releasing(..) => {
                let detail = "no Released in time".to_owned();
                self.lost(now, "release", detail, HangupCause::Fenced, out);
            }
            Link::Over => {}
        }
    }

    fn seek(&mut self, now: Time, out: &mut Vec<Output>) {
        let offer = self.new_offer(now, self.recovery.reason, self.recovery.avoid, false, out);
        self.link = Link::Seeking(offer);
    }

    fn seek_better(&mut self, now: Time, out: &mut Vec<Output>) {
        let avoid = self.link.attachment().map(|at| at.worker);
        let offer = self.new_offer(now, AttachReason::Handoff, avoid, true, out);
        self.link = match std::mem::replace(&mut self.link, Link::Over) {
            Link::Live(at) => Link::Moving(at, offer),
            unmoved => unmoved,
        };
    }

    fn new_offer(
        &mut self,
        now: Time,
        reason: AttachReason,
        avoid: Option<WorkerId>,
        planned: bool,
        out: &mut Vec<Output>,
    ) -> Offer {
        let epoch = self.next_epoch;
        self.next_epoch = epoch.next();
        let committed = self.log.committed();
        let alone = self.recovery.alone.as_ref();
        let apart = alone.is_none_or(|alone| alone.is_kept_apart(now, &self.limits));
        let suspect = self.recovery.suspect_through(committed);
        let suspect = suspect.filter(|_| apart);
        out.push(Output::Seek(Seek {
            epoch,
            reason,
            schema: self.state.schema(),
            avoid,
            planned,
            suspect,
            doubt: self.recovery.doubt_through(committed),
            failed: self.recovery.failed.clone(),
        }));
        Offer {
            epoch,
            kept_apart: suspect.is_some(),
            worker: None,
            deadline: now + self.limits.offer_timeout,
            leave: None,
        }
    }

    fn accepted(&mut self, now: Time, out: &mut Vec<Output>) {
        let release_timeout = self.limits.release_timeout;
        self.link = match std::mem::replace(&mut self.link, Link::Over) {
            Link::Seeking(offer) => return self.attach(now, offer, self.recovery.reason, out),
            Link::Moving(at, offer) => {
                out.push(Output::ToWorker {
                    epoch: at.epoch,
                    message: ToWorker::Release {
                        within: release_timeout,
                    },
                });
                Link::Releasing(at, Some(offer), now + release_timeout)
            }
            // A second Accept changes nothing.
            unmoved => unmoved,
        };
    }

    fn released(&mut self, now: Time, out: &mut Vec<Output>) {
        match std::mem::replace(&mut self.link, Link::Over) {
            Link::Releasing(at, target, _) => {
                let cause = HangupCause::Done;
                out.push(Output::Hangup {
                    epoch: at.epoch,
                    cause,
                });
                self.account.note_replay(at.delivered, self.log.committed());
                self.recovery.avoid = Some(at.worker);
                self.succeed(now, target, AttachReason::Handoff, out);
            }
            unmoved => {
                self.link = unmoved;
                let detail = "Released without a Release".to_owned();
                self.refuse(now, Refusal::new("released_unasked", detail), out);
            }
        }
    }

    /// The attachment in force is gone: fence it, and go on from the last commit.
    fn lost(
        &mut self,
        now: Time,
        kind: &'static str,
        detail: String,
        cause: HangupCause,
        out: &mut Vec<Output>,
    ) {
        let (at, target) = match std::mem::replace(&mut self.link, Link::Over) {
            Link::Live(at) => (at, None),
            Link::Moving(at, offer) => (at, Some((offer, false))),
            Link::Releasing(at, offer, _) => (at, offer.map(|offer| (offer, true))),
            unmoved @ (Link::Vacant { .. } | Link::Seeking(_) | Link::Over) => {
                self.link = unmoved;
                return;
            }
        };
        let (epoch, worker) = (at.epoch, Some(at.worker));
        out.push(Output::Report(Report::Lost {
            epoch,
            worker,
            kind,
            detail,
        }));
        out.push(Output::Hangup { epoch, cause });
        self.account.losses += 1;
        self.account.note_replay(at.delivered, self.log.committed());
        self.recovery.since = now;
        self.recovery.failures = 0;
        self.recovery.avoid = worker;
        self.begin_alone(now);
        self.recovery.reason = AttachReason::Recovery;
        let blame = self.count_loss(now, &at, out);
        if blame >= Blame::Strike {
            if let Some((offer, _)) = target {
                let (epoch, cause) = (offer.epoch, HangupCause::Done);
                out.push(Output::Hangup { epoch, cause });
            }
            self.link = Link::Vacant {
                retry_at: now + self.limits.strike_pause,
            };
            if blame == Blame::Strike {
                return;
            }
            // Whoever asked next would be the next victim: nobody is sought any more.
            self.link = Link::Vacant {
                retry_at: Time(u64::MAX),
            };
            let detail = format!(
                "{} workers in a row failed at input {}",
                self.recovery.strikes + 1,
                self.log.committed().next()
            );
            return self.begin_end(now, EndReason::Poisoned, detail, out);
        }
        match target {
            Some((offer, true)) => self.attach(now, offer, AttachReason::Recovery, out),
            Some((offer, false)) => self.link = Link::Seeking(offer),
            None => self.succeed(now, None, AttachReason::Recovery, out),
        }
    }

    /// Attaches the worker that has accepted, or seeks one at once.
    fn succeed(
        &mut self,
        now: Time,
        target: Option<Offer>,
        reason: AttachReason,
        out: &mut Vec<Output>,
    ) {
        if let Some(offer) = target {
            return self.attach(now, offer, reason, out);
        }
        self.recovery.reason = reason;
        self.begin_alone(now);
        self.link = Link::Vacant { retry_at: now };
        if self.life.wants_worker() {
            self.seek(now, out);
        }
    }

    /// What a loss means for the session. It counts only where the session may have caused it:
    /// something was outstanding, or the worker had only just been handed the state; a commit that
    /// waits for a slow leg proves that its inputs did no harm. It is a strike where the next input
    /// was outstanding at an earlier loss too: a batch that took a worker with it is looked through
    /// one by one, and the input in it that is to blame is known at its second victim. From then on
    /// only losses count at which the session was kept apart from all others who may be to blame.
    fn count_loss(&mut self, now: Time, at: &Attachment, out: &mut Vec<Output>) -> Blame {
        let position = self.log.committed();
        let just_attached =
            at.applied == 0 && now.since(at.attached_at) < self.limits.progress_timeout;
        let survived = at.held.as_ref().map(|(commit, _)| commit.through);
        let outstanding = at.delivered > survived.unwrap_or(position);
        if !outstanding && (survived.is_some() || !just_attached) {
            return Blame::None;
        }
        let again = self.recovery.in_doubt(position);
        self.recovery.note_failed(at, &self.limits);
        let held = at.delivered.max(position.next());
        self.recovery.doubt_through = self.recovery.doubt_through.max(held);
        if !again {
            return Blame::Doubt;
        }
        if self.recovery.strikes == 0 || at.kept_apart {
            self.recovery.strikes += 1;
            let strikes = self.recovery.strikes;
            out.push(Output::Report(Report::Strike { strikes }));
        }
        if at.kept_apart && is_poison(self.recovery.strikes, &self.limits) {
            Blame::Poison
        } else {
            Blame::Strike
        }
    }

    fn attach(&mut self, now: Time, offer: Offer, reason: AttachReason, out: &mut Vec<Output>) {
        let epoch = offer.epoch;
        let patience = self.recovery.patience(&self.limits);
        let Some(mut at) = Attachment::new(offer, reason, self.recovery.since, patience, now)
        else {
            // An answer before the shell said whom it asked: the shell is at fault, ask again.
            let cause = HangupCause::Fenced;
            out.push(Output::Hangup { epoch, cause });
            self.begin_alone(now);
            self.link = Link::Vacant { retry_at: now };
            return;
        };
        at.delivered = self.log.committed();
        let held = self.end_alone(now, out);
        let replayed = std::mem::take(&mut self.account.to_replay);
        self.account.replayed += replayed;
        self.account.attachments += 1;
        self.recovery.failures = 0;
        out.push(Output::ToWorker {
            epoch,
            message: ToWorker::Attach(Box::new(self.attach_message(now, reason))),
        });
        out.push(Output::Report(Report::Attached {
            epoch,
            reason,
            worker: at.worker,
            version: at.version.clone(),
            replayed,
        }));
        if let Some((reason, _)) = at.leave {
            out.push(Output::Report(Report::MoveStarted { epoch, reason }));
        }
        self.link = Link::Live(at);
        if let Some(notice) = held {
            self.log_input(now, InputKind::Notice(notice), out);
        }
    }

    fn attach_message(&self, now: Time, reason: AttachReason) -> Attach {
        let awaits_caller = self.caller_ref().is_some();
        let running = self
            .timers
            .iter()
            .map(|(name, timer)| (name.clone(), timer.due.since(now), timer.tag));
        let fired = self
            .log
            .entries()
            .filter_map(|entry| match &entry.input.kind {
                InputKind::TimerFired {
                    name,
                    tag,
                    stale: false,
                } => Some((name.clone(), Duration::ZERO, *tag)),
                _ => None,
            });
        Attach {
            reason,
            state: self
                .state
                .entries()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            schema: self.state.schema(),
            legs: self.committed_legs.views(awaits_caller),
            timers: running.chain(fired).collect(),
            next_seq: self.log.committed().next(),
        }
    }

    fn next_back_off(&mut self) -> Duration {
        let doublings = self.recovery.failures.min(16);
        self.recovery.failures += 1;
        let wait = self.limits.seek_min * 2u32.pow(doublings);
        wait.min(self.limits.seek_max)
    }
}
