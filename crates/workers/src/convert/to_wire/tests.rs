#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use holdline_session::{Epoch, Inputs, LegRef, Seq, Time};

use super::*;

fn messages(message_bytes: u64, said: ToWorker) -> Vec<v1::ServeRequest> {
    let limits = Limits {
        message_bytes,
        ..Limits::default()
    };
    let batches = Batches::new(&limits, "00-aa-bb-01".to_owned());
    let mut messages = Vec::new();
    batches.messages(said, |message| messages.push(message));
    messages
}

fn frame_input(seq: u64, bytes: usize) -> Input {
    Input {
        seq: Seq(seq),
        at: Time(1_000 + seq),
        kind: InputKind::Frame {
            leg: LegRef::new("caller", 1),
            payload: Payload::Text(Bytes::from(vec![b'a'; bytes])),
        },
    }
}

fn attach(state: Vec<(String, Bytes)>) -> Attach {
    Attach {
        reason: AttachReason::Handoff,
        state,
        schema: 3,
        legs: vec![LegView {
            name: holdline_session::LegName::new("caller"),
            incarnation: holdline_session::Incarnation(2),
            state: LegState::Awaited,
            attributes: [("call_sid".to_owned(), "CA1".to_owned())].into(),
        }],
        timers: vec![("t".to_owned(), Duration::from_millis(3), 9)],
        next_seq: Seq(41),
    }
}

fn attach_parts(messages: Vec<v1::ServeRequest>) -> Vec<v1::Attach> {
    messages
        .into_iter()
        .map(|message| match message.message {
            Some(Message::Attach(part)) => part,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn small_state_travels_in_one_attach_with_everything_in_it() {
    let said = ToWorker::Attach(Box::new(attach(vec![("k".into(), Bytes::from("v"))])));
    let mut parts = attach_parts(messages(1 << 20, said));
    assert_eq!(parts.len(), 1);
    let part = parts.remove(0);
    assert!(!part.more_state);
    assert_eq!(part.reason(), v1::AttachReason::Handoff);
    assert_eq!((part.state_schema, part.next_seq), (3, 41));
    assert_eq!(part.legs[0].state(), v1::LegState::Awaited);
    assert_eq!(part.timers[0].remaining_us, 3_000);
    assert_eq!(part.protocol_revision, holdline_wire::PROTOCOL_REVISION);
    assert_eq!(part.commands, holdline_wire::COMMANDS);
    assert_eq!(part.traceparent, "00-aa-bb-01");
    assert_eq!(part.limits.unwrap().max_uncommitted_inputs, 256);
}

#[test]
fn large_state_is_split_and_comes_out_whole_and_in_order() {
    let state: Vec<_> = (0..40)
        .map(|n| (format!("key{n:02}"), Bytes::from(vec![n; 500])))
        .collect();
    let said = ToWorker::Attach(Box::new(attach(state.clone())));
    let messages = messages(2_000, said);
    assert!(messages.iter().all(|m| m.encoded_len() <= 2_000));
    let parts = attach_parts(messages);
    assert!(parts.len() > 10);
    let (last, others) = parts.split_last().unwrap();
    assert!(others.iter().all(|part| part.more_state) && !last.more_state);
    assert!(parts[1..].iter().all(|part| part.legs.is_empty()));
    let joined: Vec<_> = parts
        .into_iter()
        .flat_map(|part| part.state)
        .map(|entry| (entry.key, entry.value))
        .collect();
    assert_eq!(joined, state);
}

#[test]
fn inputs_are_grouped_and_one_larger_goes_alone() {
    let sizes = [400, 400, 400, 5_000, 10, 10];
    let inputs = sizes
        .iter()
        .zip(1..)
        .map(|(bytes, seq)| frame_input(seq, *bytes))
        .collect();
    let messages = messages(1_000, ToWorker::Inputs { inputs, applied: 7 });
    let groups: Vec<Vec<u64>> = messages
        .into_iter()
        .map(|message| match message.message {
            Some(Message::Inputs(inputs)) => {
                assert_eq!(inputs.applied, 7);
                inputs.inputs.iter().map(|input| input.seq).collect()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(groups, [vec![1, 2], vec![3], vec![4], vec![5, 6]]);
}

#[test]
fn news_of_applied_commits_travel_without_inputs() {
    let messages = messages(
        1_000,
        ToWorker::Inputs {
            inputs: Inputs::new(),
            applied: 3,
        },
    );
    assert_eq!(
        messages,
        [request(Message::Inputs(v1::Inputs {
            inputs: Vec::new(),
            applied: 3
        }))]
    );
}

#[test]
fn an_offer_names_session_epoch_and_schema() {
    let seek = Seek {
        epoch: Epoch(5),
        reason: AttachReason::Recovery,
        schema: 2,
        avoid: None,
        planned: false,
        suspect: Some(Seq(7)),
        doubt: Some(Seq(9)),
        failed: Vec::new(),
    };
    let Some(Message::Offer(offer)) = offer(SessionId(255), &seek, Default::default()).message
    else {
        panic!("not an offer");
    };
    assert_eq!(offer.session_id, format!("{:032x}", 255));
    assert_eq!((offer.epoch, offer.state_schema), (5, 2));
    assert_eq!((offer.suspect_through, offer.doubt_through), (7, 9));
}
