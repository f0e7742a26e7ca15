//! A whole call in the order in which real sockets bring it: greeting, a turn, an interruption in
//! mid-answer, a function, the good-bye. Times in ms from the accepted caller socket.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::world::{
    Input, World, added, audio, created, delta, done, function_call, mark, media, transcript,
};

/// Everything that both sides say, in order of time.
pub(super) fn recording() -> Vec<(u64, Input)> {
    let mut script = Script(Vec::new());
    script.beginning();
    script.interrupted_turn();
    script.booking();
    for frame in 0..850 {
        script.0.push((20 + frame * 20, media(20 + frame * 20)));
    }
    script.0.sort_by_key(|(ms, _)| *ms);
    script.0
}

struct Script(Vec<(u64, Input)>);

impl Script {
    /// The sockets open, and the agent greets.
    fn beginning(&mut self) {
        self.caller(
            4,
            json!({"event": "connected", "protocol": "Call", "version": "1.0.0"}),
        );
        self.caller(
            5,
            json!({
                "event": "start", "sequenceNumber": "1", "streamSid": "MZ5f",
                "start": {"streamSid": "MZ5f", "callSid": "CA77", "tracks": ["inbound"]},
            }),
        );
        self.0.push((185, Input::ModelOpened(1)));
        self.model(
            230,
            json!({"type": "session.created", "session": {"expires_at": 1_795_266_000u64}}),
        );
        self.model(298, json!({"type": "session.updated", "session": {}}));
        self.answer(
            393,
            ("R1", "A1"),
            13,
            "Hi, Blue Door Dental, how can I help?",
        );
        self.marks(
            1_055,
            "g0:A1",
            &[
                200, 450, 700, 950, 1_200, 1_450, 1_700, 1_950, 2_200, 2_450, 2_700, 2_950, 3_200,
            ],
        );
    }

    /// The caller asks, and interrupts the answer.
    fn interrupted_turn(&mut self) {
        self.turn(5_220, 7_760, "U1");
        self.answer(
            7_790,
            ("R2", "A2"),
            29,
            "We have eleven fifteen or two in the afternoon, which suits you best?",
        );
        self.model(
            8_500,
            json!({
                "type": "conversation.item.input_audio_transcription.completed",
                "item_id": "U1", "transcript": "I'd like to book a cleaning on Tuesday.",
            }),
        );
        self.marks(
            8_451,
            "g0:A2",
            &(0..12).map(|n| 200 + n * 250).collect::<Vec<_>>(),
        );
        self.model(11_230, json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": 10_680, "item_id": "U2"}));
        for n in 12..29 {
            self.caller(11_250, mark(&format!("g0:A2:{}", 200 + n * 250)));
        }
        self.model(
            11_291,
            json!({"type": "conversation.item.truncated", "item_id": "A2", "audio_end_ms": 2_980}),
        );
    }

    /// The caller chooses; a function is called; good-bye.
    fn booking(&mut self) {
        self.model(12_950, json!({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 12_880, "item_id": "U2"}));
        self.model(12_952, added("U2", "user"));
        self.model(12_980, created("R3"));
        self.model(
            13_300,
            function_call("R3", "call_9", "book_slot", r#"{"t":"11:15"}"#),
        );
        self.model(13_330, done("R3", "completed"));
        self.0.push((13_340, Input::ToolDone(0, r#"{"ok":true}"#)));
        self.model(13_403, json!({"type": "conversation.item.added", "item": {"id": "hl_2", "type": "function_call_output"}}));
        self.answer(13_434, ("R4", "A3"), 9, "Booked for eleven fifteen. Bye!");
        self.marks(
            14_095,
            "g1:A3",
            &(0..9).map(|n| 200 + n * 250).collect::<Vec<_>>(),
        );
        self.caller(
            17_000,
            json!({"event": "stop", "streamSid": "MZ5f", "stop": {"callSid": "CA77"}}),
        );
    }

    fn model(&mut self, ms: u64, event: Value) {
        self.0.push((ms, Input::Model(event.to_string())));
    }

    fn caller(&mut self, ms: u64, event: Value) {
        self.0.push((ms, Input::Caller(event.to_string())));
    }

    fn turn(&mut self, from: u64, to: u64, item: &str) {
        self.model(
            from,
            json!({"type": "input_audio_buffer.speech_started", "item_id": item}),
        );
        self.model(
            to,
            json!({"type": "input_audio_buffer.speech_stopped", "item_id": item}),
        );
        self.model(
            to + 2,
            json!({"type": "input_audio_buffer.committed", "item_id": item}),
        );
        self.model(to + 3, added(item, "user"));
    }

    /// A spoken response: 200 ms first, then 250 ms each, eight times as fast as it plays.
    fn answer(&mut self, from: u64, (response, item): (&str, &str), deltas: u64, words: &str) {
        self.model(from, created(response));
        self.model(from + 303, added(item, "assistant"));
        for (n, word) in words.split_inclusive(' ').enumerate() {
            self.model(
                from + 310 + n as u64,
                json!({
                    "type": "response.output_audio_transcript.delta", "response_id": response,
                    "item_id": item, "delta": word, "obfuscation": "Ms39",
                }),
            );
        }
        for n in 0..deltas {
            let ms = if n == 0 { 200 } else { 250 };
            self.model(from + 431 + n * 33, delta(response, item, ms));
        }
        let end = from + 431 + deltas * 33;
        self.model(
            end,
            json!({"type": "response.output_audio.done", "response_id": response, "item_id": item}),
        );
        self.model(end, transcript(item, words));
        self.model(end, done(response, "completed"));
        self.model(end + 29, json!({"type": "rate_limits.updated"}));
    }

    /// Echoes of marks as they are played.
    fn marks(&mut self, first: u64, name: &str, played: &[u64]) {
        for ms in played {
            self.caller(first + ms - played[0], mark(&format!("{name}:{ms}")));
        }
    }
}

struct Heard {
    ms: u64,
    to_model: Vec<Value>,
    to_caller: Vec<Value>,
}

fn played() -> Vec<Heard> {
    let mut world = World::new();
    let mut heard = vec![Heard {
        ms: 0,
        to_model: world.model_heard(),
        to_caller: world.caller_heard(),
    }];
    for (ms, input) in recording() {
        world.put(ms, &input);
        heard.push(Heard {
            ms,
            to_model: world.model_heard(),
            to_caller: world.caller_heard(),
        });
    }
    heard
}

#[test]
fn the_model_is_told_settings_then_audio_then_what_the_turns_need() {
    let told: Vec<(u64, Value)> = played()
        .into_iter()
        .flat_map(|heard| {
            heard
                .to_model
                .into_iter()
                .map(move |event| (heard.ms, event))
        })
        .collect();
    assert_eq!(told[0].1["type"], "session.update");
    let audio = told
        .iter()
        .filter(|(_, event)| event["type"] == "input_audio_buffer.append");
    assert_eq!(audio.count(), 850);
    let rest: Vec<_> = told
        .iter()
        .filter(|(_, event)| event["type"] != "input_audio_buffer.append")
        .map(|(ms, event)| (*ms, event["type"].as_str().unwrap()))
        .collect();
    assert_eq!(
        rest,
        [
            (0, "session.update"),
            (298, "response.create"),
            (11_230, "conversation.item.truncate"),
            (13_340, "conversation.item.create"),
            (13_340, "response.create"),
        ]
    );
}

#[test]
fn the_interrupted_answer_is_cut_where_the_caller_stopped_hearing_it() {
    let heard = played();
    let moment = heard
        .iter()
        .find(|heard| heard.ms == 11_230 && !heard.to_model.is_empty())
        .unwrap();
    assert_eq!(
        moment.to_caller,
        [json!({"event": "clear", "streamSid": "MZ5f"})]
    );
    let cut = &moment.to_model[0];
    assert_eq!(cut["item_id"], "A2");
    // The mark of 2,950 was echoed 29 ms before.
    assert_eq!(cut["audio_end_ms"], 2_979);
    // What clear made the carrier echo is not taken for played.
    let after = heard.iter().filter(|heard| heard.ms == 11_250);
    assert!(after.flat_map(|heard| &heard.to_caller).next().is_none());
}

#[test]
fn the_caller_gets_every_delta_unchanged_with_a_mark_behind_each() {
    let told: Vec<Value> = played()
        .into_iter()
        .flat_map(|heard| heard.to_caller)
        .collect();
    let media: Vec<_> = told
        .iter()
        .filter(|event| event["event"] == "media")
        .collect();
    assert_eq!(media.len(), 13 + 29 + 9);
    assert_eq!(media[0]["media"]["payload"], audio(200));
    assert!(told.iter().all(|event| event["streamSid"] == "MZ5f"));
    let marks: Vec<_> = told
        .iter()
        .filter_map(|event| event["mark"]["name"].as_str())
        .collect();
    assert_eq!(marks.len(), media.len());
    assert_eq!((marks[0], marks[50]), ("g0:A1:200", "g1:A3:2200"));
}

#[test]
fn the_function_is_asked_and_its_output_told_once() {
    let mut world = World::new();
    let mut asked = Vec::new();
    for (ms, input) in recording() {
        world.put(ms, &input);
        asked.extend(world.asked().into_iter().cloned());
    }
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].arguments.expose(), r#"{"t":"11:15"}"#);
    assert_eq!(asked[0].call_sid.as_ref().unwrap().as_str(), "CA77");
    let output = world.stored("history/00000005");
    assert!(
        output.contains("call_9") && output.contains("ok"),
        "{output}"
    );
}
