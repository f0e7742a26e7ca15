//! Jobs as state: written by the commit that creates them, removed by the one with their result.

use bytes::Bytes;

use super::{Call, Origin, RESERVED};
use crate::{CallError, Job, JobKey, MAX_JOB_BYTES, MAX_JOBS};

impl Call {
    /// Has outside work done by [`Worker::perform`](crate::Worker::perform), beside the handlers.
    ///
    /// It begins once the commit of this input is sent, and its result comes as
    /// [`Input::JobDone`](crate::Input::JobDone), here or on the worker that has the session then.
    /// The payload is kept in the session's state until that is committed.
    ///
    /// # Errors
    /// [`CallError::JobName`], [`CallError::JobTooLarge`], [`CallError::TooManyJobs`],
    /// [`CallError::JobInAttach`], and the limits of the state.
    pub fn spawn(&mut self, name: &str, payload: impl Into<Bytes>) -> Result<JobKey, CallError> {
        let payload = payload.into();
        let name = name.to_owned();
        if matches!(self.origin, Origin::Attach) {
            return Err(CallError::JobInAttach { name });
        }
        if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
            return Err(CallError::JobName { name });
        }
        if payload.len() > MAX_JOB_BYTES {
            return Err(CallError::JobTooLarge {
                name,
                bytes: payload.len(),
                limit: MAX_JOB_BYTES,
            });
        }
        if self.state.with_prefix(JOBS).count() >= MAX_JOBS {
            return Err(CallError::TooManyJobs {
                name,
                limit: MAX_JOBS,
            });
        }
        let nth = self.pending.spawned_by_this_input();
        let key = match &self.origin {
            Origin::Job(parent) => parent.child(nth),
            Origin::Attach | Origin::Input => JobKey::new(&self.id, self.seq, nth),
        };
        let job = Job {
            key: key.clone(),
            name,
            payload,
            epoch: self.epoch,
            attempt: 1,
        };
        self.state
            .put(&state_key(&key), job.to_state(), &self.limits)?;
        self.pending.start(job);
        Ok(key)
    }

    /// Forgets a job: its result will not come. Work that has begun is not undone by it. Says
    /// whether the job was under way.
    pub fn cancel_job(&mut self, key: &JobKey) -> bool {
        self.pending.unstart(key);
        self.state.delete(&state_key(key))
    }

    /// Jobs under way, in no order that matters.
    pub fn jobs(&self) -> impl Iterator<Item = JobKey> {
        self.state
            .with_prefix(JOBS)
            .map(|(key, _)| JobKey::from_parts(&self.id, &key[JOBS.len()..]))
    }
}

/// Begins the state keys of jobs; `SEQ/N` follows.
const JOBS: &str = "holdline/job/";

fn state_key(key: &JobKey) -> String {
    debug_assert!(JOBS.starts_with(RESERVED), "jobs live under reserved keys");
    format!("{JOBS}{}", key.within_session())
}
