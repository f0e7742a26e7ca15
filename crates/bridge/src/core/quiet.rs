//! Silence while the caller is believed to speak.
//!
//! When the carrier stops sending in the middle of a sentence, the model never hears the silence
//! that would end the turn, and the call hangs. So silence is sent in its place. The timer runs
//! only while someone speaks, and is not set anew with every frame.

use super::{Note, Step, Timer};
use crate::{ids::ItemId, time::millis};

/// After so much silence in a row the model has noticed, or never will.
const MAX_INJECTED_MS: u64 = 30_000;

impl Step<'_> {
    /// The model believes that the caller begins to speak.
    pub(super) fn speech_started(&mut self, item: ItemId, audio_start_ms: Option<u64>) {
        self.state.turn.speaking = true;
        self.state.turn.answering = false;
        self.state.turn.injected_ms = 0;
        self.state.turn.number += 1;
        self.utterance_begins(item, audio_start_ms);
        self.interrupt();
        self.set_timer(Timer::Quiet, millis(self.settings.silence.quiet_after));
    }

    /// The model believes that the caller has finished, and will answer by itself.
    pub(super) fn speech_stopped(&mut self, audio_end_ms: Option<u64>) {
        self.state.turn.speaking = false;
        self.state.turn.answering = true;
        self.utterance_ends(audio_end_ms);
        self.cancel_timer(Timer::Quiet);
        self.watch_reply();
    }

    pub(super) fn quiet_timer(&mut self) {
        if !self.state.turn.speaking || self.state.turn.injected_ms >= MAX_INJECTED_MS {
            return;
        }
        let after = millis(self.settings.silence.quiet_after);
        let quiet = self.state.clock.quiet_ms(self.now);
        if quiet < after {
            return self.set_timer(Timer::Quiet, after - quiet);
        }
        let ms = millis(self.settings.silence.inject);
        self.send_silence(ms);
        self.state.clock.fill(ms);
        self.state.turn.injected_ms += ms;
        self.set_timer(Timer::Quiet, ms);
    }

    /// The caller's words became known.
    pub(super) fn caller_said(&mut self, item: &ItemId, words: &str) {
        self.utterance_known(item);
        self.state.history.caller_said(item, words);
        let turn = self.state.turn.number;
        self.note(Note::CallerSaid {
            turn,
            words: words.trim().to_owned().into(),
        });
    }
}
