//! `session`: bounds and waits of every session.

use std::time::Duration;

use crate::ByteSize;

/// Bounds and waits of one session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionSettings {
    /// What is kept to replay.
    pub log: LogLimits,
    /// What is delivered to a worker beyond its last commit.
    pub window: Window,
    /// What a worker may keep.
    pub state: StateLimits,
    /// Largest message to a worker, save one single larger frame.
    pub message_bytes: ByteSize,
    /// Timers that a worker may set.
    pub timers: Timers,
    /// Most commands in one commit.
    pub commands: u32,
    /// Most legs open at once, the caller among them.
    pub legs: u32,
    /// Above this many unwritten bytes of a leg, commits that write to it wait.
    pub leg_high: ByteSize,
    /// A leg over `leg_high` for this long without a byte written is closed.
    pub write_timeout: Duration,
    /// What a closing leg may take to write what is queued.
    pub close_timeout: Duration,
    /// How long an offer to a worker may stay unanswered.
    pub offer_timeout: Duration,
    /// How long a release may stay unanswered.
    pub release_timeout: Duration,
    /// How long delivered inputs may be outstanding with no commit advancing.
    pub progress_timeout: Duration,
    /// Waits between searches for a worker.
    pub seek: Seek,
    /// What happens while no worker can be had.
    pub hold: Hold,
    /// Losses of a worker without progress after which a session ends.
    pub poison_limit: u32,
    /// What happens when the caller's socket is lost.
    pub resume: Resume,
    /// How long the last input may stay uncommitted.
    pub end_timeout: Duration,
}

/// What is kept to replay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogLimits {
    /// Most payload bytes.
    pub bytes: ByteSize,
    /// Most frames.
    pub frames: u32,
    /// Greatest age of caller media.
    pub age: Duration,
    /// Above this share of `bytes`, in percent, outbound legs are no longer read.
    pub pause_percent: u8,
}

/// What is delivered to a worker beyond its last commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Most inputs.
    pub inputs: u32,
    /// Most payload bytes, save one single larger frame.
    pub bytes: ByteSize,
}

/// What a worker may keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateLimits {
    /// Sum of all keys and values.
    pub bytes: ByteSize,
    /// Most keys.
    pub keys: u32,
    /// Longest key.
    pub key_bytes: ByteSize,
    /// Largest value.
    pub value_bytes: ByteSize,
}

/// Timers that a worker may set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// Most at once.
    pub count: u32,
    /// Longest time.
    pub max: Duration,
}

/// Waits between searches for a worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seek {
    /// The first wait after a failure; it doubles up to `max`.
    pub min: Duration,
    /// The longest wait.
    pub max: Duration,
}

/// What happens while no worker can be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold {
    /// After so long without a worker the caller is handed back to the carrier.
    pub give_up: Duration,
}

/// What happens when the caller's socket is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resume {
    /// How long a new stream of the same call is awaited; `0s`: not at all.
    pub window: Duration,
}
