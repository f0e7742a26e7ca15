//! Twilio Media Streams, as seen from the server.
//!
//! Before `start` nobody knows who calls, so nothing but `connected` and `start` goes up. After it
//! every JSON message does. A `start` that comes again is safest so: repeated with the same ids, or
//! with none that can be read, it is left out; with others it ends the leg, because the session's
//! identity, and what is proved by it, hang on the first one. Twilio has never been seen to do
//! either.

mod scan;
mod start;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use holdline_session::{Attributes, Class, Payload};

use self::{
    scan::{Event, event, payload_bytes},
    start::Start,
};
use super::Verdict;

/// Bytes of mu-law audio per millisecond, the only encoding that Media Streams has.
const MULAW_RATE: u32 = 8;

/// How far a Twilio leg has come.
#[derive(Debug)]
pub(crate) enum Twilio {
    /// Who calls is not known yet.
    Waiting {
        /// `connected` has come. Twilio sends it once, first.
        connected: bool,
    },
    /// `start` has come.
    Started {
        stream_sid: String,
        call_sid: String,
        /// Bytes of audio per millisecond; `None` for an encoding that the edge does not know.
        rate: Option<u32>,
        /// Until they are asked for.
        attributes: Option<Attributes>,
    },
}

impl Default for Twilio {
    fn default() -> Self {
        Self::Waiting { connected: false }
    }
}

impl Twilio {
    pub(super) fn judge(&mut self, payload: &Payload) -> Verdict {
        let Payload::Text(text) = payload else {
            return Verdict::Break(1003, "Media Streams messages are text");
        };
        match self {
            Self::Waiting { connected } => match event(text) {
                Event::Connected if !*connected => {
                    *connected = true;
                    Verdict::Deliver(Class::Control)
                }
                Event::Start => self.begin(text),
                _ => Verdict::Ignore,
            },
            Self::Started { rate, .. } => match event(text) {
                Event::Media => Verdict::Deliver(Class::Media {
                    ms: media_ms(text, *rate),
                }),
                Event::Stop => Verdict::Deliver(Class::Stop),
                Event::Start => self.begin_again(text),
                Event::Connected | Event::Other => Verdict::Deliver(Class::Control),
                Event::Malformed => Verdict::Ignore,
            },
        }
    }

    pub(super) fn take_identity(&mut self) -> Option<Attributes> {
        match self {
            Self::Waiting { .. } => None,
            Self::Started { attributes, .. } => attributes.take(),
        }
    }

    pub(super) fn sound(&self, mulaw: &[u8]) -> Option<Payload> {
        let Self::Started {
            stream_sid,
            rate: Some(MULAW_RATE),
            ..
        } = self
        else {
            return None;
        };
        let message = serde_json::json!({
            "event": "media",
            "streamSid": stream_sid,
            "media": { "payload": BASE64_STANDARD.encode(mulaw) },
        });
        Some(Payload::Text(Bytes::from(message.to_string())))
    }

    fn begin(&mut self, text: &[u8]) -> Verdict {
        let Some(start) = Start::parse(text) else {
            return Verdict::Ignore;
        };
        let Start {
            stream_sid,
            call_sid,
            rate,
            attributes,
        } = start;
        *self = Self::Started {
            stream_sid,
            call_sid,
            rate,
            attributes: Some(attributes),
        };
        Verdict::Deliver(Class::Control)
    }

    fn begin_again(&self, text: &[u8]) -> Verdict {
        let Self::Started {
            stream_sid,
            call_sid,
            ..
        } = self
        else {
            return Verdict::Ignore;
        };
        match Start::parse(text) {
            Some(again) if again.stream_sid != *stream_sid || again.call_sid != *call_sid => {
                Verdict::Break(1002, "second start")
            }
            // The same again, or one that names nobody: no reason to lose a call.
            _ => Verdict::Ignore,
        }
    }
}

/// Playing time of a media message in milliseconds; 0 where it cannot be told.
fn media_ms(text: &[u8], rate: Option<u32>) -> u32 {
    let bytes = payload_bytes(text).unwrap_or(0);
    rate.map_or(0, |rate| {
        u32::try_from(bytes).unwrap_or(u32::MAX) / rate.max(1)
    })
}

#[cfg(test)]
#[path = "twilio/tests.rs"]
mod tests;
