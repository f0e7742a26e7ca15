//! Exact accounts of which frames arrived.
//!
//! Why a bitmap and not "last counter plus one": after a handoff a frame may come twice, or
//! an old one after a newer one, and each of these must be counted as what it is. One bit a
//! frame is 11 KiB for half an hour.

use std::collections::BTreeMap;

use crate::identity::{FrameId, StreamId};

/// Counters from here on are not recorded: 2^23 frames are 46 hours.
const COUNTER_LIMIT: u32 = 1 << 23;

/// What an arrival meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// A new frame, later in its stream than all before.
    InOrder,
    /// A new frame that should have come earlier.
    Reordered,
    /// This frame had come before.
    Duplicate,
    /// Its counter is beyond anything a call can reach; nothing was recorded but the fact.
    Absurd,
}

/// The frames of one stream.
#[derive(Debug, Clone, Default)]
pub struct StreamLedger {
    seen: Vec<u64>,
    distinct: u32,
    highest: Option<u32>,
    duplicated: u64,
    reordered: u64,
    absurd: u64,
}

impl StreamLedger {
    /// Enters the arrival of one frame.
    pub fn record(&mut self, counter: u32) -> Arrival {
        if counter >= COUNTER_LIMIT {
            self.absurd += 1;
            return Arrival::Absurd;
        }
        let (word, bit) = ((counter / 64) as usize, 1u64 << (counter % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            self.duplicated += 1;
            return Arrival::Duplicate;
        }
        self.seen[word] |= bit;
        self.distinct += 1;
        if self.highest.is_some_and(|highest| counter < highest) {
            self.reordered += 1;
            return Arrival::Reordered;
        }
        self.highest = Some(counter);
        Arrival::InOrder
    }

    /// Whether this frame arrived.
    #[must_use]
    pub fn has(&self, counter: u32) -> bool {
        let word = self.seen.get((counter / 64) as usize).copied().unwrap_or(0);
        word & (1u64 << (counter % 64)) != 0
    }

    /// Different frames that arrived.
    #[must_use]
    pub fn received(&self) -> u32 {
        self.distinct
    }

    /// Arrivals of frames that had arrived before.
    #[must_use]
    pub fn duplicated(&self) -> u64 {
        self.duplicated
    }

    /// Frames that arrived behind a later one.
    #[must_use]
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// Arrivals with a counter that no call reaches: a fault of the sender.
    #[must_use]
    pub fn absurd(&self) -> u64 {
        self.absurd
    }

    /// The frames that have not arrived of the first `sent` of the stream, in order.
    pub fn missing(&self, sent: u32) -> impl Iterator<Item = u32> + '_ {
        (0..sent).filter(|&counter| !self.has(counter))
    }

    /// Holes below the highest frame that arrived: what is certainly missing when nobody can
    /// tell how much was sent.
    #[must_use]
    pub fn holes(&self) -> u32 {
        self.highest
            .map_or(0, |highest| highest + 1 - self.distinct)
    }
}

/// All streams that one listener heard.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    streams: BTreeMap<StreamId, StreamLedger>,
}

impl Ledger {
    /// Enters the arrival of one frame.
    pub fn record(&mut self, id: FrameId) -> Arrival {
        self.streams
            .entry(id.stream)
            .or_default()
            .record(id.counter)
    }

    /// The account of one stream, if anything of it arrived.
    #[must_use]
    pub fn stream(&self, id: StreamId) -> Option<&StreamLedger> {
        self.streams.get(&id)
    }

    /// All streams, ordered by their ids.
    pub fn streams(&self) -> impl Iterator<Item = (&StreamId, &StreamLedger)> {
        self.streams.iter()
    }

    /// Different frames of all streams.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.streams
            .values()
            .map(|stream| u64::from(stream.received()))
            .sum()
    }

    /// Repeated arrivals of all streams.
    #[must_use]
    pub fn duplicated(&self) -> u64 {
        self.streams.values().map(StreamLedger::duplicated).sum()
    }

    /// Late arrivals of all streams.
    #[must_use]
    pub fn reordered(&self) -> u64 {
        self.streams.values().map(StreamLedger::reordered).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_arrival_is_counted_as_what_it_is() {
        let mut stream = StreamLedger::default();
        assert_eq!(stream.record(0), Arrival::InOrder);
        assert_eq!(stream.record(3), Arrival::InOrder);
        assert_eq!(stream.record(2), Arrival::Reordered);
        assert_eq!(stream.record(2), Arrival::Duplicate);
        assert_eq!(stream.record(200), Arrival::InOrder);
        assert_eq!(stream.record(u32::MAX), Arrival::Absurd);
        assert_eq!(stream.received(), 4);
        assert_eq!(
            (stream.duplicated(), stream.reordered(), stream.absurd()),
            (1, 1, 1)
        );
        assert_eq!(stream.missing(5).collect::<Vec<_>>(), [1, 4]);
        assert_eq!(stream.missing(202).count(), 198);
        assert_eq!(stream.holes(), 197);
    }

    #[test]
    fn an_empty_stream_misses_all() {
        assert_eq!(
            StreamLedger::default().missing(3).collect::<Vec<_>>(),
            [0, 1, 2]
        );
        assert_eq!(StreamLedger::default().holes(), 0);
    }
}
