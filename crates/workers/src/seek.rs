//! From *a worker is wanted* to an open stream with an offer on it.

use std::{future::poll_fn, sync::Arc, time::Duration};

use holdline_session::{Attributes, Limits, Seek, SessionId};
use tokio::time::timeout;

use crate::{
    WorkerStream,
    convert::{Batches, offer},
    loss,
    roster::pick::NoPlace,
    serve::Serve,
    shared::{Place, Shared},
    stream::Opened,
};

/// How many workers are tried for one seek: a worker that went away in this moment is replaced by
/// the next best.
const TRIES: usize = 3;
/// What a worker is waited for to open its side. Some servers do so only with their first message;
/// the stream is handed out then, too.
const ESTABLISH: Duration = Duration::from_millis(50);
/// Room in the out-queue beside the window: offer, release, news of applied commits.
const QUEUE_SPARE: usize = 64;
/// What a message is larger than the frame and the rest in it, at most.
const ENVELOPE_BYTES: usize = 64 << 10;

/// A session wants a worker.
#[derive(Clone, Debug)]
pub struct SeekRequest {
    /// Which session.
    pub session: SessionId,
    /// What the engine asked for.
    pub seek: Seek,
    /// Told to the worker with the offer, for example `call_sid`.
    pub attributes: Arc<Attributes>,
    /// W3C `traceparent` of the attachment to be, told to the worker when it is attached; empty: none.
    pub traceparent: String,
    /// Bounds of the session; told to the worker when it is attached.
    pub limits: Limits,
}

/// Why no worker could be had. A retry helps as soon as a worker comes, returns or has room.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SeekError {
    /// No worker fits.
    #[error("no worker fits: {why}")]
    NoneFits {
        /// In words.
        why: String,
        /// One would, were the session, or another there, under less suspicion.
        crowded: bool,
    },
    /// Those that were chosen could not be reached, or turned the stream down.
    #[error("worker {address} did not take the stream: {cause}")]
    Unreachable {
        /// Where the last one listens.
        address: String,
        /// In words.
        cause: String,
        /// Another would have taken it, as above.
        crowded: bool,
    },
    /// The pool was shut down.
    #[error("the worker pool is shut down")]
    Closed,
}

impl SeekError {
    /// Whether a worker would have taken the session, were it, or another there, under less suspicion.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        match self {
            Self::NoneFits { crowded, .. } | Self::Unreachable { crowded, .. } => *crowded,
            Self::Closed => false,
        }
    }
}

pub(crate) async fn seek(
    shared: Arc<Shared>,
    request: SeekRequest,
) -> Result<WorkerStream, SeekError> {
    let mut tried = Vec::new();
    let mut failure = None;
    while tried.len() < TRIES {
        if shared.is_closed() {
            return Err(SeekError::Closed);
        }
        let place =
            match shared.reserve(request.session, &request.attributes, &request.seek, &tried) {
                Ok(place) => place,
                Err(none) => return Err(no_other(failure, none)),
            };
        tried.push(place.worker());
        let address = place.connections().address().to_string();
        match open(&shared, place, &request).await {
            Ok(stream) => return Ok(stream),
            Err(cause) => {
                tracing::debug!(pool = %shared.name, session = %request.session, %address, %cause,
                    "worker did not take the stream");
                failure = Some((address, cause));
            }
        }
    }
    Err(failure.map_or(SeekError::Closed, |(address, cause)| {
        SeekError::Unreachable {
            address,
            cause,
            crowded: false,
        }
    }))
}

/// What is wrong with the worker that was tried last, and with the others: what keeps a call from those
/// is often the reason that lasts.
fn no_other(failure: Option<(String, String)>, none: NoPlace) -> SeekError {
    let NoPlace { words, crowded } = none;
    match failure {
        None => SeekError::NoneFits {
            why: words,
            crowded,
        },
        Some((address, cause)) => SeekError::Unreachable {
            address,
            cause: format!("{cause}; no other fits: {words}"),
            crowded,
        },
    }
}

async fn open(
    shared: &Shared,
    place: Place,
    request: &SeekRequest,
) -> Result<WorkerStream, String> {
    let connections = Arc::clone(place.connections());
    let (link, lease) = connections
        .lease()
        .await
        .map_err(|error| error.to_string())?;
    let largest = largest_commit(shared.required_message_bytes, &request.limits);
    let waiting_max = queue_len(&request.limits);
    let serve = Serve::open(&link, connections.origin(), waiting_max, largest).await;
    let mut serve = serve.map_err(|status| loss::in_words(&status))?;
    let attributes = Attributes::clone(&request.attributes);
    let first = offer(request.session, &request.seek, attributes);
    serve
        .send(&first)
        .map_err(|_| "the out-queue has no room for an offer".to_owned())?;
    let answered = timeout(ESTABLISH, poll_fn(|cx| serve.poll_answer(cx)));
    if let Ok(Err(status)) = answered.await {
        if !loss::is_of_connection(&status) {
            place.failed();
        }
        return Err(loss::in_words(&status));
    }
    Ok(WorkerStream::new(Opened {
        place,
        lease,
        address: connections.address().to_string(),
        batches: Batches::new(&request.limits, request.traceparent.clone()),
        serve,
    }))
}

/// A commit may hold `message_bytes` and, beside them, one frame of any size that a leg takes.
fn largest_commit(frame_bytes: u64, limits: &Limits) -> usize {
    let bytes = frame_bytes.saturating_add(limits.message_bytes);
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    bytes.saturating_add(ENVELOPE_BYTES)
}

/// Room for everything that the engine says without waiting: one message for each input of its
/// window, and the parts of the state.
fn queue_len(limits: &Limits) -> usize {
    let window = usize::try_from(limits.window_inputs).unwrap_or(usize::MAX);
    let parts = limits.state_bytes / limits.message_bytes.max(1);
    let parts = usize::try_from(parts).unwrap_or(usize::MAX);
    // An Attach part is filled to more than half, unless one entry fills it alone.
    window
        .saturating_add(parts.saturating_mul(2))
        .saturating_add(QUEUE_SPARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_try_does_not_hide_what_keeps_a_call_from_the_others() {
        let words = "2 workers: 1 could not be reached, 1 with another suspect session";
        let failure = || ("10.0.0.1:50051".to_owned(), "refused".to_owned());
        for crowded in [true, false] {
            let none = || NoPlace {
                words: words.to_owned(),
                crowded,
            };
            let alone = no_other(None, none());
            assert_eq!(alone.to_string(), format!("no worker fits: {words}"));
            let after = no_other(Some(failure()), none());
            assert_eq!(
                after.to_string(),
                format!(
                    "worker 10.0.0.1:50051 did not take the stream: refused; no other fits: {words}"
                )
            );
            assert_eq!((alone.is_crowded(), after.is_crowded()), (crowded, crowded));
        }
    }
}
