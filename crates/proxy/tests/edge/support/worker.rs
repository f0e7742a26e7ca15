//! A worker in a runtime of its own, so that it can be killed as a process can: from one moment to
//! the next, with all its connections.

use std::{net::SocketAddr, time::Duration};

use holdline_worker::{
    CALLER, Call, Description, Input, Notice, Payload, ServeError, Settings, Worker, WorkerError,
    serve,
};
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot, task::JoinHandle};

use super::soon;

pub(crate) struct Bench {
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Result<(), ServeError>>,
}

impl Bench {
    pub(crate) async fn start(version: &str) -> Self {
        Self::start_at(version, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(crate) async fn start_at(version: &str, address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = listener.into_std().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let script = Script {
            version: version.to_owned(),
        };
        let served = runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let settings = Settings {
                grace: Duration::from_secs(15),
                ..Settings::default()
            };
            let stopped = async {
                let _ = stopped.await;
            };
            serve(script, listener, settings, stopped).await
        });
        Self {
            address,
            runtime: Some(runtime),
            stop: Some(stop),
            served,
        }
    }

    /// As SIGTERM does.
    pub(crate) fn drain(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until it has drained.
    pub(crate) async fn gone(&mut self) {
        soon("a worker's end", &mut self.served)
            .await
            .unwrap()
            .unwrap();
    }

    /// As SIGKILL does.
    pub(crate) fn kill(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Numbers what the caller says and answers `NUMBER VERSION TEXT`; does what some words ask for.
struct Script {
    version: String,
}

impl Worker for Script {
    type Session = u64;

    fn describe(&self) -> Description {
        Description::new(self.version.clone())
    }

    fn attach(&self, call: &mut Call) -> Result<u64, WorkerError> {
        Ok(call.get("count")?.unwrap_or(0))
    }

    fn handle(&self, count: &mut u64, call: &mut Call, input: Input) -> Result<(), WorkerError> {
        match input {
            Input::Frame(frame) if frame.leg == CALLER => match frame.payload {
                Payload::Text(text) => {
                    *count += 1;
                    call.put("count", count)?;
                    self.obey(*count, call, std::str::from_utf8(&text)?);
                }
                Payload::Binary(bytes) => call.send_binary(CALLER, bytes),
            },
            Input::Frame(frame) => {
                let said = frame.payload.as_str().unwrap_or_default().to_owned();
                call.send_text(CALLER, format!("{} said {said}", frame.leg));
            }
            Input::LegClosed(closed) if closed.leg != CALLER => {
                let how = if closed.dial_failed {
                    "not opened"
                } else {
                    "closed"
                };
                call.send_text(CALLER, format!("{} {how} {}", closed.leg, closed.code));
            }
            Input::Notice(Notice::Deadline { .. }) => call.send_text(CALLER, "deadline near"),
            _ => {}
        }
        Ok(())
    }
}

impl Script {
    fn obey(&self, count: u64, call: &mut Call, text: &str) {
        match text.split_once(' ') {
            Some(("tell", said)) => call.send_text("model", said.to_owned()),
            Some(("close", code)) => call.close_leg("model", code.parse().unwrap_or(0), "asked"),
            Some(("open", upstream)) => call.open_leg("model", upstream, Default::default()),
            // Opened, written to and closed in one commit, before it can be there.
            Some(("post", said)) => {
                call.open_leg("model", "echo", Default::default());
                call.send_text("model", said.to_owned());
                call.close_leg("model", 1000, "posted");
            }
            // The same for those who must speak JSON.
            None if text == r#"{"event":"end"}"# => call.end_session("asked"),
            Some(("end", reason)) => call.end_session(reason),
            _ => call.send_text(CALLER, format!("{count} {} {text}", self.version)),
        }
    }
}
