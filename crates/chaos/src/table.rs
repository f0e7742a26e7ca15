//! The chaos table.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use crate::verdict::{Count, TO_CALLER, TO_MODEL, Tally};

/// One line of the table: what was done, and what became of the calls.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was done.
    pub fault: &'static str,
    /// How often.
    pub repetitions: u32,
    pub(crate) tally: Tally,
    /// Where frames were lost, in words; the first few.
    pub(crate) lost_where: Vec<String>,
    /// Caller media that the edge counted as lost at a limit: each frame of it stands in a `Gap`.
    pub(crate) in_gaps: u64,
    /// Whether a limit may be reached here, and media be lost in gaps.
    pub(crate) may_lose: bool,
    /// Whether there were times without any worker, in which a hold sound may be heard.
    pub(crate) held: bool,
    /// What else was seen.
    pub notes: Vec<String>,
    /// What else was promised and not kept.
    pub(crate) failures: Vec<String>,
}

impl Row {
    pub(crate) fn new(fault: &'static str, repetitions: u32, tally: Tally) -> Self {
        Self {
            fault,
            repetitions,
            tally,
            lost_where: Vec::new(),
            in_gaps: 0,
            may_lose: false,
            held: false,
            notes: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Says something about the row.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Says where the losses of its tally were.
    pub(crate) fn tell_losses(&mut self, start: Instant) {
        let losses = self.tally.losses.iter();
        self.lost_where = losses.map(|loss| loss.in_words(start)).collect();
    }

    /// A further promise, and whether it was kept.
    pub(crate) fn expect(&mut self, kept: bool, otherwise: impl FnOnce() -> String) {
        if !kept {
            self.failures.push(otherwise());
        }
    }

    /// What was promised and not kept, in words; empty where all was kept.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let mut broken = self.failures.clone();
        let mut zero = |count: u64, what: &str| {
            if count > 0 {
                broken.push(format!("{count} {what}"));
            }
        };
        zero(self.tally.dropped, "calls dropped");
        zero(self.tally.violations, "messages that Twilio would warn of");
        let ways = [
            (&self.tally.to_model, TO_MODEL, self.in_gaps),
            (&self.tally.to_caller, TO_CALLER, 0),
        ];
        let mut lost_more = false;
        for (count, way, in_gaps) in ways {
            let excused = if self.may_lose { in_gaps } else { 0 };
            let lost = count.lost.saturating_sub(excused);
            zero(lost, &format!("frames {way} lost"));
            lost_more |= lost > 0;
            zero(count.duplicated, &format!("frames {way} doubled"));
            zero(count.reordered, &format!("frames {way} out of order"));
            let sounds = self.held && way == TO_CALLER;
            if !sounds {
                zero(
                    count.foreign_bytes,
                    &format!("bytes {way} that nobody sent"),
                );
            }
            zero(
                u64::from(count.received == 0),
                &format!("whole direction {way} was silent"),
            );
        }
        if lost_more {
            broken.extend_from_slice(&self.lost_where);
        }
        broken
    }

    fn cells(&self) -> [String; COLUMNS] {
        let Tally {
            to_model,
            to_caller,
            ..
        } = &self.tally;
        let both = |number: fn(&Count) -> u64| (number(to_model) + number(to_caller)).to_string();
        let lost = both(|count| count.lost);
        [
            self.fault.to_owned(),
            self.repetitions.to_string(),
            self.tally.calls.to_string(),
            to_model.sent.to_string(),
            to_caller.sent.to_string(),
            if self.may_lose {
                format!("{lost} (in gaps {})", self.in_gaps)
            } else {
                lost
            },
            both(|count| count.duplicated),
            both(|count| count.reordered),
            self.tally.dropped.to_string(),
            millis(self.tally.worst_gap),
        ]
    }
}

const COLUMNS: usize = 10;
const HEAD: [&str; COLUMNS] = [
    "fault",
    "repetitions",
    "calls",
    "frames to model",
    "frames to caller",
    "lost",
    "duplicated",
    "reordered",
    "calls dropped",
    "worst gap",
];

/// The rows under their head: aligned for eyes, or as a table of Markdown.
pub(crate) fn text(rows: &[Row], markdown: bool) -> String {
    let rows: Vec<_> = rows.iter().map(Row::cells).collect();
    let mut text = String::new();
    if markdown {
        let _ = writeln!(text, "| {} |", HEAD.join(" | "));
        let _ = writeln!(text, "|---|{}", "--:|".repeat(COLUMNS - 1));
        for row in rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        return text;
    }
    let widest = |column: usize| {
        let cells = rows.iter().map(|row| row[column].len());
        cells.max().unwrap_or_default().max(HEAD[column].len())
    };
    let head = HEAD.map(str::to_owned);
    for row in std::iter::once(&head).chain(&rows) {
        let _ = write!(text, "{:<width$}", row[0], width = widest(0));
        for (column, cell) in row.iter().enumerate().skip(1) {
            let _ = write!(text, "  {cell:>width$}", width = widest(column));
        }
        text.push('\n');
    }
    text
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let way = Count {
            sent: 10,
            received: 10,
            ..Count::default()
        };
        let tally = Tally {
            calls: 1,
            to_model: way,
            to_caller: way,
            ..Tally::default()
        };
        Row::new("kills", 3, tally)
    }

    #[test]
    fn every_promise_can_be_seen_to_be_broken() {
        assert!(row().broken().is_empty());
        let breaks: [fn(&mut Row); 8] = [
            |row| row.tally.dropped = 1,
            |row| row.tally.violations = 1,
            |row| row.tally.to_model.lost = 1,
            |row| row.tally.to_caller.duplicated = 1,
            |row| row.tally.to_model.reordered = 1,
            |row| row.tally.to_caller.foreign_bytes = 1,
            |row| row.tally.to_caller.received = 0,
            |row| row.expect(false, || "no".to_owned()),
        ];
        for (index, breaks) in breaks.into_iter().enumerate() {
            let mut row = row();
            breaks(&mut row);
            assert_eq!(row.broken().len(), 1, "{index}");
        }
    }

    #[test]
    fn only_what_stands_in_gaps_is_excused() {
        let mut row = row();
        row.tally.to_model.lost = 5;
        row.in_gaps = 5;
        assert_eq!(row.broken().len(), 1);
        row.may_lose = true;
        assert!(row.broken().is_empty());
        row.in_gaps = 4;
        assert_eq!(row.broken(), ["1 frames to the model lost"]);
    }

    #[test]
    fn both_forms_have_all_columns() {
        let rows = [row()];
        let markdown = text(&rows, true);
        assert!(
            markdown.contains("| kills | 3 | 1 | 10 | 10 | 0 | 0 | 0 | 0 | 0.0 ms |"),
            "{markdown}"
        );
        let plain = text(&rows, false);
        let lengths: Vec<_> = plain.lines().map(str::len).collect();
        assert_eq!(lengths.len(), 2);
        assert_eq!(lengths[0], lengths[1], "{plain}");
    }
}
