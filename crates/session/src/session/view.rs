//! What people may see of a session: numbers and names, never payloads, state values or secrets.

use std::time::Duration;

use crate::{
    AttachReason, EndReason, Epoch, LegState, LegView, Seq, Session, SessionId, Time, link::Link,
};

/// A session at a glance.
#[derive(Clone, Debug)]
pub struct View {
    /// Its random name.
    pub id: SessionId,
    /// The last committed seq.
    pub committed: Seq,
    /// The last seq given out.
    pub last: Seq,
    /// Entries in the log that are not gaps.
    pub log_frames: u32,
    /// Payload bytes in the log.
    pub log_bytes: u64,
    /// Age of the oldest entry in the log.
    pub log_age: Duration,
    /// Its legs.
    pub legs: Vec<LegView>,
    /// Bytes handed to each leg, in the same order, that its socket has not taken.
    pub unwritten_bytes: Vec<u64>,
    /// Who runs it.
    pub attachment: Option<AttachmentView>,
    /// What the link to workers is doing: `vacant`, `seeking`, `live`, `moving`, `releasing`, `over`.
    pub link: &'static str,
    /// Names of the state's keys, with the sizes of their values.
    pub state: Vec<(String, usize)>,
    /// Names of the timers that are set, with the time left.
    pub timers: Vec<(String, Duration)>,
    /// Losses in a row without progress.
    pub strikes: u32,
    /// Why it is ending, if it is.
    pub ending: Option<EndReason>,
}

/// The attachment in force.
#[derive(Clone, Debug)]
pub struct AttachmentView {
    /// Its number.
    pub epoch: Epoch,
    /// The worker's version.
    pub version: String,
    /// Why it was made.
    pub reason: AttachReason,
    /// Commits applied.
    pub applied: u64,
    /// Inputs delivered and not committed.
    pub outstanding: u64,
}

/// Counts of one leg's traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct LegCounts {
    /// Frames that came in.
    pub frames_in: u64,
    /// Their payload bytes.
    pub bytes_in: u64,
    /// Frames of applied commits, handed to the leg.
    pub frames_out: u64,
    /// Their payload bytes.
    pub bytes_out: u64,
    /// Frames that the socket has taken.
    pub frames_written: u64,
}

/// Everything that is counted over a session's life, for its closing log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Account {
    /// The caller's leg.
    pub caller: LegCounts,
    /// All outbound legs.
    pub outbound: LegCounts,
    /// Commits applied.
    pub commits: u64,
    /// Attachments made.
    pub attachments: u64,
    /// Attachments lost.
    pub losses: u64,
    /// Offers that came to nothing.
    pub offers_failed: u64,
    /// Commits refused.
    pub refused: u64,
    /// Inputs handed to more than one worker.
    pub replayed: u64,
    /// Messages of past attachments that were dropped.
    pub fenced: u64,
    /// Caller media frames that the log dropped.
    pub media_dropped: u64,
    /// Of these, those that were committed without any worker having seen them.
    pub media_lost: u64,
    /// Commands that could not be done.
    pub commands_dropped: u64,
    /// Frames of applied commits that a leg never took.
    pub unsent_frames: u64,
    /// Times without a worker.
    pub holds: u64,
    /// Hold sound that was handed to the caller's socket, in milliseconds.
    pub hold_ms: u64,
    /// Times that the caller came back on a new socket.
    pub resumes: u64,
    /// External inputs.
    pub externals: u64,
    /// Inputs that were never committed, `SessionEnded` among them.
    pub end_lost: u64,
    /// Events about openings that were gone, or that came after the end.
    pub ignored_inputs: u64,
    /// Inputs that the next attachment will get again.
    pub(crate) to_replay: u64,
}

impl Account {
    pub(crate) fn leg_mut(&mut self, is_caller: bool) -> &mut LegCounts {
        if is_caller {
            &mut self.caller
        } else {
            &mut self.outbound
        }
    }

    pub(crate) fn note_replay(&mut self, delivered: Seq, committed: Seq) {
        self.to_replay += delivered.0.saturating_sub(committed.0);
    }
}

impl Session {
    /// The session's random name.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// What the log holds: entries that are not gaps, and their payload bytes.
    #[must_use]
    pub fn log_depth(&self) -> (u32, u64) {
        (self.log.frames(), self.log.bytes())
    }

    /// When the oldest input was received that the log holds; `None` where it holds nothing.
    #[must_use]
    pub fn log_oldest(&self) -> Option<Time> {
        self.log.oldest()
    }

    /// Everything counted so far.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Why the session is ending, if it is.
    #[must_use]
    pub fn end_reason(&self) -> Option<EndReason> {
        self.life.reason()
    }

    /// The session at a glance. Costs in proportion to legs, state keys and timers.
    #[must_use]
    pub fn view(&self, now: Time) -> View {
        View {
            id: self.id,
            committed: self.log.committed(),
            last: self.log.last(),
            log_frames: self.log.frames(),
            log_bytes: self.log.bytes(),
            log_age: self.log.oldest().map_or(Duration::ZERO, |at| now.since(at)),
            legs: self.legs.views(),
            unwritten_bytes: self
                .legs
                .iter()
                .map(|(_, leg)| leg.unwritten_bytes())
                .collect(),
            attachment: self.link.attachment().map(|at| AttachmentView {
                epoch: at.epoch,
                version: at.version.clone(),
                reason: at.reason,
                applied: at.applied,
                outstanding: at.delivered.0.saturating_sub(self.log.committed().0),
            }),
            link: match self.link {
                Link::Vacant { .. } => "vacant",
                Link::Seeking(_) => "seeking",
                Link::Live(_) => "live",
                Link::Moving(..) => "moving",
                Link::Releasing(..) => "releasing",
                Link::Over => "over",
            },
            state: self
                .state
                .entries()
                .map(|(key, value)| (key.clone(), value.len()))
                .collect(),
            timers: self
                .timers
                .iter()
                .map(|(name, timer)| (name.clone(), timer.due.since(now)))
                .collect(),
            strikes: self.recovery.strikes,
            ending: self.life.reason(),
        }
    }

    /// What a leg is doing; `None` where it is not open.
    #[must_use]
    pub fn leg_state(&self, name: &crate::LegName) -> Option<LegState> {
        let views = self.legs.views();
        views
            .into_iter()
            .find(|leg| leg.name == *name)
            .map(|leg| leg.state)
    }
}
