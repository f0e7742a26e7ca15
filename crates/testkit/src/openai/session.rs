//! One Realtime session, without sockets or a clock: messages and times in, messages out.
//!
//! State changes at once; what is said about it waits in one queue, each entry with the time
//! at which it leaves, never overtaking another, as on a real socket.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{Ask, Running};
use super::conversation::{ClientError, Conversation};
use super::faults::{Fault, When};
use super::options::SimOptions;
use super::record::{ConnectionRecord, ErrorRecord, Outcome};
use super::settings::Settings;
use super::vad::Vad;
use crate::identity::Scanner;
use crate::prng::Prng;

mod input;
mod items;

/// Longest `audio` of one append: 15 MiB, in base64.
const APPEND_LIMIT: usize = 20 * 1024 * 1024;

/// What leaves for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Out {
    Text(String),
    Close {
        code: u16,
        reason: String,
    },
    Drop,
    Reset,
    /// Neither reads nor writes nor closes any more.
    Silence,
    StopReading,
}

/// A reason to open a WebSocket only to say no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
    pub(crate) close: u16,
}

/// Audio frames that are entered into the record when their event leaves.
#[derive(Debug)]
struct Queued {
    at: Instant,
    out: Out,
    frames: Option<(usize, u32)>,
}

/// What comes later by itself.
#[derive(Debug)]
pub(super) enum Later {
    Say(Value),
    Transcribed { item_id: String, transcript: String },
}

/// Totals for whoever watches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) appended: u64,
    pub(crate) turns_started: u64,
    pub(crate) turns_ended: u64,
    pub(crate) responses_started: u64,
    pub(crate) responses_done: u64,
    pub(crate) frames_sent: u64,
    pub(crate) truncates: u64,
    pub(crate) seeded: u64,
    pub(crate) updates: u64,
}

pub(crate) struct Session {
    pub(super) options: Arc<SimOptions>,
    pub(super) settings: Settings,
    pub(super) conversation: Conversation,
    pub(super) record: ConnectionRecord,
    pub(super) counts: Counts,
    pub(super) random: Prng,
    pub(super) running: Option<Running>,
    /// Responses outside of the conversation.
    pub(super) beside: Vec<Running>,
    pub(super) idle_at: Option<Instant>,
    pub(super) tools_used: Vec<bool>,
    ids: u64,
    scanner: Scanner,
    vad: Option<Vad>,
    clock_us: u64,
    /// Uncommitted input.
    heard: Vec<u8>,
    /// What was said since the last commit, by label.
    labels: Vec<u8>,
    /// The item that the turn being spoken will become.
    turn_item: Option<String>,
    later: BTreeMap<(Instant, u64), Later>,
    out: VecDeque<Queued>,
    expires: Instant,
    /// Faults by time that have not happened.
    faults: Vec<(Instant, Fault)>,
    ended: bool,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    audio: Option<Cow<'a, str>>,
}

impl Session {
    /// `unix_now` is only told to the client, in `expires_at`.
    pub(crate) fn open(
        options: Arc<SimOptions>,
        number: u16,
        model: String,
        refusal: Option<Refusal>,
        now: Instant,
        unix_now: u64,
    ) -> Self {
        let id = format!("sess_{number}");
        let settings = Settings::new(&id, &model, unix_now + options.session_limit.as_secs());
        let mut session = Self {
            settings,
            conversation: Conversation::default(),
            record: ConnectionRecord::new(number, model, now),
            counts: Counts::default(),
            random: Prng::new(options.seed ^ (u64::from(number) << 20)),
            running: None,
            beside: Vec::new(),
            idle_at: None,
            tools_used: vec![false; options.tools.len()],
            ids: 0,
            scanner: Scanner::default(),
            vad: None,
            clock_us: 0,
            heard: Vec::new(),
            labels: Vec::new(),
            turn_item: None,
            later: BTreeMap::new(),
            out: VecDeque::new(),
            expires: now + options.session_limit,
            faults: Vec::new(),
            ended: false,
            options,
        };
        session.greet(refusal, now);
        session
    }

    fn greet(&mut self, refusal: Option<Refusal>, now: Instant) {
        if let Some(refusal) = refusal {
            let error = ClientError::new(refusal.code, refusal.message);
            self.say_error(now, "invalid_request_error", &error, None);
            let reason = format!("invalid_request_error.{}", refusal.code);
            self.end(
                now,
                Out::Close {
                    code: refusal.close,
                    reason,
                },
            );
            return;
        }
        let options = Arc::clone(&self.options);
        let number = self.record.number;
        for rule in options.faults.iter().filter(|rule| rule.concerns(number)) {
            match rule.when {
                When::Open => self.fail(now, &rule.fault),
                When::After(time) => self.faults.push((now + time, rule.fault.clone())),
                When::Upgrade | When::Delta { .. } => {}
            }
        }
        let event = json!({"type": "session.created", "session": self.settings.json()});
        self.say(now + self.options.timing.session_created, event);
    }

    pub(crate) fn record(&self) -> ConnectionRecord {
        let mut record = self.record.clone();
        record.silence_bytes = self.scanner.silence_bytes();
        record.unreadable_bytes =
            self.scanner.unreadable_bytes() + self.scanner.incomplete_bytes() as u64;
        record.audio_clock = Duration::from_micros(self.clock_us);
        record
    }

    /// Audio appended since the session began.
    pub(super) fn clock_ms(&self) -> u64 {
        self.clock_us / 1_000
    }

    /// Nothing more will be said after what is queued.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn call(&self) -> Option<u32> {
        self.record.call
    }

    /// A text message of the client.
    pub(crate) fn on_text(&mut self, now: Instant, text: &str) {
        if self.ended {
            return;
        }
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else {
            let error = ClientError::new(
                "invalid_json",
                "The message is not a JSON object with string fields.",
            );
            self.say_error(now, "invalid_request_error", &error, None);
            return;
        };
        let kind = envelope.kind.as_deref().unwrap_or("");
        *self.record.client_events.entry(known(kind)).or_default() += 1;
        let result = if kind == "input_audio_buffer.append" {
            self.append(now, envelope.audio.as_deref())
        } else {
            match serde_json::from_str(text) {
                Ok(event) => self.on_event(now, kind, &event),
                Err(_) => Err(ClientError::new("invalid_json", "The message is not JSON.")),
            }
        };
        if let Err(error) = result {
            let event_id = envelope.event_id.as_deref().map(str::to_owned);
            self.say_error(
                now + self.options.timing.reply,
                "invalid_request_error",
                &error,
                event_id,
            );
        }
    }

    /// A binary message: the API has none.
    pub(crate) fn on_binary(&mut self, now: Instant) {
        if !self.ended {
            let error =
                ClientError::new("invalid_message", "Messages are text; this one is binary.");
            self.say_error(now, "invalid_request_error", &error, None);
        }
    }

    fn on_event(&mut self, now: Instant, kind: &str, event: &Value) -> Result<(), ClientError> {
        match kind {
            "session.update" => self.update(now, &event["session"]),
            "input_audio_buffer.commit" => self.commit_by_client(now),
            "input_audio_buffer.clear" => {
                self.clear_input(now);
                Ok(())
            }
            "conversation.item.create" => self.item_create(now, event),
            "conversation.item.retrieve" => self.item_retrieve(now, event),
            "conversation.item.truncate" => self.item_truncate(now, event),
            "conversation.item.delete" => self.item_delete(now, event),
            "response.create" => {
                let ask = Ask::from_client(&event["response"])?;
                self.respond(now, &ask)
            }
            "response.cancel" => self.cancel_by_client(now, event["response_id"].as_str()),
            "output_audio_buffer.clear" => Err(ClientError::new(
                "invalid_value",
                "The output audio buffer exists only for WebRTC and SIP sessions.",
            )),
            "" => Err(ClientError::missing("type")),
            other => Err(ClientError::value(
                "type",
                &format!("There is no client event '{other}'."),
            )),
        }
    }

    fn update(&mut self, now: Instant, change: &Value) -> Result<(), ClientError> {
        let before = self.settings.input_format();
        let spoke = self.counts.frames_sent > 0;
        self.settings.update(change, spoke)?;
        self.counts.updates += 1;
        self.set_turns(before != self.settings.input_format());
        let event = json!({"type": "session.updated", "session": self.settings.json()});
        self.say(now + self.options.timing.reply, event);
        Ok(())
    }

    /// Does everything whose time has come.
    pub(crate) fn wake(&mut self, now: Instant) {
        if self.ended {
            return;
        }
        self.run_responses(now);
        while let Some(entry) = self
            .later
            .first_entry()
            .filter(|entry| entry.key().0 <= now)
        {
            match entry.remove() {
                Later::Say(event) => self.say(now, event),
                Later::Transcribed {
                    item_id,
                    transcript,
                } => self.transcribed(now, &item_id, &transcript),
            }
        }
        while let Some(index) = self.faults.iter().position(|(at, _)| *at <= now) {
            let (_, fault) = self.faults.swap_remove(index);
            self.fail(now, &fault);
        }
        if self.idle_at.is_some_and(|at| at <= now) {
            self.idle(now);
        }
        if self.expires <= now && !self.ended {
            self.expire(now);
        }
    }

    /// The session's time is over.
    fn expire(&mut self, now: Instant) {
        let minutes = self.options.session_limit.as_secs().div_ceil(60);
        let message = format!("Your session hit the maximum duration of {minutes} minutes.");
        let error = ClientError::new("session_expired", message.clone());
        self.say_error(now, "invalid_request_error", &error, None);
        self.end(
            now,
            Out::Close {
                code: 1001,
                reason: message,
            },
        );
    }

    /// When [`Session::wake`] or [`Session::pop`] has something next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let out = self.out.front().map(|queued| queued.at);
        if self.ended {
            return out;
        }
        let steps = self
            .running
            .iter()
            .chain(&self.beside)
            .filter_map(Running::next_due);
        let faults = self.faults.iter().map(|(at, _)| *at);
        let later = self.later.keys().next().map(|(at, _)| *at);
        steps
            .chain(faults)
            .chain(out)
            .chain(later)
            .chain(self.idle_at)
            .chain([self.expires])
            .min()
    }

    /// The next message that leaves by `now`.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Out> {
        if self.out.front()?.at > now {
            return None;
        }
        let queued = self.out.pop_front()?;
        if let Some((response, frames)) = queued.frames {
            let sent = &mut self.record.responses[response].sent;
            sent.extend(std::iter::repeat_n(now, frames as usize));
            self.counts.frames_sent += u64::from(frames);
        }
        Some(queued.out)
    }

    /// Fails now.
    pub(crate) fn fail(&mut self, now: Instant, fault: &Fault) {
        if self.ended {
            return;
        }
        match fault {
            // Too late for an HTTP status; the nearest thing is an end without a word.
            Fault::Http(_) | Fault::Drop => self.end(now, Out::Drop),
            Fault::Reset => self.end(now, Out::Reset),
            Fault::Silence => self.end(now, Out::Silence),
            Fault::Expire => self.expire(now),
            Fault::Close { code, reason } => self.end(
                now,
                Out::Close {
                    code: *code,
                    reason: reason.clone(),
                },
            ),
            Fault::StopReading => self.push(now, Out::StopReading, None),
            Fault::ServerError => {
                let message =
                    "The server had an error while processing your request. Sorry about that!";
                self.say_error(
                    now,
                    "server_error",
                    &ClientError::new("server_error", message),
                    None,
                );
                self.fail_response(now);
            }
        }
    }

    /// The connection is gone.
    pub(crate) fn closed(&mut self, now: Instant, how: String) {
        self.ended = true;
        self.record.closed.get_or_insert((now, how));
        for response in &mut self.record.responses {
            if response.outcome == Outcome::InProgress {
                response.outcome = Outcome::Cut;
            }
        }
        // What was not sent does not count as sent.
        self.out.clear();
        self.heard = Vec::new();
    }

    /// Says an event, not before `at` and not before what was said earlier.
    pub(super) fn say(&mut self, at: Instant, event: Value) {
        self.say_with_frames(at, event, None);
    }

    pub(super) fn say_with_frames(
        &mut self,
        at: Instant,
        mut event: Value,
        frames: Option<(usize, u32)>,
    ) {
        event["event_id"] = json!(self.fresh("event"));
        self.push(at, Out::Text(event.to_string()), frames);
    }

    pub(super) fn say_later(&mut self, at: Instant, event: Value) {
        self.schedule(at, Later::Say(event));
    }

    pub(super) fn schedule(&mut self, at: Instant, later: Later) {
        self.ids += 1;
        self.later.insert((at, self.ids), later);
    }

    pub(super) fn fresh(&mut self, what: &str) -> String {
        self.ids += 1;
        format!("{what}_{}_{}", self.record.number, self.ids)
    }

    fn say_error(
        &mut self,
        at: Instant,
        kind: &str,
        error: &ClientError,
        client_event: Option<String>,
    ) {
        if self.record.errors.len() < 10_000 {
            let (code, message) = (error.code.to_owned(), error.message.clone());
            self.record.errors.push(ErrorRecord { code, message, at });
        }
        let event = json!({"type": "error", "error": {
            "type": kind, "code": error.code, "message": error.message,
            "param": error.param, "event_id": client_event,
        }});
        self.say(at, event);
    }

    fn push(&mut self, at: Instant, out: Out, frames: Option<(usize, u32)>) {
        if self.ended {
            return;
        }
        let at = self.out.back().map_or(at, |last| last.at.max(at));
        self.out.push_back(Queued { at, out, frames });
    }

    fn end(&mut self, now: Instant, last: Out) {
        self.push(now, last, None);
        self.ended = true;
    }
}

/// The client events of the API, so that counting them is bounded.
fn known(kind: &str) -> &'static str {
    const ALL: [&str; 11] = [
        "session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        "conversation.item.create",
        "conversation.item.retrieve",
        "conversation.item.truncate",
        "conversation.item.delete",
        "response.create",
        "response.cancel",
        "output_audio_buffer.clear",
    ];
    ALL.into_iter()
        .find(|name| *name == kind)
        .unwrap_or("unknown")
}

fn decode_audio(audio: Option<&str>) -> Result<Vec<u8>, ClientError> {
    let audio = audio.ok_or_else(|| ClientError::missing("audio"))?;
    if audio.len() > APPEND_LIMIT {
        return Err(ClientError::value(
            "audio",
            "At most 15 MiB can be appended at once.",
        ));
    }
    STANDARD
        .decode(audio)
        .map_err(|_| ClientError::value("audio", "It is not valid base64."))
}

#[cfg(test)]
mod tests;
