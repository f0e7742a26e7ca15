//! Who runs the session: the states of its attachment to workers.
//!
//! ```text
//!              seek                 accept
//!  Vacant ────────────► Seeking ────────────► Live ◄───────────┐
//!    ▲  ▲   no worker      │                  │  │ move         │ target fails
//!    │  └──────────────────┘        lost      │  ▼              │
//!    │                 ┌─ Seeking ◄───────────┤ Moving ─────────┘
//!    │                 │                      │  │ target accepts
//!    │                 │        lost, overdue │  ▼
//!    │                 └─ target attached ◄───┴─ Releasing ── Released ─► target attached (Live)
//!    └──────────────── target fails, then Released, lost or overdue ──┘
//! ```
//!
//! At most one attachment is in force, and at most one more is being prepared.

use std::{collections::VecDeque, time::Duration};

use crate::{AttachReason, Commit, Epoch, MoveReason, Seq, Time, WorkerId};

#[derive(Clone, Debug)]
pub(crate) enum Link {
    /// No worker, and none sought before `retry_at`.
    Vacant { retry_at: Time },
    /// A worker is sought or asked.
    Seeking(Offer),
    /// A worker runs the session.
    Live(Attachment),
    /// A worker runs the session while a better one is sought or asked.
    Moving(Attachment, Offer),
    /// The present worker was asked to let go; the next, where there still is one, has accepted.
    Releasing(Attachment, Option<Offer>, Time),
    /// The session is over.
    Over,
}

/// A worker that is sought, asked, or has accepted and waits to be attached.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) epoch: Epoch,
    /// The session is a suspect, and goes only where it is apart from all others who may be to blame.
    pub(crate) kept_apart: bool,
    /// Known once the shell has found one.
    pub(crate) worker: Option<(WorkerId, String)>,
    /// Answered by then, or given up.
    pub(crate) deadline: Time,
    /// It is to be left again as soon as it is attached.
    pub(crate) leave: Option<MoveReason>,
}

/// A worker that runs the session.
#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    pub(crate) epoch: Epoch,
    pub(crate) worker: WorkerId,
    pub(crate) version: String,
    pub(crate) reason: AttachReason,
    /// When the handoff that led here began.
    pub(crate) since: Time,
    pub(crate) attached_at: Time,
    /// As its offer was.
    pub(crate) kept_apart: bool,
    /// How long inputs may be outstanding with no commit advancing.
    pub(crate) patience: Duration,
    /// The last seq handed to it.
    pub(crate) delivered: Seq,
    /// What was handed to it beyond the last commit: each input's seq and payload bytes. The log
    /// cannot tell, since it may drop media that the worker still holds.
    outstanding: VecDeque<(Seq, u64)>,
    outstanding_bytes: u64,
    /// Commits applied, and how many of them it has been told of.
    pub(crate) applied: u64,
    pub(crate) told: u64,
    /// The session is less suspected than when it was last told, and it is to know.
    pub(crate) cleared: bool,
    /// Since when inputs are outstanding with no commit advancing.
    pub(crate) waiting_since: Option<Time>,
    /// A commit that waits for a leg to take more, and since when.
    pub(crate) held: Option<(Commit, Time)>,
    /// Why this worker is to be left, and when a better one is sought again.
    pub(crate) leave: Option<(MoveReason, Time)>,
}

/// Who speaks, by epoch. The one place in which epochs are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Speaker {
    /// The attachment in force.
    Current,
    /// The one being prepared.
    Target,
    /// One of the past: it is fenced.
    Past,
}

impl Link {
    pub(crate) fn speaker(&self, epoch: Epoch) -> Speaker {
        if self.attachment().is_some_and(|at| at.epoch == epoch) {
            Speaker::Current
        } else if self.offer().is_some_and(|offer| offer.epoch == epoch) {
            Speaker::Target
        } else {
            Speaker::Past
        }
    }

    pub(crate) fn attachment(&self) -> Option<&Attachment> {
        match self {
            Self::Live(at) | Self::Moving(at, _) | Self::Releasing(at, ..) => Some(at),
            Self::Vacant { .. } | Self::Seeking(_) | Self::Over => None,
        }
    }

    pub(crate) fn attachment_mut(&mut self) -> Option<&mut Attachment> {
        match self {
            Self::Live(at) | Self::Moving(at, _) | Self::Releasing(at, ..) => Some(at),
            Self::Vacant { .. } | Self::Seeking(_) | Self::Over => None,
        }
    }

    pub(crate) fn offer(&self) -> Option<&Offer> {
        match self {
            Self::Seeking(offer) | Self::Moving(_, offer) => Some(offer),
            Self::Releasing(_, offer, _) => offer.as_ref(),
            Self::Vacant { .. } | Self::Live(_) | Self::Over => None,
        }
    }

    pub(crate) fn offer_mut(&mut self) -> Option<&mut Offer> {
        match self {
            Self::Seeking(offer) | Self::Moving(_, offer) => Some(offer),
            Self::Releasing(_, offer, _) => offer.as_mut(),
            Self::Vacant { .. } | Self::Live(_) | Self::Over => None,
        }
    }

    /// Whether the worker in force may be handed inputs.
    pub(crate) fn delivers(&self) -> bool {
        matches!(self, Self::Live(_) | Self::Moving(..))
    }

    /// When something is overdue.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let own = match self {
            Self::Vacant { retry_at } => Some(*retry_at),
            Self::Seeking(offer) | Self::Moving(_, offer) => Some(offer.deadline),
            Self::Live(at) => at.leave.map(|(_, retry_at)| retry_at),
            // While a commit waits for a leg, its worker is not to blame.
            Self::Releasing(at, _, deadline) => at.held.is_none().then_some(*deadline),
            Self::Over => None,
        };
        let stuck = self.attachment().and_then(Attachment::stuck_at);
        own.into_iter().chain(stuck).min()
    }

    /// Pushes every deadline that waits for a worker: the edge itself was not running for `late`.
    pub(crate) fn forgive(&mut self, late: Duration) {
        if let Some(at) = self.attachment_mut() {
            at.attached_at = at.attached_at + late;
            at.waiting_since = at.waiting_since.map(|since| since + late);
        }
        if let Some(offer) = self.offer_mut() {
            offer.deadline = offer.deadline + late;
        }
        if let Self::Releasing(_, _, deadline) = self {
            *deadline = *deadline + late;
        }
    }

    /// Takes out the commit that waits. The time in which it did is not its worker's.
    pub(crate) fn take_held(&mut self, now: Time) -> Option<Commit> {
        let at = self.attachment_mut()?;
        let (commit, held_since) = at.held.take()?;
        let waited = now.since(held_since);
        at.waiting_since = at.waiting_since.map(|since| (since + waited).min(now));
        if let Self::Releasing(_, _, deadline) = self {
            *deadline = *deadline + waited;
        }
        Some(commit)
    }
}

impl Attachment {
    pub(crate) fn new(
        offer: Offer,
        reason: AttachReason,
        since: Time,
        patience: Duration,
        now: Time,
    ) -> Option<Self> {
        let (worker, version) = offer.worker?;
        Some(Self {
            epoch: offer.epoch,
            worker,
            version,
            reason,
            since,
            attached_at: now,
            kept_apart: offer.kept_apart,
            patience,
            delivered: Seq::default(),
            outstanding: VecDeque::new(),
            outstanding_bytes: 0,
            applied: 0,
            told: 0,
            cleared: false,
            waiting_since: None,
            held: None,
            leave: offer.leave.map(|reason| (reason, now)),
        })
    }

    /// Notes that an input was handed out.
    pub(crate) fn hand_out(&mut self, now: Time, seq: Seq, bytes: u64) {
        self.delivered = seq;
        self.outstanding.push_back((seq, bytes));
        self.outstanding_bytes += bytes;
        self.waiting_since.get_or_insert(now);
    }

    /// Notes that inputs through a position are committed.
    pub(crate) fn settle(&mut self, through: Seq) {
        while let Some((_, bytes)) = self.outstanding.pop_front_if(|(seq, _)| *seq <= through) {
            self.outstanding_bytes -= bytes;
        }
    }

    /// Inputs handed out beyond the last commit.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// The largest of them, in payload bytes.
    pub(crate) fn largest(&self) -> u64 {
        let sizes = self.outstanding.iter().map(|(_, bytes)| *bytes);
        sizes.max().unwrap_or(0)
    }

    /// Payload bytes handed out beyond the last commit.
    pub(crate) fn outstanding_bytes(&self) -> u64 {
        self.outstanding_bytes
    }

    /// When it counts as stuck, if nothing happens until then.
    pub(crate) fn stuck_at(&self) -> Option<Time> {
        // A commit that waits for a slow leg is not the worker's delay.
        if self.held.is_some() {
            return None;
        }
        self.waiting_since.map(|since| since + self.patience)
    }
}
