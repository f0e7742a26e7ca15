//! A worker process for tests: numbers what the caller says and answers `NUMBER VERSION TEXT`.
//!
//! Usage: `echo-worker VERSION [--verbatim] [--crash] [--schemas READS/WRITES]`. Listens on a free port of
//! the loopback, or on LISTEN, and says `listening ADDRESS` on standard output; drains upon SIGTERM, for
//! HOLDLINE_WORKER_GRACE. With `--verbatim` it sends back every message of every leg as it came, and ends
//! the call when a leg that is not the caller's closes. With `--crash` the process is gone as soon as a call
//! is attached. Schemas are such as `1,2/2`; `1/1` where nothing is said.

use std::{error::Error, io::Write};

use holdline_worker::{
    CALLER, Call, Description, Frame, Input, Settings, Worker, WorkerError, serve,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

struct Echo {
    description: Description,
    verbatim: bool,
    crash: bool,
}

impl Worker for Echo {
    type Session = u64;

    fn describe(&self) -> Description {
        self.description.clone()
    }

    fn attach(&self, call: &mut Call) -> Result<u64, WorkerError> {
        if self.crash {
            #[expect(clippy::disallowed_methods, reason = "a crash asks nobody either")]
            std::process::exit(70);
        }
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
    fn read(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut echo = Self {
            description: Description::new(arguments.next()?),
            verbatim: false,
            crash: false,
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--verbatim" => echo.verbatim = true,
                "--crash" => echo.crash = true,
                "--schemas" => {
                    let schemas = arguments.next()?;
                    let (reads, writes) = schemas.split_once('/')?;
                    let reads: Result<Vec<u32>, _> = reads.split(',').map(str::parse).collect();
                    let writes = writes.parse().ok()?;
                    echo.description = echo.description.schemas(reads.ok()?, writes);
                }
                _ => return None,
            }
        }
        Some(echo)
    }

    fn number(&self, count: &mut u64, call: &mut Call, frame: &Frame) -> Result<(), WorkerError> {
        *count += 1;
        call.put("count", count)?;
        let (version, text) = (&self.description.version, &frame.payload);
        let text = text.as_str().unwrap_or("?");
        call.send_text(&frame.leg, format!("{count} {version} {text}"));
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: echo-worker VERSION [--verbatim] [--crash] [--schemas READS/WRITES]";
    let worker = Echo::read(std::env::args().skip(1)).ok_or(usage)?;
    let address = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    writeln!(std::io::stdout(), "listening {}", listener.local_addr()?)?;
    let shutdown = async move {
        terminate.recv().await;
    };
    serve(worker, listener, Settings::from_env()?, shutdown).await?;
    Ok(())
}
