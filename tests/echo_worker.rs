//! A worker process for tests: numbers what the caller says and answers `NUMBER VERSION TEXT`.
//!
//! Usage: `echo-worker VERSION`. Listens on a free port of the loopback and says `listening ADDRESS`
//! on standard output; drains upon SIGTERM.

use std::io::Write;

use holdline_worker::{Call, Description, Input, Settings, Worker, WorkerError, serve};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

struct Echo {
    version: String,
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
        if let Input::Frame(frame) = input {
            *count += 1;
            call.put("count", count)?;
            let text = frame.payload.as_str().unwrap_or("?");
            call.send_text(&frame.leg, format!("{count} {} {text}", self.version));
        }
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let version = std::env::args()
        .nth(1)
        .ok_or("usage: echo-worker VERSION")?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut terminate = signal(SignalKind::terminate())?;
    writeln!(std::io::stdout(), "listening {}", listener.local_addr()?)?;
    let shutdown = async move {
        terminate.recv().await;
    };
    serve(Echo { version }, listener, Settings::default(), shutdown).await?;
    Ok(())
}
