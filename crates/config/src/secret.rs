//! Secrets: read once from the environment or a file, shown to nobody.

use std::{fmt, path::PathBuf, sync::Arc};

/// Where a secret comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretSource {
    /// An environment variable of this name.
    Env(String),
    /// A file; white space at its end is no part of the secret.
    File(PathBuf),
}

/// A secret's value, which neither `Debug`, `Display` nor serialisation ever shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    source: SecretSource,
    value: Arc<str>,
}

impl Secret {
    /// A secret with this value, said to come from `source`.
    #[must_use]
    pub fn new(source: SecretSource, value: &str) -> Self {
        Self {
            source,
            value: value.into(),
        }
    }

    /// The value itself. Take care that it goes nowhere but to the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// Where it was read from.
    #[must_use]
    pub fn source(&self) -> &SecretSource {
        &self.source
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
