//! What an applied commit does, by the book, and what the program must have written into it.

use holdline_session::{
    Command, Commit, DropReason, Dropped, EndReason, Incarnation, InputKind, LegName, LegRef,
    LegState, Notice, Time,
};

use super::{Check, Known, Model, Phase, ensure};
use crate::{
    coverage::{Coverage, Mark},
    digest::{fold, fold_gap},
    program::{prefix, read_u64},
    shell::Shell,
};

impl Model {
    /// Whether the engine applied a commit in this step; if so, there has to be one.
    pub(super) fn is_applied(&mut self, shell: &Shell) -> Result<bool, super::Broken> {
        let commits = shell.account().commits;
        let before = std::mem::replace(&mut self.commits, commits);
        ensure!(
            commits >= before,
            "what is applied stays applied",
            "{commits} commits, and {before} before"
        );
        let applied = commits - before;
        ensure!(
            applied <= u64::from(self.pending.is_some()),
            "a commit is applied once, and only one of the worker in force",
            "{applied} were applied, and {} could be",
            u64::from(self.pending.is_some())
        );
        Ok(applied == 1)
    }

    /// Applies the commit that waits.
    pub(super) fn applies(&mut self, now: Time, coverage: &mut Coverage) -> Check {
        let Some(commit) = self.pending.take() else {
            return Ok(());
        };
        ensure!(
            !self.must_wait(&commit),
            "a commit waits for a leg over its high mark",
            "commit through {} did not",
            commit.through
        );
        if commit.through.0 == self.committed {
            coverage.mark(Mark::Repeated);
        }
        self.moves_on(now, &commit)?;
        self.changes_state(&commit)?;
        for (index, command) in (0..).zip(&commit.commands) {
            if let Err((leg, reason)) = self.does(now, command)? {
                let dropped = Dropped {
                    through: commit.through,
                    index,
                    leg,
                    reason,
                };
                if !self.is_closed {
                    let kind = InputKind::Dropped(dropped);
                    self.step.must.push(Known::new(&kind));
                }
            }
        }
        self.warns_of_state();
        Ok(())
    }

    /// Whether a commit has to wait: a leg that it writes to is over its high mark.
    pub(super) fn must_wait(&self, commit: &Commit) -> bool {
        commit.commands.iter().any(|command| match command {
            Command::Send { leg, .. } => self.legs.get(leg.as_str()).is_some_and(|leg| {
                leg.takes_frames() && leg.unwritten_bytes() > self.limits.leg_high
            }),
            _ => false,
        })
    }

    fn moves_on(&mut self, now: Time, commit: &Commit) -> Check {
        let through = commit.through.0;
        let suspicion = self.suspicion();
        let Some(at) = &mut self.at else {
            return Ok(());
        };
        at.applied += 1;
        let epoch = at.epoch;
        if through > self.committed {
            at.waiting_since = now;
            at.serves = true;
            let usual = self.limits.progress_timeout;
            if now.since(at.attached_at) >= usual * 10 {
                at.patience = usual;
            }
            self.loss_at = None;
            self.strikes = 0;
            self.failed.clear();
        }
        while at
            .outstanding
            .pop_front_if(|(seq, _)| *seq <= through)
            .is_some()
        {}
        for seq in self.committed + 1..=through {
            let slot = &self.slots[usize::try_from(seq - 1).unwrap_or(usize::MAX)];
            if slot.handed_to == epoch {
                let essence = slot.known.map_or(0, |known| known.essence);
                self.digest = fold(self.digest, seq, essence);
            } else {
                ensure!(
                    slot.is_dropped,
                    "what is done was seen",
                    "input {seq} is committed by epoch {epoch}, which never had it"
                );
                self.step.lost.push_back(seq);
                self.digest = fold_gap(self.digest, seq);
            }
            if let Some(tag) = slot.known.and_then(|known| known.tag) {
                self.fired.remove(&tag);
            }
        }
        self.committed = through;
        self.learn_of_legs(through);
        let left = self.suspicion();
        self.step.cleared = (left < suspicion).then_some(left);
        Ok(())
    }

    fn changes_state(&mut self, commit: &Commit) -> Check {
        self.schema = commit.schema;
        if commit.replace_state {
            self.state.clear();
        }
        for key in &commit.delete {
            self.state.remove(key);
        }
        self.state.extend(commit.put.iter().cloned());
        let front = prefix(self.schema);
        let number = |key: &str| self.state.get(&format!("{front}{key}")).map(read_u64);
        let (count, digest) = (number("n"), number("d"));
        ensure!(
            (count, digest) == (Some(self.committed), Some(self.digest)),
            "the state is made of every input, once and in order",
            "{count:?} inputs with digest {digest:x?}, not {} with {:x}",
            self.committed,
            self.digest
        );
        Ok(())
    }

    fn does(
        &mut self,
        now: Time,
        command: &Command,
    ) -> Result<Result<(), (LegRef, DropReason)>, super::Broken> {
        match command {
            Command::Send {
                leg,
                incarnation,
                payload,
            } => {
                if self.ending.is_some() {
                    return Ok(Err((named(leg, *incarnation), DropReason::Ending)));
                }
                let to = match self.takes(leg, *incarnation) {
                    Ok(to) => to,
                    Err(why) => return Ok(Err(why)),
                };
                if let Some(present) = self.legs.get_mut(leg.as_str()) {
                    present.unwritten.push_back(payload.len() as u64);
                }
                self.step.sends.push_back((to, payload.clone()));
            }
            Command::OpenLeg {
                leg,
                upstream,
                attributes,
            } => {
                if let Some(reason) = self.cannot_open(leg, upstream) {
                    return Ok(Err((named(leg, None), reason)));
                }
                let leg = self.add_leg(leg.as_str(), Phase::Connecting, now);
                self.tell(&leg, LegState::Connecting, attributes.clone());
                self.step.dials.push_back(leg);
            }
            Command::CloseLeg {
                leg, incarnation, ..
            } => {
                let to = match self.takes(leg, *incarnation) {
                    Ok(to) => to,
                    Err(why) => return Ok(Err(why)),
                };
                if let Some(present) = self.legs.get_mut(leg.as_str()) {
                    present.phase = Phase::Closing;
                    present.since = now;
                }
                self.tell_closing(&to);
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
                self.tell_all_closing();
                let back = EndReason::HandedBack;
                self.end(now, if *hand_back { back } else { EndReason::Worker })?;
            }
        }
        Ok(Ok(()))
    }

    fn cannot_open(&self, leg: &LegName, upstream: &str) -> Option<DropReason> {
        if self.ending.is_some() {
            Some(DropReason::Ending)
        } else if upstream != "model" {
            Some(DropReason::UnknownUpstream)
        } else if leg.is_caller() || self.legs.contains_key(leg.as_str()) {
            Some(DropReason::NameInUse)
        } else {
            let full = self.legs.len() >= self.limits.legs as usize;
            full.then_some(DropReason::TooManyLegs)
        }
    }

    /// Fires of this timer that nobody has committed yet are news of yesterday.
    fn outdate(&mut self, timer: &str) {
        let tags = self.fired.iter().filter(|(_, name)| *name == timer);
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
            _ => Ok(LegRef {
                name: name.clone(),
                incarnation: Incarnation(leg.incarnation),
            }),
        }
    }

    /// A notice at 80 % of the limit, and again only after it was below 70 %.
    fn warns_of_state(&mut self) {
        let bytes: usize = self
            .state
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        let (bytes, limit) = (bytes as u64, self.limits.state_bytes);
        if bytes * 100 < limit * 70 {
            self.state_warned = false;
        } else if bytes * 100 >= limit * 80 && !self.state_warned {
            self.state_warned = true;
            if !self.is_closed {
                let notice = Notice::StateNearLimit { bytes, limit };
                self.step.must.push(Known::new(&InputKind::Notice(notice)));
            }
        }
    }
}

fn named(leg: &LegName, incarnation: Option<Incarnation>) -> LegRef {
    LegRef {
        name: leg.clone(),
        incarnation: incarnation.unwrap_or_default(),
    }
}
