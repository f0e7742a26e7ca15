//! Stereo WAV files of a call, so that a person can listen to what the numbers say: the
//! caller on the left, what the caller heard on the right.

use std::io::{self, Write};

use crate::mulaw;

/// Writes 16-bit stereo at 8 kHz from two mu-law tracks; the shorter one is filled up with
/// silence.
///
/// # Errors
/// What the writer says; and `InvalidInput` for tracks beyond the 4 GiB of the format.
pub fn write_stereo(out: &mut impl Write, left: &[u8], right: &[u8]) -> io::Result<()> {
    const BYTES_PER_SAMPLE_PAIR: u32 = 4;
    let samples = left.len().max(right.len());
    let data = u32::try_from(samples)
        .ok()
        .and_then(|samples| samples.checked_mul(BYTES_PER_SAMPLE_PAIR))
        .filter(|data| data.checked_add(36).is_some())
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "the call is too long for a WAV file",
            )
        })?;
    out.write_all(b"RIFF")?;
    out.write_all(&(data + 36).to_le_bytes())?;
    out.write_all(b"WAVEfmt ")?;
    out.write_all(&16u32.to_le_bytes())?;
    out.write_all(&1u16.to_le_bytes())?; // Linear PCM
    out.write_all(&2u16.to_le_bytes())?; // two channels
    out.write_all(&mulaw::RATE.to_le_bytes())?;
    out.write_all(&(mulaw::RATE * BYTES_PER_SAMPLE_PAIR).to_le_bytes())?;
    out.write_all(&4u16.to_le_bytes())?; // bytes per pair
    out.write_all(&16u16.to_le_bytes())?; // bits per sample
    out.write_all(b"data")?;
    out.write_all(&data.to_le_bytes())?;
    let mut block = Vec::with_capacity(4_096);
    for index in 0..samples {
        for track in [left, right] {
            let byte = track.get(index).copied().unwrap_or(mulaw::SILENCE);
            block.extend_from_slice(&mulaw::decode(byte).to_le_bytes());
        }
        if block.len() >= 4_096 {
            out.write_all(&block)?;
            block.clear();
        }
    }
    out.write_all(&block)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn both_tracks_are_in_the_file_and_the_sizes_fit() {
        let mut file = Vec::new();
        write_stereo(&mut file, &[0x00, 0x80], &[0x80]).unwrap();
        assert_eq!(file.len(), 44 + 8);
        assert_eq!(&file[..4], b"RIFF");
        assert_eq!(
            u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize,
            file.len() - 8
        );
        assert_eq!(u32::from_le_bytes(file[40..44].try_into().unwrap()), 8);
        let samples: Vec<i16> = file[44..]
            .chunks(2)
            .map(|pair| i16::from_le_bytes(pair.try_into().unwrap()))
            .collect();
        assert_eq!(samples, [-32_124, 32_124, 32_124, 0]);
    }
}
