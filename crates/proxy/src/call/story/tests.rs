//! What is told of a call whose task failed: nothing outside of the edge can bring that about.
#![allow(clippy::unwrap_used)]

use std::{
    fmt::{Debug, Write as _},
    net::Ipv4Addr,
    sync::Mutex,
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::with_default,
};

use super::*;
use crate::{chronicle::Chronicle, spans::Spans};

/// Keeps the fields of every event.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl Visit for Lines {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0.lock().unwrap(), "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn story(chronicle: &Chronicle, metrics: &Metrics) -> Story {
    let (id, began) = (SessionId(7), Time(1_000));
    let (attributes, path) = (Attributes::new(), "/call".to_owned());
    let caller = Caller::new(id, &attributes, Ipv4Addr::LOCALHOST.into(), path);
    metrics.sessions.active.inc();
    let brief = Brief::starting(id, began, "/call");
    let record = Record::begin(id, began, brief, chronicle.clone());
    let losses_told = Arc::new(Pace::new(1));
    Story::new(
        record,
        began,
        Clock::start(),
        caller,
        metrics.clone(),
        losses_told,
    )
}

#[tokio::test]
async fn a_call_whose_task_fails_is_the_edges_fault_everywhere() {
    let (chronicle, metrics) = (Chronicle::new(Spans::default()), Metrics::new());
    let mut listener = chronicle.listen().unwrap();
    let (story, lines) = (story(&chronicle, &metrics), Lines::default());
    with_default(lines.clone(), || drop(story));

    let line = lines.0.lock().unwrap();
    assert!(
        line.contains("reason=\"aborted\"") && line.contains("fault=\"edge\""),
        "{line}"
    );
    let counted = "holdline_sessions_ended_total{fault=\"edge\",reason=\"aborted\"} 1\n";
    assert!(metrics.render().contains(counted), "{}", metrics.render());
    let record = chronicle.find(&SessionId(7).to_string()).unwrap();
    let end = record.brief().end.unwrap();
    assert_eq!((end.reason, end.fault), ("aborted", "edge"));
    // What dashboards hear: it began, it is ending, it ended.
    let told: Vec<_> = std::iter::from_fn(|| listener.news.try_recv().ok()).collect();
    assert!(
        told[2].contains("\"ended\"") && told[2].contains("\"edge\""),
        "{told:?}"
    );
}
