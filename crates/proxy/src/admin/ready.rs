//! Whether the edge may get calls, and what its workers are doing.

use std::{collections::BTreeMap, time::UNIX_EPOCH};

use holdline_workers::{Pod, Pool, WorkerState, WorkerStatus};
use serde::Serialize;

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

/// One worker, as `/workers` shows it.
#[derive(Serialize, Debug)]
pub(super) struct WorkerLine {
    pool: String,
    id: u64,
    address: String,
    version: String,
    state: &'static str,
    /// Until a draining worker is gone or an ejected one is tried again, where that is known.
    left_ms: Option<u64>,
    detail: String,
    sessions: usize,
    capacity: Option<u32>,
    /// Where discovery knows pods.
    pod: Option<PodLine>,
}

/// A worker's pod; what the edge may not read is `null`.
#[derive(Serialize, Debug)]
struct PodLine {
    name: String,
    uid: String,
    zone: Option<String>,
    node: Option<String>,
    created_unix_s: Option<u64>,
    /// Number of the rollout that made it.
    revision: Option<u64>,
}

impl From<&Pod> for PodLine {
    fn from(pod: &Pod) -> Self {
        let created = pod
            .created
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self {
            name: pod.name.clone(),
            uid: pod.uid.to_string(),
            zone: pod.zone.clone(),
            node: pod.node.clone(),
            created_unix_s: created.map(|since| since.as_secs()),
            revision: pod.rollout.as_ref().map(|rollout| rollout.revision),
        }
    }
}

/// All workers of all pools.
pub(super) fn workers(edge: &Edge) -> Vec<WorkerLine> {
    edge.pools
        .iter()
        .flat_map(|(name, pool)| pool.workers().into_iter().map(|it| line(name, it)))
        .collect()
}

fn line(pool: &str, worker: WorkerStatus) -> WorkerLine {
    let left = match worker.state {
        WorkerState::Draining { left } => left,
        WorkerState::Ejected { left } => Some(left),
        _ => None,
    };
    WorkerLine {
        pool: pool.to_owned(),
        id: worker.id.0,
        address: worker.address.to_string(),
        version: worker.version,
        state: worker.state.as_str(),
        left_ms: left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
        detail: worker.detail,
        sessions: worker.sessions,
        capacity: worker.capacity,
        pod: worker.pod.as_deref().map(PodLine::from),
    }
}
