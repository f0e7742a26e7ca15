//! Commands that say where calls go: draining a worker, rollout rules.

use std::net::SocketAddr;

use holdline_config::Steer;
use holdline_workers::{Pool, WorkerState, WorkerStatus};
use hyper::{Request, StatusCode, body::Incoming};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::info;

use super::{
    super::{
        answers::{self, text},
        body::Answer,
        rollout::{self, RulesLine},
    },
    read,
};
use crate::{edge::Edge, steering::NotSet};

/// Rules of the most versions and pins that may be, with names of some length.
const BODY_MAX: usize = 256 << 10;
const LIKE: &str = "the body is to be a JSON object with any of pool, revision, existing, weights, pins, \
                    disabled and reset\n";
const NOTHING: &str =
    "nothing is to be changed: say any of existing, weights, pins, disabled and reset\n";

/// What is to be changed about the rules of a pool. What is not named stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Needed where there are several.
    pool: Option<String>,
    /// The rules must still be these.
    revision: Option<u64>,
    existing: Option<Value>,
    weights: Option<Value>,
    pins: Option<Value>,
    disabled: Option<Value>,
    /// The configuration's rules again.
    #[serde(default)]
    reset: bool,
}

impl Wanted {
    /// It would make the configuration's rules an operator's, and later changes of the file be nothing.
    fn is_empty(&self) -> bool {
        let rules = [&self.existing, &self.weights, &self.pins, &self.disabled];
        !self.reset && rules.into_iter().all(Option::is_none)
    }
}

/// Why rules are not set.
enum Refused {
    NotSet(NotSet),
    /// All that is wrong with them.
    Wrong(String),
}

impl From<NotSet> for Refused {
    fn from(why: NotSet) -> Self {
        Self::NotSet(why)
    }
}

/// Has the calls of a worker leave it, or lets it have calls again.
pub(super) fn drain(edge: &Edge, address: &str, begin: bool) -> Result<Answer, Answer> {
    let at = |status: &WorkerStatus| {
        status.address.to_string() == address && status.state != WorkerState::Lost
    };
    let found: Vec<(&Pool, WorkerStatus)> = edge
        .pools
        .values()
        .flat_map(|pool| pool.workers().into_iter().map(move |it| (pool, it)))
        .filter(|(_, status)| at(status))
        .collect();
    if found.is_empty() {
        let words = "no worker at this address is known: see /workers\n";
        return Err(text(StatusCode::NOT_FOUND, words));
    }
    let mut done = false;
    for (pool, status) in found {
        done |= match begin {
            true => pool.drain(status.id, None),
            false => pool.undrain(status.id),
        };
    }
    match (done, begin) {
        (true, true) => {
            let words = "the worker drains: its calls leave it, and it gets no new ones\n";
            Ok(text(StatusCode::ACCEPTED, words))
        }
        (true, false) => {
            let words = "the worker gets calls again, unless it drains for another cause, too\n";
            Ok(text(StatusCode::ACCEPTED, words))
        }
        (false, _) => {
            let words = "no operator drains this worker\n";
            Err(text(StatusCode::CONFLICT, words))
        }
    }
}

/// Sets rules, and answers with those that are then in force.
pub(super) async fn rules(
    edge: &Edge,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Answer, Answer> {
    let wanted: Wanted = read::json(request, BODY_MAX, LIKE).await?;
    if wanted.is_empty() {
        return Err(text(StatusCode::BAD_REQUEST, NOTHING));
    }
    let mut pools = edge.pools.iter();
    let (name, pool) = match (&wanted.pool, pools.next(), pools.next()) {
        (Some(name), ..) => match edge.pools.get_key_value(name) {
            Some(pool) => pool,
            None => return Err(text(StatusCode::NOT_FOUND, "there is no such pool\n")),
        },
        (None, Some(only), None) => only,
        (None, ..) => {
            let words = "there are several pools: say `pool`\n";
            return Err(text(StatusCode::BAD_REQUEST, words));
        }
    };
    let now = edge.clock.now();
    let set = edge
        .steering
        .set(now, name, pool, wanted.revision, |current| {
            made(&wanted, current)
        });
    match set {
        Ok(()) => {
            let (source, rules) = rollout::told(edge, name);
            info!(%peer, command = "Rollout", pool = name, source, rules, "an operator's command");
            Ok(answers::json(&rollout::page(edge)))
        }
        Err(Refused::NotSet(NotSet::NoPool)) => {
            Err(text(StatusCode::NOT_FOUND, "there is no such pool\n"))
        }
        Err(Refused::NotSet(NotSet::Changed)) => {
            let words = "the rules have changed meanwhile: look at them again\n";
            Err(text(StatusCode::CONFLICT, words))
        }
        Err(Refused::Wrong(why)) => Err(answers::words(StatusCode::BAD_REQUEST, why)),
    }
}

/// The rules that are wanted. What the configuration alone says stays.
fn made(wanted: &Wanted, current: &Steer) -> Result<Option<Steer>, Refused> {
    if wanted.reset {
        return Ok(None);
    }
    let mut rules = serde_json::to_value(RulesLine::from(current)).unwrap_or_default();
    for (key, value) in [
        ("existing", &wanted.existing),
        ("weights", &wanted.weights),
        ("pins", &wanted.pins),
        ("disabled", &wanted.disabled),
    ] {
        if let Some(value) = value {
            rules[key] = value.clone();
        }
    }
    let existing = rules["existing"].take();
    if let Some(rules) = rules.as_object_mut() {
        rules.remove("existing");
    }
    let text = json!({"existing": existing, "rollout": rules}).to_string();
    let mut steer = Steer::parse(&text).map_err(|errors| {
        // One line, made by us: numbers of lines and columns say nothing.
        let told = errors.errors().iter().map(|error| {
            let path = error.path.trim_start_matches("rollout.");
            format!("{path}: {}\n", error.message)
        });
        Refused::Wrong(told.collect())
    })?;
    steer.rollout.set_aside = current.rollout.set_aside;
    steer.rollout.allow_one_way = current.rollout.allow_one_way;
    Ok(Some(steer))
}
