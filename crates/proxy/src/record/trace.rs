//! A call's record as a trace: a span of the whole, one of each attachment, one of each handoff.

use holdline_session::{Epoch, SessionId, Time};

use super::{Brief, What};
use crate::spans::{
    attachment_id, call_id, handoff_id,
    otlp::{CLIENT, INTERNAL, KeyValue, SERVER, Span, Status},
};

/// What is under way, as far as the record does not know it.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// Since when the worker in force has the call.
    attached: Option<Time>,
}

impl Trace {
    /// What is over with something that happens to the call, whose line does not tell it yet.
    pub(super) fn follow(
        &mut self,
        session: SessionId,
        call: &Brief,
        at: Time,
        what: &What,
    ) -> [Option<Span>; 2] {
        match what {
            What::Attached { .. } => {
                let before = self.attached.replace(at);
                [attachment(session, call, before, at, None), None]
            }
            What::Lost { kind, detail, .. } => {
                let since = self.attached.take();
                let error = format!("{kind}: {detail}");
                [attachment(session, call, since, at, Some(error)), None]
            }
            What::Handoff { .. } => [handoff(session, at, what), None],
            What::Ended => {
                let since = self.attached.take();
                let last = attachment(session, call, since, at, None);
                [last, Some(whole(session, call, at))]
            }
            _ => [None, None],
        }
    }
}

/// The attachment in force, where there is one.
fn attachment(
    session: SessionId,
    call: &Brief,
    since: Option<Time>,
    until: Time,
    error: Option<String>,
) -> Option<Span> {
    let (since, epoch, worker) = (since?, call.epoch?, call.worker.as_ref()?);
    Some(Span {
        name: "attachment".to_owned(),
        kind: CLIENT,
        attributes: vec![
            KeyValue::new("epoch", epoch),
            KeyValue::new("reason", worker.reason),
            KeyValue::new("worker", &*worker.address),
            KeyValue::new("version", &*worker.version),
        ],
        status: error.map(Status::error),
        ..part(session, attachment_id(session, Epoch(epoch)), since, until)
    })
}

fn handoff(session: SessionId, until: Time, what: &What) -> Option<Span> {
    let What::Handoff {
        epoch,
        reason,
        kind,
        gap_us,
        from,
        to,
        version,
    } = what
    else {
        return None;
    };
    let mut attributes = vec![
        KeyValue::new("epoch", *epoch),
        KeyValue::new("reason", *reason),
        KeyValue::new("kind", *kind),
    ];
    for (key, value) in [("from", from), ("to", to), ("version", version)] {
        attributes.extend(value.as_deref().map(|value| KeyValue::new(key, value)));
    }
    let since = Time(until.0.saturating_sub(*gap_us));
    Some(Span {
        name: "handoff".to_owned(),
        kind: INTERNAL,
        attributes,
        ..part(session, handoff_id(session, Epoch(*epoch)), since, until)
    })
}

fn whole(session: SessionId, call: &Brief, until: Time) -> Span {
    let (reason, fault) = match &call.end {
        Some(end) => (end.reason, end.fault),
        None => ("unknown", "edge"),
    };
    let mut attributes = vec![
        KeyValue::new("session", &*call.id),
        KeyValue::new("path", &*call.path),
        KeyValue::new("reason", reason),
        KeyValue::new("fault", fault),
        KeyValue::new("handoffs", call.handoffs),
    ];
    if let Some(call_sid) = call.call_sid.as_deref() {
        attributes.push(KeyValue::new("call_sid", call_sid));
    }
    // What a caller or a network does is no error of this system.
    let ours = matches!(fault, "edge" | "worker" | "config");
    let since = Time(call.started_unix_us);
    Span {
        name: "call".to_owned(),
        kind: SERVER,
        attributes,
        status: ours.then(|| Status::error(reason.to_owned())),
        parent_span_id: Vec::new(),
        ..part(session, call_id(session), since, until)
    }
}

/// A span within the call's.
fn part(session: SessionId, id: u64, since: Time, until: Time) -> Span {
    let nanos = |at: Time| at.0.saturating_mul(1_000);
    Span {
        trace_id: session.0.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: call_id(session).to_be_bytes().to_vec(),
        start_time_unix_nano: nanos(since),
        end_time_unix_nano: nanos(until),
        ..Span::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const CALL: SessionId = SessionId(7 << 64 | 9);

    /// The spans of a call to which this happens, at 2 ms, 3 ms and so on.
    fn spans(happens: impl IntoIterator<Item = What>) -> Vec<Span> {
        let mut trace = Trace::default();
        let mut call = Brief::starting(CALL, Time(1_000), "/call");
        let mut spans = Vec::new();
        for (n, what) in (2..).zip(happens) {
            let at = Time(n * 1_000);
            spans.extend(trace.follow(CALL, &call, at, &what).into_iter().flatten());
            call.apply(at, &what);
        }
        spans
    }

    fn attached(epoch: u64, worker: &str) -> What {
        What::Attached {
            epoch,
            reason: "new",
            worker: worker.to_owned(),
            version: "v1".to_owned(),
            replayed: 0,
        }
    }

    fn ending(fault: &'static str) -> What {
        What::Ending {
            reason: "gave_up",
            detail: "nobody".to_owned(),
            fault,
        }
    }

    /// Name, times in ms, and whether it ended well.
    fn told(span: &Span) -> (&str, u64, u64, bool) {
        let ms = |nanos| nanos / 1_000_000;
        let (since, until) = (ms(span.start_time_unix_nano), ms(span.end_time_unix_nano));
        (&span.name, since, until, span.status.is_none())
    }

    #[test]
    fn each_attachment_ends_once_with_what_ended_it() {
        let lost = What::Lost {
            epoch: 2,
            kind: "stream",
            detail: "broken".to_owned(),
            worker: None,
        };
        let spans = spans([
            What::Began,
            attached(1, "a"),
            attached(2, "b"),
            lost,
            ending("worker"),
            What::Ended,
        ]);
        let told: Vec<_> = spans.iter().map(told).collect();
        assert_eq!(
            told,
            [
                ("attachment", 3, 4, true),
                ("attachment", 4, 5, false),
                ("call", 1, 7, false)
            ]
        );
        let worker = KeyValue::new("worker", "b");
        assert!(spans[1].attributes.contains(&worker), "{:?}", spans[1]);
        let why = Status::error("stream: broken".to_owned());
        assert_eq!(spans[1].status, Some(why));
    }

    #[test]
    fn a_handoff_began_its_gap_ago() {
        let handoff = What::Handoff {
            epoch: 2,
            reason: "handoff",
            kind: "drain",
            gap_us: 1_500,
            from: Some("a".to_owned()),
            to: None,
            version: None,
        };
        let spans = spans([handoff]);
        let [span] = spans.as_slice() else {
            panic!("{spans:?}");
        };
        assert_eq!(span.start_time_unix_nano, 500_000);
        assert_eq!(span.end_time_unix_nano, 2_000_000);
        assert_eq!(span.attributes.len(), 4, "{span:?}");
    }

    #[test]
    fn all_belong_to_the_call_and_what_others_do_is_no_error() {
        let spans = spans([attached(1, "a"), ending("peer"), What::Ended]);
        let [attachment, call] = spans.as_slice() else {
            panic!("{spans:?}");
        };
        assert_eq!(attachment.trace_id, CALL.0.to_be_bytes());
        assert_eq!(call.trace_id, CALL.0.to_be_bytes());
        assert_eq!(attachment.parent_span_id, call.span_id);
        assert!(call.parent_span_id.is_empty());
        assert_eq!(call.status, None);
    }
}
