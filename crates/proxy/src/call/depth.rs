//! A call's share of the gauges of what is kept to replay.

use std::sync::Arc;

use holdline_session::Session;
use holdline_telemetry::SessionMetrics;

use crate::table::Marks;

/// What this call has added to the gauges. Taken back when it is dropped.
pub(super) struct Depth {
    metrics: SessionMetrics,
    marks: Arc<Marks>,
    frames: i64,
    bytes: i64,
}

impl Depth {
    pub(super) fn new(metrics: SessionMetrics, marks: Arc<Marks>) -> Self {
        Self {
            metrics,
            marks,
            frames: 0,
            bytes: 0,
        }
    }

    /// Brings the gauges up to date.
    pub(super) fn follow(&mut self, session: &Session) {
        let (frames, bytes) = session.log_depth();
        self.marks.keeps_since(session.log_oldest());
        self.set(frames.into(), i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    fn set(&mut self, frames: i64, bytes: i64) {
        if (frames, bytes) != (self.frames, self.bytes) {
            self.metrics.log_frames.add(frames - self.frames);
            self.metrics.log_bytes.add(bytes - self.bytes);
            (self.frames, self.bytes) = (frames, bytes);
        }
    }
}

impl Drop for Depth {
    fn drop(&mut self) {
        self.set(0, 0);
    }
}

#[cfg(test)]
mod tests {
    use holdline_telemetry::Metrics;

    use super::*;

    #[test]
    fn the_gauges_are_the_sum_over_calls_and_forget_those_that_end() {
        let metrics = Metrics::new();
        let of = |frames, bytes| {
            let mut depth = Depth::new(metrics.sessions.clone(), Arc::default());
            depth.set(frames, bytes);
            depth
        };
        let (mut first, second) = (of(3, 300), of(4, 400));
        first.set(1, 100);
        assert_eq!(metrics.sessions.log_frames.get(), 5);
        drop(second);
        assert_eq!(metrics.sessions.log_bytes.get(), 100);
        drop(first);
        assert_eq!(metrics.sessions.log_bytes.get(), 0);
    }
}
