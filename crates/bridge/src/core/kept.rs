//! The caller's audio that a lost model session takes along, or that comes while there is none.
//!
//! What is needed of it is kept in the state, and the next session hears it: live speech at the end
//! of its input, finished speech whose words were not known yet in its place in the conversation.

use super::Step;
use crate::{
    ids::ItemId,
    time::millis,
    wire::{BYTES_PER_MS, openai},
};

/// Kept even while all is well: a session notices speech only after it has begun, and an end of its
/// socket is noticed late.
const LEAD_IN_BYTES: u64 = 1_000 * BYTES_PER_MS;
/// So much audio after it heard what was kept, a session has noticed the speech in it.
const SETTLED_BYTES: u64 = 2_000 * BYTES_PER_MS;
/// How much of it is told in one message.
const MESSAGE_BYTES: usize = 1_000 * BYTES_PER_MS as usize;

impl Step<'_> {
    /// Keeps a piece of the caller's audio, and forgets what is needed no more.
    pub(super) fn keep(&mut self, base64: &[u8]) {
        self.state.kept.push(base64);
        let end = self.state.kept.end();
        let ready = self.is_ready();
        if ready && self.state.link.settled_at.is_some_and(|at| at <= end) {
            self.state.link.audio_from = None;
            self.state.link.settled_at = None;
        }
        let lead_in = self.lead_in();
        let wanted = self.wanted_from().map_or(lead_in, |from| from.min(lead_in));
        let most = millis(self.settings.model.audio_kept).saturating_mul(BYTES_PER_MS);
        let before = self.state.kept.start();
        self.state.kept.trim(wanted.max(end.saturating_sub(most)));
        let lost = self.state.kept.start().saturating_sub(before.max(wanted));
        if lost > 0 && !ready {
            self.state.link.unheard_ms += lost / BYTES_PER_MS;
        }
    }

    /// Where the audio begins that is needed even if nobody was noticed to speak. A model that owes
    /// an answer and says nothing may have stopped to hear when it last said anything.
    fn lead_in(&self) -> u64 {
        let turn = &self.state.turn;
        let due = turn.active.is_some() || turn.asked || turn.answering;
        let silent_ms = match due {
            true => self.now.ms_since(self.state.clock.model_at),
            false => 0,
        };
        let bytes = LEAD_IN_BYTES.saturating_add(silent_ms.saturating_mul(BYTES_PER_MS));
        self.state.kept.end().saturating_sub(bytes)
    }

    /// Where the audio begins that may be needed once more.
    fn wanted_from(&self) -> Option<u64> {
        let utterances = self.state.turn.utterances.iter().map(|it| it.from);
        utterances.chain(self.state.link.audio_from).min()
    }

    /// The place in the caller's audio that the model calls by this time of its own.
    fn place(&self, audio_ms: Option<u64>) -> u64 {
        let end = self.state.kept.end();
        let place = match audio_ms {
            Some(ms) => {
                let heard = self.state.clock.appended_bytes;
                end.saturating_sub(heard.saturating_sub(ms.saturating_mul(BYTES_PER_MS)))
            }
            None => end.saturating_sub(LEAD_IN_BYTES),
        };
        place.clamp(self.state.kept.start(), end)
    }

    pub(super) fn utterance_begins(&mut self, item: ItemId, audio_start_ms: Option<u64>) {
        let from = self.place(audio_start_ms);
        self.state.turn.utterance_begins(item, from);
    }

    pub(super) fn utterance_ends(&mut self, audio_end_ms: Option<u64>) {
        let end = self.state.kept.end();
        let to = audio_end_ms.map_or(end, |_| self.place(audio_end_ms));
        self.state.turn.utterance_ends(to);
    }

    /// The words of an utterance are known, or never will be: its audio is needed no more.
    pub(super) fn utterance_known(&mut self, item: &ItemId) {
        if self.state.turn.utterances.iter().any(|it| it.item == *item) {
            self.state.turn.utterances.retain(|it| it.item != *item);
        }
    }

    /// A whole answer was given: what it answers need not be told again, even where no words of it
    /// will come.
    pub(super) fn utterances_answered(&mut self) {
        let wordless = !self.settings.transcribes;
        let done = |it: &crate::state::Utterance| it.to.is_some() && (it.told || wordless);
        if self.state.turn.utterances.iter().any(done) {
            self.state.turn.utterances.retain(|it| !done(it));
        }
    }

    /// Where a session begins to hear that takes the present one's place now.
    pub(super) fn unheard_from(&self) -> u64 {
        let turn = &self.state.turn;
        let lead_in = self.lead_in();
        let speaking = turn.utterances.iter().filter(|it| it.to.is_none());
        let from = speaking.map(|it| it.from).chain(self.state.link.audio_from);
        from.fold(lead_in, u64::min).max(turn.taken_in)
    }

    /// Tells the session in use what it has to hear of the past.
    pub(super) fn hear_again(&mut self) {
        self.state.clock.appended_bytes = 0;
        let end = self.state.kept.end();
        let Some(from) = self.state.link.audio_from else {
            return;
        };
        let mut past = self.state.kept.read(from, end);
        if let Some(hook) = &self.settings.to_model {
            hook.apply(&mut past);
        }
        self.state.clock.appended_bytes = past.len() as u64;
        for piece in past.chunks(MESSAGE_BYTES) {
            self.tell_model(openai::append_bytes(piece));
        }
    }

    /// The session in use is ready: soon it has noticed all speech in what it heard.
    pub(super) fn settle(&mut self) {
        self.state.link.settled_at = Some(self.state.kept.end() + SETTLED_BYTES);
    }

    /// The audio of something that the caller said and no words are known of.
    pub(super) fn speech_of(&mut self, item: &ItemId) -> Option<Vec<u8>> {
        let utterances = &mut self.state.turn.utterances;
        let utterance = utterances.iter_mut().find(|it| it.item == *item)?;
        let (from, to) = (utterance.from, utterance.to?);
        let mut audio = self.state.kept.read(from, to);
        if audio.is_empty() {
            return None;
        }
        utterance.told = true;
        if let Some(hook) = &self.settings.to_model {
            hook.apply(&mut audio);
        }
        Some(audio)
    }
}
