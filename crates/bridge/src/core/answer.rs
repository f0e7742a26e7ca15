//! When the model is asked to speak: one response at a time, and never over the caller.
//!
//! The model answers by itself when the caller has finished. Everything else that wants an answer
//! (the greeting, a function's output, a key) is a wish, which waits until no response is being made
//! and nobody speaks. A response that begins after the model has confirmed what the wish is about
//! fulfils it, whoever asked.

use super::{Note, Step, Timer};
use crate::{
    ids::{ItemId, ResponseId},
    state::Wish,
    time::millis,
    wire::openai::{self, Failure, Response},
};

/// `event_id` of what asks for a response.
const ASK: &str = "hl-ask";
/// Times in a row that asking may come to nothing.
const MAX_REFUSED: u32 = 5;
/// Wait after the model was asked and answered with an error, in ms.
const AGAIN_MS: u64 = 1_000;

impl Step<'_> {
    /// An answer is wanted.
    pub(super) fn wish(&mut self, wish: Wish) {
        self.state.turn.wish = Some(wish);
        self.ask();
    }

    /// Asks for a response if one is wanted and may be made now.
    pub(super) fn ask(&mut self) {
        let turn = &*self.state.turn;
        let Some(wish) = turn.wish else {
            return;
        };
        let free = turn.active.is_none() && !turn.asked && !turn.speaking && !turn.answering;
        if !free || !self.is_ready() {
            return;
        }
        let instructions = match wish {
            Wish::Greeting => self
                .settings
                .greeting
                .as_ref()
                .and_then(|first| first.instructions.as_deref()),
            Wish::Resume | Wish::Answer => None,
        };
        let text = openai::create_response(ASK, instructions);
        self.tell_model(text);
        self.state.turn.asked = true;
        self.watch_reply();
    }

    /// Within `reply_timeout` a response has to begin, or one that has begun to go on.
    pub(super) fn watch_reply(&mut self) {
        self.set_timer(Timer::Reply, millis(self.settings.model.reply_timeout));
    }

    /// A response is being made: the model has to go on saying something.
    fn watch_response(&mut self) {
        let most = millis(self.settings.model.reply_timeout);
        let silent = self.now.ms_since(self.state.clock.model_at);
        if silent < most {
            return self.set_timer(Timer::Reply, most - silent);
        }
        self.replace_model("it fell silent in the middle of an answer");
    }

    pub(super) fn response_created(&mut self, response: ResponseId) {
        let turn = &mut *self.state.turn;
        turn.answering = false;
        if turn.asked || turn.unconfirmed.is_empty() {
            turn.wish = None;
        }
        if turn.asked {
            // Either the one asked for, or one that the model began by itself before it read the
            // request: then an error about the request follows.
            turn.doubtful = !turn.unconfirmed.is_empty();
            turn.unconfirmed.clear();
            turn.asked = false;
        }
        turn.active = Some(response.clone());
        let over_the_caller = turn.speaking;
        if over_the_caller {
            turn.cancel(response.clone());
        }
        self.watch_reply();
        if over_the_caller {
            // Asked for just before the caller began; another follows when they have finished.
            self.tell_model(openai::cancel(&response));
        }
    }

    pub(super) fn response_done(&mut self, response: &Response) {
        if response.status.as_deref() == Some("completed") {
            self.state.link.failures = 0;
            self.state.turn.refused = 0;
            self.utterances_answered();
        }
        for item in &response.output {
            self.output_item_done(&response.id, item);
        }
        self.state
            .playback
            .complete_response(self.now, Some(&response.id));
        if self.state.turn.active.as_ref() == Some(&response.id) {
            self.state.turn.active = None;
            self.state.turn.doubtful = false;
            if !self.state.turn.asked && !self.state.turn.answering {
                self.cancel_timer(Timer::Reply);
            }
        }
        if response.status.as_deref() == Some("failed") {
            self.note(Note::ModelError {
                code: "response_failed".to_owned(),
                message: String::new().into(),
                fatal: false,
            });
            self.try_again(Wish::Answer);
        }
        self.tell_outputs();
        self.ask();
    }

    /// The model has taken an item in.
    pub(super) fn confirmed(&mut self, item: &ItemId) {
        if self.state.turn.unconfirmed.contains(item) {
            self.state
                .turn
                .unconfirmed
                .retain(|waiting| waiting != item);
        }
    }

    /// Asking came to nothing.
    pub(super) fn ask_failed(&mut self, failure: &Failure) {
        if failure.event_id.as_deref() != Some(ASK) {
            return;
        }
        let asked = std::mem::take(&mut self.state.turn.asked);
        if failure.code.as_deref() == Some("conversation_already_has_active_response") {
            // The model was quicker by itself; the end of that response brings the next chance.
            if std::mem::take(&mut self.state.turn.doubtful) {
                self.state.turn.wish = Some(Wish::Answer);
            }
            return;
        }
        if !asked {
            return;
        }
        let wish = self.state.turn.wish.unwrap_or(Wish::Answer);
        self.try_again(wish);
    }

    fn try_again(&mut self, wish: Wish) {
        self.state.turn.refused += 1;
        if self.state.turn.refused > MAX_REFUSED {
            self.state.turn.wish = None;
            return self.replace_model("it refuses to answer");
        }
        self.state.turn.wish = Some(wish);
        // Not at once: what is wrong may pass.
        self.state.turn.answering = true;
        self.set_timer(Timer::Reply, AGAIN_MS);
    }

    pub(super) fn reply_timer(&mut self) {
        if self.state.turn.active.is_some() {
            return self.watch_response();
        }
        let turn = &mut *self.state.turn;
        if turn.speaking {
            return;
        }
        if turn.asked {
            turn.asked = false;
            turn.wish.get_or_insert(Wish::Answer);
            return self.replace_model("it was asked and did not answer");
        }
        // The caller has finished, and the model did not answer by itself.
        turn.answering = false;
        turn.wish.get_or_insert(Wish::Answer);
        self.ask();
    }
}
