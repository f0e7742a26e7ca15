//! What is told of a call: log lines for people, numbers for dashboards. An event is one line and
//! one count together, and neither ever holds what was said.
//!
//! The line `handoff` is read by programs too: its fields `session`, `call_sid`, `epoch`, `reason`,
//! `kind`, `since_unix_us`, `first_commit_unix_us`, `gap_us`, `from`, `to` and `version` stay.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use holdline_session::{
    Account, AttachReason, Attributes, DropReason, EndReason, Epoch, Fault, HangupCause, Report,
    SessionId, Time,
};
use holdline_telemetry::{Metrics, logging::Paces};
use tracing::{debug, error, info, warn};

use super::Streams;
use crate::{
    clock::{Clock, micros},
    edge::Edge,
    record::{Brief, Record, What, cut},
};

/// What there is to say of a call whose task is gone.
const ABORTED: &str = "its task failed or was aborted";

/// A line at this level with all that is known of a call that is over.
macro_rules! line_of_the_end {
    ($level:ident, $story:expr, $account:expr, $lived:expr, $end:expr, $message:literal) => {{
        let (story, account, (reason, detail, fault)) = (&*$story, $account, $end);
        $level!(
            session = %story.id(),
            call_sid = story.caller.call_sid,
            reason,
            detail,
            fault,
            duration_us = micros($lived),
            caller_frames_in = account.caller.frames_in,
            caller_frames_out = account.caller.frames_out,
            caller_frames_written = account.caller.frames_written,
            outbound_frames_in = account.outbound.frames_in,
            outbound_frames_out = account.outbound.frames_out,
            outbound_frames_written = account.outbound.frames_written,
            commits = account.commits,
            attachments = account.attachments,
            handoffs = story.handoffs,
            gap_max_us = micros(story.gap_max),
            losses = account.losses,
            offers_failed = account.offers_failed,
            replayed = account.replayed,
            refused = account.refused,
            fenced = account.fenced,
            holds = account.holds,
            hold_sound_ms = account.hold_ms,
            resumes = account.resumes,
            media_dropped = account.media_dropped,
            media_lost = account.media_lost,
            commands_dropped = account.commands_dropped,
            ignored_inputs = account.ignored_inputs,
            unsent_frames = account.unsent_frames,
            end_lost = account.end_lost,
            $message
        );
    }};
}

/// Who calls, as far as logs and operators are told.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    id: SessionId,
    call_sid: Option<String>,
    peer: IpAddr,
    path: String,
}

impl Caller {
    pub(crate) fn new(id: SessionId, attributes: &Attributes, peer: IpAddr, path: String) -> Self {
        Self {
            id,
            call_sid: attributes.get("call_sid").cloned(),
            peer,
            path,
        }
    }

    /// The carrier's id of the call, where there is one.
    pub(crate) fn call_sid(&self) -> Option<&str> {
        self.call_sid.as_deref()
    }
}

/// The worker of an attachment.
#[derive(Clone, Debug)]
pub(crate) struct Attached {
    epoch: Epoch,
    address: String,
    version: String,
}

impl Attached {
    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// The call so far.
#[derive(Debug)]
pub(crate) struct Story {
    caller: Caller,
    began: Time,
    clock: Clock,
    metrics: Metrics,
    told_of: Arc<Paces>,
    /// What others may see of it.
    record: Arc<Record>,
    /// The worker in force.
    worker: Option<Attached>,
    /// Where the worker whose commit was applied last listens: handoffs lead away from it.
    settled: Option<String>,
    /// What made the session leave its last worker, until the next one's first commit.
    leaving: Option<Leaving>,
    /// Why the last search for a worker came to nothing.
    nowhere: Option<String>,
    handoffs: u64,
    gap_max: Duration,
    end: Option<End>,
    told: bool,
}

/// A handoff under way.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    reason: AttachReason,
    /// A word for what began it: why the move, or how the worker was lost.
    kind: &'static str,
}

#[derive(Debug)]
struct End {
    reason: EndReason,
    detail: String,
    fault: Fault,
}

impl Story {
    /// A session begins, on a route to this pool.
    pub(super) fn begin(edge: &Edge, began: Time, caller: Caller, pool: &str) -> Self {
        let metrics = edge.metrics.clone();
        metrics.sessions.started.inc();
        metrics.sessions.active.inc();
        info!(
            session = %caller.id, call_sid = caller.call_sid, peer = %caller.peer,
            path = caller.path, "call began"
        );
        let brief = Brief {
            call_sid: caller.call_sid.clone(),
            peer: Some(caller.peer.to_string()),
            pool: Some(pool.to_owned()),
            ..Brief::starting(caller.id, began, &caller.path)
        };
        let record = Record::begin(caller.id, began, brief, edge.chronicle.clone());
        let told_of = Arc::clone(&edge.told_of);
        Self::new(record, began, edge.clock, caller, metrics, told_of)
    }

    /// Nothing has happened yet but that the call began, as its record says.
    fn new(
        record: Arc<Record>,
        began: Time,
        clock: Clock,
        caller: Caller,
        metrics: Metrics,
        told_of: Arc<Paces>,
    ) -> Self {
        Self {
            record,
            clock,
            caller,
            began,
            metrics,
            told_of,
            worker: None,
            settled: None,
            leaving: None,
            nowhere: None,
            handoffs: 0,
            gap_max: Duration::ZERO,
            end: None,
            told: false,
        }
    }

    /// A new stream of the call took the present one's place.
    pub(super) fn joined(&self, peer: IpAddr, stream_sid: Option<&String>) {
        self.metrics.sessions.caller_stream("joined");
        let call_sid = &self.caller.call_sid;
        info!(session = %self.id(), call_sid, %peer, stream_sid, "the caller has a new stream");
        let stream_sid = stream_sid.cloned();
        self.record
            .note(self.clock.now(), What::CallerReplaced { stream_sid });
    }

    pub(crate) fn id(&self) -> SessionId {
        self.caller.id
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What others may see of the call.
    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Why the last search for a worker came to nothing.
    pub(super) fn nowhere(&self) -> Option<&str> {
        self.nowhere.as_deref()
    }

    /// The worker in force, or the last one.
    pub(crate) fn worker(&self) -> Option<&Attached> {
        self.worker.as_ref()
    }

    /// The caller hears 20 ms more of the hold sound.
    pub(super) fn sounded(&self) {
        self.metrics.sessions.hold_sound_ms.inc_by(20);
    }

    /// Tells one report of the engine.
    pub(super) fn tell(&mut self, now: Time, report: Report, streams: &Streams) {
        if !matches!(report, Report::Committed { .. }) {
            self.keep(now, &report, streams);
        }
        match report {
            Report::Committed { inputs, received } => {
                let oldest = now.since(received);
                self.metrics.attachments.committed(inputs, oldest);
            }
            Report::Attached {
                epoch,
                reason,
                version,
                replayed,
                ..
            } => {
                let address = streams.address(epoch).unwrap_or_default().to_owned();
                self.attached(epoch, reason, address, version, replayed);
            }
            Report::MoveStarted { epoch, reason } => {
                self.leaving = Some(Leaving {
                    reason: AttachReason::Handoff,
                    kind: reason.as_str(),
                });
                debug!(session = %self.id(), %epoch, reason = reason.as_str(), "move started");
            }
            Report::Lost {
                epoch,
                kind,
                detail,
                ..
            } => self.lost(epoch, kind, &detail),
            Report::Recovered {
                epoch,
                reason,
                since,
            } => self.recovered(now, epoch, reason, since),
            Report::OfferFailed { epoch, detail } => {
                self.metrics.attachments.failed("offer");
                debug!(session = %self.id(), %epoch, detail, "offer failed");
                self.nowhere = Some(detail);
            }
            Report::Fenced { epoch } => {
                self.metrics.attachments.fenced_messages.inc();
                debug!(session = %self.id(), %epoch, "message of an older attachment dropped");
            }
            Report::Ending {
                reason,
                detail,
                fault,
            } => {
                if reason == EndReason::GaveUp {
                    self.given_up();
                }
                self.end = Some(End {
                    reason,
                    detail,
                    fault,
                });
            }
            other => self.tell_trouble(&other),
        }
    }

    /// Whether a line of this kind may be written, of which a flapping pool could bring about one for
    /// each call again and again; then, how many were left out. What is left out stands in the call's
    /// record, and how each call ended is always told.
    fn may_tell(&self, kind: &'static str) -> Option<u64> {
        self.told_of.admit(kind, Instant::now())
    }

    /// Reports that are no part of an ordinary call.
    fn tell_trouble(&self, report: &Report) {
        let sessions = &self.metrics.sessions;
        let (session, call_sid) = (self.id(), &self.caller.call_sid);
        match report {
            Report::MediaDropped(gap) => {
                sessions.media_dropped_frames.inc_by(gap.size.frames);
                debug!(%session, frames = gap.size.frames, "the log is full: caller media dropped");
            }
            Report::MediaLost(gap) => {
                sessions.media_gaps.inc();
                sessions.media_lost_frames.inc_by(gap.size.frames);
                sessions.media_lost_ms.inc_by(gap.size.media_ms);
                let (frames, media_ms) = (gap.size.frames, gap.size.media_ms);
                if let Some(untold) = self.may_tell("media_lost") {
                    warn!(%session, call_sid, frames, media_ms, untold, "no worker heard this part of the call");
                }
            }
            Report::CommandDropped { reason, .. } => {
                let reason = drop_word(*reason);
                sessions.command_dropped(reason);
                debug!(%session, reason, "command dropped");
            }
            Report::HoldStarted => {
                sessions.holds.inc();
                let why = &self.nowhere;
                if let Some(untold) = self.may_tell("held") {
                    warn!(%session, call_sid, why, untold, "no worker can be had: the call is held");
                }
            }
            Report::HoldEnded { held, audio_ms } => {
                sessions.hold_seconds.observe(held.as_secs_f64());
                let held_us = micros(*held);
                if let Some(untold) = self.may_tell("held_no_longer") {
                    info!(%session, call_sid, held_us, audio_ms, untold, "the call has a worker again");
                }
            }
            Report::Strike { strikes } => {
                sessions.strikes.inc();
                if let Some(untold) = self.may_tell("strike") {
                    warn!(%session, call_sid, strikes, untold, "another worker failed at the same input");
                }
            }
            Report::WriteTimeout { leg } => {
                info!(%session, call_sid, %leg, "leg takes nothing: it is closed");
            }
            Report::EndLost { inputs } => {
                warn!(%session, call_sid, inputs, "the end of the call was not committed");
            }
            _ => {}
        }
    }

    /// Tells why the engine ended a stream, where the worker's author has to know.
    pub(super) fn hung_up(&self, epoch: Epoch, cause: &HangupCause) {
        let HangupCause::Refused { rule, detail } = cause else {
            return;
        };
        let (address, version) = match &self.worker {
            Some(worker) if worker.epoch == epoch => (&*worker.address, &*worker.version),
            _ => ("", ""),
        };
        let session = self.id();
        if let Some(untold) = self.may_tell("refused") {
            warn!(%session, %epoch, worker = address, version, rule, detail, untold, "worker broke the protocol");
        }
        let what = What::ProtocolBroken {
            epoch: epoch.0,
            rule,
            detail: cut(detail),
        };
        self.record.note(self.clock.now(), what);
    }

    fn attached(
        &mut self,
        epoch: Epoch,
        reason: AttachReason,
        address: String,
        version: String,
        replayed: u64,
    ) {
        self.metrics.attachments.attached(reason.as_str());
        self.metrics.attachments.replayed_inputs.inc_by(replayed);
        debug!(
            session = %self.id(), %epoch, reason = reason.as_str(), to = address, version, replayed,
            "attached"
        );
        self.nowhere = None;
        self.worker = Some(Attached {
            epoch,
            address,
            version,
        });
    }

    /// Each such call is named with what kept it from every worker, such as a schema that none reads.
    fn given_up(&self) {
        let (session, call_sid, why) = (self.id(), &self.caller.call_sid, &self.nowhere);
        warn!(%session, call_sid, why, "call given up: no worker could take it");
    }

    fn lost(&mut self, epoch: Epoch, kind: &'static str, detail: &str) {
        self.metrics.attachments.failed(kind);
        self.leaving = Some(Leaving {
            reason: AttachReason::Recovery,
            kind,
        });
        let worker = self.worker.as_ref().map(|worker| &*worker.address);
        if let Some(untold) = self.may_tell("lost") {
            info!(
                session = %self.id(), call_sid = self.caller.call_sid, %epoch, kind, detail, worker,
                untold, "worker lost"
            );
        }
    }

    /// The first commit of an attachment: the handoff that led to it is over.
    fn recovered(&mut self, now: Time, epoch: Epoch, reason: AttachReason, since: Time) {
        let to = self.worker.as_ref().map(|worker| worker.address.clone());
        let from = std::mem::replace(&mut self.settled, to.clone());
        let leaving = self.leaving.take();
        let kind = leaving.map_or(reason.as_str(), |leaving| leaving.kind);
        if reason == AttachReason::New {
            return;
        }
        let gap = now.since(since);
        self.handoffs += 1;
        self.gap_max = self.gap_max.max(gap);
        let attachments = &self.metrics.attachments;
        attachments.handoff(reason.as_str(), kind, "ok");
        let seconds = gap.as_secs_f64();
        self.metrics
            .attachments
            .gap_seconds(reason.as_str(), seconds);
        let version = self.worker.as_ref().map(|worker| &*worker.version);
        info!(
            session = %self.id(),
            call_sid = self.caller.call_sid,
            epoch = epoch.0,
            reason = reason.as_str(),
            kind,
            since_unix_us = since.0,
            first_commit_unix_us = now.0,
            gap_us = micros(gap),
            from,
            to,
            version,
            "handoff"
        );
        let what = What::Handoff {
            epoch: epoch.0,
            reason: reason.as_str(),
            kind,
            gap_us: micros(gap),
            from,
            to,
            version: version.map(str::to_owned),
        };
        self.record.note(now, what);
    }

    /// The whole account of a call that is over.
    pub(super) fn ended(&mut self, now: Time, account: &Account) {
        let (reason, detail, fault) = match &self.end {
            Some(end) => (end.reason.as_str(), &*end.detail, end.fault.as_str()),
            None => ("unknown", "", Fault::Edge.as_str()),
        };
        let lived = now.since(self.began);
        self.metrics.sessions.lived(lived);
        line_of_the_end!(
            info,
            self,
            account,
            lived,
            (reason, detail, fault),
            "call ended"
        );
        self.over(now, reason, fault);
    }

    /// Unless it is over, the call's task failed or was aborted.
    pub(super) fn broken_off(&mut self, account: &Account) {
        if self.told {
            return;
        }
        let now = self.clock.now();
        let lived = now.since(self.began);
        let end = ("aborted", ABORTED, Fault::Edge.as_str());
        line_of_the_end!(error, self, account, lived, end, "call broken off");
        let (reason, detail, fault) = end;
        let what = What::Ending {
            reason,
            detail: detail.to_owned(),
            fault,
        };
        self.record.note(now, what);
        self.over(now, reason, fault);
    }

    fn over(&mut self, now: Time, reason: &'static str, fault: &'static str) {
        self.told = true;
        if let Some(Leaving { reason, kind }) = self.leaving {
            let attachments = &self.metrics.attachments;
            attachments.handoff(reason.as_str(), kind, "unfinished");
        }
        self.metrics.sessions.ended(reason, fault);
        self.record.ended(now);
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        self.metrics.sessions.active.dec();
    }
}

pub(super) fn drop_word(reason: DropReason) -> &'static str {
    match reason {
        DropReason::LegGone => "leg_gone",
        DropReason::IncarnationGone => "incarnation_gone",
        DropReason::UnknownUpstream => "unknown_upstream",
        DropReason::NameInUse => "name_in_use",
        DropReason::TooManyLegs => "too_many_legs",
        DropReason::Ending => "ending",
    }
}

#[cfg(test)]
#[path = "story/tests.rs"]
mod tests;
