//! The session's key-value state, and what of it has changed since the last commit.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;
use holdline_wire::v1;

use crate::{CallError, Limits};

/// What protobuf adds to a state entry, at most.
const ENTRY_OVERHEAD: u64 = 16;

/// All keys, with the means to commit what changed and to undo one input.
#[derive(Default)]
pub(crate) struct State {
    entries: BTreeMap<String, Bytes>,
    /// Sum of all keys and values.
    bytes: u64,
    /// Keys written since the last commit, with their values as of then.
    changed: BTreeMap<String, Option<Bytes>>,
    /// Writes since the last mark, oldest first, with the values before each.
    undo: Vec<(String, Option<Bytes>)>,
    /// Whether the next commit must carry all keys.
    replace: bool,
}

/// Writes of one input, taken out to be put in again.
pub(super) struct Tail(Vec<(String, Option<Bytes>)>);

impl State {
    /// The state as of the last commit. `replace`: the next commit changes the schema.
    pub(super) fn new(entries: BTreeMap<String, Bytes>, replace: bool) -> Self {
        Self {
            bytes: entries.iter().map(|(key, value)| size(key, value)).sum(),
            entries,
            replace,
            ..Self::default()
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Bytes> {
        self.entries.get(key)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keys that begin with a prefix, in their order.
    pub(super) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Bytes)> {
        self.entries
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.as_str(), value))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value))
    }

    /// Sets a key, within the limits. Writing the value that is there changes nothing.
    pub(super) fn put(
        &mut self,
        key: &str,
        value: Bytes,
        limits: &Limits,
    ) -> Result<(), CallError> {
        let old = self.entries.get(key);
        if old.is_some_and(|old| *old == value) {
            return Ok(());
        }
        if key.len() as u64 > limits.key_bytes {
            return Err(CallError::KeyTooLong {
                bytes: key.len(),
                limit: limits.key_bytes,
            });
        }
        if value.len() as u64 > limits.value_bytes {
            return Err(CallError::ValueTooLarge {
                key: key.to_owned(),
                bytes: value.len(),
                limit: limits.value_bytes,
            });
        }
        if old.is_none() && self.entries.len() as u64 >= limits.state_keys {
            return Err(CallError::TooManyKeys {
                key: key.to_owned(),
                limit: limits.state_keys,
            });
        }
        let before = old.map_or(0, |old| size(key, old));
        let bytes = self.bytes - before + size(key, &value);
        // A state over its limit, inherited from elsewhere, may still shrink.
        if bytes > limits.state_bytes && bytes > self.bytes {
            return Err(CallError::StateTooLarge {
                key: key.to_owned(),
                bytes,
                limit: limits.state_bytes,
            });
        }
        self.write(key, Some(value));
        Ok(())
    }

    /// Removes a key. Says whether it was there.
    pub(super) fn delete(&mut self, key: &str) -> bool {
        let there = self.entries.contains_key(key);
        if there {
            self.write(key, None);
        }
        there
    }

    /// From here on writes can be undone.
    pub(super) fn mark(&mut self) {
        self.undo.clear();
    }

    /// Takes back all writes since the mark.
    pub(super) fn rollback(&mut self) {
        self.split_off();
    }

    /// Takes back all writes since the mark, and hands them out.
    pub(super) fn split_off(&mut self) -> Tail {
        let undo = std::mem::take(&mut self.undo);
        let mut latest: BTreeMap<String, Option<Bytes>> = BTreeMap::new();
        for (key, before) in undo.into_iter().rev() {
            let now = self.set(&key, before);
            latest.entry(key).or_insert(now);
        }
        Tail(latest.into_iter().collect())
    }

    /// Writes again what [`Self::split_off`] took out.
    pub(super) fn restore(&mut self, tail: Tail) {
        for (key, value) in tail.0 {
            self.write(&key, value);
        }
    }

    /// Whether a commit would change anything.
    pub(super) fn is_changed(&self) -> bool {
        self.changes().next().is_some()
    }

    /// What the changed keys will take in a commit, at most. A whole state that has to be replaced
    /// is not counted: nothing could be split off it.
    pub(super) fn changed_bytes(&self) -> u64 {
        self.changed
            .keys()
            .map(|key| {
                let value = self.entries.get(key).map_or(0, Bytes::len);
                (key.len() + value) as u64 + ENTRY_OVERHEAD
            })
            .sum()
    }

    /// Moves what changed into a commit. From here on it counts as committed.
    pub(super) fn take(&mut self, commit: &mut v1::Commit) {
        if std::mem::take(&mut self.replace) {
            commit.replace_state = true;
            commit.put = self.iter().map(|(key, value)| entry(key, value)).collect();
        } else {
            for (key, value) in self.changes() {
                match value {
                    Some(value) => commit.put.push(entry(key, value)),
                    None => commit.delete.push(key.to_owned()),
                }
            }
        }
        self.changed.clear();
        self.undo.clear();
    }

    /// Keys whose value is not what it was at the last commit.
    fn changes(&self) -> impl Iterator<Item = (&str, Option<&Bytes>)> {
        self.changed.iter().filter_map(|(key, committed)| {
            let now = self.entries.get(key);
            (now != committed.as_ref()).then_some((key.as_str(), now))
        })
    }

    fn write(&mut self, key: &str, value: Option<Bytes>) {
        let before = self.set(key, value);
        if !self.changed.contains_key(key) {
            self.changed.insert(key.to_owned(), before.clone());
        }
        self.undo.push((key.to_owned(), before));
    }

    /// Sets or removes without a trace, and keeps the sum. Returns what was there.
    fn set(&mut self, key: &str, value: Option<Bytes>) -> Option<Bytes> {
        self.bytes += value.as_ref().map_or(0, |value| size(key, value));
        let before = match value {
            Some(value) => self.entries.insert(key.to_owned(), value),
            None => self.entries.remove(key),
        };
        self.bytes -= before.as_ref().map_or(0, |before| size(key, before));
        before
    }
}

fn size(key: &str, value: &Bytes) -> u64 {
    (key.len() + value.len()) as u64
}

fn entry(key: &str, value: &Bytes) -> v1::StateEntry {
    v1::StateEntry {
        key: key.to_owned(),
        value: value.clone(),
    }
}
