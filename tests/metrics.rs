//! What a scraper gets after calls and handoffs, judged by Prometheus' own tool; and whether it is true.

mod scrapes;

use std::{collections::BTreeSet, process::Stdio};

use holdline_testkit::twilio::{Action, Script};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    stage::{Ending, Plan, Stage},
    support::{SETTLE, soon},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_finds_nothing_to_say_after_calls_and_handoffs() {
    let mut plan = Plan::new();
    plan.spares = 2;
    let mut stage = Stage::set(plan).await;
    let caller = stage.call(1).await;
    let mut handle = caller.handle();
    let call = tokio::spawn(caller.run(Script::new()));
    let greeted = handle.wait_for(|progress| progress.frames_received > 20);
    soon("the greeting", greeted).await.unwrap();
    stage.replace_serving(Ending::Terminate).await;
    handed_over(&stage, 1).await;
    stage.replace_serving(Ending::Kill).await;
    handed_over(&stage, 2).await;

    let during = stage.ask("/metrics").await;
    for (series, expected) in [
        ("holdline_sessions_active", 1.0),
        (r#"holdline_sessions{state="running"}"#, 1.0),
        (r#"holdline_sessions{state="starting"}"#, 0.0),
        (
            r#"holdline_leg_openings_total{how="first",leg="caller"}"#,
            1.0,
        ),
        (
            r#"holdline_leg_openings_total{how="first",leg="model"}"#,
            1.0,
        ),
        (
            r#"holdline_handoffs_total{cause="drain",reason="handoff",result="ok"}"#,
            1.0,
        ),
        (
            r#"holdline_rollout_rules{pool="default",rule="weights"}"#,
            0.0,
        ),
    ] {
        assert_eq!(value(&during, series), Some(expected), "{series}\n{during}");
    }
    let by_age = during
        .lines()
        .filter(|line| line.starts_with("holdline_sessions_by_age{"));
    let by_age: f64 = by_age
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum();
    assert_eq!(by_age, 1.0);
    assert!(value(&during, "holdline_session_oldest_age_seconds") > Some(0.0));
    handle.act(Action::HangUp { settle: SETTLE }).unwrap();
    soon("the end of the call", call).await.unwrap();
    let ended = stage.edge.told("call ended").await;
    assert_eq!(ended["handoffs"], 2, "{ended}");
    let after = stage.ask("/metrics").await;
    assert_eq!(value(&after, "holdline_sessions_active"), Some(0.0));
    assert_eq!(
        value(&after, "holdline_session_duration_seconds_count"),
        Some(1.0)
    );
    for text in [&during, &after] {
        no_series_twice(text);
        promtool(text).await;
    }
    stage.edge.end(Ending::Terminate).await;
}

/// Waits for the log line of the handoff with this number.
async fn handed_over(stage: &Stage, number: usize) {
    let seen = std::cell::Cell::new(0);
    let handoff = stage.edge.logged("a handoff", |line| {
        seen.set(seen.get() + usize::from(line["message"] == "handoff"));
        seen.get() == number
    });
    handoff.await;
}

async fn promtool(text: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics", "--extended"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("`promtool` is not there: `tests/run` installs it (Debian: prometheus)");
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(text.as_bytes()).await.unwrap();
    drop(input);
    let output = soon("promtool", promtool.wait_with_output()).await.unwrap();
    let verdict = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && verdict.is_empty(), "{verdict}");
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("holdline_sessions_active"), "{table}");
}

/// Which promtool does not look for.
fn no_series_twice(text: &str) {
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        assert!(seen.insert(series), "`{series}` stands there twice");
    }
    assert!(seen.len() > 50, "{text}");
}

/// A series of a scrape, by its name and labels.
pub(crate) fn value(text: &str, series: &str) -> Option<f64> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}
