//! Legs and timers, and how the end treats both.

use std::collections::VecDeque;

use holdline_session::{
    Attributes, Close, EndReason, Fault, Incarnation, InputKind, LegName, LegRef, Output, Report,
    Session, Time,
};

use super::{Ledger, Leg, Phase};

impl Ledger {
    pub(super) fn add_leg(&mut self, name: &str, phase: Phase, now: Time) -> LegRef {
        let incarnation = self.incarnations.entry(name.to_owned()).or_default();
        *incarnation += 1;
        let leg = Leg {
            incarnation: *incarnation,
            phase,
            since: now,
            stopped: false,
            unwritten: VecDeque::new(),
            unwritten_sound: 0,
        };
        let leg_ref = LegRef::new(name, *incarnation);
        self.legs.insert(name.to_owned(), leg);
        leg_ref
    }

    pub(super) fn present(&mut self, leg: &LegRef) -> Option<&mut Leg> {
        let present = self.legs.get_mut(leg.name.as_str())?;
        (Incarnation(present.incarnation) == leg.incarnation).then_some(present)
    }

    /// A leg's socket is gone; says what it leaves unwritten, where that is news.
    pub(super) fn closes(&mut self, now: Time, leg: &LegRef, fault: Fault) -> Option<u64> {
        let running = self.ending.is_none();
        let present = self.present(leg)?;
        if present.phase == Phase::Awaited {
            return None;
        }
        let unsent = present.unwritten.len() as u64;
        let may_return = leg.name.is_caller()
            && running
            && present.phase == Phase::Open
            && fault == Fault::Network
            && !present.stopped;
        if may_return {
            present.phase = Phase::Awaited;
            present.since = now;
            present.unwritten.clear();
            present.unwritten_sound = 0;
        } else {
            self.step.caller_closed |= leg.name.is_caller();
            self.legs.remove(leg.name.as_str());
        }
        Some(unsent)
    }

    pub(super) fn caller_returns(
        &mut self,
        now: Time,
        attributes: &Attributes,
    ) -> Option<InputKind> {
        let old = self
            .leg_ref(LegName::CALLER)
            .filter(|_| self.ending.is_none())?;
        let leg = self.legs.remove(LegName::CALLER)?;
        if leg.phase != Phase::Awaited {
            self.step.closes.push(old.clone());
        }
        let new = self.add_leg(LegName::CALLER, Phase::Open, now);
        Some(InputKind::LegReplaced {
            name: old.name,
            old: old.incarnation,
            new: new.incarnation,
            attributes: attributes.clone(),
            unsent_frames: leg.unwritten.len() as u64,
        })
    }

    pub(super) fn fire_timers(&mut self, now: Time, ends: bool) {
        let due: Vec<_> = self
            .timers
            .extract_if(.., |_, (due, _)| *due <= now)
            .collect();
        for (name, (_, tag)) in due {
            self.fired.insert(tag, name.clone());
            let stale = false;
            let kind = InputKind::TimerFired { name, tag, stale };
            let list = if ends {
                &mut self.step.may
            } else {
                &mut self.step.must
            };
            list.push(kind);
        }
    }

    pub(super) fn writes_time_out(&mut self, now: Time, out: &[Output]) {
        let high = self.limits.leg_high;
        for output in out {
            if let Output::Report(Report::WriteTimeout { leg }) = output
                && let Some(present) = self.present(leg).filter(|leg| leg.takes_frames())
            {
                assert!(present.unwritten.iter().sum::<u64>() > high);
                present.phase = Phase::Closing;
                present.since = now;
                self.step.closes.push(leg.clone());
            }
        }
    }

    /// Legs that the engine no longer waits for.
    pub(super) fn legs_vanish(&mut self, session: &Session, now: Time) {
        let stand: Vec<_> = session
            .view(now)
            .legs
            .into_iter()
            .map(|leg| (leg.name.as_str().to_owned(), leg.incarnation.0))
            .collect();
        let gone: Vec<_> = self
            .legs
            .extract_if(.., |name, leg| {
                // An awaited caller has no socket: it goes with the end of the session.
                leg.phase != Phase::Awaited && !stand.contains(&(name.clone(), leg.incarnation))
            })
            .collect();
        for (name, leg) in gone {
            let waited = now.since(leg.since);
            match leg.phase {
                Phase::Closing => {
                    assert!(waited >= self.limits.close_timeout, "it still had time");
                    self.step.caller_closed |= name == LegName::CALLER;
                    self.step.must.push(InputKind::LegClosed {
                        leg: LegRef::new(&name, leg.incarnation),
                        close: any_close(),
                        unsent_frames: leg.unwritten.len() as u64,
                    });
                }
                _ => panic!("{name} vanished"),
            }
        }
    }

    /// The end begins: every leg is closed, no timer fires any more.
    pub(super) fn end(&mut self, now: Time, reason: EndReason) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(reason);
        self.timers.clear();
        let awaited = self
            .legs
            .extract_if(.., |_, leg| leg.phase == Phase::Awaited)
            .next();
        if let Some((_, caller)) = awaited
            && reason == EndReason::CallerLost
        {
            assert!(now.since(caller.since) >= self.limits.resume_window);
        }
        for (name, leg) in &mut self.legs {
            if leg.takes_frames() {
                leg.phase = Phase::Closing;
                leg.since = now;
                self.step.closes.push(LegRef::new(name, leg.incarnation));
            }
        }
    }
}

/// Stands for a close whose words do not matter.
fn any_close() -> Close {
    Close {
        code: 0,
        reason: String::new(),
        fault: Fault::None,
        dial_failed: false,
    }
}
