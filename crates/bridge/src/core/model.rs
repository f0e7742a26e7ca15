//! What comes from the model.

use std::borrow::Cow;

use super::{Note, Step};
use crate::{
    ids::ItemId,
    private::Private,
    state::{ModelLeg, What},
    wire::{
        openai::{self, Failure, Item, ModelEvent},
        scan::{self, Delta},
        session::SETUP,
    },
};

impl Step<'_> {
    /// A message on one of the two legs; on one that is being closed nothing matters any more.
    pub(super) fn any_model_frame(&mut self, leg: ModelLeg, text: &[u8]) {
        if leg == self.state.link.leg {
            self.model_frame(text);
        } else if self.state.link.is_spare(leg) {
            self.spare_frame(text);
        }
    }

    fn model_frame(&mut self, text: &[u8]) {
        self.state.clock.model_at = self.now;
        if let Some(delta) = scan::delta(text) {
            return self.audio_delta(&delta);
        }
        match openai::parse(text) {
            Some(event) => self.model_event(event),
            None => self.note(Note::Malformed {
                leg: "model",
                bytes: text.len(),
            }),
        }
    }

    fn model_event(&mut self, event: ModelEvent) {
        match event {
            ModelEvent::SessionCreated { session } => {
                self.state.link.expires_at = session.expires_at;
            }
            ModelEvent::SessionUpdated {} => self.settings_confirmed(),
            ModelEvent::Error { error } => self.model_error(error),
            ModelEvent::SpeechStarted {
                audio_start_ms,
                item_id,
            } => self.speech_started(item_id, audio_start_ms),
            ModelEvent::SpeechStopped { audio_end_ms } => self.speech_stopped(audio_end_ms),
            ModelEvent::ItemAdded { item } => self.item_added(&item),
            ModelEvent::UserTranscript {
                item_id,
                transcript,
            } => {
                self.caller_said(&item_id, &transcript);
            }
            ModelEvent::UserTranscriptFailed { item_id } => self.utterance_known(&item_id),
            ModelEvent::ResponseCreated { response } => self.response_created(response.id),
            ModelEvent::TranscriptDelta {
                response_id,
                item_id,
                delta,
            } => self.transcript_delta(&response_id, &item_id, &delta),
            ModelEvent::TranscriptDone {
                item_id,
                transcript,
            } => {
                self.transcript_done(&item_id, &transcript);
            }
            ModelEvent::AudioDelta {
                response_id,
                item_id,
                content_index,
                delta,
            } => self.audio_delta(&Delta {
                response: Cow::Owned(response_id),
                item: Cow::Owned(item_id),
                content_index,
                audio: Cow::Owned(delta.into_bytes()),
            }),
            ModelEvent::AudioDone { item_id } => self.state.playback.complete(self.now, &item_id),
            ModelEvent::OutputItemDone { response_id, item } => {
                self.output_item_done(&response_id, &item);
            }
            ModelEvent::ResponseDone { response } => self.response_done(&response),
            ModelEvent::Other => {}
        }
    }

    /// Fixes the item's place in the order of the conversation; its words come later.
    fn item_added(&mut self, item: &Item) {
        self.confirmed(&item.id);
        if item.kind != "message" || item.id == ItemId::default() {
            return;
        }
        let words = Private::default();
        match item.role.as_deref() {
            Some("user") => self.state.history.add(&item.id, What::Caller { words }),
            Some("assistant") => {
                self.state
                    .history
                    .add(&item.id, What::Agent { words, cut: false });
            }
            _ => {}
        }
    }

    /// Most errors concern one client event, and the session goes on.
    fn model_error(&mut self, error: Failure) {
        let fatal = error.event_id.as_deref() == Some(SETUP);
        self.ask_failed(&error);
        let code = error.code.unwrap_or_default();
        self.note(Note::ModelError {
            message: error.message.unwrap_or_default().into(),
            code: code.clone(),
            fatal,
        });
        if fatal {
            // Without these settings the two sides do not even speak the same audio format.
            self.give_up(format!("the model refused its settings: {code}"));
        }
    }
}
