//! The items of a conversation, and the rules for creating, truncating and deleting them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Items that one conversation may hold.
const ITEM_LIMIT: usize = 10_000;
/// Characters of a client's item id; the limit of the beta's documentation.
const ID_LIMIT: usize = 32;
/// Caller audio that is kept for `conversation.item.retrieve`, over all items.
const KEPT_AUDIO: usize = 256 * 1024;

/// Why a client event was refused; becomes an `error` event, the session goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
}

impl ClientError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            param: None,
        }
    }

    pub(crate) fn missing(param: &str) -> Self {
        Self {
            code: "missing_required_parameter",
            message: format!("Missing required parameter: '{param}'."),
            param: Some(param.to_owned()),
        }
    }

    pub(crate) fn value(param: &str, message: &str) -> Self {
        Self {
            code: "invalid_value",
            message: format!("Invalid value for '{param}'. {message}"),
            param: Some(param.to_owned()),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: String,
    /// As the events show it.
    pub(crate) json: Value,
    /// How much audio an assistant's item has; `None` for all others.
    pub(crate) audio_ms: Option<u64>,
    /// What the caller said, mu-law.
    audio: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Conversation {
    items: Vec<Item>,
    kept_audio: usize,
}

impl Conversation {
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.items.last().map(|item| item.id.as_str())
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.id == id)
    }

    /// Adds an item of the server's own making at the end; returns the id before it.
    pub(crate) fn append(
        &mut self,
        id: &str,
        json: Value,
        audio_ms: Option<u64>,
    ) -> Option<String> {
        if self.items.len() >= ITEM_LIMIT {
            self.items.remove(0);
        }
        let previous = self.last_id().map(str::to_owned);
        self.items.push(Item {
            id: id.to_owned(),
            json,
            audio_ms,
            audio: Vec::new(),
        });
        previous
    }

    /// Keeps what the caller said in an item; the oldest audio makes room.
    pub(crate) fn keep_audio(&mut self, id: &str, audio: Vec<u8>) {
        let Some(item) = self.get_mut(id) else { return };
        item.audio = audio;
        self.kept_audio = self.items.iter().map(|item| item.audio.len()).sum();
        for item in &mut self.items {
            if self.kept_audio <= KEPT_AUDIO {
                break;
            }
            self.kept_audio -= item.audio.len();
            item.audio = Vec::new();
        }
    }

    /// A `conversation.item.create`. Returns the item's place: its index, and the id before it.
    pub(crate) fn create(
        &mut self,
        previous: Option<&str>,
        wanted: &Value,
        fresh_id: String,
    ) -> Result<(String, Option<String>), ClientError> {
        let id = self.item_id(wanted, fresh_id)?;
        let mut json = self.check_item(wanted)?;
        json["id"] = json!(id);
        json["object"] = json!("realtime.item");
        json["status"] = json!("completed");
        if self.items.len() >= ITEM_LIMIT {
            return Err(ClientError::new(
                "too_many_items",
                "The conversation holds as many items as it can.",
            ));
        }
        let index = match previous {
            None => self.items.len(),
            Some("root") => 0,
            Some(previous) => {
                1 + self.index(previous).ok_or_else(|| {
                    let message =
                        format!("Previous item with item_id '{previous}' does not exist.");
                    ClientError {
                        param: Some("previous_item_id".into()),
                        ..ClientError::new("invalid_value", message)
                    }
                })?
            }
        };
        let before = index
            .checked_sub(1)
            .map(|before| self.items[before].id.clone());
        self.items.insert(
            index,
            Item {
                id: id.clone(),
                json,
                audio_ms: None,
                audio: Vec::new(),
            },
        );
        Ok((id, before))
    }

    /// A `conversation.item.truncate`; returns what length the item has now.
    pub(crate) fn truncate(
        &mut self,
        id: &str,
        content_index: u64,
        end_ms: u64,
    ) -> Result<(), ClientError> {
        let Some(item) = self.get_mut(id) else {
            let message = format!("Item with item_id '{id}' does not exist.");
            return Err(ClientError::new("item_truncate_invalid_item_id", message));
        };
        let Some(audio_ms) = item.audio_ms else {
            return Err(ClientError::value(
                "item_id",
                "Only the audio of assistant messages can be truncated.",
            ));
        };
        if content_index != 0 {
            return Err(ClientError::value(
                "content_index",
                "The item has one content part, number 0.",
            ));
        }
        if end_ms > audio_ms {
            let message =
                format!("Audio content of {audio_ms}ms is already shorter than {end_ms}ms");
            return Err(ClientError {
                param: Some("audio_end_ms".into()),
                ..ClientError::new("invalid_value", message)
            });
        }
        item.audio_ms = Some(end_ms);
        // The words are not aligned with the sound, so the server forgets them all.
        if let Some(part) = item.json["content"].get_mut(0) {
            part["transcript"] = json!("");
        }
        Ok(())
    }

    pub(crate) fn delete(&mut self, id: &str) -> Result<(), ClientError> {
        let Some(index) = self.index(id) else {
            let message = format!("Item with item_id '{id}' does not exist.");
            return Err(ClientError::new("item_delete_invalid_item_id", message));
        };
        self.items.remove(index);
        Ok(())
    }

    /// The item as `conversation.item.retrieved` shows it, with the caller's audio.
    pub(crate) fn retrieve(&self, id: &str) -> Result<Value, ClientError> {
        let Some(index) = self.index(id) else {
            let message = format!("Item with item_id '{id}' does not exist.");
            return Err(ClientError::new("item_retrieve_invalid_item_id", message));
        };
        let item = &self.items[index];
        let mut json = item.json.clone();
        if !item.audio.is_empty()
            && let Some(part) = json["content"].get_mut(0)
        {
            part["audio"] = json!(STANDARD.encode(&item.audio));
        }
        Ok(json)
    }

    fn index(&self, id: &str) -> Option<usize> {
        self.items.iter().position(|item| item.id == id)
    }

    fn item_id(&self, wanted: &Value, fresh_id: String) -> Result<String, ClientError> {
        match &wanted["id"] {
            Value::Null => Ok(fresh_id),
            Value::String(id) if id.is_empty() || id.len() > ID_LIMIT => Err(ClientError {
                code: "string_above_max_length",
                message: format!(
                    "An item's id has 1 to {ID_LIMIT} characters; this one has {}.",
                    id.len()
                ),
                param: Some("item.id".to_owned()),
            }),
            Value::String(id) if self.index(id).is_some() => Err(ClientError::value(
                "item.id",
                "An item with this id exists already.",
            )),
            Value::String(id) => Ok(id.clone()),
            _ => Err(ClientError::value("item.id", "A string is expected.")),
        }
    }

    fn check_item(&self, wanted: &Value) -> Result<Value, ClientError> {
        let text = |name: &str| {
            wanted[name]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| ClientError::missing(&format!("item.{name}")))
        };
        match wanted["type"].as_str() {
            Some("message") => check_message(wanted),
            Some("function_call") => {
                let call_id = wanted["call_id"].as_str().unwrap_or("call_unnamed");
                Ok(json!({"type": "function_call", "call_id": call_id,
                    "name": text("name")?, "arguments": text("arguments")?}))
            }
            Some("function_call_output") => {
                let (call_id, output) = (text("call_id")?, text("output")?);
                let known = |item: &Item| {
                    item.json["type"] == "function_call" && item.json["call_id"] == call_id.as_str()
                };
                if !self.items.iter().any(known) {
                    let message = format!("Tool call ID '{call_id}' not found in conversation.");
                    return Err(ClientError::new("invalid_tool_call_id", message));
                }
                Ok(json!({"type": "function_call_output", "call_id": call_id, "output": output}))
            }
            Some(_) => Err(ClientError::value(
                "item.type",
                "Supported values are 'message', 'function_call' and 'function_call_output'.",
            )),
            None => Err(ClientError::missing("item.type")),
        }
    }
}

fn check_message(wanted: &Value) -> Result<Value, ClientError> {
    let role = wanted["role"]
        .as_str()
        .ok_or_else(|| ClientError::missing("item.role"))?;
    let parts = wanted["content"]
        .as_array()
        .ok_or_else(|| ClientError::missing("item.content"))?;
    for (index, part) in parts.iter().enumerate() {
        let param = |name: &str| format!("item.content[{index}].{name}");
        let kind = part["type"]
            .as_str()
            .ok_or_else(|| ClientError::missing(&param("type")))?;
        let needed = match (role, kind) {
            ("system" | "user", "input_text") | ("assistant", "output_text") => "text",
            // The real server cannot be given an assistant's speech, and says it like this.
            ("assistant", "output_audio") => return Err(ClientError::missing(&param("text"))),
            ("user", "input_audio") => "audio",
            ("user", "input_image") => "image_url",
            ("system" | "user" | "assistant", _) => {
                return Err(ClientError::value(
                    &param("type"),
                    "This role does not take such content.",
                ));
            }
            _ => {
                return Err(ClientError::value(
                    "item.role",
                    "Supported values are 'system', 'user' and 'assistant'.",
                ));
            }
        };
        if !part[needed].is_string() {
            return Err(ClientError::missing(&param(needed)));
        }
    }
    let mut content = wanted["content"].clone();
    for part in content.as_array_mut().into_iter().flatten() {
        // Events do not echo audio back.
        if part["type"] == "input_audio" {
            *part = json!({"type": "input_audio", "transcript": part["transcript"]});
        }
    }
    Ok(json!({"type": "message", "role": role, "content": content}))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn user(text: &str) -> Value {
        json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})
    }

    #[test]
    fn items_go_where_they_are_wanted() {
        let mut talk = Conversation::default();
        assert_eq!(
            talk.create(None, &user("a"), "a".into()).unwrap(),
            ("a".into(), None)
        );
        assert_eq!(
            talk.create(None, &user("c"), "c".into()).unwrap().1,
            Some("a".into())
        );
        assert_eq!(
            talk.create(Some("a"), &user("b"), "b".into()).unwrap().1,
            Some("a".into())
        );
        assert_eq!(
            talk.create(Some("root"), &user("0"), "0".into()).unwrap().1,
            None
        );
        let ids: Vec<&str> = talk.items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids, ["0", "a", "b", "c"]);
        assert_eq!(
            talk.create(Some("x"), &user("y"), "y".into())
                .unwrap_err()
                .code,
            "invalid_value"
        );
        assert_eq!(talk.len(), 4);
    }

    #[test]
    fn what_the_real_server_refuses_is_refused() {
        let mut talk = Conversation::default();
        let speech = json!({"type": "message", "role": "assistant", "content": [{"type": "output_audio", "audio": ""}]});
        let error = talk.create(None, &speech, "x".into()).unwrap_err();
        assert_eq!(error.code, "missing_required_parameter");
        assert_eq!(
            error.message,
            "Missing required parameter: 'item.content[0].text'."
        );
        let output = json!({"type": "function_call_output", "call_id": "call_1", "output": "{}"});
        assert_eq!(
            talk.create(None, &output, "x".into()).unwrap_err().code,
            "invalid_tool_call_id"
        );
        let call =
            json!({"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"});
        talk.create(None, &call, "call".into()).unwrap();
        talk.create(None, &output, "out".into()).unwrap();
        let mut long = user("x");
        long["id"] = json!("i".repeat(33));
        assert_eq!(
            talk.create(None, &long, "x".into()).unwrap_err().code,
            "string_above_max_length"
        );
        long["id"] = json!("out");
        assert_eq!(
            talk.create(None, &long, "x".into()).unwrap_err().code,
            "invalid_value"
        );
    }

    #[test]
    fn truncation_knows_the_real_length_and_forgets_the_words() {
        let mut talk = Conversation::default();
        let spoken = json!({"type": "message", "role": "assistant",
            "content": [{"type": "output_audio", "transcript": "hello there"}]});
        talk.append("a", spoken, Some(3_700));
        talk.append("u", user("x"), None);
        let error = talk.truncate("a", 0, 3_760).unwrap_err();
        assert_eq!(
            error.message,
            "Audio content of 3700ms is already shorter than 3760ms"
        );
        assert_eq!(talk.truncate("u", 0, 0).unwrap_err().code, "invalid_value");
        assert_eq!(
            talk.truncate("z", 0, 0).unwrap_err().code,
            "item_truncate_invalid_item_id"
        );
        talk.truncate("a", 0, 3_700).unwrap();
        assert_eq!(talk.retrieve("a").unwrap()["content"][0]["transcript"], "");
    }

    #[test]
    fn the_callers_audio_comes_back_until_it_is_too_much() {
        let mut talk = Conversation::default();
        for id in ["a", "b"] {
            talk.append(id, json!({"content": [{"type": "input_audio"}]}), None);
            talk.keep_audio(id, vec![0xFF; KEPT_AUDIO - 1]);
        }
        assert!(talk.retrieve("a").unwrap()["content"][0]["audio"].is_null());
        assert!(talk.retrieve("b").unwrap()["content"][0]["audio"].is_string());
        talk.delete("b").unwrap();
        assert!(talk.retrieve("b").is_err() && talk.delete("b").is_err());
    }
}
