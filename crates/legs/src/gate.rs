//! The last question before an upgrade is granted: does the edge take another call?

use std::{any::Any, fmt, time::Duration};

/// Answers whether another call may come in. Asked once for every upgrade that is otherwise in
/// order, so that a permit is never spent on a request that would be refused anyway.
pub trait Gate: Send + Sync {
    /// A permit for one call, or why there is none. Must not block.
    ///
    /// # Errors
    /// The refusal that the caller's carrier is told as 503 with `Retry-After`.
    fn admit(&self) -> Result<Permit, Refusal>;
}

/// Proof that a call was admitted. What was put into it is dropped with it: put in whatever counts
/// the call.
pub struct Permit(#[allow(dead_code, reason = "held for its Drop")] Box<dyn Any + Send>);

impl Permit {
    /// A permit that gives `held` back when it is dropped.
    #[must_use]
    pub fn new(held: impl Send + 'static) -> Self {
        Self(Box::new(held))
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

/// Why no call is taken now, and when to come again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
    /// Sent as `Retry-After`, in whole seconds, rounded up.
    pub retry_after: Duration,
}

/// Why no call is taken now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusalReason {
    /// The edge is going away.
    Draining,
    /// The edge has as many calls as it may have.
    Full,
}
