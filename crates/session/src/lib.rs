//! The session engine: what one call owes its caller, its model and its workers.
//!
//! No IO, no clock, no randomness, no threads: [`Event`]s go in with the time at which they
//! happened, [`Output`]s come out, and the same events always give the same outputs.

mod commit;
mod event;
mod frame;
mod ids;
mod input;
mod legs;
mod limits;
mod link;
mod log;
mod output;
mod refusal;
mod session;
mod state;
mod time;
mod timers;

pub use commit::{Command, Commit, FromWorker};
pub use event::{Event, Loss, MoveReason, WorkerId};
pub use frame::{Attributes, Class, Close, Fault, Frame, Payload};
pub use ids::{Epoch, Incarnation, LegName, LegRef, Seq, SessionId};
pub use input::{
    DropReason, Dropped, EndReason, External, Gap, GapSize, Input, InputKind, Inputs, Notice, Taken,
};
pub use limits::Limits;
pub use output::{
    Attach, AttachReason, HangupCause, LegState, LegView, Output, Report, Seek, Suspicion, ToWorker,
};
pub use session::{
    Account, AttachmentView, LegCounts, Session, Setup, Snapshot, SnapshotError, View,
};
pub use time::Time;
