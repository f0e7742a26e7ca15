//! The bridge as the edge sees it: over gRPC, on real sockets.

#![allow(clippy::unwrap_used)]

mod edge;
mod service;

use std::{
    io,
    sync::{Arc, Mutex},
};

use edge::{Edge, frame, job_free, sends};
use holdline_bridge::{Bridge, Config};
use holdline_wire::v1::{self, command::Command};
use serde_json::json;

const PAYLOAD: &str = "//79+/z4";

fn media(timestamp_ms: u64) -> String {
    format!(
        r#"{{"event":"media","streamSid":"MZ1","media":{{"track":"inbound","timestamp":"{timestamp_ms}","payload":"{PAYLOAD}"}}}}"#
    )
}

fn bridge(more: &str) -> Bridge {
    let yaml = format!("version: v7\ninstructions: Be kind.\n{more}");
    Bridge::new(&Config::parse(&yaml, "test").unwrap()).unwrap()
}

#[tokio::test]
async fn it_describes_itself() {
    let edge = Edge::of(bridge("")).await;
    let told = edge.describe().await;
    assert_eq!(told.version, "v7");
    assert_eq!((told.reads_schemas, told.writes_schema), (vec![1], 1));
    assert!(told.max_message_bytes > 16 << 20);
}

#[tokio::test]
async fn the_settings_are_on_their_way_before_anything_has_happened() {
    let edge = Edge::of(bridge("")).await;
    let mut call = edge.attach().await;
    let commit = call.commit().await;
    let told = sends(&commit, "model");
    assert_eq!(told[0]["type"], "session.update");
    assert_eq!(
        told[0]["session"]["audio"]["input"]["format"]["type"],
        "audio/pcmu"
    );
    assert!(commit.put.iter().any(|entry| entry.key == "link"));
}

#[tokio::test]
async fn audio_passes_both_ways_and_a_frame_costs_little_state() {
    let edge = Edge::of(bridge("")).await;
    let mut call = edge.attach().await;
    call.commit().await;
    call.inputs(vec![frame("caller", &media(20))]).await;
    let commit = call.commit().await;
    assert_eq!(
        sends(&commit, "model"),
        [json!({"type": "input_audio_buffer.append", "audio": PAYLOAD})]
    );
    let keys: Vec<_> = commit.put.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["audio", "audio/00000000", "clock"]);
    let bytes: usize = commit.put.iter().map(|entry| entry.value.len()).sum();
    assert!(bytes < 200, "{bytes}");

    let delta = format!(
        r#"{{"type":"response.output_audio.delta","response_id":"R","item_id":"A","output_index":0,"content_index":0,"delta":"{PAYLOAD}"}}"#
    );
    call.inputs(vec![frame("model", &delta)]).await;
    let told = sends(&call.commit().await, "caller");
    assert_eq!(
        told[0],
        json!({"event": "media", "streamSid": "MZ1", "media": {"payload": PAYLOAD}})
    );
    assert_eq!(told[1]["mark"]["name"], "g0:A:0");
}

#[tokio::test]
async fn what_people_say_is_in_no_log() {
    let lines = Lines::default();
    let writer = lines.clone();
    let (log, _) = holdline_telemetry::logging::init(
        holdline_telemetry::logging::Format::Json,
        "trace,h2=off,tonic=off,hyper=off,tower=off,hyper_util=off",
        writer,
    )
    .unwrap();
    let service = service::start().await;
    let edge = Edge::of(bridge(&service.tool())).await;
    let mut call = edge.attach().await;
    call.commit().await;
    let said = "zanzibar";
    call.inputs(vec![
        frame("model", r#"{"type":"session.updated"}"#),
        frame(
            "model",
            &json!({"type": "conversation.item.input_audio_transcription.completed",
            "item_id": "U", "transcript": said})
            .to_string(),
        ),
        frame(
            "model",
            &json!({"type": "response.output_audio_transcript.done",
            "item_id": "A", "transcript": said})
            .to_string(),
        ),
        frame("caller", r##"{"event":"dtmf","dtmf":{"digit":"8"}}"##),
        frame("caller", r##"{"event":"dtmf","dtmf":{"digit":"#"}}"##),
        frame(
            "model",
            &service::function_call(&format!("{{\"name\":\"{said}\"}}")),
        ),
        frame(
            "model",
            &format!("{{\"type\":\"error\",\"error\":{{\"message\":\"{said}\"}}}}"),
        ),
        frame("model", &format!("{{ {said}")),
    ])
    .await;
    job_free(&mut call).await;
    drop(log);
    let text = lines.text();
    assert!(
        text.contains("function answered") && text.contains("keys pressed"),
        "{text}"
    );
    assert!(!text.contains(said), "{text}");
}

#[tokio::test]
async fn a_function_outlives_its_worker_and_keeps_its_key() {
    let service = service::start().await;
    let edge = Edge::of(bridge(&service.tool())).await;
    let mut call = edge.attach().await;
    call.commit().await;
    service.hold();
    call.inputs(vec![
        frame("model", r#"{"type":"session.updated"}"#),
        frame("model", &service::function_call("{}")),
        frame(
            "model",
            r#"{"type":"response.done","response":{"id":"R","status":"completed"}}"#,
        ),
    ])
    .await;
    let commit = call.commit().await;
    assert!(
        sends(&commit, "model")
            .iter()
            .all(|told| told["type"] != "conversation.item.create")
    );
    service.asked(1).await;
    let state = call.into_state();

    // The worker is gone in the middle of the request; another one takes it up.
    let edge = Edge::of(bridge(&service.tool())).await;
    let mut call = edge.attach_with(state, 4).await;
    service.asked(2).await;
    service.release();
    let told = job_free(&mut call).await;
    let output = told
        .iter()
        .find(|told| told["item"]["type"] == "function_call_output")
        .unwrap();
    assert_eq!(output["item"]["output"], "booked");
    let keys = service.keys();
    assert_eq!(keys[0], keys[1]);
    assert!(keys[0].starts_with(edge::SESSION), "{keys:?}");
}

#[tokio::test]
async fn a_model_that_refuses_hands_the_call_back() {
    let edge = Edge::of(bridge("")).await;
    let mut call = edge.attach().await;
    call.commit().await;
    call.inputs(vec![v1::input::Kind::LegClosed(v1::LegClosed {
        leg: "model".to_owned(),
        incarnation: 1,
        code: 3_000,
        reason: "invalid_request_error.invalid_api_key".to_owned(),
        ..v1::LegClosed::default()
    })])
    .await;
    let commit = call.commit().await;
    let ended = commit
        .commands
        .iter()
        .find_map(|command| match &command.command {
            Some(Command::EndSession(end)) => Some(end),
            _ => None,
        });
    let ended = ended.unwrap();
    assert!(ended.reason.contains("invalid_api_key"));
    assert!(ended.hand_back);
}

/// Log lines, kept in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
