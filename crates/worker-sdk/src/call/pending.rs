//! What the next commit will carry, with the means to cut it at the border between two inputs.

use holdline_wire::v1::{self, command::Command, send};

use crate::{CallError, Job, JobKey};

/// What protobuf adds to a command, at most, beside its strings.
const COMMAND_OVERHEAD: u64 = 64;

/// A commit to be sent, and the jobs to be begun once it is.
#[derive(Default)]
pub(crate) struct Step {
    /// `None`: nothing to be sent.
    pub(crate) commit: Option<v1::Commit>,
    pub(crate) starts: Vec<Job>,
}

/// Commands and jobs since the last commit.
#[derive(Default)]
pub(crate) struct Pending {
    commands: Vec<v1::Command>,
    bytes: u64,
    largest_frame: u64,
    starts: Vec<Job>,
    mark: Mark,
    /// Jobs spawned by the present input; one that was cancelled at once still counts.
    spawned: u32,
    /// The first limit that the present input passed.
    fault: Option<CallError>,
}

/// Where the present input began.
#[derive(Default)]
struct Mark {
    commands: usize,
    starts: usize,
}

/// Commands and jobs of one input, taken out to be put in again.
pub(super) struct Tail {
    commands: Vec<v1::Command>,
    starts: Vec<Job>,
}

impl Pending {
    pub(super) fn command(&mut self, command: Command, limit: u64) {
        if (self.commands.len() - self.mark.commands) as u64 >= limit {
            self.fail(CallError::TooManyCommands { limit });
            return;
        }
        self.push(v1::Command {
            command: Some(command),
        });
    }

    /// The input is to fail once its handler returns.
    pub(super) fn fail(&mut self, fault: CallError) {
        self.fault.get_or_insert(fault);
    }

    pub(super) fn take_fault(&mut self) -> Option<CallError> {
        self.fault.take()
    }

    /// How many jobs the present input has spawned.
    pub(super) fn spawned(&self) -> u32 {
        self.spawned
    }

    pub(super) fn start(&mut self, job: Job) {
        self.spawned += 1;
        self.starts.push(job);
    }

    /// A job that was not begun yet need not be.
    pub(super) fn unstart(&mut self, key: &JobKey) {
        if let Some(index) = self.starts.iter().position(|job| job.key() == key) {
            self.starts.remove(index);
            self.mark.starts -= usize::from(index < self.mark.starts);
        }
    }

    pub(super) fn commands(&self) -> u64 {
        self.commands.len() as u64
    }

    /// What the commands take in a commit, at most.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn largest_frame(&self) -> u64 {
        self.largest_frame
    }

    /// Another input begins.
    pub(super) fn mark(&mut self) {
        self.mark = Mark {
            commands: self.commands.len(),
            starts: self.starts.len(),
        };
        self.spawned = 0;
    }

    /// Takes out what the present input has added.
    pub(super) fn split_off(&mut self) -> Tail {
        let tail = Tail {
            commands: self.commands.split_off(self.mark.commands),
            starts: self.starts.split_off(self.mark.starts),
        };
        self.bytes = self.commands.iter().map(|command| size(command).0).sum();
        tail
    }

    pub(super) fn restore(&mut self, tail: Tail) {
        for command in tail.commands {
            self.push(command);
        }
        self.starts.extend(tail.starts);
    }

    pub(super) fn take(&mut self) -> (Vec<v1::Command>, Vec<Job>) {
        self.bytes = 0;
        self.largest_frame = 0;
        self.mark = Mark::default();
        (
            std::mem::take(&mut self.commands),
            std::mem::take(&mut self.starts),
        )
    }

    fn push(&mut self, command: v1::Command) {
        let (bytes, frame) = size(&command);
        self.bytes += bytes;
        self.largest_frame = self.largest_frame.max(frame);
        self.commands.push(command);
    }
}

/// Bytes of a command in a commit, at most, and of the frame in it.
fn size(command: &v1::Command) -> (u64, u64) {
    let (strings, frame) = match &command.command {
        None => (0, 0),
        Some(Command::Send(send)) => match &send.payload {
            Some(send::Payload::Text(bytes) | send::Payload::Binary(bytes)) => {
                (send.leg.len(), bytes.len())
            }
            None => (send.leg.len(), 0),
        },
        Some(Command::OpenLeg(open)) => {
            let attributes = open.attributes.iter();
            let attributes = attributes.map(|(key, value)| key.len() + value.len() + 16);
            (
                open.leg.len() + open.upstream.len() + attributes.sum::<usize>(),
                0,
            )
        }
        Some(Command::CloseLeg(close)) => (close.leg.len() + close.reason.len(), 0),
        Some(Command::SetTimer(timer)) => (timer.name.len(), 0),
        Some(Command::CancelTimer(timer)) => (timer.name.len(), 0),
        Some(Command::EndSession(end)) => (end.reason.len(), 0),
    };
    ((strings + frame) as u64 + COMMAND_OVERHEAD, frame as u64)
}
