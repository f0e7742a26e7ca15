//! Workers, met as the edge meets them: found, connected to, described.

use std::time::Duration;

use futures_util::future::join_all;
use holdline_config::Config;
use holdline_telemetry::Metrics;
use holdline_workers::{Pool, PoolSetup, WorkerState, WorkerStatus};
use tokio::time::timeout;

use super::Finding;
use crate::{RunError, run};

const WORKER: &str = "worker";

pub(super) async fn findings(
    config: &Config,
    metrics: &Metrics,
    within: Duration,
) -> Result<Vec<Finding>, RunError> {
    let setups = run::pool_setups(config, metrics)?;
    let pools = setups.into_values().map(|setup| pool(setup, within));
    Ok(join_all(pools).await.into_iter().flatten().collect())
}

async fn pool(setup: PoolSetup, within: Duration) -> Vec<Finding> {
    let name = setup.name.clone();
    let pool = Pool::start(setup, std::future::pending());
    // Discovery does not say that it has told all: who comes after the last of those that are known
    // is not looked at.
    let settled = |workers: &[WorkerStatus]| !workers.is_empty() && workers.iter().all(is_settled);
    let in_time = timeout(within, pool.until(settled)).await.is_ok();
    let workers = pool.workers();
    if workers.is_empty() {
        return vec![Finding::failed(
            WORKER,
            format!("pool {name}"),
            format!("no worker was found within {within:?}"),
            "look at `discovery` of the pool, at the name or Service that it asks for, and at the rights below",
        )];
    }
    let any_ready = workers.iter().any(|it| it.state == WorkerState::Ready);
    let mut found: Vec<_> = workers
        .iter()
        .map(|worker| told(&name, worker, any_ready, in_time))
        .collect();
    found.extend(one_way(&name, &workers));
    found
}

fn is_settled(worker: &WorkerStatus) -> bool {
    worker.state != WorkerState::Connecting || !worker.detail.is_empty()
}

fn told(pool: &str, worker: &WorkerStatus, any_ready: bool, in_time: bool) -> Finding {
    let about = format!("pool {pool}, {}", worker.address);
    let detail = match worker.detail.as_str() {
        "" if in_time => "says nothing more",
        "" => "did not answer in time",
        detail => detail,
    };
    let failed = |found: String, advice: &str| match any_ready {
        true => Finding::warning(WORKER, about.clone(), found, advice),
        false => Finding::failed(WORKER, about.clone(), found, advice),
    };
    match worker.state {
        WorkerState::Ready => Finding::ok(WORKER, about, described(worker)),
        WorkerState::Draining { .. } => failed(
            format!("{}, and drains: {detail}", described(worker)),
            "calls go to it only where there is no other",
        ),
        WorkerState::Incompatible => failed(
            format!("{} cannot be used: {detail}", described(worker)),
            "see what it says; an edge is to be upgraded before its workers",
        ),
        WorkerState::Connecting | WorkerState::Lost | WorkerState::Ejected { .. } => failed(
            format!("not met: {detail}"),
            "does it run, does it listen there, do NetworkPolicy and `tls` let the edge in?",
        ),
    }
}

fn described(worker: &WorkerStatus) -> String {
    let version = match worker.version.as_str() {
        "" => "without a version".to_owned(),
        version => format!("version {version}"),
    };
    let list = |schemas: &[u32]| {
        let schemas: Vec<_> = schemas.iter().map(u32::to_string).collect();
        schemas.join(", ")
    };
    match (worker.writes, worker.reads.as_slice()) {
        (0, []) => version,
        (0, reads) => format!("{version}, reads schemas {}", list(reads)),
        (writes, reads) => format!("{version}, reads schemas {}, writes {writes}", list(reads)),
    }
}

/// A version that writes what no other reads has no way back.
fn one_way(pool: &str, workers: &[WorkerStatus]) -> Option<Finding> {
    let alone = workers.iter().find(|worker| {
        let others = || workers.iter().filter(|it| it.version != worker.version);
        let reads = |it: &WorkerStatus| it.reads.contains(&worker.writes);
        worker.writes != 0 && others().next().is_some() && !others().any(reads)
    })?;
    Some(Finding::warning(
        WORKER,
        format!("pool {pool}"),
        format!(
            "version {} writes schema {}, which no other version reads",
            alone.version, alone.writes
        ),
        "change schemas in two steps (docs/rollout.md): calls with state do not go there, or not back",
    ))
}
