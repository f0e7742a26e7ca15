//! One media stream of a call: its socket, what is said on it, what is heard on it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::hold::{HoldEar, HoldPiece};
use super::messages::{FromServer, Names, Writer, parse};
use super::mouth::Mouth;
use super::options::CallerOptions;
use super::playback::{Echo, Placed, Playback, QUEUE_LIMIT};
use super::record::{
    Fate, HeardAudio, HeardFrame, KEPT_VIOLATIONS, MarkRecord, SentFrame, StreamEnd, StreamRecord,
    Violation,
};
use crate::identity::{FRAME_BYTES, FRAME_TIME, Scanner};
use crate::mulaw;
use crate::net::Socket;
use crate::prng::Prng;
use crate::traffic::Traffic;

/// How long the peer may take to answer a close.
const LINGER: Duration = Duration::from_secs(2);

pub(crate) struct Line {
    options: Arc<CallerOptions>,
    socket: Socket,
    writer: Writer,
    mouth: Mouth,
    playback: Playback,
    scanner: Scanner,
    hold: HoldEar,
    record: StreamRecord,
    jitter: Prng,
    /// The deadline of the next frame without jitter, and with it.
    base: Instant,
    next_frame: Option<Instant>,
    gap_until: Option<Instant>,
    /// Nothing is played any more.
    deaf: bool,
    linger_until: Option<Instant>,
    echoed: u64,
}

impl Line {
    /// Says `connected` and `start`; the first frame is due 20 ms later.
    pub(crate) fn open(
        options: Arc<CallerOptions>,
        socket: Socket,
        mouth: Mouth,
        part: u32,
        now: Instant,
    ) -> Self {
        let stream_sid = format!("MZ{}", crate::prng::random_hex());
        let names = Names {
            account_sid: options.account_sid.clone(),
            call_sid: options.call_sid.clone(),
            stream_sid: stream_sid.clone(),
        };
        let mut line = Self {
            socket,
            writer: Writer::new(names),
            mouth,
            playback: Playback::new(options.start_delay, QUEUE_LIMIT),
            scanner: Scanner::default(),
            hold: HoldEar::new(options.hold_sound.clone()),
            record: StreamRecord::new(stream_sid, part, now),
            jitter: Prng::new((u64::from(options.call) << 32) | u64::from(part)),
            base: now + FRAME_TIME,
            next_frame: Some(now + FRAME_TIME),
            gap_until: None,
            deaf: false,
            linger_until: None,
            echoed: 0,
            options,
        };
        line.control(Writer::connected().to_owned());
        let start = line.writer.start(&line.options.parameters);
        line.control(start);
        line
    }

    pub(crate) fn mouth(&mut self) -> &mut Mouth {
        &mut self.mouth
    }

    pub(crate) fn record(&self) -> &StreamRecord {
        &self.record
    }

    pub(crate) fn marks_echoed(&self) -> u64 {
        self.echoed
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.socket.traffic()
    }

    pub(crate) fn is_speaking(&self) -> bool {
        self.next_frame.is_some() && self.mouth.is_speaking()
    }

    pub(crate) fn is_playing(&self, now: Instant) -> bool {
        !self.playback.queued(now).is_zero()
    }

    /// Takes the voice away, for the stream that follows this one.
    pub(crate) fn take_mouth(&mut self) -> Mouth {
        let empty = Mouth::new(crate::identity::StreamId {
            voice: crate::identity::Voice::Caller,
            call: self.options.call,
            part: self.record.part,
        });
        std::mem::replace(&mut self.mouth, empty)
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, WsError>>> {
        self.socket.poll_step(cx)
    }

    /// Everything whose time has come: frames, mark echoes.
    pub(crate) fn due(&mut self, now: Instant) {
        while let Some(at) = self.next_frame.filter(|at| *at <= now) {
            if self.gap_until.is_some_and(|until| at < until) {
                self.writer.skip();
            } else {
                self.send_frame(now);
            }
            // Absolute deadlines: a late frame does not make the next ones late.
            self.base += FRAME_TIME;
            self.next_frame = Some(self.base + self.options.jitter.mul_f64(self.jitter.unit()));
        }
        while let Some(echo) = self.playback.due(now) {
            self.echo(&echo, now, false);
        }
    }

    /// When [`Line::due`] has something to do, or the linger time is over.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        [self.next_frame, self.playback.next_due(), self.linger_until]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn stop_media(&mut self) {
        self.next_frame = None;
    }

    pub(crate) fn gap(&mut self, now: Instant, length: Duration) {
        self.gap_until = Some(now + length);
    }

    pub(crate) fn dtmf(&mut self, digit: char) {
        let text = self.writer.dtmf(digit);
        self.control(text);
    }

    pub(crate) fn raw(&mut self, message: Message) {
        // A raw message that finds no room is like one lost in the network.
        let _ = self.socket.queue_control(message);
    }

    /// Our own end: `stop` if wanted, then the close; waits a little for the peer's answer.
    pub(crate) fn close(&mut self, now: Instant, with_stop: bool) {
        self.stop_media();
        self.silence(now);
        if with_stop {
            let text = self.writer.stop();
            self.control(text);
        }
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        let _ = self.socket.queue_control(Message::Close(Some(frame)));
        self.linger_until = Some(now + LINGER);
    }

    /// The stream is no longer the call's; it stays open and is only read.
    pub(crate) fn retire(&mut self, now: Instant) {
        self.stop_media();
        self.silence(now);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.linger_until.is_some()
    }

    pub(crate) fn lingered(&self, now: Instant) -> bool {
        self.linger_until.is_some_and(|until| until <= now)
    }

    /// The server's message. `true` when the stream has ended with it.
    pub(crate) fn on_message(
        &mut self,
        message: Option<Result<Message, WsError>>,
        now: Instant,
    ) -> bool {
        match message {
            Some(Ok(Message::Text(text))) => self.on_text(&text, now),
            Some(Ok(Message::Binary(bytes))) => self.violation(Violation::Binary(bytes.len())),
            Some(Ok(Message::Close(frame))) => {
                if !self.is_closing() {
                    let (code, reason) = frame.map_or((1005, String::new()), |frame| {
                        (frame.code.into(), frame.reason.to_string())
                    });
                    self.record.end = StreamEnd::Closed { code, reason };
                    self.stop_media();
                    self.silence(now);
                    // Time for our answer to leave.
                    self.linger_until = Some(now + LINGER);
                }
                return true;
            }
            // Pings are answered by the library.
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                self.broken(error.to_string());
                return true;
            }
            None => {
                self.broken("the connection ended without a close frame".to_owned());
                return true;
            }
        }
        false
    }

    /// Resets the connection and gives up the record.
    pub(crate) fn reset(mut self, now: Instant) -> StreamRecord {
        self.record.end = StreamEnd::Reset;
        let record = self.record_at_end(now);
        self.socket.reset();
        record
    }

    /// Drops the connection and gives up the record.
    pub(crate) fn finish(mut self, now: Instant) -> StreamRecord {
        self.record_at_end(now)
    }

    fn record_at_end(&mut self, now: Instant) -> StreamRecord {
        self.silence(now);
        self.record.ended = now;
        self.record.silence_bytes = self.scanner.silence_bytes();
        self.record.unreadable_bytes =
            self.scanner.unreadable_bytes() + self.scanner.incomplete_bytes() as u64;
        self.record.overflow_bytes = self.playback.overflow_bytes();
        self.record.refused_marks = self.playback.refused_marks();
        let empty = StreamRecord::new(String::new(), self.record.part, now);
        std::mem::replace(&mut self.record, empty)
    }

    fn broken(&mut self, why: String) {
        if !self.is_closing() {
            self.record.end = StreamEnd::Broken(why);
        }
    }

    fn silence(&mut self, now: Instant) {
        if !self.deaf {
            self.record.silence_from(now, Fate::CutOff);
            self.deaf = true;
        }
    }

    fn send_frame(&mut self, now: Instant) {
        let frame = self.mouth.frame();
        let text = self.writer.media(&frame);
        let sent = self.socket.queue(Message::text(text)).is_ok();
        self.record.sent.push(SentFrame { at: now, sent });
        if self.options.keep_audio {
            self.record.said_audio.extend_from_slice(&frame);
        }
    }

    fn on_text(&mut self, text: &str, now: Instant) {
        match parse(text, self.writer.stream_sid()) {
            Ok(FromServer::Media(audio)) => self.on_media(&audio, now),
            Ok(FromServer::Mark(name)) => {
                if self.playback.mark(now, name.clone()).is_some() {
                    self.record.marks.push(MarkRecord {
                        name,
                        received: now,
                        echoed: None,
                        cleared: false,
                    });
                }
                while let Some(echo) = self.playback.due(now) {
                    self.echo(&echo, now, false);
                }
            }
            Ok(FromServer::Clear) => {
                self.record.clears.push(now);
                if !self.deaf {
                    self.record.silence_from(now, Fate::Cleared);
                }
                for echo in self.playback.clear(now) {
                    self.echo(&echo, now, true);
                }
            }
            Err(violation) => self.violation(violation),
        }
    }

    fn on_media(&mut self, audio: &[u8], now: Instant) {
        // A frame may begin in an earlier message; its place in time is counted back from
        // where this one starts.
        let before = self.scanner.incomplete_bytes();
        let consumed = self.scanner.consumed_bytes();
        let placed = self.playback.media(now, audio.len());
        if let Some(number) = self.hold.hear(audio) {
            self.record.hold.push(HoldPiece {
                number,
                received: now,
                plays_at: placed.starts,
            });
            return self.keep(audio, placed);
        }
        let origin = placed
            .starts
            .checked_sub(mulaw::duration(before))
            .unwrap_or(placed.starts);
        for found in self.scanner.push(audio) {
            let into = usize::try_from(found.offset.saturating_sub(consumed)).unwrap_or(usize::MAX);
            let fate = if self.deaf {
                Fate::CutOff
            } else if (into + FRAME_BYTES).saturating_sub(before) > placed.accepted {
                Fate::Overflowed
            } else {
                Fate::Played
            };
            let plays_at = origin + mulaw::duration(into);
            self.record.ledger.record(found.id);
            self.record.heard.push(HeardFrame {
                id: found.id,
                received: now,
                plays_at,
                fate,
            });
        }
        self.keep(audio, placed);
    }

    /// Keeps what is heard, where it is to be listened to.
    fn keep(&mut self, audio: &[u8], placed: Placed) {
        if self.options.keep_audio && !self.deaf {
            let audio = audio[..placed.accepted].to_vec();
            self.record.heard_audio.push(HeardAudio {
                at: placed.starts,
                audio,
            });
        }
    }

    fn echo(&mut self, echo: &Echo, now: Instant, cleared: bool) {
        let text = self.writer.mark(&echo.name);
        if self.socket.queue_control(Message::text(text)).is_err() {
            return;
        }
        self.echoed += 1;
        if let Some(mark) = self.record.marks.get_mut(echo.number) {
            mark.echoed = Some(now);
            mark.cleared = cleared;
        }
    }

    fn violation(&mut self, violation: Violation) {
        tracing::debug!(%violation, stream = self.writer.stream_sid(), "a message Twilio would warn of (31951)");
        self.record.violation_count += 1;
        if self.record.violations.len() < KEPT_VIOLATIONS {
            self.record.violations.push(violation);
        }
    }

    fn control(&mut self, text: String) {
        let _ = self.socket.queue_control(Message::text(text));
    }
}
