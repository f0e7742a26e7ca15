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
    sync::{broadcast::error::RecvError, broadcast::error::TryRecvError, mpsc},
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
                    Ok(news) => self.news(&news)?,
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

    /// Takes in these news and those that came with them, as far as they fit.
    fn news(&mut self, first: &str) -> Result<(), Over> {
        self.event("session", first);
        while self.piece.len() < PIECE_BYTES {
            match self.listener.news.try_recv() {
                Ok(news) => self.event("session", &news),
                // Where some were missed, the next to be received says so.
                Err(TryRecvError::Empty | TryRecvError::Lagged(_)) => break,
                Err(TryRecvError::Closed) => return Err(Over),
            }
        }
        Ok(())
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

    /// JSON has no line breaks but where it is told to have them.
    fn event(&mut self, kind: &str, json: &str) {
        for part in ["event: ", kind, "\ndata: ", json, "\n\n"] {
            self.piece.push_str(part);
        }
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
