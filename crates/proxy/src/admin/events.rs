//! `GET /events`: what happens on this edge, as it happens, for dashboards.
//!
//! Server-sent events: first everything as it is, then what changes. A listener that does not read fast
//! enough is told that it missed some, and the stream ends: it is to begin anew. Calls' news are written once for all listeners, by whoever makes them; what changes by
//! itself (workers, rules, counters) is looked at here, a few times a second for each listener.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{StatusCode, header::RETRY_AFTER};
use serde::Serialize;
use tokio::{
    sync::{
        broadcast::{
            Receiver,
            error::{RecvError, TryRecvError},
        },
        mpsc,
    },
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    answers::{respond, text, with},
    body::{Answer, Body},
    counters::Counters,
    rollout, sessions,
    workers::{self, WorkerLine},
};
use crate::{chronicle::Listener, edge::Edge, lifecycle::Phase};

/// Pieces that wait for the socket.
const PIECES: usize = 4;
/// News that go out in one piece, in bytes; more follow in the next.
const PIECE_BYTES: usize = 64 << 10;
/// What a socket may take to accept a piece.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often workers, rules and the phase are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Every how many looks the counters are told: once a second.
const COUNTERS_EVERY: u32 = 4;
/// Calls told of in one event, at the beginning.
const CALLS_AT_ONCE: usize = 200;
/// Calls that ended, told of at the beginning.
const LATELY: usize = 100;

/// Everything but the calls, at the beginning.
#[derive(Serialize)]
struct Snapshot {
    now_unix_us: u64,
    version: &'static str,
    phase: &'static str,
    sessions: usize,
    workers: Vec<WorkerLine>,
    rollout: rollout::RolloutPage,
    counters: Counters,
}

/// Begins to tell somebody, or refuses. `bare`: he wants to know only whether he could be told.
pub(super) fn tell(edge: &Arc<Edge>, bare: bool) -> Answer {
    const STREAM: &str = "text/event-stream; charset=utf-8";
    let Some(listener) = edge.chronicle.listen() else {
        let words = "too many listen already\n";
        let refusal = text(StatusCode::SERVICE_UNAVAILABLE, words);
        return with(refusal, RETRY_AFTER, "5");
    };
    if bare {
        return respond(StatusCode::OK, STREAM, Bytes::new());
    }
    let (pieces, stream) = mpsc::channel(PIECES);
    let telling = Telling {
        edge: Arc::clone(edge),
        listener,
        pieces,
        piece: String::new(),
    };
    tokio::spawn(telling.run());
    let mut answer = respond(StatusCode::OK, STREAM, Bytes::new());
    *answer.body_mut() = Body::Stream(stream);
    answer
}

/// One listener.
struct Telling {
    edge: Arc<Edge>,
    listener: Listener,
    pieces: mpsc::Sender<Bytes>,
    /// What is not yet sent.
    piece: String,
}

/// He is gone, or is not served any longer.
struct Over;

impl Telling {
    async fn run(mut self) {
        // However it ended, the stream ends with it.
        let _ = self.tell().await;
    }

    async fn tell(&mut self) -> Result<(), Over> {
        // News that come from now on are heard later, also where the snapshot shows them already:
        // each carries the whole line of its call, so that nothing is lost or doubled.
        let mut seen = self.begin().await?;
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut turn: u32 = 0;
        loop {
            tokio::select! {
                () = self.pieces.closed() => return Err(Over),
                news = self.listener.news.recv() => match news {
                    Ok(news) => {
                        self.event("session", &news);
                        let came = more(&mut self.listener.news, &mut self.piece);
                        if let Err(Missed(missed)) = came {
                            return self.missed(missed).await;
                        }
                    }
                    Err(RecvError::Lagged(missed)) => return self.missed(missed).await,
                    Err(RecvError::Closed) => return Err(Over),
                },
                _ = looks.tick() => {
                    seen.look(self);
                    turn = turn.wrapping_add(1);
                    if turn.is_multiple_of(COUNTERS_EVERY) {
                        let counters = Counters::now(&self.edge);
                        self.add("counters", &counters);
                    }
                }
            }
            self.send().await?;
        }
    }

    /// Tells everything as it is.
    async fn begin(&mut self) -> Result<Seen, Over> {
        let calls = sessions::everybody(&self.edge);
        let seen = Seen::now(&self.edge);
        let snapshot = Snapshot {
            now_unix_us: self.edge.clock.now().0,
            version: env!("CARGO_PKG_VERSION"),
            phase: seen.phase.as_str(),
            sessions: calls.len(),
            workers: seen.workers.clone(),
            rollout: rollout::page(&self.edge),
            counters: Counters::now(&self.edge),
        };
        self.add("snapshot", &snapshot);
        for some in calls.chunks(CALLS_AT_ONCE) {
            self.add("sessions", &some);
            self.send().await?;
        }
        self.add("ended", &sessions::lately(&self.edge, LATELY));
        self.add("live", &serde_json::json!({}));
        self.send().await?;
        Ok(seen)
    }

    /// He is too slow: he is told, and has to begin anew.
    async fn missed(&mut self, missed: u64) -> Result<(), Over> {
        self.add("missed", &serde_json::json!({ "news": missed }));
        self.send().await?;
        Err(Over)
    }

    fn add(&mut self, kind: &str, what: &impl Serialize) {
        // Numbers and texts: there is nothing that JSON could not say.
        if let Ok(json) = serde_json::to_string(what) {
            self.event(kind, &json);
        }
    }

    fn event(&mut self, kind: &str, json: &str) {
        event(&mut self.piece, kind, json);
    }

    async fn send(&mut self) -> Result<(), Over> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.piece);
        match timeout(PATIENCE, self.pieces.send(piece.into())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Over),
        }
    }
}

/// So many news were told while the listener was too slow to hear them.
#[derive(PartialEq, Eq, Debug)]
struct Missed(u64);

/// Takes in the news that are there, as far as they fit. That some were missed is said here alone: the
/// next to be received is one that is there again.
fn more(news: &mut Receiver<Arc<str>>, piece: &mut String) -> Result<(), Missed> {
    while piece.len() < PIECE_BYTES {
        match news.try_recv() {
            Ok(news) => event(piece, "session", &news),
            Err(TryRecvError::Lagged(missed)) => return Err(Missed(missed)),
            // Whoever waits for the next hears that no more are to come.
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    Ok(())
}

/// JSON has no line breaks but where it is told to have them.
fn event(piece: &mut String, kind: &str, json: &str) {
    for part in ["event: ", kind, "\ndata: ", json, "\n\n"] {
        piece.push_str(part);
    }
}

/// What was told last of what changes by itself.
struct Seen {
    workers: Vec<WorkerLine>,
    revision: u64,
    phase: Phase,
}

impl Seen {
    fn now(edge: &Edge) -> Self {
        Self {
            workers: workers::all(edge),
            revision: edge.steering.revision(),
            phase: *edge.phase.borrow(),
        }
    }

    /// Tells what has changed.
    fn look(&mut self, to: &mut Telling) {
        let now = Self::now(&to.edge);
        let settled =
            |lines: &[WorkerLine]| -> Vec<_> { lines.iter().map(WorkerLine::settled).collect() };
        if settled(&now.workers) != settled(&self.workers) {
            to.add("workers", &now.workers);
        }
        if now.revision != self.revision {
            let page = rollout::page(&to.edge);
            to.add("rollout", &page);
        }
        if now.phase != self.phase {
            to.add("phase", &serde_json::json!({ "phase": now.phase.as_str() }));
        }
        *self = now;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::sync::broadcast;

    use super::*;

    #[test]
    fn news_that_come_together_go_out_together() {
        let (tell, mut news) = broadcast::channel::<Arc<str>>(4);
        tell.send("{1}".into()).unwrap();
        tell.send("{2}".into()).unwrap();
        let mut piece = String::new();
        assert_eq!(more(&mut news, &mut piece), Ok(()));
        assert_eq!(
            piece,
            "event: session\ndata: {1}\n\nevent: session\ndata: {2}\n\n"
        );
    }

    /// Said once only: whoever overhears it tells a listener that he knows all.
    #[test]
    fn what_was_missed_between_two_news_is_told() {
        let (tell, mut news) = broadcast::channel::<Arc<str>>(2);
        for number in 0..5 {
            tell.send(format!("{{{number}}}").into()).unwrap();
        }
        assert_eq!(more(&mut news, &mut String::new()), Err(Missed(3)));
    }
}
