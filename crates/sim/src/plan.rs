//! What a seed decides beforehand: limits, calls, how they end, and what goes wrong when.

use std::time::Duration;

use holdline_session::Limits;

use crate::rng::Rng;

/// Calls of one seed at most.
const CALLS_MAX: u64 = 6;
/// Simulated microseconds in which faults happen.
pub(crate) const STORM: u64 = 3_600_000;
/// From then on the world is kind.
pub(crate) const CALM: u64 = 4_200_000;
/// By then every call has to be over.
pub(crate) const HORIZON: u64 = 9_000_000;

/// Something that goes wrong, or is done on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    Crash,
    Hang,
    Restart,
    Drain,
    Roll,
    RollBack,
    SchemaBump,
    Outage,
    CrashLoop,
    StreamDrop,
    Garbage,
    Partition,
    DelaySpike,
    Duplicate,
    Mute,
    Full,
    Deaf,
    BadCommit,
    Slow,
    EdgeFrozen,
    Handover,
    OperatorMove,
    RolloutMove,
    SlowCaller,
    SlowModel,
}

/// How often each happens, in relation to the others.
const FAULTS: &[(u64, Fault)] = &[
    (10, Fault::Crash),
    (8, Fault::Hang),
    (5, Fault::Restart),
    (7, Fault::Drain),
    (8, Fault::Roll),
    (6, Fault::RollBack),
    (3, Fault::SchemaBump),
    (3, Fault::Outage),
    (6, Fault::CrashLoop),
    (6, Fault::StreamDrop),
    (4, Fault::Garbage),
    (6, Fault::Partition),
    (6, Fault::DelaySpike),
    (9, Fault::Duplicate),
    (4, Fault::Mute),
    (5, Fault::Full),
    (6, Fault::Deaf),
    (4, Fault::BadCommit),
    (6, Fault::Slow),
    (4, Fault::EdgeFrozen),
    (7, Fault::Handover),
    (5, Fault::OperatorMove),
    (5, Fault::RolloutMove),
    (8, Fault::SlowCaller),
    (7, Fault::SlowModel),
];

/// How a call is going to end, if nothing else ends it before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Farewell {
    Stop,
    HangUp,
    Vanish,
    Worker,
    Operator,
    Deadline,
    Superseded,
    Protocol,
    Flood,
    Storm,
}

const FAREWELLS: &[(u64, Farewell)] = &[
    (12, Farewell::Stop),
    (8, Farewell::HangUp),
    (4, Farewell::Vanish),
    (10, Farewell::Worker),
    (3, Farewell::Operator),
    (3, Farewell::Deadline),
    (2, Farewell::Superseded),
    (3, Farewell::Protocol),
    (2, Farewell::Flood),
    (2, Farewell::Storm),
];

/// An input that workers fail at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Poison {
    Crash,
    Hang,
    Rule,
    /// Kills the first two workers and no other.
    Weak,
}

const POISONS: &[(u64, Poison)] = &[
    (3, Poison::Crash),
    (2, Poison::Hang),
    (2, Poison::Rule),
    (3, Poison::Weak),
];

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct CallPlan {
    pub(crate) edge: usize,
    pub(crate) starts: u64,
    pub(crate) ends: u64,
    pub(crate) farewell: Farewell,
    /// The edge dials the model itself.
    pub(crate) dialled: bool,
    /// When the caller's socket breaks or is doubled; the first is the more usual.
    pub(crate) trouble: Option<(u64, bool)>,
    pub(crate) poison: Option<(u64, Poison)>,
}

/// One seed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) limits: Limits,
    pub(crate) small_log: bool,
    pub(crate) small_window: bool,
    pub(crate) workers: u64,
    pub(crate) slow_restarts: bool,
    pub(crate) calls: Vec<CallPlan>,
    pub(crate) faults: Vec<(u64, Fault)>,
}

impl Plan {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let small_log = rng.percent(25);
        let small_window = rng.percent(25);
        let calls = rng.range(4, CALLS_MAX);
        let mut calls: Vec<_> = (0..calls).map(|_| call(rng, small_log)).collect();
        // Where poison takes the only worker, there is none until that is back.
        let lonely = rng.percent(8);
        if lonely || rng.percent(25) {
            let kind = rng.weighted(POISONS);
            let one = rng.index(calls.len());
            let call = &mut calls[one];
            let at = rng.range(call.starts + 200_000, call.ends.max(call.starts + 400_000));
            call.poison = Some((at, kind));
        }
        let count = if rng.percent(4) { 0 } else { rng.range(4, 12) };
        let mut faults: Vec<_> = (0..count)
            .map(|_| (rng.range(150_000, STORM), rng.weighted(FAULTS)))
            .collect();
        // A new schema comes after the version that writes it.
        if faults.iter().any(|(_, fault)| *fault == Fault::SchemaBump) {
            let at = rng.range(200_000, STORM / 2);
            faults.push((at, Fault::Roll));
            faults.push((at + rng.range(100_000, 900_000), Fault::SchemaBump));
        }
        Self {
            limits: limits(rng, small_log, small_window),
            small_log,
            small_window,
            workers: if lonely { 1 } else { rng.range(2, 4) },
            slow_restarts: lonely || rng.percent(20),
            calls,
            faults,
        }
    }
}

fn call(rng: &mut Rng, small_log: bool) -> CallPlan {
    let starts = rng.range(0, 600_000);
    let ends = starts + rng.range(1_200_000, 3_000_000);
    let mut farewell = rng.weighted(FAREWELLS);
    if matches!(farewell, Farewell::Flood | Farewell::Storm) && !small_log {
        farewell = Farewell::Stop;
    }
    CallPlan {
        edge: rng.index(2),
        starts,
        ends,
        farewell,
        dialled: rng.percent(60),
        trouble: rng
            .percent(18)
            .then(|| (rng.range(starts + 300_000, ends), rng.percent(70))),
        poison: None,
    }
}

/// A call's bounds and waits, all scaled down to a call of a few seconds.
fn limits(rng: &mut Rng, small_log: bool, small_window: bool) -> Limits {
    let ms = Duration::from_millis;
    let mut limits = Limits {
        log_bytes: 32 << 10,
        log_frames: 512,
        log_age: ms(rng.range(1_500, 4_000)),
        window_inputs: 64,
        window_bytes: 8 << 10,
        message_bytes: 4 << 10,
        state_bytes: 700,
        state_keys: 40,
        value_bytes: 600,
        timers: 4,
        timer_max: ms(10_000),
        commands: 512,
        legs: 3,
        leg_high: 600,
        write_timeout: ms(rng.range(200, 500)),
        close_timeout: ms(60),
        offer_timeout: ms(60),
        release_timeout: ms(80),
        progress_timeout: ms(rng.range(100, 200)),
        seek_max: ms(80),
        hold_after: rng.percent(80).then(|| ms(rng.range(0, 300))),
        give_up: ms(rng.range(450, 1_200)),
        strike_pause: ms(50),
        isolation_wait: ms(rng.range(20, 120)),
        resume_window: ms(300),
        end_timeout: ms(rng.range(150, 500)),
        ..Limits::default()
    };
    if small_log {
        limits.log_bytes = rng.range(500, 1_200);
        limits.log_frames = u32::try_from(rng.range(10, 32)).unwrap_or(10);
        limits.log_age = ms(rng.range(150, 900));
    }
    if small_window {
        let wide = rng.percent(60);
        limits.window_inputs = if wide { rng.range(2, 6) as u32 } else { 1 };
        limits.window_bytes = rng.range(60, 200);
        limits.message_bytes = rng.range(200, 600);
    }
    limits
}
