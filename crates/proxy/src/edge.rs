//! What all calls of an edge share. A value, not a global: two edges in one process are two values,
//! as would be one edge for each core.

use std::{collections::BTreeMap, sync::Arc};

use holdline_config::{Audio, Drain};
use holdline_legs::Dialer;
use holdline_session::Limits;
use holdline_telemetry::{
    Metrics,
    logging::{Pace, Paces},
};
use holdline_workers::Pool;
use tokio::sync::watch;

use crate::{
    admission::Admission, callbook::CallBook, chronicle::Chronicle, clock::Clock, lifecycle::Phase,
    steering::Steering, table::Table,
};

/// What all calls share.
#[derive(Debug)]
pub(crate) struct Edge {
    /// The time.
    pub(crate) clock: Clock,
    /// Bounds of every session.
    pub(crate) limits: Limits,
    /// What held callers hear.
    pub(crate) hold_sound: Option<Audio>,
    /// Where everything is counted.
    pub(crate) metrics: Metrics,
    /// Lines that whoever reaches a listener can provoke.
    pub(crate) strangers_told: Pace,
    /// Lines about single calls that all calls could bring about at once, again and again: their worker
    /// is lost, they are held, no worker heard them.
    pub(crate) told_of: Arc<Paces>,
    /// Opens outbound legs.
    pub(crate) dialer: Dialer,
    /// Workers, by pool name.
    pub(crate) pools: BTreeMap<String, Pool>,
    /// Who is on the line.
    pub(crate) table: Table,
    /// What happened to calls, for those who listen or ask.
    pub(crate) chronicle: Chronicle,
    /// Which version gets which calls.
    pub(crate) steering: Steering,
    /// Who may come back, and how those ended who were.
    pub(crate) book: CallBook,
    /// How often the webhook brings one call back.
    pub(crate) returns: u32,
    /// How many may be.
    pub(crate) admission: Admission,
    /// How the edge's own end goes, once it begins.
    pub(crate) drain: watch::Sender<Drain>,
    /// How far the edge's own end has come.
    pub(crate) phase: watch::Receiver<Phase>,
    /// Whether what callers say and send may be shown.
    pub(crate) content: bool,
}
