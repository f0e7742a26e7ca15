//! From an accepted socket to a session.
//!
//! The model is dialled at once, while the caller's profile still waits to be told who calls: the
//! two handshakes take their time side by side, and the caller hears the first word earlier.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use holdline_config::Route;
use holdline_legs::{IdentifyError, Identity, IncomingCall, LegSocket, RouteRuntime, identify};
use holdline_session::{Attributes, Frame, LegName, LegRef, Session, SessionId, Setup, Time};
use holdline_telemetry::LegKind;
use tokio::sync::mpsc;
use tracing::{error, info};

use super::{
    Alarm, Bell, Call, Depth, Legs, Story, Streams,
    arrival::{Arrival, hand_over, refuse, settle},
    story::Caller,
};
use crate::{
    edge::Edge,
    id::new_session_id,
    order::Order,
    table::{Entry, Marks, ORDERS, Place},
};

/// Takes a call: it gets a place in the table and a task of its own. Never waits.
pub(crate) fn answer(edge: &Arc<Edge>, incoming: IncomingCall) {
    let id = match new_session_id() {
        Ok(id) => id,
        Err(error) => {
            error!(%error, "a call is dropped: the system has no randomness for its session id");
            return;
        }
    };
    let (orders, inbox) = mpsc::channel(ORDERS);
    let marks = Arc::<Marks>::default();
    let place = edge.table.enter(Entry {
        id,
        since: edge.clock.now(),
        route: incoming.route.settings().path.as_str().into(),
        call_sid: None,
        account_sid: None,
        begun: false,
        ending: false,
        record: None,
        marks: Arc::clone(&marks),
        orders,
        abort: None,
    });
    let beginning = Box::pin(begin(Arc::clone(edge), id, incoming, inbox, (place, marks)));
    let task = tokio::spawn(async move {
        // What it takes to begin is not kept for as long as the call lasts.
        if let Some(call) = beginning.await {
            call.run().await;
        }
    });
    Place::abort_with(&edge.table, id, task.abort_handle());
}

/// A call up to its first frame, if it is one that begins here.
async fn begin(
    edge: Arc<Edge>,
    id: SessionId,
    incoming: IncomingCall,
    orders: mpsc::Receiver<Order>,
    (place, marks): (Place, Arc<Marks>),
) -> Option<Box<Call>> {
    let IncomingCall {
        route,
        peer,
        path,
        token,
        mut socket,
        permit,
    } = incoming;
    // A call that comes back has its legs.
    let back = token.as_ref().is_some_and(|token| edge.comes_back(token));
    let bell = Bell::default();
    let mut legs = Legs::new(edge.dialer.clone(), edge.metrics.legs.clone(), bell.clone());
    if !back {
        dial_route(&mut legs, &route);
    }
    let identity = match introduce(&mut socket, &mut legs, &route).await {
        Ok(identity) => identity,
        Err(IdentifyError { why, close }) => {
            let (code, reason, fault) = (close.code, close.reason, close.fault.as_str());
            edge.metrics.legs.closed(LegKind::Caller, code, fault);
            if let Some(untold) = edge.strangers_told.admit(Instant::now()) {
                info!(
                    session = %id, %peer, path, why, code, reason, fault, untold,
                    "caller left before its call began"
                );
            }
            return None;
        }
    };
    let caller = Caller::new(id, &identity.attributes, peer, path);
    match settle(&edge, &route, token.as_ref(), &identity.attributes, &place) {
        // It was live a moment ago.
        Arrival::New if back => dial_route(&mut legs, &route),
        Arrival::New => {}
        Arrival::Joins(live) => {
            hand_over(&edge, live, socket, identity, peer).await;
            return None;
        }
        Arrival::Refused(why) => {
            refuse(&edge, socket, peer, caller.call_sid(), why).await;
            return None;
        }
    }
    let Some(pool) = edge.pools.get(&route.settings().workers) else {
        let pool = &route.settings().workers;
        error!(session = %id, pool, "call dropped: its route names a pool that is not there");
        return None;
    };
    let streams = Streams::new(pool.clone(), bell.clone());
    let now = edge.clock.now();
    let mut out = Vec::new();
    let mut call = Box::new(Call {
        session: Session::new(setup(&edge, id, &route, &identity, &socket), now, &mut out),
        depth: Depth::new(edge.metrics.sessions.clone(), marks),
        attributes: Arc::new(identity.attributes),
        bell,
        legs,
        streams,
        orders,
        alarm: Alarm::new(edge.clock),
        webhook: route.settings().webhook.is_some(),
        story: Story::begin(&edge, now, caller, &route.settings().workers),
        out,
        finished: false,
        edge,
        place,
        _permit: permit,
    });
    call.place.recorded(call.story.record());
    call.begin(now, socket, identity.frames);
    Some(call)
}

fn setup(
    edge: &Edge,
    id: SessionId,
    route: &RouteRuntime,
    identity: &Identity,
    socket: &LegSocket,
) -> Setup {
    let Route {
        legs: dialled,
        webhook,
        takeover,
        ..
    } = route.settings();
    let mut limits = edge.limits.clone();
    if webhook.is_none() && takeover.is_none() {
        // Nobody could prove that he has come back: there is nothing to wait for.
        limits.resume_window = Duration::ZERO;
    }
    if !socket.plays() {
        limits.hold_after = None;
    }
    Setup {
        id,
        limits,
        caller: identity.attributes.clone(),
        dialled: dialled.iter().map(|leg| LegName::new(&leg.name)).collect(),
        upstreams: edge.dialer.upstreams(),
    }
}

impl Call {
    /// Does what the new session wants first, and hands it what the caller has said so far.
    fn begin(&mut self, now: Time, socket: LegSocket, frames: Vec<Frame>) {
        let leg = LegRef::new(LegName::CALLER, 1);
        self.legs.add_caller(leg.clone(), socket);
        self.perform(now);
        self.hear(&leg, frames);
    }
}

/// Starts to dial what every call of this route needs.
fn dial_route(legs: &mut Legs, route: &RouteRuntime) {
    for leg in &route.settings().legs {
        legs.dial(LegRef::new(&leg.name, 1), &leg.upstream, &Attributes::new());
    }
}

/// Waits to be told who calls, and lets dials go on meanwhile.
async fn introduce(
    socket: &mut LegSocket,
    legs: &mut Legs,
    route: &RouteRuntime,
) -> Result<Identity, IdentifyError> {
    let mut identified = pin!(identify(socket, route.settings().start_timeout));
    poll_fn(|cx| {
        legs.poll_dials(cx);
        identified.as_mut().poll(cx)
    })
    .await
}
