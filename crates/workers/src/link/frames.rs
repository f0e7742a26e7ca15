//! Sees GOAWAY pass by.
//!
//! A worker that wants its connection back says GOAWAY and then goes on serving the streams that
//! are open. The HTTP/2 client tells this only to the next request; but the sessions on an
//! otherwise quiet connection must move now, not when the next call comes. So the headers of
//! incoming frames (RFC 9113, 4.1: nine bytes, length first) are looked at on their way.

const HEADER_BYTES: usize = 9;
const TYPE_GOAWAY: u8 = 0x7;

/// Follows the boundaries of the frames of one direction.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    header: [u8; HEADER_BYTES],
    /// Bytes of the header seen so far.
    filled: usize,
    /// Bytes of the present frame's payload still to come.
    payload: usize,
}

impl Frames {
    /// Whether a GOAWAY begins within these, the next bytes of the connection.
    pub(crate) fn saw_go_away(&mut self, mut bytes: &[u8]) -> bool {
        let mut seen = false;
        while !bytes.is_empty() {
            if self.payload > 0 {
                let skipped = self.payload.min(bytes.len());
                self.payload -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (HEADER_BYTES - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == HEADER_BYTES {
                let [a, b, c, kind, ..] = self.header;
                self.payload = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.filled = 0;
                seen |= kind == TYPE_GOAWAY;
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap_or_default().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, 0, 0, 0, 0, 1];
        // Payload that would look like a GOAWAY header if boundaries were lost.
        frame.extend(std::iter::repeat_n(TYPE_GOAWAY, payload));
        frame
    }

    #[test]
    fn finds_go_away_whatever_the_segments() {
        let mut stream = Vec::new();
        for payload in [0, 1, 8, 9, 10, 70_000] {
            stream.extend(frame(0x0, payload));
        }
        let at = stream.len();
        stream.extend(frame(TYPE_GOAWAY, 8));
        for size in [1, 2, 7, 9, 4_096, stream.len()] {
            let mut frames = Frames::default();
            let mut passed = 0;
            let mut found = None;
            for segment in stream.chunks(size) {
                passed += segment.len();
                if frames.saw_go_away(segment) && found.is_none() {
                    found = Some(passed);
                }
            }
            let found = found.unwrap_or_default();
            assert!(
                found > at && found <= at + size.max(HEADER_BYTES) + size,
                "{size}"
            );
        }
    }

    #[test]
    fn does_not_find_it_inside_payloads() {
        let mut frames = Frames::default();
        for payload in 0..300 {
            assert!(!frames.saw_go_away(&frame(0x0, payload)));
        }
    }
}
