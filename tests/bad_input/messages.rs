//! Callers who break the protocol of Media Streams.

use futures_util::SinkExt as _;
use tokio_tungstenite::tungstenite::Message;

use super::{
    Scene,
    line::{CONNECTED, Line, start},
};
use crate::support::soon;

const MALFORMED: &str = "holdline_leg_malformed_frames_total";
const CALLER: &str = "leg=\"caller\"";
const NO_JSON: [&str; 4] = ["", "{{{", "{\"event\":\"start\"", r#"{"event" "media"}"#];
/// Far beyond every limit of a caller's leg.
const HUGE: usize = 20_000_000;

#[tokio::test]
async fn callers_who_break_the_protocol_are_told_and_alone_in_it() {
    let scene = Scene::set().await;
    junk_is_counted_and_left_out(&scene).await;
    binary_is_refused(&scene).await;
    a_caller_without_a_start_is_closed(&scene).await;
    a_second_start_is_refused(&scene).await;
    a_huge_frame_is_refused(&scene).await;
    scene.judge().await;
}

async fn junk_is_counted_and_left_out(scene: &Scene) {
    let talk = async {
        let mut line = Line::open(scene.callers, "junk").await;
        for junk in NO_JSON {
            line.say(junk).await;
        }
        line.say(CONNECTED).await;
        let start = start(&line.call_sid, "MZ-1", None);
        line.say(&start).await;
        line.is_alive(1).await;
        for junk in NO_JSON {
            line.say(junk).await;
        }
        line.is_alive(2).await;
        line.hang_up().await;
    };
    let counted = scene.grows(MALFORMED, &[CALLER], talk).await;
    assert_eq!(counted, 2.0 * NO_JSON.len() as f64);
}

async fn binary_is_refused(scene: &Scene) {
    let talk = async {
        let mut early = Line::open(scene.callers, "binary-1").await;
        early.say_binary(b"\x00\x01").await;
        let mut late = Line::start(scene.callers, "binary-2", None).await;
        late.is_alive(1).await;
        late.say_binary(b"\xff\xfe").await;
        for line in [early, late] {
            let closed = line.closed().await;
            assert_eq!(closed, (1003, "Media Streams messages are text".to_owned()));
        }
    };
    let counted = scene.grows(MALFORMED, &[CALLER], talk).await;
    assert_eq!(counted, 2.0);
}

async fn a_caller_without_a_start_is_closed(scene: &Scene) {
    let silent = Line::open(scene.callers, "silent").await;
    let mut halting = Line::open(scene.callers, "halting").await;
    halting.say(CONNECTED).await;
    for line in [silent, halting] {
        let closed = line.closed().await;
        assert_eq!(closed, (1008, "no start message in time".to_owned()));
    }
    let told = scene.edge.told("caller left before its call began").await;
    assert_eq!(told["path"], "/bad", "{told}");
}

async fn a_second_start_is_refused(scene: &Scene) {
    let mut line = Line::start(scene.callers, "twice", None).await;
    line.is_alive(1).await;
    // The same once more tells nothing new.
    let repeat = async {
        let again = start(&line.call_sid, "MZ-1", None);
        line.say(&again).await;
        line.is_alive(2).await;
    };
    assert_eq!(scene.grows(MALFORMED, &[CALLER], repeat).await, 1.0);
    let other = start("CA-of-another-call", "MZ-2", None);
    line.say(&other).await;
    assert_eq!(line.closed().await, (1002, "second start".to_owned()));
}

async fn a_huge_frame_is_refused(scene: &Scene) {
    let early = Line::open(scene.callers, "huge-1").await;
    let mut late = Line::start(scene.callers, "huge-2", None).await;
    late.is_alive(1).await;
    for mut line in [early, late] {
        let message = Message::text("x".repeat(HUGE));
        // The edge may have had enough before all of it is sent.
        let _ = soon("a huge frame to be sent", line.socket.send(message)).await;
        let closed = line.closed().await;
        assert_eq!(
            closed,
            (1009, "message over the limit of this leg".to_owned())
        );
    }
}
