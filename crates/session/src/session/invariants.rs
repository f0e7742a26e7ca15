//! What must hold after every step, checked in debug builds.

use crate::{Session, link::Link};

use super::ending::Life;

impl Session {
    /// # Panics
    ///
    /// Where the engine has broken its own rules.
    pub(super) fn assert_invariants(&self) {
        assert_eq!(self.log.check(), Ok(()));
        assert_eq!(self.state.check_sizes(), Ok(()));
        assert_eq!(self.committed_legs.check(&self.legs), Ok(()));
        self.assert_bounds();
        self.assert_link();
    }

    fn assert_bounds(&self) {
        let limits = &self.limits;
        assert!(self.state.bytes() <= limits.state_bytes);
        assert!(self.timers.len() <= limits.timers as usize);
        // The dialled legs of a route come on top of what workers may open.
        assert!(self.legs.iter().count() <= limits.legs as usize + 8);
    }

    fn assert_link(&self) {
        for epoch in [
            self.link.attachment().map(|at| at.epoch),
            self.link.offer().map(|offer| offer.epoch),
        ]
        .into_iter()
        .flatten()
        {
            assert!(epoch < self.next_epoch, "epochs only grow");
        }
        if let (Some(at), Some(offer)) = (self.link.attachment(), self.link.offer()) {
            assert!(offer.epoch > at.epoch, "the next attachment is the newer");
        }
        let Some(at) = self.link.attachment() else {
            assert!(self.recovery.unproven.is_none() || self.is_over());
            return;
        };
        assert!(at.delivered >= self.log.committed());
        assert!(at.delivered <= self.log.last());
        // One frame larger than the window may pass, alone.
        let window = self.limits.window_bytes;
        assert!(at.outstanding() <= 1 || at.outstanding_bytes() <= window.max(at.largest()));
        assert!(at.outstanding() <= self.limits.window_inputs.max(1) as usize);
        assert!(self.recovery.alone.is_none());
        if matches!(self.link, Link::Live(_) | Link::Moving(..)) {
            let waiting = at.waiting_since.is_some();
            assert_eq!(waiting, at.delivered > self.log.committed());
        }
        if let Life::Ended { last, .. } = self.life {
            assert_eq!(last, self.log.last(), "nothing comes after the end");
        }
    }
}
