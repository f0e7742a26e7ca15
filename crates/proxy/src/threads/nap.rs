//! A thread that is busy looks at its sockets less often.
//!
//! To be woken for every frame is most of what a frame costs: with a hundred calls a thread sleeps and
//! wakes ten thousand times a second, and wakes the worker and the model as often. While it has time to
//! spare, that is right: no frame waits. Once calls use most of it, it rests for a moment before it
//! looks again, as network cards do with their interrupts: frames then come, and leave, in bunches. Each
//! costs less, and waits, on both of its ways through the edge, for the nap, which the system makes half as
//! long again, and for its bunch: half a millisecond in all with 400 calls on a core.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long a busy thread rests. Longer naps save no more.
const NAP: Duration = Duration::from_micros(100);
/// Over so long it is measured how busy the thread is.
const WINDOW: Duration = Duration::from_millis(20);
/// Naps begin above this share of the time, in percent, and end below the other one: naps themselves
/// make the thread less busy.
const BEGIN_PERCENT: u128 = 40;
const END_PERCENT: u128 = 20;

/// Decides when one thread naps.
#[derive(Debug)]
pub(super) struct Naps(Mutex<State>);

#[derive(Debug)]
struct State {
    /// When the present window began, and for how long the thread worked in it.
    began: Instant,
    worked: Duration,
    /// Since when it works.
    woke: Instant,
    naps: bool,
}

impl Naps {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State::new(Instant::now())))
    }

    /// The thread has nothing to do.
    pub(super) fn park(&self) {
        let naps = self.lock().rests(Instant::now());
        if naps {
            rest();
        }
    }

    /// There is something to do again.
    pub(super) fn unpark(&self) {
        self.lock().woke = Instant::now();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "that the thread stands still for a moment, with all of its calls, is what is wanted"
)]
fn rest() {
    thread::sleep(NAP);
}

impl State {
    fn new(now: Instant) -> Self {
        Self {
            began: now,
            worked: Duration::ZERO,
            woke: now,
            naps: false,
        }
    }

    /// Notes the end of a time of work, and says whether a nap follows.
    fn rests(&mut self, now: Instant) -> bool {
        self.worked += now - self.woke;
        let window = now - self.began;
        if window >= WINDOW {
            let percent = self.worked.as_nanos() * 100 / window.as_nanos();
            let least = if self.naps {
                END_PERCENT
            } else {
                BEGIN_PERCENT
            };
            self.naps = percent > least;
            self.began = now;
            self.worked = Duration::ZERO;
        }
        self.naps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works for a share of each millisecond, so many of them; whether it naps at the end.
    fn after(state: &mut State, now: &mut Instant, percent: u32, millis: u32) -> bool {
        let mut naps = state.naps;
        for _ in 0..millis {
            state.woke = *now;
            *now += Duration::from_micros(10) * percent;
            naps = state.rests(*now);
            *now += Duration::from_micros(10) * (100 - percent);
        }
        naps
    }

    #[test]
    fn a_busy_thread_naps_until_it_has_time_to_spare() {
        let mut now = Instant::now();
        let mut state = State::new(now);
        assert!(!after(&mut state, &mut now, 35, 100));
        assert!(!after(&mut state, &mut now, 90, 10), "a moment is no load");
        assert!(after(&mut state, &mut now, 60, 50));
        assert!(after(&mut state, &mut now, 25, 100), "naps spare time");
        assert!(!after(&mut state, &mut now, 15, 50));
    }
}
