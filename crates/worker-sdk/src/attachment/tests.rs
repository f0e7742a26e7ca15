//! However a batch is cut, its commits together say what the inputs said, and each fits a message.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use prost::Message as _;

use super::*;
use crate::{Description, WorkerError};

const MESSAGE: u64 = 2_000;

/// One thing that an input leads to.
#[derive(Clone, Debug)]
enum Deed {
    Put(u8, usize),
    Delete(u8),
    Send(usize),
    Fail,
}

/// Does for input N what the Nth list says.
struct Doer(Vec<Vec<Deed>>);

impl Worker for Doer {
    type Session = ();

    fn describe(&self) -> Description {
        Description::new("test")
    }

    fn attach(&self, _call: &mut Call) -> Result<(), WorkerError> {
        Ok(())
    }

    fn handle(&self, (): &mut (), call: &mut Call, _input: Input) -> Result<(), WorkerError> {
        let seq = call.seq();
        for deed in &self.0[usize::try_from(seq).unwrap() - 1] {
            match deed {
                Deed::Put(key, size) => call.raw_put(&format!("k{key}"), value(seq, *size))?,
                Deed::Delete(key) => {
                    call.delete(&format!("k{key}"))?;
                }
                Deed::Send(size) => call.send_binary("caller", value(seq, *size)),
                Deed::Fail => return Err(WorkerError::new("as told")),
            }
        }
        Ok(())
    }
}

fn value(seq: u64, size: usize) -> Vec<u8> {
    vec![u8::try_from(seq % 251).unwrap(); size]
}

/// What an edge knows after commits.
#[derive(Default, PartialEq, Debug)]
struct World {
    state: BTreeMap<String, Bytes>,
    /// The input that sent it (as [`value`] has it), and its size.
    frames: Vec<(Option<u8>, usize)>,
    position: u64,
}

impl World {
    fn apply(&mut self, commit: v1::Commit) {
        assert!(commit.through_seq > self.position, "no progress");
        self.position = commit.through_seq;
        if commit.replace_state {
            self.state.clear();
        }
        for key in &commit.delete {
            assert!(self.state.remove(key).is_some(), "{key} was not there");
        }
        for entry in commit.put {
            let before = self.state.insert(entry.key, entry.value.clone());
            assert_ne!(before, Some(entry.value), "sent without a change");
        }
        for command in commit.commands {
            let Some(v1::command::Command::Send(send)) = command.command else {
                panic!("no Send");
            };
            let Some(v1::send::Payload::Binary(frame)) = send.payload else {
                panic!("no frame");
            };
            self.frames.push((frame.first().copied(), frame.len()));
        }
    }

    /// The same, straight from the deeds.
    fn of(inputs: &[Vec<Deed>]) -> Self {
        let mut world = Self::default();
        for (seq, deeds) in (1..).zip(inputs) {
            if deeds.iter().any(|deed| matches!(deed, Deed::Fail)) {
                break;
            }
            world.position = seq;
            for deed in deeds {
                match deed {
                    Deed::Put(key, size) => {
                        let value = value(seq, *size).into();
                        world.state.insert(format!("k{key}"), value);
                    }
                    Deed::Delete(key) => {
                        world.state.remove(&format!("k{key}"));
                    }
                    Deed::Send(size) => {
                        let frame = value(seq, *size);
                        world.frames.push((frame.first().copied(), frame.len()));
                    }
                    Deed::Fail => {}
                }
            }
        }
        world
    }
}

/// A few small deeds, and now and then one frame that may be larger than a message.
fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let small = prop_oneof![
        8 => (0..4u8, 0..200usize).prop_map(|(key, size)| Deed::Put(key, size)),
        3 => (0..4u8).prop_map(Deed::Delete),
        6 => (0..200usize).prop_map(Deed::Send),
    ];
    let large = proptest::option::weighted(0.1, 0..3 * MESSAGE as usize);
    (vec(small, 0..4), large).prop_map(|(mut deeds, large)| {
        deeds.extend(large.map(Deed::Send));
        deeds
    })
}

fn beginning() -> Beginning {
    Beginning {
        offer: v1::Offer {
            session_id: "s".to_owned(),
            epoch: 1,
            ..v1::Offer::default()
        },
        attach: v1::Attach {
            next_seq: 1,
            limits: Some(v1::Limits {
                max_message_bytes: MESSAGE,
                ..v1::Limits::default()
            }),
            ..v1::Attach::default()
        },
        schema: 1,
    }
}

fn frame(seq: u64) -> v1::Input {
    let frame = v1::Frame {
        leg: "caller".to_owned(),
        incarnation: 1,
        payload: Some(v1::frame::Payload::Binary(Bytes::new())),
    };
    v1::Input {
        seq,
        received_unix_us: seq,
        kind: Some(v1::input::Kind::Frame(frame)),
    }
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        mut inputs in vec(deeds(), 1..40),
        failing in proptest::option::of(0..40usize),
        batch in 1..40usize,
    ) {
        if let Some(deeds) = failing.and_then(|at| inputs.get_mut(at)) {
            deeds.push(Deed::Fail);
        }
        let expected = World::of(&inputs);
        let seqs: Vec<u64> = (1..=inputs.len() as u64).collect();
        let worker = Arc::new(Doer(inputs));
        let (mut attachment, progress) = Attachment::attach(worker, beginning()).unwrap();
        prop_assert!(progress.steps.iter().all(|step| step.commit.is_none()));

        let mut world = World::default();
        for seqs in seqs.chunks(batch) {
            let progress = attachment.inputs(seqs.iter().copied().map(frame).collect());
            for step in progress.steps {
                let commit = step.commit.unwrap();
                let frames = commit.commands.iter().map(|command| command.encoded_len());
                let largest = frames.max().unwrap_or(0);
                prop_assert!(commit.encoded_len() - largest <= MESSAGE as usize);
                world.apply(commit);
            }
            if progress.failure.is_some() {
                break;
            }
        }
        prop_assert_eq!(world, expected);
    }
}
