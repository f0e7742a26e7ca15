//! The model's leg, as the bridge sees it.
//!
//! ```text
//!  New ──begin──► Setup ──settings confirmed──► Ready
//!                  ▲  │ closed, too slow          │ closed
//!           timer  │  ▼                           ▼
//!                 Waiting ◄───────────────────────┘
//!                  └── too often, or of no use ──► Over
//! ```

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// The model's leg.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Link {
    pub(crate) phase: Phase,
    /// Which opening; 0: none was seen yet. Of one that was asked for and not yet heard of: the
    /// least that it can be. Whatever happens to an older one is of the past.
    pub(crate) incarnation: u32,
    /// While waiting: whether a leg of that name was in the way of a new one.
    pub(crate) name_in_use: bool,
    /// Times it was opened since it last gave a whole answer.
    pub(crate) failures: u32,
    /// Confirmations of settings that are still to come.
    pub(crate) unconfirmed: u32,
    /// Whether the caller has something to hear once it is ready again.
    pub(crate) owed: bool,
    /// When the session ends by itself, in seconds of Unix time.
    pub(crate) expires_at: Option<u64>,
    /// Since when there has been no model.
    pub(crate) lost_at: Option<Time>,
    /// Caller audio that no model heard, in ms.
    pub(crate) unheard_ms: u64,
}

/// What the leg is good for.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Nothing was done yet.
    #[default]
    New,
    /// Settings, and what went before, are on their way. Audio follows behind them.
    Setup,
    /// It hears and may speak.
    Ready,
    /// It is gone, and will be opened again.
    Waiting,
    /// It will not come back; the call is being ended.
    Over,
}

impl Link {
    /// Whether frames may be written to it. Those for a leg that still connects are kept by the
    /// edge, in order.
    pub(crate) fn is_there(&self) -> bool {
        matches!(self.phase, Phase::Setup | Phase::Ready)
    }
}
