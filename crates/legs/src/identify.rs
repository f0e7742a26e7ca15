//! Who calls: read from the socket by the leg's profile.

use std::{future::poll_fn, time::Duration};

use holdline_session::{Attributes, Close, Fault, Frame};
use tokio::time::{Instant, timeout_at};

use crate::{LegEvent, LegSocket};

/// What closing the socket of a caller who does not say who calls may take.
const PARTING: Duration = Duration::from_secs(1);

/// Who calls, as far as the leg's profile can tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// What is known of the caller. `twilio`: `call_sid`, `stream_sid`, `account_sid`, `tracks`
    /// (joined by commas), `encoding`, `sample_rate`, `channels`, and `parameter.NAME` for every
    /// custom parameter. `raw`: nothing.
    pub attributes: Attributes,
    /// The frames read so far, in order, for the session to be: none is lost.
    pub frames: Vec<Frame>,
}

/// The caller did not say who calls. Its socket is closed by the time this is returned.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{why}: closed with {} {}", close.code, close.reason)]
pub struct IdentifyError {
    /// A word for logs and metrics: `timeout` (nothing of use came) or `closed`.
    pub why: &'static str,
    /// How the socket was closed.
    pub close: Close,
}

/// Reads until the socket's profile knows who calls (`twilio`: its `start` message; `raw`: at once).
/// Messages that make no sense before that are counted and left out.
///
/// Dropping the future drops the frames read so far: drop the socket with it.
///
/// # Errors
/// The caller left, broke the protocol, or said nothing of use for `start_timeout`, and then up to
/// one second more is spent on the close handshake.
pub async fn identify(
    socket: &mut LegSocket,
    start_timeout: Duration,
) -> Result<Identity, IdentifyError> {
    let deadline = Instant::now() + start_timeout;
    let mut frames = Vec::new();
    loop {
        if let Some(attributes) = socket.take_identity() {
            return Ok(Identity { attributes, frames });
        }
        match timeout_at(deadline, next(socket)).await {
            Ok(LegEvent::Frame(frame)) => frames.push(frame),
            Ok(LegEvent::Written { .. }) => {}
            Ok(LegEvent::Closed(close)) => {
                return Err(IdentifyError {
                    why: "closed",
                    close,
                });
            }
            Err(_) => break,
        }
    }
    // 1008, policy: the messages that came, if any, were well-formed WebSocket messages.
    socket.start_close(1008, "no start message in time", PARTING);
    loop {
        if let LegEvent::Closed(close) = next(socket).await {
            let close = Close {
                fault: Fault::Peer,
                ..close
            };
            return Err(IdentifyError {
                why: "timeout",
                close,
            });
        }
    }
}

async fn next(socket: &mut LegSocket) -> LegEvent {
    poll_fn(|cx| socket.poll_event(cx, true)).await
}
