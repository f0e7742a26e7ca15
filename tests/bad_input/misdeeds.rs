//! What a bad worker says, and what the edge must say of it.

use std::time::Duration;

use holdline_wire::v1::{
    self, Command, Commit, StateEntry,
    command::Command as Kind,
    send::Payload,
    serve_response::Message::{self, Accept, Released},
};

/// One way to break the worker protocol.
pub(crate) struct Misdeed {
    pub(crate) name: &'static str,
    /// What is said in place of an honest commit through this seq; `None` is a message without any
    /// content that the edge knows.
    pub(crate) says: fn(u64) -> Vec<Option<Message>>,
    /// How the loss of the worker is called.
    pub(crate) kind: &'static str,
    /// What its description holds.
    pub(crate) told: &'static str,
}

/// Breaks a rule of the session: named in the log, so that the worker's author can find it.
const fn rule(told: &'static str, says: fn(u64) -> Vec<Option<Message>>) -> Misdeed {
    Misdeed {
        name: told,
        says,
        kind: "refused",
        told,
    }
}

/// Cannot be understood.
const fn malformed(
    name: &'static str,
    told: &'static str,
    says: fn(u64) -> Vec<Option<Message>>,
) -> Misdeed {
    Misdeed {
        name,
        says,
        kind: "refused",
        told,
    }
}

pub(crate) const MISDEEDS: &[Misdeed] = &[
    rule("ahead", |seq| vec![commit(seq + 1_000, |_| {})]),
    rule("behind", |seq| {
        vec![commit(seq, |_| {}), commit(seq - 1, |_| {})]
    }),
    rule("state_too_large", |seq| {
        vec![commit(seq, state(5, 250 << 10))]
    }),
    rule("value_too_large", |seq| {
        vec![commit(seq, state(1, 300 << 10))]
    }),
    rule("too_many_keys", |seq| vec![commit(seq, state(1_025, 1))]),
    rule("schema_change", |seq| {
        vec![
            commit(seq, state(1, 1)),
            commit(seq, |commit| commit.state_schema = 2),
        ]
    }),
    rule("timer_too_long", |seq| {
        let after_us = u64::try_from(Duration::from_secs(90_000).as_micros()).unwrap();
        vec![command(seq, Some(timer("t", after_us)))]
    }),
    rule("too_many_timers", |seq| {
        vec![commit(seq, |commit| {
            let timers = (0..65).map(|n| timer(&format!("t{n}"), 1_000_000));
            commit.commands = timers.map(|it| Command { command: Some(it) }).collect();
        })]
    }),
    rule("bad_name", |seq| vec![command(seq, Some(timer("", 1)))]),
    rule("released_unasked", |_| {
        vec![Some(Released(v1::Released {}))]
    }),
    rule("answer_repeated", |_| vec![Some(Accept(v1::Accept {}))]),
    malformed("unknown_message", "without a message", |_| vec![None]),
    malformed(
        "unknown_command",
        "no command that this edge knows",
        |seq| vec![command(seq, None)],
    ),
    malformed("no_payload", "neither text nor binary", |seq| {
        vec![command(seq, Some(send(None)))]
    }),
    malformed("no_text", "not UTF-8", |seq| {
        vec![command(
            seq,
            Some(send(Some(Payload::Text(b"\xff\xfe".to_vec().into())))),
        )]
    }),
    malformed("close_code", "close code 1006", |seq| {
        let close = v1::CloseLeg {
            leg: "caller".to_owned(),
            code: 1006,
            ..v1::CloseLeg::default()
        };
        vec![command(seq, Some(Kind::CloseLeg(close)))]
    }),
    Misdeed {
        name: "huge_message",
        says: |seq| vec![commit(seq, state(1, 20 << 20))],
        kind: "stream",
        told: "OutOfRange",
    },
];

/// A commit through `seq`, with a change.
pub(crate) fn commit(seq: u64, change: impl FnOnce(&mut Commit)) -> Option<Message> {
    let mut commit = Commit {
        through_seq: seq,
        state_schema: 1,
        ..Commit::default()
    };
    change(&mut commit);
    Some(Message::Commit(commit))
}

fn command(seq: u64, command: Option<Kind>) -> Option<Message> {
    commit(seq, |commit| commit.commands = vec![Command { command }])
}

/// So many values of so many bytes.
fn state(values: usize, bytes: usize) -> impl FnOnce(&mut Commit) {
    move |commit| {
        let entry = |n| StateEntry {
            key: format!("key {n}"),
            value: vec![7; bytes].into(),
        };
        commit.put = (0..values).map(entry).collect();
    }
}

fn timer(name: &str, after_us: u64) -> Kind {
    Kind::SetTimer(v1::SetTimer {
        name: name.to_owned(),
        after_us,
        tag: 1,
    })
}

pub(crate) fn send(payload: Option<Payload>) -> Kind {
    Kind::Send(v1::Send {
        leg: "caller".to_owned(),
        incarnation: 0,
        payload,
    })
}
