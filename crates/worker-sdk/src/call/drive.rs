//! How this SDK takes a call through its inputs: what the author does not see.

use std::time::Instant;

use holdline_wire::v1::{self, input::Kind};

use super::{Call, Clock, Origin, Step};
use crate::{
    CallError, Input, JobKey, Notice,
    input::{External, Frame},
};

impl Call {
    /// An input is about to be handled. Until the next one begins, its doings can be undone.
    pub(crate) fn begin(&mut self, seq: u64, received_us: u64) {
        self.seq = seq;
        self.origin = Origin::Input;
        self.clock = Clock {
            received_us,
            at: Instant::now(),
        };
        self.mark();
    }

    /// As [`Self::begin`], for the result of a job.
    pub(crate) fn begin_job(&mut self, key: JobKey) {
        self.origin = Origin::Job(key);
        self.mark();
    }

    /// Brings legs and timers up to date with an input, and says what the handler is told of it.
    /// `None`: nothing, since a fire is outdated or the edge speaks of what this SDK does not know.
    pub(crate) fn observe(&mut self, kind: Option<Kind>) -> Option<Input> {
        Some(match kind? {
            Kind::Frame(frame) => Input::Frame(Frame::from_wire(frame)?),
            Kind::LegOpened(opened) => {
                self.legs.opened(&opened);
                Input::LegOpened(opened.into())
            }
            Kind::LegClosed(closed) => {
                self.legs.closed(&closed);
                Input::LegClosed(closed.into())
            }
            Kind::LegReplaced(replaced) => {
                self.legs.replaced(&replaced);
                Input::LegReplaced(replaced.into())
            }
            Kind::TimerFired(fired) => {
                if !self.timers.fired(&fired) {
                    return None;
                }
                Input::TimerFired { name: fired.name }
            }
            Kind::Gap(gap) => Input::Gap(gap.into()),
            Kind::Dropped(dropped) => {
                self.legs.dropped(&dropped);
                Input::Dropped(dropped.into())
            }
            Kind::External(external) => Input::External(External::from_wire(external)?),
            Kind::Notice(notice) => Input::Notice(Notice::from_wire(notice)?),
            Kind::SessionEnded(ended) => Input::SessionEnded(ended.into()),
        })
    }

    /// The handler has returned: whether it kept within the limits of a commit.
    pub(crate) fn finish(&mut self) -> Result<(), CallError> {
        self.pending.take_fault().map_or(Ok(()), Err)
    }

    /// Whether what is pending should not travel in one message, as long as it can be cut.
    pub(crate) fn is_overfull(&self) -> bool {
        self.pending_bytes() > self.limits.message_bytes
            || self.pending.commands() > self.limits.commands
    }

    /// Whether enough is pending for a commit of its own.
    pub(crate) fn is_full(&self) -> bool {
        self.pending_bytes() > self.limits.message_bytes / 2
            || self.pending.commands() > self.limits.commands / 2
    }

    /// Whether one message can carry what is pending; one single frame may be of any size.
    pub(crate) fn check_size(&self) -> Result<(), CallError> {
        let bytes = self.pending_bytes() - self.pending.largest_frame();
        let limit = self.limits.message_bytes;
        if bytes > limit {
            return Err(CallError::CommitTooLarge { bytes, limit });
        }
        Ok(())
    }

    /// Whether a commit would do more than move the position.
    pub(crate) fn is_changed(&self) -> bool {
        self.state.is_changed() || self.pending.commands() > 0
    }

    /// Undoes what the present input did.
    pub(crate) fn rollback(&mut self) {
        self.state.rollback();
        self.pending.split_off();
    }

    /// Moves all that is pending into a commit.
    pub(crate) fn commit(&mut self, through: u64) -> Step {
        let (commands, starts) = self.pending.take();
        let mut commit = v1::Commit {
            through_seq: through,
            state_schema: self.schema.writes,
            commands,
            ..v1::Commit::default()
        };
        self.state.take(&mut commit);
        Step {
            commit: Some(commit),
            starts,
        }
    }

    /// Moves what was pending before the present input into a commit.
    pub(crate) fn commit_before(&mut self, through: u64) -> Step {
        let writes = self.state.split_off();
        let commands = self.pending.split_off();
        let step = self.commit(through);
        self.mark();
        self.state.restore(writes);
        self.pending.restore(commands);
        step
    }

    fn mark(&mut self) {
        self.state.mark();
        self.pending.mark();
    }

    fn pending_bytes(&self) -> u64 {
        self.pending.bytes() + self.state.changed_bytes()
    }
}
