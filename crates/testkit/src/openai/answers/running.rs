//! What is known of a wanted response, and of one that has not ended.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::{Value, json};

use crate::identity::StreamId;
use crate::openai::conversation::ClientError;
use crate::openai::record::{Outcome, ResponseRecord};
use crate::openai::response::{Content, Step};
use crate::openai::settings::check_modalities;

/// The wish for a response.
#[derive(Debug)]
pub(in crate::openai) struct Ask {
    /// Outside of the conversation, and beside its own response.
    pub(super) out_of_band: bool,
    pub(super) modalities: Option<Value>,
    pub(super) metadata: Value,
    pub(super) no_tools: bool,
}

impl Ask {
    /// The end of the caller's turn.
    pub(in crate::openai) fn for_turn() -> Self {
        Self {
            out_of_band: false,
            modalities: None,
            metadata: Value::Null,
            no_tools: false,
        }
    }

    /// `response.create`.
    pub(in crate::openai) fn from_client(response: &Value) -> Result<Self, ClientError> {
        let modalities =
            Some(response["output_modalities"].clone()).filter(|wanted| !wanted.is_null());
        if let Some(wanted) = &modalities {
            check_modalities(wanted, "response.output_modalities")?;
        }
        let out_of_band = match response["conversation"].as_str() {
            None | Some("auto") => false,
            Some("none") => true,
            Some(_) => {
                return Err(ClientError::value(
                    "response.conversation",
                    "Supported are 'auto' and 'none'.",
                ));
            }
        };
        let no_tools = response["tool_choice"] == "none";
        Ok(Self {
            out_of_band,
            modalities,
            metadata: response["metadata"].clone(),
            no_tools,
        })
    }
}

/// Why a response ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Turn,
    Client,
    Failed,
}

/// A response that has not ended.
#[derive(Debug)]
pub(in crate::openai) struct Running {
    pub(super) index: usize,
    pub(super) number: u16,
    pub(super) id: String,
    pub(super) item_id: String,
    pub(super) out_of_band: bool,
    pub(super) stream: StreamId,
    pub(super) content: Content,
    pub(super) modalities: Value,
    pub(super) metadata: Value,
    pub(super) steps: VecDeque<(Instant, Step)>,
    pub(super) frames: u32,
    pub(super) deltas: u32,
    pub(super) words: String,
    pub(super) item_added: bool,
    pub(super) part_added: bool,
    pub(super) item_done: bool,
    pub(super) ending: Option<Ending>,
}

impl Running {
    pub(in crate::openai) fn next_due(&self) -> Option<Instant> {
        self.steps.front().map(|(at, _)| *at)
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.content, Content::Text(_))
    }

    /// Fields that all events of its content share.
    pub(super) fn event(&self, kind: &str) -> Value {
        json!({"type": kind, "response_id": self.id, "item_id": self.item_id,
            "output_index": 0, "content_index": 0})
    }

    /// As [`Running::event`], for a function call, which has no content part.
    pub(super) fn call_event(&self, kind: &str) -> Value {
        let call_id = match &self.content {
            Content::Call { call_id, .. } => json!(call_id),
            Content::Speech(_) | Content::Text(_) => Value::Null,
        };
        json!({"type": kind, "response_id": self.id, "item_id": self.item_id,
            "output_index": 0, "call_id": call_id})
    }

    pub(super) fn item(&self) -> Value {
        let status = match (self.item_done, self.ending) {
            (false, None) => "in_progress",
            (_, Some(_)) => "incomplete",
            (true, None) => "completed",
        };
        match &self.content {
            Content::Call {
                call_id,
                name,
                arguments,
            } => {
                let arguments = if self.item_done {
                    arguments.as_str()
                } else {
                    ""
                };
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

    pub(super) fn part(&self) -> Value {
        if self.is_text() {
            json!({"type": "text", "text": self.words})
        } else {
            json!({"type": "audio", "transcript": self.words})
        }
    }
}

impl Running {
    /// The record as it is at the beginning.
    pub(super) fn record(&self, now: Instant) -> ResponseRecord {
        ResponseRecord {
            number: self.number,
            id: self.id.clone(),
            item_id: self.item_id.clone(),
            call: self.stream.call,
            part: self.stream.part,
            created: now,
            function: match &self.content {
                Content::Call { name, .. } => Some(name.clone()),
                Content::Speech(_) | Content::Text(_) => None,
            },
            planned_frames: self.content.frames(),
            sent: Vec::new(),
            interrupted: None,
            outcome: Outcome::InProgress,
        }
    }
}
