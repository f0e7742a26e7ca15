//! The next model session, before the present one ends by itself.
//!
//! The vendor ends every session after 60 minutes, without a warning. So an old one is replaced while
//! nobody notices: while nothing is being made up or said, a second session is opened and told what
//! was said; once the caller has heard all that was said to them, it takes over, and hears the last
//! second of the caller once more. If anything happens in between, it is closed, and the next quiet
//! moment is used. Where there was none for long, the session is replaced as if it were lost.

use super::{Action, Note, Step, Timer, event::Refusal};
use crate::{
    state::Spare,
    time::millis,
    wire::{
        openai::{self, ModelEvent},
        session::SETUP,
    },
};

/// After a try that came to nothing because somebody spoke, in ms.
const AGAIN_MS: u64 = 1_000;
/// After one whose leg could not be had; doubles up to the second value, in ms.
const REFUSED_MS: u64 = 1_000;
const REFUSED_MAX_MS: u64 = 30_000;
/// Why an old session's leg is closed.
const REPLACED: &str = "another session takes its place";

impl Step<'_> {
    /// A session is ready: from now on its time runs.
    pub(super) fn plan_rollover(&mut self) {
        self.state.link.rollover = crate::state::Rollover::default();
        if let Some(rollover) = self.settings.model.rollover.get() {
            let after = millis(rollover.after);
            self.set_timer(Timer::Rollover, after);
        }
    }

    pub(super) fn rollover_timer(&mut self) {
        let Some(times) = self.settings.model.rollover.get() else {
            return;
        };
        if !self.is_ready() || self.state.call.away {
            return;
        }
        if !self.state.link.rollover.due {
            self.state.link.rollover.due = true;
            let rest = millis(times.by).saturating_sub(millis(times.after));
            return self.set_timer(Timer::Rollover, rest);
        }
        if self.state.link.rollover.refused == 0 {
            self.replace_model("its time is nearly over, and there was no quiet moment");
        }
        // Where no other can be had, this one serves as long as it lasts.
    }

    /// Does what can be done now for an old session to be replaced. Called after every input.
    pub(super) fn roll_over(&mut self) {
        if !self.state.link.rollover.due || !self.is_ready() || self.state.call.away {
            return;
        }
        let idle = self.is_idle();
        let Some(spare) = &self.state.link.rollover.spare else {
            if idle && self.now >= self.state.link.rollover.again_at {
                self.open_spare();
            }
            return;
        };
        let late = self.now.ms_since(spare.since) > millis(self.settings.model.ready_timeout);
        if late && spare.unconfirmed > 0 {
            self.close_spare();
            self.spare_failed("it did not confirm its settings in time");
        } else if !idle || spare.revision != self.state.history.revision() {
            self.close_spare();
            self.state.link.rollover.again_at = self.now.plus_ms(AGAIN_MS);
        } else if spare.unconfirmed == 0 && !self.state.playback.is_playing(self.now) {
            self.take_spare();
        }
    }

    /// Nothing is being said to the model or made up by it. The caller may still be listening.
    fn is_idle(&self) -> bool {
        let turn = &self.state.turn;
        let busy = turn.active.is_some()
            || turn.speaking
            || turn.answering
            || turn.asked
            || turn.wish.is_some();
        !busy && turn.calls.is_empty() && turn.unconfirmed.is_empty() && turn.digits.is_empty()
    }

    fn open_spare(&mut self) {
        let leg = self.state.link.leg.other();
        self.open_leg(leg);
        let unconfirmed = self.introduce(leg);
        self.state.link.rollover.spare = Some(Spare {
            since: self.now,
            unconfirmed,
            revision: self.state.history.revision(),
            settings: self.settings.updates.hash,
            expires_at: None,
        });
    }

    /// A message of the spare session.
    pub(super) fn spare_frame(&mut self, text: &[u8]) {
        let Some(spare) = &mut self.state.link.rollover.spare else {
            return;
        };
        match openai::parse(text) {
            Some(ModelEvent::SessionCreated { session }) => spare.expires_at = session.expires_at,
            Some(ModelEvent::SessionUpdated {}) => {
                spare.unconfirmed = spare.unconfirmed.saturating_sub(1);
            }
            Some(ModelEvent::Error { error }) if error.event_id.as_deref() == Some(SETUP) => {
                self.close_spare();
                self.spare_failed("it refused its settings");
            }
            _ => {}
        }
    }

    /// The spare session's leg is closed, or could not be opened.
    pub(super) fn spare_lost(&mut self, reason: &str) {
        self.state.link.rollover.spare = None;
        self.spare_failed(reason);
    }

    pub(super) fn spare_refused(&mut self, refusal: Refusal) {
        self.not_opened(self.state.link.leg.other());
        self.spare_lost(match refusal {
            Refusal::UnknownUpstream => "the edge does not know its upstream",
            Refusal::NameInUse => "the leg of an earlier one still closes",
            Refusal::TooManyLegs => "the edge allows no more legs",
        });
    }

    /// Closes the spare session where there is one.
    pub(super) fn close_spare(&mut self) {
        if self.state.link.rollover.spare.take().is_some() {
            self.out.push(Action::CloseModel {
                leg: self.state.link.leg.other(),
                reason: "it is not needed",
            });
        }
    }

    fn spare_failed(&mut self, reason: &str) {
        let rollover = &mut self.state.link.rollover;
        let wait = REFUSED_MS << rollover.refused.min(10);
        rollover.refused = rollover.refused.saturating_add(1);
        rollover.again_at = self.now.plus_ms(wait.min(REFUSED_MAX_MS));
        self.note(Note::SpareFailed {
            reason: reason.to_owned(),
        });
    }

    /// The spare session takes over.
    fn take_spare(&mut self) {
        let Some(spare) = self.state.link.rollover.spare.take() else {
            return;
        };
        let from = self.unheard_from();
        let link = &mut *self.state.link;
        let old = link.leg;
        link.leg = old.other();
        link.session += 1;
        link.expires_at = spare.expires_at;
        link.audio_from = Some(from);
        self.state.call.settings = spare.settings;
        self.out.push(Action::CloseModel {
            leg: old,
            reason: REPLACED,
        });
        self.hear_again();
        self.settle();
        self.note(Note::RolledOver {
            expires_at: spare.expires_at,
        });
        self.plan_rollover();
        self.adopt_settings();
    }
}
