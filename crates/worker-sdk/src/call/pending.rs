//! What the next commit will carry, with the means to cut it at the border between two inputs.

use holdline_wire::v1::{self, command::Command, send};

use crate::{CallError, Job, JobKey};

/// What protobuf adds to a command, at most, beside its strings.
const COMMAND_OVERHEAD: u64 = 64;

/// A commit to be sent, and the jobs to be begun once it is.
#[derive(Default)]
pub(crate) struct Step {
    pub(crate) commit: v1::Commit,
    pub(crate) starts: Vec<Job>,
}

/// Commands and jobs since the last commit.
#[derive(Default)]
pub(crate) struct Pending {
    commands: Vec<v1::Command>,
    bytes: u64,
    starts: Vec<Job>,
    mark: Mark,
    /// The first limit that the present input passed.
    fault: Option<CallError>,
}

/// Where the present input began.
#[derive(Default)]
struct Mark {
    commands: usize,
    bytes: u64,
    starts: usize,
    /// Jobs spawned since; a job that was cancelled at once still counts.
    spawned: u32,
    /// The largest single frame since.
    largest_frame: u64,
}

impl Pending {
    pub(super) fn command(&mut self, command: Command, limit: u64) {
        if (self.commands.len() - self.mark.commands) as u64 >= limit {
            self.fail(CallError::TooManyCommands { limit });
            return;
        }
        let (bytes, frame) = size(&command);
        self.bytes += bytes;
        self.mark.largest_frame = self.mark.largest_frame.max(frame);
        self.commands.push(v1::Command {
            command: Some(command),
        });
    }

    /// The input is to fail once its handler returns.
    pub(super) fn fail(&mut self, fault: CallError) {
        self.fault.get_or_insert(fault);
    }

    pub(super) fn spawned_by_this_input(&self) -> u32 {
        self.mark.spawned
    }

    pub(super) fn start(&mut self, job: Job) {
        self.mark.spawned += 1;
        self.starts.push(job);
    }

    pub(super) fn unstart(&mut self, key: &JobKey) {
        self.starts.retain(|job| job.key() != key);
    }
}

/// Bytes of a command in a commit, at most, and of the frame in it.
fn size(command: &Command) -> (u64, u64) {
    let (strings, frame) = match command {
        Command::Send(send) => match &send.payload {
            Some(send::Payload::Text(bytes) | send::Payload::Binary(bytes)) => {
                (send.leg.len(), bytes.len())
            }
            None => (send.leg.len(), 0),
        },
        Command::OpenLeg(open) => {
            let attributes = open.attributes.iter();
            let attributes = attributes.map(|(key, value)| key.len() + value.len() + 16);
            (
                open.leg.len() + open.upstream.len() + attributes.sum::<usize>(),
                0,
            )
        }
        Command::CloseLeg(close) => (close.leg.len() + close.reason.len(), 0),
        Command::SetTimer(timer) => (timer.name.len(), 0),
        Command::CancelTimer(timer) => (timer.name.len(), 0),
        Command::EndSession(end) => (end.reason.len(), 0),
    };
    ((strings + frame) as u64 + COMMAND_OVERHEAD, frame as u64)
}
