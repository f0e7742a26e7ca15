//! A new model session is told what went before.
//!
//! A lost session cannot be resumed, so its conversation is created anew, as text: the caller's
//! words as they were understood, the model's as far as they were heard. Answers are off meanwhile.

use std::collections::BTreeSet;

use super::{Note, Step, Timer};
use crate::{ids::ItemId, state::What, wire::openai};

/// Told before everything else. Without it, models tend to greet again.
const CONTINUES: &str = "The call goes on after a short technical interruption. What follows was \
    said before it. Do not greet again, and do not mention the interruption unless asked.";

impl Step<'_> {
    /// Tells a new session everything, in one burst: events of one socket are handled in order.
    pub(super) fn seed(&mut self) {
        let text = self.settings.updates.seed.clone();
        self.tell_model(text);
        let forgotten = self.state.history.forgotten();
        let mut preface = CONTINUES.to_owned();
        if forgotten > 0 {
            preface.push_str(" The oldest part of the conversation is left out.");
        }
        if self.state.link.owed {
            preface.push_str(
                " You were about to speak, or in the middle of it: go on where you stopped. If the \
                 caller's last words are missing, ask for them again.",
            );
        }
        let mut messages = vec![openai::create_message(&name("p", 0), "system", &preface)];
        let mut calls = BTreeSet::new();
        for (number, entry) in self.state.history.entries().enumerate() {
            let item = name("", forgotten + number as u64);
            match &entry.what {
                What::Caller { words } if words.is_empty() => {
                    messages.push(openai::create_message(
                        &item,
                        "user",
                        "(The caller's words were not understood.)",
                    ))
                }
                What::Caller { words } => {
                    messages.push(openai::create_message(&item, "user", words.expose()));
                }
                What::Agent { words, .. } if words.is_empty() => {}
                What::Agent { words, .. } => {
                    messages.push(openai::create_message(&item, "assistant", words.expose()));
                }
                What::Call {
                    call,
                    name,
                    arguments,
                } => {
                    calls.insert(call);
                    messages.push(openai::create_call(&item, call, name, arguments.expose()));
                }
                // An output whose call had to give way would be refused.
                What::Output { call, output } if calls.contains(call) => {
                    messages.push(openai::create_output(&item, call, output.expose()));
                }
                What::Output { .. } | What::Unknown => {}
            }
        }
        let entries = messages.len() - 1;
        for message in messages {
            self.tell_model(message);
        }
        let text = self.settings.updates.resume.clone();
        self.tell_model(text);
        self.note(Note::Seeded { entries, forgotten });
    }

    /// The session is gone: what it was about to say is owed by the next one, and what it knew is
    /// in the history.
    pub(super) fn note_debts(&mut self) {
        let words: Vec<_> = if self.state.speech.is_empty() {
            Vec::new()
        } else {
            self.state.speech.take_all().collect()
        };
        for (item, words) in words {
            self.state.history.agent_said(&item, words.expose());
        }
        self.state.playback.complete_response(self.now, None);
        let turn = &mut *self.state.turn;
        let told: BTreeSet<u64> = turn
            .calls
            .iter()
            .filter(|call| call.done)
            .map(|call| call.number)
            .collect();
        let owed = turn
            .active
            .take()
            .is_some_and(|active| !turn.is_cancelled(&active))
            | turn.speaking
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
        self.cancel_timer(Timer::Quiet);
        self.cancel_timer(Timer::Reply);
    }
}

/// Names differ from those that items are given while a session lasts.
fn name(kind: &str, number: u64) -> ItemId {
    ItemId::new(format!("hl_h{kind}{number}"))
}
