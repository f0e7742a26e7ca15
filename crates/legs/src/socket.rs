//! One WebSocket of either direction.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use holdline_session::{Close, Frame, Payload};

/// One WebSocket of either direction, with everything that it has not yet given or taken.
#[derive(Debug)]
pub struct LegSocket {}

/// What a leg has to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LegEvent {
    /// A whole message came in.
    Frame(Frame),
    /// The socket has taken so many queued frames, in order of their queueing.
    Written {
        /// Whole frames.
        frames: u64,
        /// Their payload bytes.
        bytes: u64,
    },
    /// The leg is over. The last event; the socket may be dropped.
    Closed(Close),
}

impl LegSocket {
    /// Puts a message behind those already queued. Never waits, never fails; how much is queued is
    /// bounded by the engine, which holds back over its `leg_high`. After a close has begun the
    /// message is dropped (and never reported as written).
    pub fn queue(&mut self, payload: Payload) {
        let _ = payload;
    }

    /// Writes what is queued, then a close frame, then waits for the peer's; drops the socket
    /// `within` this time in any case. `Closed` comes at the end. A second call is ignored.
    ///
    /// A code that RFC 6455 forbids on the wire is never sent: 0 and 1005 become a close frame
    /// without a code, others 1011. The reason is cut to 123 bytes.
    pub fn start_close(&mut self, code: u16, reason: &str, within: Duration) {
        let _ = (code, reason, within);
    }

    /// Makes progress in both directions and returns the next event, if there is one. Upon `Ready`
    /// call again at once; only `Pending` has registered the waker. Not to be called after `Closed`.
    ///
    /// Without `read` at most one message is taken from the socket and kept, so that a ping or a
    /// close in front of it is still served; then the peer is slowed down by TCP.
    pub fn poll_event(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<LegEvent> {
        let _ = (cx, read);
        Poll::Pending
    }
}
