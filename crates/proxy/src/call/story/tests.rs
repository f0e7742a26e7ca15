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
    let told_of = Arc::new(Paces::new(2));
    Story::new(
        record,
        began,
        Clock::start(),
        caller,
        metrics.clone(),
        told_of,
    )
}

#[tokio::test]
async fn a_call_whose_task_fails_is_the_edges_fault_everywhere() {
    let (chronicle, metrics) = (Chronicle::new(Spans::default()), Metrics::new());
    let mut listener = chronicle.listen().unwrap();
    let (mut story, lines) = (story(&chronicle, &metrics), Lines::default());
    let mut account = Account::default();
    (account.commits, account.media_lost) = (41, 3);
    with_default(lines.clone(), || story.broken_off(&account));

    let line = lines.0.lock().unwrap();
    for part in [
        "message=call broken off",
        "reason=\"aborted\"",
        "fault=\"edge\"",
        "commits=41",
        "media_lost=3",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
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

/// What a flapping pool could bring about in each of thousands of calls is told of some, with how many are
/// left out; how calls end is always told.
#[tokio::test]
async fn a_flood_hides_no_end_and_no_other_kind() {
    let (chronicle, metrics) = (Chronicle::new(Spans::default()), Metrics::new());
    let (mut story, lines) = (story(&chronicle, &metrics), Lines::default());
    with_default(lines.clone(), || {
        for epoch in 1..=50 {
            story.lost(Epoch(epoch), "stream", "reset");
        }
        story.tell_trouble(&Report::HoldStarted);
        story.ended(Time(2_000), &Account::default());
    });
    let line = lines.0.lock().unwrap();
    let times = |message: &str| line.matches(&format!("message={message}")).count();
    assert_eq!(times("worker lost"), 2, "{line}");
    assert_eq!(times("no worker can be had"), 1, "{line}");
    assert_eq!(times("call ended"), 1, "{line}");
    let counted = "holdline_attach_failures_total{why=\"stream\"} 50\n";
    assert!(metrics.render().contains(counted), "{}", metrics.render());
}
