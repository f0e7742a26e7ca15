//! Bodies of commands: bounded in size and time, and of the right kind.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{Request, StatusCode, body::Incoming, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;

use super::super::{answers::text, body::Answer};

/// From the end of the headers to the end of the body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A body of JSON, of `most` bytes. `like`: what it is to be like, for whoever sent another.
pub(super) async fn json<T: DeserializeOwned>(
    request: Request<Incoming>,
    most: usize,
    like: &'static str,
) -> Result<T, Answer> {
    let kind = request
        .headers()
        .get(CONTENT_TYPE)
        .map(|kind| kind.as_bytes());
    // No page of another site can send this without being asked first whether it may.
    if !kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with(b"application/json")) {
        let words = "the body is to be JSON: Content-Type: application/json\n";
        return Err(text(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
    }
    let body = whole(request.into_body(), most).await?;
    serde_json::from_slice(&body).map_err(|_| text(StatusCode::BAD_REQUEST, like))
}

/// Makes sure that there is no body, where none belongs.
pub(super) async fn none(request: Request<Incoming>) -> Result<(), Answer> {
    let body = whole(request.into_body(), 0).await;
    match body {
        Ok(_) => Ok(()),
        Err(refusal) if refusal.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let words = "this takes no body: the path says all\n";
            Err(text(StatusCode::BAD_REQUEST, words))
        }
        Err(refusal) => Err(refusal),
    }
}

async fn whole(body: Incoming, most: usize) -> Result<Bytes, Answer> {
    let reading = Limited::new(body, most).collect();
    match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let words = "the body is larger than any of its kind may be\n";
            Err(text(StatusCode::PAYLOAD_TOO_LARGE, words))
        }
        Ok(Err(_)) => Err(text(StatusCode::BAD_REQUEST, "the body broke off\n")),
        Err(_) => {
            let words = "the body took too long\n";
            Err(text(StatusCode::REQUEST_TIMEOUT, words))
        }
    }
}
