//! What is told of calls beyond their tasks: to those who listen now, and to those who ask later.
//!
//! While nobody listens, an event costs one look at a counter. Each piece of news is written as JSON
//! once, whoever listens; a listener who is too slow misses some, and is told so rather than waited for.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use holdline_session::SessionId;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

use crate::{
    record::{Brief, Moment, Record, What},
    spans::Spans,
};

/// Calls that ended and are remembered; the longest ended give way.
const ENDED: usize = 1_000;
/// News that may stand unread by the slowest listener: some for each of a few thousand calls, which all
/// move in a deploy.
const UNREAD: usize = 8_192;
/// Those who listen at once.
const LISTENERS: usize = 16;

/// The chronicle of one edge. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Chronicle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    news: broadcast::Sender<Arc<str>>,
    listeners: Arc<Semaphore>,
    ended: Mutex<VecDeque<Arc<Record>>>,
    totals: Totals,
    spans: Spans,
}

/// Sums over all calls since the edge began.
#[derive(Debug, Default)]
struct Totals {
    handoffs: AtomicU64,
    losses: AtomicU64,
    ended: AtomicU64,
}

/// The same, at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    pub(crate) handoffs: u64,
    pub(crate) losses: u64,
    pub(crate) ended: u64,
}

/// Somebody who listens.
#[derive(Debug)]
pub(crate) struct Listener {
    /// News of calls, each a JSON object.
    pub(crate) news: broadcast::Receiver<Arc<str>>,
    _place: OwnedSemaphorePermit,
}

/// News of a call, as listeners get it.
#[derive(Serialize)]
struct News<'a> {
    session: &'a Brief,
    moment: &'a Moment,
}

impl Chronicle {
    /// An empty one. `spans`: where traces of calls are put.
    pub(crate) fn new(spans: Spans) -> Self {
        Self {
            shared: Arc::new(Shared {
                news: broadcast::Sender::new(UNREAD),
                listeners: Arc::new(Semaphore::new(LISTENERS)),
                ended: Mutex::default(),
                totals: Totals::default(),
                spans,
            }),
        }
    }

    /// Where traces of calls are put.
    pub(crate) fn spans(&self) -> &Spans {
        &self.shared.spans
    }

    /// Tells those who listen what happened to a call.
    pub(crate) fn tell(&self, brief: &Brief, moment: &Moment) {
        self.shared.totals.count(moment);
        if self.shared.news.receiver_count() == 0 {
            return;
        }
        let news = News {
            session: brief,
            moment,
        };
        // Numbers and texts: there is nothing that JSON could not say.
        if let Ok(json) = serde_json::to_string(&news) {
            // Whoever listened may just have gone.
            let _ = self.shared.news.send(json.into());
        }
    }

    /// From now on, everything is heard. `None`: too many listen already.
    pub(crate) fn listen(&self) -> Option<Listener> {
        let place = Arc::clone(&self.shared.listeners).try_acquire_owned();
        Some(Listener {
            _place: place.ok()?,
            news: self.shared.news.subscribe(),
        })
    }

    /// Remembers a call that ended.
    pub(crate) fn remember(&self, record: Arc<Record>) {
        let mut ended = self.ended();
        if ended.len() == ENDED {
            ended.pop_front();
        }
        ended.push_back(record);
    }

    /// Calls that ended, the last first.
    pub(crate) fn over(&self) -> Vec<Arc<Record>> {
        self.ended().iter().rev().cloned().collect()
    }

    /// The last call that ended and had this id, or this name at its carrier.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Record>> {
        let id: Option<SessionId> = name.parse().ok();
        let named = |record: &&Arc<Record>| {
            id == Some(record.id()) || record.look(|brief| brief.call_sid.as_deref() == Some(name))
        };
        self.ended().iter().rev().find(named).cloned()
    }

    /// Sums over all calls.
    pub(crate) fn sums(&self) -> Sums {
        let of = |total: &AtomicU64| total.load(Ordering::Relaxed);
        let totals = &self.shared.totals;
        Sums {
            handoffs: of(&totals.handoffs),
            losses: of(&totals.losses),
            ended: of(&totals.ended),
        }
    }

    fn ended(&self) -> MutexGuard<'_, VecDeque<Arc<Record>>> {
        // No code that can panic runs under this lock; were it so, the list would still be whole.
        let ended = &self.shared.ended;
        ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Totals {
    fn count(&self, moment: &Moment) {
        let total = match moment.what() {
            What::Handoff { .. } => &self.handoffs,
            What::Lost { .. } => &self.losses,
            What::Ended => &self.ended,
            _ => return,
        };
        total.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use holdline_session::Time;

    use super::*;

    fn call(chronicle: &Chronicle, id: u128) -> Arc<Record> {
        let brief = Brief::starting(SessionId(id), Time(5), "/call");
        Record::begin(SessionId(id), Time(5), brief, chronicle.clone())
    }

    #[test]
    fn the_last_calls_are_remembered_and_found() {
        let chronicle = Chronicle::new(Spans::default());
        for id in 0..1_500 {
            call(&chronicle, id).ended(Time(6));
        }
        let over = chronicle.over();
        assert_eq!(over.len(), ENDED);
        assert_eq!(over[0].id(), SessionId(1_499));
        assert!(chronicle.find(&SessionId(1_499).to_string()).is_some());
        assert!(chronicle.find(&SessionId(3).to_string()).is_none());
        assert_eq!(chronicle.sums().ended, 1_500);
    }

    #[test]
    fn who_listens_hears_what_comes_and_who_is_slow_is_told() {
        let chronicle = Chronicle::new(Spans::default());
        let _before = call(&chronicle, 1);
        let mut listener = chronicle.listen().unwrap();
        let record = call(&chronicle, 2);
        let heard = listener.news.try_recv().unwrap();
        let heard: serde_json::Value = serde_json::from_str(&heard).unwrap();
        assert_eq!(heard["moment"]["event"], "began");
        assert_eq!(heard["session"]["id"], SessionId(2).to_string());
        for strikes in 0..2 * UNREAD as u32 {
            record.note(Time(7), What::Strike { strikes });
        }
        let missed = listener.news.try_recv();
        assert!(
            matches!(missed, Err(broadcast::error::TryRecvError::Lagged(_))),
            "{missed:?}"
        );
    }

    #[test]
    fn only_so_many_listen() {
        let chronicle = Chronicle::new(Spans::default());
        let mut all: Vec<_> = (0..LISTENERS)
            .map(|_| chronicle.listen().unwrap())
            .collect();
        assert!(chronicle.listen().is_none());
        all.pop();
        assert!(chronicle.listen().is_some());
    }
}
