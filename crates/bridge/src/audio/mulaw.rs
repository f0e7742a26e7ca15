//! Gain in the mu-law domain: one table of 256 bytes, one look-up a sample.

use super::AudioHook;

/// The silent sample.
pub(crate) const SILENCE: u8 = 0xFF;
/// Added before a sample's logarithm is taken (ITU-T G.711).
const BIAS: i32 = 0x84;
/// The loudest sample.
const CLIP: i32 = 32_635;

/// Makes audio louder or quieter. A sample that would be too loud is clipped.
pub struct Gain {
    table: [u8; 256],
}

impl Gain {
    /// A gain in decibels; 0 changes nothing.
    #[must_use]
    pub fn new(decibels: f32) -> Self {
        let factor = 10f32.powf(decibels / 20.0);
        let mut table = [SILENCE; 256];
        for (byte, out) in (0..=u8::MAX).zip(&mut table) {
            let loud = (f64::from(decode(byte)) * f64::from(factor)).round();
            *out = encode(loud.clamp(-f64::from(CLIP), f64::from(CLIP)) as i32);
        }
        Self { table }
    }

    /// Turns everything into silence.
    #[must_use]
    pub fn mute() -> Self {
        Self {
            table: [SILENCE; 256],
        }
    }
}

impl AudioHook for Gain {
    fn apply(&self, mulaw: &mut [u8]) {
        for byte in mulaw {
            *byte = self.table[usize::from(*byte)];
        }
    }
}

/// A linear 16-bit sample.
fn decode(byte: u8) -> i32 {
    let byte = !byte;
    let exponent = i32::from((byte >> 4) & 7);
    let magnitude = (((i32::from(byte & 0xF) << 3) + BIAS) << exponent) - BIAS;
    if byte & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// The nearest mu-law sample.
fn encode(sample: i32) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.abs().min(CLIP) + BIAS;
    // The highest bit set, counted from the lowest segment's.
    let exponent = (31 - magnitude.leading_zeros() as i32 - 7).clamp(0, 7);
    let mantissa = (magnitude >> (exponent + 3)) & 0xF;
    let coded = sign | (exponent << 4) | mantissa;
    !u8::try_from(coded).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_gain_changes_no_sample() {
        let gain = Gain::new(0.0);
        for byte in 0..=u8::MAX {
            // 0x7F is the second, negative zero.
            let expected = if byte == 0x7F { SILENCE } else { byte };
            assert_eq!(gain.table[usize::from(byte)], expected);
        }
    }

    #[test]
    fn six_decibels_double_and_the_loudest_is_clipped() {
        let gain = Gain::new(6.0206);
        let mut audio = [encode(1_000), encode(-1_000), encode(30_000)];
        gain.apply(&mut audio);
        let [up, down, clipped] = audio.map(decode);
        assert!((1_900..2_100).contains(&up), "{up}");
        assert!((-2_100..-1_900).contains(&down), "{down}");
        assert!(clipped > 31_000, "{clipped}");
    }
}
