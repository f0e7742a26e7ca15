//! TLS on a listener, and a certificate that changes under it.

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use futures_util::SinkExt as _;
use holdline_config::{Listener, Tls};
use holdline_legs::{Arrivals, ListenerRuntime, SetupError};
use holdline_telemetry::Metrics;
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::support::{Edge, control, frame, listener, patiently, route, text};

/// A self-signed certificate for `localhost`: certificate and key as PEM, and as a trust anchor.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) anchor: CertificateDer<'static>,
}

pub(crate) fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Identity {
        certificate: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
        anchor: made.cert.der().clone(),
    }
}

fn write(directory: &Path, identity: &Identity) {
    fs::write(directory.join("tls.crt"), &identity.certificate).unwrap();
    fs::write(directory.join("tls.key"), &identity.key).unwrap();
}

fn tls_listener(directory: &Path) -> Listener {
    let certificate = directory.join("tls.crt");
    let tls = Some(Tls {
        certificate,
        key: directory.join("tls.key"),
    });
    Listener {
        tls,
        ..listener(vec![route("/raw")])
    }
}

/// A TLS connection, if the server's certificate is this one.
async fn tls(
    address: SocketAddr,
    anchor: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(anchor.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    patiently(connector.connect("localhost".try_into().unwrap(), tcp)).await
}

async fn until_served(address: SocketAddr, identity: &Identity) {
    patiently(async {
        while tls(address, &identity.anchor).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_call_comes_in_over_tls_and_ends_in_good_order() {
    let directory = tempfile::tempdir().unwrap();
    let identity = identity();
    write(directory.path(), &identity);
    let mut edge = Edge::start(tls_listener(directory.path())).await;
    let stream = tls(edge.address, &identity.anchor).await.unwrap();
    let url = format!("wss://{}/raw", edge.address);
    let (mut client, _) = patiently(Box::pin(client_async(url, stream)))
        .await
        .unwrap();
    client.send(Message::text("hello")).await.unwrap();
    let mut socket = edge.call().await.socket;
    assert_eq!(frame(&mut socket).await, control(text("hello")));
    let leg = crate::support::drive(socket);
    client.close(None).await.unwrap();
    assert_eq!(leg.await.unwrap().code, 1005);
    // The end of the stream is told in TLS, too: not an error here, as a truncation would be.
    let mut rest = Vec::new();
    assert!(
        patiently(client.into_inner().read_to_end(&mut rest))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn plain_text_on_a_tls_port_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &identity());
    let edge = Edge::start(tls_listener(directory.path())).await;
    crate::support::talk_bytes(edge.address, b"GET /raw HTTP/1.1\r\n\r\n").await;
    edge.counted("holdline_upgrades_refused_total{reason=\"tls\"} 1")
        .await;
}

#[tokio::test]
async fn a_new_certificate_is_taken_and_a_bad_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (identity(), identity());
    write(directory.path(), &old);
    let edge = Edge::start(tls_listener(directory.path())).await;
    tls(edge.address, &old.anchor).await.unwrap();

    // Half of a change: the new certificate with the old key.
    fs::write(directory.path().join("tls.crt"), &new.certificate).unwrap();
    edge.counted("holdline_tls_reloads_total{result=\"failed\"} 1")
        .await;
    tls(edge.address, &old.anchor).await.unwrap();

    write(directory.path(), &new);
    until_served(edge.address, &new).await;
    assert!(tls(edge.address, &old.anchor).await.is_err());
    edge.counted("holdline_tls_reloads_total{result=\"ok\"} 1")
        .await;
}

/// A ConfigMap or Secret volume: the files are links through a link that is replaced as a whole.
#[cfg(unix)]
#[tokio::test]
async fn a_volume_that_swaps_links_is_followed() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let (old, new) = (identity(), identity());
    for (name, identity) in [("v1", &old), ("v2", &new)] {
        fs::create_dir(root.join(name)).unwrap();
        write(&root.join(name), identity);
    }
    symlink("v1", root.join("..data")).unwrap();
    symlink("..data/tls.crt", root.join("tls.crt")).unwrap();
    symlink("..data/tls.key", root.join("tls.key")).unwrap();
    let edge = Edge::start(tls_listener(root)).await;
    tls(edge.address, &old.anchor).await.unwrap();

    symlink("v2", root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    until_served(edge.address, &new).await;
}

#[test]
fn a_listener_without_a_usable_certificate_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let settings = tls_listener(directory.path());
    let start = || {
        let made = ListenerRuntime::new(&settings, Arrivals::new(1, 1), &Metrics::new());
        made.err()
            .map(|error| (matches!(error, SetupError::Read { .. }), error.to_string()))
    };
    let (unreadable, message) = start().unwrap();
    assert!(unreadable && message.contains("tls.crt"), "{message}");

    let (one, other) = (identity(), identity());
    write(
        directory.path(),
        &Identity {
            key: other.key,
            ..one
        },
    );
    assert!(start().unwrap().1.contains("tls.crt"));
    fs::write(directory.path().join("tls.crt"), "").unwrap();
    assert!(start().unwrap().1.contains("holds no PEM certificate"));
    fs::write(directory.path().join("tls.crt"), identity().certificate).unwrap();
    fs::write(directory.path().join("tls.key"), "nothing").unwrap();
    assert!(start().unwrap().1.contains("tls.key"));
}
