//! gRPC framing of `Serve`, with buffers that fit thousands of quiet streams.

use holdline_session::FromWorker;
use holdline_wire::v1;
use prost::Message;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::convert::{Malformed, from_worker};

/// tonic would set 8 KiB aside in each direction as soon as a stream opens; most messages here are
/// a few hundred bytes, and buffers grow when one is larger.
const BUFFER_BYTES: usize = 512;
/// Messages that are ready together are written together up to here.
const YIELD_BYTES: usize = 16 << 10;

/// Encodes requests; decodes responses straight into the engine's words.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ServeCodec;

impl Codec for ServeCodec {
    type Encode = v1::ServeRequest;
    type Decode = Result<FromWorker, Malformed>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for ServeCodec {
    type Item = v1::ServeRequest;
    type Error = Status;

    fn encode(&mut self, item: Self::Item, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer)
            .map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

impl Decoder for ServeCodec {
    /// A message that is not understood is an item, not an error: errors are the connection's.
    type Item = Result<FromWorker, Malformed>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        Ok(Some(match v1::ServeResponse::decode(buffer) {
            Ok(response) => from_worker(response),
            Err(error) => Err(Malformed(format!("not a ServeResponse: {error}"))),
        }))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}
