//! Timers of a session: they live in the edge, so a handoff does not disturb them.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Time;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Timer {
    pub(crate) due: Time,
    pub(crate) tag: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Timers {
    set: BTreeMap<String, Timer>,
}

impl Timers {
    pub(crate) fn len(&self) -> usize {
        self.set.len()
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.set.contains_key(name)
    }

    pub(crate) fn set(&mut self, name: String, now: Time, after: Duration, tag: u64) {
        let due = now + after;
        self.set.insert(name, Timer { due, tag });
    }

    pub(crate) fn cancel(&mut self, name: &str) {
        self.set.remove(name);
    }

    pub(crate) fn clear(&mut self) {
        self.set.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Timer)> {
        self.set.iter()
    }

    /// When the next one is due.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.set.values().map(|timer| timer.due).min()
    }

    /// Takes out the timers that are due, in the order in which they were.
    pub(crate) fn take_due(&mut self, now: Time) -> Vec<(String, Timer)> {
        if self.next_due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        let mut due: Vec<_> = self
            .set
            .extract_if(.., |_, timer| timer.due <= now)
            .collect();
        due.sort_by(|(a_name, a), (b_name, b)| (a.due, a_name).cmp(&(b.due, b_name)));
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_timers_come_by_time_then_name_and_leave_the_rest() {
        let mut timers = Timers::default();
        for (name, after) in [("late", 9), ("b", 5), ("c", 3), ("a", 5)] {
            timers.set(name.to_owned(), Time(0), Duration::from_micros(after), 0);
        }
        let due = timers.take_due(Time(5));
        let names: Vec<_> = due.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["c", "a", "b"]);
        assert_eq!((timers.len(), timers.next_due()), (1, Some(Time(9))));
        assert!(timers.take_due(Time(8)).is_empty());
    }

    #[test]
    fn a_time_beyond_all_clocks_is_the_end_of_time_and_no_overflow() {
        let mut timers = Timers::default();
        timers.set("never".to_owned(), Time(u64::MAX - 1), Duration::MAX, 0);
        assert_eq!(timers.next_due(), Some(Time(u64::MAX)));
    }
}
