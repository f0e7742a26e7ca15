//! The legs as of the last commit, as the ledger knows them: what the inputs done have told of them,
//! and what the commands applied made of them.

use std::collections::BTreeMap;

use holdline_session::{Attributes, InputKind, LegRef, LegState, LegView};

use super::Ledger;

/// By name: which opening, in which state, with what known of it.
pub(super) type Told = BTreeMap<String, (u32, LegState, Attributes)>;

impl Ledger {
    pub(super) fn told_of(&mut self, leg: &LegRef, state: LegState, attributes: &Attributes) {
        let entry = (leg.incarnation.0, state, attributes.clone());
        self.told.insert(leg.name.as_str().to_owned(), entry);
    }

    /// An input is done.
    pub(super) fn learns(&mut self, kind: &InputKind) {
        match kind {
            InputKind::LegOpened { leg, attributes } => {
                let state = self.told_state(leg);
                if let Some(state) = state {
                    let closing = state == LegState::Closing;
                    let state = if closing { state } else { LegState::Open };
                    self.told_of(leg, state, attributes);
                }
            }
            InputKind::LegClosed { leg, .. } => match self.told.get_mut(leg.name.as_str()) {
                Some(told) if told.0 != leg.incarnation.0 => {}
                Some(told) if leg.name.is_caller() => told.1 = LegState::Awaited,
                _ => drop(self.told.remove(leg.name.as_str())),
            },
            InputKind::LegReplaced {
                name,
                new,
                attributes,
                ..
            } => {
                let leg = LegRef::new(name.as_str(), new.0);
                self.told_of(&leg, LegState::Open, attributes);
            }
            _ => {}
        }
    }

    /// A command closes a leg.
    pub(super) fn told_to_close(&mut self, leg: &LegRef) {
        if let Some(LegState::Connecting | LegState::Open) = self.told_state(leg)
            && let Some(told) = self.told.get_mut(leg.name.as_str())
        {
            told.1 = LegState::Closing;
        }
    }

    pub(super) fn told_to_close_all(&mut self) {
        let openings = self.told.iter().map(|(name, told)| (name.clone(), told.0));
        for (name, incarnation) in openings.collect::<Vec<_>>() {
            self.told_to_close(&LegRef::new(&name, incarnation));
        }
    }

    /// An attached worker is told exactly this.
    pub(super) fn check_told(&self, legs: &[LegView]) {
        let caller_is_over = !self.legs.contains_key("caller");
        let mut expected = self.told.clone();
        expected.retain(|_, told| !(caller_is_over && told.1 == LegState::Awaited));
        let said: Told = legs
            .iter()
            .map(|leg| {
                let entry = (leg.incarnation.0, leg.state, leg.attributes.clone());
                (leg.name.as_str().to_owned(), entry)
            })
            .collect();
        assert_eq!(said.len(), legs.len(), "each leg once");
        // Where the caller's time ended in this very step, the answer that led here may have been heard
        // first.
        if caller_is_over && said == self.told {
            return;
        }
        assert_eq!(said, expected, "the legs as of the last commit");
    }

    fn told_state(&self, leg: &LegRef) -> Option<LegState> {
        let told = self.told.get(leg.name.as_str())?;
        (told.0 == leg.incarnation.0).then_some(told.1)
    }
}
