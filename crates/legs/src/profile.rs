//! Profiles: what the edge knows of a leg's dialect, and no more than it must.
//!
//! A profile tells which messages are caller media (they may become part of a gap), who calls, and
//! whose fault a close was. Everything else passes as opaque bytes, so that a vendor's new event
//! needs no new edge.

mod twilio;

use holdline_session::{Attributes, Class, Fault, Payload};

use self::twilio::Twilio;
use crate::errors;

/// What the edge knows of one leg's dialect.
#[derive(Debug)]
pub(crate) enum Profile {
    /// Nothing.
    Raw,
    /// OpenAI Realtime. All its messages are control: model media is never dropped, because a
    /// paused model leg is simply not read.
    OpenaiRealtime,
    /// Twilio Media Streams.
    Twilio(Twilio),
}

/// What is to become of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It goes up.
    Deliver(Class),
    /// It makes no sense here: counted and left out.
    Ignore,
    /// It makes no sense at all: the leg is closed with this code and reason.
    Break(u16, &'static str),
}

impl Profile {
    pub(crate) fn twilio() -> Self {
        Self::Twilio(Twilio::default())
    }

    /// Judges an incoming message.
    pub(crate) fn judge(&mut self, payload: &Payload) -> Verdict {
        match self {
            Self::Raw | Self::OpenaiRealtime => Verdict::Deliver(Class::Control),
            Self::Twilio(twilio) => twilio.judge(payload),
        }
    }

    /// Who calls, once that is known; the second time nothing.
    pub(crate) fn take_identity(&mut self) -> Option<Attributes> {
        match self {
            Self::Raw | Self::OpenaiRealtime => Some(Attributes::new()),
            Self::Twilio(twilio) => twilio.take_identity(),
        }
    }

    /// A message that lets the peer hear this audio, mu-law at 8 kHz; `None` where the dialect has
    /// none, or its encoding is another.
    pub(crate) fn sound(&self, mulaw: &[u8]) -> Option<Payload> {
        match self {
            Self::Raw | Self::OpenaiRealtime => None,
            Self::Twilio(twilio) => twilio.sound(mulaw),
        }
    }

    /// Whose fault it was that the peer closed with `code`.
    pub(crate) fn fault(&self, code: u16) -> Fault {
        match self {
            Self::Raw => errors::fault_of_peer_close(code),
            Self::Twilio(_) => errors::fault_of_twilio_close(code),
            Self::OpenaiRealtime => errors::fault_of_openai_close(code),
        }
    }
}
