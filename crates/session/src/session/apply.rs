//! Commits: checked whole, then applied whole.

use std::collections::BTreeMap;

use crate::{
    Attributes, Command, Commit, DropReason, Dropped, EndReason, Incarnation, InputKind, LegName,
    LegRef, LegState, Output, Payload, Report, Session, Time, legs::Phase, refusal::Refusal,
    timers::Timers,
};

use super::{PATIENCE_LASTS, ending::Life};

/// Longest name of a leg or a timer, in bytes.
const NAME_MAX: usize = 128;
/// Longest reason of a WebSocket close frame, in bytes (RFC 6455, 5.5).
const CLOSE_REASON_MAX: usize = 123;

impl Session {
    pub(super) fn commit(&mut self, now: Time, commit: Commit, out: &mut Vec<Output>) {
        if let Err(refusal) = self.check(&commit) {
            return self.refuse(now, refusal, out);
        }
        let Some(at) = self.link.attachment_mut() else {
            return;
        };
        if at.held.is_some() {
            let detail = "a commit came while another waits for a leg".to_owned();
            return self.refuse(now, Refusal::new("not_asked", detail), out);
        }
        at.held = Some((commit, now));
    }

    /// Applies the commit that waits, unless a leg that it writes to is over its high mark.
    pub(super) fn apply_when_possible(&mut self, now: Time, out: &mut Vec<Output>) {
        let limits = &self.limits;
        let legs = &self.legs;
        let held = self.link.attachment().and_then(|at| at.held.as_ref());
        let Some((commit, _)) = held else { return };
        let waits = commit.commands.iter().any(|command| match command {
            Command::Send { leg, .. } => legs
                .get(leg)
                .is_some_and(|leg| leg.takes_frames() && leg.is_over(limits)),
            _ => false,
        });
        if waits {
            return;
        }
        if let Some(commit) = self.link.take_held(now) {
            self.apply(now, commit, out);
        }
    }

    /// Every rule that a commit must keep. None depends on the state of the world outside.
    fn check(&self, commit: &Commit) -> Result<(), Refusal> {
        let limits = &self.limits;
        let delivered = self
            .link
            .attachment()
            .map_or(self.log.committed(), |at| at.delivered);
        if commit.through < self.log.committed() {
            let detail = format!(
                "through_seq {} is behind the position {}",
                commit.through,
                self.log.committed()
            );
            return Err(Refusal::new("behind", detail));
        }
        if commit.through > delivered {
            let detail = format!(
                "through_seq {} is ahead of what was delivered, {delivered}",
                commit.through
            );
            return Err(Refusal::new("ahead", detail));
        }
        if commit.commands.len() > limits.commands as usize {
            let detail = format!(
                "{} commands; {} are allowed",
                commit.commands.len(),
                limits.commands
            );
            return Err(Refusal::new("too_many_commands", detail));
        }
        self.state.check(commit, limits)?;
        self.check_commands(&commit.commands)
    }

    fn check_commands(&self, commands: &[Command]) -> Result<(), Refusal> {
        let mut timers = Standing::new(&self.timers);
        for command in commands {
            match command {
                Command::Send { leg, .. } | Command::CloseLeg { leg, .. } => {
                    check_name("leg", leg.as_str())?;
                }
                Command::OpenLeg { leg, upstream, .. } => {
                    check_name("leg", leg.as_str())?;
                    check_name("upstream", upstream)?;
                }
                Command::SetTimer { name, after, .. } => {
                    check_name("timer", name)?;
                    if *after > self.limits.timer_max {
                        let detail = format!("{after:?}; {:?} are allowed", self.limits.timer_max);
                        return Err(Refusal::new("timer_too_long", detail));
                    }
                    if timers.set(name) > self.limits.timers as usize {
                        let detail = format!("{} timers are allowed", self.limits.timers);
                        return Err(Refusal::new("too_many_timers", detail));
                    }
                }
                Command::CancelTimer { name } => {
                    check_name("timer", name)?;
                    timers.cancel(name);
                }
                Command::EndSession { .. } => {}
            }
        }
        Ok(())
    }

    fn apply(&mut self, now: Time, mut commit: Commit, out: &mut Vec<Output>) {
        self.account.commits += 1;
        self.state.apply(&mut commit);
        self.advance(now, &commit, out);
        let mut dropped = Vec::new();
        for (index, command) in (0u32..).zip(commit.commands) {
            if let Err((leg, reason)) = self.perform(now, &command, out) {
                self.account.commands_dropped += 1;
                out.push(Output::Report(Report::CommandDropped {
                    what: Box::new(command),
                    reason,
                }));
                dropped.push(Dropped {
                    through: commit.through,
                    index,
                    leg,
                    reason,
                });
            }
        }
        for dropped in dropped {
            self.log_input(now, InputKind::Dropped(dropped), out);
        }
        self.warn_of_state(now, out);
    }

    /// Moves the position, and counts the commit as the attachment's progress.
    fn advance(&mut self, now: Time, commit: &Commit, out: &mut Vec<Output>) {
        let Some(at) = self.link.attachment_mut() else {
            return;
        };
        let epoch = at.epoch;
        let before = self.recovery.suspicion(self.log.committed());
        let removed = self.log.commit(commit.through, epoch);
        at.applied += 1;
        at.settle(commit.through);
        if at.applied == 1 {
            out.push(Output::Report(Report::Recovered {
                epoch: at.epoch,
                reason: at.reason,
                since: at.since,
            }));
        }
        let outstanding = at.delivered > commit.through;
        at.waiting_since = match (outstanding, removed.inputs > 0) {
            (false, _) => None,
            (true, true) => Some(now),
            (true, false) => at.waiting_since,
        };
        if removed.inputs > 0 {
            let usual = self.limits.progress_timeout;
            if now.since(at.attached_at) >= usual * PATIENCE_LASTS {
                at.patience = usual;
            }
            self.recovery.failed.clear();
            self.recovery.unproven = None;
            self.recovery.strikes = 0;
            let left = self.recovery.suspicion(self.log.committed());
            if left < before {
                out.push(Output::Report(Report::Cleared { epoch, left }));
                if let Some(at) = self.link.attachment_mut() {
                    at.cleared = true;
                }
            }
            out.push(Output::Report(Report::Committed {
                inputs: removed.inputs,
                received: removed.received.unwrap_or(now),
            }));
        }
        for kind in removed.legs {
            self.committed_legs.follow(kind);
        }
        for gap in removed.lost {
            self.account.media_lost += gap.size.frames;
            out.push(Output::Report(Report::MediaLost(gap)));
        }
    }

    /// Does one command, or says which leg it was for and why the world no longer allows it.
    fn perform(
        &mut self,
        now: Time,
        command: &Command,
        out: &mut Vec<Output>,
    ) -> Result<(), (LegRef, DropReason)> {
        match command {
            Command::Send {
                leg,
                incarnation,
                payload,
            } => self
                .send(now, leg, *incarnation, payload, out)
                .map_err(|why| (named(leg, *incarnation), why))?,
            Command::OpenLeg {
                leg,
                upstream,
                attributes,
            } => self
                .open_leg(leg, upstream, attributes, out)
                .map_err(|why| (named(leg, None), why))?,
            Command::CloseLeg {
                leg,
                incarnation,
                code,
                reason,
            } => {
                let present = self.legs.resolve(leg, *incarnation);
                let present = present.map_err(|why| (named(leg, *incarnation), why))?;
                let at = named(leg, Some(present.incarnation));
                self.committed_legs.close(&at);
                self.close_leg(now, &at, *code, cut(reason, CLOSE_REASON_MAX), out);
            }
            Command::SetTimer { name, after, tag } => {
                self.log.mark_stale(name);
                // In a session that ends it is as one that was set just before: no timer fires any
                // more, which `SessionEnded` says of all of them.
                if matches!(self.life, Life::Running) {
                    self.timers.set(name.clone(), now, *after, *tag);
                }
            }
            Command::CancelTimer { name } => {
                self.log.mark_stale(name);
                self.timers.cancel(name);
            }
            Command::EndSession { reason, hand_back } => {
                let end = if *hand_back {
                    EndReason::HandedBack
                } else {
                    EndReason::Worker
                };
                self.committed_legs.close_all();
                self.begin_end(now, end, reason.clone(), out);
            }
        }
        Ok(())
    }

    fn send(
        &mut self,
        now: Time,
        name: &LegName,
        incarnation: Option<Incarnation>,
        payload: &Payload,
        out: &mut Vec<Output>,
    ) -> Result<(), DropReason> {
        if !matches!(self.life, Life::Running) {
            return Err(DropReason::Ending);
        }
        let limits = &self.limits;
        let leg = self.legs.resolve(name, incarnation)?;
        leg.sent(now, payload.len() as u64, limits);
        let counts = self.account.leg_mut(name.is_caller());
        counts.frames_out += 1;
        counts.bytes_out += payload.len() as u64;
        out.push(Output::Send {
            leg: named(name, Some(leg.incarnation)),
            payload: payload.clone(),
        });
        Ok(())
    }

    fn open_leg(
        &mut self,
        name: &LegName,
        upstream: &str,
        attributes: &Attributes,
        out: &mut Vec<Output>,
    ) -> Result<(), DropReason> {
        if !matches!(self.life, Life::Running) {
            return Err(DropReason::Ending);
        }
        if !self.upstreams.contains(upstream) {
            return Err(DropReason::UnknownUpstream);
        }
        self.legs.may_open(name, &self.limits)?;
        let leg = self.legs.add(name, Phase::Connecting, attributes.clone());
        self.committed_legs
            .add(&leg, LegState::Connecting, attributes.clone());
        out.push(Output::OpenLeg {
            leg,
            upstream: upstream.to_owned(),
            attributes: attributes.clone(),
        });
        Ok(())
    }
}

/// The timers that would be set after some of a commit's commands, without making a change.
struct Standing<'a> {
    timers: &'a Timers,
    /// Names that the commit has touched so far, and whether each is set.
    touched: BTreeMap<&'a str, bool>,
    count: usize,
}

impl<'a> Standing<'a> {
    fn new(timers: &'a Timers) -> Self {
        Self {
            timers,
            touched: BTreeMap::new(),
            count: timers.len(),
        }
    }

    /// How many are set after this one was.
    fn set(&mut self, name: &'a str) -> usize {
        self.count += usize::from(!self.touch(name, true));
        self.count
    }

    fn cancel(&mut self, name: &'a str) {
        self.count -= usize::from(self.touch(name, false));
    }

    /// Whether it was set before.
    fn touch(&mut self, name: &'a str, is_set: bool) -> bool {
        let before = self.touched.insert(name, is_set);
        before.unwrap_or_else(|| self.timers.contains(name))
    }
}

fn named(leg: &LegName, incarnation: Option<Incarnation>) -> LegRef {
    LegRef {
        name: leg.clone(),
        incarnation: incarnation.unwrap_or_default(),
    }
}

fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > NAME_MAX {
        let detail = format!(
            "a {what} name has {} bytes; 1 to {NAME_MAX} are allowed",
            name.len()
        );
        return Err(Refusal::new("bad_name", detail));
    }
    Ok(())
}

/// The longest front of `text` that has at most `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}
