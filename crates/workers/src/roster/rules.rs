//! Rollout rules: which version a session belongs to, as a pure function of the session's id, of
//! its attributes and of the rules in force.
//!
//! A share of calls is taken by a hash of the session's id, not by chance: the same call belongs to
//! the same version at each of its moves and in the eyes of each edge, nothing has to be remembered,
//! and a changed weight moves only those calls whose share has changed hands.

use std::{cmp::Ordering, sync::Arc};

use holdline_config::{Eject, Existing, Rollout, WorkerPool};
use holdline_session::{Attributes, SessionId};
use holdline_telemetry::{RolloutRule, WorkerMetrics};

/// What of a pool's settings can change while calls are up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rules {
    pub(crate) rollout: Rollout,
    pub(crate) existing: Existing,
    pub(crate) eject: Eject,
    pub(crate) handoffs_per_second: u32,
}

impl Rules {
    pub(crate) fn is_disabled(&self, version: &str) -> bool {
        self.rollout.disabled.iter().any(|other| other == version)
    }

    /// Whether other versions have weights, and nothing is said of this one.
    pub(crate) fn is_left_out(&self, version: &str) -> bool {
        let Rollout { weights, pins, .. } = &self.rollout;
        let is_named = weights.contains_key(version)
            || pins.iter().any(|pin| pin.version == version)
            || self.is_disabled(version);
        // The name of one that does not tell it may come later, from its pod.
        !weights.is_empty() && !version.is_empty() && !is_named
    }

    /// Tells a scraper that these rules hold in a pool.
    pub(crate) fn tell(&self, pool: &str, metrics: &WorkerMetrics) {
        let Rollout {
            weights,
            pins,
            disabled,
            allow_one_way,
            ..
        } = &self.rollout;
        let counts = [
            (RolloutRule::Weights, weights.len()),
            (RolloutRule::Pins, pins.len()),
            (RolloutRule::Disabled, disabled.len()),
            (
                RolloutRule::Eager,
                (self.existing == Existing::Eager).into(),
            ),
            (
                RolloutRule::Pinned,
                (self.existing == Existing::Pinned).into(),
            ),
            (RolloutRule::OneWay, (*allow_one_way).into()),
        ];
        let weights = weights
            .iter()
            .map(|(version, weight)| (&**version, *weight));
        metrics.rules(pool, &counts, weights);
    }

    /// The version that a call with these attributes is pinned to.
    fn pin(&self, attributes: &Attributes) -> Option<&str> {
        let fits =
            |pin: &&holdline_config::Pin| attributes.get(&pin.attribute) == Some(&pin.equals);
        let pin = self.rollout.pins.iter().find(fits)?;
        Some(&pin.version)
    }
}

impl From<&WorkerPool> for Rules {
    fn from(pool: &WorkerPool) -> Self {
        Self {
            rollout: pool.rollout.clone(),
            existing: pool.existing,
            eject: pool.eject,
            handoffs_per_second: pool.handoffs_per_second,
        }
    }
}

#[cfg(test)]
impl Default for Rules {
    fn default() -> Self {
        Self {
            rollout: Rollout::default(),
            existing: Existing::OnDrain,
            eject: Eject::default(),
            handoffs_per_second: 1_000,
        }
    }
}

/// Where a session comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Home {
    pub(crate) version: Arc<str>,
    pub(crate) reads: Vec<u32>,
    pub(crate) writes: u32,
    pub(crate) deployment: Option<Arc<str>>,
}

/// Where the rules place a version for one session; greater is better. Of a session that is pinned
/// to a version which takes none, the weights decide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) pinned: bool,
    /// Its draw in the lottery of weights; 0: it has no share.
    draw: f64,
}

impl Standing {
    pub(crate) fn of(
        version: &str,
        session: SessionId,
        attributes: &Attributes,
        rules: &Rules,
    ) -> Self {
        let weight = rules.rollout.weights.get(version).copied();
        Self {
            pinned: rules.pin(attributes) == Some(version),
            draw: weight.map_or(0.0, |weight| draw(session, version, weight)),
        }
    }
}

impl PartialEq for Standing {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Standing {}

impl PartialOrd for Standing {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Standing {
    fn cmp(&self, other: &Self) -> Ordering {
        self.pinned
            .cmp(&other.pinned)
            .then_with(|| self.draw.total_cmp(&other.draw))
    }
}

/// Weighted rendezvous hashing: with `u` even in (0, 1) for each version, `weight / -ln(u)` is the
/// greatest with a probability in proportion to the weight.
fn draw(session: SessionId, version: &str, weight: u32) -> f64 {
    // 52 bits and a half step: neither 0 nor 1.
    let u = ((mix(session, name(version)) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    f64::from(weight) / -u.ln()
}

/// FNV-1a, 64 bits.
fn name(version: &str) -> u64 {
    version.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// A fixed but arbitrary number for each pair (the finalizer of `SplitMix64`).
pub(crate) fn mix(session: SessionId, salt: u64) -> u64 {
    let folded = (session.0 as u64) ^ ((session.0 >> 64) as u64);
    let mut z = folded.wrapping_add(salt.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
