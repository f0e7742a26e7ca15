//! How a leg ends.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::Sink as _;
use holdline_session::{Close, Fault};
use holdline_tls::Stream;
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    time::Instant,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::errors;

/// Longest reason that fits into a close frame (RFC 6455, 5.5).
const REASON_MAX: usize = 123;
/// Bytes thrown away in one poll while lingering.
const DISCARD_PER_POLL: usize = 256 << 10;

/// How far a leg's end has come. Every phase but the first and the last has the close that will be
/// reported, and a deadline.
///
/// ```text
///        start_close            queue written          peer's close, or deadline
/// Open ──────────────► Flushing ─────────────► Awaiting ───────────────────────► Over
///  │ │ peer's close: Answering, until the reply is flushed ────────────────────► Over
///  │ │ broken protocol: Lingering, until the peer has hung up or the deadline ─► Over
///  │ └ writing fails: Deaf, until all that was sent is read or the deadline ───► Over
///  └── end of stream or reset ─────────────────────────────────────────────────► Over
/// ```
#[derive(Debug)]
pub(super) enum Phase {
    /// Messages go both ways.
    Open,
    /// We close in good order: what is queued goes first.
    Flushing { report: Close, until: Instant },
    /// Our close frame is on its way, the peer's is awaited.
    Awaiting { report: Close, until: Instant },
    /// The peer's close frame came; the reply is on its way.
    Answering { report: Close, until: Instant },
    /// The peer broke the protocol. Our close frame is on its way; `sent`: behind it our end of the
    /// stream is shut.
    Lingering {
        report: Close,
        until: Instant,
        sent: bool,
    },
    /// The peer takes nothing more; what it sent before is still read. There is no deadline while
    /// that is put off by us, unless the leg is `closing`: we want to close it, too.
    Deaf {
        report: Close,
        until: Option<Instant>,
        closing: bool,
    },
    /// `Closed` was reported.
    Over,
}

impl Phase {
    pub(super) fn until(&self) -> Option<Instant> {
        match self {
            Self::Open | Self::Over => None,
            Self::Flushing { until, .. }
            | Self::Awaiting { until, .. }
            | Self::Answering { until, .. }
            | Self::Lingering { until, .. } => Some(*until),
            Self::Deaf { until, .. } => *until,
        }
    }

    pub(super) fn into_report(self) -> Close {
        match self {
            Self::Open | Self::Over => errors::lost("the stream ended"),
            Self::Flushing { report, .. }
            | Self::Awaiting { report, .. }
            | Self::Answering { report, .. }
            | Self::Lingering { report, .. }
            | Self::Deaf { report, .. } => report,
        }
    }
}

/// A close of our own making, fit for the wire.
pub(super) fn ours(code: u16, reason: &str, fault: Fault) -> Close {
    let code = match code {
        0 | 1005 => 1005,
        code if CloseCode::from(code).is_allowed() => code,
        _ => 1011,
    };
    let reason = if code == 1005 {
        ""
    } else {
        &reason[..reason.floor_char_boundary(REASON_MAX)]
    };
    Close {
        code,
        reason: reason.to_owned(),
        fault,
        dial_failed: false,
    }
}

/// The close frame that says it; 1005 stands for one without a code.
pub(super) fn close_frame(close: &Close) -> Option<CloseFrame> {
    (close.code != 1005).then(|| CloseFrame {
        code: close.code.into(),
        reason: close.reason.as_str().into(),
    })
}

/// Flushes what was said and shuts our end of the stream. True when that is done, or cannot be.
pub(super) fn send_off(web_socket: &mut WebSocketStream<Stream>, cx: &mut Context<'_>) -> bool {
    match Pin::new(&mut *web_socket).poll_flush(cx) {
        Poll::Ready(Ok(())) => Pin::new(web_socket.get_mut()).poll_shutdown(cx).is_ready(),
        Poll::Ready(Err(_)) => true,
        Poll::Pending => false,
    }
}

/// Reads and throws away, until the peer has hung up. Bounded per poll.
pub(super) fn poll_discard(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<()> {
    let mut scratch = [0; 4096];
    let mut left = DISCARD_PER_POLL;
    while left > 0 {
        let mut buffer = ReadBuf::new(&mut scratch);
        match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                left = left.saturating_sub(buffer.filled().len());
            }
            Poll::Ready(_) => return Poll::Ready(()),
            Poll::Pending => return Poll::Pending,
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use super::{Fault, close_frame, ours};

    #[test]
    fn forbidden_codes_never_reach_the_wire() {
        for (asked, sent) in [
            (1000, Some(1000)),
            (3000, Some(3000)),
            (4999, Some(4999)),
            (0, None),
            (1005, None),
            (1004, Some(1011)),
            (1006, Some(1011)),
            (1015, Some(1011)),
            (999, Some(1011)),
            (2000, Some(1011)),
            (5000, Some(1011)),
            (u16::MAX, Some(1011)),
        ] {
            let frame = close_frame(&ours(asked, "why", Fault::None));
            assert_eq!(frame.map(|frame| u16::from(frame.code)), sent, "{asked}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let close = ours(1000, &"é".repeat(100), Fault::None);
        assert_eq!(close.reason, "é".repeat(61));
    }
}
