//! Callers, models and workers that do not keep up, many at once: the edge's memory stays within what
//! is configured, only caller media is dropped and every frame of it is in a `Gap`, and the call
//! beside them hears nothing of it.
//!
//! What they offer is many times what they may occupy, so a buffer without a bound would show.

use std::{net::SocketAddr, time::Duration};

use holdline_testkit::twilio::CallerOptions;

use crate::{
    exchange::{Conversation, Edge, Voice},
    support::soon,
};

mod admission;
mod caller;
mod model;
mod worker;

use caller::Caller;
use model::Model;
use worker::Puppet;

/// Calls that do not keep up.
const BAD: usize = 16;
/// What one of them may occupy, with the limits below: its log (256 KiB), on its way to a worker and
/// from one (a window of 64 KiB each, one message of 256 KiB), to two legs (64 KiB, one commit of
/// 256 KiB, and the WebSocket's own buffers, 16 to 150 KiB), and the allocator's waste.
const EACH: u64 = 2 << 20;
/// What the edge may grow by besides: code that was not yet touched, the good call, buffers that are
/// kept for use.
const REST: u64 = 24 << 20;
/// Frames that the good call must carry in both directions after all of it.
const FURTHER: u64 = 50;

/// Time between two looks at the edge, which tells its state only to those who ask.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

const LIMITS: &str = r#"
session:
  log: {bytes: 256KiB, frames: 512, age: 60s}
  window: {inputs: 64, bytes: 64KiB}
  message_bytes: 64KiB
  leg_high: 64KiB
  write_timeout: 2s
  progress_timeout: 60s
  end_timeout: 60s
"#;

/// An edge with a good call on it, and routes for bad ones.
struct Scene {
    edge: Edge,
    voice: Voice,
    good: Conversation,
    worker: Puppet,
    callers: SocketAddr,
    /// Of the edge, before anything bad happened.
    memory: u64,
}

impl Scene {
    /// `model` is what the bad calls on the route `/model` are connected to.
    async fn set(model: Option<&Model>) -> Self {
        let voice = Voice::start().await;
        let worker = Puppet::start().await;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        let config = format!(
            r#"
listeners:
  - name: twilio
    address: 127.0.0.1:0
    routes:
      - path: /good
        profile: twilio
        signature: off
        legs: [{{name: model, upstream: openai}}]
        workers: voice
      - {{path: /bad, profile: twilio, signature: off, workers: puppet}}
      - path: /model
        profile: twilio
        signature: off
        legs: [{{name: model, upstream: bad}}]
        workers: puppet
{}  puppet: {{discovery: {{static: {{addresses: ["{}"]}}}}}}
{LIMITS}"#,
            voice.sections_with(&format!(
                "bad: {{profile: raw, url: \"ws://{}/\", max_frame: 64KiB}}",
                model.map_or(nowhere, Model::address)
            )),
            worker.address()
        );
        let edge = Edge::start(&config, &Voice::variables()).await;
        let callers = edge.address("twilio").await;
        let options = CallerOptions::new(format!("ws://{callers}/good"), 1);
        let good = voice.converse(options).await;
        let memory = edge.memory().resident;
        Self {
            edge,
            voice,
            good,
            worker,
            callers,
            memory,
        }
    }

    /// So many calls whose worker does as told.
    async fn calls(&self, path: &str, deed: &str) -> Vec<Caller> {
        let mut calls = Vec::new();
        for number in 0..BAD {
            let name = format!("CA-{deed}-{number}");
            calls.push(Caller::start(self.callers, path, &name, deed).await);
        }
        calls
    }

    /// Waits until the edge's metric is as wanted.
    async fn until(&self, name: &str, labels: &[&str], wanted: impl Fn(f64) -> bool) {
        let looking = async {
            while !wanted(self.edge.counter(name, labels).await) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        soon(&format!("{name} to be as wanted"), looking).await;
    }

    /// The edge has kept its bounds, the good call goes on and was undisturbed, and the edge ends
    /// well.
    async fn judge(mut self) {
        self.good.goes_on(FURTHER).await;
        let peak = self.edge.memory().peak;
        let grown = peak.saturating_sub(self.memory);
        let allowed = BAD as u64 * EACH + REST;
        assert!(
            grown <= allowed,
            "grown by {} of {} KiB",
            grown >> 10,
            allowed >> 10
        );
        self.voice.judge(self.good).await;
        self.edge.end().await;
    }
}

#[tokio::test]
async fn callers_that_do_not_read_are_given_up_and_cost_no_more_than_is_configured() {
    let scene = Scene::set(None).await;
    let mut calls = scene.calls("/bad", worker::SHOUT).await;
    for call in &mut calls {
        // For each of these the worker has 256 KiB to say: 32 MiB a call. The kernel takes up to ten.
        call.flood(128).await;
    }
    let ended = ["reason=\"caller_lost\""];
    let all = |ended| ended >= BAD as f64;
    scene
        .until("holdline_sessions_ended_total", &ended, all)
        .await;
    scene.judge().await;
}

#[tokio::test]
async fn a_model_that_does_not_read_costs_audio_that_is_counted_and_the_call_goes_on() {
    const FRAMES: u64 = 3_000;
    let model = Model::deaf().await;
    let scene = Scene::set(Some(&model)).await;
    let mut calls = scene.calls("/model", worker::FORWARD).await;
    for call in &mut calls {
        // The worker makes 8 KiB for the model of each: 24 MiB a call.
        call.flood(FRAMES).await;
    }
    let closed = ["leg=\"model\""];
    scene
        .until("holdline_leg_closes_total", &closed, |all| {
            all >= BAD as f64
        })
        .await;
    settle(&scene, calls, FRAMES).await;
    scene.judge().await;
}

#[tokio::test]
async fn a_model_that_never_stops_is_left_unread_and_loses_nothing() {
    let model = Model::flooding().await;
    let scene = Scene::set(Some(&model)).await;
    let calls = scene.calls("/model", worker::WITHHOLD).await;
    // It goes on until it cannot: then the edge has stopped reading it.
    let half = (128 << 10) * BAD;
    scene
        .until("holdline_session_log_bytes", &[], |bytes| {
            bytes >= half as f64
        })
        .await;
    model.is_stuck(BAD).await;
    let full = scene.edge.counter("holdline_session_log_bytes", &[]).await;
    assert!(full <= ((256 << 10) * (BAD + 1)) as f64, "{full}");
    let sent = model.stop();
    scene.worker.release();
    let heard = soon("all that the model said", scene.worker.heard_of_model(sent));
    heard.await;
    settle(&scene, calls, 0).await;
    scene.judge().await;
}

#[tokio::test]
async fn a_worker_that_commits_nothing_costs_audio_that_is_counted() {
    withheld(worker::WITHHOLD).await;
}

#[tokio::test]
async fn a_worker_that_reads_nothing_costs_audio_that_is_counted() {
    withheld(worker::UNREAD).await;
}

async fn withheld(deed: &str) {
    const FRAMES: u64 = 3_000;
    let scene = Scene::set(None).await;
    let mut calls = scene.calls("/bad", deed).await;
    for call in &mut calls {
        call.flood(FRAMES).await;
    }
    // All of it has come in, and 512 frames of each call are kept.
    let total = (FRAMES * BAD as u64) as f64;
    let read = ["leg=\"caller\"", "direction=\"in\""];
    scene
        .until("holdline_leg_frames_total", &read, |frames| frames >= total)
        .await;
    let kept = scene.edge.counter("holdline_session_log_frames", &[]).await;
    assert!(kept <= (513 * (BAD + 1)) as f64, "{kept}");
    scene.worker.release();
    settle(&scene, calls, FRAMES).await;
    scene.judge().await;
}

/// Hangs up in good order. What the callers sent is what their worker saw and what it was told is
/// missing; the metrics say the same. Where much more was sent than is kept, something is missing.
async fn settle(scene: &Scene, calls: Vec<Caller>, sent: u64) {
    let names: Vec<_> = calls.iter().map(|call| call.name.clone()).collect();
    for call in calls {
        call.hang_up().await;
    }
    let mut missing = 0;
    for name in names {
        let told = soon("the end of a call", scene.worker.ended(&name)).await;
        assert_eq!(told.media + told.gaps, sent, "{name}: {told:?}");
        assert_eq!(told.disorder, 0, "{name}: {told:?}");
        missing += told.gaps;
    }
    assert_eq!(missing > 0, sent > 0);
    let lost = scene
        .edge
        .counter("holdline_media_lost_frames_total", &[])
        .await;
    let dropped = scene
        .edge
        .counter("holdline_media_dropped_frames_total", &[])
        .await;
    assert!(
        lost <= missing as f64 && missing as f64 <= dropped,
        "{lost} {missing} {dropped}"
    );
}
