//! What the agent can do beside speaking: functions that are webhooks.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{self, value::MapAccessDeserializer},
};
use serde_json::Value;

use super::{
    secret::{Secret, SecretSource},
    units,
};

/// A function that the model may call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Letters, digits, `_` and `-`; at most 64.
    pub name: String,
    /// When and what for; the model reads it.
    pub description: String,
    /// JSON Schema of the arguments, an object.
    #[serde(default = "no_parameters")]
    pub parameters: Value,
    /// What is asked.
    pub webhook: Webhook,
}

/// An HTTP endpoint. It gets a POST with JSON: `tool`, `arguments`, `session_id`, `call_id`; and the
/// header `Idempotency-Key`, which is the same in every attempt, on every worker. What it answers
/// is told to the model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// `https://` or `http://`.
    pub url: String,
    /// For each attempt, from connecting to the last byte. Default 10 s.
    #[serde(default = "ten_seconds", deserialize_with = "units::duration")]
    pub timeout: Duration,
    /// Attempts in all, 1 to 10: after status 429 or 5xx, a failed connection or a timeout.
    /// Default 3.
    #[serde(default = "three")]
    pub attempts: u32,
    /// Sent with every attempt.
    #[serde(default)]
    pub headers: BTreeMap<String, Header>,
    /// Most bytes of an answer, up to 16,384, which is the default. A longer one is an error.
    #[serde(default = "sixteen_kib")]
    pub max_response_bytes: usize,
}

/// Value of a header.
#[derive(Clone, Debug)]
pub enum Header {
    /// As written in the file.
    Plain(Secret),
    /// Kept elsewhere.
    Kept(SecretSource),
}

impl Header {
    /// Reads the value.
    ///
    /// # Errors
    /// In words, if it is not there.
    pub fn read(&self) -> Result<Secret, String> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::Kept(source) => source.read(),
        }
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrSource;
        impl<'de> de::Visitor<'de> for TextOrSource {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, {env: NAME} or {file: PATH}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Header, E> {
                Ok(Header::Plain(Secret::from(text.to_owned())))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Header, A::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Source {
                    env: Option<String>,
                    file: Option<std::path::PathBuf>,
                }
                match Source::deserialize(MapAccessDeserializer::new(map))? {
                    Source {
                        env: Some(name),
                        file: None,
                    } => Ok(Header::Kept(SecretSource::Env(name))),
                    Source {
                        env: None,
                        file: Some(path),
                    } => Ok(Header::Kept(SecretSource::File(path))),
                    _ => Err(de::Error::custom(
                        "either `env` or `file` names where the secret is",
                    )),
                }
            }
        }
        deserializer.deserialize_any(TextOrSource)
    }
}

fn no_parameters() -> Value {
    serde_json::json!({"type": "object", "properties": {}})
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn three() -> u32 {
    3
}

fn sixteen_kib() -> usize {
    16 << 10
}
