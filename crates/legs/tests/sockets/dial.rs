//! Outbound legs, and every way in which a dial fails.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use holdline_config::{ByteSize, Secret, SecretSource, Upstream, UpstreamProfile};
use holdline_legs::{Dialer, LegSocket, SetupError};
use holdline_session::{Attributes, Close, Fault};
use holdline_telemetry::{LegKind, Metrics};
use rustls::{
    ServerConfig, crypto::ring, pki_types::PrivateKeyDer, pki_types::pem::PemObject as _,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    accept_async, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use crate::{
    support::{PATIENCE, close, closed, control, drive, frame, patiently, text},
    tls::{Identity, identity},
};

const KEY: &str = "sk-very-secret";

fn upstream(url: &str) -> Upstream {
    Upstream {
        profile: UpstreamProfile::OpenaiRealtime,
        url: url.to_owned(),
        api_key: Some(Secret::new(SecretSource::Env("KEY".to_owned()), KEY)),
        headers: BTreeMap::new(),
        ca: None,
        connect_timeout: PATIENCE,
        idle_timeout: None,
        max_frame: ByteSize::mib(16),
        ping_interval: None,
    }
}

fn dialer(upstream: Upstream) -> Result<Dialer, SetupError> {
    Dialer::new(
        &BTreeMap::from([("openai".to_owned(), upstream)]),
        &Metrics::new(),
    )
}

async fn dial(upstream: Upstream, model: Option<&str>) -> Result<(LegSocket, Attributes), Close> {
    let attributes = model.map(|model| ("model".to_owned(), model.to_owned()));
    let dialer = dialer(upstream).unwrap();
    let attributes = attributes.into_iter().collect();
    patiently(dialer.dial("openai", LegKind::Model, &attributes)).await
}

async fn failure(upstream: Upstream) -> Close {
    let failure = dial(upstream, None).await.unwrap_err();
    assert!(failure.dial_failed && failure.code == 0, "{failure:?}");
    assert!(
        !failure.reason.contains(KEY) && failure.reason.len() <= 123,
        "{failure:?}"
    );
    failure
}

/// A server for one connection.
async fn server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/v1/realtime", listener.local_addr().unwrap());
    (listener, url)
}

#[tokio::test]
async fn the_request_carries_key_headers_and_model_and_nothing_of_the_beta() {
    let (listener, url) = server().await;
    let (seen, request) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let tcp = listener.accept().await.unwrap().0;
        let look = |request: &Request, mut response: Response| {
            seen.send((request.uri().clone(), request.headers().clone()))
                .unwrap();
            response
                .headers_mut()
                .insert("x-request-id", "req_1".parse().unwrap());
            Ok(response)
        };
        let mut server = accept_hdr_async(tcp, look).await.unwrap();
        let message = server.next().await.unwrap().unwrap();
        server.send(message).await.unwrap();
        server.next().await;
    });
    let mut settings = upstream(&format!("{url}?model=gpt-realtime-2.1&intent=x"));
    settings
        .headers
        .insert("OpenAI-Project".to_owned(), "proj_x".to_owned());
    let (mut leg, attributes) = dial(settings, Some("gpt-realtime-mini")).await.unwrap();

    let (uri, headers) = request.await.unwrap();
    assert_eq!(
        uri.path_and_query().unwrap(),
        "/v1/realtime?model=gpt-realtime-mini&intent=x"
    );
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(headers["openai-project"], "proj_x");
    assert!(!headers.contains_key("openai-beta"));
    assert!(!headers.contains_key("sec-websocket-extensions"));
    assert!(!headers.contains_key("sec-websocket-protocol"));
    let expected = [
        ("model", "gpt-realtime-mini"),
        ("profile", "openai-realtime"),
        ("request_id", "req_1"),
        ("upstream", "openai"),
    ];
    assert!(
        attributes
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .eq(expected)
    );

    leg.queue(text("there and back"));
    assert_eq!(frame(&mut leg).await, control(text("there and back")));
}

#[tokio::test]
async fn openai_says_after_the_upgrade_that_the_key_is_bad() {
    for (code, fault) in [
        (3000, Fault::Config),
        (1001, Fault::Peer),
        (1011, Fault::Peer),
    ] {
        let (listener, url) = server().await;
        tokio::spawn(async move {
            let mut server = accept_async(listener.accept().await.unwrap().0)
                .await
                .unwrap();
            let reason = "invalid_request_error.invalid_api_key".into();
            let frame = CloseFrame {
                code: CloseCode::from(code),
                reason,
            };
            server.close(Some(frame)).await.unwrap();
            while server.next().await.is_some() {}
        });
        let (mut leg, _) = dial(upstream(&url), None).await.unwrap();
        let ended = closed(&mut leg).await;
        assert_eq!(
            ended,
            close(code, "invalid_request_error.invalid_api_key", fault)
        );
    }
}

#[tokio::test]
async fn a_refused_upgrade_names_the_status_and_whose_fault_it_is() {
    for (status, fault) in [
        ("401 Unauthorized", Fault::Config),
        ("403 Forbidden", Fault::Config),
        ("404 Not Found", Fault::Config),
        ("429 Too Many Requests", Fault::Peer),
        ("503 Service Unavailable", Fault::Peer),
        ("200 OK", Fault::Config),
    ] {
        let (listener, url) = server().await;
        tokio::spawn(async move {
            let mut tcp = listener.accept().await.unwrap().0;
            let mut request = [0; 4096];
            let _ = tcp.read(&mut request).await.unwrap();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            tcp.write_all(answer.as_bytes()).await.unwrap();
        });
        let failure = failure(upstream(&url)).await;
        assert!(
            failure.reason.contains(&format!("status {}", &status[..3])),
            "{failure:?}"
        );
        assert_eq!(failure.fault, fault, "{status}");
    }
}

#[tokio::test]
async fn dead_and_strange_servers_are_told_apart() {
    let (listener, url) = server().await;
    drop(listener);
    let refused = failure(upstream(&url)).await;
    assert!(refused.reason.contains("refused"), "{refused:?}");
    assert_eq!(refused.fault, Fault::Peer);

    let (listener, url) = server().await;
    let strange = tokio::spawn(async move {
        let mut tcp = listener.accept().await.unwrap().0;
        tcp.write_all(b"220 mail ready\r\n\r\n").await.unwrap();
        tcp.read_to_end(&mut Vec::new()).await
    });
    let failure_of_strange = failure(upstream(&url)).await;
    assert!(
        failure_of_strange.reason.contains("WebSocket"),
        "{failure_of_strange:?}"
    );
    assert_eq!(failure_of_strange.fault, Fault::Peer);
    let _ = strange.await.unwrap();

    let (_listener, url) = server().await;
    let connect_timeout = Duration::from_millis(100);
    let silent = failure(Upstream {
        connect_timeout,
        ..upstream(&url)
    })
    .await;
    assert!(
        silent.reason.contains("during WebSocket upgrade"),
        "{silent:?}"
    );
    assert_eq!(silent.fault, Fault::Network);

    let nameless = failure(upstream("ws://no..such..name/")).await;
    assert!(
        nameless.reason.contains("cannot resolve no..such..name"),
        "{nameless:?}"
    );
}

#[tokio::test]
async fn a_certificate_is_trusted_only_by_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let Identity {
        certificate,
        key,
        anchor,
    } = identity();
    let ca: PathBuf = directory.path().join("ca.pem");
    fs::write(&ca, certificate).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![anchor], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let tcp: TcpStream = listener.accept().await.unwrap().0;
            if let Ok(tls) = acceptor.accept(tcp).await {
                let mut server = accept_async(tls).await.unwrap();
                server.send(Message::text("over TLS")).await.unwrap();
            }
        }
    });
    let url = format!("wss://localhost:{port}/");
    let trusting = Upstream {
        ca: Some(ca.clone()),
        ..upstream(&url)
    };
    let (mut leg, _) = dial(trusting.clone(), None).await.unwrap();
    assert_eq!(frame(&mut leg).await, control(text("over TLS")));

    // The certificate is for `localhost` only, and trusted only where `ca` says so.
    let by_address = Upstream {
        url: format!("wss://127.0.0.1:{port}/"),
        ..trusting
    };
    let another = directory.path().join("other.pem");
    fs::write(&another, identity().certificate).unwrap();
    let untrusting = Upstream {
        ca: Some(another),
        ..upstream(&url)
    };
    for settings in [by_address, untrusting] {
        let failure = failure(settings).await;
        assert!(failure.reason.contains("certificate"), "{failure:?}");
        assert_eq!(failure.fault, Fault::Config);
    }
}

#[tokio::test]
async fn a_server_that_answers_no_ping_is_given_up() {
    let (listener, url) = server().await;
    let ping_interval = Some(Duration::from_millis(50));
    let dialled = tokio::spawn(dial(
        Upstream {
            ping_interval,
            ..upstream(&url)
        },
        None,
    ));
    let mut server = accept_async(listener.accept().await.unwrap().0)
        .await
        .unwrap();
    let mut leg = drive(dialled.await.unwrap().unwrap().0);
    // As long as it is read it answers, and nothing happens.
    for _ in 0..4 {
        assert!(matches!(
            patiently(server.next()).await.unwrap().unwrap(),
            Message::Ping(_)
        ));
        server.flush().await.unwrap();
    }
    assert!(!leg.is_finished());
    let ended = patiently(&mut leg).await.unwrap();
    assert_eq!(
        ended,
        close(1006, "2 pings in a row without an answer", Fault::Network)
    );
}

#[tokio::test]
async fn what_a_worker_asks_for_cannot_change_the_url() {
    let (_listener, url) = server().await;
    for model in ["", "a&b=c", "a b", "a#b", "a/../b", "é", &"a".repeat(129)] {
        let failure = dial(upstream(&url), Some(model)).await.unwrap_err();
        assert_eq!(
            (failure.dial_failed, failure.fault),
            (true, Fault::Worker),
            "{model}"
        );
    }
    let dialer = dialer(upstream(&url)).unwrap();
    assert_eq!(
        dialer.upstreams().into_iter().collect::<Vec<_>>(),
        ["openai"]
    );
    let unknown = dialer
        .dial("other", LegKind::Other, &Attributes::new())
        .await
        .unwrap_err();
    assert_eq!((unknown.dial_failed, unknown.fault), (true, Fault::Worker));
}

#[test]
fn an_upstream_that_cannot_work_is_refused_at_the_start() {
    let with_header = |name: &str, value: &str| {
        let mut settings = upstream("wss://api.openai.com/v1/realtime");
        settings.headers.insert(name.to_owned(), value.to_owned());
        settings
    };
    let bad_key = Secret::new(SecretSource::Env("KEY".to_owned()), "sk-very-secret\n");
    let no_file = Some(PathBuf::from("/nonexistent/ca.pem"));
    for (settings, expected) in [
        (
            upstream("https://api.openai.com/"),
            "must begin with wss://",
        ),
        (
            upstream("wss://user:password@api.openai.com/"),
            "must not hold a user",
        ),
        (upstream("not a url"), "not a URL"),
        (with_header("OpenAI-Beta", "realtime=v1"), "OpenAI-Beta"),
        (
            with_header("Sec-WebSocket-Key", "x"),
            "belongs to the WebSocket upgrade",
        ),
        (with_header("Bad Name", "x"), "cannot be the name"),
        (with_header("X-Line", "a\nb"), "forbidden characters"),
        (
            Upstream {
                api_key: Some(bad_key),
                ..upstream("ws://localhost/")
            },
            "`api_key` has",
        ),
        (
            Upstream {
                ca: no_file,
                ..upstream("wss://localhost/")
            },
            "/nonexistent/ca.pem",
        ),
    ] {
        let error = dialer(settings).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(
            !error.contains(KEY) && !error.contains("password@"),
            "{error}"
        );
    }
    let dialer = dialer(with_header("X-Token", "sk-very-secret")).unwrap();
    assert!(!format!("{dialer:?}").contains(KEY));
}
