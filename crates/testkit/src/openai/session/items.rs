//! What the client does with items.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Session, decode_audio};
use crate::identity::{FrameId, Scanner};
use crate::openai::conversation::ClientError;
use crate::openai::record::{SeededItem, TruncateRecord};

/// Records kept of each kind per connection.
const RECORD_LIMIT: usize = 10_000;

impl Session {
    pub(super) fn item_create(&mut self, now: Instant, event: &Value) -> Result<(), ClientError> {
        let wanted = &event["item"];
        if !wanted.is_object() {
            return Err(ClientError::missing("item"));
        }
        let fresh = self.fresh("item");
        let previous = event["previous_item_id"].as_str();
        let (id, before) = self.conversation.create(previous, wanted, fresh)?;
        let item = self.conversation.retrieve(&id)?;
        self.counts.seeded += 1;
        if self.record.seeded.len() < RECORD_LIMIT {
            let frames = frames(wanted);
            self.record.seeded.push(SeededItem {
                frames,
                ..seeded(now, id, &item)
            });
        }
        let at = now + self.options.timing.reply;
        self.say(
            at,
            json!({"type": "conversation.item.added", "previous_item_id": before, "item": item}),
        );
        self.say(
            at,
            json!({"type": "conversation.item.done", "previous_item_id": before, "item": item}),
        );
        Ok(())
    }

    pub(super) fn item_retrieve(&mut self, now: Instant, event: &Value) -> Result<(), ClientError> {
        let item = self.conversation.retrieve(item_id(event)?)?;
        let at = now + self.options.timing.reply;
        self.say(
            at,
            json!({"type": "conversation.item.retrieved", "item": item}),
        );
        Ok(())
    }

    pub(super) fn item_delete(&mut self, now: Instant, event: &Value) -> Result<(), ClientError> {
        let id = item_id(event)?;
        self.conversation.delete(id)?;
        let at = now + self.options.timing.reply;
        self.say(
            at,
            json!({"type": "conversation.item.deleted", "item_id": id}),
        );
        Ok(())
    }

    pub(super) fn item_truncate(&mut self, now: Instant, event: &Value) -> Result<(), ClientError> {
        let id = item_id(event)?;
        let integer = |name: &str| {
            event[name]
                .as_u64()
                .ok_or_else(|| ClientError::missing(name))
        };
        let (content_index, end_ms) = (integer("content_index")?, integer("audio_end_ms")?);
        let audio_ms = self.conversation.get_mut(id).and_then(|item| item.audio_ms);
        let result = self.conversation.truncate(id, content_index, end_ms);
        self.counts.truncates += 1;
        if self.record.truncates.len() < RECORD_LIMIT {
            self.record.truncates.push(TruncateRecord {
                at: now,
                item_id: id.to_owned(),
                audio_end_ms: end_ms,
                audio_ms,
                accepted: result.is_ok(),
            });
        }
        result?;
        self.say(
            now + self.options.timing.reply,
            json!({"type": "conversation.item.truncated",
            "item_id": id, "content_index": content_index, "audio_end_ms": end_ms}),
        );
        Ok(())
    }
}

fn item_id(event: &Value) -> Result<&str, ClientError> {
    event["item_id"]
        .as_str()
        .ok_or_else(|| ClientError::missing("item_id"))
}

fn seeded(at: Instant, id: String, item: &Value) -> SeededItem {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let parts = item["content"].as_array().into_iter().flatten();
    let mut words: Vec<String> = parts.map(|part| text(&part["text"])).collect();
    words.extend([text(&item["arguments"]), text(&item["output"])]);
    words.retain(|word| !word.is_empty());
    SeededItem {
        at,
        id,
        kind: text(&item["type"]),
        role: text(&item["role"]),
        text: words.join(" "),
        frames: Vec::new(),
    }
}

/// Who is heard in the audio of an item; events do not show it.
fn frames(wanted: &Value) -> Vec<FrameId> {
    let mut scanner = Scanner::default();
    let parts = wanted["content"].as_array().into_iter().flatten();
    let audio = parts.filter_map(|part| decode_audio(part["audio"].as_str()).ok());
    audio
        .flat_map(|audio| scanner.push(&audio))
        .map(|found| found.id)
        .collect()
}
