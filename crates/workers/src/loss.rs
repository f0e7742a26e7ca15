//! Why a stream ended: the worker's word, or the connection's failure.
//!
//! The difference matters: a worker that fails the streams of several sessions is set aside, one
//! whose connection broke is lost anyway; and the session's account says whose fault it was.

use std::error::Error;

use holdline_session::Loss;
use tonic::Status;

use crate::link::LinkState;

/// Longest status message that is taken over into logs, in bytes.
const MESSAGE_MAX: usize = 512;

/// A failure of HTTP/2 as a status of gRPC, which keeps it as its source.
pub(crate) fn status(error: h2::Error) -> Status {
    Status::from_error(Box::new(error))
}

/// What a failed stream means for its session.
pub(crate) fn loss(status: &Status, link: &LinkState) -> Loss {
    if link.is_closed() || is_of_connection(status) {
        Loss::Disconnected {
            cause: in_words(status),
        }
    } else {
        Loss::Failed {
            status: in_words(status),
        }
    }
}

/// Whether the worker never saw the request, so that it may be tried elsewhere without a thought.
pub(crate) fn is_of_connection(status: &Status) -> bool {
    // What a worker says comes in trailers and has no source.
    let mut source = status.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.is_io()
                || error.is_go_away()
                || error.reason() == Some(h2::Reason::REFUSED_STREAM);
        }
        if error.is::<std::io::Error>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// The status and the innermost cause, without what lies between them.
pub(crate) fn in_words(status: &Status) -> String {
    let mut words = format!("{:?}", status.code());
    let mut message = status.message();
    let innermost = innermost(status);
    if message.is_empty() {
        message = innermost.as_deref().unwrap_or_default();
    }
    if !message.is_empty() {
        words.push_str(": ");
        words.push_str(&message[..message.floor_char_boundary(MESSAGE_MAX)]);
    }
    if let Some(cause) = innermost.filter(|cause| !words.contains(cause.as_str())) {
        words.push_str(": ");
        words.push_str(&cause[..cause.floor_char_boundary(MESSAGE_MAX)]);
    }
    words
}

fn innermost(status: &Status) -> Option<String> {
    let mut last = status.source()?;
    while let Some(next) = last.source() {
        last = next;
    }
    Some(last.to_string())
}
