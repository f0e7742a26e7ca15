//! What legs and timers bring in, and how it goes out to the worker.

use crate::{
    Attributes, Class, Close, EndReason, Fault, Frame, InputKind, Inputs, LegRef, Notice, Output,
    Report, Session, Time, ToWorker, legs::Phase, log::Entry,
};

use super::ending::Life;

/// Commits that a worker may have applied without being told, where nothing else is to be said.
const UNTOLD_MAX: u64 = 16;

impl Session {
    pub(super) fn frame(&mut self, now: Time, leg: LegRef, frame: Frame, out: &mut Vec<Output>) {
        let is_caller = leg.name.is_caller();
        let Some(present) = self.legs.current(&leg) else {
            self.account.ignored_inputs += 1;
            return;
        };
        if !matches!(present.phase, Phase::Open) {
            self.account.ignored_inputs += 1;
            return;
        }
        let counts = self.account.leg_mut(is_caller);
        counts.frames_in += 1;
        counts.bytes_in += frame.payload.len() as u64;
        let stop = frame.class == Class::Stop;
        let media_ms = match frame.class {
            Class::Media { ms } if is_caller => Some(ms),
            Class::Media { .. } | Class::Control | Class::Stop => None,
        };
        let kind = InputKind::Frame {
            leg,
            payload: frame.payload,
        };
        self.log_media(now, kind, media_ms, out);
        if stop && is_caller {
            let detail = "the caller's carrier said stop".to_owned();
            self.begin_end(now, EndReason::CallerHungUp, detail, out);
        }
    }

    pub(super) fn leg_opened(
        &mut self,
        now: Time,
        leg: LegRef,
        attributes: Attributes,
        out: &mut Vec<Output>,
    ) {
        let limits = &self.limits;
        match self.legs.current(&leg) {
            Some(present) if present.phase == Phase::Connecting => {
                present.opened(now, attributes.clone(), limits);
                self.log_input(now, InputKind::LegOpened { leg, attributes }, out);
            }
            // It was told to close while it was being dialled.
            _ => self.account.ignored_inputs += 1,
        }
    }

    pub(super) fn leg_written(
        &mut self,
        now: Time,
        leg: &LegRef,
        (frames, bytes): (u64, u64),
        sound: u64,
    ) {
        let limits = &self.limits;
        if let Some(present) = self.legs.current(leg) {
            present.sound_written(sound);
            present.written(now, frames, bytes, limits);
            self.account.leg_mut(leg.name.is_caller()).frames_written += frames;
        }
    }

    pub(super) fn leg_closed(
        &mut self,
        now: Time,
        leg: &LegRef,
        close: Close,
        out: &mut Vec<Output>,
    ) {
        let Some(present) = self.legs.current(leg) else {
            return;
        };
        let phase = present.phase;
        if matches!(phase, Phase::Awaited { .. }) {
            return;
        }
        let stuck = present.stuck;
        let ordinary = close.fault == Fault::None;
        let unsent_frames = present.unwritten_frames();
        let awaited = leg.name.is_caller()
            && phase == Phase::Open
            && matches!(self.life, Life::Running)
            && !ordinary
            && close.fault != Fault::Peer
            && !self.limits.resume_window.is_zero();
        if awaited {
            present.await_return(now + self.limits.resume_window);
        } else {
            self.legs.remove(&leg.name);
        }
        self.account.unsent_frames += unsent_frames;
        let fault = close.fault;
        let detail = format!("close code {}: {}", close.code, close.reason);
        let kind = InputKind::LegClosed {
            leg: leg.clone(),
            close,
            unsent_frames,
        };
        self.log_input(now, kind, out);
        if leg.name.is_caller() && !awaited {
            let reason = match (phase, fault) {
                _ if stuck => EndReason::CallerLost,
                (Phase::Closing { .. }, _) => EndReason::Worker,
                _ if ordinary => EndReason::CallerHungUp,
                (_, Fault::Peer) => EndReason::CallerProtocol,
                _ => EndReason::CallerLost,
            };
            self.begin_end(now, reason, detail, out);
        }
    }

    pub(super) fn caller_replaced(
        &mut self,
        now: Time,
        attributes: Attributes,
        out: &mut Vec<Output>,
    ) {
        let Some(old) = self.caller_ref() else {
            self.account.ignored_inputs += 1;
            return;
        };
        if !matches!(self.life, Life::Running) {
            self.account.ignored_inputs += 1;
            return;
        }
        let removed = self.legs.remove(&old.name);
        let live = removed
            .as_ref()
            .filter(|leg| !matches!(leg.phase, Phase::Awaited { .. }));
        let unsent_frames = live.map_or(0, crate::legs::Leg::unwritten_frames);
        if live.is_some() {
            // The old socket still stands: the newest stream of a call wins.
            out.push(Output::CloseLeg {
                leg: old.clone(),
                code: 1000,
                reason: "another stream of this call took over".to_owned(),
                within: std::time::Duration::ZERO,
            });
        }
        self.account.unsent_frames += unsent_frames;
        self.account.resumes += 1;
        let new = self.legs.add(&old.name, Phase::Open, attributes.clone());
        let kind = InputKind::LegReplaced {
            name: old.name,
            old: old.incarnation,
            new: new.incarnation,
            attributes,
            unsent_frames,
        };
        self.log_input(now, kind, out);
    }

    pub(super) fn fire_timers(&mut self, now: Time, out: &mut Vec<Output>) {
        for (name, timer) in self.timers.take_due(now) {
            let kind = InputKind::TimerFired {
                name,
                tag: timer.tag,
                stale: false,
            };
            self.log_input(now, kind, out);
        }
    }

    pub(super) fn close_overdue_legs(&mut self, now: Time, out: &mut Vec<Output>) {
        for (leg, phase) in self.legs.overdue(now, &self.limits) {
            match phase {
                Phase::Open => {
                    out.push(Output::Report(Report::WriteTimeout { leg: leg.clone() }));
                    if let Some(present) = self.legs.current(&leg) {
                        present.stuck = true;
                    }
                    self.close_leg(now, &leg, 1011, "the peer does not read", out);
                }
                Phase::Awaited { .. } => {
                    self.legs.remove(&leg.name);
                    let detail = "the caller's socket was lost and did not come back".to_owned();
                    self.begin_end(now, EndReason::CallerLost, detail, out);
                }
                // The shell answers within its own bound; this is the belt to those braces.
                Phase::Closing { .. } | Phase::Connecting => {
                    let close = Close {
                        code: 1006,
                        reason: "the close handshake was not finished in time".to_owned(),
                        fault: Fault::None,
                        dial_failed: false,
                    };
                    self.leg_closed(now, &leg, close, out);
                }
            }
        }
    }

    /// Asks the shell to close a leg, unless that has been done.
    pub(super) fn close_leg(
        &mut self,
        now: Time,
        leg: &LegRef,
        code: u16,
        reason: &str,
        out: &mut Vec<Output>,
    ) {
        /// What the shell may take beyond its own bound before the leg is taken for closed.
        const GRACE: std::time::Duration = std::time::Duration::from_millis(500);
        let within = self.limits.close_timeout;
        let Some(present) = self.legs.current(leg).filter(|leg| leg.takes_frames()) else {
            return;
        };
        present.phase = Phase::Closing {
            until: now + within + GRACE,
        };
        out.push(Output::CloseLeg {
            leg: leg.clone(),
            code,
            reason: reason.to_owned(),
            within,
        });
    }

    /// Hands out what the window allows.
    pub(super) fn deliver(&mut self, now: Time, out: &mut Vec<Output>) {
        if !self.link.delivers() {
            return;
        }
        let Some(at) = self.link.attachment_mut() else {
            return;
        };
        let window = if self.recovery.in_doubt(self.log.committed()) {
            1
        } else {
            self.limits.window_inputs as usize
        };
        let (epoch, applied) = (at.epoch, at.applied);
        let untold = applied - at.told;
        let mut say = |inputs| {
            let message = ToWorker::Inputs { inputs, applied };
            out.push(Output::ToWorker { epoch, message });
        };
        let mut batch = Batch::default();
        for entry in self.log.after(at.delivered) {
            let (bytes, waiting) = (entry.bytes(), at.outstanding_bytes());
            let fits = waiting == 0 || waiting + bytes <= self.limits.window_bytes;
            if at.outstanding() >= window || !fits {
                break;
            }
            at.hand_out(now, entry.input.seq, bytes);
            if let Some(full) = batch.push(entry, self.limits.message_bytes) {
                say(full);
            }
        }
        if !batch.inputs.is_empty() || untold >= UNTOLD_MAX || at.cleared {
            at.told = applied;
            at.cleared = false;
            say(batch.inputs);
        }
    }

    pub(super) fn warn_of_state(&mut self, now: Time, out: &mut Vec<Output>) {
        let (bytes, limit) = (self.state.bytes(), self.limits.state_bytes);
        if bytes * 100 < limit * 70 {
            self.state_warned = false;
        } else if bytes * 100 >= limit * 80 && !self.state_warned {
            self.state_warned = true;
            let notice = Notice::StateNearLimit { bytes, limit };
            self.log_input(now, InputKind::Notice(notice), out);
        }
    }
}

/// Inputs that are to travel in one message.
#[derive(Default)]
struct Batch {
    inputs: Inputs,
    bytes: u64,
}

impl Batch {
    /// What an input weighs beside its payload, generously.
    const OVERHEAD: u64 = 128;

    /// Adds an input; where the message would pass `bytes_max` with it, hands out what was gathered,
    /// and begins anew.
    fn push(&mut self, entry: &Entry, bytes_max: u64) -> Option<Inputs> {
        let bytes = entry.bytes() + Self::OVERHEAD;
        let fits = self.inputs.is_empty() || self.bytes + bytes <= bytes_max;
        let full = (!fits).then(|| std::mem::take(self).inputs);
        self.inputs.push(entry.input.clone());
        self.bytes += bytes;
        full
    }
}
