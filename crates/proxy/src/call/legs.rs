//! The legs of a call: sockets by name, being dialled, open or closing.
//!
//! A leg may be written to before it is there. What was sent to it meanwhile waits here, in order,
//! and the engine's `leg_high` bounds it as it bounds an open socket's out-buffer.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::future::MaybeDone;
use holdline_legs::{Dialer, LegEvent, LegSocket};
use holdline_session::{Attributes, Close, Event, Fault, LegName, LegRef, Payload};
use holdline_telemetry::{LegKind, LegMetrics, Opening};
use tokio::time::Instant;

use super::turn::{Bell, Turn};

type Dialled = Result<(LegSocket, Attributes), Close>;
type Dial = MaybeDone<Pin<Box<dyn Future<Output = Dialled> + Send>>>;

/// All legs of one call.
#[derive(Debug)]
pub(super) struct Legs {
    dialer: Dialer,
    metrics: LegMetrics,
    bell: Bell,
    slots: Vec<Slot>,
    /// Kinds of which one was open before.
    known: Vec<LegKind>,
}

/// One opening of a leg.
#[derive(Debug)]
struct Slot {
    leg: LegRef,
    kind: LegKind,
    /// Workers' frames handed to it that its socket has not taken.
    unwritten: u64,
    sound: Sound,
    turn: Turn,
    state: State,
}

/// Which of the messages handed to a socket, in their order, are hold sound: a socket only says how
/// many messages it took, and a worker is told of its own alone.
#[derive(Debug, Default)]
struct Sound {
    handed: u64,
    taken: u64,
    /// Number and bytes of each piece that was not taken. The engine keeps them few.
    pieces: VecDeque<(u64, u64)>,
}

/// ```text
/// Connecting ──opened──► Open ──closed──► Gone
///      │ └──not opened────────────────────►▲
///      └──no longer wanted──► Cancelled ───┘
/// ```
enum State {
    Connecting(Box<Connecting>),
    Open(Box<LegSocket>),
    /// Asked to close before anything could be written: there is nothing to wait for.
    Cancelled,
    Gone,
}

struct Connecting {
    dial: Dial,
    queued: Vec<Payload>,
    /// Set where it is to close as soon as what is queued is written.
    close: Option<Closing>,
}

struct Closing {
    code: u16,
    reason: String,
    until: Instant,
}

impl Legs {
    /// `bell` is rung when one of them has something to tell.
    pub(super) fn new(dialer: Dialer, metrics: LegMetrics, bell: Bell) -> Self {
        Self {
            dialer,
            metrics,
            bell,
            slots: Vec::new(),
            known: Vec::new(),
        }
    }

    /// Takes in the caller's socket, in front of all others.
    pub(super) fn add_caller(&mut self, leg: LegRef, socket: LegSocket) {
        self.push(leg, State::Open(Box::new(socket)));
        self.slots.rotate_right(1);
        self.opened(0);
    }

    /// Starts to dial; the answer comes from [`Legs::poll`].
    pub(super) fn dial(&mut self, leg: LegRef, upstream: &str, attributes: &Attributes) {
        let kind = LegKind::of(leg.name.as_str());
        let dial: Pin<Box<dyn Future<Output = Dialled> + Send>> =
            Box::pin(self.dialer.dial(upstream, kind, attributes));
        let connecting = Connecting {
            dial: MaybeDone::Future(dial),
            queued: Vec::new(),
            close: None,
        };
        self.push(leg, State::Connecting(Box::new(connecting)));
    }

    /// Queues a message; nothing where the leg is gone, which the engine learns anyway.
    pub(super) fn send(&mut self, leg: &LegRef, payload: Payload) {
        let Some(slot) = self.slot_mut(leg) else {
            return;
        };
        match &mut slot.state {
            State::Connecting(connecting) => connecting.queued.push(payload),
            State::Open(socket) => socket.queue(payload),
            State::Cancelled | State::Gone => return,
        }
        slot.unwritten += 1;
        slot.sound.handed += 1;
        slot.turn.call();
    }

    /// Queues a piece of hold sound, in the caller's dialect.
    pub(super) fn sound(&mut self, leg: &LegRef, audio: &[u8]) {
        let Some(slot) = self.slot_mut(leg) else {
            return;
        };
        if let State::Open(socket) = &mut slot.state
            && let Some(payload) = socket.sound(audio)
        {
            slot.sound.push(payload.len() as u64);
            socket.queue(payload);
            slot.turn.call();
        }
    }

    /// Writes what is queued, then closes, all `within` this time.
    pub(super) fn close(&mut self, leg: &LegRef, code: u16, reason: &str, within: Duration) {
        let Some(slot) = self.slot_mut(leg) else {
            return;
        };
        match &mut slot.state {
            State::Open(socket) => socket.start_close(code, reason, within),
            State::Connecting(connecting) if connecting.queued.is_empty() => {
                slot.state = State::Cancelled;
            }
            State::Connecting(connecting) => connecting.finish(code, reason, within),
            State::Cancelled | State::Gone => {}
        }
        slot.turn.call();
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn name(&self, index: usize) -> Option<&LegName> {
        self.slots.get(index).map(|slot| &slot.leg.name)
    }

    /// What the leg at `index` has to tell; writes what is queued on the way. Reads only if `read`.
    pub(super) fn poll(&mut self, index: usize, read: bool) -> Poll<Event> {
        let Some(slot) = self.slots.get_mut(index) else {
            return Poll::Pending;
        };
        let Slot {
            leg,
            sound,
            turn,
            state,
            ..
        } = slot;
        let event = ready!(turn.take(read, |cx| state.poll(leg, sound, cx, read)));
        slot.note(&self.metrics, &event);
        if matches!(event, Event::LegOpened { .. }) {
            self.opened(index);
        }
        Poll::Ready(event)
    }

    /// Counts the leg at `index`, which is open now.
    fn opened(&mut self, index: usize) {
        let Some(kind) = self.slots.get(index).map(|slot| slot.kind) else {
            return;
        };
        let others = self.slots.iter().enumerate().filter(|(at, _)| *at != index);
        let is_beside = |slot: &Slot| slot.kind == kind && matches!(slot.state, State::Open(_));
        let how = if !self.known.contains(&kind) {
            self.known.push(kind);
            Opening::First
        } else if others.map(|(_, slot)| slot).any(is_beside) {
            Opening::Beside
        } else {
            Opening::Again
        };
        self.metrics.opened(kind, how);
    }

    /// Lets dials go on while there is no session yet to be told of their end.
    pub(super) fn poll_dials(&mut self, cx: &mut Context<'_>) {
        for slot in &mut self.slots {
            if let State::Connecting(connecting) = &mut slot.state {
                // Its answer is kept until `poll` takes it.
                let _ = Pin::new(&mut connecting.dial).poll(cx);
            }
        }
    }

    /// Forgets legs that are gone. Moves the others' indices.
    pub(super) fn sweep(&mut self) {
        self.slots.retain(|slot| !matches!(slot.state, State::Gone));
    }

    fn push(&mut self, leg: LegRef, state: State) {
        self.slots.push(Slot {
            kind: LegKind::of(leg.name.as_str()),
            leg,
            unwritten: 0,
            sound: Sound::default(),
            turn: Turn::new(&self.bell),
            state,
        });
    }

    fn slot_mut(&mut self, leg: &LegRef) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.leg == *leg)
    }
}

impl State {
    fn poll(
        &mut self,
        leg: &LegRef,
        sound: &mut Sound,
        cx: &mut Context<'_>,
        read: bool,
    ) -> Poll<Event> {
        if let Self::Connecting(connecting) = self {
            let (next, event) = ready!(connecting.poll(cx, leg));
            *self = next;
            if let Some(event) = event {
                return Poll::Ready(event);
            }
        }
        Poll::Ready(match self {
            Self::Open(socket) => match ready!(socket.poll_event(cx, read)) {
                LegEvent::Frame(frame) => Event::Frame {
                    leg: leg.clone(),
                    frame,
                },
                LegEvent::Written { frames, bytes } => {
                    let (sound, sound_bytes) = sound.written(frames);
                    Event::LegWritten {
                        leg: leg.clone(),
                        frames: frames - sound,
                        bytes: bytes.saturating_sub(sound_bytes),
                        sound,
                    }
                }
                LegEvent::Closed(close) => closed(leg, close),
            },
            Self::Cancelled => closed(leg, never_opened()),
            Self::Connecting(_) | Self::Gone => return Poll::Pending,
        })
    }
}

impl Sound {
    fn push(&mut self, bytes: u64) {
        self.pieces.push_back((self.handed, bytes));
        self.handed += 1;
    }

    /// How many of the next `messages` are pieces, and their bytes.
    fn written(&mut self, messages: u64) -> (u64, u64) {
        self.taken += messages;
        let (mut count, mut sum) = (0, 0);
        while let Some((_, bytes)) = self.pieces.pop_front_if(|(number, _)| *number < self.taken) {
            count += 1;
            sum += bytes;
        }
        (count, sum)
    }
}

impl Slot {
    /// Counts a close, and remembers where the leg is gone. Messages are counted by their socket.
    fn note(&mut self, metrics: &LegMetrics, event: &Event) {
        match event {
            Event::LegWritten { frames, .. } => {
                self.unwritten = self.unwritten.saturating_sub(*frames);
            }
            Event::LegClosed { close, .. } => {
                self.state = State::Gone;
                if !close.dial_failed {
                    metrics.closed(self.kind, close.code, close.fault.as_str());
                }
                metrics.unwritten(self.kind).inc_by(self.unwritten);
            }
            _ => {}
        }
    }
}

impl Connecting {
    /// Closes once what is queued is written; gives up the dial itself `within` the same time.
    fn finish(&mut self, code: u16, reason: &str, within: Duration) {
        if self.close.is_some() {
            return;
        }
        self.close = Some(Closing {
            code,
            reason: reason.to_owned(),
            until: Instant::now() + within,
        });
        let dial = std::mem::replace(&mut self.dial, MaybeDone::Gone);
        if let MaybeDone::Future(dial) = dial {
            let bounded = async move {
                let dialled = tokio::time::timeout(within, dial).await;
                dialled.unwrap_or_else(|_| Err(never_opened()))
            };
            self.dial = MaybeDone::Future(Box::pin(bounded));
        } else {
            self.dial = dial;
        }
    }

    /// The state after the dial and what the engine is to be told, if anything.
    fn poll(&mut self, cx: &mut Context<'_>, leg: &LegRef) -> Poll<(State, Option<Event>)> {
        let mut dial = Pin::new(&mut self.dial);
        ready!(dial.as_mut().poll(cx));
        let dialled = dial.take_output().unwrap_or_else(|| Err(never_opened()));
        let (mut socket, attributes) = match dialled {
            Ok(opened) => opened,
            Err(close) => return Poll::Ready((State::Gone, Some(closed(leg, close)))),
        };
        for payload in self.queued.drain(..) {
            socket.queue(payload);
        }
        let event = match self.close.take() {
            Some(Closing {
                code,
                reason,
                until,
            }) => {
                let left = until.saturating_duration_since(Instant::now());
                socket.start_close(code, &reason, left);
                None
            }
            None => Some(Event::LegOpened {
                leg: leg.clone(),
                attributes,
            }),
        };
        Poll::Ready((State::Open(Box::new(socket)), event))
    }
}

fn closed(leg: &LegRef, close: Close) -> Event {
    Event::LegClosed {
        leg: leg.clone(),
        close,
    }
}

/// The end of a leg that was closed while it was being dialled.
fn never_opened() -> Close {
    Close {
        code: 0,
        reason: "closed before it was open".to_owned(),
        fault: Fault::None,
        dial_failed: true,
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting(_) => "connecting",
            Self::Open(_) => "open",
            Self::Cancelled => "cancelled",
            Self::Gone => "gone",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hold_sound_is_told_apart_from_what_workers_said() {
        let mut sound = Sound::default();
        sound.handed += 2;
        sound.push(300);
        sound.push(301);
        sound.handed += 1;
        sound.push(302);
        assert_eq!(sound.written(1), (0, 0));
        assert_eq!(sound.written(2), (1, 300));
        assert_eq!(sound.written(2), (1, 301));
        assert_eq!(sound.written(1), (1, 302));
        assert!(sound.pieces.is_empty());
    }
}
