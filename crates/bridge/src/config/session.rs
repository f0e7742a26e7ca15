//! How the agent hears and speaks: settings of the model's session.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::units::{self, Span, Switch};

/// How the agent hears and speaks. Source of names and ranges: OpenAI's `session.update`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Session {
    /// The voice; it cannot change once it has spoken. Default `marin`.
    pub voice: String,
    /// Speaking rate, 0.25 to 1.5. Default 1.0.
    pub speed: f32,
    /// Most tokens of one answer, `inf` or 1 to 4096. Default `inf`.
    pub max_output_tokens: MaxTokens,
    /// Turns the caller's words into text; `off`: none. That text is what a new model session is
    /// told when the old one is lost.
    pub transcription: Switch<Transcription>,
    /// Cleans the caller's audio; `off`: not. Default `off`.
    pub noise_reduction: Switch<NoiseReduction>,
    /// When the caller is taken to speak, and to have finished.
    pub turn_detection: TurnDetection,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            voice: "marin".to_owned(),
            speed: 1.0,
            max_output_tokens: MaxTokens(None),
            transcription: Switch::default(),
            noise_reduction: Switch::Off,
            turn_detection: TurnDetection::default(),
        }
    }
}

/// Most tokens of one answer; `None`: no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxTokens(pub Option<u32>);

impl<'de> Deserialize<'de> for MaxTokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrInf;
        impl de::Visitor<'_> for NumberOrInf {
            type Value = MaxTokens;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`inf` or a number from 1 to 4096")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<MaxTokens, E> {
                match text {
                    "inf" => Ok(MaxTokens(None)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, tokens: u64) -> Result<MaxTokens, E> {
                match u32::try_from(tokens) {
                    Ok(tokens @ 1..=4_096) => Ok(MaxTokens(Some(tokens))),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(tokens), &self)),
                }
            }
        }
        deserializer.deserialize_any(NumberOrInf)
    }
}

/// Turns the caller's words into text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Transcription {
    /// Default `gpt-4o-mini-transcribe`.
    pub model: String,
    /// ISO 639-1, such as `en`; without it the model guesses.
    pub language: Option<String>,
    /// Words that are likely to come up.
    pub prompt: Option<String>,
}

impl Default for Transcription {
    fn default() -> Self {
        Self {
            model: "gpt-4o-mini-transcribe".to_owned(),
            language: None,
            prompt: None,
        }
    }
}

/// Cleans the caller's audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseReduction {
    /// A headset or handset.
    NearField,
    /// A room microphone.
    FarField,
}

impl NoiseReduction {
    /// The vendor's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NearField => "near_field",
            Self::FarField => "far_field",
        }
    }
}

/// When the caller is taken to speak, and to have finished: the model's server VAD. An answer is
/// made by itself, and stopped by itself when the caller speaks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TurnDetection {
    /// How loud speech must be, 0 to 1. Default 0.5.
    pub threshold: f32,
    /// Audio kept from before the detected beginning. Default 300 ms.
    #[serde(deserialize_with = "units::duration")]
    pub prefix_padding: Duration,
    /// Silence that ends a turn. Default 500 ms.
    #[serde(deserialize_with = "units::duration")]
    pub silence_duration: Duration,
    /// After so long without a word the model speaks up by itself; `off`: never. Default `off`.
    pub idle_timeout: Switch<Span>,
}

impl Default for TurnDetection {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            prefix_padding: Duration::from_millis(300),
            silence_duration: Duration::from_millis(500),
            idle_timeout: Switch::Off,
        }
    }
}
