//! What a sound file holds: raw mu-law, or a WAV file of telephone quality.
//!
//! The two are told apart by the first bytes. Nothing is resampled or mixed: who makes the file has
//! better tools for that, and the message says what is wanted.

/// Longest sound: five minutes.
const SAMPLES_MAX: usize = 5 * 60 * 8_000;
/// A file of that length in 16-bit PCM, with room for what else a WAV file may hold.
pub(super) const FILE_MAX: usize = 2 * SAMPLES_MAX + (64 << 10);
/// The mu-law byte of silence.
pub(super) const SILENCE: u8 = 0xFF;

const RATE: u32 = 8_000;
const PCM: u16 = 1;
const MULAW: u16 = 7;
const RIGHT: &str = "it must be raw mu-law at 8 kHz, or WAV with one channel at 8 kHz, \
     in mu-law or 16-bit PCM";

/// The mu-law samples of a file.
pub(super) fn decode(file: &[u8]) -> Result<Vec<u8>, String> {
    let samples = if file.starts_with(b"RIFF") {
        decode_wav(file)?
    } else {
        file.to_vec()
    };
    if samples.is_empty() {
        return Err("it is empty".to_owned());
    }
    if samples.len() > SAMPLES_MAX {
        let seconds = samples.len().div_ceil(RATE as usize);
        return Err(format!("it plays {seconds} s; 300 s are allowed"));
    }
    Ok(samples)
}

/// One linear sample as mu-law (ITU-T G.711).
pub(super) fn encode(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    const CLIP: i32 = 32_635;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(CLIP) + BIAS;
    // The bias sets bit 7, so that the segment is 0 to 7.
    let segment = magnitude.ilog2() - 7;
    let step = (magnitude >> (segment + 3)) & 0x0F;
    // Three bits of segment and four of step fit.
    !(sign | (segment as u8) << 4 | step as u8)
}

fn decode_wav(file: &[u8]) -> Result<Vec<u8>, String> {
    if file.get(8..12) != Some(b"WAVE") {
        return Err(format!("it is RIFF, but no WAV: {RIGHT}"));
    }
    let mut rest = file.get(12..).unwrap_or_default();
    let mut format = None;
    while let Some((id, body, behind)) = chunk(rest) {
        match id {
            b"fmt " => format = Some(check_format(body)?),
            b"data" => {
                let encoding = format.ok_or("its samples come before their format")?;
                return Ok(samples(encoding, body));
            }
            _ => {}
        }
        rest = behind;
    }
    Err("it is a WAV file without samples".to_owned())
}

/// The first chunk: its name, its body as far as it is there, and what follows. Bodies are padded to
/// an even length.
fn chunk(rest: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (id, rest) = rest.split_at_checked(4)?;
    let (size, rest) = rest.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
    let body = &rest[..size.min(rest.len())];
    let behind = size.checked_next_multiple_of(2)?;
    Some((id, body, rest.get(behind..).unwrap_or_default()))
}

/// The encoding of the samples.
fn check_format(body: &[u8]) -> Result<u16, String> {
    let Some(fields) = body.first_chunk::<16>() else {
        return Err("it is a WAV file with a broken format chunk".to_owned());
    };
    let short = |at: usize| u16::from_le_bytes([fields[at], fields[at + 1]]);
    let rate = u32::from_le_bytes([fields[4], fields[5], fields[6], fields[7]]);
    let (encoding, channels, bits) = (short(0), short(2), short(14));
    match (encoding, bits) {
        _ if channels != 1 || rate != RATE => {}
        (MULAW, 8) | (PCM, 16) => return Ok(encoding),
        _ => {}
    }
    Err(format!(
        "it has {channels} channels at {rate} Hz with {bits} bits in encoding {encoding}: {RIGHT}"
    ))
}

fn samples(encoding: u16, body: &[u8]) -> Vec<u8> {
    if encoding == MULAW {
        return body.to_vec();
    }
    let (pairs, _) = body.as_chunks::<2>();
    pairs
        .iter()
        .map(|pair| encode(i16::from_le_bytes(*pair)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn wav(encoding: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
        // A chunk of odd length that nobody here knows.
        file.extend(b"LIST\x03\0\0\0abc\0fmt \x10\0\0\0");
        file.extend(encoding.to_le_bytes());
        file.extend(channels.to_le_bytes());
        file.extend(rate.to_le_bytes());
        file.extend([0; 6]);
        file.extend(bits.to_le_bytes());
        file.extend(b"data");
        file.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        file.extend(data);
        file
    }

    #[test]
    fn raw_and_both_kinds_of_wav_are_read() {
        assert_eq!(decode(&[1, 2, 3]).unwrap(), [1, 2, 3]);
        assert_eq!(decode(&wav(MULAW, 1, RATE, 8, &[9, 8])).unwrap(), [9, 8]);
        let pcm: Vec<u8> = [0i16, i16::MAX, i16::MIN, -1, 1_000]
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        let samples = decode(&wav(PCM, 1, RATE, 16, &pcm)).unwrap();
        assert_eq!(samples, [0xFF, 0x80, 0x00, 0x7F, 0xCE]);
    }

    #[test]
    fn what_would_sound_wrong_is_refused_in_words() {
        for (file, why) in [
            (vec![], "it is empty"),
            (
                vec![0; SAMPLES_MAX + 1],
                "it plays 301 s; 300 s are allowed",
            ),
            (
                wav(PCM, 2, RATE, 16, &[0; 4]),
                "it has 2 channels at 8000 Hz",
            ),
            (
                wav(PCM, 1, 44_100, 16, &[0; 4]),
                "it has 1 channels at 44100 Hz",
            ),
            (
                wav(3, 1, RATE, 32, &[0; 4]),
                "it has 1 channels at 8000 Hz with 32 bits",
            ),
            (b"RIFF\0\0\0\0AVI ".to_vec(), "it is RIFF, but no WAV"),
            (
                b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0ab".to_vec(),
                "it is a WAV file with a broken",
            ),
            (
                b"RIFF\0\0\0\0WAVEdata\x02\0\0\0ab".to_vec(),
                "its samples come before",
            ),
            (
                b"RIFF\0\0\0\0WAVEfmt \xFF\xFF\xFF\xFF".to_vec(),
                "it is a WAV file with a broken",
            ),
            (
                b"RIFF\0\0\0\0WAVELIST".to_vec(),
                "it is a WAV file without samples",
            ),
        ] {
            let said = decode(&file).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }
}
