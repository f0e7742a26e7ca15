//! What a lost model session leaves behind: what the caller is owed, and what was heard of it.

use std::collections::BTreeSet;

use super::{Step, Timer};
use crate::{private::Private, state::What};

/// How fast English is spoken, in bytes of text a second, at the speed 1.0. Only an estimate: the
/// model does not say which word belongs to which sound.
const BYTES_PER_SECOND: f64 = 15.0;

impl Step<'_> {
    /// The session is gone: what it was about to say is owed by the next one, and what it knew is
    /// in the history.
    pub(super) fn note_debts(&mut self) {
        self.note_heard();
        self.note_unheard();
        let turn = &mut *self.state.turn;
        let told: BTreeSet<u64> = turn
            .calls
            .iter()
            .filter(|call| call.done)
            .map(|call| call.number)
            .collect();
        // Where the caller speaks, the next session hears it and answers by itself.
        let owed = turn
            .active
            .take()
            .is_some_and(|active| !turn.is_cancelled(&active))
            | turn.answering
            | turn.asked
            | turn.wish.is_some()
            | !told.is_empty();
        // Outputs that are known already travel with the history.
        turn.calls.retain(|call| !told.contains(&call.number));
        turn.speaking = false;
        turn.answering = false;
        turn.asked = false;
        turn.refused = 0;
        turn.unconfirmed.clear();
        self.state.link.owed |= owed && self.state.call.greeted;
        for timer in [Timer::Quiet, Timer::Reply, Timer::Rollover] {
            self.cancel_timer(timer);
        }
    }

    /// Of an answer that was cut, what the carrier has goes on to be heard, and nothing more. Its
    /// transcript runs ahead of its audio.
    fn note_heard(&mut self) {
        let mut words: Vec<_> = self.state.speech.take_all().collect();
        for (item, sent_ms) in self.state.playback.unfinished() {
            let at = words.iter().position(|(id, _)| *id == item);
            let known = match at {
                Some(at) => Some(words.swap_remove(at).1),
                None => self.state.history.agent(&item).map(|(_, it)| it.clone()),
            };
            if let Some(known) = known {
                let whole_ms = self.spoken_ms(&known).max(sent_ms);
                let heard = known.share(sent_ms, whole_ms);
                self.state.history.agent_lost(&item, heard);
            }
        }
        self.state.playback.complete_response(self.now, None);
    }

    /// What the caller said without being understood is kept: the present session was to hear it.
    fn note_unheard(&mut self) {
        let known = self.state.link.audio_from;
        self.state.link.audio_from = match self.is_ready() {
            true => Some(self.unheard_from()),
            false => known.map(|from| from.max(self.state.turn.taken_in)),
        };
        self.state.link.settled_at = None;
        self.state.turn.utterances.retain(|it| it.to.is_some());
        let said: Vec<_> = self.state.turn.utterances.iter().cloned().collect();
        for utterance in said {
            let words = Private::default();
            self.state
                .history
                .add(&utterance.item, What::Caller { words });
        }
    }

    /// How long it takes to say this, in ms.
    fn spoken_ms(&self, words: &Private) -> u64 {
        let rate = BYTES_PER_SECOND * f64::from(self.settings.speed);
        let seconds = f64::from(u32::try_from(words.len()).unwrap_or(u32::MAX)) / rate;
        std::time::Duration::try_from_secs_f64(seconds).map_or(u64::MAX, crate::time::millis)
    }
}
