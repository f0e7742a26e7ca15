//! How the simulated server behaves. The defaults are what was recorded of the real one.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::faults::FaultRule;
use crate::speech::Utterance;

/// Which API keys are good.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Keys {
    /// Any key that is not empty.
    #[default]
    Any,
    /// These.
    Only(BTreeSet<String>),
}

impl Keys {
    pub(crate) fn accept(&self, key: Option<&str>) -> bool {
        match (self, key) {
            (_, None | Some("")) => false,
            (Self::Any, Some(_)) => true,
            (Self::Only(good), Some(key)) => good.contains(key),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("Any"),
            Self::Only(good) => write!(f, "Only({} keys)", good.len()),
        }
    }
}

/// How fast audio is generated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// This many times real time; 1.0 is as fast as it is heard.
    Times(f64),
    /// Everything with the first delta.
    AllAtOnce,
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From the upgrade to `session.created`.
    pub session_created: Duration,
    /// From a client event to its answer.
    pub reply: Duration,
    /// From the reason for a response to `response.created`.
    pub response_created: Duration,
    /// From there to `response.output_item.added`.
    pub item_added: Duration,
    /// From `response.created` to the first audio delta.
    pub first_audio: Duration,
    /// From the last audio delta to the done events.
    pub done: Duration,
    /// From `response.done` to `rate_limits.updated`.
    pub rate_limits: Duration,
    /// From the end of a turn to its transcription.
    pub transcription: Duration,
}

impl Timing {
    /// As recorded of the real server (gpt-realtime-2.1-mini, network included).
    #[must_use]
    pub fn recorded() -> Self {
        Self {
            session_created: Duration::from_millis(45),
            reply: Duration::from_millis(63),
            response_created: Duration::from_millis(30),
            item_added: Duration::from_millis(303),
            first_audio: Duration::from_millis(431),
            done: Duration::from_millis(27),
            rate_limits: Duration::from_millis(29),
            transcription: Duration::from_millis(740),
        }
    }

    /// Without any waiting, for tests of order alone.
    #[must_use]
    pub fn immediate() -> Self {
        Self {
            session_created: Duration::ZERO,
            reply: Duration::ZERO,
            response_created: Duration::ZERO,
            item_added: Duration::ZERO,
            first_audio: Duration::ZERO,
            done: Duration::ZERO,
            rate_limits: Duration::ZERO,
            transcription: Duration::ZERO,
        }
    }
}

/// When the model calls a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolTime {
    /// Instead of the answer to this user turn of the connection, from 1; only if the
    /// session offers the tool.
    Turn(u32),
    /// Instead of the first answer after a user turn in which the session offers the tool.
    Offered,
}

/// A tool call that the model makes, once per connection.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolScript {
    /// When.
    pub time: ToolTime,
    /// The name of the function.
    pub name: String,
    /// Its arguments.
    pub arguments: Value,
}

/// All that can be set on the server.
#[derive(Debug, Clone)]
pub struct SimOptions {
    /// Which keys are good; a bad one gets 101, an error event and close 3000.
    pub keys: Keys,
    /// Serve TLS with this.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// How long things take.
    pub timing: Timing,
    /// How fast audio is generated.
    pub speed: Speed,
    /// The share by which the time between two deltas wobbles, 0.0 to 1.0.
    pub jitter: f64,
    /// Audio of the first delta and of each later one, in frames of 20 ms.
    pub first_delta_frames: u32,
    /// See [`SimOptions::first_delta_frames`].
    pub delta_frames: u32,
    /// What the model says: answer n of a connection is entry n, round and round.
    pub answers: Vec<Vec<Utterance>>,
    /// Tools that the model calls.
    pub tools: Vec<ToolScript>,
    /// Audio deltas that still come after a cancellation.
    pub late_deltas: u32,
    /// The longest session; then `session_expired` and close 1001.
    pub session_limit: Duration,
    /// What goes wrong, and when.
    pub faults: Vec<FaultRule>,
    /// Connections in all, open and closed, that are accepted and recorded.
    pub max_connections: u16,
    /// For jitter and obfuscation: the same seed gives the same run.
    pub seed: u64,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            keys: Keys::Any,
            tls: None,
            timing: Timing::recorded(),
            speed: Speed::Times(8.0),
            jitter: 0.5,
            // 1,600 bytes first, then 2,080: 200 and 260 ms, in whole frames.
            first_delta_frames: 10,
            delta_frames: 13,
            answers: vec![
                vec![Utterance::COLD_HEARTED],
                vec![Utterance::RESPECTABLE],
                vec![Utterance::PRUDENTLY],
                vec![Utterance::AMIABLE],
            ],
            tools: Vec::new(),
            late_deltas: 1,
            session_limit: Duration::from_secs(3_600),
            faults: Vec::new(),
            max_connections: 10_000,
            seed: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_checked_and_not_shown() {
        let keys = Keys::Only(BTreeSet::from(["sk-hush".to_owned()]));
        assert!(
            keys.accept(Some("sk-hush")) && !keys.accept(Some("sk-other")) && !keys.accept(None)
        );
        assert!(Keys::Any.accept(Some("x")) && !Keys::Any.accept(Some("")));
        assert!(!format!("{keys:?}").contains("hush"));
    }
}
