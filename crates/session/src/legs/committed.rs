//! The legs as of the committed position: what a worker that takes the session up is told.
//!
//! The inputs that it gets next begin at that position. Told the legs as they are now, it would
//! answer what came in on an opening as if it had come in on the next one; told them as they were
//! then, it learns of every change at its place among the inputs, as the worker before it did.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Legs;
use crate::{Attributes, InputKind, LegName, LegRef, LegState, LegView};

/// Legs by name. One that is gone stays until its `LegClosed` is committed, so there are never more
/// than names in use.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct CommittedLegs(BTreeMap<LegName, LegView>);

impl CommittedLegs {
    /// An opening is there, or asked for by a command of an applied commit.
    pub(crate) fn add(&mut self, leg: &LegRef, state: LegState, attributes: Attributes) {
        let view = LegView {
            name: leg.name.clone(),
            incarnation: leg.incarnation,
            state,
            attributes,
        };
        self.0.insert(leg.name.clone(), view);
    }

    /// A command of an applied commit closes an opening.
    pub(crate) fn close(&mut self, leg: &LegRef) {
        if let Some(view) = self.present(leg) {
            view.state = closing(view.state);
        }
    }

    /// A command of an applied commit closes all of them.
    pub(crate) fn close_all(&mut self) {
        for view in self.0.values_mut() {
            view.state = closing(view.state);
        }
    }

    /// An input is committed.
    pub(crate) fn follow(&mut self, kind: InputKind) {
        match kind {
            InputKind::LegOpened { leg, attributes } => {
                if let Some(view) = self.present(&leg) {
                    view.attributes = attributes;
                    // A command may have closed it meanwhile.
                    if view.state == LegState::Connecting {
                        view.state = LegState::Open;
                    }
                }
            }
            InputKind::LegClosed { leg, .. } => {
                let is_caller = leg.name.is_caller();
                if let Some(view) = self.present(&leg) {
                    if is_caller {
                        view.state = LegState::Awaited;
                    } else {
                        self.0.remove(&leg.name);
                    }
                }
            }
            InputKind::LegReplaced {
                name,
                new,
                attributes,
                ..
            } => {
                let leg = LegRef {
                    name,
                    incarnation: new,
                };
                self.add(&leg, LegState::Open, attributes);
            }
            _ => {}
        }
    }

    /// All of them. A caller who is gone is `awaited` only where its return still counts.
    pub(crate) fn views(&self, awaits_caller: bool) -> Vec<LegView> {
        let told = |view: &&LegView| awaits_caller || view.state != LegState::Awaited;
        self.0.values().filter(told).cloned().collect()
    }

    /// What must hold after every step, and of legs that were read from a snapshot.
    pub(crate) fn check(&self, legs: &Legs) -> Result<(), &'static str> {
        let opened = |(name, view): (&LegName, &LegView)| {
            view.name == *name && view.incarnation <= legs.openings(name)
        };
        if self.0.iter().all(opened) {
            Ok(())
        } else {
            Err("a leg is told of that was never opened")
        }
    }

    /// The opening that is meant: commands that were applied since may have made a newer one.
    fn present(&mut self, leg: &LegRef) -> Option<&mut LegView> {
        let view = self.0.get_mut(&leg.name)?;
        (view.incarnation == leg.incarnation).then_some(view)
    }
}

fn closing(state: LegState) -> LegState {
    match state {
        LegState::Connecting | LegState::Open => LegState::Closing,
        LegState::Closing | LegState::Awaited => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::legs::Phase;

    #[test]
    fn only_legs_that_were_opened_can_be_told_of() {
        let mut legs = Legs::default();
        let name = LegName::new(LegName::MODEL);
        let first = legs.add(&name, Phase::Open, Attributes::new());
        let mut told = CommittedLegs::default();
        told.add(&first, LegState::Open, Attributes::new());
        assert_eq!(told.check(&legs), Ok(()));
        let second = LegRef::new(LegName::MODEL, 2);
        told.add(&second, LegState::Open, Attributes::new());
        assert!(told.check(&legs).is_err());
        legs.add(&name, Phase::Open, Attributes::new());
        assert_eq!(told.check(&legs), Ok(()));
    }
}
