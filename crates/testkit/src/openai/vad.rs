//! Voice activity detection in audio time.
//!
//! Why audio time: the real server counts what was appended, not what a clock says. Audio
//! that is appended in a burst after an interruption is judged as if it had come in time,
//! and a caller whose audio stops coming in the middle of a word never finishes speaking.

use crate::mulaw;

/// Bytes that are judged together: 20 ms.
const WINDOW: usize = 160;
/// Loud windows in a row that make speech; less is a click on the line.
const VOICED_WINDOWS: u32 = 3;
/// The loudness at which the threshold 0.5 lies, times two. The quietest pauses of real
/// recordings stay below half of it.
const FULL_THRESHOLD_RMS: f64 = 600.0;

/// The settings of `server_vad`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VadSettings {
    /// 0.0 to 1.0.
    pub threshold: f64,
    /// Audio before the first loud sound that belongs to the turn.
    pub prefix_padding_ms: u64,
    /// Silence that ends the turn.
    pub silence_duration_ms: u64,
}

/// What was detected, in milliseconds of audio since the session began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VadEvent {
    /// The caller began to speak here, padding included.
    Started {
        /// In audio time.
        audio_start_ms: u64,
    },
    /// The caller had stopped, the silence included.
    Stopped {
        /// In audio time.
        audio_end_ms: u64,
    },
}

/// The detector.
#[derive(Debug)]
pub struct Vad {
    settings: VadSettings,
    window: Vec<u8>,
    /// Where the window begins.
    clock_bytes: u64,
    voiced_run: u32,
    /// The end of the last loud window, while the caller speaks.
    speaking: Option<u64>,
}

impl Vad {
    /// A detector that starts at this point of audio time.
    #[must_use]
    pub fn new(settings: VadSettings, clock_ms: u64) -> Self {
        Self {
            settings,
            window: Vec::with_capacity(WINDOW),
            clock_bytes: clock_ms * 8,
            voiced_run: 0,
            speaking: None,
        }
    }

    /// Settings may change in mid-session, even in mid-word.
    pub fn set(&mut self, settings: VadSettings) {
        self.settings = settings;
    }

    /// Whether the caller is speaking.
    #[must_use]
    pub fn is_speaking(&self) -> bool {
        self.speaking.is_some()
    }

    /// The turn was ended from outside: a manual commit or a cleared buffer.
    pub fn reset(&mut self) {
        self.speaking = None;
        self.voiced_run = 0;
    }

    /// Listens to mu-law of any length.
    pub fn push(&mut self, mut audio: &[u8]) -> Vec<VadEvent> {
        let mut events = Vec::new();
        while !audio.is_empty() {
            let (now, later) = audio.split_at((WINDOW - self.window.len()).min(audio.len()));
            self.window.extend_from_slice(now);
            audio = later;
            if self.window.len() == WINDOW {
                let loud = mulaw::rms(&self.window) > self.settings.threshold * FULL_THRESHOLD_RMS;
                self.window.clear();
                self.clock_bytes += WINDOW as u64;
                events.extend(self.judge(loud));
            }
        }
        events
    }

    fn judge(&mut self, loud: bool) -> Option<VadEvent> {
        let now_ms = self.clock_bytes / 8;
        self.voiced_run = if loud { self.voiced_run + 1 } else { 0 };
        match self.speaking {
            None if self.voiced_run >= VOICED_WINDOWS => {
                self.speaking = Some(now_ms);
                let first_loud = now_ms.saturating_sub(u64::from(VOICED_WINDOWS) * 20);
                let audio_start_ms = first_loud.saturating_sub(self.settings.prefix_padding_ms);
                Some(VadEvent::Started { audio_start_ms })
            }
            Some(_) if loud => {
                self.speaking = Some(now_ms);
                None
            }
            Some(last_loud) if now_ms - last_loud >= self.settings.silence_duration_ms => {
                self.reset();
                Some(VadEvent::Stopped {
                    audio_end_ms: now_ms,
                })
            }
            None | Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::Utterance;

    const SETTINGS: VadSettings = VadSettings {
        threshold: 0.5,
        prefix_padding_ms: 300,
        silence_duration_ms: 500,
    };

    fn silence(ms: usize) -> Vec<u8> {
        vec![mulaw::SILENCE; ms * 8]
    }

    #[test]
    fn every_recording_is_exactly_one_turn() {
        for index in 0..Utterance::COUNT {
            let utterance = Utterance::number(index);
            let audio = [
                silence(1_000),
                utterance.recording().audio.to_vec(),
                silence(1_000),
            ]
            .concat();
            let events = Vad::new(SETTINGS, 0).push(&audio);
            let [
                VadEvent::Started { audio_start_ms },
                VadEvent::Stopped { audio_end_ms },
            ] = events[..]
            else {
                panic!("recording {index} gave {events:?}");
            };
            assert!((700..1_100).contains(&audio_start_ms), "{audio_start_ms}");
            let length = utterance.duration().as_millis() as u64;
            assert!(
                audio_end_ms > 1_000 + length / 2 && audio_end_ms <= 1_500 + length,
                "{audio_end_ms}"
            );
        }
    }

    #[test]
    fn time_is_audio_time_however_it_comes() {
        let audio = [
            silence(400),
            Utterance::AMIABLE.recording().audio.to_vec(),
            silence(700),
        ]
        .concat();
        let whole = Vad::new(SETTINGS, 0).push(&audio);
        let mut vad = Vad::new(SETTINGS, 0);
        let pieces: Vec<VadEvent> = audio.chunks(77).flat_map(|piece| vad.push(piece)).collect();
        assert_eq!(whole, pieces);
    }

    #[test]
    fn without_audio_a_turn_never_ends() {
        let mut vad = Vad::new(SETTINGS, 0);
        vad.push(Utterance::AMIABLE.recording().audio);
        assert!(vad.is_speaking());
        // The recording itself ends with some quiet.
        assert_eq!(vad.push(&silence(300)), []);
        assert_eq!(vad.push(&silence(300)).len(), 1);
        assert!(!vad.is_speaking());
    }

    #[test]
    fn a_click_is_not_speech_and_a_high_threshold_hears_less() {
        let click = [silence(100), vec![0x80; 240], silence(1_000)].concat();
        assert_eq!(Vad::new(SETTINGS, 0).push(&click), []);
        let deaf = VadSettings {
            threshold: 40.0,
            ..SETTINGS
        };
        assert_eq!(
            Vad::new(deaf, 0).push(Utterance::AMIABLE.recording().audio),
            []
        );
    }
}
