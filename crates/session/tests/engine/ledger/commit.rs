//! What an applied commit does, by the book.

use std::collections::BTreeMap;

use holdline_session::{
    Command, Commit, DropReason, Dropped, EndReason, Incarnation, InputKind, LegName, LegRef,
    LegState, Session, Time,
};

use super::{Ledger, Phase};

impl Ledger {
    /// Applies the commit that waits, if the engine did, and checks that it was right to.
    pub(super) fn applies(&mut self, session: &Session, now: Time) {
        let commits = session.account().commits;
        let applied = commits - std::mem::replace(&mut self.commits, commits);
        if applied == 0 {
            return;
        }
        assert_eq!(applied, 1);
        let commit = self.pending.take();
        let commit = commit.expect("only what a worker in force has sent is applied");
        assert!(!self.must_wait(&commit), "a leg was over its high mark");
        self.moves_on(now, &commit);
        self.schema = commit.schema;
        if commit.replace_state {
            self.state.clear();
        }
        for key in &commit.delete {
            self.state.remove(key);
        }
        self.state.extend(commit.put.iter().cloned());
        for (index, command) in (0..).zip(&commit.commands) {
            if let Err((leg, reason)) = self.does(now, command) {
                let through = commit.through;
                let dropped = Dropped {
                    through,
                    index,
                    leg,
                    reason,
                };
                if !self.is_closed {
                    self.step.must.push(InputKind::Dropped(dropped));
                }
            }
        }
    }

    /// Whether a commit has to wait: a leg that it writes to is over its high mark.
    pub(super) fn must_wait(&self, commit: &Commit) -> bool {
        commit.commands.iter().any(|command| match command {
            Command::Send { leg, .. } => self.legs.get(leg.as_str()).is_some_and(|leg| {
                leg.takes_frames() && leg.unwritten.iter().sum::<u64>() > self.limits.leg_high
            }),
            _ => false,
        })
    }

    fn moves_on(&mut self, now: Time, commit: &Commit) {
        let at = self.at.as_mut().expect("someone committed");
        let through = commit.through.0;
        assert!(through >= self.committed && through < at.next);
        if through > self.committed {
            at.waiting_since = now;
            at.serves = true;
        }
        let mut learnt = Vec::new();
        for seq in self.committed + 1..=through {
            let slot = &self.slots[usize::try_from(seq - 1).unwrap()];
            let received = at.received.contains(&seq);
            assert!(received || slot.is_dropped, "{seq} was done and never seen");
            if slot.is_dropped && !received {
                self.step.lost.push(seq);
            }
            if let Some(InputKind::TimerFired { tag, .. }) = &slot.kind {
                self.fired.remove(tag);
            }
            learnt.extend(slot.kind.clone());
        }
        self.committed = through;
        while at
            .outstanding
            .pop_front_if(|(seq, _)| *seq <= through)
            .is_some()
        {}
        for kind in learnt {
            self.learns(&kind);
        }
    }

    fn does(&mut self, now: Time, command: &Command) -> Result<(), (LegRef, DropReason)> {
        match command {
            Command::Send {
                leg,
                incarnation,
                payload,
            } => {
                if self.ending.is_some() {
                    return Err((named(leg, *incarnation), DropReason::Ending));
                }
                let to = self.takes(leg, *incarnation)?;
                let present = self.legs.get_mut(leg.as_str()).unwrap();
                present.unwritten.push_back(payload.len() as u64);
                self.step.sends.push((to, payload.bytes().clone()));
            }
            Command::OpenLeg {
                leg,
                upstream,
                attributes,
            } => {
                let reason = if self.ending.is_some() {
                    Some(DropReason::Ending)
                } else if upstream != "openai" {
                    Some(DropReason::UnknownUpstream)
                } else if leg.is_caller() || self.legs.contains_key(leg.as_str()) {
                    Some(DropReason::NameInUse)
                } else {
                    let full = self.legs.len() >= self.limits.legs as usize;
                    full.then_some(DropReason::TooManyLegs)
                };
                if let Some(reason) = reason {
                    return Err((named(leg, None), reason));
                }
                let leg = self.add_leg(leg.as_str(), Phase::Connecting, now);
                self.told_of(&leg, LegState::Connecting, attributes);
                self.step.dials.push(leg);
            }
            Command::CloseLeg {
                leg, incarnation, ..
            } => {
                let to = self.takes(leg, *incarnation)?;
                let present = self.legs.get_mut(leg.as_str()).unwrap();
                present.phase = Phase::Closing;
                present.since = now;
                self.told_to_close(&to);
                self.step.closes.push(to);
            }
            Command::SetTimer { name, after, tag } => {
                self.outdate(name);
                if self.ending.is_none() {
                    self.timers.insert(name.clone(), (now + *after, *tag));
                }
            }
            Command::CancelTimer { name } => {
                self.outdate(name);
                self.timers.remove(name);
            }
            Command::EndSession { hand_back, .. } => {
                self.told_to_close_all();
                let back = EndReason::HandedBack;
                self.end(now, if *hand_back { back } else { EndReason::Worker });
            }
        }
        Ok(())
    }

    /// Fires of this timer that nobody has committed yet are news of yesterday.
    fn outdate(&mut self, timer: &str) {
        let fired: &BTreeMap<u64, String> = &self.fired;
        let tags = fired.iter().filter(|(_, name)| *name == timer);
        self.stale.extend(tags.map(|(tag, _)| *tag));
    }

    /// The leg that a command means, if it still takes any.
    fn takes(
        &self,
        name: &LegName,
        incarnation: Option<Incarnation>,
    ) -> Result<LegRef, (LegRef, DropReason)> {
        let wanted = named(name, incarnation);
        let Some(leg) = self.legs.get(name.as_str()) else {
            return Err((wanted, DropReason::LegGone));
        };
        match incarnation {
            Some(Incarnation(old)) if old < leg.incarnation => {
                Err((wanted, DropReason::IncarnationGone))
            }
            Some(Incarnation(new)) if new > leg.incarnation => Err((wanted, DropReason::LegGone)),
            _ if !leg.takes_frames() => Err((wanted, DropReason::LegGone)),
            _ => Ok(LegRef::new(name.as_str(), leg.incarnation)),
        }
    }
}

fn named(leg: &LegName, incarnation: Option<Incarnation>) -> LegRef {
    LegRef {
        name: leg.clone(),
        incarnation: incarnation.unwrap_or_default(),
    }
}
