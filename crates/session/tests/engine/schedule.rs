//! Random schedules: what may happen to a session, small and shrinkable.
//!
//! An operation names its object by a small number, which the world takes modulo what is there, so
//! that any sub-list of a schedule is a schedule.

use proptest::{collection::vec, prelude::*};

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    CallerMedia {
        size: u8,
    },
    CallerControl,
    OutboundFrame {
        leg: u8,
    },
    CallerStop,
    LegOpens {
        leg: u8,
    },
    LegCloses {
        leg: u8,
        network: bool,
    },
    LegWrites {
        leg: u8,
        frames: u8,
    },
    CallerReplaced,
    /// The newest seek is answered: a worker is asked, and says yes.
    Accept,
    /// A worker is asked, and has not answered yet.
    Ask,
    Reject,
    SeekFails,
    TargetLost,
    /// The worker commits this share of what it holds, in quarters.
    Commit {
        quarters: u8,
        change: Change,
    },
    /// It commits what is against the rules.
    Misbehave {
        how: u8,
    },
    Released,
    Draining,
    OperatorMove,
    WorkerLost,
    /// A worker of the past speaks.
    Late {
        which: u8,
        what: u8,
    },
    Wait {
        ms: u16,
    },
    /// The edge itself stands still.
    Freeze {
        ms: u16,
    },
    DeadlineNear,
    End,
    Restore,
}

/// What a commit changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) put: Option<(u8, u8)>,
    pub(crate) delete: Option<u8>,
    pub(crate) replace: bool,
    pub(crate) commands: Vec<Act>,
}

/// One command.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Send {
        leg: u8,
        size: u8,
        incarnation: Option<u8>,
    },
    Open {
        leg: u8,
        known: bool,
    },
    Close {
        leg: u8,
    },
    SetTimer {
        name: u8,
        after_ms: u16,
    },
    HandBack,
    CancelTimer {
        name: u8,
    },
    End,
}

pub(crate) fn schedules() -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 1..240)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        60 => frames(),
        40 => workers(),
        30 => commits(),
        20 => clocks(),
        14 => legs(),
        3 => rare(),
    ]
}

fn frames() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (1u8..40).prop_map(|size| Op::CallerMedia { size }),
        1 => Just(Op::CallerControl),
        3 => any::<u8>().prop_map(|leg| Op::OutboundFrame { leg }),
    ]
}

fn workers() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => Just(Op::Accept),
        1 => Just(Op::Ask),
        1 => Just(Op::Reject),
        1 => Just(Op::SeekFails),
        1 => Just(Op::TargetLost),
        5 => Just(Op::Released),
        3 => Just(Op::Draining),
        1 => Just(Op::OperatorMove),
        2 => Just(Op::WorkerLost),
        4 => (any::<u8>(), any::<u8>()).prop_map(|(which, what)| Op::Late { which, what }),
    ]
}

fn commits() -> impl Strategy<Value = Op> {
    prop_oneof![
        24 => (0u8..=4, change()).prop_map(|(quarters, change)| Op::Commit { quarters, change }),
        1 => any::<u8>().prop_map(|how| Op::Misbehave { how }),
    ]
}

fn clocks() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0u16..60).prop_map(|ms| Op::Wait { ms }),
        4 => (0u16..1_200).prop_map(|ms| Op::Wait { ms }),
        1 => (0u16..4_000).prop_map(|ms| Op::Freeze { ms }),
    ]
}

fn legs() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => any::<u8>().prop_map(|leg| Op::LegOpens { leg }),
        2 => (1u8..3, any::<bool>()).prop_map(|(leg, network)| Op::LegCloses { leg, network }),
        12 => (any::<u8>(), 1u8..5).prop_map(|(leg, frames)| Op::LegWrites { leg, frames }),
        1 => Just(Op::CallerReplaced),
    ]
}

fn rare() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Restore),
        2 => Just(Op::LegCloses { leg: 0, network: true }),
        1 => Just(Op::LegCloses { leg: 0, network: false }),
        2 => Just(Op::DeadlineNear),
        1 => Just(Op::CallerStop),
        1 => Just(Op::End),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let put = proptest::option::weighted(0.5, (0u8..4, any::<u8>()));
    let delete = proptest::option::weighted(0.2, 0u8..4);
    let replace = proptest::bool::weighted(0.05);
    (put, delete, replace, vec(act(), 0..3)).prop_map(|(put, delete, replace, commands)| Change {
        put,
        delete,
        replace,
        commands,
    })
}

fn act() -> impl Strategy<Value = Act> {
    let incarnation = proptest::option::weighted(0.1, 1u8..3);
    prop_oneof![
        40 => (0u8..3, 1u8..30, incarnation)
            .prop_map(|(leg, size, incarnation)| Act::Send { leg, size, incarnation }),
        10 => (0u8..3, proptest::bool::weighted(0.9)).prop_map(|(leg, known)| Act::Open { leg, known }),
        4 => (1u8..3).prop_map(|leg| Act::Close { leg }),
        14 => (0u8..3, 0u16..800).prop_map(|(name, after_ms)| Act::SetTimer { name, after_ms }),
        6 => (0u8..3).prop_map(|name| Act::CancelTimer { name }),
        1 => Just(Act::End),
        1 => Just(Act::HandBack),
    ]
}
