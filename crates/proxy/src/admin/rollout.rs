//! Rollout rules in force, as they are shown.

use std::collections::BTreeMap;

use holdline_config::{Pin, Steer};
use serde::Serialize;

use crate::{edge::Edge, steering::InForce};

/// The rules of all pools.
#[derive(Serialize, Debug)]
pub(super) struct RolloutPage {
    /// Changes with each change of the rules.
    pub(super) revision: u64,
    pools: Vec<PoolRules>,
}

#[derive(Serialize, Debug)]
struct PoolRules {
    pool: String,
    /// `configuration` or `operator`.
    source: &'static str,
    since_unix_us: Option<u64>,
    #[serde(flatten)]
    rules: RulesLine,
}

/// The rules of one pool, as they are shown and as they are set.
#[derive(Serialize, Debug)]
pub(super) struct RulesLine {
    existing: &'static str,
    weights: BTreeMap<String, u32>,
    pins: Vec<PinLine>,
    disabled: Vec<String>,
}

#[derive(Serialize, Debug)]
struct PinLine {
    attribute: String,
    equals: String,
    version: String,
}

impl From<&Steer> for RulesLine {
    fn from(steer: &Steer) -> Self {
        Self {
            existing: steer.existing.as_str(),
            weights: steer.rollout.weights.clone(),
            pins: steer.rollout.pins.iter().map(PinLine::from).collect(),
            disabled: steer.rollout.disabled.clone(),
        }
    }
}

impl From<&Pin> for PinLine {
    fn from(pin: &Pin) -> Self {
        Self {
            attribute: pin.attribute.clone(),
            equals: pin.equals.clone(),
            version: pin.version.clone(),
        }
    }
}

/// What is in force now.
pub(super) fn page(edge: &Edge) -> RolloutPage {
    let (revision, pools) = edge.steering.show();
    let rules = |shown: InForce| PoolRules {
        source: match shown.since {
            Some(_) => "operator",
            None => "configuration",
        },
        since_unix_us: shown.since.map(|at| at.0),
        rules: RulesLine::from(&shown.steer),
        pool: shown.pool,
    };
    RolloutPage {
        revision,
        pools: pools.into_iter().map(rules).collect(),
    }
}
