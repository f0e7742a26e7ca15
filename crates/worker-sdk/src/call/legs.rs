//! The legs as of the input that is being handled.

use std::collections::BTreeMap;

use holdline_wire::v1;

use crate::{Attributes, Leg, LegState};

/// Legs that are not closed, by name.
pub(crate) struct Legs(BTreeMap<String, Leg>);

impl Legs {
    pub(super) fn new(legs: Vec<v1::Leg>) -> Self {
        let named = |leg: v1::Leg| (leg.name.clone(), leg.into());
        Self(legs.into_iter().map(named).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Leg> {
        self.0.values()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Leg> {
        self.0.get(name)
    }

    /// The opening that a command of this moment means; 0: whichever is the present one.
    ///
    /// A command for an opening that is gone meanwhile comes back as `Dropped`, instead of reaching
    /// a socket that the handler has not heard of.
    pub(super) fn incarnation(&self, name: &str) -> u32 {
        self.get(name).map_or(0, |leg| leg.incarnation)
    }

    /// An opening was asked for. Where one is there already, the edge will say so; one that closes
    /// may be gone by then, and what is sent from here on is meant for the new one.
    pub(super) fn asked(&mut self, name: &str, attributes: &Attributes) {
        let there = self.get(name);
        if there.is_none_or(|leg| leg.state == LegState::Closing) {
            self.insert(name, 0, LegState::Connecting, attributes);
        }
    }

    pub(super) fn closing(&mut self, name: &str) {
        if let Some(leg) = self.0.get_mut(name) {
            leg.state = LegState::Closing;
        }
    }

    pub(super) fn opened(&mut self, opened: &v1::LegOpened) {
        let (name, incarnation) = (&opened.leg, opened.incarnation);
        self.insert(name, incarnation, LegState::Open, &opened.attributes);
    }

    pub(super) fn closed(&mut self, closed: &v1::LegClosed) {
        let known = self.incarnation(&closed.leg);
        if known == 0 || known == closed.incarnation {
            self.0.remove(&closed.leg);
        }
    }

    pub(super) fn replaced(&mut self, replaced: &v1::LegReplaced) {
        let (name, incarnation) = (&replaced.leg, replaced.incarnation);
        self.insert(name, incarnation, LegState::Open, &replaced.attributes);
    }

    /// A command was dropped: where it was to open a leg, there is none to wait for.
    pub(super) fn dropped(&mut self, dropped: &v1::Dropped) {
        // A message to an earlier opening says nothing about the one that is awaited.
        let awaited = dropped.incarnation == 0 && self.incarnation(&dropped.leg) == 0;
        if awaited {
            self.0.remove(&dropped.leg);
        }
    }

    fn insert(&mut self, name: &str, incarnation: u32, state: LegState, attributes: &Attributes) {
        let leg = Leg {
            name: name.to_owned(),
            incarnation,
            state,
            attributes: attributes.clone(),
        };
        self.0.insert(name.to_owned(), leg);
    }
}
