//! The session's keyed state: all that a worker may remember.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Commit, Limits, refusal::Refusal};

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    schema: u32,
    entries: BTreeMap<String, Bytes>,
    bytes: u64,
}

impl State {
    pub(crate) fn schema(&self) -> u32 {
        self.schema
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&String, &Bytes)> {
        self.entries.iter()
    }

    /// Whether a commit's changes are within the rules, without making them. A commit that only
    /// touches keys costs in proportion to those keys.
    pub(crate) fn check(&self, commit: &Commit, limits: &Limits) -> Result<(), Refusal> {
        let fresh = self.entries.is_empty() && self.schema == 0;
        if commit.schema != self.schema && !commit.replace_state && !fresh {
            return Err(Refusal::new(
                "schema_change",
                format!(
                    "state_schema went from {} to {} without replace_state",
                    self.schema, commit.schema
                ),
            ));
        }
        let mut keys = if commit.replace_state {
            0
        } else {
            self.entries.len()
        };
        let mut bytes = if commit.replace_state { 0 } else { self.bytes };
        let mut touched = BTreeMap::new();
        if !commit.replace_state {
            for key in &commit.delete {
                touched.insert(key.as_str(), None);
            }
        }
        for (key, value) in &commit.put {
            check_entry(key, value, limits)?;
            touched.insert(key.as_str(), Some(value.len()));
        }
        for (key, after) in touched {
            let before = (!commit.replace_state)
                .then(|| self.entries.get(key))
                .flatten();
            if let Some(value) = before {
                keys -= 1;
                bytes -= size(key, value.len());
            }
            if let Some(length) = after {
                keys += 1;
                bytes += size(key, length);
            }
        }
        if bytes > limits.state_bytes {
            let detail = format!(
                "the state would have {bytes} bytes; {} are allowed",
                limits.state_bytes
            );
            return Err(Refusal::new("state_too_large", detail));
        }
        if keys > limits.state_keys as usize {
            let detail = format!(
                "the state would have {keys} keys; {} are allowed",
                limits.state_keys
            );
            return Err(Refusal::new("too_many_keys", detail));
        }
        Ok(())
    }

    /// Makes the changes of a commit that `check` has passed: first the deletions, then the puts.
    pub(crate) fn apply(&mut self, commit: &mut Commit) {
        self.schema = commit.schema;
        if commit.replace_state {
            self.entries.clear();
            self.bytes = 0;
        }
        for key in &commit.delete {
            if let Some(value) = self.entries.remove(key) {
                self.bytes -= size(key, value.len());
            }
        }
        for (key, value) in commit.put.drain(..) {
            let (name, length) = (key.len(), value.len());
            self.bytes += (name + length) as u64;
            if let Some(old) = self.entries.insert(key, value) {
                self.bytes -= (name + old.len()) as u64;
            }
        }
    }

    /// What must hold after every step, and of a state that was read from a snapshot.
    pub(crate) fn check_sizes(&self) -> Result<(), &'static str> {
        let bytes: u64 = self
            .entries
            .iter()
            .map(|(key, value)| size(key, value.len()))
            .sum();
        if bytes == self.bytes {
            Ok(())
        } else {
            Err("the state does not know its size")
        }
    }
}

fn size(key: &str, value: usize) -> u64 {
    (key.len() + value) as u64
}

fn check_entry(key: &str, value: &Bytes, limits: &Limits) -> Result<(), Refusal> {
    if key.is_empty() || key.len() > limits.key_bytes as usize {
        let detail = format!(
            "a key has {} bytes; 1 to {} are allowed",
            key.len(),
            limits.key_bytes
        );
        return Err(Refusal::new("bad_key", detail));
    }
    if value.len() as u64 > limits.value_bytes {
        let detail = format!(
            "the value of {key:?} has {} bytes; {} are allowed",
            value.len(),
            limits.value_bytes
        );
        return Err(Refusal::new("value_too_large", detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn limits() -> Limits {
        Limits {
            state_bytes: 40,
            state_keys: 3,
            ..Limits::default()
        }
    }

    fn commits() -> impl Strategy<Value = Commit> {
        let put = vec(("[a-e]{1,2}", vec(any::<u8>(), 0..20)), 0..4);
        let delete = vec("[a-e]{1,2}", 0..3);
        (put, delete, any::<bool>()).prop_map(|(put, delete, replace_state)| Commit {
            put: put
                .into_iter()
                .map(|(key, value)| (key, Bytes::from(value)))
                .collect(),
            delete,
            replace_state,
            schema: 1,
            ..Commit::default()
        })
    }

    #[test]
    fn a_state_that_does_not_know_its_size_is_noticed() {
        let mut state = State::default();
        state.apply(&mut Commit {
            put: vec![("key".to_owned(), Bytes::from_static(b"value"))],
            ..Commit::default()
        });
        assert_eq!((state.bytes(), state.check_sizes()), (8, Ok(())));
        state.bytes += 1;
        assert!(state.check_sizes().is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// `check` foresees exactly what `apply` would do.
        #[test]
        fn a_commit_passes_exactly_if_the_state_after_it_is_within_its_limits(
            commits in vec(commits(), 1..12),
        ) {
            let (limits, mut state) = (limits(), State::default());
            for mut commit in commits {
                let verdict = state.check(&commit, &limits);
                let mut after = state.clone();
                after.apply(&mut commit);
                prop_assert_eq!(after.check_sizes(), Ok(()));
                let fits = after.bytes <= limits.state_bytes
                    && after.entries.len() <= limits.state_keys as usize;
                prop_assert_eq!(verdict.is_ok(), fits);
                if fits {
                    state = after;
                }
            }
        }
    }
}
