//! A caller behind Twilio Media Streams.
//!
//! Faithful where it hurts: 20 ms frames on absolute deadlines, strings where Twilio sends
//! strings, a playback queue in real time, mark echoes after playing or clearing, the
//! overflow on both sides, reconnects with a new streamSid. What Twilio would put into its
//! debugger as a warning is a [`record::Violation`] here.

mod caller;
pub mod hold;
mod line;
mod messages;
mod mouth;
pub mod options;
pub mod playback;
pub mod record;
pub mod script;
pub mod signature;

pub use caller::{CallHandle, CallOver, CallerError, Progress, TwilioCaller};
pub use hold::HoldHeard;
pub use options::{CallerOptions, Redirect};
pub use record::{CallRecord, Fate, HeardFrame, StreamEnd, StreamRecord, Violation};
pub use script::{Action, Script};
pub use signature::{Secret, Signing};
