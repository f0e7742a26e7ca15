//! Outbound legs: dialled early, written to before they are open, refused.

use tokio_tungstenite::tungstenite::Message;

use crate::support::{Bench, Edge, Shape, Upstream};

/// A shape whose route dials `model`, and whose upstream `echo` is at this address.
fn with_model(route: &'static str, address: std::net::SocketAddr) -> Shape {
    Shape {
        route,
        upstreams: format!("{{echo: {{profile: raw, url: \"ws://{address}/\"}}}}"),
        ..Shape::default()
    }
}

const DIALS: &str = "profile: raw, legs: [{name: model, upstream: echo}]";

#[tokio::test]
async fn what_is_sent_to_a_leg_while_it_connects_is_written_in_order() {
    let worker = Bench::start("v1").await;
    let mut upstream = Upstream::start().await;
    let edge = Edge::ready(&[&worker], with_model(DIALS, upstream.address)).await;
    let mut caller = edge.call().await;
    caller.say("tell one").await;
    caller.say("tell two").await;
    assert_eq!(caller.ask("still there").await, "3 v1 still there");
    edge.until_call(|body| body.contains(r#""state": "connecting""#))
        .await;
    upstream.open();
    assert_eq!(upstream.hears().await, Message::text("one"));
    assert_eq!(upstream.hears().await, Message::text("two"));
    assert_eq!(caller.hear_text().await, "model said one");
    assert_eq!(caller.hear_text().await, "model said two");
}

#[tokio::test]
async fn a_leg_that_is_closed_while_it_connects_still_writes_what_it_was_given() {
    let worker = Bench::start("v1").await;
    let mut upstream = Upstream::start().await;
    let edge = Edge::ready(&[&worker], with_model("profile: raw", upstream.address)).await;
    let mut caller = edge.call().await;
    caller.say("post a letter").await;
    assert_eq!(caller.ask("meanwhile").await, "2 v1 meanwhile");
    upstream.open();
    assert_eq!(upstream.hears().await, Message::text("a letter"));
    assert!(upstream.hears().await.is_close());
    loop {
        match caller.hear_text().await.as_str() {
            "model said a letter" => {}
            closed => break assert_eq!(closed, "model closed 1000"),
        }
    }
}

#[tokio::test]
async fn a_worker_learns_that_a_leg_could_not_be_opened_and_may_open_another() {
    let worker = Bench::start("v1").await;
    let upstream = Upstream::start().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = nobody.local_addr().unwrap();
    drop(nobody);
    let shape = Shape {
        upstreams: format!(
            "{{echo: {{profile: raw, url: \"ws://{nowhere}/\"}}, \
             other: {{profile: raw, url: \"ws://{}/\"}}}}",
            upstream.address
        ),
        route: DIALS,
        ..Shape::default()
    };
    upstream.open();
    let edge = Edge::ready(&[&worker], shape).await;
    let mut caller = edge.call().await;
    assert_eq!(caller.hear_text().await, "model not opened 0");
    caller.say("open other").await;
    caller.say("tell hello").await;
    assert_eq!(caller.hear_text().await, "model said hello");
    caller.say("close 1000").await;
    assert_eq!(caller.hear_text().await, "model closed 1000");
}
