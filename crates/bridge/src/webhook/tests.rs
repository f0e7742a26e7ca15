#![allow(clippy::unwrap_used)]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;
use crate::ids::{CallId, CallSid};

/// What the service does with one request.
#[derive(Clone, Copy)]
enum Reply {
    Status(u16, &'static str),
    Bytes(&'static [u8]),
    /// Never answers.
    Hang,
}

/// One request that reached the service.
struct Seen {
    key: String,
    authorization: String,
    body: Value,
}

/// A service that answers as scripted; the last answer is given again and again.
async fn service(script: &'static [Reply]) -> (String, Arc<Mutex<Vec<Seen>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/book", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let record = record.clone();
            let answer = service_fn(move |request| answer(request, record.clone(), script));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), answer));
        }
    });
    (url, seen)
}

async fn answer(
    request: Request<Incoming>,
    record: Arc<Mutex<Vec<Seen>>>,
    script: &[Reply],
) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name: &str| {
        let value = request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (key, authorization) = (header("idempotency-key"), header("authorization"));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let nth = {
        let mut record = record.lock().unwrap();
        record.push(Seen {
            key,
            authorization,
            body: serde_json::from_slice(&body).unwrap(),
        });
        record.len() - 1
    };
    let (status, body) = match script[nth.min(script.len() - 1)] {
        Reply::Status(status, body) => (status, Bytes::from(body)),
        Reply::Bytes(body) => (200, Bytes::from(body)),
        Reply::Hang => std::future::pending().await,
    };
    Ok(Response::builder()
        .status(status)
        .body(Full::new(body))
        .unwrap())
}

fn webhooks(url: &str) -> Webhooks {
    let yaml = format!(
        "instructions: x\ntools:\n- name: book\n  description: x\n  webhook: {{url: '{url}', \
         timeout: 150ms, attempts: 3, max_response_bytes: 64, headers: {{Authorization: Bearer tok}}}}"
    );
    Webhooks::new(&Config::parse(&yaml, "test").unwrap()).unwrap()
}

fn request(arguments: &str) -> ToolRequest {
    ToolRequest {
        number: 0,
        tool: "book".to_owned(),
        call: CallId::new("call_9"),
        arguments: arguments.to_owned().into(),
        call_sid: Some(CallSid::new("CA77")),
    }
}

async fn ask(url: &str, arguments: &str) -> String {
    webhooks(url)
        .ask(&request(arguments), "5e55", "5e55/17/0")
        .await
}

#[tokio::test]
async fn the_answer_is_told_as_it_is() {
    let (url, seen) = service(&[Reply::Status(200, r#"{"ok": true}"#)]).await;
    assert_eq!(ask(&url, r#"{"t":"11:15"}"#).await, r#"{"ok": true}"#);
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].key, "5e55/17/0");
    assert_eq!(seen[0].authorization, "Bearer tok");
    assert_eq!(
        seen[0].body,
        json!({
            "tool": "book", "arguments": {"t": "11:15"}, "session_id": "5e55",
            "call_id": "call_9", "call_sid": "CA77",
        })
    );
}

#[tokio::test]
async fn a_service_that_fails_once_is_asked_again_with_the_same_key() {
    let (url, seen) = service(&[Reply::Status(500, "oops"), Reply::Status(201, "booked")]).await;
    assert_eq!(ask(&url, "").await, "booked");
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].key, seen[1].key);
    assert_eq!(seen[0].body, seen[1].body);
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_left_after_its_attempts() {
    let (url, seen) = service(&[Reply::Hang]).await;
    assert!(ask(&url, "{}").await.contains("did not answer in time"));
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_refusal_is_final() {
    let (url, seen) = service(&[Reply::Status(422, "no such slot")]).await;
    let told: Value = serde_json::from_str(&ask(&url, "{}").await).unwrap();
    assert_eq!(told["status"], 422);
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn answers_that_cannot_be_told_are_errors_in_words() {
    let (url, _) = service(&[Reply::Status(
        200,
        "a much longer answer than the sixty-four bytes allowed here",
    )])
    .await;
    assert!(ask(&url, "{}").await.contains("longer answer"));
    let (url, seen) = service(&[Reply::Bytes(&[b'x'; 65])]).await;
    assert!(ask(&url, "{}").await.contains("too long"));
    assert_eq!(seen.lock().unwrap().len(), 1);
    let (url, _) = service(&[Reply::Bytes(&[0xFF, 0xFE])]).await;
    assert!(ask(&url, "{}").await.contains("not text"));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_tried_and_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert!(ask(&url, "{}").await.contains("cannot be reached"));
}

#[tokio::test]
async fn arguments_that_are_no_json_are_not_sent() {
    let (url, seen) = service(&[Reply::Status(200, "ok")]).await;
    assert!(ask(&url, "{\"t\":").await.contains("not valid JSON"));
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_function_of_another_version_is_answered_too() {
    let hooks = webhooks("http://127.0.0.1:9/");
    let mut other = request("{}");
    other.tool = "gone".to_owned();
    assert!(
        hooks
            .ask(&other, "s", "k")
            .await
            .contains("no such function")
    );
}
