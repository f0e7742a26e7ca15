//! What only the edge as a whole can say: does it take another call, and how does a call go on
//! whose carrier asks?

use std::{any::Any, fmt, time::Duration};

/// Speaks for the edge as a whole. No answer may block.
pub trait Gate: Send + Sync {
    /// A permit for one stream, or why there is none. Asked once for every upgrade that is otherwise
    /// in order, so that a permit is never spent on a request that would be refused anyway.
    /// `token`: the last segment of the path, on routes that have one.
    ///
    /// # Errors
    /// The refusal that the caller's carrier is told: 503 with `Retry-After`, or 403.
    fn admit(&self, token: Option<&Token>) -> Result<Permit, Refusal>;

    /// How a call goes on whose carrier asks by webhook. The signature is checked by then.
    fn direct(&self, call_sid: &str) -> Direction;
}

/// A proof in a stream's URL that the stream belongs to a certain call. Whoever has it may need
/// nothing else, so it does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token of this text, which must be fit for a path segment.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Take care that it goes nowhere but into a URL.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How a call goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Direction {
    /// By a stream whose URL has this token.
    Connect(Token),
    /// Not at all: it is over.
    HangUp,
    /// Elsewhere: this edge cannot go on with it.
    Fallback,
}

impl Direction {
    /// The word used in logs and metric labels.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::HangUp => "hang_up",
            Self::Fallback => "fallback",
        }
    }
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
    /// Sent as `Retry-After`, in whole seconds, rounded up; not where a retry cannot help.
    pub retry_after: Duration,
}

/// Why no call is taken now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusalReason {
    /// The edge is going away.
    Draining,
    /// The edge has as many calls as it may have.
    Full,
    /// The token is not one that the edge gave out, is too old or was used before.
    Token,
}
