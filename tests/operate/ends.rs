//! Every way that a call can end names whose fault it was, in the same words: in the log, in the metrics,
//! to whoever asks later, and in the dashboard, as a browser shows it.

use std::collections::HashMap;

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::Method;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;

use super::{CONFIG, Ground};
use crate::{dashboard::browse, exchange::dial, stage::Ending, support::soon};

/// A way to end, and what is to be said of it.
struct Row {
    way: &'static str,
    session: String,
    reason: &'static str,
    fault: &'static str,
}

/// All of them, as they are brought about.
struct Table<'a> {
    ground: &'a Ground,
    rows: Vec<Row>,
}

impl Table<'_> {
    fn add(
        &mut self,
        way: &'static str,
        session: String,
        reason: &'static str,
        fault: &'static str,
    ) {
        self.rows.push(Row {
            way,
            session,
            reason,
            fault,
        });
    }

    /// What a caller says to end a call.
    async fn said(
        &mut self,
        way: &'static str,
        words: &'static str,
        reason: &'static str,
        fault: &'static str,
    ) {
        let mut call = self.ground.call().await;
        call.say(words).await;
        self.ended(&call.id).await;
        self.add(way, call.id, reason, fault);
    }

    async fn ended(&self, session: &str) {
        let over = |line: &Value| line["message"] == "call ended" && line["session"] == *session;
        self.ground.edge.logged("the end of a call", over).await;
    }

    /// What the caller and the network do.
    async fn by_callers(&mut self) {
        let mut call = self.ground.call().await;
        call.talk().await;
        call.socket.close(None).await.unwrap();
        self.ended(&call.id).await;
        self.add("the caller closes", call.id, "caller_hung_up", "none");

        let call = self.ground.call().await;
        drop(call.socket);
        self.ended(&call.id).await;
        self.add(
            "the caller's socket breaks",
            call.id,
            "caller_lost",
            "network",
        );

        let mut call = self.ground.call().await;
        // A text frame of one byte without a mask, which clients must have.
        let bare = [0x81, 1, b'x'];
        call.socket.get_mut().write_all(&bare).await.unwrap();
        self.ended(&call.id).await;
        self.add(
            "the caller breaks its protocol",
            call.id,
            "caller_protocol",
            "peer",
        );

        let mut call = self.ground.call().await;
        call.say("sulk").await;
        for number in 0..100 {
            // The call may be over before all of it is said.
            if call
                .socket
                .send(Message::text(number.to_string()))
                .await
                .is_err()
            {
                break;
            }
        }
        self.ended(&call.id).await;
        self.add(
            "the caller says more than is kept",
            call.id,
            "log_overflow",
            "peer",
        );
        self.by_stop().await;
    }

    /// The carrier says that the call is over.
    async fn by_stop(&mut self) {
        let callers = self.ground.edge.address("callers").await;
        let mut socket = dial(callers, "/twilio").await.unwrap();
        let start = r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":
            {"accountSid":"AC1","streamSid":"MZ1","callSid":"CA-stop","tracks":["inbound"],
            "mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},
            "customParameters":{}}}"#;
        let stop = r#"{"event":"stop","sequenceNumber":"2","streamSid":"MZ1","stop":
            {"accountSid":"AC1","callSid":"CA-stop"}}"#;
        for words in [start, stop] {
            socket.send(Message::text(words)).await.unwrap();
        }
        let over = |line: &Value| line["message"] == "call ended" && line["call_sid"] == "CA-stop";
        let line = self.ground.edge.logged("the end of a call", over).await;
        let session = line["session"].as_str().unwrap().to_owned();
        self.add("the carrier says stop", session, "caller_hung_up", "none");
    }

    /// What workers do, and leave undone.
    async fn by_workers(&mut self) {
        self.said("a worker ends it", "end", "worker", "none").await;
        self.said(
            "a worker closes the caller's leg",
            "close",
            "worker",
            "none",
        )
        .await;
        self.said("a worker hands it back", "hand back", "handed_back", "none")
            .await;
        self.said("it kills its workers", "die", "poisoned", "worker")
            .await;
        let way = "a worker asks for more than can be answered";
        self.said(way, "results", "log_overflow", "worker").await;

        let callers = self.ground.edge.address("callers").await;
        let _socket = dial(callers, "/gone").await.unwrap();
        let over = |line: &Value| line["message"] == "call ended" && line["reason"] == "gave_up";
        let line = self.ground.edge.logged("the end of a call", over).await;
        let session = line["session"].as_str().unwrap().to_owned();
        self.add("no worker can be had", session, "gave_up", "worker");
    }

    /// What operators do.
    async fn by_operators(&mut self) {
        let call = self.ground.call().await;
        let path = format!("/sessions/{}/end", call.id);
        assert_eq!(self.ground.ask(Method::POST, &path, None).await.0, 202);
        self.ended(&call.id).await;
        self.add("an operator ends it", call.id, "operator", "none");
    }

    /// The edge's time is over. Another call's worker says nothing more, so that call takes long to end,
    /// and as long as it lives the edge can be asked.
    async fn by_the_edge(&mut self) {
        let mut call = self.ground.call().await;
        let mut slow = self.ground.call().await;
        slow.talk().await;
        slow.say("sulk").await;
        self.ground.edge.signal(Ending::Terminate);
        self.ground.edge.told("drain").await;
        self.ground.edge.signal(Ending::Terminate);
        while let Some(Ok(_)) = soon("a close", call.socket.next()).await {}
        self.ended(&call.id).await;
        self.add(
            "the edge's own deadline comes",
            call.id,
            "edge_deadline",
            "edge",
        );
        self.judge().await;
    }

    /// What the dashboard says of each: in its list, and closely.
    async fn dashboard(&self) -> HashMap<String, [String; 2]> {
        let url = format!("http://{}/", self.ground.edge.admin());
        let sessions = self.rows.iter().map(|row| &*row.session);
        let arguments: Vec<_> = std::iter::once(&*url).chain(sessions).collect();
        let told = browse("dashboard_ends.mjs", &arguments).await;
        serde_json::from_str(&told).unwrap()
    }

    /// What the log, the metrics, the admin port and the dashboard say, side by side.
    async fn judge(&self) {
        let dashboard = self.dashboard().await;
        let mut lines = vec![];
        let mut wrong = 0;
        let listed = self.ground.get("/sessions?ended=true").await;
        for row in &self.rows {
            let over =
                |line: &Value| line["message"] == "call ended" && line["session"] == *row.session;
            let log = self.ground.edge.logged("the end of a call", over).await;
            let told = |of: &Value| (of["reason"].clone(), of["fault"].clone());
            let shown = self.ground.get(&format!("/sessions/{}", row.session)).await;
            let events = shown["timeline"]["events"].as_array().unwrap();
            let event = events.iter().find(|it| it["event"] == "ending").unwrap();
            let mut list = listed["sessions"].as_array().unwrap().iter();
            let in_list = list.find(|it| it["id"] == *row.session).unwrap();
            let labels = [
                format!("reason=\"{}\"", row.reason),
                format!("fault=\"{}\"", row.fault),
            ];
            let labels: Vec<_> = labels.iter().map(String::as_str).collect();
            let counted = self
                .ground
                .edge
                .counter("holdline_sessions_ended_total", &labels)
                .await;
            let alike = |other: &&Row| (other.reason, other.fault) == (row.reason, row.fault);
            let expected = (row.reason.into(), row.fault.into());
            let words = format!("{}, fault: {}", row.reason, row.fault);
            let seen = &dashboard[&row.session];
            let good = [&log, &shown["end"], event, &in_list["end"]]
                .into_iter()
                .all(|of| told(of) == expected)
                && seen.iter().all(|seen| *seen == words)
                && counted == self.rows.iter().filter(alike).count() as f64;
            wrong += usize::from(!good);
            lines.push(format!(
                "{:45} expected {expected:?}, log {:?}, shown {:?}, seen {seen:?}, counted {counted}",
                row.way,
                told(&log),
                told(&shown["end"]),
            ));
        }
        assert_eq!(wrong, 0, "\n{}", lines.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_to_end_names_whose_fault_it_was_everywhere() {
    let ground = Ground::start().await;
    let mut table = Table {
        ground: &ground,
        rows: vec![],
    };
    table.by_callers().await;
    table.by_workers().await;
    table.by_operators().await;
    assert!(table.rows.len() >= 12);
    table.judge().await;
    ground.edge.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_edge_cuts_at_its_own_deadline_is_its_fault_everywhere() {
    // Longer than anything here takes: neither is the worker that says nothing given up, nor the end.
    let patient = "end_timeout: 10m\n  progress_timeout: 10m";
    let ground = Ground::with(&CONFIG.replace("end_timeout: 2s", patient)).await;
    let mut table = Table {
        ground: &ground,
        rows: vec![],
    };
    table.by_the_edge().await;
}
