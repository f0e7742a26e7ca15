//! Every bound of a session, with its default.

use std::time::Duration;

/// Bounds and waits of one session, fixed for its life.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most payload bytes that the log retains, save its newest frame and one more that is larger
    /// than half of this: every frame counts for half of it at most.
    pub log_bytes: u64,
    /// Most frames that the log retains.
    pub log_frames: u32,
    /// Greatest age of caller media in the log.
    pub log_age: Duration,
    /// Above this share of `log_bytes`, in percent, outbound legs are no longer read.
    pub pause_percent: u8,
    /// Most inputs delivered beyond the last commit.
    pub window_inputs: u32,
    /// Most payload bytes delivered beyond the last commit, save one single larger frame.
    pub window_bytes: u64,
    /// Largest message to a worker, save one single larger frame.
    pub message_bytes: u64,
    /// Sum of all state keys and values.
    pub state_bytes: u64,
    /// Most state keys.
    pub state_keys: u32,
    /// Longest key of the state, and key or name of an external input.
    pub key_bytes: u32,
    /// Largest value of the state, and payload of an external input.
    pub value_bytes: u64,
    /// Most timers set at once.
    pub timers: u32,
    /// Longest time that a timer may be set for.
    pub timer_max: Duration,
    /// Most commands in one commit.
    pub commands: u32,
    /// Most legs open at once, the caller among them.
    pub legs: u32,
    /// Above this many unwritten bytes of a leg, commits that write to it wait.
    pub leg_high: u64,
    /// A leg over `leg_high` for this long without a byte written is closed.
    pub write_timeout: Duration,
    /// What a closing leg may take to write what is queued.
    pub close_timeout: Duration,
    /// How long an offer may stay unanswered.
    pub offer_timeout: Duration,
    /// How long a release may stay unanswered.
    pub release_timeout: Duration,
    /// How long delivered inputs may be outstanding with no commit advancing. Twice that where the
    /// worker before failed the session too, and four times after two.
    pub progress_timeout: Duration,
    /// First wait before another worker is sought after a failure; doubles up to `seek_max`.
    pub seek_min: Duration,
    /// Longest wait before another worker is sought.
    pub seek_max: Duration,
    /// How long a session may be without a worker before the caller hears the hold sound; `None`: it
    /// hears none. A worker that is lost before it commits any of the inputs that waited counts as
    /// none.
    pub hold_after: Option<Duration>,
    /// How long a session may be so before the caller is handed back.
    pub give_up: Duration,
    /// Losses without progress after which a session ends, at the last of which it was kept apart
    /// from all others who may be to blame; at least three.
    pub poison_limit: u32,
    /// How long a session waits for its next worker after each such loss but the first.
    pub strike_pause: Duration,
    /// How long such a session waits, where workers are there, for one at which it is kept apart from
    /// others of its kind, before it goes to any.
    pub isolation_wait: Duration,
    /// How long a caller lost without `stop` is awaited; zero: not at all.
    pub resume_window: Duration,
    /// How long `SessionEnded` may stay uncommitted.
    pub end_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            log_bytes: 4 << 20,
            log_frames: 8_192,
            log_age: Duration::from_secs(30),
            pause_percent: 50,
            window_inputs: 256,
            window_bytes: 1 << 20,
            message_bytes: 1 << 20,
            state_bytes: 1 << 20,
            state_keys: 1_024,
            key_bytes: 256,
            value_bytes: 256 << 10,
            timers: 64,
            timer_max: Duration::from_secs(24 * 3600),
            commands: 4_096,
            legs: 8,
            leg_high: 1 << 20,
            write_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(2),
            offer_timeout: Duration::from_secs(1),
            release_timeout: Duration::from_millis(500),
            progress_timeout: Duration::from_secs(1),
            seek_min: Duration::from_millis(5),
            seek_max: Duration::from_millis(500),
            hold_after: Some(Duration::from_secs(2)),
            give_up: Duration::from_secs(30),
            poison_limit: 3,
            strike_pause: Duration::from_millis(100),
            isolation_wait: Duration::from_secs(1),
            resume_window: Duration::from_secs(15),
            end_timeout: Duration::from_secs(5),
        }
    }
}
