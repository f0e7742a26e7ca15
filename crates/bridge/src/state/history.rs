//! What was said, as far as the caller heard it: a lost model session is rebuilt from this.
//!
//! One key per turn, so that a turn is written when it changes and not again with every later one.
//! Four hours of talk must fit: the oldest turns give way, and a note stands for them.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Change, StateError, Tracked, json, load, parse, turn::MAX_TEXT};
use crate::{
    ids::{CallId, ItemId},
    private::Private,
};

/// Most turns that are kept.
const MAX_ENTRIES: usize = 400;
/// Most bytes that all of them may have: an eighth of what the edge allows a session.
const MAX_BYTES: usize = 128 << 10;
/// Bytes of a key.
const KEY_BYTES: usize = "history/00000000".len();
/// How far back an item is looked for: transcripts may come after the next turn has begun.
const RECENT: usize = 64;

/// What was said.
#[derive(Default, Debug)]
pub(crate) struct History {
    index: Tracked<Index>,
    entries: VecDeque<Entry>,
    changed: BTreeSet<u64>,
    removed: BTreeSet<u64>,
    bytes: usize,
}

/// Which entries there are.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
struct Index {
    /// Number of the oldest one, which is also how many had to give way.
    first: u64,
    /// Number of the next one.
    next: u64,
    /// How often anything was added or changed.
    revision: u64,
}

/// One turn, or a part of one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(default)]
    pub(crate) item: ItemId,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What an entry is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum What {
    /// The caller, in speech or by keys; empty until, or unless, it was understood.
    Caller {
        #[serde(default)]
        words: Private,
    },
    /// The model.
    Agent {
        #[serde(default)]
        words: Private,
        /// Whether it was interrupted: then these are the words that were heard.
        #[serde(default)]
        cut: bool,
    },
    /// Something outside of the call that the model was told.
    News { words: Private },
    /// A function call of the model.
    Call {
        call: CallId,
        name: String,
        arguments: Private,
    },
    /// What a function returned.
    Output { call: CallId, output: Private },
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

impl History {
    pub(super) fn load(get: &dyn Fn(&str) -> Option<Bytes>) -> Result<Self, StateError> {
        let index: Tracked<Index> = load(get, "history")?;
        let mut history = Self::default();
        for number in index.first..index.next.min(index.first + 2 * MAX_ENTRIES as u64) {
            let key = key(number);
            let unknown = Entry {
                item: ItemId::default(),
                what: What::Unknown,
            };
            let entry = get(&key).map_or(Ok(unknown), |value| parse(&key, &value))?;
            history.bytes += entry.bytes();
            history.entries.push_back(entry);
        }
        history.index = index;
        Ok(history)
    }

    pub(super) fn save(&mut self, changes: &mut dyn FnMut(Change)) {
        super::save(&mut self.index, "history", changes);
        for number in std::mem::take(&mut self.removed) {
            self.changed.remove(&number);
            changes(Change::Delete(key(number)));
        }
        for number in std::mem::take(&mut self.changed) {
            let at = usize::try_from(number.saturating_sub(self.index.first)).unwrap_or(usize::MAX);
            if let Some(entry) = self.entries.get(at) {
                changes(Change::Put(key(number), json(entry)));
            }
        }
    }

    /// All that is kept, the oldest first.
    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// How many older entries had to give way.
    pub(crate) fn forgotten(&self) -> u64 {
        self.index.first
    }

    /// Whether nothing was ever said; an answer of which nothing was heard does not count.
    pub(crate) fn is_empty(&self) -> bool {
        let silent =
            |entry: &Entry| matches!(&entry.what, What::Agent { words, .. } if words.is_empty());
        self.index.first == 0 && self.entries.iter().all(silent)
    }

    /// Changes with everything that is added or becomes known.
    pub(crate) fn revision(&self) -> u64 {
        self.index.revision
    }

    /// The words of an item of the model, and the item's number, where it is still known.
    pub(crate) fn agent(&self, item: &ItemId) -> Option<(u64, &Private)> {
        let at = self.find(item)?;
        match &self.entries[at].what {
            What::Agent { words, .. } => Some((self.index.first + at as u64, words)),
            _ => None,
        }
    }

    /// Adds an entry, in the order of the conversation. One for this item may be there already.
    pub(crate) fn add(&mut self, item: &ItemId, what: What) {
        if self.find(item).is_some() {
            return;
        }
        let entry = Entry {
            item: item.clone(),
            what,
        };
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        self.changed.insert(self.index.next);
        self.index.next += 1;
        self.index.revision += 1;
        self.shrink();
    }

    /// The caller's words became known.
    pub(crate) fn caller_said(&mut self, item: &ItemId, words: &str) {
        let new = Private::within(words, MAX_TEXT);
        self.add(
            item,
            What::Caller {
                words: Private::default(),
            },
        );
        self.change(item, |what| {
            if let What::Caller { words } = what {
                *words = new;
            }
        });
    }

    /// The model's words became known. What was interrupted stays as it was heard.
    pub(crate) fn agent_said(&mut self, item: &ItemId, words: &str) {
        let new = Private::within(words, MAX_TEXT);
        self.add(
            item,
            What::Agent {
                words: Private::default(),
                cut: false,
            },
        );
        self.change(item, |what| {
            if let What::Agent { words, cut: false } = what {
                *words = new;
            }
        });
    }

    /// The model was lost in the middle of an item: these of its words go on to be heard. They may
    /// be interrupted still.
    pub(crate) fn agent_lost(&mut self, item: &ItemId, heard: Private) {
        self.change(item, |what| {
            if let What::Agent { words, cut: false } = what {
                *words = heard;
            }
        });
    }

    /// The model was interrupted: of its words, so far as known, this share was heard.
    pub(crate) fn agent_cut(
        &mut self,
        item: &ItemId,
        so_far: Option<Private>,
        heard: u64,
        sent: u64,
    ) {
        self.add(
            item,
            What::Agent {
                words: Private::default(),
                cut: false,
            },
        );
        self.change(item, |what| {
            if let What::Agent { words, cut } = what
                && !*cut
            {
                *words = so_far.unwrap_or_else(|| words.clone()).share(heard, sent);
                *cut = true;
            }
        });
    }

    /// What a function returned, where that is still known.
    pub(crate) fn output(&self, call: &CallId) -> Option<&Private> {
        self.entries
            .iter()
            .rev()
            .find_map(|entry| match &entry.what {
                What::Output { call: of, output } if of == call => Some(output),
                _ => None,
            })
    }

    fn find(&self, item: &ItemId) -> Option<usize> {
        let from = self.entries.len().saturating_sub(RECENT);
        (from..self.entries.len())
            .rev()
            .find(|&at| self.entries[at].item == *item)
    }

    fn change(&mut self, item: &ItemId, change: impl FnOnce(&mut What)) {
        let Some(at) = self.find(item) else {
            return;
        };
        self.bytes -= self.entries[at].bytes();
        change(&mut self.entries[at].what);
        self.bytes += self.entries[at].bytes();
        self.changed.insert(self.index.first + at as u64);
        self.index.revision += 1;
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.entries.len() > MAX_ENTRIES || (self.bytes > MAX_BYTES && self.entries.len() > 1)
        {
            if let Some(entry) = self.entries.pop_front() {
                self.bytes -= entry.bytes();
            }
            self.removed.insert(self.index.first);
            self.index.first += 1;
        }
    }
}

impl Entry {
    /// As the edge counts it: escapes can make a text several times as long.
    fn bytes(&self) -> usize {
        json(self).len() + KEY_BYTES
    }
}

fn key(number: u64) -> String {
    format!("history/{number:08}")
}

#[cfg(test)]
mod tests;
