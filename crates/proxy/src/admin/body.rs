//! What an answer carries: a body that is there, or one that goes on.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, body, body::Frame};
use tokio::sync::mpsc;

/// An answer of the admin port.
pub(super) type Answer = Response<Body>;

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Body {
    Whole(Full<Bytes>),
    /// Until its sender is gone.
    Stream(mpsc::Receiver<Bytes>),
}

impl Body {
    /// Whether it goes on for as long as somebody listens.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self, Self::Stream(_))
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(whole: T) -> Self {
        Self::Whole(Full::new(whole.into()))
    }
}

impl body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(cx),
            Self::Stream(pieces) => pieces
                .poll_recv(cx)
                .map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> body::SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Stream(_) => body::SizeHint::default(),
        }
    }
}
