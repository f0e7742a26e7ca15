//! One session on this worker: inputs in, commits out, without IO.
//!
//! All that the guarantee asks of a worker is decided here: what one commit holds, where a batch is
//! cut, what a failing input may leave behind (nothing), and which jobs are begun when.

mod guard;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use holdline_wire::v1;

use crate::{
    Call, Input, JobKey, JobResult, Worker,
    call::{Beginning, Step},
    input::JobDone,
};

use guard::guarded;
pub(crate) use guard::{Failure, panic_words};

/// A session that is attached.
pub(crate) struct Attachment<W: Worker> {
    worker: Arc<W>,
    session: W::Session,
    call: Call,
    /// Seq of the last input that was handled.
    position: u64,
    /// Whether inputs up to there wait for a commit.
    uncommitted: bool,
}

/// What is to be done next: all steps, in order; then, where there was a failure, the end.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) steps: Vec<Step>,
    pub(crate) failure: Option<Failure>,
}

impl<W: Worker> Attachment<W> {
    /// Takes a session over. The state must be complete.
    pub(crate) fn attach(
        worker: Arc<W>,
        beginning: Beginning,
    ) -> Result<(Self, Progress), Failure> {
        let mut call = Call::new(beginning);
        let position = call.seq();
        let jobs = call.take_up_jobs();
        let session = guarded(|| worker.attach(&mut call))?;
        call.finish().map_err(Failure::limit)?;
        call.check_size().map_err(Failure::limit)?;
        let mut step = if call.is_changed() {
            call.commit(position)
        } else {
            Step::default()
        };
        step.starts.extend(jobs.restart);
        let mut attachment = Self {
            worker,
            session,
            call,
            position,
            uncommitted: false,
        };
        let mut progress = Progress {
            steps: vec![step],
            failure: None,
        };
        for (key, error) in jobs.abandoned {
            if progress.failure.is_none() {
                progress.extend(attachment.job_done(&key, Err(error)));
            }
        }
        Ok((attachment, progress))
    }

    /// Handles the inputs of one message: one commit for all of them, save where it would grow too
    /// large.
    pub(crate) fn inputs(&mut self, inputs: Vec<v1::Input>) -> Progress {
        let mut progress = Progress::default();
        for input in inputs {
            let seq = input.seq;
            match self.input(input, &mut progress.steps) {
                Ok(()) => {
                    self.position = seq;
                    self.uncommitted = true;
                }
                Err(failure) => {
                    self.call.rollback();
                    progress.failure = Some(failure.at(&self.call.key()));
                    break;
                }
            }
            if self.call.is_full() {
                self.flush(&mut progress.steps);
            }
        }
        self.flush(&mut progress.steps);
        progress
    }

    /// Handles the result of a job. A second result for a finished one changes nothing.
    pub(crate) fn job_done(&mut self, key: &JobKey, result: JobResult) -> Progress {
        let mut progress = Progress::default();
        let Some(name) = self.call.job_name(key) else {
            return progress;
        };
        self.call.begin_job(key.clone());
        self.call.cancel_job(key);
        let done = Input::JobDone(JobDone {
            key: key.clone(),
            name,
            result,
        });
        match self.handle(done).and_then(|()| self.fits()) {
            Ok(()) => progress.steps.push(self.call.commit(self.position)),
            Err(failure) => {
                self.call.rollback();
                progress.failure = Some(failure.at(key.as_str()));
            }
        }
        progress
    }

    fn input(&mut self, input: v1::Input, steps: &mut Vec<Step>) -> Result<(), Failure> {
        self.call.begin(input.seq, input.received_unix_us);
        if input.seq <= self.position {
            return Err(Failure::out_of_order(input.seq, self.position));
        }
        let Some(input) = self.call.observe(input.kind) else {
            return Ok(());
        };
        self.handle(input)?;
        if self.uncommitted && self.call.is_overfull() {
            steps.push(self.call.commit_before(self.position));
            self.uncommitted = false;
        }
        self.fits()
    }

    fn handle(&mut self, input: Input) -> Result<(), Failure> {
        let Self {
            worker,
            session,
            call,
            ..
        } = self;
        guarded(|| worker.handle(session, call, input))?;
        self.call.finish().map_err(Failure::limit)
    }

    fn fits(&self) -> Result<(), Failure> {
        self.call.check_size().map_err(Failure::limit)
    }

    fn flush(&mut self, steps: &mut Vec<Step>) {
        if std::mem::take(&mut self.uncommitted) {
            steps.push(self.call.commit(self.position));
        }
    }
}

impl Progress {
    fn extend(&mut self, other: Self) {
        self.steps.extend(other.steps);
        self.failure = other.failure;
    }
}
