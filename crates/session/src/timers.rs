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
