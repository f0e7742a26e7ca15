//! The port answers as its OpenAPI document says, and the document says all of it: judged by a validator of
//! JSON Schema that is not ours.

use std::{io::Write as _, process::Stdio};

use hyper::Method;
use serde_json::{Value, json};
use tokio::{net::TcpStream, process::Command};

use super::{Ground, LOOK_AGAIN, TOKEN, events::Listener};
use crate::{
    security::raw,
    support::{soon, tool, workspace},
};

/// What can be looked at, what is for machines first.
const LOOKS: [&str; 9] = [
    "/livez",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/sessions",
    "/sessions/CA1",
    "/workers",
    "/rollout",
    "/events",
];
/// What can be ordered; all but the first and the last without a body.
const ORDERS: [&str; 6] = [
    "/sessions/CA1/inputs",
    "/sessions/CA1/move",
    "/sessions/CA1/end",
    "/workers/a:1/drain",
    "/workers/a:1/undrain",
    "/rollout",
];

/// Everything that was asked and answered, for the judge.
struct Minutes<'a> {
    ground: &'a Ground,
    lines: Vec<Value>,
}

impl Minutes<'_> {
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Value>,
        expected: u16,
    ) -> Value {
        let (status, answer) = self.ground.ask(method.clone(), path, body.as_ref()).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
        let answer = serde_json::from_str(&answer).unwrap_or(Value::String(answer));
        self.lines.push(json!({
            "method": method.as_str(), "path": path, "status": status, "body": answer, "asked": body,
        }));
        answer
    }

    async fn get(&mut self, path: &str, expected: u16) -> Value {
        self.ask(Method::GET, path, None, expected).await
    }

    async fn post(&mut self, path: &str, body: Option<Value>, expected: u16) -> Value {
        self.ask(Method::POST, path, body, expected).await
    }

    /// A request by hand, of which only the status matters.
    async fn raw(&mut self, line: &str, headers: &str, body: &str, expected: u16) {
        let host = self.ground.edge.admin();
        let length = match line.starts_with("POST") {
            true => format!("Content-Length: {}\r\n", body.len()),
            false => String::new(),
        };
        let host = match headers.contains("Host:") {
            true => String::new(),
            false => format!("Host: {host}\r\n"),
        };
        let request =
            format!("{line} HTTP/1.1\r\n{host}{headers}{length}Connection: close\r\n\r\n{body}");
        let answer = raw::exchange(self.ground.edge.admin(), request.as_bytes()).await;
        assert_eq!(raw::status(&answer), expected, "{line} {headers}");
        let (method, path) = line.split_once(' ').unwrap();
        self.lines.push(json!({
            "method": method, "path": path, "status": expected, "body": "", "asked": Value::Null,
        }));
    }

    async fn calls(&mut self) {
        let mut call = self.ground.call().await;
        call.talk().await;
        let path = format!("/sessions/{}", call.id);
        let inputs = format!("{path}/inputs");
        let news = json!({"key": "k", "name": "n", "text": "t"});
        self.post(&inputs, Some(news.clone()), 201).await;
        self.post(&inputs, Some(news.clone()), 200).await;
        self.post(&inputs, Some(json!({"key": 1})), 400).await;
        let form = "Content-Type: text/plain\r\n";
        let form = format!("Authorization: Bearer {TOKEN}\r\n{form}");
        self.raw(&format!("POST {inputs}"), &form, "news", 415)
            .await;
        let large = json!({"key": "k2", "name": "n", "text": "x".repeat(600 << 10)});
        self.post(&inputs, Some(large), 413).await;
        self.post("/sessions/CA0/inputs", Some(news), 404).await;
        self.post(&format!("{path}/move"), None, 202).await;
        self.post("/sessions/CA0/move", None, 404).await;
        self.nobody_to_leave().await;
        for query in [
            "",
            "?limit=1",
            "?version=bare",
            "?ended=true",
            "?phase=running",
        ] {
            self.get(&format!("/sessions{query}"), 200).await;
        }
        self.get("/sessions?limit=0", 400).await;
        let shown = self.get(&path, 200).await;
        let first = shown["id"].as_str().unwrap().as_bytes()[0];
        let encoded = format!("/sessions/%{first:02x}{}", &call.id[1..]);
        assert_eq!(self.get(&encoded, 200).await["id"], shown["id"]);
        self.get("/sessions/%ff", 400).await;
        self.get("/sessions/%ZZ", 400).await;
        self.get("/sessions/CA0", 404).await;
        // A twilio route's call is not a call before its start.
        let callers = self.ground.edge.address("callers").await;
        let mut early = crate::exchange::dial(callers, "/twilio").await.unwrap();
        let starting = |page: &Value| page["total"] == 2;
        self.ground.until("/sessions", starting).await;
        self.get("/sessions", 200).await;
        early.close(None).await.unwrap();

        self.post(&format!("{path}/end"), None, 202).await;
        self.post("/sessions/CA0/end", None, 404).await;
        let over = |page: &Value| page["total"] != 0;
        self.ground.until("/sessions?ended=true", over).await;
        self.get("/sessions?ended=true", 200).await;
        self.get(&path, 200).await;
        // Lives that were less smooth.
        let mut call = self.ground.call().await;
        call.say("die").await;
        let poisoned = "/sessions?ended=true&reason=poisoned";
        self.ground.until(poisoned, over).await;
        self.get(poisoned, 200).await;
        self.get(&format!("/sessions/{}", call.id), 200).await;
    }

    /// A call that has no worker cannot leave it. It is given up within a second, so there may be need of
    /// another one.
    async fn nobody_to_leave(&mut self) {
        let callers = self.ground.edge.address("callers").await;
        let trying = async {
            loop {
                let _caller = crate::exchange::dial(callers, "/gone").await.unwrap();
                let waiting = |page: &Value| page["total"] != 0;
                let page = self.ground.until("/sessions?pool=gone", waiting).await;
                let id = page["sessions"][0]["id"].as_str().unwrap();
                let path = format!("/sessions/{id}/move");
                if self.ground.post(&path, None).await == 409 {
                    return path;
                }
            }
        };
        let path = soon("a call without a worker", trying).await;
        self.lines.push(json!({
            "method": "POST", "path": path, "status": 409, "body": "", "asked": Value::Null,
        }));
    }

    async fn workers(&mut self) {
        let path = format!("/workers/{}", self.ground.worker.address());
        self.get("/workers", 200).await;
        self.post(&format!("{path}/undrain"), None, 409).await;
        self.post(&format!("{path}/drain"), None, 202).await;
        self.get("/workers", 200).await;
        self.post(&format!("{path}/undrain"), None, 202).await;
        // Many clients encode the colon.
        let encoded = path.replace(':', "%3A");
        self.post(&format!("{encoded}/drain"), None, 202).await;
        self.post(&format!("{encoded}/undrain"), None, 202).await;
        let refused = self.post("/workers/127.0.0.1%3/drain", None, 400).await;
        assert!(refused.as_str().unwrap().contains("%25"), "{refused}");
        self.post("/workers/127.0.0.1:1/drain", None, 404).await;
        self.post("/workers/127.0.0.1:1/undrain", None, 404).await;
    }

    async fn rules(&mut self) {
        let rules = self.get("/rollout", 200).await;
        let pin = json!({"attribute": "call_sid", "equals": "CA1", "version": "v2"});
        let wanted = json!({
            "pool": "default", "revision": rules["revision"], "existing": "eager",
            "weights": {"bare": 9, "v2": 1}, "pins": [pin], "disabled": ["v3"],
        });
        let set = self.post("/rollout", Some(wanted.clone()), 200).await;
        assert_eq!(set["pools"][0]["source"], "operator");
        assert_eq!(set["pools"][0]["weights"], json!({"bare": 9, "v2": 1}));
        self.post("/rollout", Some(wanted), 409).await;
        let part = json!({"pool": "default", "disabled": ["v2"]});
        let why = self.post("/rollout", Some(part), 400).await;
        let why = why.as_str().unwrap();
        assert!(
            why.contains("weights.v2") && why.contains("disabled"),
            "{why}"
        );
        self.post("/rollout", Some(json!({"weights": {}})), 400)
            .await;
        // They would become the operator's without being others.
        let nothing = json!({"pool": "default", "revision": set["revision"]});
        self.post("/rollout", Some(nothing), 400).await;
        let nowhere = json!({"pool": "x", "reset": true});
        self.post("/rollout", Some(nowhere), 404).await;
        let reset = json!({"pool": "default", "reset": true});
        let reset = self.post("/rollout", Some(reset), 200).await;
        assert_eq!(reset["pools"][0]["source"], "configuration");
        assert_eq!(reset["pools"][0]["weights"], json!({}));
        let told = |it: &Value| it["message"] == "an operator's command" && it["pool"] == "default";
        let told = self.ground.edge.logged("the rules", told).await;
        let rules = told["rules"].as_str().unwrap();
        assert!(
            rules.contains(r#""bare":9"#) && !rules.contains("CA1"),
            "{told}"
        );
        assert_eq!(told["source"], "operator");
    }

    /// What is refused, with and without the token.
    async fn refusals(&mut self) {
        let token = format!("Authorization: Bearer {TOKEN}\r\n");
        for path in ORDERS {
            self.raw(&format!("POST {path}"), "", "", 401).await;
        }
        let (looks, orders) = (LOOKS.map(|it| ("GET", it)), ORDERS.map(|it| ("POST", it)));
        for (method, path) in looks.into_iter().chain(orders) {
            let line = format!("{method} {path}");
            let page = format!("{token}Origin: http://attacker.example\r\n");
            self.raw(&line, &page, "", 403).await;
            let page = format!("{token}Sec-Fetch-Site: cross-site\r\n");
            self.raw(&line, &page, "", 403).await;
            let rebound = format!("{token}Host: attacker.example\r\n");
            self.raw(&line, &rebound, "", 421).await;
        }
        for path in LOOKS {
            let body = "Content-Length: 2\r\n";
            self.raw(&format!("GET {path}"), body, "{}", 400).await;
        }
        for path in &ORDERS[1..5] {
            self.raw(&format!("POST {path}"), &token, "{}", 400).await;
        }
        let form = format!("{token}Content-Type: application/x-www-form-urlencoded\r\n");
        self.raw("POST /rollout", &form, "pool=default", 415).await;
        let json = format!("{token}Content-Type: application/json\r\n");
        self.raw("POST /rollout", &json, "{\"pool\": ", 400).await;
        self.raw("POST /rollout", &json, "{\"poool\": \"default\"}", 400)
            .await;
        let large = format!("{{\"pool\": \"{}\"}}", "x".repeat(300 << 10));
        self.post("/rollout", Some(json!(large)), 413).await;
        let counter = "holdline_admin_refused_total";
        for (why, least) in [
            ("token_missing", 6),
            ("cross_site", 30),
            ("host", 15),
            ("form", 9),
            ("content_type", 1),
            ("malformed", 5),
            ("too_large", 1),
        ] {
            let label = format!("why=\"{why}\"");
            let counted = self.ground.edge.counter(counter, &[&label]).await;
            assert!(counted >= f64::from(least), "{why}: {counted}");
        }
        self.ground
            .edge
            .told("request to the admin port refused")
            .await;
        let said = self.ground.edge.said();
        assert!(!said.contains(TOKEN), "the token is in the log");
    }

    /// All of the port's connections are taken by somebody who says nothing.
    async fn crowd(&mut self) {
        let mut crowd = Vec::new();
        for _ in 0..64 {
            crowd.push(TcpStream::connect(self.ground.edge.admin()).await.unwrap());
        }
        let token = format!("Authorization: Bearer {TOKEN}\r\n");
        for path in &LOOKS[3..] {
            self.raw(&format!("GET {path}"), "", "", 503).await;
        }
        for path in ORDERS {
            self.raw(&format!("POST {path}"), &token, "", 503).await;
        }
        self.raw("GET /livez", "", "", 200).await;
        self.raw("GET /metrics", "", "", 200).await;
        drop(crowd);
        // The edge has to notice first.
        let free = async {
            while self.ground.ask(Method::GET, "/workers", None).await.0 != 200 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        soon("room", free).await;
        let counter = "holdline_admin_refused_total";
        let full = self.ground.edge.counter(counter, &["why=\"full\""]).await;
        assert!(full >= 12.0, "{full}");
    }

    async fn the_rest(&mut self) {
        for path in ["/livez", "/metrics", "/openapi.json"] {
            self.get(path, 200).await;
        }
        // One pool of the two has no worker.
        self.get("/readyz", 503).await;
        self.raw("HEAD /events", "", "", 200).await;
        let mut listener = Listener::begin(self.ground).await;
        let mut call = self.ground.call().await;
        let mut kinds = std::collections::BTreeSet::new();
        call.talk().await;
        call.say("end").await;
        let wanted = [
            "counters", "ended", "live", "session", "sessions", "snapshot",
        ];
        while !wanted.iter().all(|kind| kinds.contains(*kind)) {
            let (kind, data) = listener.next().await;
            self.lines.push(json!({"event": kind, "body": data}));
            kinds.insert(kind);
        }
    }

    /// Has all of it judged.
    async fn judge(&self) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for line in &self.lines {
            writeln!(file, "{line}").unwrap();
        }
        let document = workspace().join("crates/proxy/src/admin/openapi.json");
        let judging = Command::new(tool("python3"))
            .arg(workspace().join("tests/tools/openapi.py"))
            .arg(document)
            .arg(file.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output();
        let output = soon("the judge", judging).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}{errors}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_says_what_is_answered_and_all_that_can_be_asked() {
    let ground = Ground::start().await;
    let mut standing = ground.call().await;
    let mut minutes = Minutes {
        ground: &ground,
        lines: vec![],
    };
    minutes.workers().await;
    minutes.rules().await;
    minutes.refusals().await;
    minutes.crowd().await;
    minutes.the_rest().await;
    standing.socket.close(None).await.unwrap();
    ground.until("/sessions", |page| page["total"] == 0).await;
    minutes.calls().await;
    minutes.judge().await;
    ground.edge.end().await;
}
