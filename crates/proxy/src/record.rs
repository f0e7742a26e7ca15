//! What is known of a call without asking its task: who it is, who runs it, what happened to it.
//!
//! An operator who looks must not disturb calls, and a dashboard looks all the time. So the few facts
//! that a list needs are kept here, behind a lock that a call takes only when something happens to it
//! (a leg, an attachment, a handoff), never for a frame. What changes with each frame is asked of the
//! call's own task, by whoever wants to see one call whole.
//!
//! A record holds no payload, no state and no secret; it outlives its call for a while, so that
//! somebody can ask which calls were cut and why.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use holdline_session::{Epoch, SessionId, Time, WorkerId};
use serde::Serialize;

pub(crate) use self::moment::{Moment, What, cut};
use self::trace::Trace;
use crate::{chronicle::Chronicle, spans};

mod moment;
mod trace;

/// Moments that are kept of a call that lives; older ones give way.
const MOMENTS: usize = 256;
/// Moments that are kept of one that ended.
const MOMENTS_ENDED: usize = 48;

/// A call, as it is known outside of its task.
#[derive(Debug)]
pub(crate) struct Record {
    id: SessionId,
    began: Time,
    chronicle: Chronicle,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    brief: Brief,
    /// The worker in force or the last one.
    worker: Option<WorkerId>,
    moments: VecDeque<Moment>,
    dropped: u64,
    trace: Trace,
}

/// A call in one line.
#[derive(Clone, Serialize, Debug)]
pub(crate) struct Brief {
    pub(crate) id: String,
    pub(crate) call_sid: Option<String>,
    pub(crate) path: String,
    pub(crate) peer: Option<String>,
    pub(crate) pool: Option<String>,
    pub(crate) started_unix_us: u64,
    pub(crate) phase: Phase,
    /// The worker in force, or the last one.
    pub(crate) worker: Option<Worker>,
    pub(crate) epoch: Option<u64>,
    pub(crate) handoffs: u64,
    pub(crate) gap_max_us: u64,
    pub(crate) losses: u64,
    pub(crate) strikes_total: u64,
    pub(crate) holds: u64,
    /// Since when it has no worker and is held.
    pub(crate) held_since_unix_us: Option<u64>,
    /// Further streams of the caller that took the place of the one before.
    pub(crate) resumes: u64,
    pub(crate) media_lost_ms: u64,
    pub(crate) end: Option<End>,
}

/// How far a call has come.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Nobody has said yet who calls.
    Starting,
    Running,
    Ending,
    Ended,
    /// Its task does not answer.
    Silent,
}

impl Phase {
    /// The word that is shown.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ending => "ending",
            Self::Ended => "ended",
            Self::Silent => "silent",
        }
    }
}

/// Who runs a call.
#[derive(Clone, Serialize, Debug)]
pub(crate) struct Worker {
    pub(crate) address: String,
    pub(crate) version: String,
    /// Why it has the call.
    pub(crate) reason: &'static str,
}

/// How a call ended or is ending.
#[derive(Clone, Serialize, Debug)]
pub(crate) struct End {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
    pub(crate) fault: &'static str,
    /// When the end began; when it was over, once it is.
    pub(crate) at_unix_us: u64,
}

/// What happened to a call, oldest first.
#[derive(Clone, Serialize, Debug)]
pub(crate) struct Timeline {
    /// Earlier ones that were dropped.
    pub(crate) dropped: u64,
    pub(crate) events: Vec<Moment>,
}

impl Record {
    /// Of a call that begins now. `brief`: its line so far.
    pub(crate) fn begin(
        id: SessionId,
        began: Time,
        brief: Brief,
        chronicle: Chronicle,
    ) -> Arc<Self> {
        let record = Arc::new(Self {
            id,
            began,
            chronicle,
            inner: Mutex::new(Inner {
                brief,
                worker: None,
                moments: VecDeque::new(),
                dropped: 0,
                trace: Trace::default(),
            }),
        });
        record.note(began, What::Began);
        record
    }

    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    pub(crate) fn began(&self) -> Time {
        self.began
    }

    /// Notes what happened, and tells those who listen.
    pub(crate) fn note(&self, at: Time, what: What) {
        let mut inner = self.lock();
        let spans = self.chronicle.spans();
        if spans.wanted() {
            let Inner { brief, trace, .. } = &mut *inner;
            let over = trace.follow(self.id, brief, at, &what);
            over.into_iter().flatten().for_each(|span| spans.put(span));
        }
        inner.brief.apply(at, &what);
        let moment = Moment::new(at, what);
        let news = inner.keep(moment);
        if let Some(moment) = news {
            self.chronicle.tell(&inner.brief, &moment);
        }
    }

    /// The call has another worker.
    pub(crate) fn attached(&self, at: Time, worker: WorkerId, what: What) {
        self.lock().worker = Some(worker);
        self.note(at, what);
    }

    /// The call is over: from now on it is remembered among those that ended. Once.
    pub(crate) fn ended(self: &Arc<Self>, at: Time) {
        self.note(at, What::Ended);
        let mut inner = self.lock();
        while inner.moments.len() > MOMENTS_ENDED {
            inner.moments.pop_front();
            inner.dropped += 1;
        }
        inner.moments.shrink_to_fit();
        drop(inner);
        self.chronicle.remember(Arc::clone(self));
    }

    /// What a worker is told with this attachment, so that its spans find their place; empty where
    /// nobody wants any.
    pub(crate) fn traceparent(&self, epoch: Epoch) -> String {
        if self.chronicle.spans().wanted() {
            spans::traceparent(self.id, epoch)
        } else {
            String::new()
        }
    }

    /// Its line, as it is now.
    pub(crate) fn brief(&self) -> Brief {
        self.lock().brief.clone()
    }

    /// Whether it is over: only its sockets may still be closing.
    pub(crate) fn is_over(&self) -> bool {
        self.look(|brief| brief.phase == Phase::Ended)
    }

    /// Looks at its line, without a copy.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Brief) -> T) -> T {
        at(&self.lock().brief)
    }

    /// Of which pool the worker is that runs it now, and which.
    pub(crate) fn place(&self) -> Option<(String, WorkerId)> {
        let inner = self.lock();
        Some((inner.brief.pool.clone()?, inner.worker?))
    }

    /// What happened to it.
    pub(crate) fn timeline(&self) -> Timeline {
        let inner = self.lock();
        Timeline {
            dropped: inner.dropped,
            events: inner.moments.iter().cloned().collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that can panic runs under this lock; were it so, the record would still be whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Keeps a moment. What happens again and again is counted in one; then there is no news.
    fn keep(&mut self, moment: Moment) -> Option<Moment> {
        if self
            .moments
            .back_mut()
            .is_some_and(|last| last.joins(&moment))
        {
            return None;
        }
        if self.moments.len() == MOMENTS {
            self.moments.pop_front();
            self.dropped += 1;
        }
        self.moments.push_back(moment.clone());
        Some(moment)
    }
}

impl Brief {
    /// Of a call of which nobody has said yet who calls.
    pub(crate) fn starting(id: SessionId, since: Time, path: &str) -> Self {
        Self {
            id: id.to_string(),
            call_sid: None,
            path: path.to_owned(),
            peer: None,
            pool: None,
            started_unix_us: since.0,
            phase: Phase::Starting,
            worker: None,
            epoch: None,
            handoffs: 0,
            gap_max_us: 0,
            losses: 0,
            strikes_total: 0,
            holds: 0,
            held_since_unix_us: None,
            resumes: 0,
            media_lost_ms: 0,
            end: None,
        }
    }

    fn apply(&mut self, at: Time, what: &What) {
        match what {
            What::Began => self.phase = Phase::Running,
            What::Attached {
                epoch,
                reason,
                worker,
                version,
                ..
            } => {
                self.epoch = Some(*epoch);
                self.worker = Some(Worker {
                    address: worker.clone(),
                    version: version.clone(),
                    reason,
                });
            }
            What::Handoff { gap_us, .. } => {
                self.handoffs += 1;
                self.gap_max_us = self.gap_max_us.max(*gap_us);
            }
            What::Lost { .. } => self.losses += 1,
            What::Strike { .. } => self.strikes_total += 1,
            What::HoldStarted { .. } => {
                self.holds += 1;
                self.held_since_unix_us = Some(at.0);
            }
            What::HoldEnded { .. } => self.held_since_unix_us = None,
            What::CallerReplaced { .. } => self.resumes += 1,
            What::MediaLost { media_ms, .. } => self.media_lost_ms += media_ms,
            What::Ending {
                reason,
                detail,
                fault,
            } => {
                self.phase = Phase::Ending;
                self.end = Some(End {
                    reason,
                    detail: detail.clone(),
                    fault,
                    at_unix_us: at.0,
                });
            }
            What::Ended => {
                self.phase = Phase::Ended;
                self.held_since_unix_us = None;
                if let Some(end) = &mut self.end {
                    end.at_unix_us = at.0;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::spans::Spans;

    fn record() -> Arc<Record> {
        let (id, began) = (SessionId(7), Time(1_000));
        let brief = Brief::starting(id, began, "/call");
        Record::begin(id, began, brief, Chronicle::new(Spans::default()))
    }

    fn dropped_media(frames: u64) -> What {
        What::MediaDropped { frames, times: 1 }
    }

    #[test]
    fn what_happens_again_and_again_is_one_moment() {
        let record = record();
        record.note(Time(2_000), dropped_media(1));
        record.note(Time(3_000), dropped_media(2));
        record.note(Time(4_000), What::Strike { strikes: 1 });
        record.note(Time(5_000), dropped_media(5));
        let told = serde_json::to_value(record.timeline()).unwrap();
        let events = told["events"].as_array().unwrap();
        assert_eq!(events.len(), 4, "{told}");
        let joined = serde_json::json!({
            "at_unix_us": 2_000, "last_unix_us": 3_000, "event": "media_dropped",
            "frames": 3, "times": 2,
        });
        assert_eq!(events[1], joined);
    }

    #[test]
    fn the_oldest_moments_give_way_and_are_counted() {
        let record = record();
        for n in 0..1_000 {
            record.note(Time(2_000 + n), What::Strike { strikes: n as u32 });
        }
        let timeline = record.timeline();
        assert_eq!(timeline.events.len(), MOMENTS);
        assert_eq!(timeline.dropped, 1_001 - MOMENTS as u64);
        record.ended(Time(9_000));
        let timeline = record.timeline();
        assert_eq!(timeline.events.len(), MOMENTS_ENDED);
        assert_eq!(timeline.dropped, 1_002 - MOMENTS_ENDED as u64);
        assert_eq!(record.brief().phase, Phase::Ended);
    }
}
