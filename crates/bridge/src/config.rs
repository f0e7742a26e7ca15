//! The bridge's own file: what the agent is, how it speaks, and what it can do.
//!
//! Everything that a call needs is set here explicitly, because the model's defaults differ from
//! model to model. Unknown keys are refused, so that a misspelt one is not silently a default.

mod model;
mod secret;
mod session;
mod tools;
mod units;
mod validate;

use std::{fmt, path::Path, time::Duration};

use serde::Deserialize;

pub use self::{
    model::{Model, Rollover},
    secret::{Secret, SecretSource},
    session::{MaxTokens, NoiseReduction, Session, Transcription, TurnDetection},
    tools::{Header, Tool, Webhook},
    units::Switch,
};

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the edge shows as this worker's version; default: the version of the program.
    #[serde(default)]
    pub version: Option<String>,
    /// Who the agent is and what it shall do.
    pub instructions: String,
    /// Where the model is, how often it is tried, and when its session is replaced.
    #[serde(default)]
    pub model: Model,
    /// How the agent hears and speaks.
    #[serde(default)]
    pub session: Session,
    /// What is said first; `off`: the caller speaks first.
    #[serde(default)]
    pub greeting: Switch<Greeting>,
    /// What the agent can do beside speaking.
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// Changes to the audio on its way; none by default, and then it is not even decoded.
    #[serde(default)]
    pub audio: Audio,
    /// How pauses in the caller's media are filled.
    #[serde(default)]
    pub silence: Silence,
    /// What pressed keys mean.
    #[serde(default)]
    pub dtmf: Switch<Dtmf>,
    /// What a new version's file does to calls that are in progress.
    #[serde(default)]
    pub existing_calls: ExistingCalls,
    /// What is logged.
    #[serde(default)]
    pub log: Log,
}

/// What is said first.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Greeting {
    /// For the first answer alone; without them the general instructions decide.
    pub instructions: Option<String>,
}

/// Changes to the audio on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audio {
    /// From the caller to the model.
    pub to_model: AudioChange,
    /// From the model to the caller.
    pub to_caller: AudioChange,
}

/// A change to the audio of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AudioChange {
    /// Amplification in decibels, -40 to 40; 0: none.
    pub gain_db: f32,
    /// Replaces everything by silence.
    pub mute: bool,
}

/// How pauses in the caller's media are filled. The model's turn detection counts audio, not time:
/// without audio it never notices that the caller has stopped.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Silence {
    /// Most silence put in place of one gap; `off`: none. Default 10 s.
    pub fill_max: Switch<units::Span>,
    /// While the caller is believed to speak: after so long without media, silence is sent.
    /// Default 750 ms.
    #[serde(deserialize_with = "units::duration")]
    pub quiet_after: Duration,
    /// How much at a time. Default 1 s.
    #[serde(deserialize_with = "units::duration")]
    pub inject: Duration,
}

impl Default for Silence {
    fn default() -> Self {
        Self {
            fill_max: Switch::On(units::Span(Duration::from_secs(10))),
            quiet_after: Duration::from_millis(750),
            inject: Duration::from_secs(1),
        }
    }
}

/// What pressed keys mean.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dtmf {
    /// What the model is told; `{digits}` stands for the keys.
    pub message: String,
    /// Keys are collected until none came for so long. Default 1.5 s.
    #[serde(deserialize_with = "units::duration")]
    pub gap: Duration,
    /// A key that ends the collection at once and is not part of it; empty: none. Default `#`.
    pub terminator: String,
    /// Most keys of one collection, 1 to 64. Default 32.
    pub max_digits: usize,
    /// Whether the model answers at once. Default true.
    pub respond: bool,
    /// Whether a key interrupts what is being said. Default true.
    pub interrupt: bool,
}

impl Default for Dtmf {
    fn default() -> Self {
        Self {
            message: "The caller pressed {digits}.".to_owned(),
            gap: Duration::from_millis(1_500),
            terminator: "#".to_owned(),
            max_digits: 32,
            respond: true,
            interrupt: true,
        }
    }
}

/// What a new file does to calls that are in progress when they reach a worker that has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExistingCalls {
    /// The model is told the new settings; the voice stays.
    #[default]
    Update,
    /// They go on with the settings that they began with.
    Keep,
}

/// What is logged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Whether what people say, press and ask for is logged. Default false: lengths alone.
    pub content: bool,
    /// `error`, `warn`, `info`, `debug` or `trace`. Default `info`.
    pub level: String,
    /// `json` or `text`. Default `json`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            content: false,
            level: "info".to_owned(),
            format: LogFormat::Json,
        }
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

impl Config {
    /// Reads and validates a file.
    ///
    /// # Errors
    /// If it cannot be read, or anything in it is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            origin: path.display().to_string(),
            problems: vec![format!("cannot be read: {error}")],
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Validates a text; `origin` names it in errors.
    ///
    /// # Errors
    /// If anything in it is wrong. What is not of the right shape is reported alone, since nothing
    /// after it can be judged; everything else is reported together.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let failed = |problems| ConfigError {
            origin: origin.to_owned(),
            problems,
        };
        let config: Self =
            serde_yaml::from_str(text).map_err(|error| failed(vec![error.to_string()]))?;
        let problems = validate::problems(&config);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(failed(problems))
        }
    }
}

/// What is wrong with a file, all of it: for the person who wrote it. A retry does not help.
#[derive(Debug)]
pub struct ConfigError {
    origin: String,
    problems: Vec<String>,
}

impl ConfigError {
    pub(crate) fn new(origin: &str, problems: Vec<String>) -> Self {
        Self {
            origin: origin.to_owned(),
            problems,
        }
    }

    /// One sentence each, beginning with the path of the key.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the bridge's configuration {} cannot be used",
            self.origin
        )?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests;
