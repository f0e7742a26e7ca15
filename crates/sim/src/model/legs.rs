//! Legs and timers, and how the end treats both.

use std::collections::VecDeque;

use holdline_session::{
    Attributes, Class, Close, EndReason, Fault, Frame, Incarnation, InputKind, LegName, LegRef,
    Output, Report, Time,
};

use super::{Check, First, Known, Model, ensure};
use crate::shell::Shell;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Connecting,
    Open,
    Closing,
    Awaited,
}

#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub(super) incarnation: u32,
    pub(super) phase: Phase,
    /// Since when it is in this phase.
    pub(super) since: Time,
    pub(super) stopped: bool,
    /// It took nothing for too long.
    stuck: bool,
    pub(super) unwritten: VecDeque<u64>,
    /// Pieces of hold sound that its socket has not taken.
    pub(super) unwritten_sound: u64,
}

impl Leg {
    pub(super) fn takes_frames(&self) -> bool {
        matches!(self.phase, Phase::Connecting | Phase::Open)
    }

    pub(super) fn unwritten_bytes(&self) -> u64 {
        self.unwritten.iter().sum()
    }
}

impl Model {
    pub(super) fn add_leg(&mut self, name: &str, phase: Phase, now: Time) -> LegRef {
        let incarnation = self.incarnations.entry(name.to_owned()).or_default();
        *incarnation += 1;
        let leg = Leg {
            incarnation: *incarnation,
            phase,
            since: now,
            stopped: false,
            stuck: false,
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

    pub(super) fn frame_comes(&mut self, leg: &LegRef, frame: &Frame) {
        let is_caller = leg.name.is_caller();
        let open = self.present(leg).filter(|leg| leg.phase == Phase::Open);
        let Some(present) = open else { return };
        if frame.class == Class::Stop {
            present.stopped = true;
            if is_caller {
                self.step.caller_gone = Some(EndReason::CallerHungUp);
            }
        }
        let kind = InputKind::Frame {
            leg: leg.clone(),
            payload: frame.payload.clone(),
        };
        self.step.first = Some(First {
            known: Known::new(&kind),
            bytes: frame.payload.len() as u64,
            is_media: is_caller && matches!(frame.class, Class::Media { .. }),
            is_frame: true,
        });
    }

    /// A leg's socket is gone; says what it leaves unwritten, where that is news.
    pub(super) fn closes(&mut self, now: Time, leg: &LegRef, fault: Fault) -> Option<u64> {
        let running = self.ending.is_none();
        let awaits = !self.limits.resume_window.is_zero();
        let present = self
            .present(leg)
            .filter(|leg| leg.phase != Phase::Awaited)?;
        let unsent = present.unwritten.len() as u64;
        let ordinary = present.stopped || fault == Fault::None;
        let may_return = leg.name.is_caller()
            && running
            && awaits
            && present.phase == Phase::Open
            && !ordinary
            && fault != Fault::Peer;
        if may_return {
            present.phase = Phase::Awaited;
            present.since = now;
            present.unwritten.clear();
            present.unwritten_sound = 0;
            return Some(unsent);
        }
        let reason = match (present.phase, fault) {
            _ if present.stuck => EndReason::CallerLost,
            (Phase::Closing, _) => EndReason::Worker,
            _ if ordinary => EndReason::CallerHungUp,
            (_, Fault::Peer) => EndReason::CallerProtocol,
            _ => EndReason::CallerLost,
        };
        if leg.name.is_caller() {
            self.step.caller_gone = Some(reason);
        }
        self.legs.remove(leg.name.as_str());
        Some(unsent)
    }

    pub(super) fn caller_returns(
        &mut self,
        now: Time,
        attributes: &Attributes,
    ) -> Option<InputKind> {
        if self.ending.is_some() {
            return None;
        }
        let leg = self.legs.remove(LegName::CALLER)?;
        let old = LegRef::new(LegName::CALLER, leg.incarnation);
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

    /// Timers that are due fire in this step, all of them, and never again. Where the session ends
    /// in the same step, they may be called off.
    pub(super) fn fire_timers(&mut self, now: Time, ends: bool) {
        if self.timers.values().all(|(due, _)| *due > now) {
            return;
        }
        let due: Vec<_> = self
            .timers
            .extract_if(.., |_, (due, _)| *due <= now)
            .collect();
        for (name, (_, tag)) in due {
            self.fired.insert(tag, name.clone());
            let stale = false;
            let known = Known::new(&InputKind::TimerFired { name, tag, stale });
            if ends {
                self.step.may.push(known);
            } else {
                self.step.must.push(known);
            }
        }
    }

    pub(super) fn writes_time_out(&mut self, now: Time, out: &[Output]) -> Check {
        let high = self.limits.leg_high;
        for output in out {
            if let Output::Report(Report::WriteTimeout { leg }) = output
                && let Some(present) = self.present(leg).filter(|leg| leg.takes_frames())
            {
                let bytes = present.unwritten_bytes();
                ensure!(
                    bytes > high,
                    "only a leg over its mark times out",
                    "{leg} has {bytes}"
                );
                present.phase = Phase::Closing;
                present.stuck = true;
                present.since = now;
                self.step.closes.push(leg.clone());
            }
        }
        Ok(())
    }

    /// Legs that the engine no longer waits for.
    pub(super) fn legs_vanish(&mut self, shell: &Shell, now: Time) -> Check {
        let bound = self.limits.close_timeout;
        let overdue = |leg: &Leg| leg.phase == Phase::Closing && now.since(leg.since) >= bound;
        if !self.legs.values().any(overdue) {
            return Ok(());
        }
        let gone: Vec<_> = self
            .legs
            .extract_if(.., |name, leg| {
                overdue(leg) && shell.leg_state(&LegName::new(name)).is_none()
            })
            .collect();
        for (name, leg) in gone {
            if name == LegName::CALLER {
                let reason = if leg.stuck {
                    EndReason::CallerLost
                } else {
                    EndReason::Worker
                };
                self.step.caller_gone = Some(reason);
            }
            self.step.must.push(Known::new(&InputKind::LegClosed {
                leg: LegRef::new(&name, leg.incarnation),
                close: unfinished(),
                unsent_frames: leg.unwritten.len() as u64,
            }));
        }
        Ok(())
    }

    /// The end begins: every leg is closed, no timer fires any more.
    pub(super) fn end(&mut self, now: Time, reason: EndReason) -> Check {
        if self.ending.is_some() {
            return Ok(());
        }
        self.ending = Some(reason);
        self.timers.clear();
        let awaited = self
            .legs
            .extract_if(.., |_, leg| leg.phase == Phase::Awaited)
            .next();
        self.step.was_awaited = awaited.is_some();
        if let Some((_, caller)) = awaited
            && reason == EndReason::CallerLost
        {
            let waited = now.since(caller.since);
            ensure!(
                waited >= self.limits.resume_window,
                "a lost caller is awaited",
                "only {waited:?}"
            );
        }
        for (name, leg) in &mut self.legs {
            if leg.takes_frames() {
                leg.phase = Phase::Closing;
                leg.since = now;
                self.step.closes.push(LegRef::new(name, leg.incarnation));
            }
        }
        Ok(())
    }

    /// An end has a reason, and it is the right one.
    pub(super) fn check_reason(&self, reason: EndReason) -> Check {
        let awaited = |leg: &Leg| leg.phase == Phase::Awaited;
        let lost = self.legs.get(LegName::CALLER).is_some_and(awaited);
        match reason {
            // Checked where it shows: when all drops of the step are noted, where the loss is
            // reported, and where the commit is applied.
            EndReason::GaveUp
            | EndReason::LogOverflow
            | EndReason::Poisoned
            | EndReason::Worker
            | EndReason::HandedBack => {}
            reason => ensure!(
                self.step.caller_gone == Some(reason)
                    || self.step.asked == Some(reason)
                    || (lost && reason == EndReason::CallerLost),
                "an end is called what it is",
                "{reason:?}, not {:?} or {:?}",
                self.step.caller_gone,
                self.step.asked
            ),
        }
        Ok(())
    }
}

/// What stands for a close that was never finished: there was no close frame.
fn unfinished() -> Close {
    Close {
        code: 1006,
        reason: String::new(),
        fault: Fault::None,
        dial_failed: false,
    }
}
