use super::*;
use crate::identity::model_part;
use crate::openai::record::{AppendedFrame, Interruption};
use crate::twilio::record::{HeardFrame, SentFrame, StreamRecord};

const MS: Duration = Duration::from_millis(1);

struct Scene {
    start: Instant,
    call: CallRecord,
    model: ConnectionRecord,
}

/// A call of ten frames to the model, and a response of ten frames to the caller, of which
/// nothing has arrived yet.
fn scene() -> Scene {
    let start = Instant::now();
    let mut stream = StreamRecord::new("MZ1".into(), 0, start);
    stream.sent = (0..10)
        .map(|n| SentFrame {
            at: start + 20 * MS * n,
            sent: true,
        })
        .collect();
    let call = CallRecord {
        call: 7,
        call_sid: "CA1".into(),
        streams: vec![stream],
        failed_connects: Vec::new(),
        started: start,
        ended: start + 1_000 * MS,
    };
    let mut model = ConnectionRecord::new(1, "m".into(), start);
    model.call = Some(7);
    model.responses.push(ResponseRecord {
        number: 1,
        id: "resp".into(),
        item_id: "item".into(),
        call: 7,
        part: model_part(1, 1),
        created: start,
        function: None,
        planned_frames: 10,
        sent: (0..10).map(|n| start + MS * n).collect(),
        interrupted: None,
        outcome: Outcome::Completed,
    });
    Scene { start, call, model }
}

impl Scene {
    fn append(&mut self, counter: u32) {
        let stream = StreamId {
            voice: Voice::Caller,
            call: 7,
            part: 0,
        };
        let id = FrameId {
            stream,
            counter,
            label: 0,
        };
        self.model.ledger.record(id);
        self.model.appended.push(AppendedFrame {
            id,
            at: self.start + 20 * MS * counter + 3 * MS,
        });
    }

    fn hear(&mut self, counter: u32) {
        let stream = StreamId {
            voice: Voice::Model,
            call: 7,
            part: model_part(1, 1),
        };
        let id = FrameId {
            stream,
            counter,
            label: 0,
        };
        let received = self.start + MS * counter + 5 * MS;
        self.call.streams[0].ledger.record(id);
        self.call.streams[0].heard.push(HeardFrame {
            id,
            received,
            plays_at: received,
            fate: Fate::Played,
        });
    }

    fn judge(&self) -> Account {
        account(&self.call, [&self.model])
    }
}

#[test]
fn a_perfect_call() {
    let mut scene = scene();
    for n in 0..10 {
        scene.append(n);
        scene.hear(n);
    }
    let account = scene.judge();
    assert!(account.to_model.is_perfect() && account.to_caller.is_perfect());
    assert_eq!((account.to_model.sent, account.to_model.received), (10, 10));
    assert_eq!(
        (account.to_caller.sent, account.to_caller.received),
        (10, 10)
    );
    assert_eq!(account.to_model.delay_max(), 3 * MS);
    assert_eq!(account.to_caller.delay_quantile(0.5), 5 * MS);
}

#[test]
fn loss_repetition_and_order_are_told_apart() {
    let mut scene = scene();
    for n in [0, 1, 1, 3, 2, 5, 6, 7, 8, 9] {
        scene.append(n);
    }
    scene.call.streams[0].sent[9].sent = false; // Discarded before it left.
    let way = scene.judge().to_model;
    assert_eq!(
        (
            way.sent,
            way.received,
            way.lost,
            way.duplicated,
            way.reordered
        ),
        (9, 9, 1, 1, 1)
    );
    assert_eq!(way.lost_frames[0].counter, 4);
}

#[test]
fn the_late_audio_of_an_interruption_is_no_loss() {
    let mut scene = scene();
    scene.model.responses[0].outcome = Outcome::Cancelled;
    scene.model.responses[0].interrupted = Some(Interruption {
        at: scene.start,
        frames_before: 6,
        by_speech: true,
    });
    for n in [0, 1, 2, 3, 5] {
        scene.hear(n);
    }
    let way = scene.judge().to_caller;
    assert_eq!(
        (way.received, way.discarded, way.lost),
        (5, 4, 1),
        "frame 4 has no excuse"
    );
    // When the client cancels, all that is missing at the end was its own will.
    scene.model.responses[0].interrupted = Some(Interruption {
        at: scene.start,
        frames_before: 10,
        by_speech: false,
    });
    let way = scene.judge().to_caller;
    assert_eq!((way.received, way.discarded, way.lost), (5, 4, 1));
}

#[test]
fn a_connection_cut_on_purpose_is_a_column_of_its_own() {
    let mut scene = scene();
    scene.model.responses[0].outcome = Outcome::Cut;
    for n in [0, 2] {
        scene.hear(n);
    }
    let way = scene.judge().to_caller;
    assert_eq!((way.received, way.cut, way.lost), (2, 7, 1));
}

#[test]
fn audio_given_again_to_a_new_session_is_repeated_not_duplicated() {
    let mut scene = scene();
    for n in 0..10 {
        scene.append(n);
    }
    let mut again = scene.model.clone();
    again.responses.clear();
    let account = account(&scene.call, [&scene.model, &again]);
    let way = account.to_model;
    assert_eq!(
        (way.received, way.repeated, way.duplicated, way.lost),
        (10, 10, 0, 0)
    );
}

#[test]
fn other_calls_do_not_matter() {
    let mut scene = scene();
    for n in 0..10 {
        scene.append(n);
    }
    scene.model.call = Some(8);
    let way = scene.judge().to_model;
    assert_eq!((way.received, way.lost), (0, 10));
}
