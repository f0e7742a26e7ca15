//! What comes from the caller: media, keys and marks.

use std::borrow::Cow;

use super::{Action, Note, Step};
use crate::{
    audio,
    ids::StreamSid,
    state::Wish,
    time::millis,
    wire::{
        self, BYTES_PER_MS, openai,
        scan::{self, Media},
        twilio::{self, CallerEvent},
    },
};

impl Step<'_> {
    pub(super) fn caller_frame(&mut self, text: &[u8]) {
        if let Some(media) = scan::media(text) {
            return self.caller_media(&media);
        }
        let Ok(event) = serde_json::from_slice(text) else {
            return self.note(Note::Malformed {
                leg: "caller",
                bytes: text.len(),
            });
        };
        match event {
            CallerEvent::Media { media } => {
                let outbound = media
                    .track
                    .is_some_and(|track| track.starts_with("outbound"));
                if !outbound {
                    self.caller_media(&Media {
                        payload: Cow::Owned(media.payload.into_bytes()),
                        timestamp_ms: media.timestamp.and_then(twilio::Count::get),
                    });
                }
            }
            CallerEvent::Start { stream_sid, start } => {
                if let Some(sid) = stream_sid.or(start.stream_sid) {
                    self.stream_is(StreamSid::new(sid));
                }
                if self.state.call.call_sid.is_none() && start.call_sid.is_some() {
                    self.state.call.call_sid = start.call_sid;
                }
            }
            CallerEvent::Mark { mark } => {
                self.state.playback.echoed(self.now, &mark.name);
            }
            CallerEvent::Dtmf { dtmf } => self.key_pressed(&dtmf.digit),
            // The edge ends the session, unless the call comes back on another stream.
            CallerEvent::Stop {} => self.state.call.away = true,
            CallerEvent::Connected {} | CallerEvent::Unknown => {}
        }
    }

    /// One piece of the caller's audio: the path of fifty messages a second.
    fn caller_media(&mut self, media: &Media<'_>) {
        let bytes = wire::decoded_len(&media.payload);
        if self.state.call.away {
            self.caller_is_back();
        }
        let missing = self.state.clock.media(self.now, media.timestamp_ms, bytes);
        self.fill_gap(missing);
        self.keep(&media.payload);
        if !self.state.link.is_there() {
            return;
        }
        self.state.clock.appended_bytes += bytes;
        let payload = audio::changed(self.settings.to_model.as_deref(), &media.payload);
        self.tell_model(openai::append(&payload));
    }

    /// The edge had to drop media of the caller.
    pub(super) fn media_dropped(&mut self, media_ms: u64) {
        let missing = self.state.clock.dropped(self.now, media_ms);
        self.fill_gap(missing);
    }

    /// Silence in place of media that is missing, so that the model's time goes on.
    fn fill_gap(&mut self, missing_ms: u64) {
        let Some(most) = self.settings.silence.fill_max.get() else {
            return;
        };
        let ms = missing_ms.min(millis(most.0));
        if ms > 0 {
            self.send_silence(ms);
        }
    }

    pub(super) fn send_silence(&mut self, ms: u64) {
        if !self.state.link.is_there() {
            return;
        }
        self.state.clock.appended_bytes += ms * BYTES_PER_MS;
        self.tell_model(openai::append_silence(ms));
        self.note(Note::SilenceSent { ms });
    }

    /// The caller is back on another socket: everything that was queued in the old one is lost.
    pub(super) fn caller_replaced(&mut self, stream: Option<StreamSid>) {
        self.state.clock.restart(self.now);
        self.forget_playback();
        self.caller_is_back();
        if let Some(stream) = stream {
            self.state.call.stream = Some(stream);
        }
        if std::mem::take(&mut self.state.call.cut_off) {
            self.wish(Wish::Resume);
        }
    }

    /// After `stop` there is nobody who could be told the rest; without it they may come back.
    pub(super) fn caller_lost(&mut self) {
        if !self.state.call.away {
            self.forget_playback();
        }
        self.state.call.away = true;
    }

    /// Somebody is there to talk to; a model that was lost meanwhile was not missed until now.
    fn caller_is_back(&mut self) {
        if std::mem::take(&mut self.state.call.away) {
            self.reopen();
        }
    }

    /// The stream names itself.
    fn stream_is(&mut self, stream: StreamSid) {
        match &self.state.call.stream {
            Some(known) if *known == stream => {}
            Some(_) => self.caller_replaced(Some(stream)),
            None => self.state.call.stream = Some(stream),
        }
    }

    pub(super) fn tell_caller(&mut self, message: impl FnOnce(&StreamSid) -> bytes::Bytes) {
        // Before `start` there is no stream to name; nothing is said so early.
        if let Some(stream) = &self.state.call.stream {
            let text = message(stream);
            self.out.push(Action::ToCaller(text));
        }
    }
}
