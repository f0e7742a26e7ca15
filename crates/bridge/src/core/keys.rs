//! Keys that the caller presses: collected, then told to the model in words.

use super::{Note, Step, Timer};
use crate::{
    private::Private,
    state::{What, Wish},
    time::millis,
    wire::openai,
};

impl Step<'_> {
    pub(super) fn key_pressed(&mut self, key: &str) {
        let Some(keys) = &self.settings.dtmf else {
            return;
        };
        if key.chars().count() != 1 {
            return;
        }
        if keys.interrupt && self.state.turn.digits.is_empty() {
            self.stop_talking();
        }
        if key == keys.terminator {
            return self.keys_done();
        }
        self.state.turn.digits.push_within(key, keys.max_digits);
        if self.state.turn.digits.len() >= keys.max_digits {
            return self.keys_done();
        }
        self.set_timer(Timer::Keys, millis(keys.gap));
    }

    pub(super) fn keys_timer(&mut self) {
        self.keys_done();
    }

    fn keys_done(&mut self) {
        let Some(keys) = &self.settings.dtmf else {
            return;
        };
        if self.state.turn.digits.is_empty() {
            return;
        }
        self.cancel_timer(Timer::Keys);
        let digits = std::mem::take(&mut self.state.turn.digits);
        let words = keys.message.replace("{digits}", digits.expose());
        self.note(Note::KeysPressed { keys: digits });
        let item = self.state.turn.make_item();
        self.state.history.add(
            &item,
            What::Caller {
                words: Private::from(words.clone()),
            },
        );
        if self.state.link.is_there() {
            self.tell_model(openai::create_message(&item, "user", &words));
        }
        if keys.respond {
            self.state.turn.await_confirmation(item);
            self.wish(Wish::Answer);
        }
    }

    /// Stops what is being said; the model does that by itself only when it hears speech.
    fn stop_talking(&mut self) {
        if let Some(response) = self.state.turn.active.clone()
            && !self.state.turn.is_cancelled(&response)
        {
            self.tell_model(openai::cancel(&response));
        }
        self.interrupt();
    }
}
