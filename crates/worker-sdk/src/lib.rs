//! Write a Holdline worker in Rust.
//!
//! The Holdline edge owns the sockets of a call: the caller's, the model's. A worker decides what
//! happens in it, one input at a time, and may be replaced by another one between any two inputs.
//! This crate hides how: offers, attach, replay, batches, commits, releases, outside work, SIGTERM,
//! health and reflection. What is left is one trait, [`Worker`].
//!
//! ```no_run
//! use holdline_worker::{Call, Description, Input, Worker, WorkerError};
//!
//! /// Echoes every frame on the leg it came from, and counts them.
//! struct Echo;
//!
//! impl Worker for Echo {
//!     type Session = u64;
//!
//!     fn describe(&self) -> Description {
//!         Description::new("echo-1")
//!     }
//!
//!     fn attach(&self, call: &mut Call) -> Result<u64, WorkerError> {
//!         Ok(call.get("frames")?.unwrap_or(0))
//!     }
//!
//!     fn handle(&self, frames: &mut u64, call: &mut Call, input: Input) -> Result<(), WorkerError> {
//!         if let Input::Frame(frame) = input {
//!             *frames += 1;
//!             call.put("frames", frames)?;
//!             call.send(&frame.leg, frame.payload);
//!         }
//!         Ok(())
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), holdline_worker::ServeError> {
//!     holdline_worker::run(Echo).await
//! }
//! ```
//!
//! # What an author must know
//!
//! 1. What a handler does (state, messages, timers) takes effect together with the inputs it was
//!    done for, or not at all. Every input counts exactly once.
//! 2. But a handler may *run* more than once for the same input: on this worker, then, if the commit
//!    did not get through, on the next. Only one of these runs counts.
//! 3. So a handler must have no effects of its own outside: no request, no write to a database.
//!    Those are jobs: [`Call::spawn`], [`Worker::perform`], [`Input::JobDone`].
//! 4. A job may be performed more than once too. Its [`JobKey`] is the same each time: hand it to
//!    the outside as an `Idempotency-Key`. [`Job::epoch`] is a fencing token.
//! 5. All that must survive belongs into the state ([`Call::put`]). What is in
//!    [`Worker::Session`] is gone at the next handoff, and is built anew by [`Worker::attach`].
//! 6. Decide by inputs and state alone, with [`Call::received`] for a clock: then a replay comes to
//!    the same end. Keys derived from chance or from the local clock do not.
//! 7. Handlers must be quick (far below a second) and must not block: they run on tokio's threads.
//! 8. An error or a panic in a handler ends this one attachment, undoes the input it happened in,
//!    and lets another worker try. Sessions beside it go on. Build with `panic = "unwind"`.
//! 9. A message may not reach its leg: [`Input::Dropped`] and `unsent_frames` say so.
//! 10. A new version reads the old version's state: raise [`Description::writes_schema`] only when
//!     the version before it reads the new schema already, or calls cannot go back.

mod attachment;
mod call;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod input;
mod job;
mod leg;
mod limits;
mod phase;
mod server;
mod settings;
mod stream;
mod tls;
mod worker;

pub use bytes::Bytes;
pub use call::{AttachReason, Call};
pub use error::{CallError, ServeError};
pub use input::{
    DropReason, Dropped, EndReason, External, Frame, Gap, Input, JobDone, LegClosed, LegOpened,
    LegReplaced, Notice, Payload, SessionEnded,
};
pub use job::{Job, JobError, JobKey, JobResult, MAX_JOB_ATTEMPTS, MAX_JOB_BYTES, MAX_JOBS};
pub use leg::{Attributes, CALLER, Fault, Leg, LegState};
pub use limits::Limits;
pub use server::{run, run_with, serve};
pub use settings::Settings;
pub use tls::Tls;
pub use worker::{Description, Worker, WorkerError};

/// The worker in the project's README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
