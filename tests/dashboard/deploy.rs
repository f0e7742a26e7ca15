//! A rolling deploy of voice workers, as somebody sees it who has the page open.

use std::time::Duration;

use holdline_testkit::{
    speech::Utterance,
    twilio::{Action, CallHandle, Script, TwilioCaller},
};
use tokio::task::JoinHandle;

use super::{person, shots};
use crate::{
    stage::{Ending, Plan, Running, Stage},
    support::{SETTLE, soon},
};

const CALLS: u32 = 6;
const WORKERS: usize = 2;
/// Time between two things that a caller says, and how many there are: enough for the slowest browser.
const SPEAKS_EVERY: Duration = Duration::from_secs(4);
const WORDS: u32 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_watches_a_rolling_deploy() {
    let mut plan = Plan::new();
    (plan.bridges, plan.spares) = (0, 2 * WORKERS);
    // Nobody loses a worker that is merely slow: that would be a handoff of another kind.
    plan.session = "{progress_timeout: 30s}";
    let mut stage = Stage::set(plan).await;
    for _ in 0..WORKERS {
        stage.start_version("v1").await;
    }
    let mut calls = Vec::new();
    for number in 1..=CALLS {
        calls.push(call(&stage, number).await);
    }

    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}/", stage.admin);
    let (count, sid) = (CALLS.to_string(), &calls[0].0);
    let shots = shots(folder.path());
    let arguments = [&url, &count, sid, shots.to_str().unwrap()];
    let mut watcher = Running::of(person("dashboard_deploy.mjs", &arguments));
    for (old, seen) in ["at rest", "half way"].into_iter().enumerate() {
        watcher.line(seen).await;
        stage.start_version("v2").await;
        stage.bridges[old].end(Ending::Terminate).await;
    }
    watcher.ended(Ending::Terminate).await;

    for (_, caller, call) in calls {
        caller.act(Action::HangUp { settle: SETTLE }).unwrap();
        soon("the end of a call", call).await.unwrap();
    }
    stage.edge.end(Ending::Terminate).await;
}

/// A caller who talks until he is told to hang up, and his call's SID.
async fn call(stage: &Stage, number: u32) -> (String, CallHandle, JoinHandle<()>) {
    let options = stage.caller(number);
    let sid = options.call_sid.clone();
    let caller = soon("an upgrade", TwilioCaller::connect(options))
        .await
        .unwrap();
    let handle = caller.handle();
    let script = (1..=WORDS).fold(Script::new(), |script, turn| {
        script.say(
            SPEAKS_EVERY * turn,
            Utterance::number((number + turn) as usize),
        )
    });
    let talking = tokio::spawn(async move { drop(caller.run(script).await) });
    (sid, handle, talking)
}
