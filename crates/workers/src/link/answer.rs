//! The body of an answer, for tonic's client.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame};

/// What a worker answers to a request of few messages.
#[derive(Debug)]
pub(crate) struct Answer {
    stream: RecvStream,
    reads: Reads,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reads {
    Data,
    Trailers,
    Nothing,
}

impl Answer {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            reads: Reads::Data,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if self.reads == Reads::Data {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    self.stream.flow_control().release_capacity(data.len())?;
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.reads = Reads::Trailers,
            }
        }
        if self.reads == Reads::Nothing {
            return Poll::Ready(None);
        }
        let trailers = ready!(self.stream.poll_trailers(cx));
        self.reads = Reads::Nothing;
        Poll::Ready(trailers.transpose().map(|it| it.map(Frame::trailers)))
    }
}
