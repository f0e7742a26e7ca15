//! What the edge as a whole answers to carriers: who comes in, and how a call goes on.

use holdline_legs::{Direction, Gate, Permit, Refusal, RefusalReason, Token};
use holdline_session::EndReason;
use tracing::error;

use crate::{callbook::Memory, edge::Edge};

impl Gate for Edge {
    fn admit(&self, token: Option<&Token>) -> Result<Permit, Refusal> {
        let Some(token) = token else {
            return self.admission.admit();
        };
        match self.book.holder(self.clock.now(), token) {
            None => Err(self.admission.refuse(RefusalReason::Token)),
            // It is on the line already: it comes back even where no new calls are taken.
            Some(call_sid) if self.table.is_live(&call_sid) => Ok(self.admission.admit_back()),
            Some(_) => self.admission.admit(),
        }
    }

    fn direct(&self, call_sid: &str) -> Direction {
        let now = self.clock.now();
        let Memory { streams, end } = self.book.memory(now, call_sid);
        if let Some(reason) = end {
            return after(reason);
        }
        let room = || self.admission.is_open() || self.table.is_live(call_sid);
        // The first stream is no return.
        if streams > self.returns || !room() {
            return Direction::Fallback;
        }
        match self.book.issue(now, call_sid) {
            Ok(token) => Direction::Connect(token),
            Err(error) => {
                error!(call_sid, %error, "a call cannot go on: the system has no randomness for its token");
                Direction::Fallback
            }
        }
    }
}

impl Edge {
    /// Whether this token brings a stream to a call that has a session.
    pub(crate) fn comes_back(&self, token: &Token) -> bool {
        let holder = self.book.holder(self.clock.now(), token);
        holder.is_some_and(|call_sid| self.table.is_live(&call_sid))
    }
}

/// What becomes of a call whose session is over, while its caller still listens.
fn after(reason: EndReason) -> Direction {
    match reason {
        EndReason::CallerHungUp
        | EndReason::Worker
        | EndReason::Operator
        | EndReason::Superseded => Direction::HangUp,
        EndReason::HandedBack
        | EndReason::CallerLost
        | EndReason::GaveUp
        | EndReason::Poisoned
        | EndReason::LogOverflow
        | EndReason::EdgeDeadline
        | EndReason::CallerProtocol => Direction::Fallback,
    }
}
