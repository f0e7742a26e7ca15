//! One WebSocket of either direction.

mod alarm;
mod closing;
mod outbox;
mod silence;

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Sink as _, Stream as _};
use holdline_session::{Attributes, Close, Fault, Frame, Payload};
use holdline_telemetry::{Direction, LegKind, LegMetrics};
use holdline_tls::Stream;
use tokio::{io::AsyncWrite as _, time::Instant};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};

use self::{
    alarm::Alarm,
    closing::{Phase, close_frame},
    outbox::{OutError, Outbox},
    silence::{Quiet, Silence},
};
use crate::{
    errors,
    profile::{Profile, Verdict},
};

/// Zero-filled before every read by the WebSocket library, and resident: small is fast and lean. A frame
/// of Twilio's is 400 bytes; of TLS, twice this is read at once in any case.
const READ_BUFFER: usize = 2 << 10;
/// Messages shorter than this are copied out of the read buffer: a slice would keep all of it alive
/// for as long as the session's log keeps the message.
const COPY_BELOW: usize = READ_BUFFER / 2;
/// What the answer to a peer's close, or the delivery of our own after an error, may take.
const PARTING: Duration = Duration::from_secs(1);
/// Most messages looked at in one poll without one going up.
const STEPS_PER_POLL: usize = 64;

/// One WebSocket of either direction.
///
/// Everything that the socket has received and not yet given up, and everything it was handed and
/// has not yet written, is in this one struct, and one task polls it. Two halves would be easier to
/// await; but a later handover of live sockets to another process must find a leg's whole state in
/// one place, at one moment, with nobody else in the middle of a read or a write.
pub struct LegSocket {
    web_socket: WebSocketStream<Stream>,
    profile: Profile,
    out: Outbox,
    /// A message read ahead while reading was not wanted.
    held: Option<Frame>,
    phase: Phase,
    /// Something was just written: reading has its turn first.
    read_first: bool,
    silence: Silence,
    alarm: Alarm,
    /// What counts this socket, until it is dropped.
    slot: Option<Slot>,
    kind: LegKind,
    metrics: Arc<LegMetrics>,
}

/// Something that counts a socket for as long as it lives.
pub(crate) type Slot = Box<dyn std::any::Any + Send>;

/// What distinguishes one leg's socket from another's.
pub(crate) struct LegSettings {
    pub(crate) profile: Profile,
    pub(crate) kind: LegKind,
    /// Largest message taken, in bytes.
    pub(crate) max_frame: usize,
    /// A peer silent for so long is given up.
    pub(crate) idle_timeout: Option<Duration>,
    /// A peer silent for so long is sent a ping.
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) metrics: Arc<LegMetrics>,
    pub(crate) slot: Option<Slot>,
}

/// What a leg has to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LegEvent {
    /// A whole message came in.
    Frame(Frame),
    /// The socket has taken so many queued frames, in order of their queueing.
    Written {
        /// Whole frames.
        frames: u64,
        /// Their payload bytes.
        bytes: u64,
    },
    /// The leg is over. The last event; the socket may be dropped.
    Closed(Close),
}

/// Outcome of one attempt to make progress.
enum Step {
    Event(LegEvent),
    Again,
    Idle,
}

impl LegSocket {
    pub(crate) fn new(web_socket: WebSocketStream<Stream>, settings: LegSettings) -> Self {
        let now = Instant::now();
        Self {
            web_socket,
            profile: settings.profile,
            out: Outbox::new(settings.max_frame),
            held: None,
            phase: Phase::Open,
            read_first: false,
            silence: Silence::new(settings.idle_timeout, settings.ping_interval, now),
            alarm: Alarm::default(),
            slot: settings.slot,
            kind: settings.kind,
            metrics: settings.metrics,
        }
    }

    /// Puts a message behind those already queued. Never waits, never fails; how much is queued is
    /// bounded by the engine, which holds back over its `leg_high`. Once a close has begun the
    /// message is dropped, and so never reported as written.
    pub fn queue(&mut self, payload: Payload) {
        if matches!(self.phase, Phase::Open) {
            self.out.push(payload);
        }
    }

    /// A message that lets the peer hear this audio, mu-law at 8 kHz, to be queued like any other.
    /// `None` where the leg's profile knows no way to say it.
    #[must_use]
    pub fn sound(&self, mulaw: &[u8]) -> Option<Payload> {
        self.profile.sound(mulaw)
    }

    /// Whether [`sound`](Self::sound) has messages. Of a Twilio leg not before its `start`.
    #[must_use]
    pub fn plays(&self) -> bool {
        self.sound(&[]).is_some()
    }

    /// Writes what is queued, then a close frame, then waits for the peer's; ends `within` this
    /// time in any case. [`LegEvent::Closed`] comes at the end. Ignored where a close has begun; a
    /// leg whose peer takes nothing more only gets this deadline.
    ///
    /// A code that RFC 6455 forbids on the wire is never sent: 0 and 1005 become a close frame
    /// without a code, others 1011. The reason is cut to 123 bytes, at a character.
    pub fn start_close(&mut self, code: u16, reason: &str, within: Duration) {
        let bound = Instant::now() + within;
        match &mut self.phase {
            Phase::Open => {
                let report = closing::ours(code, reason, Fault::None);
                self.phase = Phase::Flushing {
                    report,
                    until: bound,
                };
            }
            Phase::Deaf { until, closing, .. } if !*closing => {
                *closing = true;
                *until = Some(until.map_or(bound, |until| until.min(bound)));
            }
            _ => {}
        }
    }

    /// Makes progress in both directions and returns the next event, if there is one. Upon `Ready`
    /// call again; only `Pending` has registered the waker. Not to be called after `Closed`.
    ///
    /// Without `read` at most one message is taken from the socket and kept, so that a ping or a
    /// close in front of it is still served; then the peer is slowed down by TCP, and its silence
    /// is not held against it. After `start_close` and the last queued frame, messages that still
    /// come in are thrown away.
    ///
    /// Events of both directions take turns while there are some of both: neither a backlog of
    /// messages to write nor a flood of messages to read holds up the other for long.
    pub fn poll_event(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<LegEvent> {
        self.silence.set_reading(read, Instant::now());
        for _ in 0..STEPS_PER_POLL {
            match self.step(cx, read) {
                Step::Event(event) => return Poll::Ready(event),
                Step::Again => {}
                Step::Idle => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Who is at the other end, once the profile knows; the second time nothing.
    pub(crate) fn take_identity(&mut self) -> Option<Attributes> {
        self.profile.take_identity()
    }

    fn step(&mut self, cx: &mut Context<'_>, read: bool) -> Step {
        let mut stages: [fn(&mut Self, &mut Context<'_>, bool) -> Step; 3] =
            [Self::step_write, Self::step_read, Self::step_clock];
        // Else a steady backlog would keep the peer unread, and some throw away what is not read.
        if std::mem::take(&mut self.read_first) {
            stages.swap(0, 1);
        }
        for stage in stages {
            match stage(self, cx, read) {
                Step::Idle => {}
                progress => return progress,
            }
        }
        Step::Idle
    }

    fn step_write(&mut self, cx: &mut Context<'_>, _read: bool) -> Step {
        match &mut self.phase {
            Phase::Open | Phase::Flushing { .. } => self.write_queued(cx),
            Phase::Awaiting { .. } => {
                // Whether the close frame went out or not, the peer's answer or the clock decides.
                let _ = Pin::new(&mut self.web_socket).poll_flush(cx);
                Step::Idle
            }
            Phase::Answering { .. } => match Pin::new(&mut self.web_socket).poll_flush(cx) {
                Poll::Ready(_) => self.finish(cx),
                Poll::Pending => Step::Idle,
            },
            Phase::Lingering { sent, .. } => {
                *sent = *sent || closing::send_off(&mut self.web_socket, cx);
                Step::Idle
            }
            Phase::Deaf { .. } | Phase::Over => Step::Idle,
        }
    }

    fn write_queued(&mut self, cx: &mut Context<'_>) -> Step {
        match self.out.poll_written(&mut self.web_socket, cx) {
            Poll::Ready(Ok((frames, bytes))) => {
                self.read_first = true;
                self.count(Direction::Out, frames, bytes);
                Step::Event(LegEvent::Written { frames, bytes })
            }
            Poll::Ready(Err(OutError::Socket(error))) => {
                // The peer's last messages may still be readable, its close frame among them.
                tracing::debug!(%error, "leg takes no more; reading what is left");
                self.phase = Phase::Deaf {
                    report: errors::lost("the peer takes no more data"),
                    until: None,
                    closing: false,
                };
                Step::Again
            }
            Poll::Ready(Err(OutError::Frame(what))) => {
                self.break_off(closing::ours(1011, what, Fault::Worker))
            }
            Poll::Pending => match &self.phase {
                Phase::Flushing { report, until } if self.out.is_empty() => {
                    let (report, until) = (report.clone(), *until);
                    self.say_goodbye(&report);
                    self.phase = Phase::Awaiting { report, until };
                    Step::Again
                }
                _ => Step::Idle,
            },
        }
    }

    fn step_read(&mut self, cx: &mut Context<'_>, read: bool) -> Step {
        let throw_away = match &self.phase {
            Phase::Open | Phase::Flushing { .. } | Phase::Deaf { .. } => false,
            Phase::Awaiting { .. } => true,
            Phase::Lingering { .. } => {
                return match closing::poll_discard(self.web_socket.get_mut(), cx) {
                    Poll::Ready(()) => self.finish(cx),
                    Poll::Pending => Step::Idle,
                };
            }
            Phase::Answering { .. } | Phase::Over => return Step::Idle,
        };
        if self.held.is_some() && !throw_away {
            let frame = if read { self.held.take() } else { None };
            return frame.map_or(Step::Idle, |frame| Step::Event(LegEvent::Frame(frame)));
        }
        let Poll::Ready(next) = Pin::new(&mut self.web_socket).poll_next(cx) else {
            return Step::Idle;
        };
        self.silence.heard(Instant::now());
        if let Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) = &next {
            self.count(Direction::In, 1, message.len() as u64);
        }
        match next {
            Some(Ok(Message::Text(_) | Message::Binary(_))) if throw_away => Step::Again,
            Some(Ok(Message::Text(text))) => self.take(Payload::Text(own(text.into())), read),
            Some(Ok(Message::Binary(bytes))) => self.take(Payload::Binary(own(bytes)), read),
            Some(Ok(Message::Close(frame))) => self.hear_close(frame, cx),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Step::Again,
            Some(Err(error)) => self.hear_error(&error, cx),
            None => self.finish(cx),
        }
    }

    /// Counts messages where they pass, whatever becomes of them: those that nobody else sees (the
    /// first of a caller, malformed ones, hold sound, what comes after our close) are messages, too.
    fn count(&self, direction: Direction, frames: u64, bytes: u64) {
        self.metrics.frames(self.kind, direction).inc_by(frames);
        self.metrics.bytes(self.kind, direction).inc_by(bytes);
    }

    fn take(&mut self, payload: Payload, read: bool) -> Step {
        match self.profile.judge(&payload) {
            Verdict::Deliver(class) => {
                let frame = Frame { class, payload };
                if read {
                    return Step::Event(LegEvent::Frame(frame));
                }
                self.held = Some(frame);
                Step::Idle
            }
            Verdict::Ignore => {
                self.metrics.malformed(self.kind).inc();
                Step::Again
            }
            Verdict::Break(code, reason) => {
                self.metrics.malformed(self.kind).inc();
                self.break_off(closing::ours(code, reason, Fault::Peer))
            }
        }
    }

    fn hear_close(
        &mut self,
        frame: Option<tungstenite::protocol::CloseFrame>,
        cx: &mut Context<'_>,
    ) -> Step {
        if let Phase::Awaiting { .. } = self.phase {
            return self.finish(cx);
        }
        let (code, reason) = frame.map_or((1005, String::new()), |f| {
            (f.code.into(), f.reason.as_str().to_owned())
        });
        let fault = self.profile.fault(code);
        let report = Close {
            code,
            reason,
            fault,
            dial_failed: false,
        };
        self.phase = Phase::Answering {
            report,
            until: Instant::now() + PARTING,
        };
        Step::Again
    }

    fn hear_error(&mut self, error: &tungstenite::Error, cx: &mut Context<'_>) -> Step {
        if !matches!(self.phase, Phase::Open | Phase::Flushing { .. }) {
            return self.finish(cx);
        }
        let report = errors::close_of_read_error(error);
        if report.code == 1006 {
            self.phase = Phase::Deaf {
                report,
                until: None,
                closing: true,
            };
            return self.finish(cx);
        }
        self.break_off(report)
    }

    fn step_clock(&mut self, cx: &mut Context<'_>, read: bool) -> Step {
        let now = Instant::now();
        self.time_deaf(read, now);
        let deadline = match self.phase.until() {
            Some(until) if until <= now => return self.run_out(cx),
            Some(until) => Some(until),
            None => match self.silence.check(now) {
                Quiet::Fine(next) => next,
                Quiet::Ping => {
                    self.out.ping(&mut self.web_socket);
                    return Step::Again;
                }
                Quiet::Gone(reason) => {
                    let report = errors::lost(&reason);
                    self.say_goodbye(&closing::ours(1001, &reason, Fault::Network));
                    self.phase = Phase::Awaiting {
                        report,
                        until: now + PARTING,
                    };
                    return Step::Again;
                }
            },
        };
        match self.alarm.poll(cx, deadline) {
            Poll::Ready(()) => Step::Again,
            Poll::Pending => Step::Idle,
        }
    }

    /// A peer that takes nothing more has only so long to be read to its end. That time does not
    /// run while a frame waits because reading is not wanted: what came in must not be lost to a
    /// pause of our own. It starts afresh with the reading.
    fn time_deaf(&mut self, read: bool, now: Instant) {
        let Phase::Deaf {
            until,
            closing: false,
            ..
        } = &mut self.phase
        else {
            return;
        };
        if read || self.held.is_none() {
            until.get_or_insert(now + PARTING);
        } else {
            *until = None;
        }
    }

    /// The time of the present phase is over.
    fn run_out(&mut self, cx: &mut Context<'_>) -> Step {
        if let Phase::Flushing { report, .. } = &mut self.phase {
            *report = errors::lost("the peer took too long to take what was queued");
            report.fault = Fault::Peer;
        }
        self.finish(cx)
    }

    /// Closes at once: what is queued is not written any more. A peer that is still sending (a
    /// message of 20 MB, say) would lose our close frame to a TCP reset if the socket were simply
    /// dropped, so what it sends is read and thrown away for a moment.
    fn break_off(&mut self, report: Close) -> Step {
        self.say_goodbye(&report);
        self.phase = Phase::Lingering {
            report,
            until: Instant::now() + PARTING,
            sent: false,
        };
        Step::Again
    }

    /// Puts a close frame behind what the WebSocket library has already been given. If it cannot
    /// take even that, the deadline of the phase that follows ends the leg.
    fn say_goodbye(&mut self, close: &Close) {
        let frame = Message::Close(close_frame(close));
        let _ = Pin::new(&mut self.web_socket).start_send(frame);
    }

    /// The one way to the last event.
    fn finish(&mut self, cx: &mut Context<'_>) -> Step {
        // A FIN, and for TLS a close_notify, if the socket takes them at once.
        let _ = Pin::new(self.web_socket.get_mut()).poll_shutdown(cx);
        self.slot = None;
        let phase = std::mem::replace(&mut self.phase, Phase::Over);
        Step::Event(LegEvent::Closed(phase.into_report()))
    }
}

impl fmt::Debug for LegSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegSocket")
            .field("kind", &self.kind)
            .field("phase", &self.phase)
            .field("out", &self.out)
            .finish_non_exhaustive()
    }
}

/// The WebSocket library's buffers and limits for a leg that takes messages up to `max_frame`.
pub(crate) fn web_socket_config(max_frame: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(outbox::WRITE_BUFFER)
        .max_write_buffer_size(outbox::max_write_buffer(max_frame))
        .max_message_size(Some(max_frame))
        .max_frame_size(Some(max_frame))
}

/// `bytes` on their own, where keeping the whole read buffer for them would cost more than a copy.
fn own(bytes: Bytes) -> Bytes {
    if bytes.len() < COPY_BELOW {
        Bytes::copy_from_slice(&bytes)
    } else {
        bytes
    }
}
