//! ITU-T G.711 mu-law, the only audio of a phone call here: one byte per sample at 8 kHz.

use std::time::Duration;

/// The byte for silence.
pub const SILENCE: u8 = 0xFF;
/// Bytes (samples) per second.
pub const RATE: u32 = 8_000;

const BIAS: i32 = 0x84;
const CLIP: i32 = 32_635;

/// One sample to 16-bit linear.
#[must_use]
pub fn decode(byte: u8) -> i16 {
    let code = !byte;
    let exponent = (code >> 4) & 0x07;
    let mantissa = i32::from(code & 0x0F);
    let magnitude = (((mantissa << 3) + BIAS) << exponent) - BIAS;
    // The magnitude is at most 32,124, so that both signs fit.
    (if code & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }) as i16
}

/// One 16-bit linear sample to mu-law; louder than the code can say is clipped.
#[must_use]
pub fn encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80u8 } else { 0 };
    let magnitude = i32::from(sample).abs().min(CLIP) + BIAS;
    // BIAS sets bit 7, so the highest bit is 7 to 14 and the exponent 0 to 7.
    let exponent = (31 - magnitude.leading_zeros() as i32 - 7).clamp(0, 7);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0F;
    !(sign | ((exponent as u8) << 4) | mantissa as u8)
}

/// How long `bytes` of mu-law play: 125 microseconds each.
#[must_use]
pub fn duration(bytes: usize) -> Duration {
    Duration::from_micros(125).saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX))
}

/// How many whole bytes play in `time`.
#[must_use]
pub fn bytes(time: Duration) -> usize {
    usize::try_from(time.as_micros() / 125).unwrap_or(usize::MAX)
}

/// Root mean square of the linear samples: 0 is silence, real speech lies in the thousands.
#[must_use]
pub fn rms(samples: &[u8]) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let sum: f64 = samples
        .iter()
        .map(|&byte| {
            let value = f64::from(decode(byte));
            value * value
        })
        .sum();
    (sum / samples.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_a_round_trip() {
        for code in 0..=u8::MAX {
            let again = encode(decode(code));
            // The two codes for zero are one value.
            assert!(
                again == code || decode(code) == 0,
                "{code:#x} became {again:#x}"
            );
        }
    }

    #[test]
    fn known_values_of_the_standard() {
        assert_eq!(decode(0xFF), 0);
        assert_eq!(decode(0x00), -32_124);
        assert_eq!(decode(0x80), 32_124);
        assert_eq!(encode(i16::MIN), 0x00);
        assert_eq!(encode(i16::MAX), 0x80);
        assert_eq!(duration(160), Duration::from_millis(20));
        assert_eq!(bytes(Duration::from_millis(20)), 160);
    }

    #[test]
    fn silence_is_quiet_and_a_square_wave_is_loud() {
        assert!(rms(&[SILENCE; 160]) < 1.0);
        assert!(rms(&[0x00; 160]) > 30_000.0);
    }
}
