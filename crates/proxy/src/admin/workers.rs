//! Workers, and how far those that drain are left.

use std::{collections::HashMap, time::UNIX_EPOCH};

use holdline_session::Time;
use holdline_workers::{Pod, WorkerState, WorkerStatus};
use serde::Serialize;

use crate::{
    clock::{micros, millis},
    edge::Edge,
};

/// One worker, as `/workers` shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
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
    drain: Option<DrainLine>,
    /// Where discovery knows pods.
    pod: Option<PodLine>,
}

/// How far its calls have left a worker that drains.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
struct DrainLine {
    since_unix_us: u64,
    /// Calls when it began, and calls that are left.
    began_with: usize,
    left: usize,
    /// When the oldest of them began.
    oldest_unix_us: Option<u64>,
    by_operator: bool,
}

/// A worker's pod; what the edge may not read is `null`.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
struct PodLine {
    name: String,
    uid: String,
    zone: Option<String>,
    node: Option<String>,
    created_unix_s: Option<u64>,
    /// Number of the rollout that made it.
    revision: Option<u64>,
}

impl WorkerLine {
    /// As far as a listener is told of each change: without what changes by itself.
    pub(super) fn settled(&self) -> Self {
        let mut settled = self.clone();
        settled.left_ms = None;
        if let Some(drain) = &mut settled.drain {
            drain.since_unix_us = 0;
        }
        settled
    }
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
pub(super) fn all(edge: &Edge) -> Vec<WorkerLine> {
    let workers: Vec<(&String, WorkerStatus)> = edge
        .pools
        .iter()
        .flat_map(|(name, pool)| pool.workers().into_iter().map(move |it| (name, it)))
        .collect();
    let drains = workers.iter().any(|(_, worker)| worker.leave.is_some());
    let oldest = if drains { oldest(edge) } else { HashMap::new() };
    let now = edge.clock.now();
    workers
        .into_iter()
        .map(|(pool, worker)| {
            let key = (pool.clone(), worker.id.0);
            line(pool, worker, oldest.get(&key).copied(), now)
        })
        .collect()
}

/// When the oldest call of each worker began.
fn oldest(edge: &Edge) -> HashMap<(String, u64), Time> {
    let mut oldest = HashMap::new();
    for entry in edge.table.all() {
        let Some(record) = entry.record.filter(|record| !record.is_over()) else {
            continue;
        };
        if let Some((pool, worker)) = record.place() {
            // The table says the oldest first.
            oldest.entry((pool, worker.0)).or_insert(record.began());
        }
    }
    oldest
}

fn line(pool: &str, worker: WorkerStatus, oldest: Option<Time>, now: Time) -> WorkerLine {
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
        left_ms: left.map(millis),
        detail: worker.detail,
        sessions: worker.sessions,
        capacity: worker.capacity,
        drain: worker.leave.map(|leave| DrainLine {
            since_unix_us: now.0.saturating_sub(micros(leave.since)),
            began_with: leave.began_with,
            left: worker.sessions,
            oldest_unix_us: oldest.map(|began| began.0).filter(|_| worker.sessions > 0),
            by_operator: leave.by_operator,
        }),
        pod: worker.pod.as_deref().map(PodLine::from),
    }
}
