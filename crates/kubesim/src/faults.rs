//! What goes wrong on demand.

use std::{collections::BTreeSet, fmt, time::Duration};

use crate::Kind;

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verb {
    /// One object.
    Get,
    /// All objects.
    List,
    /// What becomes of them.
    Watch,
    /// To change a part of one.
    Patch,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Patch => "patch",
        })
    }
}

/// How a version that is gone is told: real API servers do it in both ways.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum GoneAs {
    /// An `ERROR` event within the watch.
    #[default]
    Event,
    /// The answer to the watch has status 410.
    Status,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) denied: BTreeSet<(Verb, Kind)>,
    /// The token that is accepted; any where there is none.
    pub(crate) token: Option<String>,
    pub(crate) gone_as: GoneAs,
    /// How often all watches fell silent.
    pub(crate) silences: u64,
    /// Before each answer.
    pub(crate) delay: Duration,
    /// How often all watches were cut.
    pub(crate) cuts: u64,
}
