//! A call as `/sessions` shows it. Numbers and names; never a payload, a state value or a secret,
//! and what a caller sent along only where the operator allowed content.

use holdline_session::{LegState, LegView, Time, View};
use serde::Serialize;

use crate::{call::Story, table::Entry};

/// Attributes of a leg that begin so were chosen by whoever placed the call.
const CONTENT_PREFIX: &str = "parameter.";

/// One call.
#[derive(Serialize, Debug)]
pub(crate) struct SessionStatus {
    id: String,
    call_sid: Option<String>,
    path: String,
    started_unix_us: u64,
    age_ms: u64,
    /// `starting`: nobody has said yet who calls; `running`; `ending`; `silent`: its task does not
    /// answer.
    phase: &'static str,
    #[serde(flatten)]
    running: Option<Running>,
}

#[derive(Serialize, Debug)]
struct Running {
    peer: String,
    ending: Option<&'static str>,
    /// What is done to have a worker.
    link: &'static str,
    worker: Option<Worker>,
    epoch: Option<u64>,
    handoffs: u64,
    strikes: u32,
    committed: u64,
    last: u64,
    log: Log,
    legs: Vec<Leg>,
    state: Vec<Key>,
    timers: Vec<Timer>,
}

#[derive(Serialize, Debug)]
struct Worker {
    address: String,
    version: String,
    reason: &'static str,
    applied: u64,
    outstanding: u64,
}

#[derive(Serialize, Debug)]
struct Log {
    frames: u32,
    bytes: u64,
    age_ms: u64,
}

#[derive(Serialize, Debug)]
struct Leg {
    name: String,
    incarnation: u32,
    state: &'static str,
    unwritten_bytes: u64,
    attributes: holdline_session::Attributes,
}

#[derive(Serialize, Debug)]
struct Key {
    key: String,
    bytes: usize,
}

#[derive(Serialize, Debug)]
struct Timer {
    name: String,
    left_ms: u64,
}

impl SessionStatus {
    /// A call by what its own task says.
    pub(crate) fn new(view: View, story: &Story, now: Time, content: bool) -> Self {
        Self {
            id: view.id.to_string(),
            call_sid: story.caller().call_sid().map(Into::into),
            path: story.caller().path().to_owned(),
            started_unix_us: story.began().0,
            age_ms: millis(now.since(story.began())),
            phase: match view.ending {
                Some(_) => "ending",
                None => "running",
            },
            running: Some(Running::new(view, story, content)),
        }
    }

    /// A call by what the table knows of it: its task has no session yet, or does not answer.
    pub(crate) fn outside(entry: &Entry, now: Time) -> Self {
        Self {
            id: entry.id.to_string(),
            call_sid: entry.call_sid.as_deref().map(Into::into),
            path: entry.route.to_string(),
            started_unix_us: entry.since.0,
            age_ms: millis(now.since(entry.since)),
            phase: if entry.begun { "silent" } else { "starting" },
            running: None,
        }
    }
}

impl Running {
    fn new(view: View, story: &Story, content: bool) -> Self {
        let address = |epoch| match story.worker() {
            Some(worker) if worker.epoch() == epoch => worker.address().to_owned(),
            _ => String::new(),
        };
        Self {
            peer: story.caller().peer().to_string(),
            ending: view.ending.map(|reason| reason.as_str()),
            link: view.link,
            epoch: view.attachment.as_ref().map(|at| at.epoch.0),
            worker: view.attachment.map(|at| Worker {
                address: address(at.epoch),
                version: at.version,
                reason: at.reason.as_str(),
                applied: at.applied,
                outstanding: at.outstanding,
            }),
            handoffs: story.handoffs(),
            strikes: view.strikes,
            committed: view.committed.0,
            last: view.last.0,
            log: Log {
                frames: view.log_frames,
                bytes: view.log_bytes,
                age_ms: millis(view.log_age),
            },
            legs: view
                .legs
                .into_iter()
                .zip(view.unwritten_bytes)
                .map(|(leg, unwritten)| Leg::new(leg, unwritten, content))
                .collect(),
            state: view
                .state
                .into_iter()
                .map(|(key, bytes)| Key { key, bytes })
                .collect(),
            timers: view
                .timers
                .into_iter()
                .map(|(name, left)| Timer {
                    name,
                    left_ms: millis(left),
                })
                .collect(),
        }
    }
}

impl Leg {
    fn new(view: LegView, unwritten_bytes: u64, content: bool) -> Self {
        let mut attributes = view.attributes;
        attributes.retain(|name, _| content || !name.starts_with(CONTENT_PREFIX));
        Self {
            name: view.name.to_string(),
            incarnation: view.incarnation.0,
            state: match view.state {
                LegState::Connecting => "connecting",
                LegState::Open => "open",
                LegState::Closing => "closing",
                LegState::Awaited => "awaited",
            },
            unwritten_bytes,
            attributes,
        }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
