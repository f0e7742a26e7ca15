//! The input buffer: what the caller says, when a turn begins and ends.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Later, Session, decode_audio};
use crate::openai::answers::Ask;
use crate::openai::conversation::ClientError;
use crate::openai::record::{AppendedFrame, TurnRecord};
use crate::openai::settings::Format;
use crate::openai::vad::{Vad, VadEvent};
use crate::speech::Utterance;

/// The longest uncommitted input that is kept: 60 s of mu-law.
const HEARD_LIMIT: usize = 480_000;
/// What is kept of silence between turns: 1 s of mu-law.
const SILENCE_LIMIT: usize = 8_000;
/// Less than 100 ms cannot be committed.
const COMMIT_MIN: usize = 800;
/// The transcript of speech that this server did not make itself.
const NO_IDENTITY: &str = "(speech that carries no identity)";
/// Different things said in one turn.
const LABEL_LIMIT: usize = 64;

impl Session {
    pub(super) fn append(&mut self, now: Instant, audio: Option<&str>) -> Result<(), ClientError> {
        let audio = decode_audio(audio)?;
        let format = self.settings.input_format();
        self.clock_us += audio.len() as u64 * 1_000 / format.bytes_per_ms();
        if format != Format::Pcmu {
            self.record.misread_bytes += audio.len() as u64;
            self.hear(&audio);
            return Ok(());
        }
        for found in self.scanner.push(&audio) {
            self.record.call.get_or_insert(found.id.stream.call);
            self.record.ledger.record(found.id);
            self.record.appended.push(AppendedFrame {
                id: found.id,
                at: now,
            });
            self.counts.appended += 1;
            let label = found.id.label;
            if label != 0 && self.labels.last() != Some(&label) && self.labels.len() < LABEL_LIMIT {
                self.labels.push(label);
            }
        }
        self.hear(&audio);
        let events = self
            .vad
            .as_mut()
            .map(|vad| vad.push(&audio))
            .unwrap_or_default();
        for event in events {
            match event {
                VadEvent::Started { audio_start_ms } => self.turn_started(now, audio_start_ms),
                VadEvent::Stopped { audio_end_ms } => self.turn_ended(now, audio_end_ms),
            }
        }
        Ok(())
    }

    /// The turn detection follows the settings.
    pub(super) fn set_turns(&mut self, format_changed: bool) {
        if format_changed {
            self.vad = None;
            self.turn_item = None;
        }
        let wanted = self
            .settings
            .turns()
            .filter(|_| self.settings.input_format() == Format::Pcmu);
        match (wanted, &mut self.vad) {
            (Some(turns), Some(vad)) => vad.set(turns.vad),
            (Some(turns), None) => self.vad = Some(Vad::new(turns.vad, self.clock_us / 1_000)),
            (None, _) => {
                self.vad = None;
                self.turn_item = None;
            }
        }
    }

    pub(super) fn commit_by_client(&mut self, now: Instant) -> Result<(), ClientError> {
        if self.heard.len() < COMMIT_MIN {
            let message = format!(
                "The input audio buffer is too small to commit: it has {} ms of at least 100 ms.",
                self.heard.len() / 8
            );
            return Err(ClientError::new("input_audio_buffer_commit_empty", message));
        }
        if let Some(vad) = &mut self.vad {
            vad.reset();
        }
        let item_id = self.turn_item.take().unwrap_or_else(|| self.fresh("item"));
        self.commit(now + self.options.timing.reply, item_id);
        Ok(())
    }

    pub(super) fn clear_input(&mut self, now: Instant) {
        self.heard.clear();
        self.labels.clear();
        self.turn_item = None;
        if let Some(vad) = &mut self.vad {
            vad.reset();
        }
        self.say(
            now + self.options.timing.reply,
            json!({"type": "input_audio_buffer.cleared"}),
        );
    }

    /// Nobody spoke for long after an answer: the model is asked to say something.
    pub(super) fn idle(&mut self, now: Instant) {
        self.idle_at = None;
        if self.running.is_some() || self.turn_item.is_some() {
            return;
        }
        let item_id = self.fresh("item");
        let end = self.clock_us / 1_000;
        let start = end.saturating_sub(self.heard.len() as u64 / 8);
        self.say(
            now,
            json!({"type": "input_audio_buffer.timeout_triggered",
            "audio_start_ms": start, "audio_end_ms": end, "item_id": item_id}),
        );
        self.commit(now, item_id);
        self.respond_to_turn(now);
    }

    /// The transcription of a turn is there.
    pub(super) fn transcribed(&mut self, now: Instant, item_id: &str, transcript: &str) {
        if let Some(item) = self.conversation.get_mut(item_id) {
            item.json["content"][0]["transcript"] = json!(transcript);
        }
        let seconds = transcript.split(' ').count();
        self.say(now, json!({
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": item_id, "content_index": 0, "transcript": transcript,
            "usage": {"type": "tokens", "input_tokens": seconds * 4, "output_tokens": seconds + 2,
                "total_tokens": seconds * 5 + 2,
                "input_token_details": {"audio_tokens": seconds * 4, "text_tokens": 0}},
        }));
    }

    fn turn_started(&mut self, now: Instant, audio_start_ms: u64) {
        let item_id = self.fresh("item");
        self.turn_item = Some(item_id.clone());
        self.idle_at = None;
        self.counts.turns_started += 1;
        self.record.turns.push(TurnRecord {
            audio_start_ms,
            audio_end_ms: None,
            started: now,
            stopped: None,
        });
        self.say(
            now,
            json!({"type": "input_audio_buffer.speech_started",
            "audio_start_ms": audio_start_ms, "item_id": item_id}),
        );
        if self
            .settings
            .turns()
            .is_some_and(|turns| turns.interrupt_response)
        {
            self.interrupt(now);
        }
    }

    fn turn_ended(&mut self, now: Instant, audio_end_ms: u64) {
        let item_id = self.turn_item.take().unwrap_or_else(|| self.fresh("item"));
        self.counts.turns_ended += 1;
        if let Some(turn) = self.record.turns.last_mut() {
            turn.audio_end_ms = Some(audio_end_ms);
            turn.stopped = Some(now);
        }
        self.say(
            now,
            json!({"type": "input_audio_buffer.speech_stopped",
            "audio_end_ms": audio_end_ms, "item_id": item_id}),
        );
        self.commit(now, item_id);
        if self
            .settings
            .turns()
            .is_some_and(|turns| turns.create_response)
        {
            self.respond_to_turn(now);
        }
    }

    fn respond_to_turn(&mut self, now: Instant) {
        if let Err(error) = self.respond(now, &Ask::for_turn()) {
            self.say_error(now, "invalid_request_error", &error, None);
        }
    }

    /// The buffer becomes an item of the conversation.
    fn commit(&mut self, at: Instant, item_id: String) {
        let labels = std::mem::take(&mut self.labels);
        let audio = std::mem::take(&mut self.heard);
        let item = json!({"id": item_id, "object": "realtime.item", "type": "message", "status": "completed",
            "role": "user", "content": [{"type": "input_audio", "transcript": null}]});
        let previous = self.conversation.append(&item_id, item.clone(), None);
        self.conversation.keep_audio(&item_id, audio);
        self.say(
            at,
            json!({"type": "input_audio_buffer.committed",
            "previous_item_id": previous, "item_id": item_id}),
        );
        self.say(
            at,
            json!({"type": "conversation.item.added", "previous_item_id": previous, "item": item}),
        );
        self.say(
            at,
            json!({"type": "conversation.item.done", "previous_item_id": previous, "item": item}),
        );
        if self.settings.transcribes() {
            self.transcribe(at, &item_id, &labels);
        }
    }

    /// The identities in the audio say what was said, so the transcription is right.
    fn transcribe(&mut self, at: Instant, item_id: &str, labels: &[u8]) {
        let said: Vec<&str> = labels
            .iter()
            .filter_map(|label| Utterance::from_label(*label))
            .map(|utterance| utterance.recording().transcript)
            .collect();
        let transcript = if said.is_empty() {
            NO_IDENTITY.to_owned()
        } else {
            said.join(" ")
        };
        let delay = self.options.timing.transcription;
        for (index, word) in transcript.split_inclusive(' ').enumerate().take(200) {
            let event = transcription_delta(item_id, word);
            let share = Duration::from_millis(10) * u32::try_from(index).unwrap_or(0);
            self.say_later(at + (delay / 2 + share).min(delay), event);
        }
        self.schedule(
            at + delay,
            Later::Transcribed {
                item_id: item_id.to_owned(),
                transcript,
            },
        );
    }

    fn hear(&mut self, audio: &[u8]) {
        self.heard.extend_from_slice(audio);
        // Between turns nothing but a little silence is of use; twice the limit before
        // cutting, so that not every append moves the buffer.
        let silent = self.vad.as_ref().is_some_and(|vad| !vad.is_speaking());
        let limit = if silent { SILENCE_LIMIT } else { HEARD_LIMIT };
        if self.heard.len() > 2 * limit {
            let cut = self.heard.len() - limit;
            self.heard.drain(..cut);
        }
    }
}

fn transcription_delta(item_id: &str, word: &str) -> Value {
    json!({"type": "conversation.item.input_audio_transcription.delta",
        "item_id": item_id, "content_index": 0, "delta": word})
}
