//! `session`: bounds and waits of every session.

use std::{fmt::Display, time::Duration};

use crate::{
    ByteSize, Hold, defaults,
    reader::At,
    section::section,
    shape::Shape,
    units::{ANY_SIZE, ANY_TIME},
};

section! {
    /// Bounds and waits of one session.
    pub struct SessionSettings: Default {
        /// What is kept to replay.
        pub log: LogLimits = LogLimits::default(),
        /// What is delivered to a worker beyond its last commit.
        pub window: Window = Window::default(),
        /// What a worker may keep.
        pub state: StateLimits = StateLimits::default(),
        /// Largest message to a worker, save one single larger frame.
        pub message_bytes: ByteSize [ByteSize::kib(1)..=ByteSize::mib(64)] = defaults::MESSAGE_BYTES,
        /// Timers that a worker may set.
        pub timers: Timers = Timers::default(),
        /// Most commands in one commit.
        pub commands: u32 = defaults::COMMANDS,
        /// Most legs open at once, the caller among them.
        pub legs: u32 [1..=64] = defaults::LEGS,
        /// Above this many unwritten bytes of a leg, commits that write to it wait.
        pub leg_high: ByteSize = defaults::LEG_HIGH,
        /// A leg over `leg_high` for this long without a byte written is closed.
        pub write_timeout: Duration = defaults::WRITE_TIMEOUT,
        /// What a closing leg may take to write what is queued.
        pub close_timeout: Duration = defaults::CLOSE_TIMEOUT,
        /// How long an offer to a worker may stay unanswered.
        pub offer_timeout: Duration = defaults::OFFER_TIMEOUT,
        /// How long a release may stay unanswered.
        pub release_timeout: Duration = defaults::RELEASE_TIMEOUT,
        /// How long delivered inputs may be outstanding with no commit advancing; twice that for the
        /// worker after one that failed, and four times for those after two.
        pub progress_timeout: Duration = defaults::PROGRESS_TIMEOUT,
        /// Waits between searches for a worker.
        pub seek: Seek = Seek::default(),
        /// What happens while no worker can be had.
        pub hold: Hold = Hold::default(),
        /// Losses of a worker without progress after which a session ends: at least 3, since it must
        /// have been apart from all others who may be to blame.
        pub poison_limit: u32 [3..=1_000] = defaults::POISON_LIMIT,
        /// How long such a session waits for its next worker.
        pub strike_pause: Duration = defaults::STRIKE_PAUSE,
        /// How long it waits, while workers would take it but for others there, for one where no
        /// other such session is, before it goes to any.
        pub isolation_wait: Duration = defaults::ISOLATION_WAIT,
        /// What happens when the caller's socket is lost.
        pub resume: Resume = Resume::default(),
        /// How long the last input may stay uncommitted.
        pub end_timeout: Duration = defaults::END_TIMEOUT,
    }
    checked by check_session
}

fn check_session(at: &At<'_>) {
    let size = |keys: &[&str], default| at.glance(keys, &ANY_SIZE, default);
    let window = size(&["window", "bytes"], defaults::WINDOW_BYTES);
    let log = size(&["log", "bytes"], defaults::LOG_BYTES);
    check_window(at, "window.bytes", window, "log.bytes", log);
    let count = |keys: &[&str], default| at.glance(keys, &u32::range(), default);
    let window = count(&["window", "inputs"], defaults::WINDOW_INPUTS);
    let log = count(&["log", "frames"], defaults::LOG_FRAMES);
    check_window(at, "window.inputs", window, "log.frames", log);
}

/// What was delivered is kept to replay.
fn check_window<T: PartialOrd + Display>(
    at: &At<'_>,
    window_key: &str,
    window: Option<T>,
    log_key: &str,
    log: Option<T>,
) {
    let (Some(window), Some(log)) = (window, log) else {
        return;
    };
    if window > log {
        at.place("window").wrong(format!(
            "`{window_key}` ({window}) must not exceed `{log_key}` ({log}), which is all that can be replayed"
        ));
    }
}

section! {
    /// What is kept to replay. At a limit the oldest caller media gives way.
    #[derive(Copy)]
    pub struct LogLimits: Default {
        /// Most payload bytes, save one single larger frame.
        pub bytes: ByteSize = defaults::LOG_BYTES,
        /// Most frames.
        pub frames: u32 = defaults::LOG_FRAMES,
        /// Greatest age of caller media.
        pub age: Duration = defaults::LOG_AGE,
        /// Above this share of `bytes`, in percent, outbound legs are no longer read.
        pub pause_percent: u8 [1..=100] = defaults::PAUSE_PERCENT,
    }
}

section! {
    /// What is delivered to a worker beyond its last commit.
    #[derive(Copy)]
    pub struct Window: Default {
        /// Most inputs.
        pub inputs: u32 = defaults::WINDOW_INPUTS,
        /// Most payload bytes, save one single larger frame.
        pub bytes: ByteSize = defaults::WINDOW_BYTES,
    }
}

section! {
    /// What a worker may keep.
    #[derive(Copy)]
    pub struct StateLimits: Default {
        /// Sum of all keys and values.
        pub bytes: ByteSize = defaults::STATE_BYTES,
        /// Most keys.
        pub keys: u32 = defaults::STATE_KEYS,
        /// Longest key.
        pub key_bytes: ByteSize [ByteSize::bytes(1)..=ByteSize::kib(64)] = defaults::KEY_BYTES,
        /// Largest value.
        pub value_bytes: ByteSize = defaults::VALUE_BYTES,
    }
    checked by check_state
}

fn check_state(at: &At<'_>) {
    let size = |key, default| at.glance(&[key], &ANY_SIZE, default);
    let value = size("value_bytes", defaults::VALUE_BYTES);
    let all = size("bytes", defaults::STATE_BYTES);
    if let (Some(value), Some(all)) = (value, all)
        && value > all
    {
        let place = at.place("value_bytes");
        place.wrong(format!(
            "`value_bytes` ({value}) must not exceed `bytes` ({all})"
        ));
    }
}

section! {
    /// Timers that a worker may set.
    #[derive(Copy)]
    pub struct Timers: Default {
        /// Most at once.
        pub count: u32 = defaults::TIMERS,
        /// Longest time.
        pub max: Duration = defaults::TIMER_MAX,
    }
}

section! {
    /// Waits between searches for a worker.
    #[derive(Copy)]
    pub struct Seek: Default {
        /// The first wait after a failure; it doubles up to `max`.
        pub min: Duration = defaults::SEEK_MIN,
        /// The longest wait.
        pub max: Duration = defaults::SEEK_MAX,
    }
    checked by check_seek
}

fn check_seek(at: &At<'_>) {
    let time = |key, default| at.glance(&[key], &ANY_TIME, default);
    let max = time("max", defaults::SEEK_MAX);
    if max.is_some() && time("min", defaults::SEEK_MIN) > max {
        at.place("min").wrong("`min` must not be longer than `max`");
    }
}

section! {
    /// What happens when the caller's socket is lost.
    #[derive(Copy)]
    pub struct Resume: Default {
        /// How long a new stream of the same call is awaited, on routes where one can prove itself
        /// (`webhook` or `takeover`); `0s`: not at all.
        pub window: Duration [Duration::ZERO..=Duration::from_secs(3_600)] = defaults::RESUME_WINDOW,
        /// How often the webhook brings one call back; then it answers with the fallback.
        pub attempts: u32 [0..=100] = defaults::RESUME_ATTEMPTS,
    }
}
