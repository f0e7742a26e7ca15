//! Calls without a worker: their callers hear the hold sound, and either a worker comes back and
//! nothing was lost, or the carrier gets them back.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use holdline_testkit::{
    judge,
    speech::Utterance,
    twilio::{Action, CallHandle, CallRecord, Script, StreamEnd},
};
use tokio::task::JoinHandle;

use crate::{
    metrics::value,
    stage::{Ending, Plan, Stage},
    support::{SETTLE, soon},
};

const CALLS: u32 = 3;
/// Pieces of 20 ms that every caller hears before there are workers again: two seconds.
const PIECES: u64 = 100;
/// What may pass between a write and its reading, on a machine with much to do. Without a pace
/// minutes of sound would come at once.
const SLACK: Duration = Duration::from_secs(1);

/// A caller on the line.
struct Call {
    handle: CallHandle,
    task: JoinHandle<CallRecord>,
}

impl Call {
    /// Calls, and hears the greeting begin.
    async fn begin(stage: &Stage, number: u32) -> Self {
        let caller = stage.call(number).await;
        let mut handle = caller.handle();
        let task = tokio::spawn(caller.run(Script::new()));
        let greeted = handle.wait_for(|it| it.frames_received > 20);
        soon("the greeting", greeted).await.unwrap();
        Self { handle, task }
    }

    async fn is_held(&mut self, pieces: u64) {
        let held = self.handle.wait_for(|it| it.hold_pieces >= pieces);
        soon("the hold sound", held).await.unwrap();
    }

    async fn is_silent(&mut self) {
        let silent = self.handle.wait_for(|it| !it.playing);
        soon("silence", silent).await.unwrap();
    }

    async fn hears_more(&mut self) {
        let before = self.handle.progress().frames_received;
        let more = self.handle.wait_for(|it| it.frames_received > before + 20);
        soon("an answer", more).await.unwrap();
    }

    async fn over(self) -> CallRecord {
        soon("the end of a call", self.task).await.unwrap()
    }
}

async fn kill_all(stage: &mut Stage) {
    for bridge in &mut stage.bridges {
        bridge.end(Ending::Kill).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_callers_hear_the_sound_in_real_time_and_nothing_is_lost_when_workers_return() {
    let mut plan = Plan::new();
    plan.session = "{hold: {after: 300ms}}";
    plan.spares = 2;
    let mut stage = Stage::set(plan).await;
    let mut calls = join_all((1..=CALLS).map(|number| Call::begin(&stage, number))).await;
    for call in &mut calls {
        call.is_silent().await;
    }

    let killed = Instant::now();
    kill_all(&mut stage).await;
    for call in &mut calls {
        call.is_held(PIECES).await;
    }
    for _ in 0..2 {
        stage.start_bridge().await;
    }
    for call in &mut calls {
        call.is_silent().await;
        call.handle.act(Action::Say(Utterance::YOUNG_MAN)).unwrap();
        call.hears_more().await;
        call.is_silent().await;
    }
    let away = killed.elapsed();
    let mut heard = 0;
    for call in calls {
        let handle = call.handle.clone();
        call.handle.act(Action::HangUp { settle: SETTLE }).unwrap();
        let record = call.over().await;
        let account = judge::account(&record, &stage.model.report().connections);
        for way in [&account.to_model, &account.to_caller] {
            assert!(way.is_perfect() && way.received > 0, "{:?}", way.summary());
        }
        assert_eq!(account.violations, 0);
        let hold = account.hold;
        assert!(hold.holds == 1 && hold.ms >= PIECES * 20, "{hold:?}");
        assert!(
            Duration::from_millis(hold.ms) < away,
            "{hold:?} in {away:?}"
        );
        // The pace is what is promised: no more than 40 ms wait at the carrier.
        let ahead = hold.ahead_max;
        assert!(ahead <= Duration::from_millis(40) + SLACK, "{ahead:?}");
        let ends: Vec<_> = record.streams.iter().map(|stream| &stream.end).collect();
        assert_eq!(ends, [&StreamEnd::Ours]);
        heard += handle.progress().traffic.received;
    }
    // Pieces of hold sound are messages like others.
    let written = value(
        &stage.ask("/metrics").await,
        r#"holdline_leg_frames_total{direction="out",leg="caller"}"#,
    );
    assert_eq!(written, Some(heard as f64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_is_held_too_long_goes_back_to_the_carrier() {
    let mut plan = Plan::new();
    plan.session = "{hold: {after: 0s, give_up: 1s}}";
    let mut stage = Stage::set(plan).await;
    let mut call = Call::begin(&stage, 1).await;
    call.is_silent().await;
    let killed = Instant::now();
    kill_all(&mut stage).await;
    call.is_held(10).await;
    let ended = stage.edge.told("call ended").await;
    assert_eq!(
        (&ended["reason"], &ended["fault"]),
        (&"gave_up".into(), &"worker".into())
    );
    let sounded = Duration::from_millis(ended["hold_sound_ms"].as_u64().unwrap());
    let away = killed.elapsed();
    assert!(sounded < away, "{sounded:?} in {away:?}");
    let record = call.over().await;
    assert!(
        matches!(record.streams[0].end, StreamEnd::Closed { code: 1013, .. }),
        "{:?}",
        record.streams[0].end
    );
    assert!(stage.edge.said().contains("no worker can be had"));
}
