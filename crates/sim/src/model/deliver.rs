//! What workers are handed: the session as of its last commit, then every input after it.

use std::collections::VecDeque;

use holdline_session::{Attach, Gap, Input, InputKind, Notice, Time, ToWorker};

use super::{At, Check, Known, Model, ensure};
use crate::coverage::{Coverage, Mark};

impl Model {
    pub(super) fn told(
        &mut self,
        now: Time,
        epoch: u64,
        message: &ToWorker,
        coverage: &mut Coverage,
    ) -> Check {
        if let ToWorker::Attach(attach) = message {
            return self.attaches(now, epoch, attach, coverage);
        }
        let Some(at) = self.at.as_mut().filter(|at| at.epoch == epoch) else {
            ensure!(
                false,
                "only the worker in force is spoken to",
                "epoch {epoch}"
            );
            return Ok(());
        };
        match message {
            ToWorker::Release { .. } => {
                at.release_asked = Some(now);
                let next = self.link.asks_release(coverage);
                self.moves_link(next, "asks to release")?;
            }
            ToWorker::Inputs { inputs, applied } => {
                ensure!(
                    at.release_asked.is_none() || inputs.is_empty(),
                    "after Release comes nothing",
                    "{} inputs",
                    inputs.len()
                );
                self.step.untold = false;
                ensure!(
                    *applied == at.applied,
                    "a worker is told how many of its commits took effect",
                    "{applied}, not {}",
                    at.applied
                );
                for input in inputs {
                    self.delivered(now, input, coverage)?;
                }
            }
            ToWorker::Attach(_) => {}
        }
        Ok(())
    }

    fn attaches(
        &mut self,
        now: Time,
        epoch: u64,
        attach: &Attach,
        coverage: &mut Coverage,
    ) -> Check {
        ensure!(
            self.at.is_none(),
            "one worker at a time",
            "epoch {epoch} beside another"
        );
        let next = self.link.attaches(epoch, coverage);
        self.moves_link(next, "attaches")?;
        ensure!(
            attach.next_seq.0 == self.committed + 1,
            "replay begins after the last commit",
            "at {}, not {}",
            attach.next_seq,
            self.committed + 1
        );
        let state = attach.state.iter().map(|(key, value)| (key, value));
        ensure!(
            attach.schema == self.schema && state.eq(self.state.iter()),
            "a worker gets the state of the last commit",
            "{} keys of schema {}, not {} of {}",
            attach.state.len(),
            attach.schema,
            self.state.len(),
            self.schema
        );
        if self.ending.is_none() {
            self.attach_timers(now, attach)?;
        }
        self.check_told(&attach.legs)?;
        self.handoffs += u64::from(self.attached);
        self.attached = true;
        let serves = self.finds_nothing_to_do();
        if !serves {
            coverage.mark(Mark::Unproven);
        }
        self.at = Some(At {
            epoch,
            attached_at: now,
            next: attach.next_seq.0,
            outstanding: VecDeque::new(),
            waiting_since: now,
            release_asked: None,
            applied: 0,
            apart: self.target_apart,
            patience: match self.failed.len() {
                0 => self.limits.progress_timeout,
                1 => self.limits.progress_timeout * 2,
                _ => self.limits.progress_timeout * 4,
            },
            serves,
        });
        Ok(())
    }

    /// Whether no input waited in the moment in which a worker came.
    fn finds_nothing_to_do(&self) -> bool {
        let come = if self.step.by_clock {
            self.slots.len() as u64
        } else {
            self.step.had
        };
        come == self.committed
    }

    /// Timers are known to the next worker, and a handoff does not touch the time they have left.
    fn attach_timers(&self, now: Time, attach: &Attach) -> Check {
        let mut told: Vec<_> = attach
            .timers
            .iter()
            .map(|(name, left, tag)| (*tag, name.as_str(), *left))
            .collect();
        let running = self
            .timers
            .iter()
            .map(|(name, (due, tag))| (*tag, name.as_str(), due.since(now)));
        let fired = self
            .fired
            .iter()
            .filter(|(tag, _)| !self.stale.contains(tag))
            .map(|(tag, name)| (*tag, name.as_str(), std::time::Duration::ZERO));
        let mut expected: Vec<_> = running.chain(fired).collect();
        told.sort_unstable();
        expected.sort_unstable();
        ensure!(
            told == expected,
            "timers survive a handoff",
            "{told:?}, not {expected:?}"
        );
        Ok(())
    }

    fn delivered(&mut self, now: Time, input: &Input, coverage: &mut Coverage) -> Check {
        let first = match &input.kind {
            InputKind::Gap(gap) => gap.first.0,
            _ => input.seq.0,
        };
        let last = input.seq.0;
        let next = self.at.as_ref().map_or(0, |at| at.next);
        ensure!(
            first == next && last >= first && last <= self.slots.len() as u64,
            "inputs come in order and without a hole",
            "{first} to {last}, where {next} is next of {}",
            self.slots.len()
        );
        mark(&input.kind, coverage);
        if let InputKind::Gap(gap) = &input.kind {
            self.is_true_gap(gap)?;
        } else {
            self.is_what_happened(input)?;
            if is_of_legs(&input.kind) {
                self.turns.insert(input.seq.0, input.kind.clone());
            }
        }
        let doubted = self.doubted > self.committed;
        let bytes = match &input.kind {
            InputKind::Frame { payload, .. } => payload.len() as u64,
            _ => 0,
        };
        let Some(at) = &mut self.at else {
            return Ok(());
        };
        at.next = last + 1;
        if !matches!(input.kind, InputKind::Gap(_)) {
            self.slots[usize::try_from(first - 1).unwrap_or(usize::MAX)].handed_to = at.epoch;
        }
        if at.outstanding.is_empty() {
            at.waiting_since = now;
        }
        at.outstanding.push_back((last, bytes));
        let window = if doubted {
            1
        } else {
            self.limits.window_inputs as usize
        };
        let sum: u64 = at.outstanding.iter().map(|(_, bytes)| bytes).sum();
        let alone = at
            .outstanding
            .iter()
            .filter(|(_, bytes)| *bytes > 0)
            .count()
            <= 1;
        ensure!(
            at.outstanding.len() <= window && (alone || sum <= self.limits.window_bytes),
            "inputs go out on credit",
            "{} inputs of {sum} bytes, {window} are allowed",
            at.outstanding.len()
        );
        Ok(())
    }

    fn is_true_gap(&self, gap: &Gap) -> Check {
        let index = |seq: u64| usize::try_from(seq).unwrap_or(usize::MAX);
        let slots = &self.slots[index(gap.first.0 - 1)..index(gap.last.0)];
        let frames = slots.len() as u64;
        ensure!(
            slots.iter().all(|slot| slot.is_dropped)
                && (gap.size.frames, gap.size.media_ms) == (frames, 20 * frames),
            "a gap is what was dropped, and nothing else",
            "{gap:?}"
        );
        Ok(())
    }

    /// What is delivered under a seq is what happened, each time that it is delivered.
    fn is_what_happened(&mut self, input: &Input) -> Check {
        let count = self.slots.len() as u64;
        let index = usize::try_from(input.seq.0 - 1).unwrap_or(usize::MAX);
        let slot = &mut self.slots[index];
        let got = Known::new(&input.kind);
        ensure!(
            !slot.is_dropped && slot.at == input.at,
            "an input keeps its time, and none comes back",
            "{} at {}, not {}",
            input.seq,
            input.at,
            slot.at
        );
        if let InputKind::TimerFired { tag, stale, .. } = &input.kind {
            let is_stale = self.stale.contains(tag);
            ensure!(
                *stale == is_stale,
                "stale is what was set again or cancelled since",
                "{} says {stale}",
                input.seq
            );
        }
        if let InputKind::SessionEnded { .. } = &input.kind {
            ensure!(
                input.seq.0 == count,
                "nothing comes after the end",
                "{} of {count}",
                input.seq
            );
        }
        if let Some(known) = slot.known {
            ensure!(
                known.essence == got.essence,
                "an input stays what it is",
                "{} became {:?}",
                input.seq,
                input.kind
            );
            return Ok(());
        }
        let group = self.groups.get_mut(slot.group);
        let place = group.as_ref().and_then(|group| {
            let same = |known: &Known| known.essence == got.essence;
            group.iter().position(same)
        });
        let (Some(group), Some(place)) = (group, place) else {
            ensure!(
                false,
                "nothing is delivered that did not happen",
                "{} is {:?}",
                input.seq,
                input.kind
            );
            return Ok(());
        };
        group.swap_remove(place);
        slot.known = Some(got);
        Ok(())
    }
}

fn is_of_legs(kind: &InputKind) -> bool {
    matches!(
        kind,
        InputKind::LegOpened { .. } | InputKind::LegClosed { .. } | InputKind::LegReplaced { .. }
    )
}

fn mark(kind: &InputKind, coverage: &mut Coverage) {
    let mark = match kind {
        InputKind::Gap(_) => Mark::GapDelivered,
        InputKind::TimerFired { stale: true, .. } => Mark::StaleTimer,
        InputKind::TimerFired { .. } => Mark::TimerFired,
        InputKind::LegReplaced { .. } => Mark::LegReplaced,
        InputKind::Notice(Notice::Hold { audio_ms: 1.., .. }) => Mark::HoldNoticeSound,
        InputKind::Notice(Notice::Hold { .. }) => Mark::HoldNotice,
        InputKind::Notice(Notice::Deadline { .. }) => Mark::DeadlineNotice,
        InputKind::Notice(Notice::StateNearLimit { .. }) => Mark::StateNotice,
        _ => return,
    };
    coverage.mark(mark);
}
