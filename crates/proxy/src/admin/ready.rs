//! Whether the edge may get calls.

use std::collections::BTreeMap;

use holdline_workers::Pool;

use crate::{edge::Edge, lifecycle::Phase};

/// Why no calls should be sent here; empty where they should. The listeners are bound for as long
/// as this port answers.
pub(super) fn obstacles(edge: &Edge) -> Vec<String> {
    let phase = *edge.phase.borrow();
    let draining = (phase != Phase::Serving).then(|| format!("draining: {}", phase.as_str()));
    let pools = edge
        .pools
        .iter()
        .filter(|(_, pool)| !pool.ready())
        .map(|(name, pool)| format!("no worker of pool `{name}` is ready: {}", census(pool)));
    draining.into_iter().chain(pools).collect()
}

fn census(pool: &Pool) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for worker in pool.workers() {
        *counts.entry(worker.state.as_str()).or_default() += 1;
    }
    if counts.is_empty() {
        return "none is known".to_owned();
    }
    let counted = counts
        .iter()
        .map(|(state, count)| format!("{count} {state}"));
    counted.collect::<Vec<_>>().join(", ")
}
