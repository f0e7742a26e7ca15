//! Spans of calls: what happened when, for whoever follows a call through several systems.
//!
//! A span is made when it is over, and put into a queue that never makes anybody wait: what finds no
//! room is dropped and counted. A task beside the admin port takes spans out and sends them to a
//! collector. Nothing of this is done for a frame.
//!
//! The trace of a call has the session's id, which is random and which logs and operators know
//! already; ids of spans follow from it and from the epoch. So a worker's own spans find their place
//! without anything being remembered, and whoever has a session's id has its trace.

use std::{error::Error as _, iter, time::Duration};

use holdline_config::Tracing;
use holdline_session::{Epoch, SessionId};
use holdline_telemetry::SpanMetrics;
use tokio::{sync::mpsc, time::timeout};

mod collector;
mod exporter;
pub(crate) mod otlp;

pub use self::collector::CollectorError;
pub(crate) use self::exporter::Exporter;
use self::{collector::Collector, otlp::Span};

/// Spans that may wait to be sent: those of a deploy under some thousand calls.
const QUEUE: usize = 8_192;

/// Where spans are put. Cheap to clone; while nobody sends them on, they are not even made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans {
    queue: Option<Queue>,
}

#[derive(Clone, Debug)]
struct Queue {
    /// Weak: the exporter alone decides how long the queue is open.
    to: mpsc::WeakSender<Span>,
    counts: SpanMetrics,
}

impl Spans {
    /// Whether anybody wants spans.
    pub(crate) fn wanted(&self) -> bool {
        self.queue.is_some()
    }

    /// Puts one into the queue, if there is room for it. Never waits.
    pub(crate) fn put(&self, span: Span) {
        let Some(queue) = &self.queue else { return };
        let to = queue.to.upgrade();
        if to.is_none_or(|to| to.try_send(span).is_err()) {
            queue.counts.count("dropped", 1);
        }
    }
}

/// Starts to send spans, where they are wanted. Needs a tokio runtime; connects to nothing before
/// there is a span.
///
/// # Errors
/// If they cannot be sent as configured.
pub(crate) fn start(
    settings: &Tracing,
    counts: &SpanMetrics,
) -> Result<(Spans, Exporter), CollectorError> {
    let Some(collector) = Collector::of(settings)? else {
        return Ok((Spans::default(), Exporter::default()));
    };
    let (to, waiting) = mpsc::channel(QUEUE);
    let queue = Queue {
        to: to.downgrade(),
        counts: counts.clone(),
    };
    let exporter = Exporter::start(collector, counts.clone(), to, waiting);
    Ok((Spans { queue: Some(queue) }, exporter))
}

/// Whether spans could be sent as configured, as far as that can be said without a connection. Reads
/// files.
///
/// # Errors
/// As [`start`].
pub(crate) fn verify(settings: &Tracing) -> Result<(), CollectorError> {
    Collector::of(settings).map(drop)
}

/// Connects to whoever spans are sent to, if anybody, within this time. Sends nothing. Cancel safe.
///
/// # Errors
/// What is in the way, in words.
pub(crate) async fn reach(settings: &Tracing, within: Duration) -> Result<(), String> {
    let collector = Collector::of(settings).map_err(|error| error.to_string())?;
    let Some(collector) = collector else {
        return Ok(());
    };
    match timeout(within, collector.endpoint.connect()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            // The outermost says only that the transport failed.
            let innermost = iter::successors(error.source(), |error| (**error).source()).last();
            let innermost = innermost.map(ToString::to_string);
            Err(innermost.unwrap_or_else(|| error.to_string()))
        }
        Err(_) => Err("did not answer in time".to_owned()),
    }
}

/// The span of a whole call. Never 0, whatever the session is called.
pub(crate) fn call_id(session: SessionId) -> u64 {
    // Without its highest bit, so that what is added for an epoch does not wrap around.
    (session.0 as u64 >> 1) | 1
}

/// The span of an attachment. Epochs begin with 1, and each takes two ids.
pub(crate) fn attachment_id(session: SessionId, epoch: Epoch) -> u64 {
    call_id(session).wrapping_add(epoch.0.wrapping_mul(2))
}

/// The span of the handoff that led to an attachment.
pub(crate) fn handoff_id(session: SessionId, epoch: Epoch) -> u64 {
    attachment_id(session, epoch).wrapping_add(1)
}

/// The W3C trace context of an attachment, as the header `traceparent` has it. Sampled: its worker
/// may tell of what it does.
pub(crate) fn traceparent(session: SessionId, epoch: Epoch) -> String {
    format!(
        "00-{:032x}-{:016x}-01",
        session.0,
        attachment_id(session, epoch)
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use holdline_telemetry::Metrics;

    use super::*;

    fn dropped(metrics: &Metrics, count: u64) {
        let rendered = metrics.render();
        let line = format!("\nholdline_spans_total{{result=\"dropped\"}} {count}\n");
        assert!(rendered.contains(&line), "{rendered}");
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let metrics = Metrics::new();
        let (to, waiting) = mpsc::channel(2);
        let queue = Queue {
            to: to.downgrade(),
            counts: metrics.spans.clone(),
        };
        let spans = Spans { queue: Some(queue) };
        for _ in 0..5 {
            spans.put(Span::default());
        }
        dropped(&metrics, 3);
        assert_eq!(waiting.len(), 2);
        drop(to);
        spans.put(Span::default());
        dropped(&metrics, 4);
    }

    #[test]
    fn nobody_wants_spans_unless_a_collector_is_named() {
        let metrics = Metrics::new();
        let (spans, _) = start(&Tracing::default(), &metrics.spans).unwrap();
        assert!(!spans.wanted());
        spans.put(Span::default());
        dropped(&metrics, 0);
    }

    #[test]
    fn ids_differ_and_none_is_zero() {
        for session in [0, 1, u128::from(u64::MAX), u128::MAX].map(SessionId) {
            let mut ids = BTreeSet::from([0, call_id(session)]);
            for epoch in (1..=100).map(Epoch) {
                ids.extend([attachment_id(session, epoch), handoff_id(session, epoch)]);
            }
            assert_eq!(ids.len(), 202);
        }
    }

    #[test]
    fn the_trace_context_is_as_the_w3c_writes_it() {
        let session = SessionId(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!(
            traceparent(session, Epoch(1)),
            "00-0af7651916cd43dd8448eb211c80319c-422475908e4018d1-01"
        );
    }
}
