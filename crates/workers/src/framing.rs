//! gRPC's framing of messages on an HTTP/2 stream: a flag, four bytes of length, the message.
//!
//! What is read is handed out as slices of what HTTP/2 has read, so a payload is not copied on its
//! way in; only a message that spans several frames is put together.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::Message;
use tonic::Status;

/// The flag and the length.
const HEADER_BYTES: usize = 5;

/// A message ready to be sent.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let bytes = message.encoded_len();
    let mut buffer = BytesMut::with_capacity(HEADER_BYTES + bytes);
    buffer.put_u8(0);
    // Bounded far below by what a session may keep and a leg may send.
    buffer.put_u32(u32::try_from(bytes).unwrap_or(u32::MAX));
    message.encode_raw(&mut buffer);
    buffer.freeze()
}

/// Takes a stream of bytes apart into messages.
#[derive(Debug, Default)]
pub(crate) struct Deframer {
    /// What came last, as far as it is not handed out.
    chunk: Bytes,
    /// A message that began in an earlier chunk.
    partial: BytesMut,
}

impl Deframer {
    /// More has come. Only once [`next`](Self::next) has nothing left.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty());
        self.chunk = chunk;
    }

    /// The next whole message, if it is there.
    ///
    /// # Errors
    /// If the peer does not keep to the framing, or says more at once than `largest` bytes.
    pub(crate) fn next(&mut self, largest: usize) -> Result<Option<Bytes>, Status> {
        if self.partial.is_empty() {
            if let Some(bytes) = length(&self.chunk, largest)?
                && self.chunk.len() - HEADER_BYTES >= bytes
            {
                self.chunk.advance(HEADER_BYTES);
                return Ok(Some(self.chunk.split_to(bytes)));
            }
            self.partial.extend_from_slice(&self.chunk);
            self.chunk = Bytes::new();
            return Ok(None);
        }
        self.fill(HEADER_BYTES);
        let Some(bytes) = length(&self.partial, largest)? else {
            return Ok(None);
        };
        self.fill(HEADER_BYTES + bytes);
        if self.partial.len() < HEADER_BYTES + bytes {
            return Ok(None);
        }
        let mut message = std::mem::take(&mut self.partial).freeze();
        message.advance(HEADER_BYTES);
        Ok(Some(message))
    }

    /// Whether a message has begun and not ended.
    pub(crate) fn is_amid(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Takes from the chunk what the message is still short of.
    fn fill(&mut self, bytes: usize) {
        let missing = bytes.saturating_sub(self.partial.len());
        let taken = self.chunk.split_to(missing.min(self.chunk.len()));
        self.partial.extend_from_slice(&taken);
    }
}

/// How long the message is that begins here; `None` where too little is there to tell.
fn length(begin: &[u8], largest: usize) -> Result<Option<usize>, Status> {
    let Some([flag, length @ ..]) = begin.first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    if *flag != 0 {
        return Err(Status::unimplemented(
            "a compressed message, which was not agreed on",
        ));
    }
    let bytes = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if bytes > largest {
        return Err(Status::out_of_range(format!(
            "a message too large: {bytes} bytes, of which this edge takes {largest}"
        )));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use holdline_wire::v1;

    use super::*;

    fn reject(bytes: usize) -> v1::Reject {
        v1::Reject {
            reason: "x".repeat(bytes),
            retry: true,
        }
    }

    #[test]
    fn messages_come_out_as_they_went_in_whatever_the_chunks() {
        let sizes = [0, 1, 3, 5, 300, 20_000];
        let stream: Vec<u8> = sizes
            .iter()
            .flat_map(|size| framed(&reject(*size)).to_vec())
            .collect();
        for chunk in [1, 2, 4, 5, 6, 7, 1_000, stream.len()] {
            let mut deframer = Deframer::default();
            let mut found = Vec::new();
            for part in stream.chunks(chunk) {
                deframer.push(Bytes::copy_from_slice(part));
                while let Some(message) = deframer.next(1 << 20).unwrap() {
                    found.push(v1::Reject::decode(message).unwrap().reason.len());
                }
            }
            assert_eq!(found, sizes, "in chunks of {chunk}");
            assert!(!deframer.is_amid());
        }
    }

    #[test]
    fn an_empty_message_is_one() {
        let mut deframer = Deframer::default();
        deframer.push(framed(&v1::Accept {}));
        assert_eq!(deframer.next(0).unwrap(), Some(Bytes::new()));
        assert_eq!(deframer.next(0).unwrap(), None);
    }

    #[test]
    fn what_is_too_large_or_compressed_is_refused_before_it_is_read() {
        for (begin, code) in [
            ([0, 0, 0, 1, 1], tonic::Code::OutOfRange),
            ([1, 0, 0, 0, 1], tonic::Code::Unimplemented),
        ] {
            let mut deframer = Deframer::default();
            deframer.push(Bytes::copy_from_slice(&begin));
            assert_eq!(deframer.next(256).unwrap_err().code(), code);
        }
        let mut deframer = Deframer::default();
        deframer.push(Bytes::from_static(&[0, 0, 0, 1, 0]));
        assert_eq!(deframer.next(256).unwrap(), None);
        assert!(deframer.is_amid());
    }
}
