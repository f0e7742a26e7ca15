//! The sockets around the sessions: listening, the upgrade, one task per connection.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::faults::Fault;
use super::options::SimOptions;
use super::record::{ConnectionRecord, SimReport};
use super::session::{Counts, Out, Session};
use crate::net::Socket;
use crate::traffic::Traffic;

mod upgrade;

/// Waiting for a client that does not read; the real server's limit is not known.
const OUT_LIMIT: usize = 64 * 1024 * 1024;
/// For the TCP connection, TLS and the upgrade of one client.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// For the client's answer to a close, and for the last bytes before a drop.
const LINGER: Duration = Duration::from_secs(1);

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}")]
pub struct SimError {
    address: SocketAddr,
    error: io::Error,
}

/// What happened so far on all connections together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimProgress {
    /// Connections opened.
    pub connections: u64,
    /// Of these, ended.
    pub closed: u64,
    /// Stamped frames appended as mu-law, repeated ones too.
    pub frames_appended: u64,
    /// Turns that the caller began.
    pub turns_started: u64,
    /// Turns that the caller ended.
    pub turns_ended: u64,
    /// Responses begun.
    pub responses_started: u64,
    /// Responses ended, however.
    pub responses_done: u64,
    /// Frames of audio sent.
    pub frames_sent: u64,
    /// Truncations asked for.
    pub truncates: u64,
    /// Items created by clients.
    pub items_seeded: u64,
    /// Sessions updated.
    pub updates: u64,
    /// Messages of all kinds.
    pub traffic: Traffic,
}

/// A running server. Dropping it ends all its connections.
#[derive(Debug)]
pub struct OpenAiSim {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Shared {
    options: Arc<SimOptions>,
    connections: Mutex<Vec<Arc<Connection>>>,
    /// Connections whose records were taken: they still count.
    taken: Mutex<u64>,
    refused: Mutex<u64>,
    progress: watch::Sender<SimProgress>,
}

struct Connection {
    session: Mutex<Session>,
    wake: Notify,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("connections", &lock(&self.connections).len())
            .finish_non_exhaustive()
    }
}

impl OpenAiSim {
    /// Listens on this address; port 0 picks a free one.
    ///
    /// # Errors
    /// [`SimError`] when the address cannot be had.
    pub async fn bind(address: SocketAddr, options: SimOptions) -> Result<Self, SimError> {
        let fail = |error| SimError { address, error };
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let shared = Arc::new(Shared {
            options: Arc::new(options),
            connections: Mutex::new(Vec::new()),
            taken: Mutex::new(0),
            refused: Mutex::new(0),
            progress: watch::Sender::new(SimProgress::default()),
        });
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, Arc::clone(&shared), stopped));
        Ok(Self {
            address,
            shared,
            stop,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Everything recorded so far; a copy of some size when many calls are running.
    #[must_use]
    pub fn report(&self) -> SimReport {
        let connections = lock(&self.shared.connections);
        SimReport {
            connections: connections
                .iter()
                .map(|connection| lock(&connection.session).record())
                .collect(),
            refused_upgrades: *lock(&self.shared.refused),
        }
    }

    /// Takes away the records of this call's connections, so that a long run of short calls need
    /// not keep them all. Nothing while one of them is still open.
    pub fn take(&self, call: u32) -> Vec<ConnectionRecord> {
        let ours = |connection: &Arc<Connection>| lock(&connection.session).call() == Some(call);
        let open = |connection: &Arc<Connection>| !lock(&connection.session).is_ended();
        let mut connections = lock(&self.shared.connections);
        if connections.iter().any(|it| ours(it) && open(it)) {
            return Vec::new();
        }
        let taken: Vec<_> = connections.extract_if(.., |it| ours(it)).collect();
        *lock(&self.shared.taken) += taken.len() as u64;
        let records = taken.iter().map(|it| lock(&it.session).record());
        records.collect()
    }

    /// What happened so far.
    #[must_use]
    pub fn progress(&self) -> SimProgress {
        *self.shared.progress.borrow()
    }

    /// The same for whoever watches from another task.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<SimProgress> {
        self.shared.progress.subscribe()
    }

    /// Waits until so much has happened. Cancel safe. Never returns if it never happens: put
    /// a time limit around it.
    pub async fn wait_for(&self, wanted: impl Fn(&SimProgress) -> bool) -> SimProgress {
        let mut watcher = self.watch();
        // The sender lives in `shared`, so the channel cannot be closed.
        watcher
            .wait_for(|progress| wanted(progress))
            .await
            .map_or_else(|_| self.progress(), |progress| *progress)
    }

    /// Makes all open connections of this call fail now; `None` means all connections.
    /// Returns how many there were.
    pub fn inject(&self, call: Option<u32>, fault: &Fault) -> usize {
        let now = now();
        let mut count = 0;
        for connection in lock(&self.shared.connections).iter() {
            let mut session = lock(&connection.session);
            if !session.is_ended() && (call.is_none() || session.call() == call) {
                session.fail(now, fault);
                connection.wake.notify_one();
                count += 1;
            }
        }
        count
    }

    /// Ends everything and returns what was recorded. Open connections end without a close
    /// frame.
    pub async fn shutdown(mut self) -> SimReport {
        self.stop.send_replace(true);
        // A panic in there was reported by its own task.
        let _ = (&mut self.task).await;
        self.report()
    }
}

impl Drop for OpenAiSim {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A poisoned lock still holds a record worth reporting.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, stopped: watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) => {
                    tasks.spawn(Box::pin(serve(tcp, Arc::clone(&shared), stopped.clone())));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others may end soon.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = tasks.join_next() => {}
            () = stop_wanted(&stopped) => break,
        }
    }
    while tasks.join_next().await.is_some() {}
}

async fn serve(tcp: TcpStream, shared: Arc<Shared>, stopped: watch::Receiver<bool>) {
    // Without it the small events of a turn would wait for each other's acknowledgements.
    let _ = tcp.set_nodelay(true);
    let upgraded = tokio::select! {
        upgraded = tokio::time::timeout(UPGRADE_TIMEOUT, upgrade::upgrade(tcp, &shared)) => upgraded.ok().flatten(),
        () = stop_wanted(&stopped) => None,
    };
    let Some((ws, connection)) = upgraded else {
        return;
    };
    shared
        .progress
        .send_modify(|progress| progress.connections += 1);
    let mut socket = Socket::new(ws, OUT_LIMIT);
    let mut account = Account::new(&shared.progress);
    let how = tokio::select! {
        how = converse(&mut socket, &connection, &mut account) => how,
        () = stop_wanted(&stopped) => End::Said("the simulator was shut down".to_owned()),
    };
    let how = match how {
        End::Reset => {
            socket.reset();
            "reset by the simulator".to_owned()
        }
        End::Drop => {
            let _ = tokio::time::timeout(LINGER, socket.flush()).await;
            "dropped by the simulator".to_owned()
        }
        End::Close { code, reason } => {
            let frame = CloseFrame {
                code: code.into(),
                reason: reason.clone().into(),
            };
            let _ = socket.queue_control(Message::Close(Some(frame)));
            let _ = tokio::time::timeout(LINGER, drain(&mut socket)).await;
            account.tell(account.counts, socket.traffic());
            format!("closed by the simulator: {code} {reason}")
        }
        End::Silence => {
            lock(&connection.session).closed(now(), "silenced by the simulator".to_owned());
            shared.progress.send_modify(|progress| progress.closed += 1);
            // The socket stays as it is, and nobody looks at it any more.
            return stop_wanted(&stopped).await;
        }
        End::Said(how) => how,
    };
    tracing::debug!(%how, "a connection ended");
    lock(&connection.session).closed(now(), how);
    shared.progress.send_modify(|progress| progress.closed += 1);
}

/// Also ends when the server itself is gone.
async fn stop_wanted(stopped: &watch::Receiver<bool>) {
    let _ = stopped.clone().wait_for(|stopped| *stopped).await;
}

enum End {
    Reset,
    Silence,
    Drop,
    Close { code: u16, reason: String },
    Said(String),
}

/// Runs the session until its end.
async fn converse(socket: &mut Socket, connection: &Connection, account: &mut Account<'_>) -> End {
    loop {
        let (messages, due, counts) = turn(connection);
        let end = messages.into_iter().find_map(|it| hand_over(socket, it));
        // Before anything of it is written.
        account.tell(counts, socket.traffic());
        if let Some(end) = end {
            if matches!(end, End::Silence) {
                let _ = tokio::time::timeout(LINGER, socket.flush()).await;
            }
            return end;
        }
        let due = due.map_or_else(
            || tokio::time::Instant::now() + Duration::from_secs(3_600),
            Into::into,
        );
        tokio::select! {
            message = socket.step() => match message {
                Some(Ok(Message::Text(text))) => lock(&connection.session).on_text(now(), &text),
                Some(Ok(Message::Binary(_))) => lock(&connection.session).on_binary(now()),
                Some(Ok(Message::Close(frame))) => {
                    let _ = tokio::time::timeout(LINGER, drain(socket)).await;
                    account.tell(account.counts, socket.traffic());
                    return End::Said(frame.map_or_else(
                        || "closed by the client without a code".to_owned(),
                        |frame| format!("closed by the client: {} {}", u16::from(frame.code), frame.reason),
                    ));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return End::Said(format!("broken: {error}")),
                None => return End::Said("ended by the client without a close frame".to_owned()),
            },
            () = tokio::time::sleep_until(due) => {}
            () = connection.wake.notified() => {}
        }
    }
}

/// Lets the session do what is due; returns what leaves now and when it is due again.
fn turn(connection: &Connection) -> (Vec<Out>, Option<Instant>, Counts) {
    let now = now();
    let mut session = lock(&connection.session);
    session.wake(now);
    let messages = std::iter::from_fn(|| session.pop(now)).collect();
    (messages, session.next_due(), session.counts())
}

/// Queues a message, or says how the connection is to end.
fn hand_over(socket: &mut Socket, message: Out) -> Option<End> {
    match message {
        Out::Text(text) => {
            let queued = socket.queue(Message::text(text));
            return queued.is_err().then_some(End::Drop);
        }
        Out::StopReading => socket.stop_reading(),
        Out::Drop => return Some(End::Drop),
        Out::Silence => return Some(End::Silence),
        Out::Reset => return Some(End::Reset),
        Out::Close { code, reason } => return Some(End::Close { code, reason }),
    }
    None
}

/// What a connection has told of itself.
struct Account<'a> {
    progress: &'a watch::Sender<SimProgress>,
    counts: Counts,
    traffic: Traffic,
}

impl<'a> Account<'a> {
    fn new(progress: &'a watch::Sender<SimProgress>) -> Self {
        Self {
            progress,
            counts: Counts::default(),
            traffic: Traffic::default(),
        }
    }

    /// Adds what is new to what happened on all connections.
    fn tell(&mut self, counts: Counts, traffic: Traffic) {
        let told = self.counts;
        if (told, self.traffic) == (counts, traffic) {
            return;
        }
        self.progress.send_modify(|progress| {
            progress.frames_appended += counts.appended - told.appended;
            progress.turns_started += counts.turns_started - told.turns_started;
            progress.turns_ended += counts.turns_ended - told.turns_ended;
            progress.responses_started += counts.responses_started - told.responses_started;
            progress.responses_done += counts.responses_done - told.responses_done;
            progress.frames_sent += counts.frames_sent - told.frames_sent;
            progress.truncates += counts.truncates - told.truncates;
            progress.items_seeded += counts.seeded - told.seeded;
            progress.updates += counts.updates - told.updates;
            progress.traffic += traffic - self.traffic;
        });
        (self.counts, self.traffic) = (counts, traffic);
    }
}

/// Writes what is left and reads until the client has gone.
async fn drain(socket: &mut Socket) -> Result<(), WsError> {
    while let Some(message) = socket.step().await {
        message?;
    }
    Ok(())
}

pub(super) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
