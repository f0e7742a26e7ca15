//! A configuration that changes under live calls.
//!
//! Who changes it is often in a hurry, and cannot see the edge. So a configuration is taken up only
//! if it is right as a whole, one log line names what is now in force and what still waits for a
//! restart, and whatever is wrong leaves everything as it was.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use holdline_config::{Config, ConfigErrors, Reread};
use holdline_telemetry::Metrics;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::{admission::Bounds, edge::Edge, files};

/// What came of reading the configuration again.
#[derive(Debug)]
pub enum Reload {
    /// It is valid.
    Read(Box<Reread>),
    /// It is not: all that is wrong with it is logged, and nothing changes.
    Refused(ConfigErrors),
}

/// Takes up configurations as they come, for as long as it is polled.
pub(crate) async fn follow(
    edge: Arc<Edge>,
    mut config: Config,
    mut reloads: mpsc::Receiver<Reload>,
) {
    while let Some(reload) = reloads.recv().await {
        match reload {
            Reload::Read(next) => config = take_up(&edge, &config, &next),
            Reload::Refused(errors) => {
                edge.metrics.build.config_reloaded(false);
                error!(
                    errors = %errors.to_string().trim_end(),
                    "configuration refused: the one in force stays"
                );
            }
        }
    }
}

/// How many calls may be, and what the others are told.
pub(crate) fn bounds(config: &Config) -> Bounds {
    Bounds {
        limit: usize::try_from(files::sessions(config)).unwrap_or(usize::MAX),
        retry_after: config.drain.retry_after,
    }
}

/// Tells which configuration is in force, from now on.
pub(crate) fn note(config: &Config, metrics: &Metrics) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
    metrics.build.config_loaded(&config.fingerprint(), now);
}

fn take_up(edge: &Edge, config: &Config, next: &Reread) -> Config {
    let (taken, changes) = config.take_up(next);
    for (name, pool) in &edge.pools {
        if let Some(settings) = taken.workers.get(name) {
            edge.steering.take_up(name, settings, pool);
        }
    }
    edge.admission.set_bounds(bounds(&taken));
    edge.drain.send_replace(taken.drain);
    note(&taken, &edge.metrics);
    edge.metrics.build.config_reloaded(true);
    info!(
        applied = changes.applied.join(" "),
        fingerprint = taken.fingerprint(),
        "configuration taken up"
    );
    if !changes.restart.is_empty() {
        warn!(
            keys = changes.restart.join(" "),
            "configuration: these changes need a restart; until then the old values hold"
        );
    }
    taken
}
