//! What goes to the caller: the model's audio, and its end when the caller interrupts.

use super::{Note, Step};
use crate::{
    audio,
    ids::{ItemId, ResponseId},
    state::Cut,
    wire::{self, openai, scan::Delta, twilio},
};

impl Step<'_> {
    /// One piece of the model's audio.
    pub(super) fn audio_delta(&mut self, delta: &Delta<'_>) {
        let response = ResponseId::new(&*delta.response);
        if self.state.turn.is_cancelled(&response) {
            let item = ItemId::new(&*delta.item);
            if self.state.turn.late(&response, &item) {
                // The server does not know that this never reached the caller.
                self.tell_model(openai::truncate(&item, delta.content_index, 0));
                self.state.history.agent_cut(&item, None, 0, 1);
            }
            return;
        }
        let bytes = wire::decoded_len(&delta.audio);
        let session = self.state.link.session;
        let item = (&*delta.item, delta.content_index);
        let mark = self
            .state
            .playback
            .sent(self.now, item, &response, session, bytes);
        let payload = audio::changed(self.settings.to_caller.as_deref(), &delta.audio);
        self.tell_caller(|stream| twilio::media(stream, &payload));
        self.tell_caller(|stream| twilio::mark(stream, &mark));
    }

    /// The caller speaks, or presses a key, while something is being said: be quiet at once.
    ///
    /// The order matters: the old generation is forgotten before `clear` makes the carrier echo its
    /// marks, and the model is told what was heard before it works out an answer.
    pub(super) fn interrupt(&mut self) {
        let playing = self.state.playback.is_playing(self.now);
        let active = self.state.turn.active.clone();
        if !playing && active.is_none() {
            return;
        }
        if let Some(response) = active {
            self.state.turn.cancel(response);
        }
        let cuts = self.state.playback.interrupt(self.now);
        if playing {
            self.tell_caller(twilio::clear);
        }
        self.tell_cuts(cuts);
    }

    /// What was queued for the caller is lost with the socket. Only marks tell what was heard: how
    /// long the socket was dead before anyone noticed is not known.
    pub(super) fn forget_playback(&mut self) {
        if let Some(response) = self.state.turn.active.clone() {
            // What is still to come of it would begin in the middle of a sentence.
            self.tell_model(openai::cancel(&response));
            self.state.turn.cancel(response);
            self.state.call.cut_off = true;
        }
        let cuts = self.state.playback.lost();
        self.state.call.cut_off |= !cuts.is_empty();
        self.tell_cuts(cuts);
    }

    fn tell_cuts(&mut self, cuts: Vec<Cut>) {
        let turn = self.state.turn.number;
        for cut in cuts {
            let there = self.state.link.is_there();
            let own = cut.session == self.state.link.session;
            if there && own {
                self.tell_model(openai::truncate(&cut.item, cut.content_index, cut.heard_ms));
            }
            let told = self
                .state
                .history
                .agent(&cut.item)
                .map(|(_, it)| it.clone());
            self.state.turn.cut(&cut.item);
            let so_far = self.state.speech.take(&cut.item);
            self.state
                .history
                .agent_cut(&cut.item, so_far, cut.heard_ms, cut.sent_ms);
            if let Some(told) = told.filter(|_| there && !own) {
                // An earlier session's item is in words in this one.
                self.tell_less(&cut.item, &told);
            }
            self.note(Note::Interrupted {
                turn,
                heard_ms: cut.heard_ms,
                sent_ms: cut.sent_ms,
            });
        }
    }

    /// More words of what the model is saying. They run ahead of the audio.
    pub(super) fn transcript_delta(&mut self, response: &ResponseId, item: &ItemId, words: &str) {
        if !self.state.turn.is_cancelled(response) {
            self.state.speech.add(item, words);
        }
    }

    /// All words of an item.
    pub(super) fn transcript_done(&mut self, item: &ItemId, words: &str) {
        if !self.state.speech.is_empty() {
            self.state.speech.take(item);
        }
        self.state.history.agent_said(item, words);
        let turn = self.state.turn.number;
        self.note(Note::AgentSaid {
            turn,
            words: words.to_owned().into(),
        });
    }
}
