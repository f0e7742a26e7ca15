//! What is wrong with a configuration: every error with its path, line and column.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// Where in the tree, such as `listeners[0].routes[1].max_frame`; empty for the file as a whole.
    pub path: String,
    /// Line, from 1; 0 where there is none (the file cannot be read).
    pub line: usize,
    /// Column, from 1; 0 where there is none.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Everything that is wrong with a configuration, in the order of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigErrors {
    origin: String,
    errors: Vec<ConfigError>,
}

impl ConfigErrors {
    pub(crate) fn new(origin: &str, errors: Vec<ConfigError>) -> Self {
        Self {
            origin: origin.to_owned(),
            errors,
        }
    }

    /// The errors, in the order of the file.
    #[must_use]
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            writeln!(f, "{}:{}:{}: {}: {}", self.origin, error.line, error.column, error.path, error.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
