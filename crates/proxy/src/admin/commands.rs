//! What an operator, or a service that has the token, can make a call do.
//!
//! | `POST` | body | answers |
//! |---|---|---|
//! | `/sessions/{name}/inputs` | `{"key": "...", "name": "...", "text": "..."}` | 201 it is an input, 200 it was one before, 409 the call ends, 413 too large, 503 too much waits for a worker |
//! | `/sessions/{name}/move` | none | 202, or 409 where no worker runs the call |
//! | `/sessions/{name}/end` | none | 202 |
//!
//! All of them answer 404 where no such call is here, and 503 or 504 where its task takes no orders or
//! does not answer in time: what was asked may then be done or not, and can be asked again.

use std::time::Duration;

use bytes::Bytes;
use holdline_session::{EndReason, External, Payload, Taken};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, time::timeout};

use super::answers::{json, text, with};
use crate::{edge::Edge, order::Order, table::Entry};

/// What a call may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// From the end of the headers to the end of the body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Room for key, name and JSON around a text, in bytes.
const BODY_ROOM: usize = 4 << 10;

/// What is to become of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Command {
    Input,
    Move,
    End,
}

impl Command {
    /// The path without its beginning, `/sessions/`: which call, and what.
    fn read(path: &str) -> Option<(&str, Self)> {
        let (name, word) = path.rsplit_once('/')?;
        let command = match word {
            "inputs" => Self::Input,
            "move" => Self::Move,
            "end" => Self::End,
            _ => return None,
        };
        Some((name, command))
    }
}

/// The body of an input.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    key: String,
    name: String,
    text: String,
}

/// What came of an input.
#[derive(Serialize)]
struct Became {
    taken: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

/// Does what a request asks for whose sender has shown the token. `None`: there is no such command.
pub(super) async fn obey(edge: &Edge, request: Request<Incoming>) -> Option<Response<Full<Bytes>>> {
    let path = request.uri().path().to_owned();
    let (name, command) = Command::read(path.strip_prefix("/sessions/")?)?;
    let Some(entry) = edge.table.find(name) else {
        let words = "no such session is on this edge\n";
        return Some(text(StatusCode::NOT_FOUND, words));
    };
    let done = match command {
        Command::Input => input(edge, &entry, request).await,
        Command::Move => leave(&entry).await,
        Command::End => end(&entry),
    };
    Some(done.unwrap_or_else(|refusal| refusal))
}

async fn input(
    edge: &Edge,
    entry: &Entry,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Response<Full<Bytes>>> {
    let told = read(edge, request).await?;
    let external = External {
        key: told.key,
        name: told.name,
        payload: Payload::Text(told.text.into()),
    };
    let taken = ask(entry, |to| Order::Tell(external, to)).await?;
    let became = |taken, seq| json(&Became { taken, seq });
    match taken {
        Taken::Now(seq) => {
            let mut response = became("now", Some(seq.0));
            *response.status_mut() = StatusCode::CREATED;
            Ok(response)
        }
        Taken::Before => Ok(became("before", None)),
        Taken::Ending => Err(text(StatusCode::CONFLICT, "the session is ending\n")),
        Taken::TooLarge => Err(text(
            StatusCode::PAYLOAD_TOO_LARGE,
            "key or name is longer than session.state.key_bytes, or the text than value_bytes\n",
        )),
        Taken::Full => Err(later("too much waits for a worker of this session\n")),
    }
}

async fn leave(entry: &Entry) -> Result<Response<Full<Bytes>>, Response<Full<Bytes>>> {
    if ask(entry, Order::Move).await? {
        return Ok(text(
            StatusCode::ACCEPTED,
            "the session moves as soon as a worker takes it\n",
        ));
    }
    let words = "no worker runs the session: one is being sought\n";
    Err(text(StatusCode::CONFLICT, words))
}

fn end(entry: &Entry) -> Result<Response<Full<Bytes>>, Response<Full<Bytes>>> {
    let order = Order::End {
        reason: EndReason::Operator,
        detail: "asked for over the admin port",
    };
    match entry.orders.try_send(order) {
        Ok(()) => Ok(text(StatusCode::ACCEPTED, "the session ends\n")),
        Err(_) => Err(later("the session takes no orders now\n")),
    }
}

/// Reads and checks the body of an input.
async fn read(edge: &Edge, request: Request<Incoming>) -> Result<Told, Response<Full<Bytes>>> {
    let kind = request
        .headers()
        .get(CONTENT_TYPE)
        .map(|kind| kind.as_bytes());
    // No page of another site can send this without being asked first whether it may.
    if !kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with(b"application/json")) {
        let words = "the body is to be JSON: Content-Type: application/json\n";
        return Err(text(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
    }
    let most = usize::try_from(edge.limits.value_bytes).unwrap_or(usize::MAX);
    // In JSON a character takes two bytes for one, where it is not a rare control character.
    let body = Limited::new(
        request.into_body(),
        most.saturating_mul(2).saturating_add(BODY_ROOM),
    );
    let body = match timeout(BODY_TIMEOUT, body.collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let words = "the body is larger than any input may be\n";
            return Err(text(StatusCode::PAYLOAD_TOO_LARGE, words));
        }
        Ok(Err(_)) => return Err(text(StatusCode::BAD_REQUEST, "the body broke off\n")),
        Err(_) => {
            return Err(text(
                StatusCode::REQUEST_TIMEOUT,
                "the body took too long\n",
            ));
        }
    };
    let told: Told = serde_json::from_slice(&body).map_err(|_| {
        let words = "the body is to be {\"key\": \"...\", \"name\": \"...\", \"text\": \"...\"}\n";
        text(StatusCode::BAD_REQUEST, words)
    })?;
    if told.key.is_empty() {
        let words = "an input needs a key: told twice with the same one, it is an input once\n";
        return Err(text(StatusCode::BAD_REQUEST, words));
    }
    Ok(told)
}

/// Asks the task of a call for something.
async fn ask<T>(
    entry: &Entry,
    order: impl FnOnce(oneshot::Sender<T>) -> Order,
) -> Result<T, Response<Full<Bytes>>> {
    let (to, answer) = oneshot::channel();
    if !entry.begun || entry.orders.try_send(order(to)).is_err() {
        return Err(later("the session takes no orders now\n"));
    }
    match timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(text(StatusCode::NOT_FOUND, "the session has just ended\n")),
        Err(_) => Err(text(
            StatusCode::GATEWAY_TIMEOUT,
            "the session did not answer in time\n",
        )),
    }
}

fn later(words: &'static str) -> Response<Full<Bytes>> {
    with(
        text(StatusCode::SERVICE_UNAVAILABLE, words),
        RETRY_AFTER,
        "1",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_call_and_a_command() {
        assert_eq!(Command::read("CA1/inputs"), Some(("CA1", Command::Input)));
        assert_eq!(Command::read("CA1/move"), Some(("CA1", Command::Move)));
        assert_eq!(Command::read("CA1/end"), Some(("CA1", Command::End)));
        for path in ["CA1", "CA1/", "CA1/pay", "inputs"] {
            assert_eq!(Command::read(path), None, "{path}");
        }
    }
}
