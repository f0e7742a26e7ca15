//! What an edge says to a worker: chunks, each a `ServeRequest`.

use bytes::Buf as _;
use holdline_wire::v1::ServeRequest;
use holdline_worker::{Call, Description, Input, Worker, WorkerError, fuzzing::attachment};
use prost::Message as _;

use crate::reader::Reader;

pub(crate) fn run(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let mut requests = Vec::new();
    while !reader.is_empty() {
        match ServeRequest::decode(reader.chunk()) {
            Ok(request) => requests.push(request),
            Err(_) => break,
        }
    }
    let mut through = 0;
    for commit in attachment(Puppet, requests) {
        assert!(commit.through_seq >= through, "a position never goes back");
        through = commit.through_seq;
    }
}

/// Does what frames say.
struct Puppet;

impl Worker for Puppet {
    type Session = u64;

    fn describe(&self) -> Description {
        Description::new("fuzz")
    }

    fn attach(&self, call: &mut Call) -> Result<u64, WorkerError> {
        let _ = (
            call.received(),
            call.trace_context(),
            call.key(),
            call.reason(),
        );
        Ok(call.get("count").unwrap_or_default().unwrap_or_default())
    }

    fn handle(&self, count: &mut u64, call: &mut Call, input: Input) -> Result<(), WorkerError> {
        *count = count.wrapping_add(1);
        call.put("count", count)?;
        let _ = (call.received(), call.legs().count(), format!("{input:?}"));
        let Input::Frame(frame) = input else {
            return Ok(());
        };
        let mut deeds = frame.payload.as_bytes().clone();
        while deeds.has_remaining() {
            let deed = deeds.get_u8();
            let name = format!("k{}", deed >> 4);
            match deed & 15 {
                0 => call.raw_put(&name, &deeds)?,
                1 => drop(call.delete(&name)?),
                2 => call.send(&frame.leg, frame.payload.clone()),
                3 => call.open_leg(&name, "model", Default::default()),
                4 => call.close_leg(&frame.leg, deed.into(), "asked"),
                5 => call.set_timer(&name, std::time::Duration::from_secs(deed.into())),
                6 => call.cancel_timer(&name),
                7 => drop(call.spawn(&name, deeds.clone())?),
                8 => call.end_session("asked"),
                9 => call.hand_back("asked"),
                10 => return Err(WorkerError::new("asked")),
                _ => {}
            }
        }
        Ok(())
    }
}
