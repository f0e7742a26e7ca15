//! A call without sockets: builds inputs, keeps the state as bytes, reads actions.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    Config,
    core::{self, Action, Event, Facts, ModelClosed, Note, Refusal, Settings, Timer, ToolRequest},
    ids::{CallSid, StreamSid},
    state::{Change, ModelLeg, State},
    time::Time,
};

pub(super) const YAML: &str = r#"
instructions: You are the receptionist of Blue Door Dental.
greeting: {instructions: Greet the caller.}
tools:
  - name: book_slot
    description: Books a slot.
    parameters: {type: object, properties: {t: {type: string}}}
    webhook: {url: "http://127.0.0.1:1/book"}
  - name: weather
    description: Tells the weather.
    webhook: {url: "http://127.0.0.1:1/weather"}
"#;

/// Stands for a dial that was refused with HTTP status 401.
pub(super) const UNAUTHORIZED: u16 = 401;

/// An input, owned, so that a conversation can be recorded and played again.
#[derive(Clone, Debug)]
pub(super) enum Input {
    Caller(String),
    Model(String),
    ModelOpened(u32),
    ModelClosed(u32, u16),
    Refused(Refusal),
    CallerReplaced(&'static str),
    CallerLost,
    Gap(u64),
    Fired(Timer),
    ToolDone(u64, &'static str),
    News(&'static str, &'static str),
    /// The same, on the second of the model's legs.
    Second(Box<Input>),
}

pub(super) struct World {
    settings: Settings,
    state: State,
    store: BTreeMap<String, Vec<u8>>,
    facts: Facts,
    pub(super) now_ms: u64,
    /// Actions of the last input, or of the last few.
    pub(super) actions: Vec<Action>,
    /// Keys that the last input wrote.
    pub(super) touched: Vec<String>,
}

/// A moment on the edge's clock.
pub(super) fn at(ms: u64) -> Time {
    Time(1_795_262_400_000_000 + ms * 1_000)
}

impl World {
    /// A call whose model leg is being dialled by the edge.
    pub(super) fn new() -> Self {
        Self::with(YAML)
    }

    pub(super) fn with(yaml: &str) -> Self {
        let mut world = Self::unattached(yaml);
        world.attach();
        world
    }

    pub(super) fn unattached(yaml: &str) -> Self {
        Self {
            settings: Settings::new(&Config::parse(yaml, "test").unwrap()),
            state: State::default(),
            store: BTreeMap::new(),
            facts: Facts {
                call_sid: Some(CallSid::new("CA77")),
                stream: Some(StreamSid::new("MZ5f")),
                model: Some(1),
            },
            now_ms: 0,
            actions: Vec::new(),
            touched: Vec::new(),
        }
    }

    pub(super) fn without_model_leg(mut self) -> Self {
        self.facts.model = None;
        self
    }

    /// A worker takes the call over, perhaps with another file.
    pub(super) fn attach(&mut self) {
        self.state = State::load(&|key| self.store.get(key).cloned().map(Bytes::from)).unwrap();
        let now = at(self.now_ms);
        core::attach(
            &self.settings,
            &mut self.state,
            &self.facts,
            now,
            &mut self.actions,
        );
        self.save();
    }

    /// The worker is replaced: nothing but the stored state remains.
    pub(super) fn replace_worker(&mut self) {
        self.attach();
    }

    pub(super) fn new_file(&mut self, yaml: &str) {
        self.settings = Settings::new(&Config::parse(yaml, "test").unwrap());
    }

    fn save(&mut self) {
        self.touched.clear();
        let (store, touched) = (&mut self.store, &mut self.touched);
        self.state.save(&mut |change| match change {
            Change::Put(key, value) => {
                touched.push(key.clone());
                store.insert(key, value);
            }
            Change::Delete(key) => drop(store.remove(&key)),
        });
    }

    /// What the log says of the caller's audio if the call ends now.
    pub(super) fn unheard_ms(&self) -> u64 {
        self.state.unheard_ms()
    }

    pub(super) fn state_bytes(&self) -> usize {
        self.store
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum()
    }

    /// Bytes of the values that the last input wrote.
    pub(super) fn touched_bytes(&self) -> usize {
        self.touched.iter().map(|key| self.store[key].len()).sum()
    }

    pub(super) fn largest_value(&self) -> usize {
        self.store.values().map(Vec::len).max().unwrap()
    }

    pub(super) fn overwrite(&mut self, key: &str, value: &str) {
        self.store.insert(key.to_owned(), value.as_bytes().to_vec());
    }

    pub(super) fn stored(&self, key: &str) -> &str {
        std::str::from_utf8(&self.store[key]).unwrap()
    }

    /// One input, at a moment; the actions are those of this input alone.
    pub(super) fn put(&mut self, ms: u64, input: &Input) -> &mut Self {
        self.now_ms = ms;
        self.actions.clear();
        let (leg, input) = match input {
            Input::Second(input) => (ModelLeg::Second, &**input),
            input => (ModelLeg::First, input),
        };
        let event = match input {
            Input::Second(_) => panic!("there is no third leg"),
            Input::Caller(text) => Event::Caller(text.as_bytes()),
            Input::Model(text) => Event::Model {
                leg,
                text: text.as_bytes(),
            },
            Input::ModelOpened(incarnation) => Event::ModelOpened {
                leg,
                incarnation: *incarnation,
            },
            Input::ModelClosed(incarnation, code) => Event::ModelClosed(ModelClosed {
                leg,
                incarnation: *incarnation,
                code: *code,
                reason: "test",
                refused: *code == UNAUTHORIZED,
            }),
            Input::Refused(refusal) => Event::ModelRefused {
                leg,
                refusal: *refusal,
            },
            Input::CallerReplaced(stream) => Event::CallerReplaced {
                stream: Some(StreamSid::new(*stream)),
            },
            Input::CallerLost => Event::CallerLost,
            Input::Gap(media_ms) => Event::Gap {
                media_ms: *media_ms,
            },
            Input::Fired(timer) => Event::Timer(*timer),
            Input::News(name, words) => Event::News { name, words },
            Input::ToolDone(number, output) => Event::ToolDone {
                number: *number,
                output: (*output).to_owned(),
            },
        };
        core::handle(
            &self.settings,
            &mut self.state,
            at(ms),
            event,
            &mut self.actions,
        );
        self.save();
        self
    }

    pub(super) fn model(&mut self, ms: u64, event: &Value) -> &mut Self {
        self.put(ms, &Input::Model(event.to_string()))
    }

    /// As [`Self::model`], on the second leg.
    pub(super) fn second(&mut self, ms: u64, event: &Value) -> &mut Self {
        let input = Input::Model(event.to_string());
        self.put(ms, &Input::Second(Box::new(input)))
    }

    pub(super) fn caller(&mut self, ms: u64, event: &Value) -> &mut Self {
        self.put(ms, &Input::Caller(event.to_string()))
    }

    /// What the model was told by the last input, on either leg.
    pub(super) fn model_heard(&self) -> Vec<Value> {
        let legs = [ModelLeg::First, ModelLeg::Second];
        legs.into_iter()
            .flat_map(|leg| self.heard_on(leg))
            .collect()
    }

    /// What the model was told by the last input on this leg.
    pub(super) fn heard_on(&self, wanted: ModelLeg) -> Vec<Value> {
        self.actions
            .iter()
            .filter_map(|action| match action {
                Action::ToModel { leg, text } if *leg == wanted => {
                    Some(serde_json::from_slice(text).unwrap())
                }
                _ => None,
            })
            .collect()
    }

    /// What the caller's side was told by the last input.
    pub(super) fn caller_heard(&self) -> Vec<Value> {
        self.actions
            .iter()
            .filter_map(|action| match action {
                Action::ToCaller(text) => Some(serde_json::from_slice(text).unwrap()),
                _ => None,
            })
            .collect()
    }

    /// Types of what the model was told.
    pub(super) fn model_types(&self) -> Vec<String> {
        let heard = self.model_heard();
        heard
            .iter()
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(super) fn asked(&self) -> Vec<&ToolRequest> {
        self.actions
            .iter()
            .filter_map(|action| match action {
                Action::Ask(request) => Some(request),
                _ => None,
            })
            .collect()
    }

    pub(super) fn ended(&self) -> Option<&str> {
        self.actions.iter().find_map(|action| match action {
            Action::HandBack { reason } => Some(reason.as_str()),
            _ => None,
        })
    }

    pub(super) fn timer(&self, wanted: Timer) -> Option<u64> {
        self.actions.iter().find_map(|action| match action {
            Action::SetTimer { timer, after_ms } if *timer == wanted => Some(*after_ms),
            _ => None,
        })
    }

    pub(super) fn opened(&self) -> bool {
        self.opened_leg().is_some()
    }

    /// The leg that was asked for by the last input.
    pub(super) fn opened_leg(&self) -> Option<ModelLeg> {
        self.actions.iter().find_map(|action| match action {
            Action::OpenModel { leg, .. } => Some(*leg),
            _ => None,
        })
    }

    /// The leg that the last input had closed.
    pub(super) fn closed_leg(&self) -> Option<ModelLeg> {
        self.actions.iter().find_map(|action| match action {
            Action::CloseModel { leg, .. } => Some(*leg),
            _ => None,
        })
    }

    pub(super) fn notes(&self) -> impl Iterator<Item = &Note> {
        self.actions.iter().filter_map(|action| match action {
            Action::Note(note) => Some(note),
            _ => None,
        })
    }

    /// Ready, greeted, and the greeting heard: item A1 of response R1, 3,200 ms.
    pub(super) fn greeted() -> Self {
        let mut world = Self::new();
        world.model(298, &json!({"type": "session.updated"}));
        world.model(393, &created("R1"));
        world.model(700, &added("A1", "assistant"));
        world.model(824, &delta("R1", "A1", 3_200));
        world.model(
            1_246,
            &transcript("A1", "Hi, Blue Door Dental, how can I help?"),
        );
        world.model(1_247, &done("R1", "completed"));
        world.caller(4_055, &mark("g0:A1:3200"));
        world
    }

    /// The caller has spoken (item U1) and the model is answering (R2, item A2): 2,000 ms of it
    /// sent at 8,221.
    pub(super) fn answering() -> Self {
        let mut world = Self::greeted();
        world.model(
            5_220,
            &json!({"type": "input_audio_buffer.speech_started", "item_id": "U1"}),
        );
        world.model(
            7_760,
            &json!({"type": "input_audio_buffer.speech_stopped", "item_id": "U1"}),
        );
        world.model(7_763, &added("U1", "user"));
        world.model(7_790, &created("R2"));
        world.model(8_090, &added("A2", "assistant"));
        world.model(8_221, &delta("R2", "A2", 2_000));
        world
    }
}

pub(super) fn media(timestamp_ms: u64) -> Input {
    Input::Caller(format!(
        r#"{{"event":"media","sequenceNumber":"2","streamSid":"MZ5f","media":{{"track":"inbound","chunk":"1","timestamp":"{timestamp_ms}","payload":"{}"}}}}"#,
        audio(20)
    ))
}

/// Base64 of so much mu-law.
pub(super) fn audio(ms: u64) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let bytes: Vec<u8> = (0..ms * 8)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    BASE64_STANDARD.encode(bytes)
}

pub(super) fn mark(name: &str) -> Value {
    json!({"event": "mark", "sequenceNumber": "3", "streamSid": "MZ5f", "mark": {"name": name}})
}

pub(super) fn created(response: &str) -> Value {
    json!({"type": "response.created", "response": {"id": response, "status": "in_progress"}})
}

pub(super) fn done(response: &str, status: &str) -> Value {
    json!({"type": "response.done", "response": {"id": response, "status": status, "output": []}})
}

pub(super) fn added(item: &str, role: &str) -> Value {
    json!({"type": "conversation.item.added", "item": {"id": item, "type": "message", "role": role}})
}

pub(super) fn transcript(item: &str, words: &str) -> Value {
    json!({"type": "response.output_audio_transcript.done", "item_id": item, "transcript": words})
}

pub(super) fn delta(response: &str, item: &str, ms: u64) -> Value {
    json!({
        "type": "response.output_audio.delta", "event_id": "e", "response_id": response,
        "item_id": item, "output_index": 0, "content_index": 0, "delta": audio(ms),
    })
}

pub(super) fn function_call(response: &str, call: &str, name: &str, arguments: &str) -> Value {
    json!({
        "type": "response.output_item.done", "response_id": response,
        "item": {
            "id": format!("item_{call}"), "type": "function_call", "status": "completed",
            "call_id": call, "name": name, "arguments": arguments,
        },
    })
}
