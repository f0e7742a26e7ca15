//! A scraper during a rolling deploy. Both simulators count for themselves, in this process, before and
//! after every scrape: it tells whatever they had proven before, and nothing that they cannot have caused
//! by then. Once all calls are over, all counts are equal.

use std::{
    cell::Cell,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;
use holdline_testkit::{
    openai::SimProgress,
    speech::Utterance,
    stage::Admin,
    traffic::Traffic,
    twilio::{Action, CallHandle, CallRecord, Script, TwilioCaller},
};
use serde_json::Value;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use crate::{
    stage::{Ending, Plan, Stage, get},
    support::{SETTLE, soon},
};
use told::{Counts, Told};

mod told;

const CALLS: u32 = 10;
const WORKERS: usize = 3;
/// The scraper's rhythm, and that of whoever waits for a number.
const TICK: Duration = Duration::from_millis(100);
/// Time between two things that a caller says, and how many there are: enough for the slowest deploy.
const SPEAKS_EVERY: Duration = Duration::from_millis(3_300);
const WORDS: u32 = 100;

/// What is done to calls and workers, noted before it is done.
#[derive(Default)]
struct Doings {
    placed: u32,
    leaving: u32,
    rolled: u32,
    /// Calls that stand: the call SID, and the caller.
    calls: Vec<(String, CallHandle)>,
}

/// Scrapes, and holds each scrape against what is known.
struct Scraper {
    address: SocketAddr,
    admin: Admin,
    doings: Arc<Mutex<Doings>>,
    model: watch::Receiver<SimProgress>,
}

impl Scraper {
    fn new(stage: &Stage, doings: &Arc<Mutex<Doings>>) -> Self {
        Self {
            address: stage.admin,
            admin: Admin::new(stage.admin.port()),
            doings: Arc::clone(doings),
            model: stage.model.watch(),
        }
    }

    /// Until all is `over`; tells how often it has scraped.
    async fn run(self, over: watch::Receiver<bool>, scraped: watch::Sender<u64>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*over.borrow() {
            ticks.tick().await;
            let before = self.counts();
            self.all_have_counted().await;
            let told = self.scrape().await;
            told.lies_between(&before, &self.counts());
            let arrival = self.until(|counts| told.has_arrived(counts));
            soon("what the edge says it wrote", arrival).await;
            scraped.send_modify(|scrapes| *scrapes += 1);
        }
    }

    async fn scrape(&self) -> Told {
        Told::by(&self.admin.metrics().await.unwrap())
    }

    /// A call's task counts what it wrote before it does anything else, but the peer may have it a moment
    /// earlier. So each is asked something: once it answers, it has counted what anybody has seen.
    async fn all_have_counted(&self) {
        let sids: Vec<_> = {
            let doings = self.doings.lock().unwrap();
            doings.calls.iter().map(|(sid, _)| sid.clone()).collect()
        };
        let asked = sids.iter().map(|sid| async move {
            let path = format!("/sessions/{sid}");
            loop {
                let answer = get(self.address, &path).await;
                // One that is not known yet has written nothing.
                let call: Value = serde_json::from_str(&answer).unwrap_or_default();
                if call["phase"] != "silent" {
                    break;
                }
            }
        });
        join_all(asked).await;
    }

    fn counts(&self) -> Counts {
        let doings = self.doings.lock().unwrap();
        let mut counts = Counts {
            placed: doings.placed.into(),
            heard: 0.0,
            leaving: doings.leaving.into(),
            moving: (doings.rolled * CALLS).into(),
            callers: Traffic::default(),
            unprompted: 0,
            model: *self.model.borrow(),
        };
        for progress in doings.calls.iter().map(|(_, caller)| caller.progress()) {
            counts.heard += f64::from(u8::from(progress.frames_received > 0));
            counts.callers += progress.traffic;
            counts.unprompted += progress.clears + progress.hold_pieces;
        }
        counts
    }

    /// Waits until that has happened.
    async fn until(&self, wanted: impl Fn(&Counts) -> bool) {
        let mut ticks = interval(TICK / 10);
        while !wanted(&self.counts()) {
            ticks.tick().await;
        }
    }

    /// Waits until a scrape tells that.
    async fn until_told(&self, wanted: impl Fn(&Told) -> bool) -> Told {
        let mut ticks = interval(TICK);
        loop {
            ticks.tick().await;
            let told = self.scrape().await;
            if wanted(&told) {
                return told;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scrape_lies_between_the_simulators_counts_and_all_are_equal_at_rest() {
    let mut plan = Plan::new();
    (plan.bridges, plan.spares) = (WORKERS, WORKERS);
    plan.model.answers = vec![vec![Utterance::AMIABLE], vec![Utterance::YOUNG_MAN]];
    // Nobody loses a worker that is merely slow: that would be a handoff of another kind.
    plan.session = "{progress_timeout: 30s}";
    let mut stage = Stage::set(plan).await;
    let doings = Arc::default();
    let scraper = Scraper::new(&stage, &doings);
    let ((over, until), (tell, mut scraped)) = (watch::channel(false), watch::channel(0));
    let scraping = tokio::spawn(Scraper::new(&stage, &doings).run(until, tell));

    let calls = call_all(&stage, &doings).await;
    let all_heard = scraper.until(|counts| counts.heard == f64::from(CALLS));
    soon("the model's words", all_heard).await;
    let moved = deploy(&mut stage, &scraper, &mut scraped).await;
    assert!(moved >= f64::from(CALLS), "{moved}");
    hang_up(&doings);
    for call in calls {
        soon("the end of a call", call).await.unwrap();
    }
    over.send_replace(true);
    soon("the last scrape", scraping).await.unwrap();

    let resting = scraper.until_told(Told::is_at_rest);
    let told = soon("all legs to be closed", resting).await;
    let closed = scraper.until(|counts| counts.model.closed == u64::from(CALLS));
    soon("the model's sockets to close", closed).await;
    assert_eq!(told, Told::at_rest(&scraper.counts(), moved));
    assert_eq!(handoffs_logged(&stage).await, moved);
    stage.edge.end(Ending::Terminate).await;
}

/// Places the calls. They talk until they are told to hang up.
async fn call_all(stage: &Stage, doings: &Mutex<Doings>) -> Vec<JoinHandle<CallRecord>> {
    let mut calls = Vec::new();
    for number in 1..=CALLS {
        let options = stage.caller(number);
        let sid = options.call_sid.clone();
        doings.lock().unwrap().placed += 1;
        let caller = soon("an upgrade", TwilioCaller::connect(options))
            .await
            .unwrap();
        let handle = caller.handle();
        doings.lock().unwrap().calls.push((sid, handle));
        let script = (1..=WORDS).fold(Script::new(), |script, turn| {
            let said = Utterance::number((number + turn) as usize);
            script.say(SPEAKS_EVERY * turn + TICK * number, said)
        });
        calls.push(tokio::spawn(caller.run(script)));
    }
    calls
}

/// Replaces one worker after the other, the new one first. Returns how many calls the old ones say that
/// they had by then.
async fn deploy(stage: &mut Stage, scraper: &Scraper, scraped: &mut watch::Receiver<u64>) -> f64 {
    let mut moved = 0.0;
    for worker in 0..WORKERS {
        stage.start_bridge().await;
        scraper.doings.lock().unwrap().rolled += 1;
        stage.bridges[worker].end(Ending::Terminate).await;
        let said = stage.bridges[worker].told("worker is draining").await;
        moved += said["sessions"].as_f64().unwrap();
        let all = scraper.until_told(|told| told.moved_well() == moved);
        soon("all of its calls to be with another worker", all).await;
        let before = *scraped.borrow_and_update();
        let again = scraped.wait_for(|scrapes| *scrapes > before);
        soon("a further scrape", again)
            .await
            .expect("the scraper failed");
    }
    moved
}

fn hang_up(doings: &Mutex<Doings>) {
    let mut doings = doings.lock().unwrap();
    doings.leaving = doings.placed;
    for (_, caller) in &doings.calls {
        caller.act(Action::HangUp { settle: SETTLE }).unwrap();
    }
}

/// The sum of what the log says of each call at its end.
async fn handoffs_logged(stage: &Stage) -> f64 {
    let (calls, handoffs) = (Cell::new(0), Cell::new(0.0));
    let all = stage.edge.logged("the end of every call", |line| {
        if line["message"] == "call ended" {
            calls.set(calls.get() + 1);
            handoffs.set(handoffs.get() + line["handoffs"].as_f64().unwrap());
        }
        calls.get() == CALLS
    });
    all.await;
    handoffs.get()
}
