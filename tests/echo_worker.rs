//! A worker process for tests: numbers what the caller says and answers `NUMBER VERSION TEXT`.
//!
//! Usage: `echo-worker VERSION [--verbatim]`. Listens on a free port of the loopback, or on LISTEN, and says
//! `listening ADDRESS` on standard output; drains upon SIGTERM. With `--verbatim` it sends back every
//! message of every leg as it came, and ends the call when a leg that is not the caller's closes.

use std::io::Write;

use holdline_worker::{
    CALLER, Call, Description, Frame, Input, Settings, Worker, WorkerError, serve,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

struct Echo {
    version: String,
    verbatim: bool,
}

impl Worker for Echo {
    type Session = u64;

    fn describe(&self) -> Description {
        Description::new(self.version.clone())
    }

    fn attach(&self, call: &mut Call) -> Result<u64, WorkerError> {
        Ok(call.get("count")?.unwrap_or(0))
    }

    fn handle(&self, count: &mut u64, call: &mut Call, input: Input) -> Result<(), WorkerError> {
        match input {
            Input::Frame(frame) if self.verbatim => call.send(&frame.leg, frame.payload),
            Input::Frame(frame) => self.number(count, call, &frame)?,
            Input::LegClosed(closed) if self.verbatim && closed.leg != CALLER => {
                call.end_session("the other leg is closed");
            }
            _ => {}
        }
        Ok(())
    }
}

impl Echo {
    fn number(&self, count: &mut u64, call: &mut Call, frame: &Frame) -> Result<(), WorkerError> {
        *count += 1;
        call.put("count", count)?;
        let text = frame.payload.as_str().unwrap_or("?");
        call.send_text(&frame.leg, format!("{count} {} {text}", self.version));
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (version, verbatim) = match (arguments.next(), arguments.next().as_deref()) {
        (Some(version), None) => (version, false),
        (Some(version), Some("--verbatim")) => (version, true),
        _ => return Err("usage: echo-worker VERSION [--verbatim]".into()),
    };
    let worker = Echo { version, verbatim };
    let address = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    writeln!(std::io::stdout(), "listening {}", listener.local_addr()?)?;
    let shutdown = async move {
        terminate.recv().await;
    };
    serve(worker, listener, Settings::default(), shutdown).await?;
    Ok(())
}
