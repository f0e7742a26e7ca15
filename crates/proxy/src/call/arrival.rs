//! A stream has said whose call it is: does a session begin, does it join one, or is it refused?
//!
//! A new stream of a live call takes the place of the old one, if it can prove that it belongs to
//! the call; the newest wins. The proof is a token of its own, or, where the route says so, the
//! account. Without proof the live session must not notice anything, whatever the stream claims.

use std::{
    future::poll_fn,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use holdline_config::Takeover;
use holdline_legs::{Identity, LegEvent, LegSocket, RouteRuntime, Token};
use holdline_session::{Attributes, Event, Frame, LegName, LegRef};
use holdline_telemetry::LegKind;
use tokio::sync::mpsc::{Receiver, error::TrySendError};
use tracing::{info, warn};

use super::Call;
use crate::{
    callbook::NoProof,
    edge::Edge,
    order::Order,
    table::{Entry, Place},
};

/// What closing the socket of a stream that is refused may take.
const PARTING: Duration = Duration::from_secs(1);

/// What becomes of a stream.
pub(super) enum Arrival {
    /// A session of its own begins.
    New,
    /// It takes the place of this call's present stream.
    Joins(Entry),
    /// It is closed.
    Refused(Why),
}

/// Why a stream is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Why {
    /// Its token was used before, or became too old meanwhile.
    Token,
    /// Its token is that of another call than its `start` names.
    Foreign,
    /// The call that it names is live, and nothing proves that the stream belongs to it.
    NoProof,
    /// The call that it names is over.
    Over,
    /// The call's task takes no orders.
    Busy,
}

impl Why {
    /// The word used in logs and metric labels.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Foreign => "foreign_token",
            Self::NoProof => "no_proof",
            Self::Over => "over",
            Self::Busy => "busy",
        }
    }

    /// Close code and reason; the same wherever another would tell more than the peer must know.
    const fn close(self) -> (u16, &'static str) {
        match self {
            Self::Token | Self::Foreign | Self::NoProof => (1008, "not authorized for this call"),
            Self::Over => (1008, "the call is over"),
            Self::Busy => (1013, "try again later"),
        }
    }
}

/// A stream on its way into a session.
#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) socket: LegSocket,
    pub(crate) attributes: Attributes,
    /// What it has said so far.
    pub(crate) frames: Vec<Frame>,
    pub(crate) peer: IpAddr,
}

/// Decides. A new session's place in the table is marked so by then.
pub(super) fn settle(
    edge: &Edge,
    route: &RouteRuntime,
    token: Option<&Token>,
    attributes: &Attributes,
    place: &Place,
) -> Arrival {
    let call_sid = attributes.get("call_sid").map(String::as_str);
    let account_sid = attributes.get("account_sid").map(String::as_str);
    if let Some(token) = token {
        let (now, call_sid) = (edge.clock.now(), call_sid.unwrap_or_default());
        match edge.book.spend(now, token, call_sid) {
            Err(NoProof::Unknown) => return Arrival::Refused(Why::Token),
            Err(NoProof::Foreign) => return Arrival::Refused(Why::Foreign),
            Ok(()) if edge.book.memory(now, call_sid).end.is_some() => {
                return Arrival::Refused(Why::Over);
            }
            Ok(()) => {}
        }
    }
    match place.begun(call_sid, account_sid) {
        Ok(()) => Arrival::New,
        Err(live) if token.is_some() || trusts(route, &live, account_sid) => Arrival::Joins(live),
        Err(_) => Arrival::Refused(Why::NoProof),
    }
}

/// Whether the route believes a `start` that names the live call's account.
fn trusts(route: &RouteRuntime, live: &Entry, account_sid: Option<&str>) -> bool {
    route.settings().takeover == Some(Takeover::TrustStart)
        && account_sid.is_some()
        && live.account_sid.as_deref() == account_sid
}

/// Hands a stream to its call, or refuses it where that has ended meanwhile. The call may live on
/// another thread than the one on which the stream came in: then each frame wakes both.
pub(super) async fn hand_over(
    edge: &Edge,
    live: Entry,
    socket: LegSocket,
    identity: Identity,
    peer: IpAddr,
) {
    let call_sid = live.call_sid;
    let Identity { attributes, frames } = identity;
    let joining = Joining {
        socket,
        attributes,
        frames,
        peer,
    };
    let (order, why) = match live.orders.try_send(Order::Join(Box::new(joining))) {
        Ok(()) => return,
        Err(TrySendError::Closed(order)) => (order, Why::Over),
        Err(TrySendError::Full(order)) => (order, Why::Busy),
    };
    if let Order::Join(joining) = order {
        refuse(edge, joining.socket, peer, call_sid.as_deref(), why).await;
    }
}

/// Closes a stream, counts it and says why.
pub(super) async fn refuse(
    edge: &Edge,
    mut socket: LegSocket,
    peer: IpAddr,
    call_sid: Option<&str>,
    why: Why,
) {
    edge.metrics.sessions.caller_stream(why.as_str());
    if let Some(untold) = edge.strangers_told.admit(Instant::now()) {
        let word = why.as_str();
        match why {
            // Nothing that the carrier does by itself: a mistake in the TwiML, or an attack.
            Why::Token | Why::Foreign | Why::NoProof => {
                warn!(call_sid, %peer, why = word, untold, "stream refused: it has no proof that it belongs to its call");
            }
            Why::Over | Why::Busy => {
                info!(call_sid, %peer, why = word, untold, "stream refused");
            }
        }
    }
    let (code, reason) = why.close();
    socket.start_close(code, reason, PARTING);
    loop {
        // Ends within the time given: what still comes in is thrown away.
        if let LegEvent::Closed(close) = poll_fn(|cx| socket.poll_event(cx, true)).await {
            let legs = &edge.metrics.legs;
            return legs.closed(LegKind::Caller, close.code, close.fault.as_str());
        }
    }
}

impl Call {
    /// Lets a stream take the present one's place.
    pub(super) fn join(&mut self, joining: Joining) {
        let Joining {
            socket,
            attributes,
            frames,
            peer,
        } = joining;
        let now = self.edge.clock.now();
        let before = self.session.account().resumes;
        let event = Event::CallerReplaced {
            attributes: attributes.clone(),
        };
        self.session.handle(now, event, &mut self.out);
        let joined = self.session.account().resumes > before;
        let Some(leg) = self.caller_leg().filter(|_| joined) else {
            self.perform(now);
            return self.refuse(socket, peer);
        };
        // Before anything is performed: the engine may want to write to it at once.
        self.legs.add_caller(leg.clone(), socket);
        self.story.joined(peer, attributes.get("stream_sid"));
        self.attributes = Arc::new(attributes);
        self.perform(now);
        self.hear(&leg, frames);
    }

    /// The session is over: nobody is answered any more, and the table can tell. Streams that were
    /// handed over just before are told so, that their carrier goes on at once.
    pub(super) fn turn_away(&mut self) {
        for Joining { socket, peer, .. } in latecomers(&mut self.orders) {
            self.refuse(socket, peer);
        }
    }

    fn refuse(&self, socket: LegSocket, peer: IpAddr) {
        let edge = self.edge.clone();
        let call_sid = self.story.caller().call_sid().map(str::to_owned);
        tokio::spawn(async move {
            refuse(&edge, socket, peer, call_sid.as_deref(), Why::Over).await;
        });
    }

    /// Tells the engine what a caller's socket said before it was the session's.
    pub(super) fn hear(&mut self, leg: &LegRef, frames: Vec<Frame>) {
        for frame in frames {
            let leg = leg.clone();
            self.take(Event::Frame { leg, frame });
        }
    }

    /// The caller's leg as the engine has it now.
    fn caller_leg(&self) -> Option<LegRef> {
        let view = self.session.view(self.edge.clock.now());
        let caller = view.legs.into_iter().find(|leg| leg.name.is_caller())?;
        Some(LegRef::new(LegName::CALLER, caller.incarnation.0))
    }
}

/// Closes an inbox: the streams that are in it.
fn latecomers(orders: &mut Receiver<Order>) -> Vec<Joining> {
    orders.close();
    let left = std::iter::from_fn(|| orders.try_recv().ok());
    let joining = left.filter_map(|order| match order {
        Order::Join(joining) => Some(*joining),
        Order::Show(_)
        | Order::Tell(..)
        | Order::Move(_)
        | Order::DeadlineNear(_)
        | Order::End { .. } => None,
    });
    joining.collect()
}

#[cfg(test)]
#[path = "arrival/tests.rs"]
mod tests;
