//! Who is on the line: every call of this edge, for the drain, for operators and for counting.
//!
//! Touched when a call starts and ends and when somebody asks, never for a frame. A call is known
//! from the moment its socket is accepted, so that no drain can overlook one that is just starting.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use holdline_session::{SessionId, Time};
use holdline_telemetry::{Census, SessionState};
use tokio::{sync::mpsc, task::AbortHandle};

use crate::{
    order::Order,
    record::{Brief, Record},
};

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
    /// The account that it belongs to, once it is known.
    pub(crate) account_sid: Option<Arc<str>>,
    /// Whether a session has begun; before that the caller's profile waits for who calls.
    pub(crate) begun: bool,
    /// Whether the session is ending: no stream can join it any more.
    pub(crate) ending: bool,
    /// What happened to it, once its session has begun.
    pub(crate) record: Option<Arc<Record>>,
    /// What its task tells of it by the way.
    pub(crate) marks: Arc<Marks>,
    /// How to tell its task something.
    pub(crate) orders: mpsc::Sender<Order>,
    /// How to end its task where it does not listen.
    pub(crate) abort: Option<AbortHandle>,
}

/// What a call's task tells without being asked: cheap enough to be told for each frame.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// When the oldest input was received that is kept to replay; 0: none is kept.
    oldest: AtomicU64,
}

impl Marks {
    /// When the oldest input was received that is kept to replay.
    pub(crate) fn keeps_since(&self, oldest: Option<Time>) {
        self.oldest.store(oldest.map_or(0, |at| at.0), Relaxed);
    }

    fn log_age(&self, now: Time) -> Duration {
        match self.oldest.load(Relaxed) {
            0 => Duration::ZERO,
            at => now.since(Time(at)),
        }
    }
}

impl Entry {
    /// The call in one line.
    pub(crate) fn brief(&self) -> Brief {
        match &self.record {
            Some(record) => record.brief(),
            None => Brief {
                call_sid: self.call_sid.as_deref().map(Into::into),
                ..Brief::starting(self.id, self.since, &self.route)
            },
        }
    }

    fn state(&self) -> SessionState {
        match self.begun {
            false => SessionState::Starting,
            true if self.ending => SessionState::Ending,
            true if self.is_held() => SessionState::Held,
            true => SessionState::Running,
        }
    }

    fn is_held(&self) -> bool {
        let held = |record: &Arc<Record>| record.look(|brief| brief.held_since_unix_us.is_some());
        self.record.as_ref().is_some_and(held)
    }
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

    /// Whether a call with this id at the carrier has a session that a stream may join.
    pub(crate) fn is_live(&self, call_sid: &str) -> bool {
        self.lock().live(call_sid).is_some()
    }

    /// Notes that a session is ending.
    pub(crate) fn ends(&self, id: SessionId) {
        if let Some(entry) = self.lock().calls.get_mut(&id) {
            entry.ending = true;
        }
    }

    /// All calls, oldest first.
    pub(crate) fn all(&self) -> Vec<Entry> {
        let mut all: Vec<_> = self.lock().calls.values().cloned().collect();
        all.sort_unstable_by_key(|entry| (entry.since, entry.id));
        all
    }

    /// How many calls do what, and for how long. Costs in proportion to the calls.
    pub(crate) fn census(&self, now: Time) -> Census {
        let mut census = Census::default();
        for entry in self.lock().calls.values() {
            census.note(
                entry.state(),
                now.since(entry.since),
                entry.marks.log_age(now),
            );
        }
        census
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that can panic runs under this lock; were it so, the map would still be whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn live(&self, call_sid: &str) -> Option<&Entry> {
        let entry = self.calls.get(self.by_call_sid.get(call_sid)?)?;
        (!entry.ending && !entry.orders.is_closed()).then_some(entry)
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

    /// Notes where it stands what happens to the call.
    pub(crate) fn recorded(&self, record: &Arc<Record>) {
        if let Some(entry) = self.table.lock().calls.get_mut(&self.id) {
            entry.record = Some(Arc::clone(record));
        }
    }

    /// Notes that the session has begun, and who calls. Of a call that ends and its successor of
    /// the same `call_sid` the later is found by it.
    ///
    /// # Errors
    /// The call of this `call_sid` that is live already; then nothing is noted.
    pub(crate) fn begun(
        &self,
        call_sid: Option<&str>,
        account_sid: Option<&str>,
    ) -> Result<(), Entry> {
        let call_sid: Option<Arc<str>> = call_sid.map(Into::into);
        let mut inner = self.table.lock();
        if let Some(sid) = &call_sid {
            if let Some(live) = inner.live(sid) {
                return Err(live.clone());
            }
            inner.by_call_sid.insert(sid.clone(), self.id);
        }
        if let Some(entry) = inner.calls.get_mut(&self.id) {
            entry.begun = true;
            entry.call_sid = call_sid;
            entry.account_sid = account_sid.map(Into::into);
        }
        Ok(())
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
    use crate::{chronicle::Chronicle, record::What, spans::Spans};

    /// An entry, and what keeps it live.
    fn entry(id: u128) -> (Entry, mpsc::Receiver<Order>) {
        let (orders, inbox) = mpsc::channel(1);
        let entry = Entry {
            id: SessionId(id),
            since: Time(u64::MAX - id as u64),
            route: "/".into(),
            call_sid: None,
            account_sid: None,
            begun: false,
            ending: false,
            record: None,
            marks: Arc::default(),
            orders,
            abort: None,
        };
        (entry, inbox)
    }

    #[test]
    fn a_call_is_found_by_either_name_until_its_place_is_dropped() {
        let table = Table::default();
        let (entry, _inbox) = entry(0xab);
        let place = table.enter(entry);
        assert!(!table.find(&SessionId(0xab).to_string()).unwrap().begun);
        place.begun(Some("CA1"), None).unwrap();
        assert_eq!(table.find("CA1").unwrap().id, SessionId(0xab));
        drop(place);
        assert!(table.find("CA1").is_none());
        assert!(table.find(&SessionId(0xab).to_string()).is_none());
    }

    #[test]
    fn a_live_call_keeps_its_name_and_an_ending_one_gives_it_up() {
        let table = Table::default();
        let ((older, _inbox), (newer, _other)) = (entry(1), entry(2));
        let older = table.enter(older);
        older.begun(Some("CA1"), Some("AC1")).unwrap();
        let newer = table.enter(newer);
        let live = newer.begun(Some("CA1"), Some("AC2")).unwrap_err();
        assert_eq!(
            (live.id, live.account_sid.as_deref()),
            (SessionId(1), Some("AC1"))
        );
        assert!(table.is_live("CA1"));
        table.ends(SessionId(1));
        assert!(!table.is_live("CA1"));
        newer.begun(Some("CA1"), Some("AC2")).unwrap();
        drop(older);
        assert_eq!(table.find("CA1").unwrap().id, SessionId(2));
    }

    #[test]
    fn a_call_whose_task_takes_no_orders_is_not_live() {
        let table = Table::default();
        let (entry, inbox) = entry(1);
        let place = table.enter(entry);
        place.begun(Some("CA1"), None).unwrap();
        drop(inbox);
        assert!(!table.is_live("CA1"));
    }

    #[test]
    fn lists_the_oldest_first() {
        let table = Table::default();
        let _places = [table.enter(entry(1).0), table.enter(entry(2).0)];
        let ids: Vec<_> = table.all().into_iter().map(|entry| entry.id.0).collect();
        assert_eq!(ids, [2, 1]);
    }

    #[test]
    fn calls_are_counted_by_what_they_do_and_by_age() {
        let (table, now) = (Table::default(), Time(10_000_000_000));
        let mut places = Vec::new();
        for (id, age) in [(1, 1), (2, 61), (3, 301), (4, 9_000)] {
            let (mut entry, _inbox) = entry(id);
            entry.since = Time(now.0 - age * 1_000_000);
            let marks = Arc::clone(&entry.marks);
            let place = table.enter(entry);
            if id > 1 {
                place.begun(None, None).unwrap();
            }
            if id == 3 {
                let brief = Brief::starting(SessionId(id), now, "/");
                let record =
                    Record::begin(SessionId(id), now, brief, Chronicle::new(Spans::default()));
                record.note(now, What::HoldStarted { why: None });
                place.recorded(&record);
            }
            marks.keeps_since((id == 2).then_some(Time(now.0 - 250_000)));
            places.push(place);
        }
        table.ends(SessionId(4));
        let mut expected = Census::default();
        let (second, none) = (Duration::from_secs, Duration::ZERO);
        expected.note(SessionState::Starting, second(1), none);
        expected.note(
            SessionState::Running,
            second(61),
            Duration::from_millis(250),
        );
        expected.note(SessionState::Held, second(301), none);
        expected.note(SessionState::Ending, second(9_000), none);
        assert_eq!(table.census(now), expected);
    }
}
