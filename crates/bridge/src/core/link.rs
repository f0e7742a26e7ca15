//! The model's leg: set up, lost, opened again. See [`Phase`] for the diagram.
//!
//! Settings go first, what went before and the caller's audio right behind them: events of one
//! socket are handled in order, so nothing has to be held back until they are confirmed. Only what
//! asks for an answer waits for that. The audio is kept meanwhile, in case nothing comes of it.

use super::{
    Action, Note, Step, Timer,
    event::{Facts, ModelClosed, Refusal},
};
use crate::{
    config::ExistingCalls,
    state::{ModelLeg, Phase, Wish},
    time::millis,
};

/// Close codes with which the model says that asking again is of no use: wrong key, invalid request.
/// Source: seen on the wire; the vendor documents none.
const FATAL_CODES: [u16; 2] = [3_000, 4_000];

impl Step<'_> {
    /// Begins a call that nobody has begun.
    pub(super) fn begin(&mut self, facts: &Facts) {
        if self.state.link.phase != Phase::New {
            return;
        }
        self.state.call.call_sid = facts.call_sid.clone();
        self.state.call.stream = facts.stream.clone();
        self.state.clock.restart(self.now);
        self.state.link.lost_at = Some(self.now);
        self.state.link.audio_from = Some(0);
        match facts.model {
            Some(incarnation) => {
                *self.state.link.opening_mut(ModelLeg::First) = incarnation;
                self.set_up();
            }
            None => {
                // What befell an opening of the edge's own may be among the inputs to come. A timer
                // fires behind all of them, and only then it is clear which opening is the next.
                self.state.link.phase = Phase::Waiting;
                self.set_timer(Timer::Model, 0);
            }
        }
    }

    /// Tells the model the settings of this worker where it was told those of another.
    pub(super) fn adopt_settings(&mut self) {
        let ours = self.settings.updates.hash;
        let keep = self.settings.existing_calls == ExistingCalls::Keep;
        if !self.is_ready() || keep || self.state.call.settings == ours {
            return;
        }
        self.state.call.settings = ours;
        let text = self.settings.updates.change.clone();
        self.tell_model(text);
        self.note(Note::SettingsChanged);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.state.link.phase == Phase::Ready
    }

    pub(super) fn model_opened(&mut self, leg: ModelLeg, incarnation: u32) {
        if incarnation <= self.state.link.opening(leg) {
            return;
        }
        *self.state.link.opening_mut(leg) = incarnation;
        if leg == self.state.link.leg && self.state.link.phase == Phase::Waiting {
            // Nobody waits for this one, but it is there: a second one could not be opened.
            self.set_up();
        }
    }

    pub(super) fn settings_confirmed(&mut self) {
        if self.state.link.phase != Phase::Setup {
            return;
        }
        let link = &mut *self.state.link;
        link.unconfirmed = link.unconfirmed.saturating_sub(1);
        if link.unconfirmed > 0 {
            return;
        }
        link.phase = Phase::Ready;
        let (expires_at, unheard_ms) = (link.expires_at, std::mem::take(&mut link.unheard_ms));
        let (owed, lost_at) = (std::mem::take(&mut link.owed), link.lost_at.take());
        self.cancel_timer(Timer::Model);
        self.note(Note::ModelReady {
            expires_at,
            away_ms: lost_at.map_or(0, |at| self.now.ms_since(at)),
            unheard_ms,
        });
        self.settle();
        self.plan_rollover();
        self.adopt_settings();
        let first = !std::mem::replace(&mut self.state.call.greeted, true);
        let unsaid = self.settings.greeting.is_some() && self.state.history.is_empty();
        if (first || owed) && unsaid {
            self.state.turn.wish = Some(Wish::Greeting);
        } else if owed && self.state.turn.wish.is_none() {
            self.state.turn.wish = Some(Wish::Resume);
        }
        self.tell_outputs();
        self.ask();
    }

    pub(super) fn model_closed(&mut self, closed: &ModelClosed<'_>) {
        if closed.incarnation < self.state.link.opening(closed.leg) {
            return;
        }
        *self.state.link.opening_mut(closed.leg) = closed.incarnation;
        if self.state.link.is_spare(closed.leg) {
            return self.spare_lost(closed.reason);
        }
        if closed.leg != self.state.link.leg {
            return;
        }
        let was_in_use = std::mem::take(&mut self.state.link.name_in_use);
        if !self.state.link.is_there() {
            if was_in_use {
                self.model_timer();
            }
            return;
        }
        if self.state.call.away {
            // The edge closes it when a call is over.
            self.close_spare();
            self.note_debts();
            self.state.link.phase = Phase::Waiting;
            return;
        }
        self.note(Note::ModelLost {
            code: closed.code,
            reason: closed.reason.to_owned(),
            attempt: self.state.link.failures,
        });
        if closed.refused || FATAL_CODES.contains(&closed.code) {
            return self.give_up(format!(
                "the model refuses the session: {} {}",
                closed.code, closed.reason
            ));
        }
        self.lost();
    }

    pub(super) fn model_refused(&mut self, leg: ModelLeg, refusal: Refusal) {
        if self.state.link.is_spare(leg) {
            return self.spare_refused(refusal);
        }
        match refusal {
            _ if leg != self.state.link.leg => {}
            Refusal::UnknownUpstream => {
                let upstream = &self.settings.model.upstream;
                let reason =
                    format!("the edge has no upstream named {upstream:?}: see model.upstream");
                self.give_up(reason);
            }
            _ if self.state.link.phase != Phase::Setup => {}
            Refusal::NameInUse => {
                // Not a failure of the model: it opens or closes, and either will be heard of.
                self.not_opened(leg);
                self.note_debts();
                self.state.link.phase = Phase::Waiting;
                self.state.link.name_in_use = true;
                self.wait_for_model(millis(self.settings.model.ready_timeout));
            }
            Refusal::TooManyLegs => {
                self.not_opened(leg);
                self.state.link.failures = self.state.link.failures.max(1);
                self.lost();
            }
        }
    }

    /// No opening came of the last attempt.
    pub(super) fn not_opened(&mut self, leg: ModelLeg) {
        let opening = self.state.link.opening_mut(leg);
        *opening = opening.saturating_sub(1);
    }

    /// The leg is there and of no use: close it, and open another.
    pub(super) fn replace_model(&mut self, reason: &'static str) {
        if !self.state.link.is_there() {
            return;
        }
        self.close_spare();
        let leg = self.state.link.leg;
        self.out.push(Action::CloseModel { leg, reason });
        self.note(Note::ModelLost {
            code: 0,
            reason: reason.to_owned(),
            attempt: self.state.link.failures,
        });
        self.lost_for(leg.other());
    }

    /// Somebody is there again who can be talked to.
    pub(super) fn reopen(&mut self) {
        if self.state.link.phase == Phase::Waiting {
            self.state.link.lost_at = Some(self.now);
            self.open();
        }
    }

    pub(super) fn model_timer(&mut self) {
        let link = &self.state.link;
        match link.phase {
            Phase::New | Phase::Ready | Phase::Over => {}
            Phase::Waiting if self.state.call.away => {}
            Phase::Waiting | Phase::Setup if self.time_left() == 0 => self.no_model(),
            Phase::Waiting if link.name_in_use => self.lost(),
            Phase::Waiting => self.open(),
            Phase::Setup => self.replace_model("it did not confirm its settings in time"),
        }
    }

    /// Hands the call back: silence for ever is worse than what the carrier has been told to do
    /// next.
    pub(super) fn give_up(&mut self, reason: String) {
        if self.state.link.phase == Phase::Over {
            return;
        }
        self.state.link.phase = Phase::Over;
        self.out.push(Action::HandBack { reason });
    }

    fn no_model(&mut self) {
        let most = self.settings.model.give_up;
        self.give_up(format!("there was no model for {most:?}"));
    }

    /// Notes what is owed, and waits for the next attempt: none before the first, then longer each
    /// time.
    fn lost(&mut self) {
        self.close_spare();
        self.lost_for(self.state.link.leg);
    }

    /// As [`Self::lost`]; the next session is to be opened under this name.
    fn lost_for(&mut self, leg: ModelLeg) {
        self.note_debts();
        let model = &self.settings.model;
        let failures = self.state.link.failures;
        if failures >= model.attempts {
            return self.give_up(format!("the model was lost {failures} times in a row"));
        }
        let link = &mut *self.state.link;
        link.leg = leg;
        link.failures += 1;
        link.phase = Phase::Waiting;
        link.name_in_use = false;
        link.lost_at.get_or_insert(self.now);
        if self.time_left() == 0 {
            return self.no_model();
        }
        match failures {
            0 => self.open(),
            _ => {
                let doubled = millis(model.backoff_min).saturating_mul(1 << (failures - 1).min(20));
                self.wait_for_model(doubled.min(millis(model.backoff_max)));
            }
        }
    }

    /// How long the caller may still be without a model, in ms.
    fn time_left(&self) -> u64 {
        let most = millis(self.settings.model.give_up);
        let gone = self
            .state
            .link
            .lost_at
            .map_or(0, |at| self.now.ms_since(at));
        most.saturating_sub(gone)
    }

    fn wait_for_model(&mut self, ms: u64) {
        let left = self.time_left();
        self.set_timer(Timer::Model, ms.min(left));
    }

    fn open(&mut self) {
        self.open_leg(self.state.link.leg);
        self.set_up();
    }

    /// Asks for a leg of this name.
    pub(super) fn open_leg(&mut self, leg: ModelLeg) {
        self.out.push(Action::OpenModel {
            leg,
            upstream: self.settings.model.upstream.clone(),
            attributes: self.settings.model.attributes.clone(),
        });
        *self.state.link.opening_mut(leg) += 1;
    }

    /// Sends the settings, what went before and what was said meanwhile to a leg that is open or
    /// being opened.
    fn set_up(&mut self) {
        self.state.call.settings = self.settings.updates.hash;
        let leg = self.state.link.leg;
        let unconfirmed = self.introduce(leg);
        let link = &mut *self.state.link;
        link.session += 1;
        link.phase = Phase::Setup;
        link.name_in_use = false;
        link.expires_at = None;
        link.unconfirmed = unconfirmed;
        self.hear_again();
        self.wait_for_model(millis(self.settings.model.ready_timeout));
    }

    /// Tells a new session its settings and what was said. Answers how many confirmations follow.
    pub(super) fn introduce(&mut self, leg: ModelLeg) -> u32 {
        if self.state.history.is_empty() {
            let text = self.settings.updates.start.clone();
            self.tell(leg, text);
            return 1;
        }
        self.seed(leg);
        2
    }
}
