//! What each handoff cost: the worst delay that it added to any frame of its call.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::picture::Delay;

/// Frames that set out this long before a handoff may have been under way when it began.
const UNDER_WAY: Duration = Duration::from_millis(20);
/// Frames that set out this long after it still count as touched by it.
const AFTERMATH: Duration = Duration::from_secs(1);

/// What was done to the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deed {
    Deploy,
    RollBack,
    Kill,
    Freeze,
}

impl Deed {
    pub(super) const ALL: [Self; 4] = [Self::Deploy, Self::RollBack, Self::Kill, Self::Freeze];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "rolling deploy",
            Self::RollBack => "roll-back",
            Self::Kill => "kill -9",
            Self::Freeze => "SIGSTOP",
        }
    }
}

/// A deed done to one worker.
#[derive(Debug, Clone)]
pub(super) struct Done {
    pub(super) deed: Deed,
    pub(super) at: Instant,
    /// `host:port` of the worker.
    pub(super) worker: String,
}

/// One call's move from one worker to another, as the edge logged it.
#[derive(Debug, Clone)]
pub(super) struct Handoff {
    pub(super) call_sid: String,
    pub(super) since: Instant,
    pub(super) first_commit: Instant,
    pub(super) from: String,
}

/// Ties the edge's Unix times to this process's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    unix: Duration,
    instant: Instant,
}

impl Clocks {
    pub(super) fn now() -> Self {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            unix,
            instant: Instant::now(),
        }
    }

    fn instant(&self, unix_us: u64) -> Instant {
        let unix = Duration::from_micros(unix_us);
        match unix.checked_sub(self.unix) {
            Some(later) => self.instant + later,
            None => self
                .instant
                .checked_sub(self.unix.saturating_sub(unix))
                .unwrap_or(self.instant),
        }
    }

    /// Reads a `handoff` line of the edge's log; `None` for every other line.
    pub(super) fn handoff(&self, line: &Value) -> Option<Handoff> {
        if line.get("message")?.as_str()? != "handoff" {
            return None;
        }
        let text = |key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
        let time = |key: &str| {
            line.get(key)
                .and_then(Value::as_u64)
                .map(|us| self.instant(us))
        };
        Some(Handoff {
            call_sid: text("call_sid")?,
            since: time("since_unix_us")?,
            first_commit: time("first_commit_unix_us")?,
            from: text("from").unwrap_or_default(),
        })
    }
}

impl Handoff {
    /// Which deed caused it: the last one done to the worker that it left.
    pub(super) fn cause<'a>(&self, deeds: &'a [Done]) -> Option<&'a Done> {
        deeds
            .iter()
            .rev()
            .find(|done| done.worker == self.from && done.at <= self.first_commit)
    }

    /// The worst delay, beyond what is usual for the call, of any frame that set out from a little
    /// before `start` until a second after the new worker's first commit.
    pub(super) fn gap(&self, start: Instant, delays: &[Delay], usual: Duration) -> Duration {
        let from = start.checked_sub(UNDER_WAY).unwrap_or(start);
        let until = self.first_commit + AFTERMATH;
        delays
            .iter()
            .filter(|(at, _)| (from..=until).contains(at))
            .map(|(_, delay)| delay.saturating_sub(usual))
            .max()
            .unwrap_or_default()
    }
}

/// The median of some delays.
pub(super) fn median(delays: &[Delay]) -> Duration {
    let mut sorted: Vec<_> = delays.iter().map(|(_, delay)| *delay).collect();
    percentile(&mut sorted, 50)
}

/// The smallest value that at least `percent` of all do not exceed; zero of none.
pub(super) fn percentile(values: &mut [Duration], percent: usize) -> Duration {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_gap_is_the_worst_added_delay_in_its_time() {
        let start = Instant::now() + Duration::from_secs(60);
        let handoff = Handoff {
            call_sid: "CA1".to_owned(),
            since: start,
            first_commit: start + 5 * MS,
            from: "w1".to_owned(),
        };
        let delays = [
            (start.checked_sub(500 * MS).unwrap(), 90 * MS),
            (start + MS, 9 * MS),
            (start + 400 * MS, 2 * MS),
            (start + 2_000 * MS, 70 * MS),
        ];
        assert_eq!(handoff.gap(start, &delays, 2 * MS), 7 * MS);
    }

    #[test]
    fn the_edges_lines_are_understood() {
        let clocks = Clocks::now();
        let us = u64::try_from(clocks.unix.as_micros()).unwrap();
        let line = serde_json::json!({
            "message": "handoff", "call_sid": "CA1", "from": "127.0.0.1:1",
            "since_unix_us": us + 1_000, "first_commit_unix_us": us + 3_000,
        });
        let handoff = clocks.handoff(&line).unwrap();
        let took = handoff.first_commit - handoff.since;
        assert_eq!(took, 2 * MS);
        assert!(
            clocks
                .handoff(&serde_json::json!({"message": "call began"}))
                .is_none()
        );
    }

    #[test]
    fn percentiles_are_of_the_values_themselves() {
        let mut values: Vec<_> = (1..=200).map(|n| n * MS).collect();
        assert_eq!(percentile(&mut values, 99), 198 * MS);
        assert_eq!(percentile(&mut values, 50), 100 * MS);
        assert_eq!(percentile(&mut [], 99), Duration::ZERO);
    }
}
