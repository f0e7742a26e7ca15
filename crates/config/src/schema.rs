//! Pieces of the JSON Schema that sections are made of.

use serde_json::{Map, Value, json};

use crate::shape::Shape;

/// A schema of a map with known keys.
pub(crate) struct Object {
    description: String,
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl Object {
    pub(crate) fn new(doc: &str) -> Self {
        Self {
            description: prose(doc),
            properties: Map::new(),
            required: Vec::new(),
        }
    }

    pub(crate) fn property<T: Shape>(
        &mut self,
        name: &str,
        doc: &str,
        range: &T::Range,
        default: Option<fn() -> T>,
    ) {
        let mut schema = T::schema(range);
        if let Value::Object(schema) = &mut schema {
            // What the field is for says more than what its type is.
            schema.insert("description".to_owned(), prose(doc).into());
            if let Some(make) = default {
                let default = serde_json::to_value(make().write()).unwrap_or_default();
                schema.insert("default".to_owned(), default);
            }
        }
        if default.is_none() {
            self.required.push(name.into());
        }
        self.properties.insert(name.to_owned(), schema);
    }

    pub(crate) fn finish(self) -> Value {
        let mut schema = json!({
            "type": "object",
            "description": self.description,
            "properties": self.properties,
            "additionalProperties": false,
        });
        if !self.required.is_empty() {
            schema["required"] = self.required.into();
        }
        schema
    }
}

/// Documentation comments as running text.
pub(crate) fn prose(doc: &str) -> String {
    let words: Vec<_> = doc.split_whitespace().collect();
    words.join(" ")
}
