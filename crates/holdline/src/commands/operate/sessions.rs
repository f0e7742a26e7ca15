//! `holdline sessions`, `session`, `move`, `end`: the calls of an edge.

use serde_json::Value;

use super::{
    Edge, segment,
    table::{Table, field, list, micros, millis, number, plain},
};
use crate::{
    Failure,
    cli::{CallArgs, SessionsArgs},
};

/// Calls that an edge puts on one page, at most.
const PAGE: usize = 5_000;

/// Lists calls.
pub(crate) fn sessions(args: &SessionsArgs) -> Result<(), Failure> {
    let edge = Edge::new(&args.edge)?;
    let mut path = format!("/sessions?ended={}", args.ended);
    for (key, value) in [
        ("call_sid", &args.call_sid),
        ("version", &args.version),
        ("worker", &args.worker),
        ("pool", &args.pool),
        ("phase", &args.phase),
        ("reason", &args.reason),
        ("fault", &args.fault),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", segment(value)));
        }
    }
    crate::commands::block_on(async {
        let page = pages(&edge, &path, args.limit).await?;
        edge.show(&page, |page| match args.ended {
            true => ended(page),
            false => live(page),
        })
    })
}

/// So many of the calls at `path`, from as many pages as that takes, as if they were one.
async fn pages(edge: &Edge, path: &str, limit: usize) -> Result<Value, Failure> {
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let most = (limit - found.len()).min(PAGE);
        let mut page = edge.get(&format!("{path}&limit={most}{after}")).await?;
        if let Some(calls) = page["sessions"].as_array_mut() {
            found.append(calls);
        }
        match page["next"].as_str() {
            Some(next) if found.len() < limit => after = format!("&after={}", segment(next)),
            _ => {
                page["sessions"] = found.into();
                return Ok(page);
            }
        }
    }
}

/// Shows one call.
pub(crate) fn session(args: &CallArgs) -> Result<(), Failure> {
    let edge = Edge::new(&args.edge)?;
    let path = format!("/sessions/{}", segment(&args.session));
    crate::commands::block_on(async { edge.show(&edge.get(&path).await?, whole) })
}

/// Has a call leave its worker.
pub(crate) fn leave(args: &CallArgs) -> Result<(), Failure> {
    command(args, "move")
}

/// Ends a call.
pub(crate) fn end(args: &CallArgs) -> Result<(), Failure> {
    command(args, "end")
}

fn command(args: &CallArgs, word: &str) -> Result<(), Failure> {
    let edge = Edge::new(&args.edge)?;
    let path = format!("/sessions/{}/{word}", segment(&args.session));
    crate::commands::block_on(async { edge.report(&edge.post(&path, None).await?) })
}

/// How a call is named: by its carrier where that has a name for it.
pub(super) fn name(session: &Value) -> String {
    match &session["call_sid"] {
        Value::Null => field(&session["id"]),
        sid => field(sid),
    }
}

/// Calls that live, as a table.
pub(super) fn table(sessions: &[Value]) -> Table {
    let mut table = Table::new(&[
        "SESSION",
        "AGE",
        "PHASE",
        "WORKER",
        "VERSION",
        "HANDOFFS",
        "LONGEST GAP",
        "LOSSES",
        "HOLDS",
    ]);
    for session in sessions {
        let phase = match session["held_since_unix_us"].is_null() {
            true => field(&session["phase"]),
            false => "held".to_owned(),
        };
        table.row(vec![
            name(session),
            millis(number(&session["age_ms"])),
            phase,
            field(&session["worker"]["address"]),
            field(&session["worker"]["version"]),
            field(&session["handoffs"]),
            micros(number(&session["gap_max_us"])),
            field(&session["losses"]),
            field(&session["holds"]),
        ]);
    }
    table
}

fn live(page: &Value) -> String {
    format!("{}{}", table(list(&page["sessions"])).text(), more(page))
}

fn ended(page: &Value) -> String {
    let mut table = Table::new(&[
        "SESSION",
        "LASTED",
        "REASON",
        "FAULT",
        "VERSION",
        "HANDOFFS",
        "LONGEST GAP",
        "DETAIL",
    ]);
    for session in list(&page["sessions"]) {
        let end = &session["end"];
        table.row(vec![
            name(session),
            millis(number(&session["age_ms"])),
            field(&end["reason"]),
            field(&end["fault"]),
            field(&session["worker"]["version"]),
            field(&session["handoffs"]),
            micros(number(&session["gap_max_us"])),
            field(&end["detail"]),
        ]);
    }
    format!("{}{}", table.text(), more(page))
}

/// Where not all is shown, how much there is.
fn more(page: &Value) -> String {
    let (shown, total) = (list(&page["sessions"]).len() as u64, number(&page["total"]));
    match total {
        0 => "none\n".to_owned(),
        _ if page["next"].is_null() => String::new(),
        _ => format!("{shown} of {total}: see --limit\n"),
    }
}

fn whole(session: &Value) -> String {
    let mut facts = Table::new(&["session", &plain(&field(&session["id"]))]);
    let mut fact = |name: &str, value: String| facts.row(vec![name.to_owned(), value]);
    fact("call_sid", field(&session["call_sid"]));
    fact("phase", field(&session["phase"]));
    fact("age", millis(number(&session["age_ms"])));
    let from = format!("{} on {}", field(&session["peer"]), field(&session["path"]));
    fact("caller", from);
    let worker = &session["worker"];
    let at = format!(
        "{} {} (attachment {})",
        field(&worker["address"]),
        field(&worker["version"]),
        field(&session["epoch"])
    );
    fact("worker", at);
    if let Some(end) = session["end"].as_object() {
        let fault = field(&end["fault"]);
        let words = format!("{}, fault: {fault}", field(&end["reason"]));
        fact("end", words);
        fact("", field(&end["detail"]));
    }
    if !session["link"].is_null() {
        let log = &session["log"];
        let inputs = format!(
            "{} of {} committed, {} bytes kept",
            field(&session["committed"]),
            field(&session["last"]),
            field(&log["bytes"])
        );
        fact("inputs", inputs);
    }
    for leg in list(&session["legs"]) {
        let words = format!(
            "{} ({}), {} bytes unwritten",
            field(&leg["name"]),
            field(&leg["state"]),
            field(&leg["unwritten_bytes"])
        );
        fact("leg", words);
    }
    for key in list(&session["state"]) {
        let words = format!("{}: {} bytes", field(&key["key"]), field(&key["bytes"]));
        fact("state", words);
    }
    for timer in list(&session["timers"]) {
        let left = millis(number(&timer["left_ms"]));
        fact("timer", format!("{} in {left}", field(&timer["name"])));
    }
    format!("{}\n{}", facts.text(), timeline(session))
}

fn timeline(session: &Value) -> String {
    let began = number(&session["started_unix_us"]);
    let timeline = &session["timeline"];
    let mut table = Table::new(&["AT", "EVENT", "DETAILS"]);
    let dropped = number(&timeline["dropped"]);
    if dropped > 0 {
        let words = format!("{dropped} earlier ones were dropped");
        table.row(vec![String::new(), "...".to_owned(), words]);
    }
    for event in list(&timeline["events"]) {
        let at = number(&event["at_unix_us"]).saturating_sub(began);
        table.row(vec![
            format!("+{}", millis(at / 1_000)),
            field(&event["event"]),
            details(event),
        ]);
    }
    table.text()
}

/// What else is known of an event: `name=value`, spans in milliseconds.
pub(super) fn details(event: &Value) -> String {
    let fields = event.as_object().into_iter().flatten();
    let told = fields.filter(|(name, value)| {
        !value.is_null() && !matches!(&***name, "event" | "at_unix_us" | "last_unix_us")
    });
    let words: Vec<String> = told
        .map(|(name, value)| match name.strip_suffix("_us") {
            Some(span) => format!("{span}={}", micros(number(value))),
            None => format!("{name}={}", field(value)),
        })
        .collect();
    words.join(" ")
}
