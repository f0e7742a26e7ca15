//! One `Serve` stream: a task that waits for one thing, does it, and sends what came of it.
//!
//! It reads only while what it has to say finds room, so a slow edge slows the call down and
//! nothing else.

mod jobs;
mod opening;

use std::{sync::Arc, time::Duration};

use holdline_wire::v1::{self, serve_request::Message as Request, serve_response::Message};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tonic::{Status, Streaming};
use tracing::Instrument as _;

use crate::{
    Worker,
    attachment::{Attachment, Failure, Progress},
    phase::{Gate, Phase, Suspicion},
};
use jobs::Jobs;
use opening::Opened;

/// What the edge may take to hang up once the session is released.
const HANGUP_TIMEOUT: Duration = Duration::from_secs(10);

/// The stream is over.
enum End {
    /// The edge hung up, or its connection is gone; there is nobody to tell.
    HungUp,
    /// The edge is to be told.
    Failed(Status),
}

/// The stream's way out.
struct Port(mpsc::Sender<Result<v1::ServeResponse, Status>>);

/// Runs a stream to its end.
pub(crate) async fn run<W: Worker>(
    worker: Arc<W>,
    gate: Gate,
    mut incoming: Streaming<v1::ServeRequest>,
    outgoing: mpsc::Sender<Result<v1::ServeResponse, Status>>,
) {
    let port = Port(outgoing);
    let ended = match opening::offered(&mut incoming).await {
        Ok(offer) => {
            let (session, epoch) = (offer.session_id.as_str(), offer.epoch);
            let span = tracing::info_span!("attachment", session, epoch);
            attachment(worker, gate, offer, &mut incoming, &port)
                .instrument(span)
                .await
        }
        Err(end) => Err(end),
    };
    if let Err(End::Failed(status)) = ended {
        let _ = port.0.send(Err(status)).await;
    }
}

/// The whole life of an attachment. Its jobs end with it.
async fn attachment<W: Worker>(
    worker: Arc<W>,
    gate: Gate,
    offer: v1::Offer,
    incoming: &mut Streaming<v1::ServeRequest>,
    port: &Port,
) -> Result<(), End> {
    let Some(opened) = opening::open(&*worker, &gate, offer, incoming, port).await? else {
        return Ok(());
    };
    let Opened {
        beginning,
        _place,
        suspicion,
    } = opened;
    let (attachment, progress) =
        Attachment::attach(Arc::clone(&worker), beginning).map_err(failed)?;
    let mut session = Session {
        attachment,
        jobs: Jobs::new(worker),
        port,
        phase: gate.phase(),
        suspicion,
    };
    session.perform(progress).await?;
    session.live(incoming).await?;
    // Released: another worker has the session now, and its jobs with it. What was under suspicion
    // stays so until the edge has the last commit.
    let _suspicion = session.suspicion.take();
    drop(session);
    match timeout(HANGUP_TIMEOUT, incoming.message()).await {
        Ok(Ok(Some(_))) => Err(End::protocol("the session was released")),
        Ok(Ok(None) | Err(_)) | Err(_) => Ok(()),
    }
}

/// A session that is attached, with all that goes on beside its handlers.
struct Session<'a, W: Worker> {
    attachment: Attachment<W>,
    jobs: Jobs<W>,
    port: &'a Port,
    phase: watch::Receiver<Phase>,
    suspicion: Option<Suspicion>,
}

impl<W: Worker> Session<'_, W> {
    /// Handles what comes until the session is released.
    async fn live(&mut self, incoming: &mut Streaming<v1::ServeRequest>) -> Result<(), End> {
        self.phase.mark_changed();
        loop {
            if !self.port.has_room() {
                tokio::select! {
                    room = self.port.room() => room?,
                    () = over(self.phase.clone()) => return Err(End::gone()),
                }
            }
            tokio::select! {
                message = incoming.message() => match request(message)? {
                    Request::Inputs(inputs) => {
                        let suspicion = self.suspicion.take();
                        self.suspicion = suspicion.and_then(|left| left.after(inputs.applied));
                        let progress = self.attachment.inputs(inputs.inputs);
                        self.perform(progress).await?;
                    }
                    Request::Release(_) => {
                        // All that was delivered is handled and committed by now.
                        return self.port.send(Message::Released(v1::Released {})).await;
                    }
                    Request::Offer(_) => return Err(End::protocol("a second Offer came")),
                    Request::Attach(_) => return Err(End::protocol("a second Attach came")),
                },
                (key, result) = self.jobs.next() => {
                    let progress = self.attachment.job_done(&key, result);
                    self.perform(progress).await?;
                }
                changed = self.phase.changed() => {
                    if changed.is_err() {
                        return Err(End::gone());
                    }
                    self.tell_phase().await?;
                }
                () = self.port.0.closed() => return Err(End::HungUp),
            }
        }
    }

    /// Sends commits, and begins jobs once the commit that creates them is sent.
    async fn perform(&mut self, progress: Progress) -> Result<(), End> {
        for step in progress.steps {
            if let Some(commit) = step.commit {
                if let Some(suspicion) = &mut self.suspicion {
                    suspicion.committed(commit.through_seq);
                }
                self.port.send(Message::Commit(commit)).await?;
            }
            for job in step.starts {
                self.jobs.start(job);
            }
        }
        progress
            .failure
            .map_or(Ok(()), |failure| Err(failed(failure)))
    }

    async fn tell_phase(&mut self) -> Result<(), End> {
        let phase = *self.phase.borrow_and_update();
        if phase == Phase::Over {
            return Err(End::gone());
        }
        let Some(remaining) = phase.remaining() else {
            return Ok(());
        };
        let within_us = remaining.as_micros().try_into().unwrap_or(u64::MAX);
        // 0 would say that the time is unknown.
        let within_us = within_us.max(1);
        let draining = v1::Draining { within_us };
        self.port.send(Message::Draining(draining)).await
    }
}

/// Waits until the grace is over.
async fn over(mut phase: watch::Receiver<Phase>) {
    // An error means that the process has no gate any more, which is as good as over.
    let _ = phase.wait_for(|phase| *phase == Phase::Over).await;
}

/// Takes a request apart. What the edge says that this build does not know ends the stream: it
/// would be a breach of the revision that was agreed on.
fn request(message: Result<Option<v1::ServeRequest>, Status>) -> Result<Request, End> {
    match message {
        Ok(Some(v1::ServeRequest {
            message: Some(message),
        })) => Ok(message),
        Ok(Some(_)) => Err(End::protocol("a message of unknown kind came")),
        // Its own status is no use to a peer that is gone.
        Ok(None) | Err(_) => Err(End::HungUp),
    }
}

fn failed(failure: Failure) -> End {
    tracing::warn!(%failure, "the attachment ends");
    End::Failed(failure.to_status())
}

impl End {
    fn protocol(words: &str) -> Self {
        tracing::warn!(words, "the edge broke the protocol");
        Self::Failed(Status::failed_precondition(words))
    }

    fn gone() -> Self {
        Self::Failed(Status::unavailable("the worker's grace is over"))
    }
}

impl Port {
    fn has_room(&self) -> bool {
        self.0.capacity() > 0
    }

    /// Waits for room. Cancel safe.
    async fn room(&self) -> Result<(), End> {
        match self.0.reserve().await {
            Ok(_) => Ok(()),
            Err(_) => Err(End::HungUp),
        }
    }

    async fn send(&self, message: Message) -> Result<(), End> {
        let response = v1::ServeResponse {
            message: Some(message),
        };
        self.0.send(Ok(response)).await.map_err(|_| End::HungUp)
    }
}
