//! The frames that are sent, written once and stamped in place, and the stamps that are read back.
//!
//! Why not real messages with audio: building them would cost the generator more than the proxy
//! under test. Every frame is a ready byte string with a hole of [`STAMP`] bytes at a known place.
//! Where a frame is masked, so is the stamp, with the key that the frame is known to have.

/// Length of a stamp in bytes.
pub(super) const STAMP: usize = 32;
/// How every stamp begins; what does not is no frame of ours.
const MAGIC: &[u8; 4] = b"hlb/";
/// The key of every masked frame. A constant one is as good as any: nobody attacks a benchmark.
const KEY: [u8; 4] = [0x5a, 0x13, 0xc7, 0x8e];
/// What a worker without a label leaves in the byte behind the stamp.
pub(crate) const NO_LABEL: u8 = b'0';

/// A frame as Twilio sends one for each 20 ms of audio, up to its payload.
const CALLER_HEAD: &str = "{\"event\":\"media\",\"sequenceNumber\":\"100000\",\"media\":{\"track\":\"inbound\",\
     \"chunk\":\"100000\",\"timestamp\":\"2000000\",\"payload\":\"";
const CALLER_TAIL: &str = "\"},\"streamSid\":\"MZ00000000000000000000000000000000\"}";
/// 160 bytes of mu-law in base64.
const CALLER_PAYLOAD: usize = 216;
/// A message as OpenAI Realtime sends one for a piece of audio, up to its payload.
const MODEL_HEAD: &str = "{\"type\":\"response.output_audio.delta\",\"event_id\":\"event_0000000000000000\",\
     \"response_id\":\"resp_0000000000000000\",\"delta\":\"";
const MODEL_TAIL: &str = "\"}";

/// Where a worker finds the byte behind the stamp in a caller's message.
pub(crate) const LABEL_AT: usize = CALLER_HEAD.len() + STAMP;

/// Who wrote a frame, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    pub(super) call: u32,
    pub(super) seq: u32,
    /// Nanoseconds since the load began.
    pub(super) at: u64,
    /// The byte behind the stamp: which worker the frame went through, if that was asked for.
    pub(super) label: u8,
}

/// A frame that only lacks its stamp.
#[derive(Clone, Debug)]
pub(super) struct Template {
    bytes: Vec<u8>,
    stamp_at: usize,
    masked: bool,
}

impl Template {
    /// What a caller sends every 20 ms.
    pub(super) fn caller() -> Self {
        let payload = CALLER_HEAD.len() + CALLER_PAYLOAD + CALLER_TAIL.len();
        Self::new(CALLER_HEAD, CALLER_TAIL, payload, true)
    }

    /// What a model sends, with a payload of this many bytes.
    pub(super) fn model(payload: usize) -> Self {
        Self::new(MODEL_HEAD, MODEL_TAIL, payload, false)
    }

    fn new(head: &str, tail: &str, payload: usize, masked: bool) -> Self {
        let filling = payload
            .saturating_sub(head.len() + tail.len())
            .max(STAMP + 1);
        let mut text = head.as_bytes().to_vec();
        text.resize(head.len() + filling, NO_LABEL);
        text.extend_from_slice(tail.as_bytes());
        let mut bytes = Vec::new();
        write_frame(&mut bytes, TEXT, &text, masked);
        let stamp_at = bytes.len() - text.len() + head.len();
        Self {
            bytes,
            stamp_at,
            masked,
        }
    }

    /// The whole frame with this stamp; the byte behind the stamp stays as it is.
    pub(super) fn stamped(&mut self, stamp: Stamp) -> &[u8] {
        let mut text = [0_u8; STAMP];
        text[..4].copy_from_slice(MAGIC);
        hex(&mut text[4..10], u64::from(stamp.call));
        hex(&mut text[10..18], u64::from(stamp.seq));
        hex(&mut text[18..], stamp.at);
        if self.masked {
            // The key begins with the payload, so it is turned to where the stamp begins.
            let head = CALLER_HEAD.len();
            for (index, byte) in text.iter_mut().enumerate() {
                *byte ^= KEY[(head + index) % 4];
            }
        }
        self.bytes[self.stamp_at..self.stamp_at + STAMP].copy_from_slice(&text);
        &self.bytes
    }
}

/// Reads the stamp of a caller's frame that arrived at the model.
pub(super) fn stamp_of_caller(frame: &Frame<'_>) -> Option<Stamp> {
    read_stamp(frame, CALLER_HEAD.len())
}

/// Reads the stamp of a model's frame that arrived at the caller.
pub(super) fn stamp_of_model(frame: &Frame<'_>) -> Option<Stamp> {
    read_stamp(frame, MODEL_HEAD.len())
}

fn read_stamp(frame: &Frame<'_>, at: usize) -> Option<Stamp> {
    let raw = frame.payload.get(at..=at + STAMP)?;
    let mut text = [0_u8; STAMP + 1];
    text.copy_from_slice(raw);
    if let Some(key) = frame.key {
        for (index, byte) in text.iter_mut().enumerate() {
            *byte ^= key[(at + index) % 4];
        }
    }
    if &text[..4] != MAGIC {
        return None;
    }
    Some(Stamp {
        call: u32::try_from(number(&text[4..10])?).ok()?,
        seq: u32::try_from(number(&text[10..18])?).ok()?,
        at: number(&text[18..STAMP])?,
        label: text[STAMP],
    })
}

fn hex(into: &mut [u8], mut number: u64) {
    for byte in into.iter_mut().rev() {
        *byte = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(sum << 4 | u64::from(value))
    })
}

pub(super) const TEXT: u8 = 1;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// A WebSocket frame in a buffer, still masked if it came so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) opcode: u8,
    pub(super) key: Option<[u8; 4]>,
    pub(super) payload: &'a [u8],
}

impl Frame<'_> {
    /// The payload in clear text.
    pub(super) fn clear(&self) -> Vec<u8> {
        let key = self.key.unwrap_or_default();
        let bytes = self.payload.iter().zip(key.iter().cycle());
        bytes.map(|(byte, key)| byte ^ key).collect()
    }
}

/// The first frame of the buffer, with its whole length; `None` while it is not there in full.
pub(super) fn first(buffer: &[u8]) -> Option<(Frame<'_>, usize)> {
    let (&head, &len) = (buffer.first()?, buffer.get(1)?);
    let (payload_len, mut at) = match len & 0x7f {
        126 => {
            let len = buffer.get(2..4)?;
            (usize::from(u16::from_be_bytes(len.try_into().ok()?)), 4)
        }
        127 => {
            let len = u64::from_be_bytes(buffer.get(2..10)?.try_into().ok()?);
            (usize::try_from(len).ok()?, 10)
        }
        len => (usize::from(len), 2),
    };
    let mut key = None;
    if len & 0x80 != 0 {
        key = Some(buffer.get(at..at + 4)?.try_into().ok()?);
        at += 4;
    }
    let end = at.checked_add(payload_len)?;
    let frame = Frame {
        opcode: head & 0x0f,
        key,
        payload: buffer.get(at..end)?,
    };
    Some((frame, end))
}

/// Appends a whole frame to the buffer.
pub(super) fn write_frame(into: &mut Vec<u8>, opcode: u8, payload: &[u8], masked: bool) {
    let mask = if masked { 0x80 } else { 0 };
    into.push(0x80 | opcode);
    match payload.len() {
        len @ 0..=125 => into.push(mask | len as u8),
        len @ 126..=0xffff => {
            into.push(mask | 126);
            into.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            into.push(mask | 127);
            into.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if masked {
        into.extend_from_slice(&KEY);
        let masked = payload.iter().zip(KEY.iter().cycle());
        into.extend(masked.map(|(byte, key)| byte ^ key));
    } else {
        into.extend_from_slice(payload);
    }
}

/// What Twilio says before the first frame.
pub(super) fn greeting(call: u32) -> Vec<u8> {
    let connected = "{\"event\":\"connected\",\"protocol\":\"Call\",\"version\":\"1.0.0\"}";
    let start = format!(
        "{{\"event\":\"start\",\"sequenceNumber\":\"1\",\"start\":{{\
         \"accountSid\":\"AC00000000000000000000000000000000\",\
         \"streamSid\":\"MZ{call:032x}\",\"callSid\":\"CA{call:032x}\",\"tracks\":[\"inbound\"],\
         \"mediaFormat\":{{\"encoding\":\"audio/x-mulaw\",\"sampleRate\":8000,\"channels\":1}},\
         \"customParameters\":{{}}}},\"streamSid\":\"MZ{call:032x}\"}}"
    );
    let mut bytes = Vec::new();
    write_frame(&mut bytes, TEXT, connected.as_bytes(), true);
    write_frame(&mut bytes, TEXT, start.as_bytes(), true);
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const STAMPED: Stamp = Stamp {
        call: 0x00ab_cdef,
        seq: 7,
        at: 123_456_789_012,
        label: NO_LABEL,
    };

    #[test]
    fn what_is_stamped_is_read_back() {
        let mut template = Template::caller();
        let bytes = template.stamped(STAMPED).to_vec();
        let (frame, len) = first(&bytes).unwrap();
        assert_eq!((len, frame.opcode), (bytes.len(), TEXT));
        assert_eq!(stamp_of_caller(&frame), Some(STAMPED));
        let text = String::from_utf8(frame.clear()).unwrap();
        assert!(text.starts_with("{\"event\":\"media\"") && text.ends_with("}"));
        assert_eq!(text.as_bytes()[LABEL_AT], NO_LABEL);

        for size in [300, 1_024, 70_000] {
            let mut template = Template::model(size);
            let (frame, _) = first(template.stamped(STAMPED)).unwrap();
            assert_eq!(frame.payload.len(), size);
            assert_eq!(stamp_of_model(&frame), Some(STAMPED));
        }
    }

    #[test]
    fn a_frame_counts_only_when_it_is_there_in_full() {
        let mut template = Template::model(500);
        let bytes = template.stamped(STAMPED).to_vec();
        assert!((0..bytes.len()).all(|end| first(&bytes[..end]).is_none()));
    }

    #[test]
    fn other_messages_have_no_stamp() {
        let bytes = greeting(1);
        let (connected, len) = first(&bytes).unwrap();
        let (start, _) = first(&bytes[len..]).unwrap();
        assert_eq!(stamp_of_caller(&connected), None);
        assert_eq!(stamp_of_caller(&start), None);
    }
}
