//! What became of every frame, counted by the simulators.

use std::time::{Duration, Instant};

use holdline_testkit::{
    judge::{self, Way},
    openai::ConnectionRecord,
    twilio::{CallRecord, StreamEnd},
};

/// Frames that set out this long before a fault may have been under way when it began.
const UNDER_WAY: Duration = Duration::from_millis(20);
/// Frames that set out this long after it still count as touched by it.
const AFTERMATH: Duration = Duration::from_secs(1);
/// Losses that are told one by one.
const TOLD_LOSSES: usize = 8;

/// The directions, in words.
pub(crate) const TO_MODEL: &str = "to the model";
pub(crate) const TO_CALLER: &str = "to the caller";

/// When a fault was in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

/// The numbers of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    /// Bytes of audio that nobody sent: damage, or a hold sound.
    pub(crate) foreign_bytes: u64,
}

/// Frames that were lost in a row, in one direction of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) call: u32,
    pub(crate) way: &'static str,
    /// Which one of the streams of that voice.
    pub(crate) part: u32,
    /// The counters of the first and the last of them.
    pub(crate) frames: (u32, u32),
    /// When these two were sent.
    pub(crate) sent: Span,
    /// When the call was over.
    pub(crate) over: Instant,
}

impl Loss {
    /// In words, with times since the trial began.
    pub(crate) fn in_words(&self, start: Instant) -> String {
        let seconds = |at: Instant| at.saturating_duration_since(start).as_secs_f64();
        format!(
            "call {}: frames {} to {} {} of its stream {} are lost, sent at {:.2} to {:.2} s; it was \
             over at {:.2} s",
            self.call,
            self.frames.0,
            self.frames.1,
            self.way,
            self.part,
            seconds(self.sent.from),
            seconds(self.sent.until),
            seconds(self.over),
        )
    }
}

/// The sum over calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    /// Calls that did not last until their caller hung up.
    pub(crate) dropped: u64,
    /// Messages to callers that Twilio would warn of.
    pub(crate) violations: u64,
    pub(crate) to_model: Count,
    pub(crate) to_caller: Count,
    /// The worst delay, beyond what is usual for the call, of any frame that a fault touched.
    pub(crate) worst_gap: Duration,
    /// What was lost where; the first few.
    pub(crate) losses: Vec<Loss>,
}

impl Tally {
    /// Adds a call. Of the connections those that served it are looked at. `faults` must be in the
    /// order of time.
    pub(crate) fn add<'a>(
        &mut self,
        call: &CallRecord,
        model: impl IntoIterator<Item = &'a ConnectionRecord>,
        faults: &[Span],
    ) {
        let account = judge::account(call, model);
        self.calls += 1;
        self.dropped += u64::from(was_dropped(call));
        self.violations += account.violations;
        self.to_model.add(&account.to_model);
        self.to_caller.add(&account.to_caller);
        let ways = [
            (&account.to_model, TO_MODEL),
            (&account.to_caller, TO_CALLER),
        ];
        for (way, name) in ways {
            self.worst_gap = self.worst_gap.max(gap(way, faults));
            self.losses.extend(losses(call, name, way));
        }
        self.losses.truncate(TOLD_LOSSES);
    }
}

/// Frames that were lost one behind another are one loss.
fn losses(call: &CallRecord, way: &'static str, account: &Way) -> Vec<Loss> {
    let mut losses: Vec<Loss> = Vec::new();
    for lost in &account.lost_frames {
        match losses.last_mut() {
            Some(last)
                if last.part == lost.part && last.frames.1.checked_add(1) == Some(lost.counter) =>
            {
                last.frames.1 = lost.counter;
                last.sent.until = lost.sent;
            }
            _ => losses.push(Loss {
                call: call.call,
                way,
                part: lost.part,
                frames: (lost.counter, lost.counter),
                sent: Span {
                    from: lost.sent,
                    until: lost.sent,
                },
                over: call.ended,
            }),
        }
    }
    losses
}

impl Count {
    fn add(&mut self, way: &Way) {
        self.sent += way.sent;
        self.received += way.received;
        self.lost += way.lost;
        self.duplicated += way.duplicated;
        self.reordered += way.reordered;
        self.foreign_bytes += way.unreadable_bytes;
    }
}

/// A call is dropped if anyone but its caller ended it.
pub(crate) fn was_dropped(call: &CallRecord) -> bool {
    let ours = |end: &StreamEnd| *end == StreamEnd::Ours;
    call.streams.len() != 1 || call.streams.iter().any(|stream| !ours(&stream.end))
}

fn gap(way: &Way, faults: &[Span]) -> Duration {
    let usual = way.delay_quantile(0.5);
    let touched = touched(faults);
    let hit = |at: Instant| {
        let next = touched.partition_point(|span| span.until < at);
        touched.get(next).is_some_and(|span| span.from <= at)
    };
    let hits = way.delays.iter().filter(|(at, _)| hit(*at));
    let added = hits.map(|(_, delay)| delay.saturating_sub(usual));
    added.max().unwrap_or_default()
}

/// The times in which frames count as touched: widened, and those that overlap made one.
fn touched(faults: &[Span]) -> Vec<Span> {
    let mut merged: Vec<Span> = Vec::new();
    for fault in faults {
        let from = fault.from.checked_sub(UNDER_WAY).unwrap_or(fault.from);
        let until = fault.until + AFTERMATH;
        match merged.last_mut() {
            Some(last) if from <= last.until => last.until = last.until.max(until),
            _ => merged.push(Span { from, until }),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_gap_is_the_worst_added_delay_around_a_fault() {
        let start = Instant::now() + Duration::from_secs(60);
        let at = |ms: u32| start + ms * MS;
        let span = |from, until| Span {
            from: at(from),
            until: at(until),
        };
        let way = Way {
            delays: vec![
                (at(0), 90 * MS),
                (at(1), 2 * MS),
                (at(2), 2 * MS),
                (at(985), 9 * MS),
                (at(2_100), 7 * MS),
                (at(3_900), 12 * MS),
                (at(4_200), 80 * MS),
            ],
            ..Way::default()
        };
        // The usual delay is 9 ms: the median of all.
        assert_eq!(gap(&way, &[span(1_000, 1_500)]), Duration::ZERO);
        assert_eq!(gap(&way, &[span(1_000, 1_500), span(2_000, 3_000)]), 3 * MS);
        assert_eq!(gap(&way, &[span(1_000, 3_300)]), 71 * MS);
        assert_eq!(gap(&way, &[]), Duration::ZERO);
    }

    #[test]
    fn overlapping_faults_are_one() {
        let start = Instant::now() + Duration::from_secs(60);
        let span = |from: u32, until: u32| Span {
            from: start + from * MS,
            until: start + until * MS,
        };
        let touched = touched(&[span(0, 100), span(500, 600), span(5_000, 5_001)]);
        assert_eq!(touched.len(), 2);
        assert_eq!(touched[0].until, start + 1_600 * MS);
    }
}
