//! `holdline probe`, by which images without a shell ask whether something answers.

use std::process::Output;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::Command,
};

use crate::{
    exchange::Edge,
    stage::Place,
    support::{holdline, soon},
    tls::certificates::{Authority, CHAIN, KEY},
};

/// An edge whose only worker never comes.
const CONFIG: &str = r#"
listeners:
  - {name: callers, address: "127.0.0.1:0", routes: [{path: /call, profile: raw, workers: default}]}
workers:
  default: {discovery: {static: {addresses: ["127.0.0.1:9"]}}}
"#;

fn probe(arguments: &[&str]) -> Command {
    let mut command = holdline();
    command.arg("probe").args(arguments);
    command
}

/// Its exit status, and what it said.
async fn outcome(mut command: Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = soon("a probe", command.output()).await.unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[tokio::test]
async fn a_success_is_silent_and_anything_else_has_a_sentence() {
    let edge = Edge::start(CONFIG, &[]).await;
    let url = |path: &str| format!("http://{}{path}", edge.admin());
    let live = outcome(probe(&[&url("/livez")])).await;
    assert_eq!(live, (Some(0), String::new()));

    let (code, said) = outcome(probe(&[&url("/readyz")])).await;
    assert_eq!(code, Some(1));
    let wanted = format!(
        "holdline: {} answered 503 Service Unavailable: ",
        url("/readyz")
    );
    assert!(said.starts_with(&wanted), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    edge.end().await;
}

#[tokio::test]
async fn who_is_not_there_or_says_nothing_fails_it() {
    let nobody = Place::reserve();
    let (code, said) = outcome(probe(&[&format!("http://{}/", nobody.address)])).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot be reached"), "{said}");

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let (code, said) = outcome(probe(&["--timeout", "200ms", &url])).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("did not answer within 200ms"), "{said}");

    let (code, said) = outcome(probe(&["localhost:9090/readyz"])).await;
    assert_eq!(code, Some(2));
    assert!(said.contains("http"), "{said}");
}

#[tokio::test]
async fn it_waits_for_what_is_still_starting() {
    let place = Place::reserve();
    let mut probe = probe(&["--wait", "1m", &format!("http://{}/livez", place.address)]);
    let waiting = tokio::spawn(async move { probe.output().await.unwrap() });
    let admin = format!("address: \"{}\"", place.address);
    let edge = Edge::with_admin(CONFIG, &admin, &[]).await;
    let output = soon("the probe", waiting).await.unwrap();
    assert!(output.status.success());
    edge.end().await;
}

/// Answers each request of a connection alike.
async fn answers(socket: TcpStream, status: &str) {
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    let mut lines = BufReader::new(socket).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.is_empty() {
            let _ = lines.get_mut().write_all(answer.as_bytes()).await;
        }
    }
}

/// Behind a Service a connection leads to one pod, however long that drains.
#[tokio::test]
async fn each_attempt_may_reach_another_pod() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/readyz", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        for status in ["503 Service Unavailable", "200 OK"] {
            let (socket, _) = listener.accept().await.unwrap();
            tokio::spawn(answers(socket, status));
        }
    });
    let (code, said) = outcome(probe(&["--wait", "5s", &url])).await;
    assert_eq!(code, Some(0), "{said}");
    serving.await.unwrap();
}

#[tokio::test]
async fn with_https_the_certificate_must_be_good() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue().put(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let trusted = file("authority.crt");
    std::fs::write(&trusted, authority.pem()).unwrap();
    let tls = format!(
        "tls: {{certificate: {}, key: {}}}, routes",
        file(CHAIN),
        file(KEY)
    );
    let edge = Edge::start(&CONFIG.replace("routes", &tls), &[]).await;
    let port = edge.address("callers").await.port();
    let url = format!("https://localhost:{port}/nothing");
    let ask = |roots: &str| {
        let mut probe = probe(&[&url]);
        probe.env("SSL_CERT_FILE", roots);
        outcome(probe)
    };
    let (code, said) = ask(&trusted).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("answered 404"), "{said}");
    let stranger = file("stranger.crt");
    std::fs::write(&stranger, Authority::new().pem()).unwrap();
    let (code, said) = ask(&stranger).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot be reached"), "{said}");
    edge.end().await;
}
