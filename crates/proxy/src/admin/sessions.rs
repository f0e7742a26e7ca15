//! Calls, listed and one by one.
//!
//! A list is made of what is known outside of the calls' tasks, so that an operator who lists
//! thousands disturbs none. One call is asked how it is, because it is worth seeing when its task does
//! not answer.

use std::{cmp::Reverse, sync::Arc};

use holdline_session::SessionId;
use serde::Serialize;

use super::{ask::ask, query::Query};
use crate::{
    edge::Edge,
    order::Order,
    record::Record,
    status::{Line, SessionStatus},
    table::Entry,
};

/// Calls, as many as were asked for.
#[derive(Serialize, Debug)]
pub(super) struct Page {
    /// All that fit the question, on this page or not.
    total: usize,
    sessions: Vec<Line>,
    /// To be given as `after`, for those that follow.
    next: Option<String>,
}

/// Where a call stands in its list, in the list's order.
type Place = (u64, SessionId);

/// The calls that are asked for: those that live, oldest first, or those that ended, the last first.
pub(super) fn page(edge: &Edge, query: &Query) -> Page {
    if query.ended {
        ended(edge, query)
    } else {
        live(edge, query)
    }
}

fn live(edge: &Edge, query: &Query) -> Page {
    let fits = |entry: &Entry| match &entry.record {
        Some(record) => !record.is_over() && record.look(|brief| query.filter.fits(brief)),
        None => query.filter.fits(&entry.brief()),
    };
    let mut fitting: Vec<(Place, Entry)> = edge
        .table
        .all()
        .into_iter()
        .filter(fits)
        .map(|entry| ((entry.since.0, entry.id), entry))
        .collect();
    fitting.sort_unstable_by_key(|(place, _)| *place);
    let now = edge.clock.now();
    let rest = query.after.map_or(0, |after| {
        fitting.partition_point(|(place, _)| *place <= after)
    });
    turn(&fitting, rest, query.limit, |entry| Line::live(entry, now))
}

fn ended(edge: &Edge, query: &Query) -> Page {
    let place = |record: &Arc<Record>| {
        let at = record.look(|brief| brief.end.as_ref().map_or(0, |end| end.at_unix_us));
        (at, record.id())
    };
    let mut fitting: Vec<(Place, Arc<Record>)> = edge
        .chronicle
        .over()
        .into_iter()
        .filter(|record| record.look(|brief| query.filter.fits(brief)))
        .map(|record| (place(&record), record))
        .collect();
    fitting.sort_unstable_by_key(|(place, _)| Reverse(*place));
    let rest = query.after.map_or(0, |after| {
        fitting.partition_point(|(place, _)| *place >= after)
    });
    turn(&fitting, rest, query.limit, |record| Line::over(record))
}

/// One page: of `all`, from number `first` on.
fn turn<T>(all: &[(Place, T)], first: usize, limit: usize, line: impl Fn(&T) -> Line) -> Page {
    let rest = &all[first..];
    let page = &rest[..rest.len().min(limit)];
    let last = page.last().filter(|_| rest.len() > page.len());
    Page {
        total: all.len(),
        sessions: page.iter().map(|(_, call)| line(call)).collect(),
        next: last.map(|((at, id), _)| format!("{at}-{id}")),
    }
}

/// One call, by session id or by the carrier's id: the one that lives, or the last that ended.
pub(super) async fn one(edge: &Edge, name: &str) -> Option<SessionStatus> {
    if let Some(entry) = edge.table.find(name) {
        // One that says nothing is shown without.
        let inside = ask(&entry, Order::Show).await.ok().map(|inside| *inside);
        let over = entry.record.as_deref().is_some_and(Record::is_over);
        if !over && !entry.orders.is_closed() {
            return Some(SessionStatus::live(&entry, inside, edge.clock.now()));
        }
    }
    edge.chronicle
        .find(name)
        .map(|record| SessionStatus::over(&record))
}

/// Lines of all calls that live, for somebody who begins to listen. Sockets of which nobody has said yet
/// who calls are left out: no news would tell that one of them is gone, and of a call that begins there
/// is news.
pub(super) fn everybody(edge: &Edge) -> Vec<Line> {
    let (all, now) = (edge.table.all(), edge.clock.now());
    let known = |entry: &&Entry| {
        let record = entry.record.as_deref();
        record.is_some_and(|record| !record.is_over())
    };
    let known = all.iter().filter(known);
    known.map(|entry| Line::live(entry, now)).collect()
}

/// Lines of the last calls that ended, the last first.
pub(super) fn lately(edge: &Edge, limit: usize) -> Vec<Line> {
    let query = Query {
        limit,
        ..Query::default()
    };
    ended(edge, &query).sessions
}
