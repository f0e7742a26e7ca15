//! The model's leg dies, in each of the ways it can: what the caller hears of it, and what the next
//! session is told. `cargo test --test process model_leg -- --nocapture` prints a table of it.

use std::time::Duration;

use holdline_testkit::{
    judge,
    openai::{Fault, FaultRule, Outcome, When},
    speech::Utterance,
    twilio::StreamEnd,
};

use call::{Call, Ended, Plan};
use heard::{assert_told, final_pause, is_heard, longest_pause, row};

mod aimock;
mod call;
mod heard;
mod hole;

/// In the middle of the answer to the caller's first question: 460 ms of it were sent.
const MID_ANSWER: When = When::Delta {
    response: 2,
    deltas: 2,
};
/// What a call's pause may have when all goes well: a handshake, the settings, the first sound of an
/// answer. That takes a tenth of this, on a machine with much to do some seconds; but it is less than
/// any of the bridge's patience (`ready_timeout`, `reply_timeout`, `give_up`), so that none was needed.
const SHORT: Duration = Duration::from_millis(5_500);

/// The answer is cut by `fault`, and each of the next `refused` connections by `then`.
fn faults(fault: Fault, refused: u16, when: When, then: &Fault) -> Vec<FaultRule> {
    let mut rules = vec![FaultRule::on(1, MID_ANSWER, fault)];
    if refused > 0 {
        rules.extend(FaultRule::on_each(2..=refused + 1, when, then));
    }
    rules
}

fn close(code: u16, reason: &str) -> Fault {
    let reason = reason.to_owned();
    Fault::Close { code, reason }
}

/// A question, its answer cut and gone on with, and another question.
async fn survives(name: &str, plan: Plan, worst: Duration, killed_at: Option<u64>) -> Ended {
    let mut call = Call::begin(plan).await;
    call.is_greeted().await;
    call.asks(Utterance::YOUNG_MAN, 1).await;
    if let Some(connections) = killed_at {
        call.has_connections(connections).await;
        call.kill_worker().await;
    }
    call.is_answered(3).await;
    call.hears("the end of the answer", |it| !it.playing).await;
    call.asks(Utterance::QUEEN_OF_CLUBS, 2).await;
    call.is_answered(4).await;
    let ended = call.hang_up().await;
    let (cut, last) = (&ended.connections[0], ended.connections.last().unwrap());
    let pause = longest_pause(&ended.record, &[&cut.responses[1], &last.responses[0]]);
    row(name, pause, "goes on");
    assert!(pause <= worst, "{name}: {pause:?} of silence");
    assert_told(last);
    assert_eq!(last.turns.len(), 1, "the first question was no news");
    assert_nothing_lost(&ended);
    ended
}

/// Nobody's voice was lost: what the first session did not hear, a later one did.
fn assert_nothing_lost(ended: &Ended) {
    let account = judge::account(&ended.record, &ended.connections);
    for way in [&account.to_model, &account.to_caller] {
        assert!(way.is_perfect(), "{:?}", way.summary());
        assert!(way.received > 0);
    }
    assert_eq!(ended.log["media_lost"], 0, "{}", ended.log);
}

/// The answer is cut, and no session follows: the caller goes on with what the carrier was told.
async fn is_handed_back(name: &str, plan: Plan, longest: Duration) -> Ended {
    let mut call = Call::begin(plan).await;
    call.is_greeted().await;
    call.asks(Utterance::YOUNG_MAN, 1).await;
    let ended = call.over("handed_back").await;
    let pause = final_pause(&ended.record, &ended.connections[0]);
    row(name, pause, "handed back");
    assert!(pause <= longest, "{name}: {pause:?} of silence");
    let end = &ended.record.streams[0].end;
    assert!(matches!(end, StreamEnd::Closed { .. }), "{name}: {end:?}");
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_without_a_close_frame() {
    let mut plan = Plan::new();
    plan.model.faults = faults(Fault::Drop, 0, When::Open, &Fault::Drop);
    let ended = survives("closed without a close frame", plan, SHORT, None).await;
    assert_eq!(ended.connections.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reset() {
    let mut plan = Plan::new();
    plan.model.faults = faults(Fault::Reset, 0, When::Open, &Fault::Drop);
    survives("connection reset", plan, SHORT, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_error() {
    let mut plan = Plan::new();
    plan.model.faults = faults(close(1_011, "keepalive"), 0, When::Open, &Fault::Drop);
    survives("close 1011", plan, SHORT, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired() {
    let mut plan = Plan::new();
    plan.model.faults = faults(Fault::Expire, 0, When::Open, &Fault::Drop);
    survives("`session_expired`, close 1001", plan, SHORT, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_full() {
    let mut plan = Plan::new();
    let full = close(1_008, "too many sessions");
    plan.model.faults = faults(Fault::Drop, 3, When::Open, &full);
    let worst = SHORT + Duration::from_millis(1_750);
    let ended = survives("lost, then close 1008 three times", plan, worst, None).await;
    assert_eq!(ended.connections.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unavailable_for_a_while() {
    let mut plan = Plan::new();
    let busy = Fault::Http(503);
    plan.model.faults = faults(Fault::Reset, 3, When::Upgrade, &busy);
    let worst = SHORT + Duration::from_millis(1_750);
    let ended = survives("lost, then HTTP 503 three times", plan, worst, None).await;
    assert_eq!(ended.refused, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_without_an_end() {
    let mut plan = Plan::new();
    plan.link = "  reply_timeout: 2s\n".to_owned();
    plan.model.faults = faults(Fault::Silence, 0, When::Open, &Fault::Drop);
    let worst = SHORT + Duration::from_secs(2);
    let name = "falls silent, `reply_timeout: 2s`";
    survives(name, plan, worst, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_while_the_model_is_away() {
    let mut plan = Plan::new();
    plan.workers = 2;
    let full = close(1_008, "too many sessions");
    plan.model.faults = faults(Fault::Drop, 3, When::Open, &full);
    let worst = SHORT + Duration::from_millis(3_000);
    let name = "lost, 1008 three times, and the worker killed meanwhile";
    survives(name, plan, worst, Some(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unauthorized() {
    let mut plan = Plan::new();
    plan.model.faults = faults(Fault::Drop, 20, When::Upgrade, &Fault::Http(401));
    let ended = is_handed_back("lost, then HTTP 401", plan, SHORT).await;
    assert_eq!(ended.refused, 1, "asking again is of no use");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_refused_after_the_upgrade() {
    let mut plan = Plan::new();
    let bad = close(3_000, "invalid_request_error.invalid_api_key");
    plan.model.faults = faults(Fault::Drop, 20, When::Open, &bad);
    let ended = is_handed_back("lost, then 101 and close 3000", plan, SHORT).await;
    assert_eq!(ended.connections.len(), 2, "asking again is of no use");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_gone() {
    let mut plan = Plan::new();
    plan.link = "  give_up: 3s\n".to_owned();
    // RFC 6761: this name never resolves.
    plan.again = Some("ws://model.invalid:9".to_owned());
    plan.model.faults = faults(Fault::Drop, 0, When::Open, &Fault::Drop);
    let longest = SHORT + Duration::from_secs(3);
    let ended = is_handed_back("lost, name gone, `give_up: 3s`", plan, longest).await;
    assert_eq!(ended.connections.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blackholed() {
    let hole = hole::Hole::dig().await;
    let mut plan = Plan::new();
    plan.link = "  give_up: 3s\n".to_owned();
    plan.again = Some(format!("ws://{}", hole.address));
    plan.model.faults = faults(Fault::Drop, 0, When::Open, &Fault::Drop);
    let longest = SHORT + Duration::from_secs(3);
    is_handed_back("lost, packets swallowed, `give_up: 3s`", plan, longest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_while_the_caller_speaks() {
    let mut call = Call::begin(Plan::new()).await;
    call.is_greeted().await;
    call.asks(Utterance::YOUNG_MAN, 1).await;
    assert_eq!(call.model.inject(None, &Fault::Drop), 1);
    call.is_answered(2).await;
    let ended = call.hang_up().await;
    assert_eq!(ended.connections.len(), 2);
    let heard = ended.connections[1].appended.iter();
    let label = Utterance::YOUNG_MAN.label();
    let heard = heard.filter(|it| it.id.label == label).count();
    let said = Utterance::YOUNG_MAN.frames() as usize;
    assert_eq!(heard, said, "the next session hears the whole sentence");
    assert_eq!(ended.connections[1].turns.len(), 1);
    assert_nothing_lost(&ended);
}

/// An old session is replaced while the greeting is being heard.
async fn rolls_over(name: &str, killed: bool) {
    let mut plan = Plan::new();
    plan.workers = 2;
    plan.link = "  rollover: {after: 3s, by: 10m}\n".to_owned();
    plan.model.answers[0] = vec![Utterance::PRUDENTLY];
    let mut call = Call::begin(plan).await;
    if killed {
        call.has_connections(2).await;
        call.kill_worker().await;
    }
    call.is_greeted().await;
    let old = call.model.wait_for(|it| it.closed >= 1);
    crate::support::soon("the end of the old session", old).await;
    call.asks(Utterance::YOUNG_MAN, 1).await;
    call.is_answered(2).await;
    let ended = call.hang_up().await;
    let first = &ended.connections[0].responses[0];
    row(name, longest_pause(&ended.record, &[first]), "goes on");
    assert_eq!(first.outcome, Outcome::Completed, "it was let finish");
    assert!(is_heard(&ended.record, first), "to its end");
    let closed = &ended.connections[0].closed.as_ref().unwrap().1;
    assert!(closed.contains("1000"), "{closed}");
    let served = ended.connections.iter().find(|it| !it.turns.is_empty());
    let served = served.unwrap();
    assert!(served.number > 1, "the new session hears the caller");
    assert!(served.errors.is_empty(), "{:?}", served.errors);
    assert_eq!(
        served.seeded[1].text,
        Utterance::PRUDENTLY.recording().transcript
    );
    assert_nothing_lost(&ended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_before_it_expires() {
    rolls_over("replaced before it expires", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_while_the_session_is_replaced() {
    let name = "replaced, and the worker killed meanwhile";
    rolls_over(name, true).await;
}
