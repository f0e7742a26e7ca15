//! TLS to workers: who is believed, whose fault it is where somebody is not, and certificates that
//! change while streams are open.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use holdline_config::{WorkerPool, WorkerTls};
use holdline_wire::v1::serve_request;
use holdline_workers::WorkerState;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tempfile::TempDir;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::{
    fake::{Call, Fake, Script, version},
    harness::{Edge, frame, settings, soon},
};

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// What certificates of workers are for.
const NAME: &str = "workers.test";

/// A private authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// PEM files of one party, in a folder of their own.
struct Files {
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority");
        Self {
            pem: params.self_signed(&key).unwrap().pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for a name, with its key; what it may trust is `trusted`.
    fn files(&self, name: &str, trusted: &Self) -> Files {
        let folder = tempfile::tempdir().unwrap();
        let files = Files { folder };
        files.renew(self, name);
        fs::write(files.ca(), &trusted.pem).unwrap();
        files
    }
}

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ca(&self) -> PathBuf {
        self.path("ca.crt")
    }

    fn certificate(&self) -> PathBuf {
        self.path("tls.crt")
    }

    fn key(&self) -> PathBuf {
        self.path("tls.key")
    }

    fn renew(&self, authority: &Authority, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority.issuer).unwrap();
        replace(&self.certificate(), &certificate.pem());
        replace(&self.key(), &key.serialize_pem());
    }

    /// A worker that serves with these, to those whom `ca.crt` vouches for.
    fn worker(&self) -> Fake {
        let read = |path: PathBuf| fs::read(path).unwrap();
        let identity = Identity::from_pem(read(self.certificate()), read(self.key()));
        let clients = Certificate::from_pem(read(self.ca()));
        let tls = ServerTlsConfig::new().identity(identity);
        Fake::start(Script {
            tls: Some(tls.client_ca_root(clients)),
            // Two attachments need two connections: one stream is the health watch's.
            streams_max: Some(2),
            ..version("v1")
        })
    }

    /// A pool that shows these, and believes whom `ca.crt` vouches for.
    fn pool(&self, workers: Vec<SocketAddr>) -> WorkerPool {
        let tls = WorkerTls {
            ca: self.ca(),
            certificate: Some(self.certificate()),
            key: Some(self.key()),
            server_name: Some(NAME.to_owned()),
        };
        WorkerPool {
            tls: Some(tls),
            ..settings(workers)
        }
    }
}

fn replace(path: &Path, text: &str) {
    let fresh = path.with_extension("new");
    fs::write(&fresh, text).unwrap();
    fs::rename(fresh, path).unwrap();
}

/// Waits until a worker is not used, for this reason.
async fn until_told(edge: &Edge, worker: &Fake, words: &str) {
    let told = edge.pool.until(|workers| {
        let known = workers.iter().rfind(|it| it.address == worker.address);
        known.is_some_and(|it| it.state == WorkerState::Connecting && it.detail.contains(words))
    });
    if tokio::time::timeout(PATIENCE, told).await.is_err() {
        panic!("no `{words}`: {:?}", edge.pool.workers());
    }
}

async fn until_counted(edge: &Edge, line: &str) {
    let counted = async {
        while !edge.metrics.render().lines().any(|it| it == line) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(counted).await;
}

/// The certificate that a worker was shown.
fn shown(call: &Call) -> &[u8] {
    call.certificate.as_deref().unwrap()
}

#[tokio::test]
async fn both_sides_prove_themselves_and_a_stranger_is_not_used() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let mut good = ours.files(NAME, &ours).worker();
    let stranger = foreign.files(NAME, &ours).worker();
    let files = ours.files("edge.test", &ours);
    let edge = Edge::start(files.pool(vec![good.address, stranger.address]));
    until_told(&edge, &stranger, "of no authority in the pool's `tls.ca`").await;
    edge.until_ready(1).await;
    let own = fs::read_to_string(files.certificate()).unwrap();
    let own = CertificateDer::from_pem_slice(own.as_bytes()).unwrap();
    for session in 0..5 {
        let (_stream, call) = edge.attach(&mut good, session).await;
        assert_eq!(shown(&call), own.as_ref());
    }
    let failures = r#"holdline_worker_connect_failures_total{why="tls"}"#;
    assert!(edge.metrics.render().contains(failures));
}

#[tokio::test]
async fn a_certificate_for_another_name_says_which_is_wanted() {
    let ours = Authority::new();
    let worker = ours.files("elsewhere.test", &ours).worker();
    let edge = Edge::start(ours.files("edge.test", &ours).pool(vec![worker.address]));
    until_told(&edge, &worker, "its certificate is not for `workers.test`").await;
}

#[tokio::test]
async fn a_worker_that_does_not_know_this_edge_turns_it_away() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let worker = ours.files(NAME, &ours).worker();
    let stranger = Edge::start(foreign.files("edge.test", &ours).pool(vec![worker.address]));
    until_told(&stranger, &worker, "`tls.certificate`").await;

    // And one that shows nothing at all.
    let files = ours.files("edge.test", &ours);
    let mut nobody = files.pool(vec![worker.address]);
    let tls = nobody.tls.as_mut().unwrap();
    (tls.certificate, tls.key) = (None, None);
    let nobody = Edge::start(nobody);
    until_told(&nobody, &worker, "`tls.certificate`").await;
}

#[tokio::test]
async fn tls_on_one_side_alone_is_told_by_name() {
    let ours = Authority::new();
    let (plain, secure) = (Fake::start(version("v1")), ours.files(NAME, &ours).worker());
    let edge = Edge::start(ours.files("edge.test", &ours).pool(vec![plain.address]));
    until_told(&edge, &plain, "does not speak TLS").await;
    let edge = Edge::start(settings(vec![secure.address]));
    until_told(&edge, &secure, "speaks TLS: set `tls` of its pool").await;
}

#[tokio::test]
async fn a_renewed_certificate_is_for_new_connections_and_hurts_no_stream() {
    let ours = Authority::new();
    let mut worker = ours.files(NAME, &ours).worker();
    let files = ours.files("edge.test", &ours);
    let edge = Edge::start(files.pool(vec![worker.address]));
    edge.until_ready(1).await;
    let (mut first, mut before) = edge.attach(&mut worker, 1).await;

    // Not PEM: what was good stays in use.
    replace(&files.certificate(), "nothing");
    until_counted(
        &edge,
        r#"holdline_worker_tls_reloads_total{result="failed"} 1"#,
    )
    .await;
    let (_second, meanwhile) = edge.attach(&mut worker, 2).await;
    assert_eq!(shown(&meanwhile), shown(&before));

    files.renew(&ours, "edge.test");
    until_counted(&edge, r#"holdline_worker_tls_reloads_total{result="ok"} 1"#).await;
    let mut attachments = Vec::new();
    let renewed = loop {
        let (stream, call) = edge
            .attach(&mut worker, 3 + attachments.len() as u128)
            .await;
        let renewed = shown(&call) != shown(&before);
        attachments.push((stream, call));
        // Each connection has two streams: the third attachment is on a new one at the latest.
        if renewed || attachments.len() == 3 {
            break renewed;
        }
    };
    assert!(renewed);
    first.send(frame(1, "still here"));
    let attached = soon(before.next()).await;
    assert!(
        matches!(attached, serve_request::Message::Attach(_)),
        "{attached:?}"
    );
    let heard = soon(before.next()).await;
    assert!(
        matches!(heard, serve_request::Message::Inputs(_)),
        "{heard:?}"
    );
}
