//! Who is on the line: every call of this edge, for the drain, for operators and for counting.
//!
//! Touched when a call starts and ends and when somebody asks, never for a frame. A call is known
//! from the moment its socket is accepted, so that no drain can overlook one that is just starting.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use holdline_session::{SessionId, Time};
use tokio::{sync::mpsc, task::AbortHandle};

use crate::order::Order;

/// Orders that may wait for a session task. It takes them between two events; more than a few
/// waiting means that it does not run.
pub(crate) const ORDERS: usize = 8;

/// What the edge knows of a call without asking its task.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its id.
    pub(crate) id: SessionId,
    /// When its socket was accepted.
    pub(crate) since: Time,
    /// The path that it was accepted on.
    pub(crate) route: Arc<str>,
    /// Its identity at the carrier, once it is known.
    pub(crate) call_sid: Option<Arc<str>>,
    /// Whether a session has begun; before that the caller's profile waits for who calls.
    pub(crate) begun: bool,
    /// How to tell its task something.
    pub(crate) orders: mpsc::Sender<Order>,
    /// How to end its task where it does not listen.
    pub(crate) abort: Option<AbortHandle>,
}

/// All calls of one edge. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    calls: HashMap<SessionId, Entry>,
    by_call_sid: HashMap<Arc<str>, SessionId>,
}

impl Table {
    /// Enters a call; it leaves when the returned value is dropped. The number of calls is bounded
    /// by admission, before this.
    pub(crate) fn enter(&self, entry: Entry) -> Place {
        let id = entry.id;
        self.lock().calls.insert(id, entry);
        Place {
            table: self.clone(),
            id,
        }
    }

    /// A call by its session id or by the carrier's id of it.
    pub(crate) fn find(&self, name: &str) -> Option<Entry> {
        let inner = self.lock();
        let by_sid = || inner.by_call_sid.get(name).copied();
        let id = by_sid().or_else(|| name.parse().ok())?;
        inner.calls.get(&id).cloned()
    }

    /// All calls, oldest first.
    pub(crate) fn all(&self) -> Vec<Entry> {
        let mut all: Vec<_> = self.lock().calls.values().cloned().collect();
        all.sort_unstable_by_key(|entry| (entry.since, entry.id));
        all
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that can panic runs under this lock; were it so, the map would still be whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call's place in the table, held by its task.
#[derive(Debug)]
pub(crate) struct Place {
    table: Table,
    id: SessionId,
}

impl Place {
    /// Notes how to end the call's task from outside.
    pub(crate) fn abort_with(table: &Table, id: SessionId, abort: AbortHandle) {
        if let Some(entry) = table.lock().calls.get_mut(&id) {
            entry.abort = Some(abort);
        }
    }

    /// Notes that the session has begun, and who calls. Of two calls with one `call_sid` the
    /// later is found by it.
    pub(crate) fn begun(&self, call_sid: Option<&str>) {
        let call_sid: Option<Arc<str>> = call_sid.map(Into::into);
        let mut inner = self.table.lock();
        if let Some(sid) = &call_sid {
            inner.by_call_sid.insert(sid.clone(), self.id);
        }
        if let Some(entry) = inner.calls.get_mut(&self.id) {
            entry.begun = true;
            entry.call_sid = call_sid;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.table.lock();
        let Some(entry) = inner.calls.remove(&self.id) else {
            return;
        };
        let Some(sid) = entry.call_sid else { return };
        if inner.by_call_sid.get(&sid) == Some(&self.id) {
            inner.by_call_sid.remove(&sid);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn entry(id: u128) -> Entry {
        Entry {
            id: SessionId(id),
            since: Time(u64::MAX - id as u64),
            route: "/".into(),
            call_sid: None,
            begun: false,
            orders: mpsc::channel(1).0,
            abort: None,
        }
    }

    #[test]
    fn a_call_is_found_by_either_name_until_its_place_is_dropped() {
        let table = Table::default();
        let place = table.enter(entry(0xab));
        assert!(!table.find(&SessionId(0xab).to_string()).unwrap().begun);
        place.begun(Some("CA1"));
        assert_eq!(table.find("CA1").unwrap().id, SessionId(0xab));
        drop(place);
        assert!(table.find("CA1").is_none());
        assert!(table.find(&SessionId(0xab).to_string()).is_none());
    }

    #[test]
    fn an_older_call_of_the_same_sid_does_not_take_the_newer_one_with_it() {
        let table = Table::default();
        let older = table.enter(entry(1));
        older.begun(Some("CA1"));
        let newer = table.enter(entry(2));
        newer.begun(Some("CA1"));
        drop(older);
        assert_eq!(table.find("CA1").unwrap().id, SessionId(2));
    }

    #[test]
    fn lists_the_oldest_first() {
        let table = Table::default();
        let _places = [table.enter(entry(1)), table.enter(entry(2))];
        let ids: Vec<_> = table.all().into_iter().map(|entry| entry.id.0).collect();
        assert_eq!(ids, [2, 1]);
    }
}
