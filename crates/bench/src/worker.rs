//! The worker behind the edge: what one half of a call says, it hands to the other, and no more.
//!
//! It runs beside the load, so it has to be light, and it keeps no state: what an agent does is not
//! what is measured here.

use std::{io, time::Duration};

use clap::Args;
use holdline_worker::{
    Bytes, CALLER, Call, Description, Frame, Input, Payload, Settings, Worker, WorkerError,
    run_with,
};

use crate::{load::LABEL_AT, stalling};

/// The leg to the model.
const MODEL: &str = "model";
/// How long it may take to leave.
const GRACE: Duration = Duration::from_secs(30);

/// Options of the hidden sub-command `worker`.
#[derive(Args, Debug)]
pub(crate) struct WorkerArgs {
    /// HOST:PORT.
    #[arg(long)]
    listen: String,
    /// A letter that it leaves in every caller's frame, so that the model sees who handled it.
    #[arg(long)]
    label: Option<char>,
    /// At SIGUSR1 it stops reading this many of its streams. Such a worker leaves no letters.
    #[arg(long, conflicts_with = "label")]
    stall: Option<u32>,
}

struct Relay {
    label: Option<u8>,
}

/// Serves until SIGTERM and until its calls have left.
///
/// # Errors
/// If it cannot serve.
pub(crate) fn run(args: WorkerArgs) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if let Some(stalled) = args.stall {
        return runtime.block_on(stalling::run(&args.listen, stalled));
    }
    let settings = Settings {
        address: args.listen,
        grace: GRACE,
        tls: None,
    };
    let label = args.label.map(u8::try_from).transpose();
    let relay = Relay {
        label: label.map_err(|_| io::Error::other("a label is one letter of ASCII"))?,
    };
    let serving = run_with(relay, settings);
    runtime.block_on(serving).map_err(io::Error::other)
}

/// Where what comes from this leg goes.
pub(crate) fn other_leg(leg: &str) -> &'static str {
    if leg == CALLER { MODEL } else { CALLER }
}

impl Worker for Relay {
    type Session = ();

    fn describe(&self) -> Description {
        Description::new("bench")
    }

    fn attach(&self, _call: &mut Call) -> Result<(), WorkerError> {
        Ok(())
    }

    fn handle(&self, _: &mut (), call: &mut Call, input: Input) -> Result<(), WorkerError> {
        let Input::Frame(Frame { leg, payload, .. }) = input else {
            return Ok(());
        };
        let payload = match self.label {
            Some(label) if leg == CALLER => labelled(&payload, label),
            _ => payload,
        };
        call.send(other_leg(&leg), payload);
        Ok(())
    }
}

fn labelled(payload: &Payload, label: u8) -> Payload {
    let mut bytes = payload.as_bytes().to_vec();
    // What is shorter is not a frame of audio.
    if let Some(place) = bytes.get_mut(LABEL_AT) {
        *place = label;
    }
    Payload::Text(Bytes::from(bytes))
}
