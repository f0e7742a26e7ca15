//! The life of the link to workers, as it shows from outside.

use crate::coverage::{Coverage, Mark};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Link {
    Vacant,
    /// The attachment in force was lost, and nothing has followed yet.
    Bereft,
    Seeking(u64),
    /// A target has accepted and its predecessor is gone; `true`: it was lost.
    Inheriting(u64, bool),
    /// Released, and there is no target.
    Orphaned,
    Live,
    Moving(u64),
    Releasing(Option<u64>),
    Over,
}

impl Link {
    /// The epoch that is being prepared.
    pub(super) fn target(self) -> Option<u64> {
        match self {
            Self::Seeking(epoch) | Self::Inheriting(epoch, _) | Self::Moving(epoch) => Some(epoch),
            Self::Releasing(epoch) => epoch,
            _ => None,
        }
    }

    /// How the engine itself calls it between two steps.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Vacant | Self::Bereft | Self::Orphaned => "vacant",
            Self::Seeking(_) | Self::Inheriting(..) => "seeking",
            Self::Live => "live",
            Self::Moving(_) => "moving",
            Self::Releasing(_) => "releasing",
            Self::Over => "over",
        }
    }

    pub(super) fn seeks(self, epoch: u64, planned: bool, coverage: &mut Coverage) -> Option<Self> {
        let (mark, next) = match (self, planned) {
            (Self::Vacant, false) => (None, Self::Seeking(epoch)),
            (Self::Bereft, false) => (Some(Mark::LiveToSeeking), Self::Seeking(epoch)),
            (Self::Orphaned, false) => (Some(Mark::AloneReleased), Self::Seeking(epoch)),
            (Self::Live, true) => (Some(Mark::LiveToMoving), Self::Moving(epoch)),
            _ => return None,
        };
        mark.into_iter().for_each(|mark| coverage.mark(mark));
        Some(next)
    }

    pub(super) fn offer_fails(self, epoch: u64, coverage: &mut Coverage) -> Option<Self> {
        let (mark, next) = match self {
            Self::Seeking(target) if target == epoch => (Mark::SeekingToVacant, Self::Vacant),
            Self::Moving(target) if target == epoch => (Mark::MovingToLive, Self::Live),
            Self::Releasing(Some(target)) if target == epoch => {
                (Mark::TargetFailed, Self::Releasing(None))
            }
            _ => return None,
        };
        coverage.mark(mark);
        Some(next)
    }

    pub(super) fn asks_release(self, coverage: &mut Coverage) -> Option<Self> {
        let Self::Moving(target) = self else {
            return None;
        };
        coverage.mark(Mark::MovingToReleasing);
        Some(Self::Releasing(Some(target)))
    }

    /// `struck`: it may have been the session's doing once more, and then no target follows.
    pub(super) fn loses(self, struck: bool, coverage: &mut Coverage) -> Option<Self> {
        match self {
            Self::Moving(_) | Self::Releasing(Some(_)) if struck => Some(Self::Bereft),
            Self::Live => Some(Self::Bereft),
            Self::Moving(target) => {
                coverage.mark(Mark::MovingToSeeking);
                Some(Self::Seeking(target))
            }
            Self::Releasing(Some(target)) => Some(Self::Inheriting(target, true)),
            Self::Releasing(None) => {
                coverage.mark(Mark::AloneLost);
                Some(Self::Bereft)
            }
            _ => None,
        }
    }

    pub(super) fn released(self) -> Self {
        match self {
            Self::Releasing(Some(target)) => Self::Inheriting(target, false),
            Self::Releasing(None) => Self::Orphaned,
            other => other,
        }
    }

    pub(super) fn attaches(self, epoch: u64, coverage: &mut Coverage) -> Option<Self> {
        let mark = match self {
            Self::Seeking(target) if target == epoch => Mark::SeekingToLive,
            Self::Inheriting(target, false) if target == epoch => Mark::ReleasingToLive,
            Self::Inheriting(target, true) if target == epoch => Mark::ReleasingLost,
            _ => return None,
        };
        coverage.mark(mark);
        Some(Self::Live)
    }
}
