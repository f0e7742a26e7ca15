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

impl ConfigError {
    /// An error of the file as a whole.
    pub(crate) fn of_file(message: String) -> Self {
        Self {
            path: String::new(),
            line: 0,
            column: 0,
            message,
        }
    }
}

/// `line:column: path: message`, or as much of that as there is.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: ", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a configuration, in the order of the file. The fault lies with the
/// file or with what it names; trying again without a change does not help.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigErrors {
    origin: String,
    errors: Vec<ConfigError>,
}

impl ConfigErrors {
    pub(crate) fn new(origin: &str, mut errors: Vec<ConfigError>) -> Self {
        // What has no place comes last.
        errors.sort_by_key(|error| (error.line == 0, error.line, error.column));
        Self {
            origin: origin.to_owned(),
            errors,
        }
    }

    /// The name of the file, as it was given.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The errors, in the order of the file. At least one.
    #[must_use]
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }
}

/// One line for each error, each beginning with the file's name.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.errors.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            let space = if error.line > 0 { "" } else { " " };
            write!(f, "{}:{space}{error}", self.origin)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
