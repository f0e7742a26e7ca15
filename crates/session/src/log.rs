//! The input log of one call: what has happened and is not committed yet.
//!
//! Seqs are contiguous from the committed position to the end. A run of dropped caller media
//! stays in its place as a `Gap`, so nothing that happened ever vanishes without a word.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Epoch, External, Gap, GapSize, Input, InputKind, LegName, Limits, Payload, Seq, Time};

/// From this many entries on, payloads are copied out of the receive buffers that they pin.
const DETACH_FROM: usize = 16;

/// One entry: an input, or a gap that stands for several.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) input: Input,
    /// Playing time where it is caller media, which may be dropped.
    pub(crate) media_ms: Option<u32>,
    /// What its payload counts for: at most half of `log_bytes`.
    weight: u64,
    /// For a gap: the attachment that had received these frames before they were dropped.
    seen_by: Option<Epoch>,
}

impl Entry {
    pub(crate) fn first_seq(&self) -> Seq {
        match &self.input.kind {
            InputKind::Gap(gap) => gap.first,
            _ => self.input.seq,
        }
    }

    /// Payload bytes that it retains.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.input.kind {
            InputKind::Frame { payload, .. } | InputKind::External(External { payload, .. }) => {
                payload.len() as u64
            }
            _ => 0,
        }
    }
}

/// Inputs taken out by a commit.
#[derive(Default)]
pub(crate) struct Removed {
    /// How many seqs.
    pub(crate) inputs: u64,
    /// Receipt of the oldest.
    pub(crate) received: Option<Time>,
    /// Media that was committed but that the committing attachment had never received.
    pub(crate) lost: Vec<Gap>,
    /// What happened to legs, in order.
    pub(crate) legs: Vec<InputKind>,
}

/// The log is full of what must not be dropped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    committed: Seq,
    last: Seq,
    bytes: u64,
    /// Sum of what the payloads count for.
    weight: u64,
    /// Entries that are not gaps.
    frames: u32,
}

impl Log {
    /// The last committed seq.
    pub(crate) fn committed(&self) -> Seq {
        self.committed
    }

    /// The last seq given out.
    pub(crate) fn last(&self) -> Seq {
        self.last
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn frames(&self) -> u32 {
        self.frames
    }

    pub(crate) fn oldest(&self) -> Option<Time> {
        self.entries.front().map(|entry| entry.input.at)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Appends an input whatever the limits say; `make_room` comes first.
    pub(crate) fn append(
        &mut self,
        limits: &Limits,
        at: Time,
        mut kind: InputKind,
        media_ms: Option<u32>,
    ) -> Seq {
        if self.entries.len() >= DETACH_FROM {
            detach(&mut kind);
        }
        self.last = self.last.next();
        let mut entry = Entry {
            input: Input {
                seq: self.last,
                at,
                kind,
            },
            media_ms,
            weight: 0,
            seen_by: None,
        };
        entry.weight = entry.bytes().min(limits.log_bytes.div_ceil(2));
        self.bytes += entry.bytes();
        self.weight += entry.weight;
        self.frames += 1;
        self.entries.push_back(entry);
        self.last
    }

    /// Drops the oldest caller media until one more input fits. The log may pass `log_bytes` by
    /// its newest input, so that a frame of any permitted size can enter, and by one frame larger
    /// than half of it, so that what comes after such a frame can.
    ///
    /// `delivered` and `epoch` tell what the present attachment has received. Dropped media is
    /// appended to `dropped`.
    pub(crate) fn make_room(
        &mut self,
        limits: &Limits,
        now: Time,
        delivered: Seq,
        epoch: Epoch,
        dropped: &mut Vec<Gap>,
    ) -> Result<(), Overflow> {
        while self.is_full(limits) {
            let Some(index) = self.oldest_media() else {
                return Err(Overflow);
            };
            dropped.push(self.drop_media(index, delivered, epoch));
        }
        while let Some(index) = self.oldest_media() {
            if now.since(self.entries[index].input.at) <= limits.log_age {
                break;
            }
            dropped.push(self.drop_media(index, delivered, epoch));
        }
        Ok(())
    }

    /// Turns the newest entry, which is media, into a gap: nothing older could make room for it.
    /// `delivered` is what the present attachment has received: a gap up to there does not grow.
    pub(crate) fn drop_newest(&mut self, delivered: Seq) -> Option<Gap> {
        let index = self.entries.len().checked_sub(1)?;
        let is_media = self.entries[index].media_ms.is_some();
        is_media.then(|| self.drop_media(index, delivered, Epoch::default()))
    }

    /// Moves the position and takes out all that it covers. A position inside a gap is legal.
    pub(crate) fn commit(&mut self, through: Seq, by: Epoch) -> Removed {
        let mut removed = Removed {
            inputs: through.0.saturating_sub(self.committed.0),
            ..Removed::default()
        };
        while let Some(entry) = self.entries.front_mut() {
            if entry.first_seq() > through {
                break;
            }
            removed.received.get_or_insert(entry.input.at);
            let whole = entry.input.seq <= through;
            if let InputKind::Gap(gap) = &mut entry.input.kind {
                let part = if whole {
                    gap.clone()
                } else {
                    split_front(gap, through)
                };
                if entry.seen_by != Some(by) {
                    removed.lost.push(part);
                }
            }
            if !whole {
                break;
            }
            let is_gap = matches!(entry.input.kind, InputKind::Gap(_));
            self.bytes -= entry.bytes();
            self.weight -= entry.weight;
            self.frames -= u32::from(!is_gap);
            let kind = self.entries.pop_front().map(|entry| entry.input.kind);
            removed.legs.extend(kind.filter(InputKind::is_of_legs));
        }
        self.committed = self.committed.max(through);
        removed
    }

    /// How many entries say that a command could not be done.
    pub(crate) fn results(&self) -> usize {
        let is_result = |entry: &&Entry| matches!(entry.input.kind, InputKind::Dropped(_));
        self.entries.iter().filter(is_result).count()
    }

    /// Entries after `delivered`, in order. Where `delivered` lies inside a gap, the rest of it
    /// comes first.
    pub(crate) fn after(&self, delivered: Seq) -> impl Iterator<Item = &Entry> {
        let start = self
            .entries
            .partition_point(|entry| entry.input.seq <= delivered);
        self.entries.range(start..)
    }

    /// Marks fires of a timer that was cancelled or set again.
    pub(crate) fn mark_stale(&mut self, timer: &str) {
        for entry in &mut self.entries {
            if let InputKind::TimerFired { name, stale, .. } = &mut entry.input.kind
                && name == timer
            {
                *stale = true;
            }
        }
    }

    fn is_full(&self, limits: &Limits) -> bool {
        self.weight >= limits.log_bytes || self.frames >= limits.log_frames
    }

    fn oldest_media(&self) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| entry.media_ms.is_some())
    }

    /// Turns the media entry at `index` into a gap, or joins it to the gap before it.
    fn drop_media(&mut self, index: usize, delivered: Seq, epoch: Epoch) -> Gap {
        let entry = &mut self.entries[index];
        let seq = entry.input.seq;
        let size = GapSize {
            frames: 1,
            bytes: entry.bytes(),
            media_ms: u64::from(entry.media_ms.take().unwrap_or(0)),
        };
        let leg = match &entry.input.kind {
            InputKind::Frame { leg, .. } => leg.name.clone(),
            _ => LegName::new(LegName::CALLER),
        };
        let seen_by = (seq <= delivered).then_some(epoch);
        self.bytes -= size.bytes;
        self.weight -= std::mem::take(&mut entry.weight);
        self.frames -= 1;
        let gap = Gap {
            leg,
            first: seq,
            last: seq,
            size,
        };
        if !self.join_previous(index, &gap, seen_by, delivered) {
            let entry = &mut self.entries[index];
            entry.seen_by = seen_by;
            entry.input.kind = InputKind::Gap(gap.clone());
        }
        gap
    }

    /// Joins a new gap to its neighbour where both were seen by the same attachment, or by none,
    /// and no delivery boundary lies between them.
    fn join_previous(
        &mut self,
        index: usize,
        new: &Gap,
        seen_by: Option<Epoch>,
        delivered: Seq,
    ) -> bool {
        let Some(previous) = index.checked_sub(1).map(|at| &mut self.entries[at]) else {
            return false;
        };
        let InputKind::Gap(gap) = &mut previous.input.kind else {
            return false;
        };
        let same_side = (gap.last <= delivered) == (new.last <= delivered);
        if previous.seen_by != seen_by || gap.leg != new.leg || !same_side {
            return false;
        }
        gap.last = new.last;
        gap.size.frames += new.size.frames;
        gap.size.bytes += new.size.bytes;
        gap.size.media_ms += new.size.media_ms;
        previous.input.seq = new.last;
        self.entries.remove(index);
        true
    }

    /// What must hold after every step, and of a log that was read from a snapshot.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let mut end = self.committed;
        let (mut bytes, mut weight, mut frames) = (0, 0, 0);
        for entry in &self.entries {
            if entry.first_seq().0.checked_sub(1) != Some(end.0) || entry.input.seq <= end {
                return Err("the log has a hole");
            }
            if let InputKind::Gap(gap) = &entry.input.kind {
                let inside = gap.last == entry.input.seq
                    && gap.size.frames == gap.last.0 - end.0
                    && entry.media_ms.is_none();
                if !inside {
                    return Err("a gap does not fit its place");
                }
            } else {
                frames += 1;
            }
            end = entry.input.seq;
            bytes += entry.bytes();
            weight += entry.weight;
        }
        if end != self.last {
            return Err("the log does not reach its end");
        }
        if (bytes, weight, frames) != (self.bytes, self.weight, self.frames) {
            return Err("the log does not know its size");
        }
        Ok(())
    }
}

/// Cuts the part through `through` off the front of a gap. Frames are exact; bytes and playing
/// time, which are not kept per frame, are shared out evenly and sum up exactly.
fn split_front(gap: &mut Gap, through: Seq) -> Gap {
    let frames = through.0 - gap.first.0 + 1;
    let share = |whole: u64| {
        let part = u128::from(whole) * u128::from(frames) / u128::from(gap.size.frames);
        u64::try_from(part).unwrap_or(whole)
    };
    let size = GapSize {
        frames,
        bytes: share(gap.size.bytes),
        media_ms: share(gap.size.media_ms),
    };
    let front = Gap {
        leg: gap.leg.clone(),
        first: gap.first,
        last: through,
        size,
    };
    gap.first = through.next();
    gap.size.frames -= size.frames;
    gap.size.bytes -= size.bytes;
    gap.size.media_ms -= size.media_ms;
    front
}

/// Copies a payload, so that it no longer pins the buffer that it was read into.
fn detach(kind: &mut InputKind) {
    if let InputKind::Frame { payload, .. } | InputKind::External(External { payload, .. }) = kind {
        match payload {
            Payload::Text(bytes) | Payload::Binary(bytes) => *bytes = Bytes::copy_from_slice(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::LegRef;

    fn media(size: usize) -> InputKind {
        InputKind::Frame {
            leg: LegRef::new(LegName::CALLER, 1),
            payload: Payload::Binary(Bytes::from(vec![0; size])),
        }
    }

    fn filled(sizes: impl IntoIterator<Item = usize>) -> Log {
        let mut log = Log::default();
        for size in sizes {
            log.append(&Limits::default(), Time(0), media(size), Some(20));
        }
        log
    }

    #[test]
    fn the_parts_of_a_split_gap_sum_up_to_the_whole() {
        let limits = Limits {
            log_frames: 1,
            ..Limits::default()
        };
        for through in 1..=7 {
            let mut log = filled([1, 10, 100, 7, 3, 0, 5]);
            let mut dropped = Vec::new();
            let room = log.make_room(&limits, Time(0), Seq(0), Epoch(0), &mut dropped);
            assert_eq!(room, Ok(()));
            let mut lost = log.commit(Seq(through), Epoch(1)).lost;
            lost.extend(log.commit(Seq(7), Epoch(1)).lost);
            let sum =
                |pick: fn(&GapSize) -> u64| lost.iter().map(|gap| pick(&gap.size)).sum::<u64>();
            assert_eq!(sum(|size| size.frames), 7);
            assert_eq!(sum(|size| size.bytes), 126);
            assert_eq!(sum(|size| size.media_ms), 140);
            assert_eq!(log.check(), Ok(()));
        }
    }

    #[test]
    fn a_deep_log_does_not_pin_the_buffers_that_its_frames_were_read_into() {
        let mut log = filled([1; DETACH_FROM]);
        let buffer = Bytes::from(vec![0; 8_192]);
        let kind = InputKind::Frame {
            leg: LegRef::new(LegName::CALLER, 1),
            payload: Payload::Binary(buffer.slice(..4)),
        };
        log.append(&Limits::default(), Time(0), kind, Some(20));
        assert!(buffer.is_unique());
    }

    #[test]
    fn a_log_that_contradicts_itself_is_noticed() {
        let mut hole = filled([1, 2, 3]);
        hole.entries.remove(1);
        let mut short = filled([1, 2, 3]);
        short.entries.pop_back();
        let mut heavy = filled([1, 2, 3]);
        heavy.bytes += 1;
        for log in [hole, short, heavy] {
            assert!(log.check().is_err());
        }
        assert_eq!(filled([1, 2, 3]).check(), Ok(()));
    }

    /// Three frames that became one gap, with that gap changed, and what `check` says.
    fn checked(change: impl FnOnce(&mut Gap)) -> Result<(), &'static str> {
        let limits = Limits {
            log_frames: 1,
            ..Limits::default()
        };
        let mut log = filled([1, 2, 3]);
        let room = log.make_room(&limits, Time(0), Seq(0), Epoch(0), &mut Vec::new());
        assert_eq!((room, log.entries.len()), (Ok(()), 1));
        let entry = &mut log.entries[0];
        if let InputKind::Gap(gap) = &mut entry.input.kind {
            change(gap);
            // As a whole, the log fits: what is wrong is inside.
            entry.input.seq = gap.last;
            log.last = gap.last;
        }
        log.check()
    }

    #[test]
    fn a_gap_that_contradicts_itself_is_noticed() {
        let misfit = Err("a gap does not fit its place");
        assert_eq!(checked(|_| {}), Ok(()));
        assert_eq!(checked(|gap| gap.size.frames = 2), misfit);
        assert_eq!(checked(|gap| gap.last = Seq(2)), misfit);
        let empty = |gap: &mut Gap| (gap.last, gap.size.frames) = (Seq(0), 0);
        assert_eq!(checked(empty), Err("the log has a hole"));
    }

    #[test]
    fn a_gap_names_the_leg_whose_media_it_was() {
        let mut log = Log::default();
        let kind = InputKind::Frame {
            leg: LegRef::new("second", 1),
            payload: Payload::Binary(Bytes::new()),
        };
        log.append(&Limits::default(), Time(0), kind, Some(20));
        let gap = log.drop_newest(Seq(0)).unwrap();
        assert_eq!(gap.leg, LegName::new("second"));
    }

    #[test]
    fn only_media_can_be_dropped_as_the_newest() {
        let mut log = filled([4]);
        assert_eq!(log.drop_newest(Seq(0)).unwrap().size.bytes, 4);
        assert_eq!(log.drop_newest(Seq(0)), None);
        assert_eq!(Log::default().drop_newest(Seq(0)), None);
        assert_eq!((log.bytes(), log.frames()), (0, 0));
    }
}
