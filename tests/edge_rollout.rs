//! Edges are rolled, as a Deployment with a surge does it, under calls that stand and calls that come.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_tungstenite::tungstenite;

use crate::{
    exchange::dial,
    stage::{Ending, Running},
    support::{Caller, WorkerProcess, raw_edge_config, soon},
};

mod front;

use front::Front;

/// Calls that stand on the edge that goes.
const STANDING: usize = 6;
/// Longer than it takes [`Front`] to see that an edge is not ready.
const LAME_DUCK: Duration = Duration::from_secs(2);
/// New callers who must have come through while the old edge refuses.
const NEWCOMERS: u64 = 20;

/// An edge process and where it listens.
struct Edge {
    process: Running,
    callers: SocketAddr,
    admin: SocketAddr,
}

impl Edge {
    async fn start(worker: &WorkerProcess) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = raw_edge_config(folder.path(), [worker.address].into_iter());
        let text = std::fs::read_to_string(&file).unwrap();
        let lame_duck = format!("lame_duck: {}s", LAME_DUCK.as_secs());
        std::fs::write(&file, text.replace("lame_duck: 0s", &lame_duck)).unwrap();
        let process = Running::start(&["run", "--config", file.to_str().unwrap()], &[]);
        Self {
            callers: process.listening("callers").await,
            admin: process.listening("admin").await,
            process,
        }
    }

    /// When it entered a phase of its end.
    async fn entered(&self, phase: &str) -> SystemTime {
        let wanted = |line: &Value| line["message"] == "drain" && line["phase"] == phase;
        let line = self.process.logged(phase, wanted).await;
        humantime::parse_rfc3339(line["timestamp"].as_str().unwrap()).unwrap()
    }
}

/// Calls one after the other, each answered and over at once; counts them until it is aborted.
fn newcomers(front: SocketAddr) -> (JoinHandle<()>, watch::Receiver<u64>) {
    let (count, counted) = watch::channel(0);
    let calling = tokio::spawn(async move {
        loop {
            let mut caller = Caller::connect(front).await;
            caller.say("new").await;
            assert_eq!(caller.hear().await, "1 v1 new");
            caller.hang_up().await;
            count.send_modify(|count| *count += 1);
        }
    });
    (calling, counted)
}

/// Asks for liveness until nobody listens any more; keeps each status.
fn watch_liveness(admin: SocketAddr) -> (JoinSet<()>, Arc<Mutex<BTreeSet<u16>>>) {
    let statuses = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&statuses);
    let mut watching = JoinSet::new();
    watching.spawn(async move {
        while let Some(status) = front::status(admin, "/livez").await {
            seen.lock().unwrap().insert(status);
            tokio::time::sleep(front::PERIOD).await;
        }
    });
    (watching, statuses)
}

/// How long the phases of a rollout take, for docs/kubernetes.md.
struct Phases(Instant);

impl Phases {
    /// A phase is over, and the next one begins.
    #[allow(clippy::print_stdout, reason = "figures, for who asks for them")]
    fn over(&mut self, phase: &str) {
        println!("{phase}: {:.2} s", self.0.elapsed().as_secs_f64());
        self.0 = Instant::now();
    }
}

async fn more(counted: &mut watch::Receiver<u64>) {
    let wanted = *counted.borrow() + NEWCOMERS;
    let coming = counted.wait_for(|count| *count >= wanted);
    soon("more callers", coming).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_calls_go_to_the_new_edge_and_old_ones_end_on_the_old_one() {
    let worker = WorkerProcess::start("v1").await;
    let front = Front::start().await;
    let mut old = Edge::start(&worker).await;
    front.add(old.callers, old.admin);
    front.is_ready(old.callers).await;
    let mut standing = Vec::new();
    for _ in 0..STANDING {
        let mut caller = Caller::connect(front.address).await;
        caller.say("old").await;
        assert_eq!(caller.hear().await, "1 v1 old");
        standing.push(caller);
    }
    let (calling, mut counted) = newcomers(front.address);
    let (_watching, liveness) = watch_liveness(old.admin);

    // The surge: the new one is ready before the old one is told.
    let mut phases = Phases(Instant::now());
    let new = Edge::start(&worker).await;
    front.add(new.callers, new.admin);
    front.is_ready(new.callers).await;
    phases.over("the new edge starts, and gets calls");
    old.process.signal(Ending::Terminate);
    let lame = old.entered("lame_duck").await;
    // Whoever has not heard of it yet is still served.
    let mut late = Caller::connect(old.callers).await;
    late.say("late").await;
    assert_eq!(late.hear().await, "1 v1 late");
    front.is_not_ready(old.callers).await;
    phases.over("the old edge is told to end, and gets no calls any more");

    let refusing = old.entered("refusing").await;
    assert!(refusing.duration_since(lame).unwrap() >= LAME_DUCK);
    phases.over("the rest of its lame duck: it takes calls of those who have not heard");
    let Err(tungstenite::Error::Http(refusal)) = dial(old.callers, "/call").await else {
        panic!("a draining edge took a call");
    };
    assert_eq!(refusal.status(), 503);
    assert_eq!(refusal.headers()["retry-after"], "5");
    more(&mut counted).await;
    phases.over("it refuses calls; the new edge answers twenty more callers");

    // One after the other they end, and with the last one the edge.
    standing.push(late);
    for (number, mut caller) in standing.into_iter().enumerate() {
        caller.say("still").await;
        let answer = caller.hear().await;
        assert!(answer.starts_with("2 v1 "), "call {number}: {answer}");
        caller.hang_up().await;
    }
    phases.over("its calls go on, until the last one hangs up");
    old.process.ended(Ending::Terminate).await;
    phases.over("it ends");
    more(&mut counted).await;
    assert!(!calling.is_finished(), "a new caller was not served");
    calling.abort();
    assert_eq!(front.refused(), 0, "connections refused to new callers");
    assert_eq!(*liveness.lock().unwrap(), [200].into());
    let last = old.process.said();
    let done: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&done["message"], &done["cut"]),
        (&"edge is done".into(), &0.into())
    );
}
