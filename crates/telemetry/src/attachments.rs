//! Metrics of attachments: how sessions get from worker to worker.

use std::time::Duration;

use prometheus::{Histogram, IntCounter};

use crate::{
    register::{Counters, Histograms, Register},
    words::{ATTACHED, CAUSE, FAILED, HANDOFF, MOVES},
};

/// Seconds: steps of a 20 ms frame where a caller might hear it, then up to the give-up.
const GAP_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.15, 0.2, 0.5, 1.0, 2.0, 5.0,
];

/// Seconds: from a loop-back worker to one that is a turn behind.
const ROUND_TRIP_BUCKETS: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.1, 0.25, 1.0,
];

/// Metrics of attachments.
#[derive(Clone, Debug)]
pub struct AttachmentMetrics {
    started: Counters,
    failures: Counters,
    handoffs: Counters,
    gap: Histograms,
    /// From inputs' receipt until their commit is applied; counted by [`AttachmentMetrics::committed`].
    pub round_trip_seconds: Histogram,
    /// Inputs that were delivered again to another worker.
    pub replayed_inputs: IntCounter,
    /// Messages of older attachments, dropped.
    pub fenced_messages: IntCounter,
}

impl AttachmentMetrics {
    pub(crate) fn new(register: &Register<'_>) -> Self {
        register.about("Handoffs and attachments");
        let started = register.counters(
            "holdline_attachments_total",
            "Sessions attached to a worker, by why.",
            &[ATTACHED],
        );
        let failures = register.counters(
            "holdline_attach_failures_total",
            "Offers that came to nothing and attachments that were lost, by why.",
            &[FAILED],
        );
        let handoffs = register.counters(
            "holdline_handoffs_total",
            "Sessions that went from one worker to another, or ended on the way; `cause` is why they moved, or how the worker was lost.",
            &[ATTACHED, CAUSE, HANDOFF],
        );
        for result in ["ok", "unfinished"] {
            handoffs.begin(
                MOVES
                    .iter()
                    .map(|[reason, cause]| [*reason, *cause, result]),
            );
        }
        let gap = register.histograms(
            "holdline_handoff_gap_seconds",
            "From the start of a move or the loss of a worker to the next worker's first commit.",
            &[ATTACHED],
            GAP_BUCKETS,
        );
        gap.begin([["handoff"], ["recovery"]]);
        Self {
            started,
            failures,
            handoffs,
            gap,
            round_trip_seconds: register.histogram(
                "holdline_worker_round_trip_seconds",
                "Inputs by the time from their receipt until the commit that contains them is applied; those of one commit count with the time of its oldest.",
                ROUND_TRIP_BUCKETS,
            ),
            replayed_inputs: register.counter(
                "holdline_replayed_inputs_total",
                "Inputs that were delivered again to another worker.",
            ),
            fenced_messages: register.counter(
                "holdline_fenced_messages_total",
                "Messages of older attachments, dropped.",
            ),
        }
    }

    /// A session was attached; the word is the engine's `AttachReason`.
    pub fn attached(&self, reason: &'static str) {
        self.started.of(&[reason]).inc();
    }

    /// An offer came to nothing, or an attachment was lost.
    pub fn failed(&self, why: &'static str) {
        self.failures.of(&[why]).inc();
    }

    /// A commit of so many inputs was applied, so long after the oldest of them was received.
    ///
    /// Each input counts, so that a call whose worker commits seldom weighs as much as another. A
    /// commit holds no more of them than a worker's window.
    pub fn committed(&self, inputs: u64, oldest: Duration) {
        let seconds = oldest.as_secs_f64();
        for _ in 0..inputs {
            self.round_trip_seconds.observe(seconds);
        }
    }

    /// A handoff is over: `reason` as in [`AttachmentMetrics::attached`], `cause` what began it, and
    /// `result` such as `ok`.
    pub fn handoff(&self, reason: &'static str, cause: &'static str, result: &'static str) {
        self.handoffs.of(&[reason, cause, result]).inc();
    }

    /// What the caller might have heard of a handoff, in seconds.
    pub fn gap_seconds(&self, reason: &'static str, seconds: f64) {
        self.gap.of(&[reason]).observe(seconds);
    }
}
