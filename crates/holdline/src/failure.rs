//! How a command fails: in words, and as an exit status that scripts can tell apart.

use std::{error::Error, fmt, io, process::ExitCode};

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something went wrong: exit status 1.
    Failed(String),
    /// The command line or a configuration is wrong: exit status 2.
    Misconfigured(String),
    /// A running edge said no: exit status 3.
    Refused(String),
}

impl Failure {
    /// An error with its causes, as a failure.
    pub(crate) fn failed(error: &dyn Error) -> Self {
        Self::Failed(chain(error))
    }

    /// An error in what was written, with its causes.
    pub(crate) fn misconfigured(error: &dyn Error) -> Self {
        Self::Misconfigured(chain(error))
    }
}

/// The error and its causes, save those whose words are in the error before.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.ends_with(&more) {
            words.push_str(": ");
            words.push_str(&more);
        }
        cause = error.source();
    }
    words.trim_end().to_owned()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(words) | Self::Misconfigured(words) | Self::Refused(words) => {
                f.write_str(words)
            }
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::failed(&error)
    }
}

impl From<Failure> for ExitCode {
    fn from(failure: Failure) -> Self {
        Self::from(match failure {
            Failure::Failed(_) => 1,
            Failure::Misconfigured(_) => 2,
            Failure::Refused(_) => 3,
        })
    }
}
