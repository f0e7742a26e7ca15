//! Secrets that could leak by a side door: a token in a path that is not quite right, a key file
//! that is none, a password in a URL.

use std::net::SocketAddr;

use super::raw::{UPGRADE, exchange, status};
use crate::{
    exchange::Edge,
    support::{holdline, soon},
};

const CONFIG: &str = r#"
listeners:
  - name: callers
    address: 127.0.0.1:0
    routes:
      - path: /twilio/media/{token}
        profile: twilio
        signature: off
        webhook: {path: /twilio/voice, public_url: "https://voice.example.com/twilio/voice"}
        workers: none
      - {path: /twilio/*, profile: raw, workers: none}
workers:
  none: {discovery: {static: {addresses: ["127.0.0.1:9"]}}}
log: {level: trace}
"#;

/// A token that would open the door of a call.
async fn token(callers: SocketAddr) -> String {
    let form = "CallSid=CA1";
    let asked = format!(
        "POST /twilio/voice HTTP/1.1\r\nHost: edge\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
        form.len()
    );
    let answer = exchange(callers, asked.as_bytes()).await;
    let (_, rest) = answer.split_once("/twilio/media/").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_is_not_told_whatever_is_wrong_with_its_path() {
    let edge = Edge::start(CONFIG, &[]).await;
    let callers = edge.address("callers").await;
    let token = token(callers).await;
    assert!(token.len() > 20, "{token}");
    let wrong = |text: &str| text.replace('T', &token);
    for path in ["/T", "/voice/T", "//twilio/media/T", "/media/T/x?y=T"] {
        let request = format!("GET {} HTTP/1.1\r\n{UPGRADE}\r\n", wrong(path));
        let answer = exchange(callers, request.as_bytes()).await;
        assert_eq!(status(&answer), 404, "{path}: {answer}");
        assert!(!answer.contains(&token), "{path}: {answer}");
    }
    // Taken by a route beside it, so that the path becomes the name of a call.
    for path in [
        "/twilio/media/T/",
        "/twilio/media/T/x",
        "/twilio/media/T?y=T",
    ] {
        let request = format!("POST {} HTTP/1.1\r\n{UPGRADE}\r\n", wrong(path));
        let answer = exchange(callers, request.as_bytes()).await;
        assert_eq!(status(&answer), 405, "{path}: {answer}");
    }
    edge.logged("all refusals", |line| {
        line["path"] == "/twilio/media/{token}"
    })
    .await;
    let said = edge.said();
    assert!(said.contains("/twilio/media/.../x"), "{said}");
    let leaks: Vec<_> = said.lines().filter(|it| it.contains(&token)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    edge.end().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_file_or_a_url_is_told_without_its_content() {
    const BODY: &str = "c2VjcmV0LWtleS1tYXRlcmlhbC0wMDEx";
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put(
        "tls.crt",
        &format!("-----BEGIN CERTIFICATE-----\n{BODY}\n-----END CERTIFICATE-----\n"),
    );
    put(
        "tls.key",
        &format!("-----BEGIN PRIVATE KEY-----\n{BODY}!\n-----END PRIVATE KEY-----\n"),
    );
    let start = "listeners: [{name: a, address: \"127.0.0.1:0\", \
         routes: [{path: /a, profile: raw, workers: w}]";
    let end = "discovery: {static: {addresses: [\"127.0.0.1:9\"]}}";
    let files = "certificate: tls.crt, key: tls.key";
    for (text, told) in [
        (
            format!("{start}, tls: {{{files}}}}}]\nworkers: {{w: {{{end}}}}}\n"),
            "tls.",
        ),
        (
            format!("{start}}}]\nworkers: {{w: {{{end}, tls: {{ca: tls.key}}}}}}\n"),
            "tls.key",
        ),
        (
            format!("{start}}}]\nworkers: {{w: {{{end}, tls: {{ca: tls.crt, {files}}}}}}}\n"),
            "tls.crt",
        ),
        (
            format!(
                "{start}}}]\nworkers: {{w: {{{end}}}}}\nupstreams: {{u: {{profile: raw, \
                 url: \"ws://me:{BODY}@127.0.0.1/\"}}}}\n"
            ),
            "names a user",
        ),
        (
            format!("{start}}}]\nworkers: {{w: {{{end}}}}}\nadmin: {{token: {BODY}}}\n"),
            "admin.token",
        ),
    ] {
        put("edge.yaml", &text);
        let file = folder.path().join("edge.yaml");
        let output = holdline().arg("check").arg("--config").arg(&file).output();
        let output = soon("a refusal", output).await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains(told), "no `{told}`: {said}");
        assert!(!said.contains(BODY), "{said}");
    }
}
