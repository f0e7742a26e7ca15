//! Jobs as state: written by the commit that creates them, removed by the one with their result.

use bytes::Bytes;

use super::{AttachReason, Call, Origin};
use crate::{CallError, Job, JobError, JobKey, MAX_JOB_ATTEMPTS, MAX_JOB_BYTES, MAX_JOBS};

/// Begins the state keys of jobs; `SEQ/N` follows.
const JOBS: &str = "holdline/job/";

/// After so many attempts more, a job is forgotten whose end no worker survives hearing of.
const REPORTS: u32 = 2;

/// What becomes of jobs that were under way elsewhere.
#[derive(Default)]
pub(crate) struct TakenUp {
    pub(crate) restart: Vec<Job>,
    pub(crate) abandoned: Vec<(JobKey, JobError)>,
}

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
        let nth = self.pending.spawned();
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

    /// The name of a job under way.
    pub(crate) fn job_name(&self, key: &JobKey) -> Option<String> {
        let value = self.state.get(&state_key(key))?;
        Job::from_state(key.clone(), value, self.epoch).map(|job| job.name)
    }

    /// Takes up the jobs that came with the state. Where the last worker was lost, each of them may
    /// have been the cause, so its attempts are counted, and are not without end.
    pub(crate) fn take_up_jobs(&mut self) -> TakenUp {
        let mut taken = TakenUp::default();
        for key in self.jobs().collect::<Vec<_>>() {
            let state_key = state_key(&key);
            let job = self
                .state
                .get(&state_key)
                .and_then(|value| Job::from_state(key.clone(), value, self.epoch));
            let Some(mut job) = job else {
                tracing::error!(%key, "a job in the state cannot be read and is forgotten");
                self.state.delete(&state_key);
                continue;
            };
            if self.reason == AttachReason::Recovery {
                job.attempt = job.attempt.saturating_add(1);
                if let Err(error) = self.state.put(&state_key, job.to_state(), &self.limits) {
                    tracing::warn!(%key, %error, "an attempt at a job is not counted");
                }
            }
            match job.attempt {
                ..=MAX_JOB_ATTEMPTS => taken.restart.push(job),
                attempts if attempts <= MAX_JOB_ATTEMPTS + REPORTS => {
                    let attempts = attempts - 1;
                    taken
                        .abandoned
                        .push((key, JobError::Abandoned { attempts }));
                }
                attempts => {
                    tracing::error!(%key, attempts, "a job that loses its workers is forgotten");
                    self.state.delete(&state_key);
                }
            }
        }
        taken
    }
}

fn state_key(key: &JobKey) -> String {
    format!("{JOBS}{}", key.within_session())
}
