//! The demo's account: what became of every frame, counted by the simulators.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use holdline_testkit::{
    judge::{self, Account, Way},
    openai::{Outcome, SimReport},
    twilio::{CallRecord, StreamEnd},
};
use serde_json::{Value, json};

use super::{
    handoffs::{Deed, Done, Handoff, median, percentile},
    picture::Delay,
    show::say,
};

/// The account of all calls.
#[derive(Debug)]
pub(super) struct Verdict {
    calls: usize,
    /// Calls that did not last until their caller hung up.
    pub(super) dropped: usize,
    shortest: Duration,
    pub(super) to_model: Way,
    pub(super) to_caller: Way,
    cleared: u64,
    cancelled: u64,
    violations: u64,
    gaps: BTreeMap<Deed, Vec<Duration>>,
}

impl Verdict {
    /// Lays the simulators' records side by side.
    pub(super) fn new(
        records: &[CallRecord],
        model: &SimReport,
        handoffs: &[Handoff],
        deeds: &[Done],
    ) -> Self {
        let mut verdict = Self {
            calls: records.len(),
            dropped: records.iter().filter(|record| was_dropped(record)).count(),
            shortest: records
                .iter()
                .map(|record| record.ended - record.started)
                .min()
                .unwrap_or_default(),
            to_model: Way::default(),
            to_caller: Way::default(),
            cleared: 0,
            cancelled: model
                .connections
                .iter()
                .flat_map(|connection| &connection.responses)
                .filter(|response| response.outcome == Outcome::Cancelled)
                .count() as u64,
            violations: 0,
            gaps: BTreeMap::new(),
        };
        for record in records {
            let account = judge::account(record, &model.connections);
            verdict.add_gaps(record, &account, handoffs, deeds);
            verdict.to_model.add(&account.to_model);
            verdict.to_caller.add(&account.to_caller);
            verdict.cleared += account.cleared;
            verdict.violations += account.violations;
        }
        verdict
    }

    /// Nothing lost, nothing twice, nothing out of order, nobody cut off.
    pub(super) fn is_good(&self) -> bool {
        self.dropped == 0
            && self.violations == 0
            && self.to_model.is_perfect()
            && self.to_caller.is_perfect()
            && self.to_model.received > 0
            && self.to_caller.received > 0
    }

    fn add_gaps(
        &mut self,
        record: &CallRecord,
        account: &Account,
        handoffs: &[Handoff],
        deeds: &[Done],
    ) {
        let ways: [&[Delay]; 2] = [&account.to_model.delays, &account.to_caller.delays];
        let usual = ways.map(median);
        for handoff in handoffs.iter().filter(|it| it.call_sid == record.call_sid) {
            let Some(cause) = handoff.cause(deeds) else {
                continue;
            };
            // A kill or a freeze counts from the deed, not from when the edge noticed.
            let start = match cause.deed {
                Deed::Kill | Deed::Freeze => cause.at.min(handoff.since),
                Deed::Deploy | Deed::RollBack => handoff.since,
            };
            let gap = ways
                .iter()
                .zip(usual)
                .map(|(delays, usual)| handoff.gap(start, delays, usual))
                .max()
                .unwrap_or_default();
            self.gaps.entry(cause.deed).or_default().push(gap);
        }
    }

    /// Prints it.
    pub(super) fn print(&self) {
        say("");
        say(&format!(
            "calls {}   dropped {}   shortest {:.1} s   barge-ins: {} responses cancelled, \
             {} frames cleared unheard",
            self.calls,
            self.dropped,
            self.shortest.as_secs_f64(),
            self.cancelled,
            self.cleared
        ));
        say("");
        say(
            "frames of 20 ms           sent  received  discarded  lost  duplicated  reordered    p50 ms    p99 ms    max ms",
        );
        print_way("caller to model", &self.to_model);
        print_way("model to caller", &self.to_caller);
        say("");
        say("(discarded: late audio of a response that the model saw cancelled by barge-in)");
        say("");
        say("gap of a handoff: worst delay added to any frame around it");
        say("                       handoffs    p50 ms    p99 ms    max ms");
        for deed in Deed::ALL {
            let mut gaps = self.gaps.get(&deed).cloned().unwrap_or_default();
            say(&format!(
                "{:<22} {:>9} {:>9.1} {:>9.1} {:>9.1}",
                deed.as_str(),
                gaps.len(),
                millis(percentile(&mut gaps, 50)),
                millis(percentile(&mut gaps, 99)),
                millis(percentile(&mut gaps, 100)),
            ));
        }
        say("");
    }

    /// The same for programs.
    pub(super) fn to_json(&self) -> Value {
        let gaps: BTreeMap<_, _> = Deed::ALL
            .into_iter()
            .map(|deed| {
                let mut gaps = self.gaps.get(&deed).cloned().unwrap_or_default();
                let numbers = json!({
                    "handoffs": gaps.len(),
                    "p50_ms": millis(percentile(&mut gaps, 50)),
                    "p99_ms": millis(percentile(&mut gaps, 99)),
                    "max_ms": millis(percentile(&mut gaps, 100)),
                });
                (deed.as_str(), numbers)
            })
            .collect();
        json!({
            "calls": self.calls,
            "calls_dropped": self.dropped,
            "shortest_call_s": self.shortest.as_secs_f64(),
            "responses_cancelled": self.cancelled,
            "frames_cleared": self.cleared,
            "protocol_violations": self.violations,
            "caller_to_model": self.to_model.summary(),
            "model_to_caller": self.to_caller.summary(),
            "handoff_gaps": gaps,
            "good": self.is_good(),
        })
    }

    /// All frames of one direction, for the picture.
    pub(super) fn since(way: &Way, start: Instant) -> Vec<Delay> {
        way.delays
            .iter()
            .filter(|(at, _)| *at >= start)
            .copied()
            .collect()
    }
}

/// A call is dropped if anyone but its caller ended it.
fn was_dropped(record: &CallRecord) -> bool {
    record.streams.len() != 1
        || record
            .streams
            .iter()
            .any(|stream| stream.end != StreamEnd::Ours)
}

fn print_way(name: &str, way: &Way) {
    let sum = way.summary();
    say(&format!(
        "{name:<20} {:>9} {:>9} {:>10} {:>5} {:>11} {:>10} {:>9.2} {:>9.2} {:>9.2}",
        sum.sent,
        sum.received,
        sum.discarded + sum.cut,
        sum.lost,
        sum.duplicated,
        sum.reordered,
        sum.delay_p50_ms,
        sum.delay_p99_ms,
        sum.delay_max_ms
    ));
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
