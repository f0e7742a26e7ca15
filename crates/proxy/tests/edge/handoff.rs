//! Workers that leave in mid-call.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::support::{Bench, Caller, Edge, Shape};

const FRAMES: usize = 60;

/// Talks all the time while `trouble` is made after a third of it; hears every answer, in order,
/// counted once, and returns the versions that gave them.
async fn talk_through(caller: &mut Caller, trouble: impl FnOnce()) -> Vec<String> {
    let mut trouble = Some(trouble);
    let mut clock = interval(Duration::from_millis(5));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 1..=FRAMES {
        clock.tick().await;
        caller.say(&format!("frame {number}")).await;
        if number == FRAMES / 3 {
            trouble.take().unwrap()();
        }
    }
    let mut versions = Vec::new();
    for number in 1..=FRAMES {
        let answer = caller.hear_text().await;
        let mut words = answer.splitn(3, ' ');
        // The first frame of the call was one to find out who serves it.
        assert_eq!(words.next().unwrap(), (number + 1).to_string(), "{answer}");
        versions.push(words.next().unwrap().to_owned());
        assert_eq!(words.next().unwrap(), format!("frame {number}"));
    }
    versions
}

/// Two workers, and a call that one of them serves: that one first.
async fn call_with_two_workers() -> (Edge, Caller, Bench, Bench, String) {
    let (a, b) = (Bench::start("a").await, Bench::start("b").await);
    let edge = Edge::ready(&[&a, &b], Shape::default()).await;
    let mut caller = edge.call().await;
    let answer = caller.ask("who").await;
    let version = answer.split(' ').nth(1).unwrap().to_owned();
    let (serving, other) = if version == "a" { (a, b) } else { (b, a) };
    (edge, caller, serving, other, version)
}

fn assert_moved_once(versions: &[String], from: &str) {
    let mut order = versions.to_vec();
    order.dedup();
    assert!(
        order.len() == 2 && order[0] == from,
        "served by {order:?}, began with {from}"
    );
}

#[tokio::test]
async fn a_drained_worker_hands_its_call_over_without_a_loss() {
    let (edge, mut caller, mut serving, _other, version) = call_with_two_workers().await;
    let versions = talk_through(&mut caller, || serving.drain()).await;
    assert_moved_once(&versions, &version);
    serving.gone().await;
    let metrics = edge.get("/metrics").await.body;
    let moved = r#"holdline_handoffs_total{cause="drain",reason="handoff",result="ok"} 1"#;
    assert!(metrics.contains(moved), "{metrics}");
    assert!(
        metrics.contains("holdline_replayed_inputs_total 0"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_killed_workers_call_goes_on_elsewhere_without_a_loss() {
    let (edge, mut caller, mut serving, _other, version) = call_with_two_workers().await;
    let versions = talk_through(&mut caller, || serving.kill()).await;
    assert_moved_once(&versions, &version);
    let metrics = edge.get("/metrics").await.body;
    let recovered = r#"reason="recovery",result="ok"} 1"#;
    assert!(metrics.contains(recovered), "{metrics}");
}

#[tokio::test]
async fn the_last_worker_keeps_its_call_although_it_drains() {
    let mut worker = Bench::start("only").await;
    let edge = Edge::ready(&[&worker], Shape::default()).await;
    let mut caller = edge.call().await;
    caller.ask("one").await;
    worker.drain();
    edge.until("/workers", |body| body.contains("draining"))
        .await;
    assert_eq!(caller.ask("two").await, "2 only two");
    caller.hang_up().await;
    worker.gone().await;
}
