//! Each step of a response as the client sees it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::running::{Ending, Running};
use crate::identity::FRAME_BYTES;
use crate::mulaw;
use crate::openai::faults::{Fault, When};
use crate::openai::record::Outcome;
use crate::openai::response::{Content, Step};
use crate::openai::session::Session;
use crate::openai::settings::Format;

impl Session {
    pub(super) fn step(&mut self, running: &mut Running, step: Step, now: Instant) {
        match step {
            Step::Created => {
                let response = self.response_json(running, "in_progress", Value::Null, Value::Null);
                self.say(
                    now,
                    json!({"type": "response.created", "response": response}),
                );
            }
            Step::ItemAdded => self.add_item(running, now),
            Step::PartAdded => {
                running.part_added = true;
                let mut event = running.event("response.content_part.added");
                event["part"] = running.part();
                self.say(now, event);
            }
            Step::Words(words) => {
                let kind = if running.is_text() {
                    "response.output_text.delta"
                } else {
                    "response.output_audio_transcript.delta"
                };
                running.words.push_str(&words);
                self.say_delta(now, running.event(kind), &words, None);
            }
            Step::Audio(frames) => self.say_audio(running, frames, now),
            Step::Arguments(piece) => {
                let event = running.call_event("response.function_call_arguments.delta");
                self.say_delta(now, event, &piece, None);
            }
            Step::ArgumentsDone => self.end_call(running, now),
            Step::Finish => {}
        }
    }

    fn add_item(&mut self, running: &mut Running, now: Instant) {
        running.item_added = true;
        let item = running.item();
        self.say(
            now,
            json!({"type": "response.output_item.added", "response_id": running.id,
            "output_index": 0, "item": item}),
        );
        if !running.out_of_band {
            let audio_ms = matches!(running.content, Content::Speech(_)).then_some(0);
            let previous = self
                .conversation
                .append(&running.item_id, item.clone(), audio_ms);
            self.say(now, json!({"type": "conversation.item.added", "previous_item_id": previous, "item": item}));
        }
    }

    fn say_audio(&mut self, running: &mut Running, frames: u32, now: Instant) {
        let mut audio = Vec::with_capacity(frames as usize * FRAME_BYTES);
        for counter in running.frames..running.frames + frames {
            audio.extend_from_slice(&running.content.frame(running.stream, counter));
        }
        running.frames += frames;
        running.deltas += 1;
        if let Some(item) = self.conversation.get_mut(&running.item_id)
            && running.ending.is_none()
        {
            item.audio_ms = Some(u64::from(running.frames) * 20);
        }
        let delta = STANDARD.encode(in_format(audio, self.settings.output_format()));
        self.say_delta(
            now,
            running.event("response.output_audio.delta"),
            &delta,
            Some((running.index, frames)),
        );
        let options = Arc::clone(&self.options);
        let reached = When::Delta {
            response: running.number,
            deltas: running.deltas,
        };
        for rule in &options.faults {
            if rule.concerns(self.record.number) && rule.when == reached {
                self.fail(now, &rule.fault);
                if rule.fault == Fault::ServerError {
                    self.shorten(running, now, Ending::Failed);
                }
            }
        }
    }

    fn say_delta(
        &mut self,
        now: Instant,
        mut event: Value,
        delta: &str,
        frames: Option<(usize, u32)>,
    ) {
        let length = 2 + (self.random.next_u64() % 14) as usize;
        event["delta"] = json!(delta);
        event["obfuscation"] = json!(self.random.letters(length));
        self.say_with_frames(now, event, frames);
    }

    /// A function call is complete before its response is.
    fn end_call(&mut self, running: &mut Running, now: Instant) {
        if let Content::Call {
            name, arguments, ..
        } = &running.content
        {
            let mut event = running.call_event("response.function_call_arguments.done");
            event["name"] = json!(name);
            event["arguments"] = json!(arguments);
            self.say(now, event);
        }
        self.end_item(running, now);
    }

    fn end_item(&mut self, running: &mut Running, now: Instant) {
        running.item_done = true;
        let item = running.item();
        if !running.out_of_band {
            if let Some(kept) = self.conversation.get_mut(&running.item_id) {
                kept.json = item.clone();
            }
            // The real server has forgotten the place by now.
            self.say(
                now,
                json!({"type": "conversation.item.done", "previous_item_id": null, "item": item}),
            );
        }
        self.say(
            now,
            json!({"type": "response.output_item.done", "response_id": running.id,
            "output_index": 0, "item": item}),
        );
    }

    pub(super) fn finish(&mut self, mut running: Running, now: Instant) {
        if running.part_added {
            self.end_part(&running, now);
        }
        if running.item_added && !running.item_done {
            self.end_item(&mut running, now);
        }
        let (status, details, outcome) = match running.ending {
            None => ("completed", Value::Null, Outcome::Completed),
            Some(Ending::Turn) => (
                "cancelled",
                json!({"type": "cancelled", "reason": "turn_detected"}),
                Outcome::Cancelled,
            ),
            Some(Ending::Client) => (
                "cancelled",
                json!({"type": "cancelled", "reason": "client_cancelled"}),
                Outcome::Cancelled,
            ),
            Some(Ending::Failed) => {
                let error = json!({"type": "server_error", "code": "server_error"});
                (
                    "failed",
                    json!({"type": "failed", "error": error}),
                    Outcome::Failed,
                )
            }
        };
        let usage = self.usage(&running);
        let response = self.response_json(&running, status, details, usage);
        self.say(now, json!({"type": "response.done", "response": response}));
        self.record.responses[running.index].outcome = outcome;
        self.counts.responses_done += 1;
        let limits = json!({"type": "rate_limits.updated", "rate_limits": [
            {"name": "tokens", "limit": 15_000_000, "remaining": 14_999_371, "reset_seconds": 0.002}]});
        self.say_later(now + self.options.timing.rate_limits, limits);
        if let Some(timeout) = self
            .settings
            .turns()
            .and_then(|turns| turns.idle_timeout_ms)
        {
            let quiet = Duration::from_millis(timeout);
            self.idle_at = Some(now + quiet + mulaw::duration(FRAME_BYTES) * running.frames);
        }
    }

    fn end_part(&mut self, running: &Running, now: Instant) {
        if running.is_text() {
            let mut event = running.event("response.output_text.done");
            event["text"] = json!(running.words);
            self.say(now, event);
        } else {
            self.say(now, running.event("response.output_audio.done"));
            let mut event = running.event("response.output_audio_transcript.done");
            event["transcript"] = json!(running.words);
            self.say(now, event);
        }
        let mut event = running.event("response.content_part.done");
        event["part"] = running.part();
        self.say(now, event);
    }

    fn response_json(
        &self,
        running: &Running,
        status: &str,
        details: Value,
        usage: Value,
    ) -> Value {
        let output = if running.item_done {
            json!([running.item()])
        } else {
            json!([])
        };
        let conversation = (!running.out_of_band).then(|| format!("conv_{}", self.record.number));
        json!({
            "object": "realtime.response", "id": running.id, "status": status, "status_details": details,
            "output": output, "conversation_id": conversation, "output_modalities": running.modalities,
            "max_output_tokens": "inf", "usage": usage, "metadata": running.metadata,
            "audio": {"output": {"format": self.settings.json()["audio"]["output"]["format"],
                "voice": self.settings.voice()}},
        })
    }

    /// Plausible numbers: 20 tokens a second of speech out, 10 in, about one and a third a word.
    fn usage(&self, running: &Running) -> Value {
        let words = running.words.split_whitespace().count() as u64;
        let (text_out, audio_out) = (words * 4 / 3 + 2, u64::from(running.frames) * 20 / 50);
        let audio_in = self.clock_ms() / 100;
        let text_in = 100 + 20 * self.conversation.len() as u64;
        json!({
            "total_tokens": text_out + audio_out + audio_in + text_in,
            "input_tokens": audio_in + text_in, "output_tokens": text_out + audio_out,
            "input_token_details": {"text_tokens": text_in, "audio_tokens": audio_in, "image_tokens": 0,
                "cached_tokens": 64,
                "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0}},
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        })
    }
}

/// Mu-law in the session's format. Only mu-law keeps the identities readable; A-law, which
/// no test of ours listens to, is silence.
fn in_format(audio: Vec<u8>, format: Format) -> Vec<u8> {
    match format {
        Format::Pcmu => audio,
        Format::Pcm => audio
            .iter()
            .flat_map(|byte| mulaw::decode(*byte).to_le_bytes().repeat(3))
            .collect(),
        Format::Pcma => vec![0xD5; audio.len()],
    }
}
