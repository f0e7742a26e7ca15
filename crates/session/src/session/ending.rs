//! How a session ends: legs are closed, then the last input, `SessionEnded`, is committed.
//!
//! ```text
//!  Running ──begin_end──► Closing ──all legs closed──► Ended ──committed, or end_timeout──► over
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    EndReason, Fault, HangupCause, InputKind, Output, Report, Seq, Session, Time, link::Link,
};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Life {
    Running,
    /// Legs are being closed, each within its own bound.
    Closing {
        reason: EndReason,
        fault: Fault,
        detail: String,
    },
    /// `SessionEnded` is in the log, at `last`.
    Ended {
        reason: EndReason,
        detail: String,
        last: Seq,
        deadline: Time,
    },
}

impl Life {
    /// `SessionEnded` is the last input: nothing comes after it.
    pub(super) fn log_is_closed(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }

    /// A poisoned session kills no further worker.
    pub(super) fn wants_worker(&self) -> bool {
        !matches!(self.reason(), Some(EndReason::Poisoned))
    }

    pub(super) fn reason(&self) -> Option<EndReason> {
        match self {
            Self::Running => None,
            Self::Closing { reason, .. } | Self::Ended { reason, .. } => Some(*reason),
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        match self {
            Self::Ended { deadline, .. } => Some(*deadline),
            Self::Running | Self::Closing { .. } => None,
        }
    }

    pub(super) fn forgive(&mut self, late: Duration) {
        if let Self::Ended { deadline, .. } = self {
            *deadline = *deadline + late;
        }
    }
}

impl Session {
    /// Starts the end. A session ends once: the first reason stands.
    pub(super) fn begin_end(
        &mut self,
        now: Time,
        reason: EndReason,
        detail: String,
        out: &mut Vec<Output>,
    ) {
        self.begin_end_by(now, reason, reason.fault(), detail, out);
    }

    /// As `begin_end`, where it is not the usual fault.
    pub(super) fn begin_end_by(
        &mut self,
        now: Time,
        reason: EndReason,
        fault: Fault,
        detail: String,
        out: &mut Vec<Output>,
    ) {
        if self.life != Life::Running {
            return;
        }
        out.push(Output::Report(Report::Ending {
            reason,
            detail: detail.clone(),
            fault,
        }));
        self.life = Life::Closing {
            reason,
            fault,
            detail,
        };
        self.timers.clear();
        let (code, text) = close_code(reason);
        let legs: Vec<_> = self.legs.iter().map(|(leg, _)| leg).collect();
        for leg in legs {
            self.close_leg(now, &leg, code, text, out);
        }
        // A caller that is only awaited has no socket to close.
        if let Some(caller) = self.caller_ref()
            && self
                .legs
                .get(&caller.name)
                .is_some_and(crate::legs::Leg::is_awaited)
        {
            self.legs.remove(&caller.name);
        }
    }

    /// Looks at what the end waits for.
    pub(super) fn check_end(&mut self, now: Time) {
        if let Life::Closing {
            reason,
            fault,
            detail,
        } = &self.life
            && self.legs.is_empty()
        {
            let (reason, detail) = (*reason, detail.clone());
            let kind = InputKind::SessionEnded {
                reason,
                detail: detail.clone(),
                fault: *fault,
            };
            // The log takes its last input whatever its limits say.
            let last = self.log.append(&self.limits, now, kind, None);
            let deadline = now + self.limits.end_timeout;
            self.life = Life::Ended {
                reason,
                detail,
                last,
                deadline,
            };
        }
    }

    pub(super) fn finish_if_done(&mut self, now: Time, out: &mut Vec<Output>) {
        let Life::Ended { last, deadline, .. } = self.life else {
            return;
        };
        let committed = self.log.committed() >= last;
        if !committed && self.life.wants_worker() && now < deadline {
            return;
        }
        if !committed {
            let inputs = last.0 - self.log.committed().0;
            self.account.end_lost += inputs;
            out.push(Output::Report(Report::EndLost { inputs }));
        }
        let link = std::mem::replace(&mut self.link, Link::Over);
        let epochs = [
            link.attachment().map(|at| at.epoch),
            link.offer().map(|offer| offer.epoch),
        ];
        for epoch in epochs.into_iter().flatten() {
            let cause = HangupCause::Done;
            out.push(Output::Hangup { epoch, cause });
        }
        out.push(Output::Finished);
    }
}

/// The WebSocket close code for the legs of a session that ends (RFC 6455, 7.4.1).
fn close_code(reason: EndReason) -> (u16, &'static str) {
    match reason {
        EndReason::CallerHungUp | EndReason::CallerLost | EndReason::Worker => (1000, "call ended"),
        EndReason::HandedBack => (1000, "handed back"),
        EndReason::Superseded => (1000, "another stream of this call took over"),
        EndReason::Operator => (1001, "ended by an operator"),
        EndReason::EdgeDeadline => (1001, "the edge is going away"),
        EndReason::GaveUp => (1013, "no worker available"),
        EndReason::Poisoned => (1011, "this call made its workers fail"),
        EndReason::LogOverflow => (1011, "the input log overflowed"),
        EndReason::CallerProtocol => (1002, "protocol error"),
    }
}
