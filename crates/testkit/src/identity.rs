//! Who a 20 ms frame of audio is, told by the audio itself.
//!
//! Why inside the samples: what stands between the two simulators may re-wrap, merge or
//! split messages as it likes, and the judge must not have to trust any of its numbers.
//! The least significant bit of a mu-law sample is far below what a caller can hear, and a
//! frame has 160 of them, enough for the name of the stream, a counter and a checksum.
//!
//! ```text
//!  bytes  0..2   2      3      4..8   8..12  12..16    16..20
//!        magic  voice  label   call   part   counter   CRC-32 of bytes 0..16
//! ```
//! Each byte fills eight samples, most significant bit first.

use std::time::Duration;

use crate::mulaw;

/// Bytes of one frame of 8 kHz mu-law.
pub const FRAME_BYTES: usize = 160;
/// How long one frame plays.
pub const FRAME_TIME: Duration = Duration::from_millis(20);

const MAGIC: [u8; 2] = *b"HL";
const STAMP_BYTES: usize = FRAME_BYTES / 8;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Voice {
    /// The caller; part is the number of its media stream within the call, from 0.
    Caller,
    /// The model; part is made of the connection and the response ([`model_part`]).
    Model,
}

/// A run of frames with counters from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Who speaks.
    pub voice: Voice,
    /// The number of the call; [`UNKNOWN_CALL`] where the model spoke before it heard anyone.
    pub call: u32,
    /// Which stream of that voice in the call.
    pub part: u32,
}

/// The call number of a model that has not heard a stamped frame yet.
pub const UNKNOWN_CALL: u32 = u32::MAX;

/// The part of a model's response: unique within one simulator, whatever the call.
#[must_use]
pub fn model_part(connection: u16, response: u16) -> u32 {
    (u32::from(connection) << 16) | u32::from(response)
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameId {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its place in the stream, from 0.
    pub counter: u32,
    /// What is spoken in it: 0 for silence, else [`crate::speech::Utterance::label`].
    pub label: u8,
}

/// Writes the identity into the samples; changes each by at most one step of the code.
pub fn stamp(frame: &mut [u8; FRAME_BYTES], id: FrameId) {
    let bits = to_bytes(id);
    for (samples, byte) in frame.chunks_exact_mut(8).zip(bits) {
        for (place, sample) in samples.iter_mut().enumerate() {
            *sample = (*sample & 0xFE) | ((byte >> (7 - place)) & 1);
        }
    }
}

/// Reads the identity of exactly one frame; `None` when it carries none or was changed.
#[must_use]
pub fn read(frame: &[u8]) -> Option<FrameId> {
    if frame.len() != FRAME_BYTES {
        return None;
    }
    let mut bytes = [0u8; STAMP_BYTES];
    for (index, (byte, samples)) in bytes.iter_mut().zip(frame.chunks_exact(8)).enumerate() {
        *byte = samples
            .iter()
            .fold(0, |all, sample| (all << 1) | (sample & 1));
        // Most places that are not the start of a frame are refused after 8 samples.
        if index < MAGIC.len() && *byte != MAGIC[index] {
            return None;
        }
    }
    from_bytes(&bytes)
}

fn to_bytes(id: FrameId) -> [u8; STAMP_BYTES] {
    let mut bytes = [0u8; STAMP_BYTES];
    bytes[0..2].copy_from_slice(&MAGIC);
    bytes[2] = match id.stream.voice {
        Voice::Caller => 0,
        Voice::Model => 1,
    };
    bytes[3] = id.label;
    bytes[4..8].copy_from_slice(&id.stream.call.to_be_bytes());
    bytes[8..12].copy_from_slice(&id.stream.part.to_be_bytes());
    bytes[12..16].copy_from_slice(&id.counter.to_be_bytes());
    let check = crc32(&bytes[..16]);
    bytes[16..20].copy_from_slice(&check.to_be_bytes());
    bytes
}

fn from_bytes(bytes: &[u8; STAMP_BYTES]) -> Option<FrameId> {
    let word =
        |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    if bytes[..2] != MAGIC || word(16) != crc32(&bytes[..16]) {
        return None;
    }
    let voice = match bytes[2] {
        0 => Voice::Caller,
        1 => Voice::Model,
        _ => return None,
    };
    Some(FrameId {
        stream: StreamId {
            voice,
            call: word(4),
            part: word(8),
        },
        counter: word(12),
        label: bytes[3],
    })
}

/// CRC-32 (IEEE) bit by bit: 16 bytes a frame do not earn a table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// A frame found in a byte stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Who it is.
    pub id: FrameId,
    /// Where its first byte stood in the stream, counted from the first byte ever pushed.
    pub offset: u64,
}

/// Finds stamped frames in a stream of pieces of any length, and its place again after
/// bytes that belong to no frame. Keeps at most one incomplete frame between calls.
#[derive(Debug, Clone, Default)]
pub struct Scanner {
    tail: Vec<u8>,
    consumed: u64,
    unreadable: u64,
    silence: u64,
}

impl Scanner {
    /// Takes the next piece of the stream; returns the frames that are complete with it.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Found> {
        let mut found = Vec::with_capacity(bytes.len() / FRAME_BYTES + 1);
        let mut joined = std::mem::take(&mut self.tail);
        joined.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(frame) = joined.get(at..at + FRAME_BYTES) {
            match read(frame) {
                Some(id) => {
                    found.push(Found {
                        id,
                        offset: self.consumed + at as u64,
                    });
                    at += FRAME_BYTES;
                }
                None => {
                    // A frame that was damaged has other bytes too, so it cannot hide here.
                    if joined[at] == mulaw::SILENCE {
                        self.silence += 1;
                    } else {
                        self.unreadable += 1;
                    }
                    at += 1;
                }
            }
        }
        self.consumed += at as u64;
        joined.drain(..at);
        joined.shrink_to(FRAME_BYTES);
        self.tail = joined;
        found
    }

    /// Bytes so far that belong to no frame and are not silence: unstamped audio, and the remains of frames that
    /// were cut or changed.
    #[must_use]
    pub fn unreadable_bytes(&self) -> u64 {
        self.unreadable
    }

    /// Bytes of perfect silence that belong to no frame: what a worker fills a gap with.
    #[must_use]
    pub fn silence_bytes(&self) -> u64 {
        self.silence
    }

    /// Bytes that were decided about: all that were pushed but the incomplete ones.
    #[must_use]
    pub fn consumed_bytes(&self) -> u64 {
        self.consumed
    }

    /// Bytes at the end that may still become a frame, silence left out.
    #[must_use]
    pub fn incomplete_bytes(&self) -> usize {
        self.tail
            .iter()
            .filter(|&&byte| byte != mulaw::SILENCE)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::Utterance;

    fn id(counter: u32) -> FrameId {
        let stream = StreamId {
            voice: Voice::Model,
            call: 7,
            part: model_part(3, 9),
        };
        FrameId {
            stream,
            counter,
            label: 4,
        }
    }

    fn frames(count: u32) -> Vec<u8> {
        (0..count)
            .flat_map(|n| {
                let mut frame = Utterance::AMIABLE.frame(n);
                stamp(&mut frame, id(n));
                frame
            })
            .collect()
    }

    #[test]
    fn an_identity_comes_back_and_cannot_be_heard() {
        let plain = Utterance::AMIABLE.frame(40);
        let mut frame = plain;
        let wanted = FrameId {
            counter: u32::MAX,
            ..id(0)
        };
        stamp(&mut frame, wanted);
        assert_eq!(read(&frame), Some(wanted));
        for (before, after) in plain.iter().zip(frame) {
            assert!(before ^ after <= 1);
        }
    }

    #[test]
    fn filled_silence_is_no_damage_but_a_damaged_frame_is() {
        let mut scanner = Scanner::default();
        let mut stream = frames(1);
        stream.extend([mulaw::SILENCE; 400]);
        stream.extend(frames(1));
        assert_eq!(scanner.push(&stream).len(), 2);
        assert_eq!(
            (scanner.silence_bytes(), scanner.unreadable_bytes()),
            (400, 0)
        );
        scanner.push(&[mulaw::SILENCE; 200]);
        assert_eq!(scanner.incomplete_bytes(), 0);
        let mut scanner = Scanner::default();
        let mut damaged = frames(2);
        damaged[3] ^= 1;
        assert_eq!(scanner.push(&damaged).len(), 1);
        assert!(scanner.unreadable_bytes() > 0);
    }

    #[test]
    fn stamped_silence_stays_quiet() {
        let mut frame = [mulaw::SILENCE; FRAME_BYTES];
        stamp(&mut frame, id(1));
        assert!(mulaw::rms(&frame) < 10.0);
        assert_eq!(read(&frame), Some(id(1)));
    }

    #[test]
    fn crc_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn any_single_flipped_bit_is_noticed() {
        let mut frame = [mulaw::SILENCE; FRAME_BYTES];
        stamp(&mut frame, id(1));
        for place in 0..FRAME_BYTES {
            let mut changed = frame;
            changed[place] ^= 1;
            assert_eq!(read(&changed), None, "sample {place}");
        }
        assert_eq!(read(&frame[1..]), None);
        assert_eq!(read(&[mulaw::SILENCE; FRAME_BYTES]), None);
    }

    #[test]
    fn the_scanner_does_not_care_how_the_stream_was_cut() {
        let stream = frames(20);
        for size in [1, 7, 159, 160, 161, 2_080, stream.len()] {
            let mut scanner = Scanner::default();
            let found: Vec<Found> = stream
                .chunks(size)
                .flat_map(|piece| scanner.push(piece))
                .collect();
            assert_eq!(found.len(), 20, "pieces of {size}");
            for (n, frame) in found.iter().enumerate() {
                assert_eq!(frame.id, id(n as u32));
                assert_eq!(frame.offset, n as u64 * 160);
            }
            assert_eq!(
                (scanner.unreadable_bytes(), scanner.incomplete_bytes()),
                (0, 0)
            );
        }
    }

    #[test]
    fn the_scanner_finds_its_place_again() {
        let mut stream = frames(3);
        stream.drain(160..200); // The second frame loses its head,
        stream.splice(0..0, [0x55; 100]); // and foreign sound comes first.
        let mut scanner = Scanner::default();
        let found = scanner.push(&stream);
        let counters: Vec<u32> = found.iter().map(|frame| frame.id.counter).collect();
        assert_eq!(counters, [0, 2]);
        assert!(scanner.unreadable_bytes() > 100);
        let neither = scanner.unreadable_bytes() + scanner.silence_bytes();
        assert_eq!(neither, 100 + 120);
    }
}
