//! How many threads carry the calls.

use std::{num::NonZeroUsize, thread};

use serde_json::{Value, json};

use crate::{reader::At, shape::Shape};

const AUTO: &str = "auto";
/// More cores than any machine has that one would run a single edge on.
const MOST: u16 = 1_024;

/// A number of threads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Threads {
    /// One for each core that the process may use.
    Auto,
    /// So many.
    Count(u16),
}

impl Threads {
    /// How many these are on this machine, at this moment: of `auto`, what the process's affinity
    /// and its cgroup's quota leave it, rounded down, and one where the system does not tell.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::Auto => thread::available_parallelism().map_or(1, NonZeroUsize::get),
            Self::Count(count) => count.into(),
        }
    }
}

impl Shape for Threads {
    type Range = ();

    fn range() -> Self::Range {}

    fn read(at: &At<'_>, (): &()) -> Option<Self> {
        if at.text() == Some(AUTO) {
            return Some(Self::Auto);
        }
        u16::read(at, &(1..=MOST)).map(Self::Count)
    }

    fn schema((): &()) -> Value {
        json!({ "anyOf": [{ "const": AUTO }, u16::schema(&(1..=MOST))] })
    }

    fn write(&self) -> serde_yaml::Value {
        match self {
            Self::Auto => AUTO.into(),
            Self::Count(count) => count.write(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_one() {
        assert!(Threads::Auto.count() >= 1);
        assert_eq!(Threads::Count(3).count(), 3);
    }
}
