//! The smallest useful worker: echoes every frame on the leg it came from, and counts frames in the
//! session's state, so that the count survives any change of worker.
//!
//! `--to LEG` makes it a relay: frames of the caller go to `LEG`, and those of `LEG` to the caller.
//! Environment: `HOLDLINE_WORKER_ADDRESS`, `HOLDLINE_WORKER_GRACE`, `HOLDLINE_WORKER_VERSION`.

use holdline_worker::{CALLER, Call, Description, Input, Worker, WorkerError};

struct Echo {
    version: String,
    to: Option<String>,
}

impl Worker for Echo {
    /// Frames so far.
    type Session = u64;

    fn describe(&self) -> Description {
        Description::new(&self.version)
    }

    fn attach(&self, call: &mut Call) -> Result<u64, WorkerError> {
        Ok(call.get("frames")?.unwrap_or(0))
    }

    fn handle(&self, frames: &mut u64, call: &mut Call, input: Input) -> Result<(), WorkerError> {
        let Input::Frame(frame) = input else {
            return Ok(());
        };
        *frames += 1;
        call.put("frames", frames)?;
        let leg = match self.to.as_deref() {
            Some(to) if frame.leg == CALLER => to,
            Some(to) if frame.leg == to => CALLER,
            _ => &frame.leg,
        };
        call.send(leg, frame.payload);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let mut arguments = std::env::args().skip(1);
    let to = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => None,
        (Some("--to"), Some(leg)) => Some(leg),
        _ => return Err("usage: echo [--to LEG]".into()),
    };
    let version = std::env::var("HOLDLINE_WORKER_VERSION").unwrap_or_else(|_| "echo".to_owned());
    holdline_worker::run(Echo { version, to }).await?;
    Ok(())
}
