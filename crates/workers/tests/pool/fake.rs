//! A worker that does what a test says.
//!
//! Each runs on a thread of its own, so that it can be frozen like a stopped process and killed
//! like one: its sockets are closed by nobody but the kernel.

use std::{net::SocketAddr, sync::mpsc as blocking, thread};

use holdline_wire::v1::{
    self, ServeRequest, ServeResponse, serve_request, serve_response,
    worker_server::{Worker, WorkerServer},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{
        ServerTlsConfig,
        server::{Server, TcpIncoming},
    },
};
use tonic_health::{ServingStatus, server::HealthReporter};

pub(crate) const SERVICE: &str = "holdline.worker.v1.Worker";

/// How a worker is.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) description: v1::DescribeResponse,
    pub(crate) health: Option<bool>,
    pub(crate) streams_max: Option<u32>,
    /// Opens its side of a stream only when told so.
    pub(crate) late_headers: bool,
    pub(crate) tls: Option<ServerTlsConfig>,
}

pub(crate) fn version(version: &str) -> Script {
    Script {
        description: v1::DescribeResponse {
            version: version.to_owned(),
            reads_schemas: vec![1],
            writes_schema: 1,
            ..v1::DescribeResponse::default()
        },
        health: Some(true),
        streams_max: None,
        late_headers: false,
        tls: None,
    }
}

/// The worker's end of one attachment.
pub(crate) struct Call {
    pub(crate) incoming: Streaming<ServeRequest>,
    pub(crate) outgoing: mpsc::Sender<Result<ServeResponse, Status>>,
    /// What the edge showed to prove itself.
    pub(crate) certificate: Option<Vec<u8>>,
}

impl Call {
    pub(crate) async fn next(&mut self) -> serve_request::Message {
        self.incoming
            .message()
            .await
            .unwrap()
            .unwrap()
            .message
            .unwrap()
    }

    pub(crate) async fn say(&self, message: serve_response::Message) {
        let message = Some(message);
        self.outgoing
            .send(Ok(ServeResponse { message }))
            .await
            .unwrap();
    }

    pub(crate) async fn accept(&mut self) -> v1::Offer {
        let serve_request::Message::Offer(offer) = self.next().await else {
            panic!("the first message is not an offer");
        };
        self.say(serve_response::Message::Accept(v1::Accept {}))
            .await;
        offer
    }
}

enum Order {
    Freeze(blocking::Receiver<()>),
    Health(bool),
    GoAway,
    OpenStreams,
    Die,
}

pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) calls: mpsc::UnboundedReceiver<Call>,
    orders: mpsc::UnboundedSender<Order>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Fake {
    pub(crate) fn start(script: Script) -> Self {
        Self::start_at(script, ([127, 0, 0, 1], 0).into())
    }

    pub(crate) fn start_at(script: Script, address: SocketAddr) -> Self {
        let (orders, todo) = mpsc::unbounded_channel();
        let (call, calls) = mpsc::unbounded_channel();
        let (bound, listening) = blocking::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(address).await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                live(script, listener, call, todo).await;
            });
        });
        Self {
            address: listening.recv().unwrap(),
            calls,
            orders,
            thread: Some(thread),
        }
    }

    pub(crate) async fn call(&mut self) -> Call {
        self.calls.recv().await.unwrap()
    }

    pub(crate) fn set_health(&self, serving: bool) {
        self.orders.send(Order::Health(serving)).unwrap();
    }

    /// GOAWAY on all connections, no new ones; streams go on.
    pub(crate) fn go_away(&self) {
        self.orders.send(Order::GoAway).unwrap();
    }

    /// Lets late streams open.
    pub(crate) fn open_streams(&self) {
        self.orders.send(Order::OpenStreams).unwrap();
    }

    /// Does nothing any more, until what is returned is dropped.
    pub(crate) fn freeze(&self) -> blocking::Sender<()> {
        let (thaw, frozen) = blocking::channel();
        self.orders.send(Order::Freeze(frozen)).unwrap();
        thaw
    }

    /// Closes all sockets without a word of HTTP/2.
    pub(crate) fn kill(mut self) -> SocketAddr {
        self.orders.send(Order::Die).unwrap();
        self.thread.take().unwrap().join().unwrap();
        self.address
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Die);
    }
}

async fn live(
    script: Script,
    listener: TcpListener,
    calls: mpsc::UnboundedSender<Call>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let (go_away, going) = oneshot::channel::<()>();
    let mut go_away = Some(go_away);
    let open = watch::Sender::new(!script.late_headers);
    let (reporter, health) = tonic_health::server::health_reporter();
    let health = match script.health {
        Some(serving) => {
            report(&reporter, serving).await;
            Some(health)
        }
        None => None,
    };
    let served = Served {
        description: script.description,
        calls,
        open: open.subscribe(),
    };
    let server = match script.tls {
        Some(tls) => Server::builder().tls_config(tls).unwrap(),
        None => Server::builder(),
    };
    let server = server
        .max_concurrent_streams(script.streams_max)
        .add_optional_service(health)
        .add_service(WorkerServer::new(served))
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            async {
                let _ = going.await;
            },
        );
    tokio::spawn(server);
    while let Some(order) = orders.recv().await {
        match order {
            Order::Freeze(frozen) => {
                let _ = frozen.recv();
            }
            Order::Health(serving) => report(&reporter, serving).await,
            Order::GoAway => drop(go_away.take()),
            Order::OpenStreams => drop(open.send_replace(true)),
            Order::Die => return,
        }
    }
}

async fn report(reporter: &HealthReporter, serving: bool) {
    let status = if serving {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    reporter.set_service_status(SERVICE, status).await;
}

struct Served {
    description: v1::DescribeResponse,
    calls: mpsc::UnboundedSender<Call>,
    open: watch::Receiver<bool>,
}

#[tonic::async_trait]
impl Worker for Served {
    type ServeStream = ReceiverStream<Result<ServeResponse, Status>>;

    async fn describe(
        &self,
        request: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        assert_eq!(
            request.into_inner().protocol_revision,
            holdline_wire::PROTOCOL_REVISION
        );
        Ok(Response::new(self.description.clone()))
    }

    async fn serve(
        &self,
        request: Request<Streaming<ServeRequest>>,
    ) -> Result<Response<Self::ServeStream>, Status> {
        let (outgoing, stream) = mpsc::channel(64);
        let certificates = request.peer_certs();
        let certificate = certificates.and_then(|it| Some(it.first()?.to_vec()));
        let _ = self.calls.send(Call {
            incoming: request.into_inner(),
            outgoing,
            certificate,
        });
        let _ = self.open.clone().wait_for(|open| *open).await;
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
