//! Calls whose stream breaks, and streams that are not what they say.

use crate::support::{Answer, Bench, Caller, Edge, Shape, post, refused_upgrade};

const WEBHOOK: &str = "profile: twilio, signature: off, webhook: {path: /voice, \
    public_url: \"https://edge.test/voice\", fallback: {redirect: \"https://edge.test/sorry\"}}";
const HANG_UP: &str = "<Response><Hangup/></Response>";
const FALLBACK: &str = "https://edge.test/sorry</Redirect></Response>";

fn with_webhook() -> Shape {
    Shape {
        path: "/call/{token}",
        route: WEBHOOK,
        ..Shape::default()
    }
}

fn start(call: &str, stream: &str, account: &str) -> String {
    format!(
        r#"{{"event":"start","sequenceNumber":"1","streamSid":"{stream}","start":{{"accountSid":"{account}","streamSid":"{stream}","callSid":"{call}","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}}}}"#
    )
}

fn word(text: &str) -> String {
    format!(r#"{{"event":"{text}"}}"#)
}

async fn webhook(edge: &Edge, call: &str) -> Answer {
    let form = format!("CallSid={call}&AccountSid=AC1&From=%2B1555");
    post(edge.callers, "/voice", &form).await
}

/// The path of the stream that the webhook sends a call to.
async fn directed(edge: &Edge, call: &str) -> String {
    let answer = webhook(edge, call).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let (_, url) = answer
        .body
        .split_once("<Stream url=\"wss://edge.test")
        .unwrap();
    url.split('"').next().unwrap().to_owned()
}

/// A stream of a call, as far as its `start`.
async fn stream(edge: &Edge, path: &str, call: &str, stream: &str) -> Caller {
    let mut caller = Caller::connect(edge.callers, path).await;
    caller.say(&start(call, stream, "AC1")).await;
    caller
}

/// Says something, and hears that it was the call's so many-eth message.
async fn is_served(caller: &mut Caller, number: u32) {
    let said = word(&format!("word {number}"));
    assert_eq!(caller.ask(&said).await, format!("{number} v1 {said}"));
}

async fn is_refused(mut caller: Caller) {
    let close = caller.hear_close().await.unwrap();
    assert_eq!(u16::from(close.code), 1008, "{}", close.reason);
}

async fn awaited(edge: &Edge, call: &str) {
    edge.until(&format!("/sessions/{call}"), |body| {
        body.contains(r#""state": "awaited""#)
    })
    .await;
}

async fn counted(edge: &Edge, line: &str) {
    edge.until("/metrics", |body| body.lines().any(|it| it == line))
        .await;
}

#[tokio::test]
async fn a_call_whose_stream_broke_goes_on_by_the_webhook() {
    let worker = Bench::start("v1").await;
    let edge = Edge::ready(&[&worker], with_webhook()).await;
    let path = directed(&edge, "CA1").await;
    let mut caller = stream(&edge, &path, "CA1", "MZ1").await;
    caller.hear_text().await;
    is_served(&mut caller, 2).await;
    drop(caller);
    awaited(&edge, "CA1").await;

    let back = directed(&edge, "CA1").await;
    assert_ne!(back, path);
    let mut caller = stream(&edge, &back, "CA1", "MZ2").await;
    let heard = caller.hear_text().await;
    assert_eq!(heard, format!("3 v1 {}", start("CA1", "MZ2", "AC1")));
    is_served(&mut caller, 4).await;
    let session = edge.get("/sessions/CA1").await.body;
    assert!(session.contains(r#""stream_sid": "MZ2""#), "{session}");
    let token = back.rsplit('/').next().unwrap();
    assert!(!session.contains(token), "{session}");
    counted(&edge, r#"holdline_caller_streams_total{result="joined"} 1"#).await;
    counted(&edge, "holdline_sessions_started_total 1").await;

    caller.say(&word("stop")).await;
    edge.idle().await;
    let answer = webhook(&edge, "CA1").await.body;
    assert!(answer.contains(HANG_UP), "{answer}");
}

#[tokio::test]
async fn a_stream_that_is_closed_without_stop_may_come_back() {
    let worker = Bench::start("v1").await;
    let edge = Edge::ready(&[&worker], with_webhook()).await;
    let mut caller = stream(&edge, &directed(&edge, "CA1").await, "CA1", "MZ1").await;
    caller.hear_text().await;
    is_served(&mut caller, 2).await;
    // In good order, as by a proxy in between that restarts.
    caller.hang_up().await;
    awaited(&edge, "CA1").await;
    let mut caller = stream(&edge, &directed(&edge, "CA1").await, "CA1", "MZ2").await;
    caller.hear_text().await;
    is_served(&mut caller, 4).await;
    // But not after `stop`, whatever the close.
    caller.say(&word("stop")).await;
    caller.hang_up().await;
    edge.idle().await;
    counted(
        &edge,
        r#"holdline_sessions_ended_total{fault="none",reason="caller_hung_up"} 1"#,
    )
    .await;
}

#[tokio::test]
async fn of_two_streams_with_proof_the_newest_has_the_call() {
    let worker = Bench::start("v1").await;
    let edge = Edge::ready(&[&worker], with_webhook()).await;
    let (one, two) = (directed(&edge, "CA1").await, directed(&edge, "CA1").await);
    let mut older = stream(&edge, &one, "CA1", "MZ1").await;
    older.hear_text().await;
    let mut newer = stream(&edge, &two, "CA1", "MZ2").await;
    newer.hear_text().await;
    is_served(&mut newer, 3).await;
    let close = older.hear_close().await.unwrap();
    assert_eq!(u16::from(close.code), 1000);
    is_served(&mut newer, 4).await;
}

#[tokio::test]
async fn a_replayed_upgrade_gains_nothing() {
    let worker = Bench::start("v1").await;
    let edge = Edge::ready(&[&worker], with_webhook()).await;
    let path = directed(&edge, "CA1").await;
    let mut caller = stream(&edge, &path, "CA1", "MZ1").await;
    caller.hear_text().await;

    // The same upgrade again, for as long as the call lives and after.
    assert_eq!(refused_upgrade(edge.callers, &path).await.status, 403);
    let made_up = format!("/call/{}", "0".repeat(48));
    assert_eq!(refused_upgrade(edge.callers, &made_up).await.status, 403);

    // A stream that another call was promised, with a foreign callSid.
    let other = directed(&edge, "CA2").await;
    is_refused(stream(&edge, &other, "CA1", "MZ2").await).await;
    counted(
        &edge,
        r#"holdline_caller_streams_total{result="foreign_token"} 1"#,
    )
    .await;
    is_served(&mut caller, 2).await;

    // That call itself is not harmed by it.
    let mut second = stream(&edge, &other, "CA2", "MZ3").await;
    second.hear_text().await;
    is_served(&mut second, 2).await;
    counted(&edge, "holdline_sessions_started_total 2").await;
}

#[tokio::test]
async fn without_any_proof_a_live_call_is_left_alone_and_a_lost_one_is_not_waited_for() {
    let worker = Bench::start("v1").await;
    let shape = Shape {
        route: "profile: twilio, signature: off",
        ..Shape::default()
    };
    let edge = Edge::ready(&[&worker], shape).await;
    let mut caller = stream(&edge, "/call", "CA1", "MZ1").await;
    caller.hear_text().await;
    is_refused(stream(&edge, "/call", "CA1", "MZ2").await).await;
    counted(
        &edge,
        r#"holdline_caller_streams_total{result="no_proof"} 1"#,
    )
    .await;
    is_served(&mut caller, 2).await;
    drop(caller);
    // Its successor begins anew.
    edge.idle().await;
    let mut caller = stream(&edge, "/call", "CA1", "MZ3").await;
    caller.hear_text().await;
    is_served(&mut caller, 2).await;
}

#[tokio::test]
async fn a_trusted_start_needs_the_account_of_the_live_call() {
    let worker = Bench::start("v1").await;
    let shape = Shape {
        route: "profile: twilio, signature: off, takeover: trust_start",
        ..Shape::default()
    };
    let edge = Edge::ready(&[&worker], shape).await;
    let mut caller = stream(&edge, "/call", "CA1", "MZ1").await;
    caller.hear_text().await;
    let mut stranger = edge.call().await;
    stranger.say(&start("CA1", "MZ2", "AC2")).await;
    is_refused(stranger).await;
    is_served(&mut caller, 2).await;
    drop(caller);
    awaited(&edge, "CA1").await;
    let mut caller = stream(&edge, "/call", "CA1", "MZ3").await;
    caller.hear_text().await;
    is_served(&mut caller, 4).await;
}

#[tokio::test]
async fn what_the_webhook_answers_depends_on_how_the_call_ended() {
    let mut worker = Bench::start("v1").await;
    let shape = Shape {
        more: "session: {resume: {window: 50ms}, hold: {give_up: 50ms}}",
        ..with_webhook()
    };
    let edge = Edge::ready(&[&worker], shape).await;

    let path = directed(&edge, "CA1").await;
    let promised = directed(&edge, "CA1").await;
    let mut ended = stream(&edge, &path, "CA1", "MZ1").await;
    ended.hear_text().await;
    ended.say(&word("end")).await;
    let close = ended.hear_close().await.unwrap();
    assert_eq!(u16::from(close.code), 1000);
    let answer = webhook(&edge, "CA1").await.body;
    assert!(answer.contains(HANG_UP), "by its worker: {answer}");
    is_refused(stream(&edge, &promised, "CA1", "MZ2").await).await;
    counted(&edge, r#"holdline_caller_streams_total{result="over"} 1"#).await;

    let mut lost = stream(&edge, &directed(&edge, "CA2").await, "CA2", "MZ3").await;
    lost.hear_text().await;
    drop(lost);
    edge.until("/sessions", |body| !body.contains("CA2")).await;
    let answer = webhook(&edge, "CA2").await.body;
    assert!(answer.contains(FALLBACK), "not back in time: {answer}");

    let mut held = stream(&edge, &directed(&edge, "CA3").await, "CA3", "MZ4").await;
    held.hear_text().await;
    worker.kill();
    held.say(&word("anybody")).await;
    let close = held.hear_close().await.unwrap();
    assert_eq!(u16::from(close.code), 1013);
    let answer = webhook(&edge, "CA3").await.body;
    assert!(answer.contains(FALLBACK), "given up: {answer}");
}

#[tokio::test]
async fn a_call_is_brought_back_only_so_often() {
    let worker = Bench::start("v1").await;
    let shape = Shape {
        more: "session: {resume: {attempts: 1}}",
        ..with_webhook()
    };
    let edge = Edge::ready(&[&worker], shape).await;
    for expected in ["<Connect>", "<Connect>", FALLBACK, FALLBACK] {
        let answer = webhook(&edge, "CA1").await.body;
        assert!(answer.contains(expected), "{answer}");
    }
    let answer = webhook(&edge, "CA2").await.body;
    assert!(answer.contains("<Connect>"), "{answer}");
}

#[tokio::test]
async fn an_edge_that_drains_takes_back_its_own_calls_alone() {
    let worker = Bench::start("v1").await;
    let shape = Shape {
        more: "drain: {lame_duck: 0s, deadline: 60s, notice: 1s}",
        ..with_webhook()
    };
    let edge = Edge::ready(&[&worker], shape).await;
    let mut caller = stream(&edge, &directed(&edge, "CA1").await, "CA1", "MZ1").await;
    caller.hear_text().await;
    let late = directed(&edge, "CA2").await;
    edge.control.drain();
    edge.reaches(holdline_proxy::Phase::Refusing).await;
    let answer = webhook(&edge, "CA3").await.body;
    assert!(answer.contains(FALLBACK), "{answer}");
    assert_eq!(refused_upgrade(edge.callers, &late).await.status, 503);

    drop(caller);
    awaited(&edge, "CA1").await;
    let mut caller = stream(&edge, &directed(&edge, "CA1").await, "CA1", "MZ2").await;
    caller.hear_text().await;
    is_served(&mut caller, 3).await;
    caller.say(&word("stop")).await;
    assert_eq!(edge.ended().await.cut, 0);
}
