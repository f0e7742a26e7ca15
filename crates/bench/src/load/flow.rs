//! The account of one direction: what was sent, what arrived, in which order, how late.

use std::time::Duration;

use super::frame::Stamp;

/// A frame that is this late has missed its place in the audio.
pub(crate) const LATE: Duration = Duration::from_millis(20);

/// Frames that may be under way without anybody being slow: half a second's.
const A_WHILE: u32 = 25;

/// See the module's page. Counts are of the whole load; delays are of the present window.
#[derive(Clone, Default, Debug)]
pub(crate) struct Flow {
    /// Frames handed to sockets.
    pub(crate) sent: u64,
    /// Frames that arrived.
    pub(crate) delivered: u64,
    /// Frames that were not the next of their call: something before them is missing, or came twice.
    pub(crate) unordered: u64,
    /// Frames that could not be sent, because the call's socket took nothing for too long.
    pub(crate) unsent: u64,
    /// Of each call, in order of the calls.
    calls: Vec<Progress>,
    delays: Vec<u64>,
}

#[derive(Clone, Copy, Default, Debug)]
struct Progress {
    next_sent: u32,
    next_expected: u32,
    label: u8,
    labelled_at: u64,
}

/// The delays of a window, in nanoseconds, sorted.
#[derive(Clone, Default, Debug)]
pub(crate) struct Delays(Vec<u64>);

impl Flow {
    pub(super) fn grow(&mut self, calls: usize) {
        self.calls.resize(calls, Progress::default());
    }

    /// The number of the next frame of the call.
    pub(super) fn number(&mut self, call: u32) -> u32 {
        let progress = &mut self.calls[call as usize];
        progress.next_sent += 1;
        progress.next_sent - 1
    }

    pub(super) fn count(&mut self, sent: bool) {
        if sent {
            self.sent += 1;
        } else {
            self.unsent += 1;
        }
    }

    pub(super) fn arrived(&mut self, stamp: Stamp, now: u64) {
        let Some(progress) = self.calls.get_mut(stamp.call as usize) else {
            return;
        };
        self.delivered += 1;
        if stamp.seq != progress.next_expected {
            self.unordered += 1;
        }
        progress.next_expected = stamp.seq + 1;
        if stamp.label != progress.label {
            (progress.label, progress.labelled_at) = (stamp.label, now);
        }
        self.delays.push(now.saturating_sub(stamp.at));
    }

    /// When each call's first frame with this label arrived, in nanoseconds since the load began;
    /// `None` where there was none.
    pub(crate) fn reached(&self, label: u8) -> impl Iterator<Item = Option<u64>> {
        let at = move |it: &Progress| (it.label == label).then_some(it.labelled_at);
        self.calls.iter().map(at)
    }

    /// Of how many calls frames have not arrived that were sent a while ago.
    pub(crate) fn behind(&self) -> usize {
        let behind = |it: &&Progress| it.next_sent > it.next_expected + A_WHILE;
        self.calls.iter().filter(behind).count()
    }

    /// Frames that are not there.
    pub(crate) fn missing(&self) -> u64 {
        self.sent.saturating_sub(self.delivered)
    }

    /// Begins a new window.
    pub(super) fn take_delays(&mut self) -> Delays {
        Delays::of(std::mem::take(&mut self.delays))
    }
}

impl Delays {
    /// In nanoseconds, in any order.
    pub(super) fn of(mut nanoseconds: Vec<u64>) -> Self {
        nanoseconds.sort_unstable();
        Self(nanoseconds)
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Of how many of a hundred frames the delay was at most this; zero where there were none.
    pub(crate) fn percentile(&self, percent: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let index = (percent / 100.0 * last as f64).round() as usize;
        Duration::from_nanos(self.0.get(index).copied().unwrap_or(0))
    }

    /// The longest.
    pub(crate) fn worst(&self) -> Duration {
        Duration::from_nanos(self.0.last().copied().unwrap_or(0))
    }

    /// How many were longer than [`LATE`].
    pub(crate) fn late(&self) -> usize {
        let limit = LATE.as_nanos() as u64;
        self.0.len() - self.0.partition_point(|&delay| delay <= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(seq: u32, at: u64, label: u8) -> Stamp {
        Stamp {
            call: 0,
            seq,
            at,
            label,
        }
    }

    #[test]
    fn what_is_missing_double_or_late_is_seen() {
        let mut flow = Flow::default();
        flow.grow(1);
        for _ in 0..4 {
            flow.number(0);
            flow.count(true);
        }
        let ms = 1_000_000;
        flow.arrived(stamp(0, 0, b'a'), ms);
        flow.arrived(stamp(2, 0, b'a'), 21 * ms);
        flow.arrived(stamp(2, 0, b'b'), 22 * ms);
        assert_eq!((flow.missing(), flow.unordered), (1, 2));
        assert_eq!(flow.reached(b'b').collect::<Vec<_>>(), [Some(22 * ms)]);
        let delays = flow.take_delays();
        assert_eq!((delays.len(), delays.late()), (3, 2));
        assert_eq!(delays.percentile(50.0), Duration::from_millis(21));
        assert_eq!(delays.worst(), Duration::from_millis(22));
        assert_eq!(flow.take_delays().len(), 0);
    }
}
