//! `holdline doctor` in good surroundings and in bad ones.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Output,
    time::{Duration, SystemTime},
};

use futures_util::StreamExt as _;
use holdline_kubesim::{Cluster, Kind, Verb, Workload};
use holdline_testkit::openai::{Keys, OpenAiSim, SimOptions};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
    },
};

use crate::{
    stage::{API_KEY, AUTH_TOKEN, Place, listener_and_model},
    support::{WorkerProcess, holdline, soon},
};

const TOKEN: &str = "c0ffee1234567890c0ffee1234567890";

/// An upstream that tells a time, and never anything else.
struct Clock {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Clock {
    async fn behind(by: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let date = httpdate::fmt_http_date(SystemTime::now() - by);
                let dated = |_: &Request, mut response: Response| {
                    let date = date.parse().unwrap();
                    response.headers_mut().insert("date", date);
                    Ok(response)
                };
                let mut socket = accept_hdr_async(tcp, dated).await.unwrap();
                let said = socket.next().await;
                assert!(matches!(said, Some(Ok(Message::Close(_)))), "{said:?}");
                let _ = socket.close(None).await;
            }
        });
        Self { address, serving }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Where an edge would run.
struct Ground {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

/// What a doctor said.
struct Said {
    code: Option<i32>,
    findings: Vec<Value>,
    text: String,
}

impl Ground {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("holdline.yaml"), config).unwrap();
        let variables = [
            ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
            ("OPENAI_API_KEY", API_KEY),
            ("ADMIN_TOKEN", TOKEN),
        ];
        let variables = variables.map(|(name, value)| (name, value.to_owned()));
        Self {
            folder,
            variables: variables.into(),
        }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = holdline();
        command.arg("doctor").args(arguments).arg("--config");
        command.arg(self.file("holdline.yaml"));
        command.env_remove("KUBECONFIG");
        command.envs(self.variables.iter().map(|(name, value)| (*name, value)));
        soon("a doctor", command.output()).await.unwrap()
    }

    async fn findings(&self) -> Said {
        // More time than a busy machine takes to meet a worker that is there.
        let output = self.run(&["--output", "json", "--timeout", "30s"]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!(
                "{error}: {text} {}",
                String::from_utf8_lossy(&output.stderr)
            )
        });
        let findings = report["findings"].as_array().unwrap().clone();
        let worst = |verdict| findings.iter().any(|it| it["verdict"] == verdict);
        let expected = match (worst("failed"), worst("warning")) {
            (true, _) => "failed",
            (_, true) => "warning",
            _ => "ok",
        };
        assert_eq!(report["verdict"], expected, "{text}");
        assert_eq!(output.status.code(), Some((expected == "failed").into()));
        for secret in [AUTH_TOKEN, API_KEY, TOKEN] {
            assert!(!text.contains(secret), "{text}");
        }
        Said {
            code: output.status.code(),
            findings,
            text,
        }
    }
}

impl Said {
    /// What was found by a check about something, and its verdict.
    fn of(&self, check: &str, about: &str) -> (&str, &str) {
        let fits =
            |it: &&Value| it["check"] == check && it["about"].as_str().unwrap().contains(about);
        let found = self.findings.iter().find(fits);
        let found = found.unwrap_or_else(|| panic!("no {check} {about} in {}", self.text));
        (
            found["verdict"].as_str().unwrap(),
            found["found"].as_str().unwrap(),
        )
    }

    fn verdicts(&self, check: &str) -> Vec<&str> {
        let of = self.findings.iter().filter(|it| it["check"] == check);
        of.map(|it| it["verdict"].as_str().unwrap()).collect()
    }
}

async fn model() -> OpenAiSim {
    let options = SimOptions {
        keys: Keys::Only([API_KEY.to_owned()].into()),
        ..SimOptions::default()
    };
    let bound = OpenAiSim::bind(([127, 0, 0, 1], 0).into(), options).await;
    bound.unwrap()
}

/// An edge for Twilio's calls; `sessions` of them.
fn config(model: SocketAddr, clock: SocketAddr, pool: &str, sessions: u32) -> String {
    let front = listener_and_model(model);
    format!(
        r#"{front}
  clock: {{profile: raw, url: "ws://{clock}/"}}
workers:
  default: {pool}
limits: {{sessions: {sessions}}}
admin: {{address: "127.0.0.1:0", token: {{env: ADMIN_TOKEN}}}}
"#
    )
    .replace("voice.example.com", "voice.holdline.test")
}

fn pool(workers: &[SocketAddr]) -> String {
    let addresses: Vec<_> = workers.iter().map(SocketAddr::to_string).collect();
    format!("{{discovery: {{static: {{addresses: {addresses:?}}}}}}}")
}

#[tokio::test]
async fn good_surroundings_are_well() {
    let (model, clock) = (model().await, Clock::behind(Duration::ZERO).await);
    let worker = WorkerProcess::start("v7").await;
    let workers = pool(&[worker.address]);
    let ground = Ground::new(&config(model.local_addr(), clock.address, &workers, 10));
    let said = ground.findings().await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert_eq!(said.of("upstream", "openai").0, "ok");
    assert_eq!(said.of("clock", "clock").0, "ok");
    let (verdict, found) = said.of("worker", &worker.address.to_string());
    assert!(verdict == "ok" && found.contains("version v7"), "{found}");
    for (check, about) in [
        ("signature", "/twilio/media"),
        ("key", "openai"),
        ("admin token", ""),
        ("open files", "10 calls"),
        ("memory", "10 calls"),
        ("ports", "10 calls"),
    ] {
        assert_eq!(said.of(check, about).0, "ok", "{check}: {}", said.text);
    }

    let output = ground.run(&["--timeout", "30s"]).await;
    assert_eq!(output.status.code(), Some(0));
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table.lines().count(), said.findings.len(), "{table}");
    assert!(table.lines().all(|line| line.starts_with("ok ")), "{table}");
}

#[tokio::test]
async fn bad_surroundings_are_told_with_what_to_do() {
    let hour = Duration::from_secs(3_600);
    let (model, clock) = (model().await, Clock::behind(hour).await);
    let nobody = Place::reserve();
    let workers = pool(&[nobody.address]);
    let ground = Ground::new(&config(
        model.local_addr(),
        clock.address,
        &workers,
        4_000_000,
    ))
    .with("OPENAI_API_KEY", "sk-not-the-one-0123456789")
    .with("TWILIO_AUTH_TOKEN", "your_auth_token")
    .with("ADMIN_TOKEN", "aaaaaaaaaaaaaaaaaaaaaaaa");
    let said = ground.findings().await;
    assert_eq!(said.code, Some(1), "{}", said.text);
    let (verdict, found) = said.of("upstream", "openai");
    assert!(verdict == "failed" && found.contains("3000"), "{found}");
    let (verdict, found) = said.of("clock", "clock");
    assert!(verdict == "failed" && found.contains("ahead of"), "{found}");
    let (verdict, found) = said.of("worker", &nobody.address.to_string());
    assert!(verdict == "failed" && found.contains("not met"), "{found}");
    let (verdict, found) = said.of("signature", "/twilio/media");
    assert!(
        verdict == "warning" && found.contains("placeholder"),
        "{found}"
    );
    assert_eq!(said.of("admin token", "").0, "warning");
    assert_eq!(said.of("memory", "").0, "failed");
    assert_eq!(said.of("ports", "").0, "failed");
    for finding in &said.findings {
        let advised = finding["advice"].is_string();
        assert_eq!(advised, finding["verdict"] != "ok", "{finding}");
    }

    let output = ground.run(&["--timeout", "30s"]).await;
    let (table, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        table.contains("FAILED   upstream") && table.contains("-> "),
        "{table}"
    );
    assert!(error.contains("checks failed"), "{error}");
}

#[tokio::test]
async fn a_configuration_that_is_wrong_is_told_as_by_check() {
    let ground = Ground::new("listeners: 5\n");
    let output = ground.run(&[]).await;
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("listeners"), "{error}");
}

/// Each right that the configuration needs is asked for, and nothing is done to find out.
#[tokio::test]
async fn rights_in_a_cluster() {
    let cluster = Cluster::start().await.unwrap();
    let _workload = Workload::new(&cluster, "voice", "workers");
    cluster.deny(Verb::Watch, Kind::EndpointSlice);
    cluster.deny(Verb::List, Kind::ReplicaSet);
    let (model, clock) = (model().await, Clock::behind(Duration::ZERO).await);
    let pool = "{discovery: {kubernetes: {service: workers}}}";
    let text = config(model.local_addr(), clock.address, pool, 10)
        + "kubernetes: {pod_deletion_cost: {}}\n";
    let ground = Ground::new(&text)
        .with("HOLDLINE_POD_NAME", "edge-1")
        .with("HOLDLINE_POD_NAMESPACE", "voice");
    let kubeconfig = ground.file("kubeconfig");
    write_kubeconfig(&cluster, &kubeconfig);
    let ground = ground.with("KUBECONFIG", kubeconfig.to_str().unwrap());
    let output = ground.run(&["--output", "json", "--timeout", "3s"]).await;
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    let findings = report["findings"].as_array().unwrap().clone();
    let said = Said {
        code: Some(1),
        findings,
        text,
    };
    for (about, verdict) in [
        ("list endpointslices in voice", "ok"),
        ("watch endpointslices in voice", "failed"),
        ("list replicasets in voice", "warning"),
        ("watch pods in voice", "ok"),
        ("get services in voice", "ok"),
        ("patch pods in voice", "ok"),
    ] {
        assert_eq!(said.of("right", about).0, verdict, "{}", said.text);
    }
    assert_eq!(said.verdicts("right").len(), 8, "{}", said.text);
    assert!(said.text.contains("verbs: [watch]"), "{}", said.text);
    assert_eq!(said.of("worker", "pool default").0, "failed");
    assert_eq!(cluster.patches(), 0);
}

fn write_kubeconfig(cluster: &Cluster, file: &Path) {
    std::fs::write(file, cluster.kubeconfig("voice", None)).unwrap();
}
