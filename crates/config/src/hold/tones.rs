//! The hold sound of those who bring none: a soft pair of tones, then a long silence, so that a
//! caller knows that the line lives and is not annoyed by it.

use std::f64::consts::TAU;

use super::audio::{SILENCE, encode};

const RATE: f64 = 8_000.0;
/// Until it begins anew: four seconds.
const SAMPLES: usize = 32_000;
/// Beginning in seconds, length in seconds, frequency in hertz: a rising major third.
const TONES: [(f64, f64, f64); 2] = [(0.0, 0.45, 440.0), (0.4, 0.7, 554.37)];
/// About 24 dB below the loudest.
const LOUDNESS: f64 = 2_000.0;

/// Mu-law at 8 kHz. The same bytes each time.
pub(super) fn tones() -> Vec<u8> {
    let sample = |index: usize| {
        let seconds = index as f64 / RATE;
        let sum: f64 = TONES.iter().map(|tone| one(*tone, seconds)).sum();
        if sum == 0.0 {
            SILENCE
        } else {
            // Two tones overlap at most, so the sum is far from the bounds of the type.
            encode((sum * LOUDNESS) as i16)
        }
    };
    (0..SAMPLES).map(sample).collect()
}

/// One tone at one moment, from -1 to 1: it rises at once but softly, and fades.
fn one((begins, length, frequency): (f64, f64, f64), seconds: f64) -> f64 {
    let into = (seconds - begins) / length;
    if !(0.0..1.0).contains(&into) {
        return 0.0;
    }
    let rise = (into / 0.08).min(1.0);
    let fade = (1.0 - into).powi(2);
    rise * fade * (TAU * frequency * (seconds - begins)).sin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_soft_short_and_mostly_silent() {
        let sound = tones();
        assert_eq!(sound.len(), SAMPLES);
        let silent = sound.iter().filter(|byte| **byte == SILENCE).count();
        assert!(silent > SAMPLES / 2, "{silent} silent samples");
        // Without its sign, a mu-law byte falls as the sound gets louder; 0x00 would be the loudest.
        let loudest = sound.iter().map(|byte| byte & 0x7F).min();
        assert!(loudest > Some(0x2F), "{loudest:?}");
        assert_eq!(tones(), sound);
    }
}
