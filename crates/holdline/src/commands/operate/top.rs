//! `holdline top`: an edge at a glance, again and again.
//!
//! Plain ANSI on the terminal's second screen: it works over any connection, needs no terminal library,
//! and leaves what was on the screen as it was.

use std::{cmp::Reverse, process};

use serde_json::{Value, json};
use terminal_size::{Height, Width, terminal_size};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    Edge, print, sessions,
    table::{Table, ago, field, list, micros, number},
    workers,
};
use crate::{
    Failure,
    cli::{Form, TopArgs},
};

/// The second screen, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the upper left; what is right of a line's end and below the last line is cleared.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST: &str = "\x1b[J";
/// Lines and columns where there is no terminal to ask.
const SIZE: (usize, usize) = (50, 200);
/// Calls that are looked at.
const CALLS: usize = 5_000;
/// Ends that are shown.
const ENDS: usize = 5;

/// Shows the edge, until Ctrl-C.
pub(crate) fn top(args: &TopArgs) -> Result<(), Failure> {
    let edge = Edge::new(&args.edge)?;
    crate::commands::block_on(async {
        if args.once || args.edge.output == Form::Json {
            let seen = look(&edge).await?;
            return edge.show(&seen, |seen| frame(seen, SIZE).join("\n") + "\n");
        }
        print(ENTER.as_bytes())?;
        let outcome = tokio::select! {
            outcome = watch(&edge, args) => outcome,
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
        print(LEAVE.as_bytes())?;
        outcome
    })
}

async fn watch(edge: &Edge, args: &TopArgs) -> Result<(), Failure> {
    let mut looks = interval(args.interval);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let size = size();
        let lines = match look(edge).await {
            Ok(seen) => frame(&seen, size),
            // It may be back in a moment: whoever watches a restart wants to see that.
            Err(Failure::Failed(why)) => {
                vec![format!("holdline top, process {}", process::id()), why]
            }
            Err(failure) => return Err(failure),
        };
        let cut = |line: &String| -> String { line.chars().take(size.1).collect() };
        let lines: Vec<String> = lines.iter().take(size.0).map(cut).collect();
        let lines = lines.join(&format!("{REST_OF_LINE}\r\n"));
        print(format!("{HOME}{lines}{REST_OF_LINE}{REST}").as_bytes())?;
    }
}

/// Lines and columns of the terminal.
fn size() -> (usize, usize) {
    match terminal_size() {
        Some((Width(columns), Height(rows))) if rows > 0 => (rows.into(), columns.into()),
        _ => SIZE,
    }
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

/// The lines of one look, as many as fit.
fn frame(seen: &Value, (rows, _): (usize, usize)) -> Vec<String> {
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
