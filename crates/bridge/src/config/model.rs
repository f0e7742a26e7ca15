//! Where the model is, how often it is tried, and when its session is replaced.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::units::{self, Switch};

/// Where the model is, how often it is tried, and when its session is replaced.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// Name of an upstream in the edge's configuration, used to open the leg again.
    pub upstream: String,
    /// Handed to that upstream, for example `model`.
    pub attributes: BTreeMap<String, String>,
    /// Time from opening until the model has confirmed its settings. Default 6 s, a little more than
    /// the edge's own `connect_timeout`.
    #[serde(deserialize_with = "units::duration")]
    pub ready_timeout: Duration,
    /// Time from asking for an answer until the model begins one, and the longest pause in the
    /// middle of one. Default 8 s.
    #[serde(deserialize_with = "units::duration")]
    pub reply_timeout: Duration,
    /// How often it is opened again in a row, with no whole answer in between, before the call is
    /// handed back. Default 10.
    pub attempts: u32,
    /// Wait before the second attempt; it doubles with each one. The first is made at once.
    /// Default 250 ms.
    #[serde(deserialize_with = "units::duration")]
    pub backoff_min: Duration,
    /// Longest wait. Default 4 s.
    #[serde(deserialize_with = "units::duration")]
    pub backoff_max: Duration,
    /// After so long without a model the call is handed back: the carrier goes on with what follows
    /// the stream in its instructions. Default 20 s.
    #[serde(deserialize_with = "units::duration")]
    pub give_up: Duration,
    /// Most of the caller's audio that is kept for the next session while there is no model, or
    /// while its words are not known. Takes 8,000 bytes of the session's state a second. Default
    /// 20 s, at most 40 s.
    #[serde(deserialize_with = "units::duration")]
    pub audio_kept: Duration,
    /// When a session is replaced before the vendor ends it; `off`: its end is a loss like another.
    pub rollover: Switch<Rollover>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            upstream: "openai".to_owned(),
            attributes: BTreeMap::new(),
            ready_timeout: Duration::from_secs(6),
            reply_timeout: Duration::from_secs(8),
            attempts: 10,
            backoff_min: Duration::from_millis(250),
            backoff_max: Duration::from_secs(4),
            give_up: Duration::from_secs(20),
            audio_kept: Duration::from_secs(20),
            rollover: Switch::default(),
        }
    }
}

/// When a session is replaced. OpenAI ends one after 60 minutes, without a warning (documented; the
/// session's `expires_at` says the same).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rollover {
    /// Age from which a quiet moment is used. Default 55 min.
    #[serde(deserialize_with = "units::duration")]
    pub after: Duration,
    /// Age at which it is replaced in any case. Default 59 min.
    #[serde(deserialize_with = "units::duration")]
    pub by: Duration,
}

impl Default for Rollover {
    fn default() -> Self {
        Self {
            after: Duration::from_secs(55 * 60),
            by: Duration::from_secs(59 * 60),
        }
    }
}
