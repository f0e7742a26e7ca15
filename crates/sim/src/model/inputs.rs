//! What comes into the log, and what the log drops.

use std::collections::BTreeMap;

use holdline_session::{External, Fault, InputKind, Notice, Output, Report, Seq, Taken, Time};

use super::{Check, First, Known, Model, Slot, ensure};
use crate::shell::Shell;

impl Model {
    /// As many inputs came as something happened, and what they are is remembered.
    pub(super) fn appends(&mut self, shell: &Shell, now: Time, out: &[Output]) -> Check {
        for output in out {
            if let Output::Report(Report::HoldEnded { held, .. }) = output
                && !self.is_closed
            {
                let notice = Notice::Hold {
                    held: *held,
                    audio_ms: self.hold.audio_ms(),
                };
                self.step.must.push(Known::new(&InputKind::Notice(notice)));
            }
        }
        let mut first = self.step.first.take();
        let mut group = std::mem::take(&mut self.step.must);
        let count = group.len() + usize::from(first.is_some());
        let coming = first.as_ref().map_or(0, |first| self.weight(first.bytes));
        // A log that is full of control frames while the session already ends takes no more.
        let crammed = self.ending.is_some()
            && count > 0
            && (self.kept_frames() + count >= self.limits.log_frames as usize
                || self.kept_weight() + coming >= self.limits.log_bytes);
        let least = if crammed { 0 } else { count };
        if crammed && first.is_some_and(|first| !first.is_frame) {
            group.extend(first.take().map(|first| first.known));
        }
        group.append(&mut self.step.may);
        let most = group.len() + usize::from(first.is_some());
        let ends = self
            .ending
            .filter(|_| self.legs.is_empty() && !self.is_closed);
        if let Some(reason) = ends {
            self.is_closed = true;
            group.push(Known::new(&InputKind::SessionEnded {
                reason,
                detail: String::new(),
                fault: reason.fault(),
            }));
        }
        let last = usize::from(ends.is_some());
        let came = if least == most {
            most + last
        } else {
            let last = usize::try_from(shell.view(now).last.0).unwrap_or(usize::MAX);
            last.saturating_sub(self.slots.len())
        };
        ensure!(
            (least + last..=most + last).contains(&came),
            "as many inputs come as things happen",
            "{came} came, not {least} to {most} and {last}"
        );
        self.remember(now, first, group, came);
        Ok(())
    }

    /// What happens outside of a call is an input once by its key, unless the log is too deep.
    pub(super) fn external_comes(&mut self, external: &External) {
        let kind = InputKind::External(external.clone());
        let bytes = external.payload.len() as u64;
        let part = |held: u64, limit: u64| held * 100 / limit;
        let percent = u64::from(self.limits.pause_percent);
        let frames = part(self.kept_frames() as u64, self.limits.log_frames.into());
        let taken = if bytes > self.limits.value_bytes {
            Taken::TooLarge
        } else if self.externals.contains(&external.key) {
            Taken::Before
        } else if self.ending.is_some() {
            Taken::Ending
        } else if part(self.kept_bytes(), self.limits.log_bytes).max(frames) >= percent {
            Taken::Full
        } else {
            self.externals.push(external.key.clone());
            self.step.first = Some(First {
                known: Known::new(&kind),
                bytes,
                is_media: false,
                is_frame: true,
            });
            Taken::Now(Seq(self.slots.len() as u64 + 1))
        };
        self.step.taken = Some(taken);
    }

    fn remember(
        &mut self,
        now: Time,
        mut first: Option<First>,
        mut group: Vec<Known>,
        came: usize,
    ) {
        // One input can only be one thing.
        let mut only = (came == 1 && first.is_none() && group.len() == 1)
            .then(|| group.pop())
            .flatten();
        for _ in 0..came {
            let slot = match first.take() {
                Some(first) => Slot {
                    at: now,
                    known: Some(first.known),
                    group: self.groups.len(),
                    bytes: first.bytes,
                    is_media: first.is_media,
                    is_dropped: false,
                    handed_to: 0,
                },
                None => Slot {
                    at: now,
                    known: only.take(),
                    group: self.groups.len(),
                    bytes: 0,
                    is_media: false,
                    is_dropped: false,
                    handed_to: 0,
                },
            };
            self.slots.push(slot);
        }
        if !group.is_empty() {
            self.groups.push(group);
        }
    }

    /// Only a log without any media to drop overflows, by the fault of whom most of it is.
    pub(super) fn has_overflowed(&self, out: &[Output]) -> Check {
        let media = |slot: &Slot| slot.is_media && !slot.is_dropped;
        ensure!(
            !self.kept().iter().any(media),
            "media goes before control frames",
            "the log overflowed and holds media"
        );
        // A commit that waited for a slow leg is done with the end: what overflowed is then not there
        // any more to be counted.
        let commits = |output: &Output| matches!(output, Output::Report(Report::Committed { .. }));
        if out.iter().any(commits) {
            return Ok(());
        }
        let fault = out.iter().find_map(|output| match output {
            Output::Report(Report::Ending { fault, .. }) => Some(*fault),
            _ => None,
        });
        let frames = self.kept_frames() - usize::from(self.is_closed);
        let (least, most) = self.results();
        let right = match fault {
            Some(Fault::Worker) => most * 2 > frames,
            Some(Fault::Peer) => least * 2 <= frames,
            _ => false,
        };
        ensure!(
            right,
            "an overflow is the fault of whom most of the log is",
            "{fault:?}, with {least} to {most} results among {frames}"
        );
        Ok(())
    }

    /// How many kept inputs say that a command could not be done. Of those that were not delivered
    /// yet it is only known what they may be.
    fn results(&self) -> (usize, usize) {
        let is_result = |known: &Known| known.is_result;
        let told = self.kept().iter().filter_map(|slot| slot.known.as_ref());
        let told = told.filter(|known| known.is_result).count();
        let mut open: BTreeMap<usize, usize> = BTreeMap::new();
        for slot in self.kept().iter().filter(|slot| slot.known.is_none()) {
            *open.entry(slot.group).or_default() += 1;
        }
        let (mut least, mut most) = (told, told);
        for (group, count) in open {
            let members = self.groups.get(group).map_or(&[][..], Vec::as_slice);
            let results = members.iter().filter(|known| is_result(known)).count();
            let others = members.len() - results;
            most += results.min(count);
            least += count.saturating_sub(others).min(results);
        }
        (least, most)
    }

    /// The log keeps its bounds, save by the newest input in it; control frames alone end the session.
    pub(super) fn is_bounded(&self) -> Check {
        let newest = self.slots.iter().rev().find(|slot| !slot.is_dropped);
        let Some(newest) = newest.filter(|_| self.ending.is_none()) else {
            return Ok(());
        };
        // Most logs are too short to be worth counting.
        let most = self.limits.log_frames as usize;
        if self.kept().len() <= most.min(16) {
            return Ok(());
        }
        let (frames, weight) = (self.kept_frames(), self.kept_weight());
        let newest = self.weight(newest.bytes);
        ensure!(
            frames <= most && weight <= self.limits.log_bytes + newest,
            "the log is bounded",
            "{frames} frames that count for {weight} bytes"
        );
        Ok(())
    }

    /// Media was dropped: the oldest of the caller's, and only for a reason.
    pub(super) fn drops(&mut self, now: Time, out: &[Output], applied: bool) -> Check {
        for output in out {
            let Output::Report(Report::MediaDropped(gap)) = output else {
                continue;
            };
            let seq = gap.first.0;
            let index = usize::try_from(seq - 1).unwrap_or(usize::MAX);
            if self.slots.get(index).is_none_or(|slot| slot.is_dropped) {
                continue;
            }
            let slot = &self.slots[index];
            ensure!(
                gap.first == gap.last && slot.is_media && slot.bytes == gap.size.bytes,
                "only caller media is dropped, and truly told",
                "{gap:?}"
            );
            // A command of a commit of this step may come back as an input, too.
            let commands = self.pending.as_ref().filter(|_| applied);
            let coming = usize::from(self.step.first.is_some())
                + self.step.must.len()
                + commands.map_or(0, |commit| commit.commands.len());
            let full = self.kept_frames() + coming.max(1) >= self.limits.log_frames as usize;
            let weight = self.weight(gap.size.bytes);
            let first = self.step.first.map_or(0, |first| self.weight(first.bytes));
            let heavy = self.kept_weight() + weight + first >= self.limits.log_bytes;
            let old = now.since(slot.at) > self.limits.log_age;
            ensure!(
                full || heavy || old,
                "media is dropped at a limit only",
                "input {seq}"
            );
            // A commit of this step may have taken older media away before.
            let through = self.pending.as_ref().filter(|_| applied);
            let from = through.map_or(self.committed, |commit| commit.through.0);
            let from = usize::try_from(from).unwrap_or(usize::MAX).min(index);
            let older = self.slots[from..index].iter();
            ensure!(
                !older
                    .into_iter()
                    .any(|slot| slot.is_media && !slot.is_dropped),
                "the oldest media goes first",
                "input {seq}"
            );
            self.slots[index].is_dropped = true;
            self.media_dropped += 1;
        }
        Ok(())
    }
}
