//! What went over WebSockets, in messages: the unit in which whoever stands between counts.

use std::ops::{AddAssign, Sub};

/// Messages of WebSockets so far; pings, pongs and closes are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Handed to a socket for sending. Told of before they are on their way, so that nobody can have
    /// more.
    pub sent: u64,
    /// Payload bytes of these.
    pub sent_bytes: u64,
    /// Read from a socket.
    pub received: u64,
    /// Payload bytes of these.
    pub received_bytes: u64,
}

impl Traffic {
    pub(crate) fn sends(&mut self, bytes: usize) {
        self.sent += 1;
        self.sent_bytes += bytes as u64;
    }

    pub(crate) fn receives(&mut self, bytes: usize) {
        self.received += 1;
        self.received_bytes += bytes as u64;
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.sent_bytes += other.sent_bytes;
        self.received += other.received;
        self.received_bytes += other.received_bytes;
    }
}

impl Sub for Traffic {
    type Output = Self;

    /// What came after `earlier`, a moment of the same sockets.
    fn sub(self, earlier: Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            sent_bytes: self.sent_bytes - earlier.sent_bytes,
            received: self.received - earlier.received,
            received_bytes: self.received_bytes - earlier.received_bytes,
        }
    }
}
