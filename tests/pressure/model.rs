//! A model that does not read, or that never stops.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};

use crate::support::soon;

/// Bytes of each message of a model that never stops.
const MESSAGE: usize = 8 << 10;
/// A message that was not taken for so long waits for the edge to read.
const STUCK: Duration = Duration::from_millis(500);

/// A server of models; ends when dropped.
pub(crate) struct Model {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    _server: JoinSet<()>,
}

#[derive(Default, Clone, Copy)]
struct State {
    /// Messages sent, over all connections.
    sent: u64,
    /// Connections on which a message waits.
    stuck: usize,
    stopped: bool,
}

impl Model {
    /// Takes connections and reads none of them.
    pub(crate) async fn deaf() -> Self {
        Self::start(false).await
    }

    /// Numbers messages and sends them as fast as they are taken.
    pub(crate) async fn flooding() -> Self {
        Self::start(true).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until so many connections take nothing more.
    pub(crate) async fn is_stuck(&self, connections: usize) {
        let mut state = self.state.subscribe();
        let stuck = state.wait_for(|state| state.stuck >= connections);
        soon("a model that cannot go on", stuck).await.unwrap();
    }

    /// Begins no further message. How many there are, with those that wait to be taken.
    pub(crate) fn stop(&self) -> u64 {
        let mut sent = 0;
        self.state.send_modify(|state| {
            state.stopped = true;
            sent = state.sent + state.stuck as u64;
        });
        sent
    }

    async fn start(floods: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(watch::Sender::new(State::default()));
        let mut server = JoinSet::new();
        let kept = Arc::clone(&state);
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&kept);
                connections.spawn(async move {
                    let mut socket = accept_async(stream).await.unwrap();
                    if floods {
                        flood(&mut socket, &state).await;
                        while let Some(Ok(_)) = socket.next().await {}
                    } else {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self {
            address,
            state,
            _server: server,
        }
    }
}

async fn flood(socket: &mut WebSocketStream<TcpStream>, state: &watch::Sender<State>) {
    for number in 0_u64.. {
        if state.borrow().stopped {
            return;
        }
        let mut message = vec![0; MESSAGE];
        message[..8].copy_from_slice(&number.to_be_bytes());
        let mut sending = std::pin::pin!(socket.send(Message::binary(message)));
        if timeout(STUCK, &mut sending).await.is_err() {
            state.send_modify(|state| state.stuck += 1);
            let taken = sending.await;
            // What was not taken when it had to stop was counted then.
            state.send_modify(|state| state.stuck -= 1);
            if taken.is_err() {
                return;
            }
        }
        state.send_modify(|state| state.sent += 1);
    }
}
