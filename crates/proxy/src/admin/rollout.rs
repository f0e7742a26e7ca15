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

impl RulesLine {
    /// For the log: all but what pins compare with, which can be somebody's number.
    pub(super) fn told(&self) -> String {
        let pins = self.pins.iter().map(|pin| (&pin.attribute, &pin.version));
        let rules = serde_json::json!({
            "existing": self.existing,
            "weights": self.weights,
            "pins": pins.collect::<Vec<_>>(),
            "disabled": self.disabled,
        });
        rules.to_string()
    }
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

/// Whose rules of a pool are in force now, and which, for the log.
pub(super) fn told(edge: &Edge, pool: &str) -> (&'static str, String) {
    let (_, pools) = edge.steering.show();
    let of_pool = pools.into_iter().find(|shown| shown.pool == pool);
    let told = of_pool.map(|shown| (shown.source(), RulesLine::from(&shown.steer).told()));
    told.unwrap_or_default()
}

/// What is in force now.
pub(super) fn page(edge: &Edge) -> RolloutPage {
    let (revision, pools) = edge.steering.show();
    let rules = |shown: InForce| PoolRules {
        source: shown.source(),
        since_unix_us: shown.since.map(|at| at.0),
        rules: RulesLine::from(&shown.steer),
        pool: shown.pool,
    };
    RolloutPage {
        revision,
        pools: pools.into_iter().map(rules).collect(),
    }
}
