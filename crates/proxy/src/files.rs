//! Open files: how many calls fit into what the process may open.
//!
//! A process that is out of descriptors can take no connection at all, not even a probe's, and dials no
//! model for the calls that it has. So calls that would not fit are refused like all that are too many.

use holdline_config::Config;
use rlimit::Resource;
use tracing::warn;

/// Beside calls: listeners, connections to workers, files, operators.
const BESIDE: u64 = 128;

/// Descriptors that so many calls take at most, with all that is open beside them.
pub(crate) fn needed(config: &Config, sessions: u64) -> u64 {
    sessions * of_a_call(config) + beside(config)
}

/// Calls for which this process may open enough, and that the configuration wants: the lesser.
pub(crate) fn sessions(config: &Config) -> u64 {
    let wanted = u64::from(config.limits.sessions);
    let limit = match Resource::NOFILE.get() {
        Ok((soft, _)) => soft,
        // Nothing is known: then accepting will tell.
        Err(_) => return wanted,
    };
    let fitting = limit.saturating_sub(beside(config)) / of_a_call(config);
    if fitting < wanted {
        warn!(
            limit,
            sessions = fitting,
            wanted,
            "fewer calls than `limits.sessions` are taken: the process may not open enough files"
        );
    }
    fitting.min(wanted)
}

/// The caller's, and the model's even where a worker opens it.
fn of_a_call(config: &Config) -> u64 {
    let routes = config.listeners.iter().flat_map(|it| &it.routes);
    let legs = routes.map(|route| route.legs.len()).max().unwrap_or(0);
    1 + legs.max(1) as u64
}

fn beside(config: &Config) -> u64 {
    BESIDE + u64::from(config.limits.handshakes)
}
