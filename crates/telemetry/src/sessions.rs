//! Metrics of sessions: their life, their log, what was lost.

use std::time::Duration;

use prometheus::{Counter, Histogram, IntCounter, IntGauge};

use crate::{
    Census,
    census::CensusMetrics,
    register::{Counters, Register},
    words::{DROPPED, END, ENDS, FAULT, STREAM},
};

/// Seconds: from a hiccup nobody hears to the usual limit, where the caller is handed back.
const HOLD_BUCKETS: &[f64] = &[0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Seconds: from a wrong number to a call that outlives a drain's deadline.
const DURATION_BUCKETS: &[f64] = &[
    5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0,
];

/// Metrics of sessions.
#[derive(Clone, Debug)]
pub struct SessionMetrics {
    /// Sessions that live.
    pub active: IntGauge,
    /// Sessions that began.
    pub started: IntCounter,
    ended: Counters,
    duration: Histogram,
    census: CensusMetrics,
    /// Payload bytes in all sessions' logs; the owner of a session adds its changes.
    pub log_bytes: IntGauge,
    /// Frames in all sessions' logs; the owner of a session adds its changes.
    pub log_frames: IntGauge,
    /// Frames of caller media that a full log dropped. Lost only if no worker had seen them.
    pub media_dropped_frames: IntCounter,
    /// Gaps in what workers heard of callers.
    pub media_gaps: IntCounter,
    /// Frames of caller media that no worker ever saw.
    pub media_lost_frames: IntCounter,
    /// Caller media that no worker ever saw, as time.
    pub media_lost_ms: MillisCounter,
    commands_dropped: Counters,
    caller_streams: Counters,
    /// Losses of a worker without progress since the last.
    pub strikes: IntCounter,
    /// Sessions that found themselves without a worker.
    pub holds: IntCounter,
    /// How long they were without one, for those that found one again.
    pub hold_seconds: Histogram,
    /// Hold sound that was handed to callers' sockets, as time.
    pub hold_sound_ms: MillisCounter,
}

impl SessionMetrics {
    pub(crate) fn new(register: &Register<'_>) -> Self {
        register.about("Sessions");
        let active = register.gauge("holdline_sessions_active", "Sessions that live.");
        let started = register.counter("holdline_sessions_started_total", "Sessions that began.");
        let ended = register.counters(
            "holdline_sessions_ended_total",
            "Sessions that ended, by reason and by whose fault it was.",
            &[END, FAULT],
        );
        ended.begin(ENDS.iter().copied());
        Self {
            active,
            started,
            ended,
            duration: register.histogram(
                "holdline_session_duration_seconds",
                "How long sessions lived, for those that ended in good order.",
                DURATION_BUCKETS,
            ),
            census: CensusMetrics::new(register),
            log_bytes: register.gauge(
                "holdline_session_log_bytes",
                "Payload bytes kept to replay, over all sessions.",
            ),
            log_frames: register.gauge(
                "holdline_session_log_frames",
                "Frames kept to replay, over all sessions.",
            ),
            media_dropped_frames: register.counter(
                "holdline_media_dropped_frames_total",
                "Frames of caller media that a full log dropped.",
            ),
            media_gaps: register.counter(
                "holdline_media_gaps_total",
                "Gaps in the caller media of a session that no worker ever saw.",
            ),
            media_lost_frames: register.counter(
                "holdline_media_lost_frames_total",
                "Frames of caller media that no worker ever saw.",
            ),
            media_lost_ms: MillisCounter(register.float_counter(
                "holdline_media_lost_seconds_total",
                "Caller media that no worker ever saw, in seconds.",
            )),
            commands_dropped: register.counters(
                "holdline_commands_dropped_total",
                "Workers' commands that could not be done, by reason.",
                &[DROPPED],
            ),
            caller_streams: register.counters(
                "holdline_caller_streams_total",
                "Streams that named a call which the edge knew already, by what became of them.",
                &[STREAM],
            ),
            strikes: register.counter(
                "holdline_session_strikes_total",
                "Losses of a worker without progress since the last.",
            ),
            holds: register.counter(
                "holdline_session_holds_total",
                "Times that a session found itself without a worker.",
            ),
            hold_seconds: register.histogram(
                "holdline_session_hold_seconds",
                "How long a session was without a worker, where it found one again.",
                HOLD_BUCKETS,
            ),
            hold_sound_ms: MillisCounter(register.float_counter(
                "holdline_session_hold_sound_seconds_total",
                "Hold sound that was handed to callers' sockets, in seconds.",
            )),
        }
    }

    /// From now on this tells who is on the line, whenever a scraper asks. For the first caller only.
    pub fn watch(&self, census: impl Fn() -> Census + Send + Sync + 'static) {
        self.census.watch(census);
    }

    pub(crate) fn count(&self) {
        self.census.take();
    }

    /// A session that ended has lived so long.
    pub fn lived(&self, time: Duration) {
        self.duration.observe(time.as_secs_f64());
    }

    /// A session ended; the words are the engine's.
    pub fn ended(&self, reason: &'static str, fault: &'static str) {
        debug_assert!(
            reason == "unknown" || ENDS.contains(&[reason, fault]),
            "`{reason}` by the fault of `{fault}` is not there from the start: add it to telemetry/src/words.rs"
        );
        self.ended.of(&[reason, fault]).inc();
    }

    /// A stream named a call that the edge knew already: `joined`, or a word for why not.
    pub fn caller_stream(&self, result: &'static str) {
        self.caller_streams.of(&[result]).inc();
    }

    /// A command could not be done; the word is the engine's.
    pub fn command_dropped(&self, reason: &'static str) {
        self.commands_dropped.of(&[reason]).inc();
    }
}

/// Time that adds up: counted in milliseconds, as media is, and shown in seconds, as metrics are.
#[derive(Clone, Debug)]
pub struct MillisCounter(Counter);

impl MillisCounter {
    /// Adds so many milliseconds.
    pub fn inc_by(&self, ms: u64) {
        // Exact up to 2^53 ms.
        self.0.inc_by(ms as f64 / 1_000.0);
    }
}
