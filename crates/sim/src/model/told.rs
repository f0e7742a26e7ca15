//! The legs that a worker is told of: as of the last commit, since its inputs begin there.

use std::collections::BTreeMap;

use holdline_session::{Attributes, InputKind, LegName, LegRef, LegState, LegView};

use super::{Check, Model, ensure};

/// One leg as a worker would know it that has done all that is committed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Told {
    incarnation: u32,
    state: LegState,
    attributes: Attributes,
}

impl Model {
    /// An opening is there from the beginning, or a command of an applied commit asks for it.
    pub(super) fn tell(&mut self, leg: &LegRef, state: LegState, attributes: Attributes) {
        let incarnation = leg.incarnation.0;
        let told = Told {
            incarnation,
            state,
            attributes,
        };
        self.told.insert(leg.name.as_str().to_owned(), told);
    }

    /// A command of an applied commit closes an opening.
    pub(super) fn tell_closing(&mut self, leg: &LegRef) {
        if let Some(told) = self.told_leg(leg)
            && told.state != LegState::Awaited
        {
            told.state = LegState::Closing;
        }
    }

    /// A command of an applied commit ends the session.
    pub(super) fn tell_all_closing(&mut self) {
        for told in self.told.values_mut() {
            if told.state != LegState::Awaited {
                told.state = LegState::Closing;
            }
        }
    }

    /// Inputs through here are done: what they said of legs is known.
    pub(super) fn learn_of_legs(&mut self, through: u64) {
        let later = self.turns.split_off(&(through + 1));
        for (_, turn) in std::mem::replace(&mut self.turns, later) {
            match turn {
                InputKind::LegOpened { leg, attributes } => {
                    if let Some(told) = self.told_leg(&leg) {
                        told.attributes = attributes;
                        if told.state == LegState::Connecting {
                            told.state = LegState::Open;
                        }
                    }
                }
                InputKind::LegClosed { leg, .. } if leg.name.is_caller() => {
                    if let Some(told) = self.told_leg(&leg) {
                        told.state = LegState::Awaited;
                    }
                }
                InputKind::LegClosed { leg, .. } if self.told_leg(&leg).is_some() => {
                    self.told.remove(leg.name.as_str());
                }
                InputKind::LegReplaced {
                    name,
                    new,
                    attributes,
                    ..
                } => {
                    let leg = LegRef::new(name.as_str(), new.0);
                    self.tell(&leg, LegState::Open, attributes);
                }
                _ => {}
            }
        }
    }

    /// What a worker is told when it is attached.
    pub(super) fn check_told(&self, legs: &[LegView]) -> Check {
        let over = !self.legs.contains_key(LegName::CALLER);
        // Nobody awaits a caller whose time is over; but where it ended in this very step, an answer
        // that came with it may have been heard first.
        let known = |awaited: bool| -> BTreeMap<&str, &Told> {
            let told = self.told.iter();
            let told = told.filter(|(_, told)| awaited || told.state != LegState::Awaited);
            told.map(|(name, told)| (name.as_str(), told)).collect()
        };
        let is = |expected: &BTreeMap<&str, &Told>| {
            legs.len() == expected.len()
                && legs.iter().all(|leg| {
                    expected.get(leg.name.as_str()).is_some_and(|told| {
                        (told.incarnation, told.state, &told.attributes)
                            == (leg.incarnation.0, leg.state, &leg.attributes)
                    })
                })
        };
        let expected = known(!over);
        let same = is(&expected) || over && self.step.was_awaited && is(&known(true));
        ensure!(
            same,
            "a worker is told the legs as of the last commit",
            "{legs:?}, not {expected:?}"
        );
        Ok(())
    }

    fn told_leg(&mut self, leg: &LegRef) -> Option<&mut Told> {
        let told = self.told.get_mut(leg.name.as_str())?;
        (told.incarnation == leg.incarnation.0).then_some(told)
    }
}
