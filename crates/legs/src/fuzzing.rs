//! A door for the project's fuzz targets, which try a leg's profile without a socket around it. Not
//! part of what this crate promises: it may change in any release.

use holdline_session::{Attributes, Class, Fault, Payload};

use crate::profile::{Profile, Verdict};

/// A profile that has seen nothing yet.
#[derive(Debug)]
pub struct Judge(Profile);

/// What becomes of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// It goes up, as this.
    Deliver(Class),
    /// It is left out.
    Ignore,
    /// The leg is closed with this code.
    Break(u16),
}

impl Judge {
    /// Of a caller on a `twilio` route.
    #[must_use]
    pub fn twilio() -> Self {
        Self(Profile::twilio())
    }

    /// Of a model's leg.
    #[must_use]
    pub fn openai() -> Self {
        Self(Profile::OpenaiRealtime)
    }

    /// Judges an incoming message.
    pub fn judge(&mut self, payload: &Payload) -> Judgement {
        match self.0.judge(payload) {
            Verdict::Deliver(class) => Judgement::Deliver(class),
            Verdict::Ignore => Judgement::Ignore,
            Verdict::Break(code, _) => Judgement::Break(code),
        }
    }

    /// Who calls, once that is known; the second time nothing.
    pub fn take_identity(&mut self) -> Option<Attributes> {
        self.0.take_identity()
    }

    /// Whose fault it was that the peer closed with `code`.
    #[must_use]
    pub fn fault(&self, code: u16) -> Fault {
        self.0.fault(code)
    }
}
