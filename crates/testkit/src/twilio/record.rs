//! What a call was like, seen from the caller.

use std::time::{Duration, Instant};

use super::hold::HoldPiece;
use crate::identity::FrameId;
use crate::ledger::Ledger;
use crate::mulaw;

/// A message of the server that Twilio would warn of (31951) and ignore.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Not JSON, an unknown event, a missing or an extra field.
    #[error("the message does not conform: {0}")]
    NotConform(String),
    /// It names another stream.
    #[error("the message names the stream {0:?}, which is not this one")]
    WrongStreamSid(String),
    /// The payload of media is not base64.
    #[error("the payload of a media message is not base64")]
    BadBase64,
    /// Media Streams are text only.
    #[error("a binary message of {0} bytes came, Media Streams are text")]
    Binary(usize),
}

/// One frame that the caller sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentFrame {
    /// When it was handed to the socket.
    pub at: Instant,
    /// False when it was discarded because the server did not read (31930).
    pub sent: bool,
}

/// What became of a frame that the caller received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was heard.
    Played,
    /// `clear` dropped it before its time.
    Cleared,
    /// The queue was full (31931).
    Overflowed,
    /// The stream ended before its time.
    CutOff,
}

/// One stamped frame that the caller received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeardFrame {
    /// Who it is.
    pub id: FrameId,
    /// When its message was read.
    pub received: Instant,
    /// When it was played, or would have been.
    pub plays_at: Instant,
    /// What became of it.
    pub fate: Fate,
}

/// One mark that the server set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkRecord {
    /// Its name.
    pub name: String,
    /// When it came.
    pub received: Instant,
    /// When it was echoed, if it was.
    pub echoed: Option<Instant>,
    /// The echo came from `clear`, not from playing.
    pub cleared: bool,
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEnd {
    /// We ended it: hang-up, replacement, close without stop.
    Ours,
    /// We reset it.
    Reset,
    /// The server closed it, with this code (1005 where it gave none) and reason.
    Closed {
        /// The WebSocket close code.
        code: u16,
        /// Its text.
        reason: String,
    },
    /// The connection broke.
    Broken(String),
}

/// A piece of what was heard, for listening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeardAudio {
    /// When its first byte was played.
    pub at: Instant,
    /// Mu-law.
    pub audio: Vec<u8>,
}

/// One WebSocket of a call.
#[derive(Debug, Clone)]
pub struct StreamRecord {
    /// Its streamSid.
    pub stream_sid: String,
    /// Its number in the call, from 0: the part in its frames' identity.
    pub part: u32,
    /// When the upgrade was accepted.
    pub opened: Instant,
    /// The frames sent, by counter.
    pub sent: Vec<SentFrame>,
    /// The frames received, in order of arrival, duplicates too.
    pub heard: Vec<HeardFrame>,
    /// The pieces of hold sound received, where the caller knows the sound.
    pub hold: Vec<HoldPiece>,
    /// Which model streams came, and how.
    pub ledger: Ledger,
    /// Received audio that carries no identity: damage, or a hold sound that the caller does not
    /// know.
    pub unreadable_bytes: u64,
    /// Silence that carries no identity: fillings.
    pub silence_bytes: u64,
    /// All marks, in order of arrival.
    pub marks: Vec<MarkRecord>,
    /// When `clear` came.
    pub clears: Vec<Instant>,
    /// Audio discarded because more than ten minutes were queued (31931).
    pub overflow_bytes: u64,
    /// Marks refused because too many were pending.
    pub refused_marks: u64,
    /// Messages that are not as Twilio wants them (31951), all of them.
    pub violation_count: u64,
    /// The first hundred of them.
    pub violations: Vec<Violation>,
    /// How it ended.
    pub end: StreamEnd,
    /// When it ended.
    pub ended: Instant,
    /// What the caller said, if it was to be kept: 160 bytes per counter.
    pub said_audio: Vec<u8>,
    /// What the caller heard, if it was to be kept.
    pub heard_audio: Vec<HeardAudio>,
}

/// How many violations are kept in full.
pub(crate) const KEPT_VIOLATIONS: usize = 100;

impl StreamRecord {
    pub(crate) fn new(stream_sid: String, part: u32, now: Instant) -> Self {
        Self {
            stream_sid,
            part,
            opened: now,
            sent: Vec::new(),
            heard: Vec::new(),
            hold: Vec::new(),
            ledger: Ledger::default(),
            unreadable_bytes: 0,
            silence_bytes: 0,
            marks: Vec::new(),
            clears: Vec::new(),
            overflow_bytes: 0,
            refused_marks: 0,
            violation_count: 0,
            violations: Vec::new(),
            end: StreamEnd::Ours,
            ended: now,
            said_audio: Vec::new(),
            heard_audio: Vec::new(),
        }
    }

    /// Frames discarded because the server did not read (31930).
    #[must_use]
    pub fn unsent_frames(&self) -> u64 {
        self.sent.iter().filter(|frame| !frame.sent).count() as u64
    }

    /// Everything whose time is after `now` will not be heard.
    pub(crate) fn silence_from(&mut self, now: Instant, fate: Fate) {
        for frame in self.heard.iter_mut().rev() {
            if frame.plays_at < now {
                break;
            }
            if frame.fate == Fate::Played {
                frame.fate = fate;
            }
        }
        while let Some(piece) = self.heard_audio.last_mut() {
            let played = mulaw::bytes(now.saturating_duration_since(piece.at));
            if played >= piece.audio.len() {
                break;
            }
            piece.audio.truncate(played);
            if played > 0 {
                break;
            }
            self.heard_audio.pop();
        }
    }
}

/// A whole call.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// The number in the frames' identity.
    pub call: u32,
    /// Its callSid, the same on all streams.
    pub call_sid: String,
    /// Its streams, in the order of opening.
    pub streams: Vec<StreamRecord>,
    /// Reconnects that were refused or failed, as text.
    pub failed_connects: Vec<String>,
    /// When the first stream was accepted.
    pub started: Instant,
    /// When all was over.
    pub ended: Instant,
}

impl CallRecord {
    /// What the caller said and heard on one time line, as two mu-law tracks. Empty unless
    /// the audio was kept.
    #[must_use]
    pub fn tracks(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut said, mut heard) = (Vec::new(), Vec::new());
        for stream in &self.streams {
            for (frame, audio) in stream.sent.iter().zip(stream.said_audio.chunks(160)) {
                self.lay(&mut said, frame.at, audio);
            }
            for piece in &stream.heard_audio {
                self.lay(&mut heard, piece.at, &piece.audio);
            }
        }
        (said, heard)
    }

    /// Puts audio at its time, never over what is there: a late frame moves on.
    fn lay(&self, track: &mut Vec<u8>, at: Instant, audio: &[u8]) {
        let wanted = mulaw::bytes(
            at.saturating_duration_since(self.started)
                .min(Duration::from_secs(86_400)),
        );
        // Sending wobbles by some milliseconds: closer than a frame is joined, not padded.
        if wanted > track.len() + 160 {
            track.resize(wanted, mulaw::SILENCE);
        }
        track.extend_from_slice(audio);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{StreamId, Voice};

    #[test]
    fn clear_decides_the_fate_of_what_was_not_yet_played() {
        let t = Instant::now();
        let mut record = StreamRecord::new("MZ".into(), 0, t);
        let stream = StreamId {
            voice: Voice::Model,
            call: 0,
            part: 0,
        };
        for n in 0..10u32 {
            let plays_at = t + Duration::from_millis(20) * n;
            let id = FrameId {
                stream,
                counter: n,
                label: 0,
            };
            record.heard.push(HeardFrame {
                id,
                received: t,
                plays_at,
                fate: Fate::Played,
            });
        }
        record.heard_audio.push(HeardAudio {
            at: t,
            audio: vec![0; 1_600],
        });
        record.silence_from(t + Duration::from_millis(90), Fate::Cleared);
        let played = record
            .heard
            .iter()
            .filter(|frame| frame.fate == Fate::Played)
            .count();
        assert_eq!(played, 5);
        assert_eq!(record.heard_audio[0].audio.len(), 720);
        // Ending the call later does not change what was cleared.
        record.silence_from(t, Fate::CutOff);
        assert_eq!(record.heard[9].fate, Fate::Cleared);
        assert_eq!(record.heard[0].fate, Fate::CutOff);
    }
}
