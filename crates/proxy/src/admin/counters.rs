//! Numbers of the whole edge, once a second, for those who listen.

use holdline_telemetry::{Direction, LegKind};
use serde::Serialize;

use crate::edge::Edge;

/// Sums since the edge began, and how it is now.
#[derive(Serialize, Debug)]
pub(super) struct Counters {
    now_unix_us: u64,
    /// Calls that live.
    sessions: i64,
    started: u64,
    ended: u64,
    handoffs: u64,
    losses: u64,
    holds: u64,
    /// Messages of callers' sockets.
    caller_frames_in: u64,
    caller_frames_out: u64,
    /// What is kept to replay.
    log_frames: i64,
    log_bytes: i64,
    media_lost_frames: u64,
    round_trip: RoundTrip,
}

/// Inputs by the time until the commit that contains them was applied.
#[derive(Serialize, Debug)]
struct RoundTrip {
    count: u64,
    seconds: f64,
    /// Upper bound in seconds, and how many were at most that, from the smallest bound on.
    buckets: Vec<(f64, u64)>,
}

impl Counters {
    pub(super) fn now(edge: &Edge) -> Self {
        let metrics = &edge.metrics;
        let sums = edge.chronicle.sums();
        let frames = |way| metrics.legs.frames(LegKind::Caller, way).get();
        let trips = &metrics.attachments.round_trip_seconds;
        Self {
            now_unix_us: edge.clock.now().0,
            sessions: metrics.sessions.active.get(),
            started: metrics.sessions.started.get(),
            ended: sums.ended,
            handoffs: sums.handoffs,
            losses: sums.losses,
            holds: metrics.sessions.holds.get(),
            caller_frames_in: frames(Direction::In),
            caller_frames_out: frames(Direction::Out),
            log_frames: metrics.sessions.log_frames.get(),
            log_bytes: metrics.sessions.log_bytes.get(),
            media_lost_frames: metrics.sessions.media_lost_frames.get(),
            round_trip: RoundTrip {
                count: trips.get_sample_count(),
                seconds: trips.get_sample_sum(),
                buckets: holdline_telemetry::buckets(trips),
            },
        }
    }
}
