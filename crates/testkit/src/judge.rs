//! What became of every frame of a call, in both directions.
//!
//! Why two records and not one: each simulator knows what it sent and when, and what it
//! received and when. Both run on the same clock, so that laying the two records side by
//! side gives loss, repetition, order and delay of every single frame, with nothing between
//! them trusted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::identity::{FrameId, StreamId, UNKNOWN_CALL, Voice};
use crate::ledger::StreamLedger;
use crate::openai::record::{ConnectionRecord, Outcome, ResponseRecord};
use crate::twilio::hold::HoldHeard;
use crate::twilio::record::{CallRecord, Fate};

/// One frame that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostFrame {
    /// The part of its stream's identity.
    pub part: u32,
    /// Its counter.
    pub counter: u32,
    /// When it was sent.
    pub sent: Instant,
}

/// The account of one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// Frames that were sent.
    pub sent: u64,
    /// Different frames that arrived.
    pub received: u64,
    /// Frames that did not arrive because their response was interrupted: late audio, which
    /// a client should throw away.
    pub discarded: u64,
    /// Frames that did not arrive because a simulator cut its own connection behind them.
    pub cut: u64,
    /// Frames that did not arrive without any such excuse. Only meaningful if the call ended
    /// with a quiet spell.
    pub lost: u64,
    /// Arrivals of a frame on a connection on which it had arrived before.
    pub duplicated: u64,
    /// Frames that arrived on more than one connection: audio given again to a new model
    /// session, which may be wanted.
    pub repeated: u64,
    /// Frames that arrived behind a later one of their stream.
    pub reordered: u64,
    /// Bytes of audio that carry no identity and are neither silence nor the hold sound that the
    /// caller knows: damage.
    pub unreadable_bytes: u64,
    /// Bytes of silence that carry no identity: what a worker filled gaps with.
    pub silence_bytes: u64,
    /// When each frame was sent and how long it took to its first arrival, in order of
    /// sending within each stream.
    pub delays: Vec<(Instant, Duration)>,
    /// The lost ones, the first thousand.
    pub lost_frames: Vec<LostFrame>,
}

const LOST_LIMIT: usize = 1_000;

/// The account of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The call's number.
    pub call: u32,
    /// The caller's voice on its way to the model.
    pub to_model: Way,
    /// The model's voice on its way to the caller.
    pub to_caller: Way,
    /// Frames that the caller received but never heard because of `clear`: barge-in.
    pub cleared: u64,
    /// Frames that the caller received but did not hear to the end of a stream.
    pub cut_off: u64,
    /// Messages to the caller that Twilio would warn of.
    pub violations: u64,
    /// What the caller heard of the edge's hold sound.
    pub hold: HoldHeard,
}

/// The numbers of a [`Way`], for reports.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(
    missing_docs,
    reason = "the fields are those of Way; delays are in milliseconds"
)]
pub struct WaySummary {
    pub sent: u64,
    pub received: u64,
    pub discarded: u64,
    pub cut: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub repeated: u64,
    pub reordered: u64,
    pub unreadable_bytes: u64,
    pub silence_bytes: u64,
    pub delay_p50_ms: f64,
    pub delay_p99_ms: f64,
    pub delay_max_ms: f64,
}

impl Way {
    /// Nothing was lost, doubled, out of order or damaged.
    #[must_use]
    pub fn is_perfect(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.reordered == 0 && self.unreadable_bytes == 0
    }

    /// The delay below which this share (0.0 to 1.0) of the frames stayed.
    #[must_use]
    pub fn delay_quantile(&self, share: f64) -> Duration {
        let mut delays: Vec<Duration> = self.delays.iter().map(|(_, delay)| *delay).collect();
        if delays.is_empty() {
            return Duration::ZERO;
        }
        let rank = (share.clamp(0.0, 1.0) * (delays.len() - 1) as f64).round() as usize;
        *delays.select_nth_unstable(rank).1
    }

    /// The longest delay.
    #[must_use]
    pub fn delay_max(&self) -> Duration {
        self.delays
            .iter()
            .map(|(_, delay)| *delay)
            .max()
            .unwrap_or_default()
    }

    /// Adds another account: of another call, for the sum over many.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.discarded += other.discarded;
        self.cut += other.cut;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.repeated += other.repeated;
        self.reordered += other.reordered;
        self.unreadable_bytes += other.unreadable_bytes;
        self.silence_bytes += other.silence_bytes;
        self.delays.extend_from_slice(&other.delays);
        let room = LOST_LIMIT.saturating_sub(self.lost_frames.len());
        self.lost_frames.extend(other.lost_frames.iter().take(room));
    }

    /// The numbers alone.
    #[must_use]
    pub fn summary(&self) -> WaySummary {
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        WaySummary {
            sent: self.sent,
            received: self.received,
            discarded: self.discarded,
            cut: self.cut,
            lost: self.lost,
            duplicated: self.duplicated,
            repeated: self.repeated,
            reordered: self.reordered,
            unreadable_bytes: self.unreadable_bytes,
            silence_bytes: self.silence_bytes,
            delay_p50_ms: ms(self.delay_quantile(0.5)),
            delay_p99_ms: ms(self.delay_quantile(0.99)),
            delay_max_ms: ms(self.delay_max()),
        }
    }

    fn lose(&mut self, part: u32, counter: u32, sent: Instant) {
        self.lost += 1;
        if self.lost_frames.len() < LOST_LIMIT {
            self.lost_frames.push(LostFrame {
                part,
                counter,
                sent,
            });
        }
    }
}

/// Judges one call. Of the connections only those that served it are looked at, and those
/// whose model spoke to it before it had heard anyone.
#[must_use]
pub fn account<'a>(
    call: &CallRecord,
    models: impl IntoIterator<Item = &'a ConnectionRecord>,
) -> Account {
    let models: Vec<&ConnectionRecord> = models
        .into_iter()
        .filter(|model| concerns(call, model))
        .collect();
    let heard = || call.streams.iter().flat_map(|stream| &stream.heard);
    let mut hold = HoldHeard::default();
    for stream in &call.streams {
        hold.add(&HoldHeard::of(&stream.hold));
    }
    let count = |fate| heard().filter(|frame| frame.fate == fate).count() as u64;
    Account {
        call: call.call,
        to_model: to_model(call, &models),
        to_caller: to_caller(call, &models),
        cleared: count(Fate::Cleared),
        cut_off: count(Fate::CutOff),
        violations: call
            .streams
            .iter()
            .map(|stream| stream.violation_count)
            .sum(),
        hold,
    }
}

fn concerns(call: &CallRecord, model: &ConnectionRecord) -> bool {
    let spoke_to_it = || {
        let parts: Vec<u32> = model
            .responses
            .iter()
            .map(|response| response.part)
            .collect();
        call.streams
            .iter()
            .flat_map(|stream| stream.ledger.streams())
            .any(|(id, _)| parts.contains(&id.part))
    };
    match model.call {
        Some(heard) => heard == call.call,
        None => spoke_to_it(),
    }
}

fn to_model(call: &CallRecord, models: &[&ConnectionRecord]) -> Way {
    let mut way = Way::default();
    let mut first: BTreeMap<FrameKey, Instant> = BTreeMap::new();
    for model in models {
        way.unreadable_bytes += model.unreadable_bytes + model.misread_bytes;
        way.silence_bytes += model.silence_bytes;
        for (id, ledger) in model.ledger.streams() {
            if is_of(call, *id, Voice::Caller) {
                way.count_order(ledger);
            }
        }
        for frame in &model.appended {
            if is_of(call, frame.id.stream, Voice::Caller) {
                let at = first.entry(key(frame.id)).or_insert(frame.at);
                *at = frame.at.min(*at);
            }
        }
        way.received += u64::from(caller_frames(call, model));
    }
    // A frame that several connections heard was received once.
    way.repeated = way.received - first.len() as u64;
    way.received = first.len() as u64;
    for stream in &call.streams {
        for (counter, frame) in (0u32..).zip(&stream.sent).filter(|(_, frame)| frame.sent) {
            way.sent += 1;
            match first.get(&(stream.part, counter)) {
                Some(arrived) => way
                    .delays
                    .push((frame.at, arrived.saturating_duration_since(frame.at))),
                None => way.lose(stream.part, counter, frame.at),
            }
        }
    }
    way
}

fn to_caller(call: &CallRecord, models: &[&ConnectionRecord]) -> Way {
    let mut way = Way::default();
    let mut first: BTreeMap<FrameKey, Instant> = BTreeMap::new();
    for stream in &call.streams {
        way.unreadable_bytes += stream.unreadable_bytes;
        way.silence_bytes += stream.silence_bytes;
        for (_, ledger) in stream
            .ledger
            .streams()
            .filter(|(id, _)| is_of(call, **id, Voice::Model))
        {
            way.count_order(ledger);
            way.received += u64::from(ledger.received());
        }
        for frame in stream
            .heard
            .iter()
            .filter(|frame| is_of(call, frame.id.stream, Voice::Model))
        {
            first.entry(key(frame.id)).or_insert(frame.received);
        }
    }
    way.repeated = way.received - first.len() as u64;
    way.received = first.len() as u64;
    for response in models.iter().flat_map(|model| &model.responses) {
        way.sent += response.sent.len() as u64;
        let arrived = |counter: u32| first.get(&(response.part, counter));
        let tail = tail_start(response, |counter| arrived(counter).is_some());
        for (counter, sent) in (0u32..).zip(&response.sent) {
            match arrived(counter) {
                Some(at) => way
                    .delays
                    .push((*sent, at.saturating_duration_since(*sent))),
                None if is_discard(response, counter, tail) => way.discarded += 1,
                None if response.outcome == Outcome::Cut && counter >= tail => way.cut += 1,
                None => way.lose(response.part, counter, *sent),
            }
        }
    }
    way
}

impl Way {
    fn count_order(&mut self, ledger: &StreamLedger) {
        self.duplicated += ledger.duplicated();
        self.reordered += ledger.reordered();
    }
}

type FrameKey = (u32, u32);

fn key(id: FrameId) -> FrameKey {
    (id.stream.part, id.counter)
}

fn is_of(call: &CallRecord, stream: StreamId, voice: Voice) -> bool {
    stream.voice == voice && (stream.call == call.call || stream.call == UNKNOWN_CALL)
}

fn caller_frames(call: &CallRecord, model: &ConnectionRecord) -> u32 {
    model
        .ledger
        .streams()
        .filter(|(id, _)| is_of(call, **id, Voice::Caller))
        .map(|(_, ledger)| ledger.received())
        .sum()
}

/// The counter from which on nothing of the response arrived.
fn tail_start(response: &ResponseRecord, arrived: impl Fn(u32) -> bool) -> u32 {
    let sent = u32::try_from(response.sent.len()).unwrap_or(u32::MAX);
    (0..sent)
        .rev()
        .find(|counter| arrived(*counter))
        .map_or(0, |last| last + 1)
}

/// Late audio of an interrupted response may be thrown away: whatever came behind the
/// `speech_started`, which is in order with the audio on the same socket. Where the client
/// cancelled, it may have begun to throw away some time before the server knew of it, so
/// there the whole missing tail counts.
fn is_discard(response: &ResponseRecord, counter: u32, tail: u32) -> bool {
    response.interrupted.is_some_and(|interruption| {
        if interruption.by_speech {
            counter >= interruption.frames_before
        } else {
            counter >= tail
        }
    })
}

#[cfg(test)]
mod tests;
