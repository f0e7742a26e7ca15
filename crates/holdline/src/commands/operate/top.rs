//! `holdline top`: an edge at a glance, again and again.
//!
//! Plain ANSI on the terminal's second screen: it works over any connection, needs no terminal library,
//! and leaves what was on the screen as it was.

use std::{
    cmp::Reverse,
    io::{IsTerminal as _, stdout},
};

use serde_json::{Value, json};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};

use super::{
    Edge, print, sessions,
    table::{Table, ago, field, list, micros, number},
    workers,
};
use crate::{
    Failure,
    cli::{Form, TopArgs},
};

mod screen;

use screen::{Key, Paint, Screen};

/// Lines and columns where there is no terminal to ask.
const SIZE: (usize, usize) = (50, 200);
/// Calls that are looked at.
const CALLS: usize = 5_000;
/// Ends that are shown.
const ENDS: usize = 5;
/// What a person at a terminal can do, at the end of the first line.
const KEYS: &str = "   q: quit, j k: scroll";

/// What was seen last, or why nothing was.
type Look = Result<Value, String>;

/// Shows the edge, until somebody has seen enough.
pub(crate) fn top(args: &TopArgs) -> Result<(), Failure> {
    let edge = Edge::new(&args.edge)?;
    crate::commands::block_on(async {
        if args.once || args.edge.output == Form::Json || !stdout().is_terminal() {
            let seen = look(&edge).await?;
            return edge.show(&seen, |seen| frame(seen, SIZE, &mut 0).join("\n") + "\n");
        }
        let mut stops = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ]
        .map(signal)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
        let stopped = std::future::poll_fn(|context| {
            let mut all = stops.iter_mut().map(|stop| stop.poll_recv(context));
            all.find(|stop| stop.is_ready())
                .unwrap_or(std::task::Poll::Pending)
        });
        let (screen, keys) = Screen::enter()?;
        let (tell, told) = watch::channel(None);
        let outcome = tokio::select! {
            outcome = looks(&edge, args, &tell) => outcome,
            outcome = show(told, keys) => outcome,
            _ = stopped => Ok(()),
        };
        drop(screen);
        outcome
    })
}

/// Looks again and again.
async fn looks(
    edge: &Edge,
    args: &TopArgs,
    tell: &watch::Sender<Option<Look>>,
) -> Result<(), Failure> {
    let mut looks = interval(args.interval);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let seen = match look(edge).await {
            Ok(seen) => Ok(seen),
            // It may be back in a moment: whoever watches a restart wants to see that.
            Err(Failure::Failed(why)) => Err(why),
            Err(failure) => return Err(failure),
        };
        tell.send_replace(Some(seen));
    }
}

/// Shows each look, and does what the keys say, until one says that it is enough.
async fn show(
    mut told: watch::Receiver<Option<Look>>,
    mut keys: mpsc::Receiver<Key>,
) -> Result<(), Failure> {
    let mut first: usize = 0;
    loop {
        tokio::select! {
            changed = told.changed() => if changed.is_err() { return Ok(()) },
            Some(key) = keys.recv() => match key {
                Key::Quit => return Ok(()),
                Key::Down => first += 1,
                Key::Up => first = first.saturating_sub(1),
            },
        }
        let size = screen::size().unwrap_or(SIZE);
        let (lines, paint) = match &*told.borrow_and_update() {
            Some(Ok(seen)) => (frame(seen, size, &mut first), Paint::of(&versions(seen))),
            Some(Err(why)) => (vec!["holdline top".to_owned(), why.clone()], Paint::of(&[])),
            None => continue,
        };
        print(screen::drawn(lines, size, &paint).as_bytes())?;
    }
}

fn versions(seen: &Value) -> Vec<&str> {
    let workers = list(&seen["workers"]).iter();
    let mut versions: Vec<_> = workers.filter_map(|it| it["version"].as_str()).collect();
    // Of a worker that nobody has met yet.
    versions.retain(|version| !version.is_empty());
    versions.sort_unstable();
    versions.dedup();
    versions
}

/// Everything that is shown, in one value.
async fn look(edge: &Edge) -> Result<Value, Failure> {
    let (live, ended) = (
        format!("/sessions?limit={CALLS}"),
        format!("/sessions?ended=true&limit={ENDS}"),
    );
    Ok(json!({
        "edge": edge.base,
        "sessions": edge.get(&live).await?,
        "ended": edge.get(&ended).await?,
        "workers": edge.get("/workers").await?,
    }))
}

/// The lines of one look, as many as fit; of the calls, from number `first` on, as far as there are so many.
fn frame(seen: &Value, (rows, _): (usize, usize), first: &mut usize) -> Vec<String> {
    let mut calls: Vec<Value> = list(&seen["sessions"]["sessions"]).to_vec();
    let count = |what: fn(&Value) -> bool| calls.iter().filter(|call| what(call)).count();
    let held = count(|call| !call["held_since_unix_us"].is_null());
    let handoffs: u64 = calls.iter().map(|call| number(&call["handoffs"])).sum();
    let gaps = calls.iter().map(|call| number(&call["gap_max_us"]));
    let mut lines = vec![
        format!(
            "{}   calls: {}, {held} held   handoffs: {handoffs}, longest gap {}",
            field(&seen["edge"]),
            field(&seen["sessions"]["total"]),
            micros(gaps.max().unwrap_or_default()),
        ),
        String::new(),
    ];
    lines.extend(workers::table(&seen["workers"]).lines());
    let ended = list(&seen["ended"]["sessions"]);
    if !ended.is_empty() {
        lines.push(String::new());
        lines.extend(ends(ended).lines());
    }
    lines.push(String::new());
    calls.sort_by_key(|call| {
        let held = call["held_since_unix_us"].is_null();
        (held, Reverse(number(&call["gap_max_us"])))
    });
    // Below them, the head of the table.
    let room = rows.saturating_sub(lines.len() + 1);
    *first = (*first).min(calls.len().saturating_sub(room));
    calls.drain(..*first);
    calls.truncate(room);
    lines.extend(sessions::table(&calls).lines());
    lines
}

fn ends(ended: &[Value]) -> Table {
    let mut table = Table::new(&["LAST ENDED", "AGO", "REASON", "FAULT", "DETAIL"]);
    for session in ended {
        let end = &session["end"];
        table.row(vec![
            sessions::name(session),
            ago(&end["at_unix_us"]),
            field(&end["reason"]),
            field(&end["fault"]),
            field(&end["detail"]),
        ]);
    }
    table
}
