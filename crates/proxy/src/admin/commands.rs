//! What an operator, or a service that has the token, can make a call do.
//!
//! | `POST` | body | answers |
//! |---|---|---|
//! | `/sessions/{name}/inputs` | `{"key": "...", "name": "...", "text": "..."}` | 201 it is an input, 200 it was one before, 409 the call ends, 413 too large, 503 too much waits for a worker |
//! | `/sessions/{name}/move` | none | 202, or 409 where no worker runs the call |
//! | `/sessions/{name}/end` | none | 202 |
//! | `/workers/{address}/drain`, `/undrain` | none | 202, or 409 where no operator drains it |
//! | `/rollout` | `{"weights": {...}, ...}` | 200 the rules in force, 409 they changed meanwhile |
//!
//! All of them answer 404 where no such call, worker or pool is here. 503 or 504: the call's task takes
//! no orders or does not answer in time; what was asked may then be done or not, and can be asked again.
//! 400: the name in the path, or the body, cannot be read.
//! What is done is logged with who asked, but for inputs, which services send all the time.

use std::{borrow::Cow, net::SocketAddr};

use holdline_session::{EndReason, External, Payload, Taken};
use hyper::{Request, StatusCode, body::Incoming, header::RETRY_AFTER};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::{
    answers::{json, text, with},
    ask::{Unanswered, ask},
    body::Answer,
    name,
};
use crate::{edge::Edge, order::Order, table::Entry};

mod read;
mod steer;

/// Room for key, name and JSON around a text, in bytes.
const BODY_ROOM: usize = 4 << 10;
const NO_ORDERS: &str = "the session takes no orders now\n";
const LIKE: &str = "the body is to be {\"key\": \"...\", \"name\": \"...\", \"text\": \"...\"}\n";

/// What is asked for.
#[derive(PartialEq, Eq, Debug)]
enum Command<'a> {
    /// News for a call.
    Input(Cow<'a, str>),
    /// A call is to leave its worker.
    Move(Cow<'a, str>),
    /// A call is to end.
    End(Cow<'a, str>),
    /// Calls are to leave a worker, or may come to it again.
    Drain(Cow<'a, str>, bool),
    /// Other rules are to hold.
    Rollout,
}

impl<'a> Command<'a> {
    /// `None`: there is no such command; an answer: whom it is about cannot be read.
    fn read(path: &'a str) -> Result<Option<Self>, Answer> {
        if path == "/rollout" {
            return Ok(Some(Self::Rollout));
        }
        let Some((of, word)) = path.rsplit_once('/') else {
            return Ok(None);
        };
        let session = of.strip_prefix("/sessions/");
        let worker = of.strip_prefix("/workers/");
        Ok(Some(match (word, session, worker) {
            ("inputs", Some(name), _) => Self::Input(name::decode(name)?),
            ("move", Some(name), _) => Self::Move(name::decode(name)?),
            ("end", Some(name), _) => Self::End(name::decode(name)?),
            ("drain", _, Some(address)) => Self::Drain(name::decode(address)?, true),
            ("undrain", _, Some(address)) => Self::Drain(name::decode(address)?, false),
            _ => return Ok(None),
        }))
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
pub(super) async fn obey(
    edge: &Edge,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Option<Answer> {
    let path = request.uri().path().to_owned();
    let command = match Command::read(&path) {
        Ok(command) => command?,
        Err(refusal) => return Some(refusal),
    };
    let done = match &command {
        Command::Input(name) => input(edge, name, request).await,
        Command::Move(name) => leave(edge, name, request).await,
        Command::End(name) => end(edge, name, request).await,
        Command::Drain(address, begin) => match read::none(request).await {
            Ok(()) => steer::drain(edge, address, *begin),
            Err(refusal) => Err(refusal),
        },
        Command::Rollout => steer::rules(edge, request, peer).await,
    };
    // Rules are told with what they are, by whoever has read them.
    if done.is_ok() && !matches!(command, Command::Input(_) | Command::Rollout) {
        info!(%peer, ?command, "an operator's command");
    }
    Some(done.unwrap_or_else(|refusal| refusal))
}

fn find(edge: &Edge, name: &str) -> Result<Entry, Answer> {
    let words = "no such session is on this edge\n";
    let found = edge.table.find(name);
    found.ok_or_else(|| text(StatusCode::NOT_FOUND, words))
}

async fn input(edge: &Edge, name: &str, request: Request<Incoming>) -> Result<Answer, Answer> {
    let entry = find(edge, name)?;
    let value_max = usize::try_from(edge.limits.value_bytes).unwrap_or(usize::MAX);
    // In JSON a character takes two bytes for one, where it is not a rare control character.
    let most = value_max.saturating_mul(2).saturating_add(BODY_ROOM);
    let told: Told = read::json(request, most, LIKE).await?;
    if told.key.is_empty() {
        let words = "an input needs a key: told twice with the same one, it is an input once\n";
        return Err(text(StatusCode::BAD_REQUEST, words));
    }
    let external = External {
        key: told.key,
        name: told.name,
        payload: Payload::Text(told.text.into()),
    };
    let taken = ask(&entry, |to| Order::Tell(Box::new(external), to)).await?;
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

async fn leave(edge: &Edge, name: &str, request: Request<Incoming>) -> Result<Answer, Answer> {
    read::none(request).await?;
    if ask(&find(edge, name)?, Order::Move).await? {
        return Ok(text(
            StatusCode::ACCEPTED,
            "the session moves as soon as a worker takes it\n",
        ));
    }
    let words = "no worker runs the session: one is being sought\n";
    Err(text(StatusCode::CONFLICT, words))
}

async fn end(edge: &Edge, name: &str, request: Request<Incoming>) -> Result<Answer, Answer> {
    read::none(request).await?;
    let entry = find(edge, name)?;
    let order = Order::End {
        reason: EndReason::Operator,
        detail: "asked for over the admin port",
    };
    match entry.orders.try_send(order) {
        Ok(()) => Ok(text(StatusCode::ACCEPTED, "the session ends\n")),
        Err(_) => Err(later(NO_ORDERS)),
    }
}

impl From<Unanswered> for Answer {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Busy => later(NO_ORDERS),
            Unanswered::Over => text(StatusCode::NOT_FOUND, "the session has just ended\n"),
            Unanswered::Late => text(
                StatusCode::GATEWAY_TIMEOUT,
                "the session did not answer in time\n",
            ),
        }
    }
}

fn later(words: &'static str) -> Answer {
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
    fn a_path_names_a_command_and_whom_it_is_about() {
        let is = |path: &str, command| {
            let read = Command::read(path).ok().flatten();
            assert_eq!(read, Some(command), "{path}");
        };
        is("/sessions/CA1/inputs", Command::Input("CA1".into()));
        is("/sessions/a%2Fb/move", Command::Move("a/b".into()));
        is("/sessions/CA1/end", Command::End("CA1".into()));
        for worker in ["/workers/[::1]:50051", "/workers/%5B::1%5D%3A50051"] {
            let drain = |begin| Command::Drain("[::1]:50051".into(), begin);
            is(&format!("{worker}/drain"), drain(true));
            is(&format!("{worker}/undrain"), drain(false));
        }
        is("/rollout", Command::Rollout);
        for path in [
            "/sessions/CA1",
            "/sessions/CA1/",
            "/sessions/CA1/drain",
            "/workers/a:1/move",
            "/inputs",
        ] {
            assert_eq!(Command::read(path).ok(), Some(None), "{path}");
        }
    }
}
