//! Sizes and times as people write them: `64KiB`, `500ms`.

use std::{fmt, ops::RangeInclusive, time::Duration};

use serde_json::{Value, json};

use crate::{
    reader::{At, shorten},
    shape::Shape,
    tree::Node,
};

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many times 1,024 bytes.
    #[must_use]
    pub const fn kib(kib: u64) -> Self {
        Self(kib << 10)
    }

    /// So many times 1,048,576 bytes.
    #[must_use]
    pub const fn mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// In bytes.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// In bytes; the largest `usize` where it does not fit.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// In bytes; the largest `u32` where it does not fit.
    #[must_use]
    pub fn as_u32(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

/// In the largest unit that needs no fraction, as it is written in the file.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&in_largest(self.0, SIZES))
    }
}

/// A unit and how much of the smallest it is; the largest comes first.
type Units = &'static [(&'static str, u64)];

const SIZES: Units = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

const TIMES: Units = &[
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

fn in_largest(value: u64, units: Units) -> String {
    let exact = |(_, factor): &&(&str, u64)| value > 0 && value.is_multiple_of(*factor);
    // Zero is best said in the unit that people think in.
    let (unit, factor) = units.iter().find(exact).copied().unwrap_or(match units {
        SIZES => ("B", 1),
        _ => ("s", 1_000_000),
    });
    format!("{}{unit}", value / factor)
}

/// A time as it is written in the file, to the microsecond.
pub(crate) fn write_time(time: Duration) -> String {
    in_largest(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), TIMES)
}

/// Any time and any size, for glances at what may be out of range.
pub(crate) const ANY_TIME: RangeInclusive<Duration> = Duration::ZERO..=Duration::MAX;
/// See [`ANY_TIME`].
pub(crate) const ANY_SIZE: RangeInclusive<ByteSize> = ByteSize(0)..=ByteSize(u64::MAX);

/// One millisecond to 30 days, unless a field says otherwise: within it, adding a time to the present
/// cannot overflow.
impl Shape for Duration {
    type Range = RangeInclusive<Self>;

    fn range() -> Self::Range {
        Self::from_millis(1)..=Self::from_secs(30 * 24 * 3_600)
    }

    fn read(at: &At<'_>, range: &Self::Range) -> Option<Self> {
        let micros = read_amount(at, TIMES, "a time such as 500ms, 15s or 1h")?;
        let time = Self::from_micros(micros);
        if range.contains(&time) {
            return Some(time);
        }
        let (least, most) = (write_time(*range.start()), write_time(*range.end()));
        at.wrong(format!(
            "{} is out of range: it must be {least} to {most}",
            write_time(time)
        ));
        None
    }

    fn schema(_: &Self::Range) -> Value {
        json!({ "type": "string", "pattern": "^[0-9]+(us|ms|s|m|h)$" })
    }

    fn write(&self) -> serde_yaml::Value {
        write_time(*self).into()
    }
}

impl Shape for ByteSize {
    type Range = RangeInclusive<Self>;

    fn range() -> Self::Range {
        Self(1)..=Self::mib(1_024)
    }

    fn read(at: &At<'_>, range: &Self::Range) -> Option<Self> {
        let size = Self(read_amount(
            at,
            SIZES,
            "a size such as 256B, 64KiB or 4MiB",
        )?);
        if range.contains(&size) {
            return Some(size);
        }
        let (least, most) = (range.start(), range.end());
        at.wrong(format!(
            "{size} is out of range: it must be {least} to {most}"
        ));
        None
    }

    fn schema(_: &Self::Range) -> Value {
        json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$" })
    }

    fn write(&self) -> serde_yaml::Value {
        self.to_string().into()
    }
}

/// A whole number and its unit, in the smallest unit.
fn read_amount(at: &At<'_>, units: Units, right: &str) -> Option<u64> {
    let text = match at.node {
        Node::Text(text) => text,
        Node::Integer(bare) => {
            at.wrong(format!(
                "{bare} has no unit: write {}",
                with_units(*bare, units)
            ));
            return None;
        }
        other => {
            at.wrong(format!("must be {right}, not {}", other.kind()));
            return None;
        }
    };
    let written = shorten(text);
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    if number.is_empty() || unit.starts_with(['.', ',']) {
        at.wrong(format!(
            "`{written}` is not {right}, a whole number with its unit"
        ));
        return None;
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let names: Vec<_> = units.iter().rev().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        match meant(unit, units) {
            _ if unit.is_empty() => {
                at.wrong(format!("`{written}` has no unit: add one of {names}"))
            }
            Some(name) => at.wrong(format!("`{written}`: did you mean {number}{name}?")),
            None => at.wrong(format!(
                "`{written}` has an unknown unit: use one of {names}"
            )),
        }
        return None;
    };
    let amount = number.parse::<u64>().ok();
    let amount = amount.and_then(|amount| amount.checked_mul(*factor));
    if amount.is_none() {
        at.wrong(format!("`{written}` is too large"));
    }
    amount
}

fn with_units(bare: u64, units: Units) -> String {
    let each = units.iter().rev().map(|(unit, _)| format!("{bare}{unit}"));
    let each: Vec<_> = each.collect();
    each.join(", ")
}

/// Other ways to write units, in small letters.
const OTHER_UNITS: &[(&str, &[&str])] = &[
    ("B", &["b", "byte", "bytes"]),
    ("KiB", &["k", "kb", "kib", "ki"]),
    ("MiB", &["m", "mb", "mib", "mi"]),
    ("GiB", &["g", "gb", "gib", "gi"]),
    ("us", &["µs", "usec", "micros", "microseconds"]),
    ("ms", &["msec", "millis", "milliseconds", "millisecond"]),
    ("s", &["sec", "secs", "second", "seconds"]),
    ("m", &["min", "mins", "minute", "minutes"]),
    ("h", &["hr", "hour", "hours"]),
];

/// The unit that was meant by one that is not known.
fn meant(unit: &str, units: Units) -> Option<&'static str> {
    let unit = unit.to_lowercase();
    let is = |(known, _): &&(&'static str, u64)| {
        let others = OTHER_UNITS.iter().find(|(name, _)| name == known);
        known.eq_ignore_ascii_case(&unit)
            || others.is_some_and(|(_, others)| others.contains(&unit.as_str()))
    };
    units.iter().find(is).map(|(known, _)| *known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_in_the_largest_unit_that_is_exact() {
        for (size, text) in [
            (ByteSize::bytes(0), "0B"),
            (ByteSize::bytes(1_000), "1000B"),
            (ByteSize::kib(64), "64KiB"),
            (ByteSize::kib(1_536), "1536KiB"),
            (ByteSize::mib(2_048), "2GiB"),
        ] {
            assert_eq!(size.to_string(), text);
        }
        for (time, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_micros(1_500), "1500us"),
            (Duration::from_millis(1_500), "1500ms"),
            (Duration::from_secs(90), "90s"),
            (Duration::from_secs(7_200), "2h"),
        ] {
            assert_eq!(write_time(time), text);
        }
    }

    #[test]
    fn other_ways_to_write_a_unit() {
        for (unit, known) in [
            ("kb", "KiB"),
            ("K", "KiB"),
            ("kib", "KiB"),
            ("MB", "MiB"),
            ("b", "B"),
            ("bytes", "B"),
            ("seconds", "s"),
            ("sec", "s"),
            ("S", "s"),
            ("min", "m"),
            ("minutes", "m"),
            ("hours", "h"),
            ("msec", "ms"),
            ("millis", "ms"),
            ("µs", "us"),
        ] {
            let units = if known.contains(['B']) { SIZES } else { TIMES };
            assert_eq!(meant(unit, units), Some(known), "{unit}");
        }
        for unit in ["x", "d", "apples", "mm"] {
            assert_eq!(meant(unit, TIMES), None, "{unit}");
        }
    }
}
