//! Which setting of a timer is the present one.
//!
//! Timers run in the edge. A fire may already be on its way when its timer is cancelled or set
//! again; the tag, which no other setting in the session's life has, tells such a fire apart.

use std::collections::BTreeMap;

use holdline_wire::v1;

/// Timers that are set, by name, each with the tag of its latest setting.
pub(crate) struct Timers {
    tags: BTreeMap<String, u64>,
    epoch: u64,
    settings: u32,
}

impl Timers {
    pub(super) fn new(epoch: u64, running: Vec<v1::Timer>) -> Self {
        Self {
            tags: running
                .into_iter()
                .map(|timer| (timer.name, timer.tag))
                .collect(),
            epoch,
            settings: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tags.len()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.tags.contains_key(name)
    }

    /// Notes a setting and returns its tag: the epoch, which only grows, above a counter.
    pub(super) fn set(&mut self, name: &str) -> u64 {
        self.settings = self.settings.wrapping_add(1);
        let tag = (self.epoch << 32) | u64::from(self.settings);
        self.tags.insert(name.to_owned(), tag);
        tag
    }

    /// Whether there was such a timer.
    pub(super) fn cancel(&mut self, name: &str) -> bool {
        self.tags.remove(name).is_some()
    }

    /// Whether a fire is that of the present setting, which it uses up.
    pub(super) fn fired(&mut self, fired: &v1::TimerFired) -> bool {
        let present = !fired.stale && self.tags.get(&fired.name) == Some(&fired.tag);
        if present {
            self.tags.remove(&fired.name);
        }
        present
    }
}
