//! What the edge allows one session, as told at attach.

use std::time::Duration;

use holdline_wire::v1;

/// Limits of one session, in force for its whole life. Checked here first, so that a mistake is an
/// error with a name in the handler rather than a refused commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Largest message on the stream in bytes, save one single frame.
    pub message_bytes: u64,
    /// Sum of all keys and values in bytes.
    pub state_bytes: u64,
    /// Most keys.
    pub state_keys: u64,
    /// Longest key in bytes.
    pub key_bytes: u64,
    /// Largest value in bytes.
    pub value_bytes: u64,
    /// Most timers set at once.
    pub timers: u64,
    /// Most commands in one commit.
    pub commands: u64,
    /// Most legs open at once, the caller among them.
    pub legs: u64,
    /// Longest time that a timer may be set for.
    pub timer: Duration,
}

impl Limits {
    /// A limit that the edge left at zero is taken as not told: the edge alone checks it then.
    pub(crate) fn from_wire(limits: Option<v1::Limits>) -> Self {
        let limits = limits.unwrap_or_default();
        let told = |limit: u64| if limit == 0 { u64::MAX } else { limit };
        Self {
            // Splitting needs a figure; this is the protocol's own.
            message_bytes: match limits.max_message_bytes {
                0 => holdline_wire::MAX_MESSAGE_BYTES as u64,
                bytes => bytes,
            },
            state_bytes: told(limits.max_state_bytes),
            state_keys: told(limits.max_state_keys.into()),
            key_bytes: told(limits.max_key_bytes.into()),
            value_bytes: told(limits.max_value_bytes),
            timers: told(limits.max_timers.into()),
            commands: told(limits.max_commands_per_commit.into()),
            legs: told(limits.max_legs.into()),
            timer: Duration::from_micros(told(limits.max_timer_us)),
        }
    }
}
