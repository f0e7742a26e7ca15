//! The model's leg, as the bridge sees it.
//!
//! ```text
//!  New ──begin──► Setup ──settings confirmed──► Ready ◄──┐
//!                  ▲  │ closed, too slow          │  │   │ the spare one takes over
//!           timer  │  ▼                           │  └───┘
//!                 Waiting ◄──────closed───────────┘
//!                  └── too often, too long, or of no use ──► Over
//! ```
//!
//! A leg has a name, and a name can be opened again only once it is closed. So there are two: while
//! one session lasts, the next can be made ready under the other name.

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// The model's leg.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Link {
    pub(crate) phase: Phase,
    /// Under which name the session in use is open.
    pub(crate) leg: ModelLeg,
    /// Of each name, which opening; 0: none was seen yet. Of one that was asked for and not yet
    /// heard of: the least that it can be. Whatever happens to an older one is of the past.
    openings: [u32; 2],
    /// Number of the session in use, over both names: only it knows the items that it made.
    pub(crate) session: u32,
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
    /// Where the caller's audio begins that no model may have heard, in bytes of all of it.
    pub(crate) audio_from: Option<u64>,
    /// Once so much of the caller's audio has come, the present session has heard all that.
    pub(crate) settled_at: Option<u64>,
    /// Caller audio that no model will ever hear, in ms.
    pub(crate) unheard_ms: u64,
    pub(crate) rollover: Rollover,
}

/// Which of the two names.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ModelLeg {
    /// The one that the edge dials by itself.
    #[default]
    First,
    Second,
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
    /// It will not come back; the call is being handed back.
    Over,
}

/// The way to the next session, before the present one ends by itself.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Rollover {
    /// Whether the present session is old enough.
    pub(crate) due: bool,
    /// Not before this, because the last try came to nothing.
    pub(crate) again_at: Time,
    /// Tries in a row whose leg could not be had.
    pub(crate) refused: u32,
    pub(crate) spare: Option<Spare>,
}

/// A session that is being told what was said, while another one is in use.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Spare {
    /// When it was asked for.
    pub(crate) since: Time,
    /// Confirmations of settings that are still to come.
    pub(crate) unconfirmed: u32,
    /// What it was told is the history as of this revision.
    pub(crate) revision: u64,
    /// The settings that it was told.
    pub(crate) settings: u64,
    pub(crate) expires_at: Option<u64>,
}

impl ModelLeg {
    const ALL: [Self; 2] = [Self::First, Self::Second];

    /// Its name at the edge.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::First => "model",
            Self::Second => "model-2",
        }
    }

    /// The leg of this name; `None` for one that is not the model's.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|leg| leg.name() == name)
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

impl Link {
    /// Whether frames may be written to it. Those for a leg that still connects are kept by the
    /// edge, in order.
    pub(crate) fn is_there(&self) -> bool {
        matches!(self.phase, Phase::Setup | Phase::Ready)
    }

    /// The newest opening of a name that is known of.
    pub(crate) fn opening(&self, leg: ModelLeg) -> u32 {
        self.openings[leg as usize]
    }

    pub(crate) fn opening_mut(&mut self, leg: ModelLeg) -> &mut u32 {
        &mut self.openings[leg as usize]
    }

    /// Whether this is the name under which the next session is made ready.
    pub(crate) fn is_spare(&self, leg: ModelLeg) -> bool {
        self.rollover.spare.is_some() && leg != self.leg
    }
}
