#![allow(clippy::unwrap_used)]

use super::*;
use crate::identity::{FrameId, StreamId, Voice, stamp};
use crate::mulaw::SILENCE;
use crate::openai::faults::FaultRule;
use crate::openai::options::{Speed, ToolScript, ToolTime};
use crate::speech::Utterance;

const MS: Duration = Duration::from_millis(1);

/// A session with a clock of its own: time passes only when the test says so.
struct World {
    session: Session,
    now: Instant,
    start: Instant,
    said: Vec<(Duration, Value)>,
    ends: Vec<Out>,
    frames: u32,
}

impl World {
    fn new(options: SimOptions) -> Self {
        let now = Instant::now();
        let session = Session::open(
            Arc::new(options),
            1,
            "gpt-realtime".into(),
            None,
            now,
            1_000,
        );
        let mut world = Self {
            session,
            now,
            start: now,
            said: Vec::new(),
            ends: Vec::new(),
            frames: 0,
        };
        world.pass(100 * MS);
        world
    }

    /// Lets time pass in steps from deadline to deadline.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.session.wake(self.now);
            while let Some(out) = self.session.pop(self.now) {
                match out {
                    Out::Text(text) => self
                        .said
                        .push((self.now - self.start, serde_json::from_str(&text).unwrap())),
                    end => self.ends.push(end),
                }
            }
            match self.session.next_due() {
                Some(due) if due <= until => self.now = due.max(self.now),
                _ => break,
            }
        }
        self.now = until;
    }

    fn send(&mut self, event: &Value) {
        self.session.on_text(self.now, &event.to_string());
    }

    fn phone(&mut self) {
        self.send(
            &json!({"type": "session.update", "session": {"type": "realtime", "audio": {
            "input": {"format": {"type": "audio/pcmu"}, "transcription": {"model": "whisper-1"},
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 500,
                    "create_response": true, "interrupt_response": true}},
            "output": {"format": {"type": "audio/pcmu"}}}}}),
        );
        self.pass(100 * MS);
    }

    /// 20 ms of the caller, in real time.
    fn frame(&mut self, mut frame: [u8; 160], label: u8) {
        let stream = StreamId {
            voice: Voice::Caller,
            call: 5,
            part: 0,
        };
        stamp(
            &mut frame,
            FrameId {
                stream,
                counter: self.frames,
                label,
            },
        );
        self.frames += 1;
        self.send(&json!({"type": "input_audio_buffer.append", "audio": STANDARD.encode(frame)}));
        self.pass(20 * MS);
    }

    fn speak(&mut self, utterance: Utterance) {
        for n in 0..utterance.frames() {
            self.frame(utterance.frame(n), utterance.label());
        }
    }

    fn silence(&mut self, frames: u32) {
        for _ in 0..frames {
            self.frame([SILENCE; 160], 0);
        }
    }

    fn kinds(&self) -> Vec<&str> {
        self.said
            .iter()
            .map(|(_, event)| event["type"].as_str().unwrap())
            .collect()
    }

    /// All events of this type since the last call of [`World::forget`].
    fn all(&self, kind: &str) -> Vec<&Value> {
        self.said
            .iter()
            .map(|(_, event)| event)
            .filter(|event| event["type"] == kind)
            .collect()
    }

    fn at(&self, kind: &str) -> Duration {
        self.said
            .iter()
            .find(|(_, event)| event["type"] == kind)
            .unwrap()
            .0
    }

    fn forget(&mut self) {
        self.said.clear();
    }

    fn error_code(&mut self, event: &Value) -> String {
        self.forget();
        self.send(event);
        self.pass(100 * MS);
        self.all("error")[0]["error"]["code"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

#[test]
fn a_session_begins_with_linear_audio_and_an_expiry() {
    let world = World::new(SimOptions::default());
    let created = &world.all("session.created")[0]["session"];
    assert_eq!(created["expires_at"], 4_600);
    assert_eq!(created["audio"]["input"]["format"]["type"], "audio/pcm");
}

#[test]
fn the_events_of_a_response_come_in_the_real_order_and_time() {
    let mut world = World::new(SimOptions {
        jitter: 0.0,
        ..SimOptions::default()
    });
    world.phone();
    world.forget();
    let start = world.now - world.start;
    world.send(&json!({"type": "response.create"}));
    world.pass(5_000 * MS);
    let mut kinds = world.kinds();
    kinds.dedup();
    let deltas = [
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
    ];
    let frame: Vec<&str> = kinds
        .iter()
        .copied()
        .filter(|kind| !deltas.contains(kind))
        .collect();
    assert_eq!(
        frame,
        [
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
    );
    let created = world.at("response.created");
    assert_eq!(created - start, 30 * MS);
    assert_eq!(world.at("response.output_item.added") - created, 303 * MS);
    assert_eq!(world.at("response.output_audio.delta") - created, 431 * MS);
    assert_eq!(
        world.at("rate_limits.updated") - world.at("response.done"),
        29 * MS
    );
    let done = world.all("response.done")[0];
    assert_eq!(done["response"]["status"], "completed");
    let audio_tokens = &done["response"]["usage"]["output_token_details"]["audio_tokens"];
    assert_eq!(
        audio_tokens.as_u64().unwrap(),
        u64::from(Utterance::COLD_HEARTED.frames()) * 20 / 50
    );
    let response = &world.session.record().responses[0];
    assert_eq!(
        response.sent.len(),
        Utterance::COLD_HEARTED.frames() as usize
    );
    assert_eq!(response.outcome, Outcome::Completed);
}

#[test]
fn a_turn_is_found_in_audio_time_transcribed_and_answered() {
    let mut world = World::new(SimOptions::default());
    world.phone();
    world.forget();
    world.silence(50);
    world.speak(Utterance::QUEEN_OF_CLUBS);
    world.silence(60);
    let started = world.all("input_audio_buffer.speech_started")[0].clone();
    let stopped = world.all("input_audio_buffer.speech_stopped")[0].clone();
    assert_eq!(started["item_id"], stopped["item_id"]);
    assert!((700..1_200).contains(&started["audio_start_ms"].as_u64().unwrap()));
    let kinds = world.kinds();
    let place = |kind: &str| kinds.iter().position(|other| *other == kind).unwrap();
    assert!(place("input_audio_buffer.speech_stopped") < place("input_audio_buffer.committed"));
    assert!(place("input_audio_buffer.committed") < place("conversation.item.added"));
    assert!(place("conversation.item.added") < place("response.created"));
    world.pass(3_000 * MS);
    let transcribed = world.all("conversation.item.input_audio_transcription.completed")[0];
    assert_eq!(
        transcribed["transcript"],
        Utterance::QUEEN_OF_CLUBS.recording().transcript
    );
    assert_eq!(world.session.record().call, Some(5));
    assert_eq!(
        world.session.record().ledger.received(),
        u64::from(world.frames)
    );
}

#[test]
fn speech_cancels_the_answer_that_is_being_generated() {
    let mut world = World::new(SimOptions {
        speed: Speed::Times(1.0),
        ..SimOptions::default()
    });
    world.phone();
    world.send(&json!({"type": "response.create"}));
    world.pass(1_500 * MS);
    world.forget();
    world.speak(Utterance::YOUNG_MAN);
    assert!(
        !world.all("response.output_audio.delta").is_empty(),
        "audio was still coming"
    );
    let done = world.all("response.done")[0];
    assert_eq!(done["response"]["status"], "cancelled");
    assert_eq!(
        done["response"]["status_details"],
        json!({"type": "cancelled", "reason": "turn_detected"})
    );
    assert_eq!(
        world.all("conversation.item.done")[0]["item"]["status"],
        "incomplete"
    );
    let response = &world.session.record().responses[0];
    let interruption = response.interrupted.unwrap();
    assert_eq!(response.outcome, Outcome::Cancelled);
    assert_eq!(
        response.sent.len() as u32,
        interruption.frames_before + 13,
        "one late delta"
    );
    // What the item has now is what was sent in time.
    let too_long = json!({"type": "conversation.item.truncate", "item_id": response.item_id, "content_index": 0,
        "audio_end_ms": u64::from(interruption.frames_before) * 20 + 1});
    assert_eq!(world.error_code(&too_long), "invalid_value");
    let right = json!({"type": "conversation.item.truncate", "item_id": response.item_id, "content_index": 0,
        "audio_end_ms": u64::from(interruption.frames_before) * 20});
    world.send(&right);
    world.pass(100 * MS);
    assert_eq!(world.all("conversation.item.truncated").len(), 1);
    let accepted: Vec<bool> = world
        .session
        .record()
        .truncates
        .iter()
        .map(|truncate| truncate.accepted)
        .collect();
    assert_eq!(accepted, [false, true]);
}

#[test]
fn a_tool_is_called_once_and_its_result_is_answered() {
    let tools = vec![ToolScript {
        time: ToolTime::Turn(1),
        name: "book".into(),
        arguments: json!({"t": "11:15"}),
    }];
    let mut world = World::new(SimOptions {
        tools,
        ..SimOptions::default()
    });
    world.phone();
    world.send(
        &json!({"type": "session.update", "session": {"type": "realtime", "tools": [
        {"type": "function", "name": "book", "parameters": {"type": "object"}}]}}),
    );
    world.silence(10);
    world.speak(Utterance::AMIABLE);
    world.silence(80);
    world.pass(1_000 * MS);
    let done = world.all("response.function_call_arguments.done")[0].clone();
    assert_eq!(
        (done["name"].clone(), done["arguments"].clone()),
        (json!("book"), json!(r#"{"t":"11:15"}"#))
    );
    assert_eq!(
        world.all("response.done")[0]["response"]["output"][0]["type"],
        "function_call"
    );
    assert!(world.all("response.content_part.added").is_empty());
    world.forget();
    let output =
        json!({"type": "function_call_output", "call_id": done["call_id"], "output": "{}"});
    world.send(&json!({"type": "conversation.item.create", "item": output}));
    world.send(&json!({"type": "response.create"}));
    world.pass(5_000 * MS);
    assert_eq!(
        world.all("conversation.item.added")[0]["item"]["type"],
        "function_call_output"
    );
    assert!(!world.all("response.output_audio.delta").is_empty());
}

#[test]
fn mistakes_are_answered_by_name_and_change_nothing() {
    let mut world = World::new(SimOptions::default());
    world.phone();
    let cancel = json!({"type": "response.cancel"});
    assert_eq!(world.error_code(&cancel), "response_cancel_not_active");
    let odd = json!({"type": "session.sing", "event_id": "mine"});
    assert_eq!(world.error_code(&odd), "invalid_value");
    assert_eq!(world.all("error")[0]["error"]["event_id"], "mine");
    let empty = json!({"type": "input_audio_buffer.commit"});
    assert_eq!(world.error_code(&empty), "input_audio_buffer_commit_empty");
    let bad = json!({"type": "input_audio_buffer.append", "audio": "%"});
    assert_eq!(world.error_code(&bad), "invalid_value");
    world.send(&json!({"type": "response.create"}));
    assert_eq!(
        world.error_code(&json!({"type": "response.create"})),
        "conversation_already_has_active_response"
    );
    for text in ["", "[1]", "{\"type\":1}", "nonsense"] {
        world.session.on_text(world.now, text);
    }
    world.session.on_binary(world.now);
    world.pass(5_000 * MS);
    assert_eq!(world.session.record().client_events["unknown"], 1);
    assert_eq!(world.session.record().responses.len(), 1);
    assert!(world.ends.is_empty());
}

#[test]
fn a_response_outside_of_the_conversation_runs_beside_it() {
    let mut world = World::new(SimOptions::default());
    world.phone();
    world.forget();
    world.send(&json!({"type": "response.create"}));
    world.send(&json!({"type": "response.create", "response": {
        "conversation": "none", "output_modalities": ["text"], "metadata": {"k": "v"}}}));
    world.pass(5_000 * MS);
    let done = world.all("response.done");
    assert_eq!(done.len(), 2);
    assert!(
        done.iter()
            .any(|event| event["response"]["metadata"]["k"] == "v")
    );
    assert!(!world.all("response.output_text.delta").is_empty());
    assert_eq!(world.all("conversation.item.added").len(), 1);
}

#[test]
fn a_session_expires_with_an_error_and_1001() {
    let mut world = World::new(SimOptions {
        session_limit: Duration::from_secs(20),
        ..SimOptions::default()
    });
    world.pass(Duration::from_secs(21));
    assert_eq!(world.all("error")[0]["error"]["code"], "session_expired");
    assert!(matches!(&world.ends[..], [Out::Close { code: 1_001, .. }]));
}

#[test]
fn faults_strike_in_the_middle_of_a_response() {
    let fault = Fault::Close {
        code: 1_011,
        reason: "internal".into(),
    };
    let faults = vec![FaultRule::always(
        When::Delta {
            response: 1,
            deltas: 3,
        },
        fault,
    )];
    let mut world = World::new(SimOptions {
        faults,
        ..SimOptions::default()
    });
    world.phone();
    world.send(&json!({"type": "response.create"}));
    world.pass(5_000 * MS);
    assert_eq!(world.all("response.output_audio.delta").len(), 3);
    assert!(matches!(&world.ends[..], [Out::Close { code: 1_011, .. }]));
    world.session.closed(world.now, "test".into());
    let response = &world.session.record().responses[0];
    assert_eq!(
        (response.outcome, response.sent.len()),
        (Outcome::Cut, 10 + 13 + 13)
    );
}

#[test]
fn an_error_of_the_server_fails_the_response_and_not_the_session() {
    let faults = vec![FaultRule::always(
        When::Delta {
            response: 1,
            deltas: 1,
        },
        Fault::ServerError,
    )];
    let mut world = World::new(SimOptions {
        faults,
        late_deltas: 0,
        ..SimOptions::default()
    });
    world.phone();
    world.send(&json!({"type": "response.create"}));
    world.pass(2_000 * MS);
    assert_eq!(world.all("error")[0]["error"]["type"], "server_error");
    assert_eq!(
        world.all("response.done")[0]["response"]["status"],
        "failed"
    );
    world.forget();
    world.send(&json!({"type": "response.create"}));
    world.pass(5_000 * MS);
    assert_eq!(
        world.all("response.done")[0]["response"]["status"],
        "completed"
    );
}

#[test]
fn manual_turns_are_committed_by_the_client() {
    let mut world = World::new(SimOptions::default());
    world.phone();
    world.send(
        &json!({"type": "session.update", "session": {"type": "realtime",
        "audio": {"input": {"turn_detection": null}}}}),
    );
    world.speak(Utterance::AMIABLE);
    world.silence(60);
    assert!(world.all("input_audio_buffer.speech_started").is_empty());
    world.forget();
    world.send(&json!({"type": "input_audio_buffer.commit"}));
    world.pass(2_000 * MS);
    let item = world.all("input_audio_buffer.committed")[0]["item_id"].clone();
    assert!(world.all("response.created").is_empty());
    world.forget();
    world.send(&json!({"type": "conversation.item.retrieve", "item_id": item}));
    world.pass(100 * MS);
    let audio = world.all("conversation.item.retrieved")[0]["item"]["content"][0]["audio"].clone();
    let bytes = STANDARD.decode(audio.as_str().unwrap()).unwrap();
    assert_eq!(bytes.len() as u32, (Utterance::AMIABLE.frames() + 60) * 160);
}

#[test]
fn silence_after_an_answer_times_out_if_wanted() {
    let mut world = World::new(SimOptions::default());
    world.phone();
    world.send(
        &json!({"type": "session.update", "session": {"type": "realtime",
        "audio": {"input": {"turn_detection": {"idle_timeout_ms": 2_000}}}}}),
    );
    world.send(&json!({"type": "response.create"}));
    world.pass(5_000 * MS);
    assert!(
        world.all("input_audio_buffer.timeout_triggered").is_empty(),
        "the answer is still being heard"
    );
    world.pass(5_000 * MS);
    assert_eq!(world.all("input_audio_buffer.timeout_triggered").len(), 1);
    assert_eq!(world.all("response.created").len(), 2);
}
