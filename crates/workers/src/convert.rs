//! Between the session engine's words and the wire's.
//!
//! The engine must never see a message that cannot be understood, and the wire's optional fields
//! and open enums end here. What is *understood but wrong* (a commit from the future, a state over
//! its limit) is the engine's to judge.

mod from_wire;
mod to_wire;

pub(crate) use from_wire::from_worker;
pub(crate) use to_wire::{Batches, offer};

/// A message of a worker that cannot be understood: in words for the worker's author.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) String);
