//! How an attachment begins: offer, answer, and the state in one message or several.

use std::time::Duration;

use holdline_wire::v1::{self, serve_request::Message as Request, serve_response::Message};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::{End, Port, request};
use crate::{
    Worker,
    call::Beginning,
    phase::{Gate, Place, Suspicion},
};

/// What the edge may take to say what a stream is for.
const OFFER_TIMEOUT: Duration = Duration::from_secs(10);
/// What the edge may take to attach a session after it was accepted: its previous worker has to let
/// go of it first.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes of state taken where the edge tells no limit.
const STATE_MAX: u64 = 64 << 20;

/// An accepted session with its whole state.
pub(super) struct Opened {
    pub(super) beginning: Beginning,
    /// Held as long as the session is here.
    pub(super) _place: Place,
    /// Held until the session has shown that it does no harm.
    pub(super) suspicion: Option<Suspicion>,
}

/// Waits for the offer.
pub(super) async fn offered(incoming: &mut Streaming<v1::ServeRequest>) -> Result<v1::Offer, End> {
    match next(incoming, OFFER_TIMEOUT).await? {
        Request::Offer(offer) => Ok(offer),
        Request::Attach(_) | Request::Inputs(_) | Request::Release(_) => {
            Err(End::protocol("the first message must be Offer"))
        }
    }
}

/// Answers the offer and collects the state. `None`: rejected.
pub(super) async fn open<W: Worker>(
    worker: &W,
    gate: &Gate,
    offer: v1::Offer,
    incoming: &mut Streaming<v1::ServeRequest>,
    port: &Port,
) -> Result<Option<Opened>, End> {
    let description = worker.describe();
    let schema = offer.state_schema;
    let admitted = if schema != 0 && !description.reads_schemas.contains(&schema) {
        let reason = format!("this worker does not read state schema {schema}");
        Err((reason, false))
    } else {
        admit(gate, description.max_sessions, &offer).map_err(|reason| (reason.to_owned(), true))
    };
    let (place, suspicion) = match admitted {
        Ok(admitted) => admitted,
        Err((reason, retry)) => {
            tracing::debug!(reason, retry, "rejected");
            port.send(Message::Reject(v1::Reject { reason, retry }))
                .await?;
            return Ok(None);
        }
    };
    port.send(Message::Accept(v1::Accept {})).await?;
    let attach = attached(incoming).await?;
    tracing::debug!(reason = ?attach.reason(), next_seq = attach.next_seq, "attached");
    Ok(Some(Opened {
        beginning: Beginning {
            offer,
            attach,
            schema: description.writes_schema,
        },
        _place: place,
        suspicion,
    }))
}

fn admit(
    gate: &Gate,
    max: u32,
    offer: &v1::Offer,
) -> Result<(Place, Option<Suspicion>), &'static str> {
    let place = gate.admit(max)?;
    Ok((place, gate.admit_suspect(offer)?))
}

/// Collects all parts of the attach message.
async fn attached(incoming: &mut Streaming<v1::ServeRequest>) -> Result<v1::Attach, End> {
    let mut whole = next_part(incoming).await?;
    let limit = match &whole.limits {
        Some(limits) if limits.max_state_bytes > 0 => limits.max_state_bytes.min(STATE_MAX),
        _ => STATE_MAX,
    };
    let mut bytes = size(&whole.state);
    while whole.more_state {
        let part = next_part(incoming).await?;
        bytes += size(&part.state);
        if bytes > limit {
            return Err(End::protocol("the state is larger than its own limit"));
        }
        whole.more_state = part.more_state;
        whole.state.extend(part.state);
    }
    Ok(whole)
}

async fn next_part(incoming: &mut Streaming<v1::ServeRequest>) -> Result<v1::Attach, End> {
    match next(incoming, ATTACH_TIMEOUT).await? {
        Request::Attach(attach) => Ok(attach),
        Request::Offer(_) | Request::Inputs(_) | Request::Release(_) => {
            Err(End::protocol("Attach must follow Accept"))
        }
    }
}

async fn next(
    incoming: &mut Streaming<v1::ServeRequest>,
    within: Duration,
) -> Result<Request, End> {
    match timeout(within, incoming.message()).await {
        Ok(message) => request(message),
        Err(_) => Err(End::Failed(Status::deadline_exceeded(
            "the edge said nothing for too long",
        ))),
    }
}

fn size(state: &[v1::StateEntry]) -> u64 {
    state
        .iter()
        .map(|entry| (entry.key.len() + entry.value.len()) as u64)
        .sum()
}
