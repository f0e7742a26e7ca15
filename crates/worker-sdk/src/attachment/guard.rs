//! Author's code is called behind a guard: what goes wrong in one session stays in it.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tonic::{Code, Status};

use crate::{CallError, WorkerError};

/// Longest status message in bytes; it travels in a header.
const STATUS_MAX: usize = 512;

/// Why an attachment ends.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    words: String,
    /// The key of the input, where there was one.
    at: Option<String>,
}

impl Failure {
    /// The author's code went over a limit.
    pub(crate) fn limit(error: CallError) -> Self {
        Self::internal(WorkerError::from(error).to_string())
    }

    /// The edge broke the order of inputs.
    pub(crate) fn out_of_order(seq: u64, position: u64) -> Self {
        Self {
            code: Code::FailedPrecondition,
            words: format!("input {seq} came after input {position}"),
            at: None,
        }
    }

    /// Names the input.
    pub(crate) fn at(mut self, key: &str) -> Self {
        self.at = Some(key.to_owned());
        self
    }

    pub(crate) fn to_status(&self) -> Status {
        let words = self.to_string();
        Status::new(self.code, &words[..words.floor_char_boundary(STATUS_MAX)])
    }

    fn internal(words: String) -> Self {
        Self {
            code: Code::Internal,
            words,
            at: None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(key) => write!(f, "{} (at {key})", self.words),
            None => f.write_str(&self.words),
        }
    }
}

/// Runs a handler; a panic becomes a failure. After either, the session's memory is not used again.
pub(super) fn guarded<T>(handler: impl FnOnce() -> Result<T, WorkerError>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(handler)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::internal(format!("the worker failed: {error}"))),
        Err(panic) => Err(Failure::internal(format!(
            "the worker panicked: {}",
            panic_words(&*panic)
        ))),
    }
}

/// What a panic said.
pub(crate) fn panic_words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no words")
}
