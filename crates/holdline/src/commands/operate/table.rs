//! Columns for people. What others chose (call SIDs, versions) cannot reach the terminal's controls.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// Rows of columns, as wide as they need to be.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(header: &[&str]) -> Self {
        let header = header.iter().map(|name| (*name).to_owned()).collect();
        Self { rows: vec![header] }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows
            .push(cells.iter().map(|cell| plain(cell)).collect());
    }

    /// Its lines, without blanks at their ends.
    pub(super) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(widths.iter().copied());
            let line: String = cells
                .map(|(cell, width)| format!("{cell:width$}  "))
                .collect();
            line.trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }

    /// Its lines as one text.
    pub(super) fn text(&self) -> String {
        self.lines()
            .iter()
            .map(|line| format!("{line}\n"))
            .collect()
    }
}

/// A text without control characters.
pub(super) fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// A field that is a text or a number; `-` where it is nothing.
pub(super) fn field(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A span for people, from microseconds.
pub(super) fn micros(us: u64) -> String {
    match us {
        0 => "-".to_owned(),
        1..10_000 => format!("{:.1}ms", us as f64 / 1_000.0),
        10_000..1_000_000 => format!("{}ms", us / 1_000),
        _ => millis(us / 1_000),
    }
}

/// A span for people, from milliseconds.
pub(super) fn millis(ms: u64) -> String {
    let s = ms / 1_000;
    match s {
        0..60 => format!("{}.{}s", s, ms % 1_000 / 100),
        60..3_600 => format!("{}m{:02}s", s / 60, s % 60),
        3_600..86_400 => format!("{}h{:02}m", s / 3_600, s / 60 % 60),
        _ => format!("{}d{:02}h", s / 86_400, s / 3_600 % 24),
    }
}

/// A field that is a list; empty where it is none.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A field that is a number; 0 where it is none.
pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// How long ago that was, by this machine's clock.
pub(super) fn ago(unix_us: &Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = u64::try_from(now.unwrap_or_default().as_micros()).unwrap_or(u64::MAX);
    match unix_us.as_u64() {
        Some(at) => millis(now.saturating_sub(at) / 1_000),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut table = Table::new(&["A", "LONG"]);
        table.row(vec!["wide \u{1b}[31m".to_owned(), "x".to_owned()]);
        assert_eq!(table.text(), "A           LONG\nwide \u{fffd}[31m  x\n");
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let shown = [0, 4_200, 25_000, 1_500_000, 75_000_000, 3_700_000_000].map(micros);
        assert_eq!(shown, ["-", "4.2ms", "25ms", "1.5s", "1m15s", "1h01m"]);
    }
}
