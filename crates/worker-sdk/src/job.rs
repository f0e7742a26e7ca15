//! Outside work: what a handler must not wait for.
//!
//! A job is state. It is written into a reserved key by the commit that creates it and removed by
//! the commit that carries its result, so every worker that attaches the session in between finds
//! it and performs it. That makes it run at least once; its key, which is the same in every
//! performance and in every replay of the handler, makes it count once outside.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Most jobs that a session may have under way.
pub const MAX_JOBS: usize = 32;

/// Largest payload of a job in bytes; it is part of the session's state.
pub const MAX_JOB_BYTES: usize = 64 << 10;

/// How often a job is begun anew because its worker was lost, before it is reported as abandoned.
pub const MAX_JOB_ATTEMPTS: u32 = 10;

/// Names a job everywhere: `SESSION_ID/SEQ/N`, where `SEQ` is the input that asked for it.
///
/// A job that is asked for while the result of another one is handled gets a key derived from that
/// one's, so that every replay derives the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobKey(String);

impl JobKey {
    /// `SESSION_ID/SEQ/N`, to be handed to the outside as an `Idempotency-Key`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The `nth` job of an input.
    pub(crate) fn new(session: &str, seq: u64, nth: u32) -> Self {
        Self::from_parts(session, &format!("{seq}/{nth}"))
    }

    /// From the session's id and `SEQ/N`.
    pub(crate) fn from_parts(session: &str, within: &str) -> Self {
        Self(format!("{session}/{within}"))
    }

    /// `SEQ/N`.
    pub(crate) fn within_session(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, within)| within)
    }

    /// The `nth` job that this one's result led to.
    ///
    /// Where a long chain would make the key grow without end, its beginning is folded into a hash.
    pub(crate) fn child(&self, nth: u32) -> Self {
        const LONGEST: usize = 96;
        let child = format!("{}.{nth}", self.0);
        if child.len() <= LONGEST {
            return Self(child);
        }
        let (head, _) = self.0.rsplit_once('/').unwrap_or((&self.0, ""));
        Self(format!("{head}/h{:016x}", fnv1a(child.as_bytes())))
    }
}

/// FNV-1a, 64 bits: the same in every build and on every machine, which std's hashers do not
/// promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Outside work to be done.
#[derive(Clone)]
pub struct Job {
    pub(crate) key: JobKey,
    pub(crate) name: String,
    pub(crate) payload: Bytes,
    pub(crate) epoch: u64,
    pub(crate) attempt: u32,
}

impl Job {
    /// The same in every performance of this job.
    #[must_use]
    pub fn key(&self) -> &JobKey {
        &self.key
    }

    /// The session that asked for it.
    #[must_use]
    pub fn session_id(&self) -> &str {
        self.key.0.split('/').next().unwrap_or_default()
    }

    /// As given to [`Call::spawn`](crate::Call::spawn).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As given to [`Call::spawn`](crate::Call::spawn).
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Number of the attachment that performs it. Only grows: a fencing token for systems that can
    /// refuse older ones.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// 1, and one more for every worker that was lost while the job was under way.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// As it is kept in the state: `ATTEMPT NAME`, a line feed, the payload.
    pub(crate) fn to_state(&self) -> Bytes {
        let mut value = format!("{} {}\n", self.attempt, self.name).into_bytes();
        value.extend_from_slice(&self.payload);
        value.into()
    }

    /// The opposite of [`Self::to_state`]. `None` for what that cannot have written.
    pub(crate) fn from_state(key: JobKey, value: &Bytes, epoch: u64) -> Option<Self> {
        let end = value.iter().position(|byte| *byte == b'\n')?;
        let head = std::str::from_utf8(&value[..end]).ok()?;
        let (attempt, name) = head.split_once(' ')?;
        Some(Self {
            key,
            name: name.to_owned(),
            payload: value.slice(end + 1..),
            epoch,
            attempt: attempt.parse().ok()?,
        })
    }
}

impl fmt::Debug for Job {
    /// Without the payload, which may hold what a caller said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("key", &self.key)
            .field("name", &self.name)
            .field("payload_bytes", &self.payload.len())
            .field("epoch", &self.epoch)
            .field("attempt", &self.attempt)
            .finish()
    }
}

/// What became of a job.
pub type JobResult = Result<Bytes, JobError>;

/// Why a job came to nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The author's own failure.
    #[error("{message}")]
    Failed {
        /// In words.
        message: String,
        /// Whether asking again may help.
        retry: bool,
    },
    /// `perform` panicked: a fault of the worker; asking again hardly helps.
    #[error("the job panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The worker that attached the session does not perform jobs of this name.
    #[error("this worker has no job named {name:?}")]
    Unknown {
        /// The job's name.
        name: String,
    },
    /// Too many workers were lost while it was under way: it may be the cause.
    #[error("the job was given up after {attempts} attempts, each of which lost its worker")]
    Abandoned {
        /// How often it was begun.
        attempts: u32,
    },
}

impl JobError {
    /// A failure that asking again will not mend.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            retry: false,
        }
    }

    /// A failure that may be gone the next time.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            retry: true,
        }
    }

    /// A job of this name is not known.
    pub fn unknown(name: impl Into<String>) -> Self {
        Self::Unknown { name: name.into() }
    }

    /// Whether asking again may help.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        matches!(self, Self::Failed { retry: true, .. })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn keys_of_a_long_chain_stay_short_and_differ() {
        let mut key = JobKey::new("00112233445566778899aabbccddeeff", 12, 0);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1_000 {
            assert!(key.as_str().len() <= 96, "{key}");
            assert!(
                key.as_str()
                    .starts_with("00112233445566778899aabbccddeeff/12/")
            );
            assert!(seen.insert(key.clone()), "{key} came twice");
            key = key.child(0);
        }
    }

    #[test]
    fn siblings_differ() {
        let key = JobKey::new("s", 1, 0);
        assert_ne!(key.child(0), key.child(1));
        assert_eq!(key.child(0).as_str(), "s/1/0.0");
    }

    #[test]
    fn a_job_is_read_as_it_was_written() {
        let job = Job {
            key: JobKey::new("s", 1, 0),
            name: "look up".to_owned(),
            payload: Bytes::from_static(b"two\nlines \xff"),
            epoch: 3,
            attempt: 4,
        };
        let read = Job::from_state(job.key.clone(), &job.to_state(), 9).unwrap();
        assert_eq!(
            (read.name(), read.attempt(), read.epoch()),
            ("look up", 4, 9)
        );
        assert_eq!(read.payload(), job.payload());
        for broken in ["", "1 name", "name\n", "x name\npayload"] {
            let value = Bytes::from_static(broken.as_bytes());
            assert!(Job::from_state(job.key.clone(), &value, 1).is_none());
        }
    }
}
