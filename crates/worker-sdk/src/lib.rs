//! Write a Holdline worker in Rust.

mod call;
mod error;
mod input;
mod job;
mod leg;
mod limits;
mod server;
mod settings;
mod worker;

pub use bytes::Bytes;
pub use call::{AttachReason, Call};
pub use error::{CallError, ServeError};
pub use input::{
    DropReason, Dropped, EndReason, Frame, Gap, Input, JobDone, LegClosed, LegOpened, LegReplaced,
    Notice, Payload, SessionEnded,
};
pub use job::{Job, JobError, JobKey, JobResult, MAX_JOB_ATTEMPTS, MAX_JOB_BYTES, MAX_JOBS};
pub use leg::{Attributes, CALLER, Fault, Leg, LegState};
pub use limits::Limits;
pub use server::{run, run_with, serve};
pub use settings::Settings;
pub use worker::{Description, Worker, WorkerError};
