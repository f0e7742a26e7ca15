//! Responses: from the wish for one to its last event.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::conversation::ClientError;
use super::faults::{Fault, When};
use super::options::ToolTime;
use super::record::{Interruption, Outcome, ResponseRecord};
use super::response::{Content, Step, plan};
use super::session::Session;
use super::settings::{Format, check_modalities};
use crate::identity::{FRAME_BYTES, StreamId, UNKNOWN_CALL, Voice, model_part};
use crate::mulaw;

/// Responses outside of the conversation that may run at once.
const BESIDE_LIMIT: usize = 8;

/// The wish for a response.
#[derive(Debug)]
pub(super) struct Ask {
    /// Outside of the conversation, and beside its own response.
    out_of_band: bool,
    modalities: Option<Value>,
    metadata: Value,
    no_tools: bool,
}

impl Ask {
    /// The end of the caller's turn.
    pub(super) fn for_turn() -> Self {
        Self { out_of_band: false, modalities: None, metadata: Value::Null, no_tools: false }
    }

    /// `response.create`.
    pub(super) fn from_client(response: &Value) -> Result<Self, ClientError> {
        let modalities = Some(response["output_modalities"].clone()).filter(|wanted| !wanted.is_null());
        if let Some(wanted) = &modalities {
            check_modalities(wanted, "response.output_modalities")?;
        }
        let out_of_band = match response["conversation"].as_str() {
            None | Some("auto") => false,
            Some("none") => true,
            Some(_) => return Err(ClientError::value("response.conversation", "Supported are 'auto' and 'none'.")),
        };
        let no_tools = response["tool_choice"] == "none";
        Ok(Self { out_of_band, modalities, metadata: response["metadata"].clone(), no_tools })
    }
}

/// Why a response ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Turn,
    Client,
    Failed,
}

/// A response that has not ended.
#[derive(Debug)]
pub(super) struct Running {
    index: usize,
    number: u16,
    id: String,
    item_id: String,
    out_of_band: bool,
    stream: StreamId,
    content: Content,
    modalities: Value,
    metadata: Value,
    steps: VecDeque<(Instant, Step)>,
    frames: u32,
    deltas: u32,
    words: String,
    item_added: bool,
    part_added: bool,
    item_done: bool,
    ending: Option<Ending>,
}

impl Running {
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.steps.front().map(|(at, _)| *at)
    }

    fn is_text(&self) -> bool {
        matches!(self.content, Content::Text(_))
    }

    /// Fields that all events of its content share.
    fn event(&self, kind: &str) -> Value {
        json!({"type": kind, "response_id": self.id, "item_id": self.item_id,
            "output_index": 0, "content_index": 0})
    }

    /// As [`Running::event`], for a function call, which has no content part.
    fn call_event(&self, kind: &str) -> Value {
        let call_id = match &self.content {
            Content::Call { call_id, .. } => json!(call_id),
            Content::Speech(_) | Content::Text(_) => Value::Null,
        };
        json!({"type": kind, "response_id": self.id, "item_id": self.item_id,
            "output_index": 0, "call_id": call_id})
    }

    fn item(&self) -> Value {
        let status = match (self.item_done, self.ending) {
            (false, None) => "in_progress",
            (_, Some(_)) => "incomplete",
            (true, None) => "completed",
        };
        match &self.content {
            Content::Call { call_id, name, arguments } => {
                let arguments = if self.item_done { arguments.as_str() } else { "" };
                json!({"id": self.item_id, "object": "realtime.item", "type": "function_call", "status": status,
                    "name": name, "call_id": call_id, "arguments": arguments})
            }
            Content::Speech(_) | Content::Text(_) => {
                let content = match (self.part_added && self.item_done, self.is_text()) {
                    (false, _) => json!([]),
                    (true, true) => json!([{"type": "output_text", "text": self.words}]),
                    (true, false) => json!([{"type": "output_audio", "transcript": self.words}]),
                };
                json!({"id": self.item_id, "object": "realtime.item", "type": "message", "status": status,
                    "role": "assistant", "content": content})
            }
        }
    }

    fn part(&self) -> Value {
        if self.is_text() {
            json!({"type": "text", "text": self.words})
        } else {
            json!({"type": "audio", "transcript": self.words})
        }
    }
}

impl Session {
    /// Begins a response, unless one is active.
    pub(super) fn respond(&mut self, now: Instant, ask: &Ask) -> Result<(), ClientError> {
        if !ask.out_of_band && self.running.is_some() {
            return Err(ClientError::new(
                "conversation_already_has_active_response",
                "The conversation has an active response; wait until it is done before creating another.",
            ));
        }
        if ask.out_of_band && self.beside.len() >= BESIDE_LIMIT {
            return Err(ClientError::new("too_many_responses", "Too many responses run outside of the conversation."));
        }
        let number = u16::try_from(self.record.responses.len() + 1)
            .map_err(|_| ClientError::new("too_many_responses", "The session has made as many responses as it can."))?;
        self.idle_at = None;
        let modalities = ask.modalities.clone().unwrap_or_else(|| self.settings.modalities().clone());
        let content = self.choose(ask, &modalities, number);
        let created = now + self.options.timing.response_created;
        let steps = plan(&content, &self.options, created, &mut self.random);
        let (call, part) = (self.record.call.unwrap_or(UNKNOWN_CALL), model_part(self.record.number, number));
        let running = Running {
            index: self.record.responses.len(),
            number,
            id: self.fresh("resp"),
            item_id: self.fresh("item"),
            out_of_band: ask.out_of_band,
            stream: StreamId { voice: Voice::Model, call, part },
            content,
            modalities,
            metadata: ask.metadata.clone(),
            steps,
            frames: 0,
            deltas: 0,
            words: String::new(),
            item_added: false,
            part_added: false,
            item_done: false,
            ending: None,
        };
        self.counts.responses_started += 1;
        self.record.responses.push(record_of(&running, now));
        if ask.out_of_band { self.beside.push(running) } else { self.running = Some(running) }
        Ok(())
    }

    /// The caller spoke while the model was answering.
    pub(super) fn interrupt(&mut self, now: Instant) {
        self.stop_response(now, Ending::Turn);
    }

    pub(super) fn cancel_by_client(&mut self, now: Instant, id: Option<&str>) -> Result<(), ClientError> {
        if let Some(index) = self.beside.iter().position(|beside| Some(beside.id.as_str()) == id) {
            let mut running = self.beside.swap_remove(index);
            self.shorten(&mut running, now, Ending::Client);
            self.beside.push(running);
            return Ok(());
        }
        let active = self.running.as_ref().is_some_and(|running| {
            running.ending.is_none() && id.is_none_or(|id| id == running.id)
        });
        if !active {
            return Err(ClientError::new("response_cancel_not_active", "Cancellation failed: no active response found."));
        }
        self.stop_response(now, Ending::Client);
        Ok(())
    }

    pub(super) fn fail_response(&mut self, now: Instant) {
        self.stop_response(now, Ending::Failed);
    }

    /// Does all steps whose time has come.
    pub(super) fn run_responses(&mut self, now: Instant) {
        if let Some(running) = self.running.take() {
            self.running = self.run(running, now);
        }
        for running in std::mem::take(&mut self.beside) {
            let going_on = self.run(running, now);
            self.beside.extend(going_on);
        }
    }

    fn run(&mut self, mut running: Running, now: Instant) -> Option<Running> {
        while !self.is_ended() && running.next_due().is_some_and(|at| at <= now) {
            let (_, step) = running.steps.pop_front()?;
            if step == Step::Finish {
                self.finish(running, now);
                return None;
            }
            self.step(&mut running, step, now);
        }
        Some(running)
    }

    fn stop_response(&mut self, now: Instant, ending: Ending) {
        if let Some(mut running) = self.running.take() {
            self.shorten(&mut running, now, ending);
            self.running = Some(running);
        }
    }

    /// Leaves of the timetable the beginning, if it is still to come, a few late deltas, and
    /// the end.
    fn shorten(&mut self, running: &mut Running, now: Instant, ending: Ending) {
        if running.ending.is_some() {
            return;
        }
        running.ending = Some(ending);
        self.record.responses[running.index].interrupted = Some(Interruption {
            at: now,
            frames_before: running.frames,
            by_speech: ending == Ending::Turn,
        });
        let mut late = if running.part_added { self.options.late_deltas } else { 0 };
        let mut last = now;
        running.steps.retain_mut(|(at, step)| match step {
            Step::Created => true,
            Step::Audio(_) if late > 0 => {
                late -= 1;
                last = last.max(*at);
                true
            }
            _ => false,
        });
        running.steps.push_back((last, Step::Finish));
    }

    fn choose(&mut self, ask: &Ask, modalities: &Value, number: u16) -> Content {
        if !ask.out_of_band
            && !ask.no_tools
            && let Some(call) = self.choose_tool()
        {
            return call;
        }
        let answers = &self.options.answers;
        let answer = match answers.len() {
            0 => Vec::new(),
            count => answers[usize::from(number - 1) % count].clone(),
        };
        let speech = Content::Speech(answer);
        if *modalities == json!(["text"]) { Content::Text(speech.words()) } else { speech }
    }

    fn choose_tool(&mut self) -> Option<Content> {
        let options = Arc::clone(&self.options);
        let turns = self.counts.turns_ended;
        let index = (0..options.tools.len()).find(|&index| {
            let script = &options.tools[index];
            let in_time = match script.time {
                ToolTime::Turn(turn) => u64::from(turn) == turns,
                ToolTime::Offered => turns > 0,
            };
            !self.tools_used[index] && in_time && self.settings.offers(&script.name)
        })?;
        self.tools_used[index] = true;
        let script = &options.tools[index];
        Some(Content::Call {
            call_id: self.fresh("call"),
            name: script.name.clone(),
            arguments: script.arguments.to_string(),
        })
    }

    fn step(&mut self, running: &mut Running, step: Step, now: Instant) {
        match step {
            Step::Created => {
                let response = self.response_json(running, "in_progress", Value::Null, Value::Null);
                self.say(now, json!({"type": "response.created", "response": response}));
            }
            Step::ItemAdded => self.add_item(running, now),
            Step::PartAdded => {
                running.part_added = true;
                let mut event = running.event("response.content_part.added");
                event["part"] = running.part();
                self.say(now, event);
            }
            Step::Words(words) => {
                let kind = if running.is_text() { "response.output_text.delta" } else { "response.output_audio_transcript.delta" };
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
        self.say(now, json!({"type": "response.output_item.added", "response_id": running.id,
            "output_index": 0, "item": item}));
        if !running.out_of_band {
            let audio_ms = matches!(running.content, Content::Speech(_)).then_some(0);
            let previous = self.conversation.append(&running.item_id, item.clone(), audio_ms);
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
        self.say_delta(now, running.event("response.output_audio.delta"), &delta, Some((running.index, frames)));
        let options = Arc::clone(&self.options);
        let reached = When::Delta { response: running.number, deltas: running.deltas };
        for rule in &options.faults {
            if rule.concerns(self.record.number) && rule.when == reached {
                self.fail(now, &rule.fault);
                if rule.fault == Fault::ServerError {
                    self.shorten(running, now, Ending::Failed);
                }
            }
        }
    }

    fn say_delta(&mut self, now: Instant, mut event: Value, delta: &str, frames: Option<(usize, u32)>) {
        let length = 2 + (self.random.next_u64() % 14) as usize;
        event["delta"] = json!(delta);
        event["obfuscation"] = json!(self.random.letters(length));
        self.say_with_frames(now, event, frames);
    }

    /// A function call is complete before its response is.
    fn end_call(&mut self, running: &mut Running, now: Instant) {
        if let Content::Call { name, arguments, .. } = &running.content {
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
            self.say(now, json!({"type": "conversation.item.done", "previous_item_id": null, "item": item}));
        }
        self.say(now, json!({"type": "response.output_item.done", "response_id": running.id,
            "output_index": 0, "item": item}));
    }

    fn finish(&mut self, mut running: Running, now: Instant) {
        if running.part_added {
            self.end_part(&running, now);
        }
        if running.item_added && !running.item_done {
            self.end_item(&mut running, now);
        }
        let (status, details, outcome) = match running.ending {
            None => ("completed", Value::Null, Outcome::Completed),
            Some(Ending::Turn) => ("cancelled", json!({"type": "cancelled", "reason": "turn_detected"}), Outcome::Cancelled),
            Some(Ending::Client) => {
                ("cancelled", json!({"type": "cancelled", "reason": "client_cancelled"}), Outcome::Cancelled)
            }
            Some(Ending::Failed) => {
                let error = json!({"type": "server_error", "code": "server_error"});
                ("failed", json!({"type": "failed", "error": error}), Outcome::Failed)
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
        if let Some(timeout) = self.settings.turns().and_then(|turns| turns.idle_timeout_ms) {
            let quiet = std::time::Duration::from_millis(timeout);
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

    fn response_json(&self, running: &Running, status: &str, details: Value, usage: Value) -> Value {
        let output = if running.item_done { json!([running.item()]) } else { json!([]) };
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

fn record_of(running: &Running, now: Instant) -> ResponseRecord {
    ResponseRecord {
        number: running.number,
        id: running.id.clone(),
        item_id: running.item_id.clone(),
        call: running.stream.call,
        part: running.stream.part,
        created: now,
        function: match &running.content {
            Content::Call { name, .. } => Some(name.clone()),
            Content::Speech(_) | Content::Text(_) => None,
        },
        planned_frames: running.content.frames(),
        sent: Vec::new(),
        interrupted: None,
        outcome: Outcome::InProgress,
    }
}

/// Mu-law in the session's format. Only mu-law keeps the identities readable; A-law, which
/// no test of ours listens to, is silence.
fn in_format(audio: Vec<u8>, format: Format) -> Vec<u8> {
    match format {
        Format::Pcmu => audio,
        Format::Pcm => audio.iter().flat_map(|byte| mulaw::decode(*byte).to_le_bytes().repeat(3)).collect(),
        Format::Pcma => vec![0xD5; audio.len()],
    }
}
