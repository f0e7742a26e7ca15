//! The legs of a session, as the engine sees them: openings, out-buffers and how they end.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

mod committed;

pub(crate) use committed::CommittedLegs;

use crate::{
    Attributes, DropReason, Incarnation, LegName, LegRef, LegState, LegView, Limits, Time,
};

/// How many leg names a session may use in its life, for each leg that may be open at once.
const NAMES_PER_LEG: usize = 8;
/// Pieces of hold sound that a socket may leave unwritten.
const SOUND_MAX: u64 = 4;

/// What a leg is doing, with what that needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Phase {
    Connecting,
    Open,
    /// Asked to close; taken for closed at `until` at the latest.
    Closing {
        until: Time,
    },
    /// The caller's socket is gone; given up at `until`.
    Awaited {
        until: Time,
    },
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Leg {
    pub(crate) incarnation: Incarnation,
    pub(crate) phase: Phase,
    pub(crate) attributes: Attributes,
    /// It took nothing for too long and is being closed for that.
    pub(crate) stuck: bool,
    unwritten_frames: u64,
    unwritten_bytes: u64,
    /// Pieces of hold sound that the socket has not taken. They are nobody's commands.
    unwritten_sound: u64,
    /// Since when it is over the high mark without a byte written.
    stalled_since: Option<Time>,
}

impl Leg {
    fn new(incarnation: Incarnation, phase: Phase, attributes: Attributes) -> Self {
        Self {
            incarnation,
            phase,
            attributes,
            stuck: false,
            unwritten_frames: 0,
            unwritten_bytes: 0,
            unwritten_sound: 0,
            stalled_since: None,
        }
    }

    pub(crate) fn takes_frames(&self) -> bool {
        matches!(self.phase, Phase::Connecting | Phase::Open)
    }

    pub(crate) fn is_awaited(&self) -> bool {
        matches!(self.phase, Phase::Awaited { .. })
    }

    pub(crate) fn unwritten_frames(&self) -> u64 {
        self.unwritten_frames
    }

    pub(crate) fn unwritten_bytes(&self) -> u64 {
        self.unwritten_bytes
    }

    pub(crate) fn is_over(&self, limits: &Limits) -> bool {
        self.unwritten_bytes > limits.leg_high
    }

    pub(crate) fn sent(&mut self, now: Time, bytes: u64, limits: &Limits) {
        self.unwritten_frames += 1;
        self.unwritten_bytes += bytes;
        if self.is_over(limits) && self.phase == Phase::Open {
            self.stalled_since.get_or_insert(now);
        }
    }

    /// Whether hold sound would be heard at once. One that its socket does not take would only stand
    /// before what a worker says next.
    pub(crate) fn takes_sound(&self, limits: &Limits) -> bool {
        let written = self.unwritten_sound < SOUND_MAX;
        self.phase == Phase::Open && !self.is_over(limits) && written
    }

    /// A piece of hold sound was handed to it.
    pub(crate) fn sounded(&mut self) {
        self.unwritten_sound += 1;
    }

    /// The socket has taken pieces of hold sound.
    pub(crate) fn sound_written(&mut self, pieces: u64) {
        self.unwritten_sound = self.unwritten_sound.saturating_sub(pieces);
    }

    pub(crate) fn written(&mut self, now: Time, frames: u64, bytes: u64, limits: &Limits) {
        self.unwritten_frames = self.unwritten_frames.saturating_sub(frames);
        self.unwritten_bytes = self.unwritten_bytes.saturating_sub(bytes);
        self.stalled_since = self.is_over(limits).then_some(now);
    }

    pub(crate) fn opened(&mut self, now: Time, attributes: Attributes, limits: &Limits) {
        self.phase = Phase::Open;
        self.attributes = attributes;
        self.stalled_since = self.is_over(limits).then_some(now);
    }

    /// The socket is gone; its return is awaited. What was unwritten is lost and said to be.
    pub(crate) fn await_return(&mut self, until: Time) {
        self.phase = Phase::Awaited { until };
        self.unwritten_frames = 0;
        self.unwritten_bytes = 0;
        self.unwritten_sound = 0;
        self.stalled_since = None;
    }

    /// When it has to be looked at again, and until then may be left alone.
    fn deadline(&self, limits: &Limits) -> Option<Time> {
        match self.phase {
            Phase::Closing { until } | Phase::Awaited { until } => Some(until),
            Phase::Connecting => None,
            Phase::Open => self.stalled_since.map(|since| since + limits.write_timeout),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Legs {
    open: BTreeMap<LegName, Leg>,
    incarnations: BTreeMap<LegName, Incarnation>,
}

impl Legs {
    /// Adds a new opening of a name that is not open.
    pub(crate) fn add(&mut self, name: &LegName, phase: Phase, attributes: Attributes) -> LegRef {
        let incarnation = self.incarnations.entry(name.clone()).or_default();
        *incarnation = incarnation.next();
        let incarnation = *incarnation;
        let leg = Leg::new(incarnation, phase, attributes);
        self.open.insert(name.clone(), leg);
        LegRef {
            name: name.clone(),
            incarnation,
        }
    }

    /// Whether a worker may open a leg of this name now.
    pub(crate) fn may_open(&self, name: &LegName, limits: &Limits) -> Result<(), DropReason> {
        if name.is_caller() || self.open.contains_key(name) {
            return Err(DropReason::NameInUse);
        }
        let names_max = limits.legs as usize * NAMES_PER_LEG;
        let names_full =
            self.incarnations.len() >= names_max && !self.incarnations.contains_key(name);
        if self.open.len() >= limits.legs as usize || names_full {
            return Err(DropReason::TooManyLegs);
        }
        Ok(())
    }

    /// The leg that a command means, if it takes commands.
    pub(crate) fn resolve(
        &mut self,
        name: &LegName,
        incarnation: Option<Incarnation>,
    ) -> Result<&mut Leg, DropReason> {
        let leg = self.open.get_mut(name).ok_or(DropReason::LegGone)?;
        match incarnation {
            Some(wanted) if wanted < leg.incarnation => Err(DropReason::IncarnationGone),
            Some(wanted) if wanted > leg.incarnation => Err(DropReason::LegGone),
            _ if !leg.takes_frames() => Err(DropReason::LegGone),
            _ => Ok(leg),
        }
    }

    /// The opening that an event speaks of, if it is the present one.
    pub(crate) fn current(&mut self, leg: &LegRef) -> Option<&mut Leg> {
        self.open
            .get_mut(&leg.name)
            .filter(|present| present.incarnation == leg.incarnation)
    }

    pub(crate) fn get(&self, name: &LegName) -> Option<&Leg> {
        self.open.get(name)
    }

    /// How often a name was opened.
    pub(crate) fn openings(&self, name: &LegName) -> Incarnation {
        self.incarnations.get(name).copied().unwrap_or_default()
    }

    pub(crate) fn remove(&mut self, name: &LegName) -> Option<Leg> {
        self.open.remove(name)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LegRef, &Leg)> {
        self.open
            .iter()
            .map(|(name, leg)| (reference(name, leg), leg))
    }

    pub(crate) fn next_deadline(&self, limits: &Limits) -> Option<Time> {
        self.open
            .values()
            .filter_map(|leg| leg.deadline(limits))
            .min()
    }

    /// How long a lost caller is awaited.
    pub(crate) fn awaited_until(&self) -> Option<Time> {
        self.open.values().find_map(|leg| match leg.phase {
            Phase::Awaited { until } => Some(until),
            _ => None,
        })
    }

    /// Legs whose deadline has passed.
    pub(crate) fn overdue(&self, now: Time, limits: &Limits) -> Vec<(LegRef, Phase)> {
        self.open
            .iter()
            .filter(|(_, leg)| leg.deadline(limits).is_some_and(|due| due <= now))
            .map(|(name, leg)| (reference(name, leg), leg.phase))
            .collect()
    }

    /// Pushes all deadlines: the edge itself was not running for `late`, and could hear nobody.
    pub(crate) fn forgive(&mut self, late: Duration) {
        for leg in self.open.values_mut() {
            if let Some(since) = &mut leg.stalled_since {
                *since = *since + late;
            }
            if let Phase::Closing { until } | Phase::Awaited { until } = &mut leg.phase {
                *until = *until + late;
            }
        }
    }

    pub(crate) fn views(&self) -> Vec<LegView> {
        self.open
            .iter()
            .map(|(name, leg)| LegView {
                name: name.clone(),
                incarnation: leg.incarnation,
                state: match leg.phase {
                    Phase::Connecting => LegState::Connecting,
                    Phase::Open => LegState::Open,
                    Phase::Closing { .. } => LegState::Closing,
                    Phase::Awaited { .. } => LegState::Awaited,
                },
                attributes: leg.attributes.clone(),
            })
            .collect()
    }
}

fn reference(name: &LegName, leg: &Leg) -> LegRef {
    LegRef {
        name: name.clone(),
        incarnation: leg.incarnation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_stalls_from_its_high_mark_until_anything_is_written() {
        let limits = Limits {
            leg_high: 10,
            write_timeout: Duration::from_micros(100),
            ..Limits::default()
        };
        let mut leg = Leg::new(Incarnation(1), Phase::Open, Attributes::new());
        leg.sent(Time(1), 10, &limits);
        assert_eq!(leg.deadline(&limits), None, "at the mark is not over it");
        leg.sent(Time(2), 5, &limits);
        leg.sent(Time(50), 5, &limits);
        assert_eq!(leg.deadline(&limits), Some(Time(102)));
        leg.written(Time(60), 1, 1, &limits);
        assert_eq!(leg.deadline(&limits), Some(Time(160)));
        leg.written(Time(70), 9, 99, &limits);
        assert_eq!((leg.unwritten_frames(), leg.unwritten_bytes()), (0, 0));
        assert_eq!(leg.deadline(&limits), None);
    }

    #[test]
    fn a_name_counts_its_openings_over_the_whole_session() {
        let mut legs = Legs::default();
        let name = LegName::new("model");
        for opening in 1..4 {
            let leg = legs.add(&name, Phase::Open, Attributes::new());
            assert_eq!(leg.incarnation, Incarnation(opening));
            legs.remove(&name);
        }
        assert!(legs.is_empty());
    }
}
