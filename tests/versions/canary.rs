//! Shares of calls and pins, over a thousand calls.

use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::line::{Line, stream_sid, until_closed};

const CALLS: usize = 1_000;
/// One call in so many is of the tenant that is pinned.
const PINNED_EVERY: usize = 10;
/// Share of the canary.
const SHARE: f64 = 0.1;
/// How far its calls may be from their expected number, in standard deviations: beyond that is one
/// run in a million.
const DEVIATIONS: f64 = 5.0;

/// A whole call of a tenant: tells which version answered it.
async fn call(line: &Line, number: usize, tenant: &str) -> String {
    let (mut socket, version) = line.twilio(number, tenant).await;
    let stop = json!({"event": "stop", "sequenceNumber": "2", "streamSid": stream_sid(number)});
    socket.send(Message::text(stop.to_string())).await.unwrap();
    until_closed(socket).await;
    version
}

#[tokio::test]
async fn a_canary_gets_its_share_and_a_pinned_tenant_its_version() {
    let rules = "rollout: {weights: {v1: 90, v2: 10}, \
                 pins: [{attribute: parameter.tenant, equals: acme, version: v3}]},";
    let line = Line::start(4, rules).await;
    let mut workers = Vec::new();
    for (place, version) in ["v1", "v1", "v2", "v3"].into_iter().enumerate() {
        workers.push(line.worker(place, &[version]).await);
    }
    let mut canary = 0_u32;
    for number in 0..CALLS {
        let pinned = number % PINNED_EVERY == 0;
        let tenant = if pinned { "acme" } else { "blue-door" };
        let version = call(&line, number, tenant).await;
        match version.as_str() {
            "v3" => assert!(pinned, "call {number} is nobody's of v3"),
            "v2" if !pinned => canary += 1,
            "v1" if !pinned => {}
            _ => panic!("call {number} of {tenant} was answered by {version}"),
        }
    }
    let free = (CALLS - CALLS.div_ceil(PINNED_EVERY)) as f64;
    let expected = free * SHARE;
    let allowed = DEVIATIONS * (expected * (1.0 - SHARE)).sqrt();
    let off = (f64::from(canary) - expected).abs();
    assert!(
        off <= allowed,
        "{canary} of {free} calls with a share of {SHARE}"
    );
}
