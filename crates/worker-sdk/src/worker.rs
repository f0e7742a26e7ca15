//! What an author writes: one trait, and a description of the worker.

use std::{error::Error, fmt, future::Future};

use crate::{Call, Input, Job, JobError, JobResult};

/// Decides what happens in a call.
///
/// One value serves all sessions of the process; `Session` is what one attachment keeps in memory.
/// Both handlers are synchronous and must be quick: an attachment that does not commit within about
/// a second is taken away by the edge. What takes longer, or talks to the outside, is a job
/// ([`Call::spawn`] and [`Worker::perform`]).
///
/// The same input may be handled on two workers, one after the other: the state and the commands of
/// exactly one of them count. See the crate's documentation for the few rules that follow.
pub trait Worker: Send + Sync + 'static {
    /// What is kept in memory while a session is attached. All of it must be re-creatable from the
    /// session's state, since the next attachment begins from nothing else.
    type Session: Send + 'static;

    /// What this worker is and can do. Asked at every `Describe` and every offer.
    fn describe(&self) -> Description;

    /// Takes a session over, as of its last commit: builds the memory from [`Call::get`].
    ///
    /// Changes made here are committed at once, before the first input. Decide by what is in the
    /// state, not by [`Call::reason`]: an attachment whose first commit was lost is followed by
    /// another one that finds the same state. Jobs cannot be spawned here.
    ///
    /// # Errors
    /// An error ends the attachment with the gRPC status `INTERNAL`; the edge tries again, perhaps
    /// elsewhere, and gives the session up after a few failures at the same position.
    fn attach(&self, call: &mut Call) -> Result<Self::Session, WorkerError>;

    /// Handles one input. Inputs come one at a time and in order.
    ///
    /// # Errors
    /// An error, and a panic too, ends the attachment with the gRPC status `INTERNAL`. Nothing that
    /// this input did takes effect; inputs before it are committed.
    fn handle(
        &self,
        session: &mut Self::Session,
        call: &mut Call,
        input: Input,
    ) -> Result<(), WorkerError>;

    /// Does outside work that was asked for with [`Call::spawn`]; its result comes back as
    /// [`Input::JobDone`]. Runs beside the handlers, on the tokio runtime of the server.
    ///
    /// A job may be performed more than once, on this worker or another: hand [`Job::key`] to the
    /// outside as an `Idempotency-Key`. The future is dropped when the session leaves this worker.
    /// Retries and time limits are up to the author.
    fn perform(&self, job: Job) -> impl Future<Output = JobResult> + Send {
        async move { Err(JobError::unknown(job.name())) }
    }
}

/// What a worker is and can do, as told to the edge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    /// The worker's version, for example an image tag. Sessions are moved from old to new versions.
    pub version: String,
    /// State schemas that this worker can take over.
    pub reads_schemas: Vec<u32>,
    /// The state schema that this worker writes; at least 1. When a session comes with another
    /// one, its first commit here rewrites all keys under this one.
    pub writes_schema: u32,
    /// How many sessions this worker wants at once; 0: as many as come. Offers beyond it are
    /// rejected.
    pub max_sessions: u32,
    /// The largest message that this worker takes, in bytes. A leg whose largest frame does not fit
    /// keeps the edge from choosing this worker.
    pub max_message_bytes: u64,
    /// Names of commands, for example `"SetTimer"`, without which this worker is of no use.
    pub needs_commands: Vec<String>,
}

impl Description {
    /// A worker of this version that reads and writes schema 1, takes as many sessions as come and
    /// frames of up to 16 MiB.
    pub fn new(version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            reads_schemas: vec![1],
            writes_schema: 1,
            max_sessions: 0,
            max_message_bytes: 17 << 20,
            needs_commands: Vec::new(),
        }
    }

    /// Sets the state schemas that are read, and the one that is written.
    #[must_use]
    pub fn schemas(mut self, reads: impl Into<Vec<u32>>, writes: u32) -> Self {
        self.reads_schemas = reads.into();
        self.writes_schema = writes;
        self
    }

    /// Sets how many sessions are wanted at once; 0: as many as come.
    #[must_use]
    pub fn max_sessions(mut self, sessions: u32) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// Sets the largest message that is taken, in bytes.
    #[must_use]
    pub fn max_message_bytes(mut self, bytes: u64) -> Self {
        self.max_message_bytes = bytes;
        self
    }
}

/// Why a handler could not go on. Made from any error by `?`, or from words by [`WorkerError::new`].
///
/// Its words go to the edge as a gRPC status and from there into logs: keep what callers say and
/// every secret out of them.
//
// Not a `std::error::Error` itself, since the conversion from all of those would then be ambiguous.
pub struct WorkerError(Box<dyn Error + Send + Sync>);

impl WorkerError {
    /// An error in words.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into().into())
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for WorkerError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for WorkerError {
    /// The error and all its causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
