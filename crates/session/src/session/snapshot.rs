//! The whole session as data, so that another process can go on with it.
//!
//! What a snapshot does not hold is the attachment: the process that restores it attaches a worker
//! anew, under a higher epoch, and everything uncommitted is replayed.

use std::collections::BTreeSet;

use crc::{CRC_32_ISCSI, Crc};
use serde::{Deserialize, Serialize};

use crate::{
    AttachReason, Epoch, Limits, Seq, Session, SessionId, Time,
    legs::{CommittedLegs, Legs},
    link::Link,
    log::Log,
    state::State,
    timers::Timers,
};

use super::{Account, Alone, Recovery, Unserved, ending::Life, external::Externals, is_poison};

/// Raised when the layout changes; a snapshot of another layout is refused.
const LAYOUT: u8 = 4;
/// Guards a snapshot: what is damaged on its way is refused, never believed.
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// A session between two events.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    id: SessionId,
    upstreams: BTreeSet<String>,
    log: Log,
    state: State,
    timers: Timers,
    legs: Legs,
    committed_legs: CommittedLegs,
    life: Life,
    next_epoch: Epoch,
    alone: Option<Alone>,
    unproven: Option<Unserved>,
    doubt_through: Seq,
    strikes: u32,
    state_warned: bool,
    externals: Externals,
    account: Account,
}

/// A snapshot that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It was made by another layout of this program: finish the call where it is.
    #[error("the snapshot has layout {found}; this program reads layout {LAYOUT}")]
    Layout {
        /// What it says of itself.
        found: u8,
    },
    /// It is damaged. A retry with the same bytes gives the same error.
    #[error("the snapshot is damaged: {0}")]
    Damaged(#[from] postcard::Error),
    /// It is empty.
    #[error("the snapshot is empty")]
    Empty,
    /// It is well-formed, but no session could have made it.
    #[error("the snapshot contradicts itself: {0}")]
    Contradiction(&'static str),
}

impl Snapshot {
    /// The session's name.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The snapshot as bytes.
    ///
    /// # Errors
    ///
    /// Only where memory cannot be had.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SnapshotError> {
        let body = postcard::to_stdvec_crc32(self, CHECKSUM.digest())?;
        Ok([&[LAYOUT], &body[..]].concat())
    }

    /// Reads a snapshot back.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] for bytes that no session of this layout has made.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (&layout, rest) = bytes.split_first().ok_or(SnapshotError::Empty)?;
        if layout != LAYOUT {
            return Err(SnapshotError::Layout { found: layout });
        }
        let snapshot: Self = postcard::from_bytes_crc32(rest, CHECKSUM.digest())?;
        snapshot.check()?;
        Ok(snapshot)
    }

    fn check(&self) -> Result<(), SnapshotError> {
        self.log.check().map_err(SnapshotError::Contradiction)?;
        self.state
            .check_sizes()
            .map_err(SnapshotError::Contradiction)?;
        self.externals
            .check()
            .map_err(SnapshotError::Contradiction)?;
        if self.next_epoch.0 >= u64::MAX / 2 {
            return Err(SnapshotError::Contradiction("no epoch is left"));
        }
        self.committed_legs
            .check(&self.legs)
            .map_err(SnapshotError::Contradiction)?;
        if let Life::Ended { last, .. } = self.life
            && last != self.log.last()
        {
            return Err(SnapshotError::Contradiction("inputs after the last"));
        }
        Ok(())
    }

    fn widen(&self, limits: &mut Limits) {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        limits.state_bytes = limits.state_bytes.max(self.state.bytes());
        limits.state_keys = limits.state_keys.max(count(self.state.entries().count()));
        limits.timers = limits.timers.max(count(self.timers.len()));
        limits.legs = limits.legs.max(count(self.legs.iter().count()));
    }
}

impl Session {
    /// The session as data. To be taken between events, after all outputs were performed.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut account = self.account;
        if let Some(at) = self.link.attachment() {
            account.note_replay(at.delivered, self.log.committed());
        }
        Snapshot {
            id: self.id,
            upstreams: self.upstreams.clone(),
            log: self.log.clone(),
            state: self.state.clone(),
            timers: self.timers.clone(),
            legs: self.legs.clone(),
            committed_legs: self.committed_legs.clone(),
            life: self.life.clone(),
            next_epoch: self.next_epoch,
            alone: self.recovery.alone,
            unproven: self.recovery.unproven,
            doubt_through: self.recovery.doubt_through,
            strikes: self.recovery.strikes,
            state_warned: self.state_warned,
            externals: self.externals.clone(),
            account,
        }
    }

    /// Goes on with a session from its snapshot, whose sockets and unwritten bytes the shell has
    /// taken over. The next `Event::Tick` seeks a worker.
    ///
    /// Where `limits` are smaller than what the session has by now, it keeps what it has: no worker
    /// could mend that.
    #[must_use]
    pub fn restore(snapshot: Snapshot, mut limits: Limits, now: Time) -> Self {
        snapshot.widen(&mut limits);
        // One that was found out while it ended for another reason kills no further worker either.
        let found_out = is_poison(snapshot.strikes, &limits);
        let retry_at = if snapshot.life.wants_worker() && !found_out {
            now
        } else {
            Time(u64::MAX)
        };
        Self {
            id: snapshot.id,
            limits,
            upstreams: snapshot.upstreams,
            log: snapshot.log,
            state: snapshot.state,
            timers: snapshot.timers,
            legs: snapshot.legs,
            committed_legs: snapshot.committed_legs,
            life: snapshot.life,
            link: Link::Vacant { retry_at },
            next_epoch: snapshot.next_epoch.next(),
            recovery: Recovery {
                reason: AttachReason::Resume,
                since: now,
                alone: Some(Alone::resumed(snapshot.alone, snapshot.unproven, now)),
                unproven: None,
                failures: 0,
                avoid: None,
                failed: Vec::new(),
                doubt_through: snapshot.doubt_through,
                strikes: snapshot.strikes,
            },
            state_warned: snapshot.state_warned,
            externals: snapshot.externals,
            account: snapshot.account,
            wake: Some(now),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Attributes, EndReason, Setup};

    /// What is wrong with a snapshot of a new session that was changed so, where anything is.
    fn contradiction(change: impl FnOnce(&mut Snapshot)) -> Option<&'static str> {
        let setup = Setup {
            id: SessionId(1),
            limits: Limits::default(),
            caller: Attributes::new(),
            dialled: Vec::new(),
            upstreams: BTreeSet::new(),
        };
        let mut snapshot = Session::new(setup, Time(1), &mut Vec::new()).snapshot();
        change(&mut snapshot);
        match Snapshot::from_bytes(&snapshot.to_bytes().unwrap()) {
            Err(SnapshotError::Contradiction(what)) => Some(what),
            other => {
                assert_eq!(other.unwrap(), snapshot);
                None
            }
        }
    }

    fn ended(last: u64) -> Life {
        Life::Ended {
            reason: EndReason::Operator,
            detail: String::new(),
            last: Seq(last),
            deadline: Time(9),
        }
    }

    #[test]
    fn a_snapshot_that_no_session_could_have_made_is_refused() {
        assert_eq!(contradiction(|_| {}), None);
        let most = Epoch(u64::MAX / 2);
        assert_eq!(
            contradiction(|snapshot| snapshot.next_epoch = most),
            Some("no epoch is left")
        );
        let unopened = |snapshot: &mut Snapshot| snapshot.legs = Legs::default();
        assert_eq!(
            contradiction(unopened),
            Some("a leg is told of that was never opened")
        );
        assert_eq!(
            contradiction(|snapshot| snapshot.life = ended(0)),
            Some("inputs after the last")
        );
        assert_eq!(contradiction(|snapshot| snapshot.life = ended(1)), None);
    }
}
