//! The model's leg: set up, lost, opened again. See [`Phase`] for the diagram.
//!
//! Settings go first, audio right behind them: events of one socket are handled in order, so nothing
//! has to be held back until they are confirmed. Only what asks for an answer waits for that.

use super::{
    Action, Note, Step, Timer,
    event::{Facts, ModelClosed, Refusal},
};
use crate::{
    config::ExistingCalls,
    state::{Phase, Wish},
    time::millis,
};

/// Close codes with which the model says that asking again is of no use: wrong key, invalid request.
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
        match facts.model {
            Some(incarnation) => {
                self.state.link.incarnation = incarnation;
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

    pub(super) fn model_opened(&mut self, incarnation: u32) {
        let known = self.state.link.incarnation;
        if incarnation <= known {
            return;
        }
        self.state.link.incarnation = incarnation;
        if self.state.link.phase == Phase::Waiting {
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
        link.lost_at = None;
        let (expires_at, unheard_ms) = (link.expires_at, std::mem::take(&mut link.unheard_ms));
        let owed = std::mem::take(&mut link.owed);
        self.cancel_timer(Timer::Model);
        self.note(Note::ModelReady {
            expires_at,
            unheard_ms,
        });
        self.adopt_settings();
        if !self.state.call.greeted {
            self.state.call.greeted = true;
            if self.settings.greeting.is_some() && self.state.history.is_empty() {
                self.state.turn.wish = Some(Wish::Greeting);
            }
        }
        if owed && self.state.turn.wish.is_none() {
            self.state.turn.wish = Some(Wish::Resume);
        }
        self.tell_outputs();
        self.ask();
    }

    pub(super) fn model_closed(&mut self, closed: &ModelClosed<'_>) {
        let link = &mut *self.state.link;
        if closed.incarnation < link.incarnation {
            return;
        }
        link.incarnation = closed.incarnation;
        let was_in_use = std::mem::take(&mut link.name_in_use);
        if !link.is_there() {
            if was_in_use {
                self.model_timer();
            }
            return;
        }
        if self.state.call.away {
            // The edge closes it when a call is over.
            self.note_debts();
            self.state.link.phase = Phase::Waiting;
            return;
        }
        self.note(Note::ModelLost {
            code: closed.code,
            reason: closed.reason.to_owned(),
            attempt: self.state.link.failures,
        });
        if FATAL_CODES.contains(&closed.code) {
            return self.give_up(format!(
                "the model refuses the session: close code {} {}",
                closed.code, closed.reason
            ));
        }
        self.lost();
    }

    pub(super) fn model_refused(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::UnknownUpstream => {
                let upstream = &self.settings.model.upstream;
                let reason =
                    format!("the edge has no upstream named {upstream:?}: see model.upstream");
                self.give_up(reason);
            }
            _ if self.state.link.phase != Phase::Setup => {}
            Refusal::NameInUse => {
                // Not a failure of the model: it opens or closes, and either will be heard of.
                self.not_opened();
                self.note_debts();
                self.state.link.phase = Phase::Waiting;
                self.state.link.name_in_use = true;
                self.set_timer(Timer::Model, millis(self.settings.model.ready_timeout));
            }
            Refusal::TooManyLegs => {
                self.not_opened();
                self.state.link.failures = self.state.link.failures.max(1);
                self.lost();
            }
        }
    }

    /// No opening came of the last attempt.
    fn not_opened(&mut self) {
        let link = &mut *self.state.link;
        link.incarnation = link.incarnation.saturating_sub(1);
    }

    /// The leg is there and of no use: close it, and open another.
    pub(super) fn replace_model(&mut self, reason: &'static str) {
        if !self.state.link.is_there() {
            return;
        }
        self.out.push(Action::CloseModel { reason });
        self.note(Note::ModelLost {
            code: 0,
            reason: reason.to_owned(),
            attempt: self.state.link.failures,
        });
        // Not at once: its name is in use until it is closed.
        self.state.link.failures = self.state.link.failures.max(1);
        self.lost();
    }

    /// Opens the leg where none is there or on its way.
    pub(super) fn reopen(&mut self) {
        if self.state.link.phase == Phase::Waiting {
            self.open();
        }
    }

    pub(super) fn model_timer(&mut self) {
        match self.state.link.phase {
            Phase::Waiting if self.state.call.away => {}
            Phase::Waiting if self.state.link.name_in_use => self.lost(),
            Phase::Waiting => self.open(),
            Phase::Setup => self.replace_model("it did not confirm its settings in time"),
            Phase::New | Phase::Ready | Phase::Over => {}
        }
    }

    /// Ends the call: silence for ever is worse than what the carrier has been told to do next.
    pub(super) fn give_up(&mut self, reason: String) {
        if self.state.link.phase == Phase::Over {
            return;
        }
        self.state.link.phase = Phase::Over;
        self.out.push(Action::End { reason });
    }

    /// Notes what is owed, and waits for the next attempt: none before the first, then longer each
    /// time.
    fn lost(&mut self) {
        self.note_debts();
        let model = &self.settings.model;
        let failures = self.state.link.failures;
        if failures >= model.attempts {
            return self.give_up(format!("the model was lost {failures} times in a row"));
        }
        let link = &mut *self.state.link;
        link.failures += 1;
        link.phase = Phase::Waiting;
        link.name_in_use = false;
        link.lost_at.get_or_insert(self.now);
        match failures {
            0 => self.open(),
            _ => {
                let doubled = millis(model.backoff_min).saturating_mul(1 << (failures - 1).min(20));
                self.set_timer(Timer::Model, doubled.min(millis(model.backoff_max)));
            }
        }
    }

    fn open(&mut self) {
        self.out.push(Action::OpenModel {
            upstream: self.settings.model.upstream.clone(),
            attributes: self.settings.model.attributes.clone(),
        });
        self.state.link.incarnation += 1;
        self.set_up();
    }

    /// Sends the settings, and what went before, to a leg that is open or being opened.
    fn set_up(&mut self) {
        self.state.clock.appended_bytes = 0;
        self.state.call.settings = self.settings.updates.hash;
        self.state.link.phase = Phase::Setup;
        self.state.link.name_in_use = false;
        self.state.link.expires_at = None;
        if self.state.history.is_empty() {
            self.state.link.unconfirmed = 1;
            let text = self.settings.updates.start.clone();
            self.tell_model(text);
        } else {
            self.state.link.unconfirmed = 2;
            self.seed();
        }
        self.set_timer(Timer::Model, millis(self.settings.model.ready_timeout));
    }
}
