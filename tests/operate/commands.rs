//! The commands over the admin port, as people and scripts use them.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    process::Output,
};

use serde_json::{Value, json};

use super::{Ground, TOKEN};
use crate::support::{holdline, soon};

/// What a command ended with and said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ground {
    /// Runs a command against the edge, with the token or without.
    async fn run(&self, arguments: &[&str], token: bool) -> Said {
        let mut command = holdline();
        command
            .args(arguments)
            .env("HOLDLINE_ADMIN", format!("http://{}", self.edge.admin()));
        if token {
            command.env("HOLDLINE_ADMIN_TOKEN", TOKEN);
        }
        let output = soon("a command", command.output()).await.unwrap();
        let Output {
            status,
            stdout,
            stderr,
        } = output;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            code: status.code(),
            out: text(stdout),
            err: text(stderr),
        }
    }

    /// A command that does well; what it printed.
    async fn good(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments, true).await;
        assert_eq!((said.code, &*said.err), (Some(0), ""), "{arguments:?}");
        said.out
    }
}

#[tokio::test]
async fn an_operator_sees_calls_and_workers_and_acts() {
    let ground = Ground::start().await;
    let mut call = ground.call().await;
    call.talk().await;

    let list = ground.good(&["sessions"]).await;
    assert!(list.contains(&call.id) && list.contains("bare"), "{list}");
    let list = ground.good(&["sessions", "--output", "json"]).await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["sessions"][0]["id"], call.id);
    for filter in [
        ["--version", "v 9"],
        ["--call-sid", "CA1"],
        ["--pool", "gone"],
        ["--phase", "ending"],
    ] {
        let list = ground.good(&["sessions", filter[0], filter[1]]).await;
        assert_eq!(list.lines().last(), Some("none"), "{filter:?}");
    }
    let filters = ["sessions", "--pool", "default", "--phase", "running"];
    let list = ground.good(&filters).await;
    assert!(list.contains(&call.id), "{list}");

    let one = ground.good(&["session", &call.id]).await;
    for part in ["phase", "running", "attached", "version=bare"] {
        assert!(one.contains(part), "no {part} in:\n{one}");
    }
    let workers = ground.good(&["workers"]).await;
    let address = ground.worker.address().to_string();
    assert!(
        workers.contains(&address) && workers.contains("ready"),
        "{workers}"
    );
    let top = ground.good(&["top", "--once"]).await;
    assert!(top.contains(&call.id) && top.contains("calls: 1"), "{top}");
    assert!(!top.contains('\u{1b}'), "{top}");

    ground.good(&["drain", &address]).await;
    let workers = ground.good(&["workers"]).await;
    assert!(workers.contains("draining"), "{workers}");
    ground.good(&["drain", &address, "--undo"]).await;
    ground.good(&["move", &call.id]).await;
    ground.good(&["end", &call.id]).await;
    let over = |page: &Value| page["total"] == 1;
    ground.until("/sessions?ended=true", over).await;
    let ended = ground.good(&["sessions", "--ended"]).await;
    assert!(
        ended.contains("operator") && ended.contains(&call.id),
        "{ended}"
    );
    let one = ground.good(&["session", &call.id]).await;
    for part in ["ordered", "order=end", "ended", "fault: none"] {
        assert!(one.contains(part), "no {part} in:\n{one}");
    }
    ground.edge.end().await;
}

/// An edge that has as many calls as one asks for, on pages of as many as that takes; what it was asked.
fn endless(edge: TcpListener) -> Vec<String> {
    let mut asked = Vec::new();
    for number in 1..=2 {
        let (mut socket, _) = edge.accept().unwrap();
        let mut line = String::new();
        let mut reader = BufReader::new(socket.try_clone().unwrap());
        reader.read_line(&mut line).unwrap();
        let head = reader.lines().map_while(Result::ok);
        head.take_while(|line| !line.is_empty()).for_each(drop);
        let (_, limit) = line.split_once("limit=").unwrap();
        let limit = limit.split(|it: char| !it.is_ascii_digit()).next().unwrap();
        let calls = vec![json!({"id": format!("call {number}")}); limit.parse().unwrap()];
        let next = format!("{number}-ab");
        let body = json!({"total": 9_000, "sessions": calls, "next": next}).to_string();
        let length = body.len();
        write!(
            socket,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .unwrap();
        asked.push(line);
    }
    asked
}

#[tokio::test]
async fn more_calls_than_a_page_holds_are_asked_for_page_by_page() {
    let edge = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", edge.local_addr().unwrap());
    let asked = tokio::task::spawn_blocking(|| endless(edge));
    let arguments = ["sessions", "--limit", "6000", "--output", "json"];
    let command = holdline().args(arguments).args(["--admin", &url]).output();
    let output = soon("a command", command).await.unwrap();
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let calls = list["sessions"].as_array().unwrap();
    assert_eq!(calls.len(), 6_000);
    assert_eq!(
        (&calls[4_999]["id"], &calls[5_000]["id"]),
        (&json!("call 1"), &json!("call 2"))
    );
    assert_eq!(
        (&list["total"], &list["next"]),
        (&json!(9_000), &json!("2-ab"))
    );
    let asked = asked.await.unwrap();
    assert!(asked[0].contains("limit=5000 "), "{asked:?}");
    assert!(asked[1].contains("limit=1000&after=1-ab "), "{asked:?}");
}

#[tokio::test]
async fn rules_are_set_at_run_time_and_never_contradict_each_other() {
    let ground = Ground::start().await;
    // There are two pools.
    let said = ground.run(&["rollout", "disable", "v2"], true).await;
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("--pool"), "{}", said.err);

    let rules = |words: &'static [&'static str]| {
        let arguments: Vec<_> = ["rollout", "--pool", "default"]
            .into_iter()
            .chain(words.iter().copied())
            .collect();
        let ground = &ground;
        async move { ground.good(&arguments).await }
    };
    let shown = rules(&["weight", "v1=90", "v2=10"]).await;
    assert!(
        shown.contains("v1=90") && shown.contains("operator"),
        "{shown}"
    );
    let shown = rules(&["pin", "parameter.tenant=acme", "v2"]).await;
    assert!(shown.contains("parameter.tenant=acme v2"), "{shown}");
    let shown = rules(&["disable", "v2"]).await;
    assert!(
        !shown.contains("v2=10") && !shown.contains("acme"),
        "{shown}"
    );
    let lines: Vec<_> = shown
        .lines()
        .filter(|line| line.contains("disabled"))
        .collect();
    assert_eq!(lines.len(), 1, "{shown}");
    let said = ground
        .run(&["rollout", "--pool", "default", "weight", "v2=1"], true)
        .await;
    assert_eq!(said.code, Some(3));
    assert!(said.err.contains("disabled"), "{}", said.err);
    let shown = rules(&["reset"]).await;
    assert!(
        !shown.contains("operator") && !shown.contains("disabled"),
        "{shown}"
    );
    ground.edge.end().await;
}

#[tokio::test]
async fn what_goes_wrong_is_told_in_words_and_by_the_exit_status() {
    let ground = Ground::start().await;
    let said = ground.run(&["session", "CA0"], true).await;
    assert_eq!(said.code, Some(3));
    assert!(said.err.contains("no such session"), "{}", said.err);
    let said = ground.run(&["end", "CA0"], false).await;
    assert_eq!(said.code, Some(3));
    assert!(said.err.contains("--token-file"), "{}", said.err);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "wrong-8d1f\n").unwrap();
    let file = file.to_str().unwrap();
    let said = ground
        .run(&["end", "CA0", "--token-file", file], false)
        .await;
    assert_eq!(said.code, Some(3));
    assert!(!said.err.contains("wrong-8d1f"), "{}", said.err);
    std::fs::write(file, format!("{TOKEN}\n")).unwrap();
    let said = ground
        .run(&["end", "CA0", "--token-file", file], false)
        .await;
    assert!(said.err.contains("no such session"), "{}", said.err);

    let nobody = crate::stage::Place::reserve();
    let url = format!("http://{}", nobody.address);
    let said = ground.run(&["workers", "--admin", &url], false).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("cannot be reached"), "{}", said.err);
    let said = ground
        .run(&["workers", "--admin", "edge:9090"], false)
        .await;
    assert_eq!(said.code, Some(2));
    ground.edge.end().await;
}
