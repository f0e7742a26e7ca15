//! What a worker may be told about its own mistakes, before the edge would refuse them.

use std::time::Duration;

/// A call to [`Call`](crate::Call) that cannot be done. Always the worker's own doing, and never
/// mended by trying the same again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The key is empty, or begins with `holdline/`, which belongs to this SDK.
    #[error("state key {key:?} is reserved: it must not be empty nor begin with \"holdline/\"")]
    ReservedKey {
        /// The key.
        key: String,
    },
    /// A key longer than the edge allows.
    #[error("a state key of {bytes} bytes is over the session's limit of {limit} bytes")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: u64,
    },
    /// A value larger than the edge allows.
    #[error(
        "the value of state key {key:?} has {bytes} bytes, over the session's limit of {limit}"
    )]
    ValueTooLarge {
        /// The key.
        key: String,
        /// Its value's length.
        bytes: usize,
        /// The limit.
        limit: u64,
    },
    /// All keys and values together would be larger than the edge allows.
    #[error(
        "state key {key:?} would bring the state to {bytes} bytes, over the session's limit of {limit}"
    )]
    StateTooLarge {
        /// The key that was to be set.
        key: String,
        /// Keys and values, had it been set.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// More keys than the edge allows.
    #[error("state key {key:?} would be one more than the session's limit of {limit} keys")]
    TooManyKeys {
        /// The key that was to be set.
        key: String,
        /// The limit.
        limit: u64,
    },
    /// A value that could not be written as JSON.
    #[error("the value for state key {key:?} cannot be written as JSON")]
    Encode {
        /// The key.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A value that is not what was asked for, perhaps written by another version.
    #[error("the value of state key {key:?} cannot be read as the type that was asked for")]
    Decode {
        /// The key.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
    /// One input led to more commands than one commit may carry.
    #[error("one input led to more than {limit} commands, the session's limit for one commit")]
    TooManyCommands {
        /// The limit.
        limit: u64,
    },
    /// One input led to a commit larger than one message may be.
    #[error(
        "one input led to a commit of {bytes} bytes beside its largest frame, over the limit of \
         {limit} for one message"
    )]
    CommitTooLarge {
        /// Its size, without the largest single frame.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// More timers than the edge allows.
    #[error("timer {name:?} would be one more than the session's limit of {limit} timers")]
    TooManyTimers {
        /// The timer that was to be set.
        name: String,
        /// The limit.
        limit: u64,
    },
    /// A timer that would run for longer than the edge allows.
    #[error("timer {name:?} would run for {after:?}, over the session's limit of {limit:?}")]
    TimerTooLong {
        /// The timer that was to be set.
        name: String,
        /// The time asked for.
        after: Duration,
        /// The limit.
        limit: Duration,
    },
    /// A name of a leg, an upstream or a timer that is empty or longer than 128 bytes.
    #[error("{name:?} cannot name a {what}: it takes 1 to 128 bytes")]
    Name {
        /// What was to be named.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A job name that is empty, longer than 64 bytes, or has control characters.
    #[error("{name:?} cannot name a job: it takes 1 to 64 bytes without control characters")]
    JobName {
        /// The name.
        name: String,
    },
    /// A job payload that is too large to be kept in the state.
    #[error("the payload of job {name:?} has {bytes} bytes, over the limit of {limit}")]
    JobTooLarge {
        /// The job's name.
        name: String,
        /// Its payload's length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// More jobs under way than allowed.
    #[error("job {name:?} would be one more than the limit of {limit} jobs under way")]
    TooManyJobs {
        /// The job's name.
        name: String,
        /// The limit.
        limit: usize,
    },
    /// Jobs belong to an input: none can be spawned in `attach`, which may run at any time.
    #[error("job {name:?} was spawned in `attach`: spawn it while an input is handled")]
    JobInAttach {
        /// The job's name.
        name: String,
    },
}

/// Why serving ended badly, or never began.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A setting of the environment that cannot be used: the operator's fault.
    #[error("the environment variable {name} is {value:?}: {problem}")]
    Setting {
        /// Of the variable.
        name: &'static str,
        /// Its content.
        value: String,
        /// What is wrong with it, and what would be right.
        problem: &'static str,
    },
    /// The address could not be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The worker's certificates cannot be used: the operator's fault.
    #[error("TLS cannot be served")]
    Tls(#[from] holdline_tls::TlsError),
    /// Signals cannot be awaited on this system.
    #[error("cannot wait for SIGTERM")]
    Signals(#[source] std::io::Error),
    /// The gRPC server failed.
    #[error("the gRPC server failed")]
    Server(#[source] tonic::transport::Error),
    /// The descriptor set for reflection is broken: a fault of the build.
    #[error("server reflection cannot be set up")]
    Reflection(#[source] tonic_reflection::server::Error),
}
