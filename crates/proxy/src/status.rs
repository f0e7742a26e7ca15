//! A call as `/sessions` shows it. Numbers and names; never a payload, a state value or a secret,
//! and what a caller sent along only where the operator allowed content.
//!
//! A list is made of records and asks no call. One call is shown whole, with what its own task says.

use holdline_session::{LegState, LegView, Time, View};
use serde::Serialize;

use crate::{
    clock::millis,
    record::{Brief, Phase, Record, Timeline},
    table::Entry,
};

/// Attributes of a leg that begin so were chosen by whoever placed the call.
const CONTENT_PREFIX: &str = "parameter.";

/// One call in a list.
#[derive(Serialize, Debug)]
pub(crate) struct Line {
    #[serde(flatten)]
    brief: Brief,
    /// Until now, or until it ended.
    age_ms: u64,
}

/// One call, whole.
#[derive(Serialize, Debug)]
pub(crate) struct SessionStatus {
    #[serde(flatten)]
    line: Line,
    /// What its own task says; nothing where it is over, has not begun or does not answer.
    #[serde(flatten)]
    inside: Option<Inside>,
    timeline: Option<Timeline>,
}

/// What only the call's task knows.
#[derive(Serialize, Debug)]
pub(crate) struct Inside {
    /// What is done to have a worker.
    link: &'static str,
    /// Commits of the present attachment, and inputs that it has not committed.
    applied: Option<u64>,
    outstanding: Option<u64>,
    /// Losses in a row without progress.
    strikes: u32,
    committed: u64,
    last: u64,
    log: Log,
    legs: Vec<Leg>,
    state: Vec<Key>,
    timers: Vec<Timer>,
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

impl Line {
    /// A call that lives.
    pub(crate) fn live(entry: &Entry, now: Time) -> Self {
        Self::of(entry.brief(), now)
    }

    /// A call that ended.
    pub(crate) fn over(record: &Record) -> Self {
        let brief = record.brief();
        let end = brief
            .end
            .as_ref()
            .map_or(record.began(), |end| Time(end.at_unix_us));
        Self::of(brief, end)
    }

    fn of(brief: Brief, until: Time) -> Self {
        Self {
            age_ms: millis(until.since(Time(brief.started_unix_us))),
            brief,
        }
    }
}

impl SessionStatus {
    /// A call that lives. `inside`: what its task says, if it was to be asked and answered.
    pub(crate) fn live(entry: &Entry, inside: Option<Inside>, now: Time) -> Self {
        let mut line = Line::live(entry, now);
        if entry.begun && inside.is_none() {
            line.brief.phase = Phase::Silent;
        }
        Self {
            line,
            inside,
            timeline: entry.record.as_ref().map(|record| record.timeline()),
        }
    }

    /// A call that ended.
    pub(crate) fn over(record: &Record) -> Self {
        Self {
            line: Line::over(record),
            inside: None,
            timeline: Some(record.timeline()),
        }
    }
}

impl Inside {
    /// What a session says of itself.
    pub(crate) fn new(view: View, content: bool) -> Self {
        let attachment = view.attachment.as_ref();
        Self {
            link: view.link,
            applied: attachment.map(|at| at.applied),
            outstanding: attachment.map(|at| at.outstanding),
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
