//! Rolling deploys of six workers under sixty calls, with the events of the API server in the order
//! in which they mostly come, and in the worst ones.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::ground::{Ground, Shape};

const WORKERS: usize = 6;
const CALLS: u32 = 60;
/// Pods that are replaced at a time: `maxSurge: 2, maxUnavailable: 0`.
const AT_A_TIME: usize = 2;
/// Workers wait for their calls for so long: longer than these tests wait for a worker. So each ends
/// because its calls have left.
const GRACE: &str = "10m";
/// How far two events are apart that belong together.
const APART: Duration = Duration::from_secs(1);
/// A deploy under calls takes no longer than one without, but for this...
const LONGER: Duration = Duration::from_secs(2);
/// ...in one of so many deploys: the machine may be busy with other things.
const DEPLOYS_MAX: u64 = 3;
/// All old workers are gone for so long before a new one is ready.
const NOBODY_FOR: Duration = Duration::from_secs(5);

/// Sixty calls are enough at a time: what is measured here is the edge, not the machine.
static ALONE: Mutex<()> = Mutex::const_new(());

/// The order in which an old pod's end is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    /// `terminating`, and at once SIGTERM.
    Usual,
    /// SIGTERM, and only later `terminating`.
    SignalFirst,
    /// `terminating` long before SIGTERM, as with a preStop hook that sleeps.
    NoticeFirst,
    /// The endpoint is gone at once, without `terminating`, long before SIGTERM.
    GoneAtOnce,
}

/// Replaces all pods, and waits for the end of the old ones.
async fn deploy(ground: &mut Ground, version: &str, order: Order) {
    let old = ground.pods();
    ground.workload.roll(version);
    for leaving in old.chunks(AT_A_TIME) {
        ground.scale_up(version, leaving.len()).await;
        // The controller does not ask whether anybody has seen the new ones yet.
        if matches!(order, Order::Usual | Order::NoticeFirst) {
            for pod in leaving {
                ground.workload.terminating(pod);
            }
        }
        if order == Order::GoneAtOnce {
            for pod in leaving {
                ground.workload.remove(pod);
            }
        }
        if matches!(order, Order::NoticeFirst | Order::GoneAtOnce) {
            // Nobody but the API server has said anything yet.
            for pod in leaving {
                ground.until_left(pod).await;
            }
        }
        for pod in leaving {
            ground.terminate(pod);
        }
        if order == Order::SignalFirst {
            tokio::time::sleep(APART).await;
            for pod in leaving {
                ground.workload.terminating(pod);
            }
        }
        for pod in leaving {
            ground.ended(pod.clone()).await;
            ground.workload.remove(pod);
        }
    }
}

/// A deploy without calls, and one under calls, which may take but little longer. How long each takes is
/// printed for docs/kubernetes.md.
#[allow(clippy::print_stdout, reason = "figures, for who asks for them")]
async fn deploys_in(order: Order) {
    let _alone = ALONE.lock().await;
    let mut ground = Ground::empty(Shape::default()).await;
    ground.grace = GRACE;
    ground.workload.roll("v1");
    ground.scale_up("v1", WORKERS).await;
    ground.until_ready(WORKERS).await;

    let begun = Instant::now();
    deploy(&mut ground, "v2", order).await;
    let without = begun.elapsed();
    ground.until_ready(WORKERS).await;

    let mut calls = ground.dial(CALLS).await;
    let mut deploys = 0;
    let with = loop {
        deploys += 1;
        let version = format!("v{}", deploys + 2);
        let begun = Instant::now();
        deploy(&mut ground, &version, order).await;
        let with = begun.elapsed();
        println!("{order:?}: {without:.2?} without calls, {with:.2?} with {CALLS}");
        ground.go_on(&mut calls, 50).await;
        assert_eq!(ground.calls_of(&version).await, u64::from(CALLS));
        if with <= without + LONGER || deploys == DEPLOYS_MAX {
            break with;
        }
    };
    assert!(with <= without + LONGER, "{without:?} became {with:?}");

    let moves = ground.judge(calls).await;
    assert_eq!(moves.iter().max(), Some(&deploys), "{moves:?}");
    ground.edge.end().await;
}

#[tokio::test]
async fn in_the_usual_order() {
    deploys_in(Order::Usual).await;
}

#[tokio::test]
async fn with_the_signal_before_the_notice() {
    deploys_in(Order::SignalFirst).await;
}

#[tokio::test]
async fn with_the_notice_long_before_the_signal() {
    deploys_in(Order::NoticeFirst).await;
}

#[tokio::test]
async fn with_endpoints_that_are_gone_at_once() {
    deploys_in(Order::GoneAtOnce).await;
}

/// As with the strategy `Recreate` and a grace that is far too short.
#[tokio::test]
async fn with_nobody_there_for_five_seconds() {
    let _alone = ALONE.lock().await;
    let mut ground = Ground::empty(Shape::default()).await;
    ground.grace = "1s";
    ground.workload.roll("v1");
    ground.scale_up("v1", WORKERS).await;
    ground.until_ready(WORKERS).await;
    let mut calls = ground.dial(CALLS).await;

    for pod in ground.pods() {
        ground.workload.terminating(&pod);
        ground.terminate(&pod);
    }
    for pod in ground.pods() {
        ground.ended(pod.clone()).await;
        ground.workload.remove(&pod);
    }
    tokio::time::sleep(NOBODY_FOR).await;
    ground.workload.roll("v2");
    ground.scale_up("v2", WORKERS).await;
    ground.until_ready(WORKERS).await;
    ground.go_on(&mut calls, 50).await;
    let moves = ground.judge(calls).await;
    assert!(moves.iter().all(|moves| *moves <= 2), "{moves:?}");
    ground.edge.end().await;
}
