//! One `Serve` call, driven by the session's own task.
//!
//! Not by a gRPC client library: that would pass each message over a queue to a task which writes
//! bodies, wake it for each, and keep buffers of many KiB for each call. Here a message goes from
//! the session straight into HTTP/2's send buffer, and comes straight out of what it has read.

use std::{
    collections::VecDeque,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client::ResponseFuture};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use prost::Message;
use tonic::{Code, Status};

use crate::{
    framing::{Deframer, framed},
    link::Link,
    loss::status,
};

const PATH: &str = "/holdline.worker.v1.Worker/Serve";
const CONTENT_TYPE: &str = "application/grpc";
const AGENT: &str = concat!("holdline/", env!("CARGO_PKG_VERSION"));

/// One `Serve` call. Dropping it cancels it.
pub(crate) struct Serve {
    sending: SendStream<Bytes>,
    receiving: Receiving,
    deframer: Deframer,
    /// Messages for which the stream's window has no room yet.
    waiting: VecDeque<Bytes>,
    /// Most of them.
    waiting_max: usize,
    /// The largest message that is taken, in bytes.
    largest: usize,
}

/// More was said than the worker read.
#[derive(Debug)]
pub(crate) struct Full;

/// How far the answer has come.
enum Receiving {
    Headers(ResponseFuture),
    Messages(RecvStream),
    Trailers(RecvStream),
    Over,
}

impl Serve {
    /// Opens the call; the answer comes with the messages. Cancel safe.
    pub(crate) async fn open(
        link: &Link,
        origin: Uri,
        waiting_max: usize,
        largest: usize,
    ) -> Result<Self, Status> {
        let request = request(origin).map_err(|error| Status::internal(error.to_string()))?;
        let (answer, sending) = link.open(request).await.map_err(status)?;
        Ok(Self {
            sending,
            receiving: Receiving::Headers(answer),
            deframer: Deframer::default(),
            waiting: VecDeque::new(),
            waiting_max,
            largest,
        })
    }

    /// Says something. True where all that was said has left for HTTP/2; else it is to be polled.
    ///
    /// # Errors
    /// [`Full`] where the worker has not read as many messages as may wait.
    pub(crate) fn send(&mut self, message: &impl Message) -> Result<bool, Full> {
        if self.waiting.len() >= self.waiting_max {
            return Err(Full);
        }
        self.waiting.push_back(framed(message));
        self.hand_over();
        Ok(self.waiting.is_empty())
    }

    /// Resolves once the worker has answered with more than nothing.
    ///
    /// # Errors
    /// Its refusal, or what became of the connection.
    pub(crate) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.poll_send(cx);
        let Receiving::Headers(answer) = &mut self.receiving else {
            return Poll::Ready(Ok(()));
        };
        let answer = ready!(Pin::new(answer).poll(cx));
        self.receiving = Receiving::Over;
        let response = answer.map_err(status)?;
        if let Some(refusal) = refusal(&response) {
            return Poll::Ready(Err(refusal));
        }
        self.receiving = Receiving::Messages(response.into_body());
        Poll::Ready(Ok(()))
    }

    /// The worker's next message; `None` once it has ended the call in good order.
    ///
    /// # Errors
    /// How it ended otherwise.
    pub(crate) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Status>>> {
        if let Err(status) = ready!(self.poll_answer(cx)) {
            return Poll::Ready(Some(Err(status)));
        }
        let next = ready!(self.poll_next(cx));
        if !matches!(next, Some(Ok(_))) {
            self.receiving = Receiving::Over;
        }
        Poll::Ready(next)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        loop {
            match self.deframer.next(self.largest) {
                Ok(None) => {}
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Err(status) => return Poll::Ready(Some(Err(status))),
            }
            match &mut self.receiving {
                Receiving::Messages(stream) => match ready!(stream.poll_data(cx)) {
                    Some(Ok(chunk)) => {
                        // An error means that the stream is over, which is what is read next.
                        let _ = stream.flow_control().release_capacity(chunk.len());
                        self.deframer.push(chunk);
                    }
                    Some(Err(error)) => return Poll::Ready(Some(Err(status(error)))),
                    None => self.ended(),
                },
                Receiving::Trailers(stream) => {
                    let trailers = ready!(stream.poll_trailers(cx));
                    return Poll::Ready(match trailers {
                        Ok(trailers) => end(trailers.as_ref(), &self.deframer).map(Err),
                        Err(error) => Some(Err(status(error))),
                    });
                }
                Receiving::Headers(_) | Receiving::Over => return Poll::Ready(None),
            }
        }
    }

    /// No message follows, but the trailers.
    fn ended(&mut self) {
        self.receiving = match std::mem::replace(&mut self.receiving, Receiving::Over) {
            Receiving::Messages(stream) => Receiving::Trailers(stream),
            other => other,
        };
    }

    /// Gives HTTP/2 what the window has room for.
    fn hand_over(&mut self) {
        while let Some(front) = self.waiting.front_mut() {
            self.sending.reserve_capacity(front.len());
            let room = self.sending.capacity().min(front.len());
            if room == 0 {
                return;
            }
            let part = front.split_to(room);
            if front.is_empty() {
                self.waiting.pop_front();
            }
            if self.sending.send_data(part, false).is_err() {
                // The stream is over: what is received tells how.
                self.waiting.clear();
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) {
        self.hand_over();
        while !self.waiting.is_empty() {
            match self.sending.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => self.hand_over(),
                Poll::Ready(Some(Err(_)) | None) => self.waiting.clear(),
                Poll::Pending => return,
            }
        }
    }
}

fn request(origin: Uri) -> Result<Request<()>, http::Error> {
    let mut parts = origin.into_parts();
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static(PATH));
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_parts(parts)?;
    *request.version_mut() = http::Version::HTTP_2;
    let headers = request.headers_mut();
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
    Ok(request)
}

/// Why this answer is none: its status, or that gRPC is not spoken here.
fn refusal(response: &Response<RecvStream>) -> Option<Status> {
    let headers = response.headers();
    if let Some(status) = Status::from_header_map(headers) {
        return (status.code() != Code::Ok).then_some(status);
    }
    if response.status() != StatusCode::OK {
        let words = format!("HTTP status {}", response.status());
        // As gRPC maps them.
        return Some(match response.status().as_u16() {
            400 => Status::internal(words),
            401 => Status::unauthenticated(words),
            403 => Status::permission_denied(words),
            404 => Status::unimplemented(words),
            429 | 502 | 503 | 504 => Status::unavailable(words),
            _ => Status::unknown(words),
        });
    }
    let kind = headers.get(header::CONTENT_TYPE);
    let is_grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(CONTENT_TYPE.as_bytes()));
    (!is_grpc).then(|| Status::unknown(format!("not gRPC: its content type is {kind:?}")))
}

/// How the call ended; `None`: in good order.
fn end(trailers: Option<&HeaderMap>, deframer: &Deframer) -> Option<Status> {
    let Some(status) = trailers.and_then(Status::from_header_map) else {
        return Some(Status::unknown("the call ended without a status"));
    };
    match status.code() {
        Code::Ok if deframer.is_amid() => Some(Status::internal("it ended within a message")),
        Code::Ok => None,
        _ => Some(status),
    }
}
