//! TLS on the worker's side: who is served, and certificates that change.

use std::{fs, path::Path, time::Duration};

use holdline_wire::v1::{DescribeRequest, worker_client::WorkerClient};
use holdline_worker::{ServeError, Settings, Tls};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

use crate::{edge::soon, script::Script};

/// A private authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self {
            pem: params.self_signed(&key).unwrap().pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for `localhost` and its key.
    fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn put(&self, folder: &Path) {
        let (certificate, key) = self.issue();
        for (name, text) in [("tls.crt", certificate), ("tls.key", key)] {
            let fresh = folder.join("fresh");
            fs::write(&fresh, text).unwrap();
            fs::rename(fresh, folder.join(name)).unwrap();
        }
    }
}

/// A worker with certificates.
struct Served {
    address: String,
    folder: TempDir,
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    async fn start(own: &Authority, edges: &Authority) -> Self {
        let folder = tempfile::tempdir().unwrap();
        own.put(folder.path());
        fs::write(folder.path().join("edges.crt"), &edges.pem).unwrap();
        let settings = Settings {
            tls: Some(Tls {
                certificate: folder.path().join("tls.crt"),
                key: folder.path().join("tls.key"),
                client_ca: Some(folder.path().join("edges.crt")),
            }),
            ..Settings::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (shutdown, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let serving = holdline_worker::serve(Script::new(), listener, settings, stopped);
        Self {
            address: format!("https://localhost:{port}"),
            folder,
            shutdown,
            task: tokio::spawn(serving),
        }
    }

    /// A connection of an edge that trusts `trusted`, with a certificate of `own`.
    async fn connect(
        &self,
        trusted: &Authority,
        own: Option<&Authority>,
    ) -> Result<WorkerClient<Channel>, tonic::transport::Error> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&trusted.pem));
        if let Some((certificate, key)) = own.map(Authority::issue) {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let endpoint = Channel::from_shared(self.address.clone()).unwrap();
        let endpoint = endpoint.tls_config(tls).unwrap();
        Ok(WorkerClient::new(
            soon("an answer", endpoint.connect()).await?,
        ))
    }
}

async fn describes(client: &mut WorkerClient<Channel>) -> bool {
    let request = DescribeRequest::default();
    soon("an answer", client.describe(request)).await.is_ok()
}

#[tokio::test]
async fn only_edges_with_a_certificate_are_served() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let served = Served::start(&ours, &ours).await;
    let mut edge = served.connect(&ours, Some(&ours)).await.unwrap();
    assert!(describes(&mut edge).await);
    for own in [None, Some(&foreign)] {
        // With TLS 1.3 the refusal may come behind the client's own handshake.
        if let Ok(mut stranger) = served.connect(&ours, own).await {
            assert!(!describes(&mut stranger).await);
        }
    }
    assert!(describes(&mut edge).await);
    served.shutdown.send(()).unwrap();
    soon("the end of serving", served.task)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_renewed_certificate_is_for_new_connections() {
    let (before, after, edges) = (Authority::new(), Authority::new(), Authority::new());
    let served = Served::start(&before, &edges).await;
    let mut old = served.connect(&before, Some(&edges)).await.unwrap();
    assert!(describes(&mut old).await);
    after.put(served.folder.path());
    let renewed = async {
        while served.connect(&after, Some(&edges)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("the new certificate", renewed).await;
    assert!(served.connect(&before, Some(&edges)).await.is_err());
    assert!(describes(&mut old).await);
}

#[tokio::test]
async fn a_worker_without_usable_certificates_does_not_start() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings {
        tls: Some(Tls {
            certificate: "/nowhere/tls.crt".into(),
            key: "/nowhere/tls.key".into(),
            client_ca: None,
        }),
        ..Settings::default()
    };
    let serving = holdline_worker::serve(Script::new(), listener, settings, async {});
    let error = soon("an error", serving).await.unwrap_err();
    assert!(matches!(error, ServeError::Tls(_)), "{error}");
}
