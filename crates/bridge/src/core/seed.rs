//! A new model session is told what went before.
//!
//! A lost session cannot be resumed, so its conversation is created anew: the caller's words as they
//! were understood (or else how they sounded), the model's as far as they were heard. Answers are
//! off meanwhile.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{Note, Step};
use crate::{
    ids::ItemId,
    private::Private,
    state::{ModelLeg, What},
    wire::openai,
};

/// Told before everything else. Without it, models tend to greet again.
const CONTINUES: &str = "The call goes on after a short technical interruption. What follows was \
    said before it. Do not greet again, and do not mention the interruption unless asked.";

impl Step<'_> {
    /// Tells a new session everything, in one burst: events of one socket are handled in order.
    pub(super) fn seed(&mut self, leg: ModelLeg) {
        let text = self.settings.updates.seed.clone();
        self.tell(leg, text);
        let preface = self.preface();
        self.tell(
            leg,
            openai::create_message(&name("p", 0), "system", &preface),
        );
        let forgotten = self.state.history.forgotten();
        let entries: Vec<_> = self.state.history.entries().cloned().collect();
        let mut calls = BTreeSet::new();
        let mut told = 0;
        for (number, entry) in (forgotten..).zip(&entries) {
            let item = name("", number);
            let message = match &entry.what {
                What::Caller { words } => self.caller_message(&item, &entry.item, words),
                What::Agent { words, .. } if words.is_empty() => continue,
                What::Agent { words, .. } => {
                    openai::create_message(&item, "assistant", words.expose())
                }
                What::News { words } => openai::create_message(&item, "system", words.expose()),
                What::Call {
                    call,
                    name,
                    arguments,
                } => {
                    calls.insert(call);
                    openai::create_call(&item, call, name, arguments.expose())
                }
                // An output whose call had to give way would be refused.
                What::Output { call, output } if calls.contains(call) => {
                    openai::create_output(&item, call, output.expose())
                }
                What::Output { .. } | What::Unknown => continue,
            };
            self.tell(leg, message);
            told += 1;
        }
        let text = self.settings.updates.resume.clone();
        self.tell(leg, text);
        self.note(Note::Seeded {
            entries: told,
            forgotten,
        });
    }

    /// The words of the model in an item of an earlier session were interrupted after all: the
    /// present session was told more than was heard.
    pub(super) fn tell_less(&mut self, item: &ItemId, told: &Private) {
        let Some((number, heard)) = self.state.history.agent(item) else {
            return;
        };
        let old = name("", number);
        let messages = match heard.expose() {
            _ if told.is_empty() || heard == told => return,
            "" => vec![openai::delete(&old)],
            words => openai::replace_message(&old, &name("c", number), "assistant", words).to_vec(),
        };
        for message in messages {
            self.tell_model(message);
        }
    }

    fn preface(&self) -> String {
        let mut preface = CONTINUES.to_owned();
        if self.state.history.forgotten() > 0 {
            preface.push_str(" The oldest part of the conversation is left out.");
        }
        if self.state.link.owed {
            preface.push_str(
                " You were about to speak, or in the middle of it: go on where you stopped.",
            );
        }
        if self.state.link.unheard_ms > 0 {
            preface.push_str(" Some of the caller's last words are missing: ask for them again.");
        }
        preface
    }

    /// What the caller said: in words, or else as it sounded.
    fn caller_message(&mut self, name: &ItemId, item: &ItemId, words: &Private) -> Bytes {
        if !words.is_empty() {
            return openai::create_message(name, "user", words.expose());
        }
        match self.speech_of(item) {
            Some(audio) => openai::create_speech(name, &audio),
            None => {
                openai::create_message(name, "user", "(The caller's words were not understood.)")
            }
        }
    }
}

/// Names differ from those that items are given while a session lasts.
fn name(kind: &str, number: u64) -> ItemId {
    ItemId::new(format!("hl_h{kind}{number}"))
}
