//! What comes into the log, and what goes out to workers and legs.

use std::collections::{BTreeSet, VecDeque};

use holdline_session::{
    Attach, Gap, HangupCause, Input, InputKind, Notice, Output, Report, Session, Time, ToWorker,
};

use super::{At, Ledger, Slot, gaps};

impl Ledger {
    /// As many inputs came as something happened, and what they are is remembered.
    pub(super) fn appends(&mut self, session: &Session, now: Time, out: &[Output]) {
        for output in out {
            if let Output::Report(Report::HoldEnded { held, audio_ms }) = output
                && !self.is_closed
            {
                let notice = Notice::Hold {
                    held: *held,
                    audio_ms: *audio_ms,
                };
                self.step.must.push(InputKind::Notice(notice));
            }
        }
        let first = self.step.first.take();
        let count = self.step.must.len() + usize::from(first.is_some());
        let kept = self.slots.len() - usize::try_from(self.committed).unwrap();
        // A log that is full of control frames while the session already ends takes no more.
        let crammed = self.ending.is_some()
            && (kept + count >= self.limits.log_frames as usize
                || self.kept_weight() >= self.limits.log_bytes);
        let mut group = std::mem::take(&mut self.step.must);
        let mut least = count;
        let mut known = first;
        if crammed {
            least = 0;
            if known
                .as_ref()
                .is_some_and(|(kind, _)| !matches!(kind, InputKind::Frame { .. }))
            {
                group.extend(known.take().map(|(kind, _)| kind));
            }
        }
        group.append(&mut self.step.may);
        let most = group.len() + usize::from(known.is_some());
        let ends = self
            .ending
            .filter(|_| self.legs.is_empty() && !self.is_closed);
        let last = usize::from(ends.is_some());
        let last_seq = usize::try_from(session.view(now).last.0).unwrap();
        let came = last_seq - self.slots.len();
        assert!(
            (least + last..=most + last).contains(&came),
            "{came} inputs came, not {least} to {most} and {last}: {group:?}"
        );
        let step = self.groups.len();
        if let Some(reason) = ends {
            self.is_closed = true;
            group.push(InputKind::SessionEnded {
                reason,
                detail: String::new(),
                fault: reason.fault(),
            });
        }
        self.groups.push(group);
        for _ in 0..came {
            let (kind, is_media) = match known.take() {
                Some((kind, is_media)) => (Some(kind), is_media),
                None => (None, false),
            };
            self.slots.push(Slot {
                at: now,
                step,
                kind,
                is_media,
                is_dropped: false,
            });
        }
    }

    /// Media was dropped: the oldest of the caller's, and only for a reason.
    pub(super) fn drops(&mut self, session: &Session, now: Time, out: &[Output]) {
        let committed = usize::try_from(session.view(now).committed.0).unwrap();
        for gap in gaps(out, |report| match report {
            Report::MediaDropped(gap) => Some(gap),
            _ => None,
        }) {
            assert_eq!((gap.first, gap.size.frames), (gap.last, 1));
            let index = usize::try_from(gap.first.0).unwrap() - 1;
            if self.slots.get(index).is_none_or(|slot| slot.is_dropped) {
                continue;
            }
            let kept = &self.slots[usize::try_from(self.committed).unwrap()..];
            let kept = kept.iter().filter(|slot| !slot.is_dropped).count();
            let coming = usize::try_from(session.view(now).last.0).unwrap() - self.slots.len();
            let full = kept + coming.max(1) >= self.limits.log_frames as usize;
            let weight = self.weight(gap.size.bytes);
            let heavy = self.kept_weight() + weight >= self.limits.log_bytes;
            let slot = &self.slots[index];
            let old = now.since(slot.at) > self.limits.log_age;
            assert!(full || heavy || old, "dropped without need");
            assert!(slot.is_media && slot.bytes() == gap.size.bytes);
            let older = self.slots[..index].iter().skip(committed);
            assert_eq!(
                older
                    .filter(|slot| slot.is_media && !slot.is_dropped)
                    .count(),
                0
            );
            self.slots[index].is_dropped = true;
            self.media_dropped += 1;
        }
    }

    pub(super) fn outputs(&mut self, session: &Session, now: Time, out: &[Output]) {
        let (mut sends, mut dials, mut closes) = (Vec::new(), Vec::new(), Vec::new());
        for (index, output) in out.iter().enumerate() {
            match output {
                Output::Send { leg, payload } => sends.push((leg.clone(), payload.bytes().clone())),
                Output::OpenLeg { leg, .. } => dials.push(leg.clone()),
                Output::CloseLeg { leg, .. } => closes.push(leg.clone()),
                Output::Seek(seek) => {
                    assert!(seek.epoch.0 > self.last_epoch, "epochs only grow");
                    self.last_epoch = seek.epoch.0;
                }
                Output::ToWorker { epoch, message } => self.told(now, epoch.0, message),
                Output::HoldSound { leg, piece } => self.sounds(now, leg, *piece),
                Output::Hangup { epoch, cause } => self.hung_up(now, epoch.0, cause),
                Output::Report(Report::Lost { .. }) => {
                    let (committed, delivered) = self.position();
                    self.losses.push(committed);
                    let done = self.pending.as_ref().map_or(committed, |it| it.through.0);
                    if delivered > done {
                        self.doubted = self.doubted.max(delivered);
                    }
                }
                Output::Report(Report::HoldEnded { audio_ms, .. }) => {
                    assert_eq!(*audio_ms, self.hold.audio_ms());
                }
                Output::Report(Report::EndLost { inputs }) => self.end_lost = *inputs,
                Output::Report(_) => {}
                Output::Finished => {
                    assert_eq!(index + 1, out.len(), "Finished is the last word");
                    self.is_finished = true;
                }
            }
        }
        assert_eq!(
            sends, self.step.sends,
            "each applied command once, and nothing else"
        );
        assert_eq!(dials, self.step.dials);
        closes.sort();
        self.step.closes.sort();
        assert_eq!(closes, self.step.closes);
        self.lost_media(out);
        assert!(
            !std::mem::take(&mut self.refusal_due),
            "it should have been refused"
        );
        if let Some(commit) = &self.pending {
            assert!(self.must_wait(commit), "a commit waits for nothing");
        }
        self.hears_enough(session, now);
    }

    fn lost_media(&mut self, out: &[Output]) {
        let said = gaps(out, |report| match report {
            Report::MediaLost(gap) => Some(gap),
            _ => None,
        });
        let said: Vec<_> = said
            .iter()
            .flat_map(|gap| gap.first.0..=gap.last.0)
            .collect();
        assert_eq!(said, self.step.lost, "loss is always said, and only loss");
        self.media_lost += said.len() as u64;
    }

    fn hung_up(&mut self, now: Time, epoch: u64, cause: &HangupCause) {
        let refused = matches!(cause, HangupCause::Refused { .. });
        assert_eq!(refused, std::mem::take(&mut self.refusal_due), "{cause:?}");
        let Some(at) = self.at.take_if(|at| at.epoch == epoch) else {
            return;
        };
        self.begins_alone(now, &at);
        self.pending = None;
        if *cause == HangupCause::Stuck {
            assert!(!at.outstanding.is_empty());
            assert!(now.since(at.waiting_since) >= self.limits.progress_timeout);
        }
    }

    fn told(&mut self, now: Time, epoch: u64, message: &ToWorker) {
        if let ToWorker::Attach(attach) = message {
            assert!(self.at.is_none(), "one worker at a time");
            self.attached(now, attach);
            self.at = Some(At {
                epoch,
                next: attach.next_seq.0,
                received: BTreeSet::new(),
                outstanding: VecDeque::new(),
                waiting_since: now,
                release_asked: false,
                serves: self.slots.len() as u64 == self.committed,
            });
            return;
        }
        let at = self.at.as_mut().expect("someone is attached");
        assert_eq!(at.epoch, epoch, "only the worker in force is spoken to");
        match message {
            ToWorker::Release { .. } => at.release_asked = true,
            ToWorker::Inputs { inputs, .. } => {
                assert!(
                    !at.release_asked || inputs.is_empty(),
                    "it was asked to let go"
                );
                for input in inputs {
                    self.delivered(now, input);
                }
            }
            ToWorker::Attach(_) => {}
        }
    }

    /// A worker gets the session exactly as of the last applied commit.
    fn attached(&self, now: Time, attach: &Attach) {
        assert_eq!(attach.next_seq.0, self.committed + 1);
        assert_eq!(attach.schema, self.schema);
        let state: Vec<_> = self.state.clone().into_iter().collect();
        assert_eq!(attach.state, state);
        self.check_told(&attach.legs);
        if self.ending.is_some() {
            return;
        }
        let mut timers: Vec<_> = attach
            .timers
            .iter()
            .map(|(name, _, tag)| (*tag, name.clone()))
            .collect();
        let fired = self
            .fired
            .iter()
            .filter(|(tag, _)| !self.stale.contains(tag));
        let running = self
            .timers
            .iter()
            .map(|(name, (_, tag))| (*tag, name.clone()));
        let mut expected: Vec<_> = running
            .chain(fired.map(|(tag, name)| (*tag, name.clone())))
            .collect();
        timers.sort();
        expected.sort();
        assert_eq!(timers, expected);
        for (name, left, _) in &attach.timers {
            let due = self.timers.get(name).map(|(due, _)| due.since(now));
            assert!(
                left.is_zero() || due == Some(*left),
                "{name} keeps its time"
            );
        }
    }

    fn delivered(&mut self, now: Time, input: &Input) {
        let (first, last) = match &input.kind {
            InputKind::Gap(gap) => (gap.first.0, gap.last.0),
            _ => (input.seq.0, input.seq.0),
        };
        assert_eq!(last, input.seq.0);
        if let InputKind::Gap(gap) = &input.kind {
            self.is_true_gap(gap);
        } else {
            self.is_what_happened(input);
        }
        let doubted = self.doubted > self.committed;
        let at = self.at.as_mut().unwrap();
        assert_eq!(first, at.next, "in order and without a hole");
        at.next = last + 1;
        if !matches!(input.kind, InputKind::Gap(_)) {
            at.received.insert(first);
        }
        if at.outstanding.is_empty() {
            at.waiting_since = now;
        }
        let bytes = match &input.kind {
            InputKind::Frame { payload, .. } => payload.len() as u64,
            _ => 0,
        };
        at.outstanding.push_back((last, bytes));
        let window = if doubted {
            1
        } else {
            self.limits.window_inputs as usize
        };
        assert!(at.outstanding.len() <= window, "beyond the window");
        let sum: u64 = at.outstanding.iter().map(|(_, bytes)| bytes).sum();
        assert!(
            sum <= self.limits.window_bytes,
            "beyond the window, in bytes"
        );
    }

    fn is_true_gap(&self, gap: &Gap) {
        let index = |seq: u64| usize::try_from(seq).unwrap();
        let slots = &self.slots[index(gap.first.0 - 1)..index(gap.last.0)];
        assert!(
            slots.iter().all(|slot| slot.is_dropped),
            "nothing vanishes that was kept"
        );
        let frames = slots.len() as u64;
        assert_eq!((gap.size.frames, gap.size.media_ms), (frames, 20 * frames));
    }

    /// What is delivered under a seq is what happened, each time that it is delivered.
    fn is_what_happened(&mut self, input: &Input) {
        let count = self.slots.len() as u64;
        let slot = &mut self.slots[usize::try_from(input.seq.0).unwrap() - 1];
        assert!(!slot.is_dropped && slot.at == input.at);
        if let InputKind::TimerFired { tag, stale, .. } = &input.kind {
            assert_eq!(
                *stale,
                self.stale.contains(tag),
                "stale is what was set again since"
            );
        }
        if let InputKind::SessionEnded { .. } = &input.kind {
            assert_eq!(input.seq.0, count, "nothing comes after the end");
        }
        if let Some(kind) = &slot.kind {
            assert!(same(kind, &input.kind), "{kind:?} became {:?}", input.kind);
            return;
        }
        let group = &mut self.groups[slot.step];
        let place = group.iter().position(|kind| same(kind, &input.kind));
        let place = place.unwrap_or_else(|| panic!("{:?} is none of {group:?}", input.kind));
        group.remove(place);
        slot.kind = Some(input.kind.clone());
    }

    /// What the log holds, where no frame counts for more than half of it.
    fn kept_weight(&self) -> u64 {
        let kept = &self.slots[usize::try_from(self.committed).unwrap()..];
        kept.iter().map(|slot| self.weight(slot.bytes())).sum()
    }
}

/// Whether an input is what was expected, save words that are for people.
fn same(expected: &InputKind, got: &InputKind) -> bool {
    match (expected, got) {
        (
            InputKind::TimerFired { name, tag, .. },
            InputKind::TimerFired {
                name: n, tag: t, ..
            },
        ) => (name, tag) == (n, t),
        (InputKind::SessionEnded { reason, .. }, InputKind::SessionEnded { reason: said, .. }) => {
            reason == said
        }
        (
            InputKind::LegClosed {
                leg, unsent_frames, ..
            },
            InputKind::LegClosed {
                leg: closed,
                unsent_frames: unsent,
                ..
            },
        ) => (leg, unsent_frames) == (closed, unsent),
        _ => expected == got,
    }
}
