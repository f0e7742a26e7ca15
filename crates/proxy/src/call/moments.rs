//! What of a call's events stands in its record: from the engine's words to the record's.

use holdline_session::{Event, Report, Taken, Time};

use super::{Story, Streams, story::drop_word};
use crate::{
    clock::micros,
    record::{What, cut},
};

impl Story {
    /// Notes what happened to a leg. Frames are none of it.
    pub(super) fn saw(&self, now: Time, event: &Event) {
        let what = match event {
            Event::LegOpened { leg, .. } => What::LegOpened {
                leg: leg.name.to_string(),
                incarnation: leg.incarnation.0,
            },
            Event::LegClosed { leg, close } => What::closed(leg, close),
            _ => return,
        };
        self.record().note(now, what);
    }

    /// An operator gave an order.
    pub(super) fn ordered(&self, now: Time, order: &'static str) {
        self.record().note(now, What::Ordered { order });
    }

    /// Something happened outside of the call.
    pub(super) fn told(&self, now: Time, name: String, key: String, taken: Taken) {
        let taken = match taken {
            Taken::Now(_) => "now",
            Taken::Before => "before",
            Taken::Ending => "ending",
            Taken::TooLarge => "too_large",
            Taken::Full => "full",
        };
        let what = What::External {
            name: cut(&name),
            key: cut(&key),
            taken,
        };
        self.record().note(now, what);
    }

    /// Notes one report of the engine, if it is of the kind that is kept.
    pub(super) fn keep(&self, now: Time, report: &Report, streams: &Streams) {
        if let Report::Attached {
            epoch,
            reason,
            worker,
            version,
            replayed,
        } = report
        {
            let what = What::Attached {
                epoch: epoch.0,
                reason: reason.as_str(),
                worker: streams.address(*epoch).unwrap_or_default().to_owned(),
                version: version.clone(),
                replayed: *replayed,
            };
            self.record().attached(now, *worker, what);
        } else if let Some(what) = self.moment(report) {
            self.record().note(now, what);
        }
    }

    fn moment(&self, report: &Report) -> Option<What> {
        Some(match report {
            Report::MoveStarted { epoch, reason } => What::MoveStarted {
                epoch: epoch.0,
                reason: reason.as_str(),
            },
            Report::Lost {
                epoch,
                kind,
                detail,
                ..
            } => What::Lost {
                epoch: epoch.0,
                kind,
                detail: cut(detail),
                worker: self.worker().map(|worker| worker.address().to_owned()),
            },
            Report::OfferFailed { detail, .. } => What::OfferFailed {
                detail: cut(detail),
                times: 1,
            },
            Report::MediaDropped(gap) => What::MediaDropped {
                frames: gap.size.frames,
                times: 1,
            },
            Report::MediaLost(gap) => What::MediaLost {
                frames: gap.size.frames,
                media_ms: gap.size.media_ms,
                times: 1,
            },
            Report::CommandDropped { reason, .. } => What::CommandDropped {
                reason: drop_word(*reason),
                times: 1,
            },
            Report::HoldStarted => What::HoldStarted {
                why: self.nowhere().map(cut),
            },
            Report::HoldEnded { held, audio_ms } => What::HoldEnded {
                held_us: micros(*held),
                audio_ms: *audio_ms,
            },
            Report::Strike { strikes } => What::Strike { strikes: *strikes },
            Report::WriteTimeout { leg } => What::WriteTimeout {
                leg: leg.name.to_string(),
                incarnation: leg.incarnation.0,
            },
            Report::Ending {
                reason,
                detail,
                fault,
            } => What::Ending {
                reason: reason.as_str(),
                detail: cut(detail),
                fault: fault.as_str(),
            },
            Report::EndLost { inputs } => What::EndLost { inputs: *inputs },
            _ => return None,
        })
    }
}
