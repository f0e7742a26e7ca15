//! A cluster, an edge that looks at it, and pods that are processes.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use holdline_kubesim::{Cluster, Kind, Verb, Workload};
use holdline_testkit::{
    judge,
    openai::{Keys, OpenAiSim, SimOptions},
    stage::{ANSWER_WITHIN, API_KEY, AUTH_TOKEN, Callers, Calling},
    twilio::StreamEnd,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    exchange::Edge,
    stage::{Ending, Place, Running, listener_and_model},
    support::soon,
};

pub(crate) const NAMESPACE: &str = "voice";
pub(crate) const SERVICE: &str = "workers";
/// Longest call of these tests.
const LONGEST: Duration = Duration::from_secs(280);
/// The edge tells its state only to those who ask.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A pod that is wanted for its endpoint alone has no process: nobody listens here (RFC 863, and
/// no one serves it any more).
const NOBODY: u16 = 9;

/// What is particular to a cluster.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// Rights that the edge does not have from the start.
    pub(crate) denied: Vec<(Verb, Kind)>,
    /// The edge's token.
    pub(crate) token: Option<&'static str>,
    /// The edge's own pod, where it knows that it has one.
    pub(crate) pod: Option<&'static str>,
    /// Further configuration of the edge.
    pub(crate) more: &'static str,
}

/// Everything ends when it is dropped.
pub(crate) struct Ground {
    pub(crate) cluster: Cluster,
    pub(crate) workload: Workload,
    pub(crate) edge: Edge,
    model: OpenAiSim,
    pods: BTreeMap<String, Pod>,
    folder: TempDir,
    url: String,
    /// Workers' `--grace`.
    pub(crate) grace: &'static str,
    launched: usize,
}

struct Pod {
    place: Place,
    process: Running,
}

impl Ground {
    /// An edge and a Service without pods.
    pub(crate) async fn empty(shape: Shape) -> Self {
        let cluster = Cluster::start().await.unwrap();
        for (verb, kind) in shape.denied {
            cluster.deny(verb, kind);
        }
        let folder = tempfile::tempdir().unwrap();
        let token = shape.token.map(|token| {
            let file = token_file(&folder);
            std::fs::write(&file, token).unwrap();
            cluster.require_token(token);
            file
        });
        let kubeconfig = folder.path().join("kubeconfig");
        let text = cluster.kubeconfig(NAMESPACE, token.as_deref());
        std::fs::write(&kubeconfig, text).unwrap();
        let options = SimOptions {
            keys: Keys::Only([API_KEY.to_owned()].into()),
            ..SimOptions::default()
        };
        let model = OpenAiSim::bind(([127, 0, 0, 1], 0).into(), options).await;
        let model = model.unwrap();
        let mut variables = vec![
            ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
            ("OPENAI_API_KEY", API_KEY),
            ("KUBECONFIG", kubeconfig.to_str().unwrap()),
        ];
        if let Some(pod) = shape.pod {
            let metadata = json!({"name": pod, "namespace": NAMESPACE, "uid": pod});
            cluster.apply(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata}));
            variables.push(("HOLDLINE_POD_NAME", pod));
            variables.push(("HOLDLINE_POD_NAMESPACE", NAMESPACE));
        }
        let config = format!("{}\n{}\n", config(&model), shape.more);
        let edge = Edge::start(&config, &variables).await;
        let callers = edge.address("twilio").await;
        std::fs::write(
            bridge_file(&folder),
            "instructions: Be brief.\ngreeting: {}\n",
        )
        .unwrap();
        Self {
            workload: Workload::new(&cluster, NAMESPACE, SERVICE),
            cluster,
            edge,
            model,
            pods: BTreeMap::new(),
            folder,
            url: format!("ws://{callers}/twilio/media"),
            grace: "30s",
            launched: 0,
        }
    }

    /// The same with two workers of v1 that are ready.
    pub(crate) async fn with_workers(shape: Shape) -> Self {
        let mut ground = Self::empty(shape).await;
        ground.workload.roll("v1");
        ground.scale_up("v1", 2).await;
        ground.until_ready(2).await;
        ground
    }

    /// Starts so many pods of the current rollout, and says that they are ready when they are.
    pub(crate) async fn scale_up(&mut self, version: &str, count: usize) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..count {
            let name = self.start(version);
            self.workload.add(&name, self.pods[&name].place.address);
            names.push(name);
        }
        for name in &names {
            self.pods[name].process.told("worker is listening").await;
            self.workload.ready(name);
        }
        names
    }

    /// Starts a pod of another Deployment, and says that it is ready when it is.
    pub(crate) async fn add_to(&mut self, other: &mut Workload, version: &str) -> String {
        let name = self.launch(version).await;
        other.add(&name, self.pods[&name].place.address);
        other.ready(&name);
        name
    }

    /// Starts a pod of an earlier rollout, as its ReplicaSet does for one that went too soon.
    pub(crate) async fn restore(&mut self, version: &str) -> String {
        let name = self.launch(version).await;
        let address = self.pods[&name].place.address;
        self.workload.add_of(version, &name, address);
        self.workload.ready(&name);
        name
    }

    /// Ends a pod in the usual order: `terminating`, SIGTERM, gone. It must end well.
    pub(crate) async fn retire(&mut self, pod: &str) {
        self.workload.terminating(pod);
        self.terminate(pod);
        self.ended(pod.to_owned()).await;
        self.workload.remove(pod);
    }

    /// A pod's container is killed, and started again in its place: the pod stays the same.
    pub(crate) async fn restart(&mut self, name: &str, version: &str) {
        let Pod { place, mut process } = self.pods.remove(name).unwrap();
        process.end(Ending::Kill).await;
        self.workload.not_ready(name);
        let process = self.process(version, &place);
        process.told("worker is listening").await;
        self.workload.ready(name);
        self.pods.insert(name.to_owned(), Pod { place, process });
    }

    /// A pod's worker ends well upon SIGTERM, and the next one starts in its place.
    pub(crate) async fn replace(&mut self, name: &str, version: &str) {
        let Pod { place, mut process } = self.pods.remove(name).unwrap();
        process.end(Ending::Terminate).await;
        let process = self.process(version, &place);
        process.told("worker is listening").await;
        self.pods.insert(name.to_owned(), Pod { place, process });
    }

    /// A pod's worker is killed.
    pub(crate) async fn kill(&mut self, name: &str) {
        let mut pod = self.pods.remove(name).unwrap();
        pod.process.end(Ending::Kill).await;
    }

    /// Starts a worker process that no API server knows of.
    pub(crate) async fn launch(&mut self, version: &str) -> String {
        let name = self.start(version);
        self.pods[&name].process.told("worker is listening").await;
        name
    }

    /// SIGTERM to a pod.
    pub(crate) fn terminate(&self, pod: &str) {
        self.pods[pod].process.signal(Ending::Terminate);
    }

    /// Waits until no call is on a pod.
    pub(crate) async fn until_left(&self, pod: &str) {
        let address = self.pods[pod].place.address.to_string();
        let left = |row: &Value| row["address"] != *address || row["sessions"] == 0;
        let wanted = |rows: &[Value]| rows.iter().all(left);
        self.until(&format!("all calls to leave {pod}"), wanted)
            .await;
    }

    /// Waits until a pod has ended, which must be well.
    pub(crate) async fn ended(&mut self, pod: String) {
        let mut pod = self.pods.remove(&pod).unwrap();
        pod.process.ended(Ending::Terminate).await;
    }

    pub(crate) fn port(&self, pod: &str) -> String {
        self.pods[pod].place.address.port().to_string()
    }

    /// The names of all pods that have processes.
    pub(crate) fn pods(&self) -> Vec<String> {
        self.pods.keys().cloned().collect()
    }

    /// Places so many calls, and waits until they and the model have heard each other.
    pub(crate) async fn dial(&self, calls: u32) -> Callers {
        self.dial_from(1, calls).await
    }

    /// The same with numbers from `first` on.
    pub(crate) async fn dial_from(&self, first: u32, calls: u32) -> Callers {
        let calling = Calling {
            first,
            calls,
            longest: LONGEST,
            first_words: Duration::from_secs(1),
            answer_within: ANSWER_WITHIN,
            keep_audio: false,
        };
        let callers = soon("upgrades", Callers::dial(&self.url, calling)).await;
        let mut callers = callers.unwrap();
        for call in &mut callers.handles {
            let heard = call.wait_for(|call| call.frames_sent > 50 && call.frames_received > 50);
            soon("both to be heard", heard).await.unwrap();
        }
        callers
    }

    /// Waits until so many further frames went in both directions of every call.
    pub(crate) async fn go_on(&self, calls: &mut Callers, frames: u64) {
        let before: Vec<_> = calls.handles.iter().map(|call| call.progress()).collect();
        for (call, before) in calls.handles.iter_mut().zip(before) {
            let more = call.wait_for(|call| {
                call.frames_sent >= before.frames_sent + frames
                    && call.frames_received >= before.frames_received + frames
            });
            soon("a call to go on", more).await.unwrap();
        }
    }

    /// Ends all calls and judges them: nobody but their callers ended them, and nothing was lost,
    /// doubled or out of order. Says how often each moved.
    pub(crate) async fn judge(&self, calls: Callers) -> Vec<u64> {
        let count = calls.handles.len();
        let records = soon("the end of all calls", calls.hang_up()).await.unwrap();
        assert_eq!(records.len(), count);
        let report = self.model.report();
        for record in &records {
            let account = judge::account(record, &report.connections);
            let ends: Vec<_> = record.streams.iter().map(|stream| &stream.end).collect();
            assert_eq!(ends, [&StreamEnd::Ours], "call {}", record.call);
            for way in [&account.to_model, &account.to_caller] {
                assert!(
                    way.is_perfect() && way.received > 0,
                    "call {}: {:?}",
                    record.call,
                    way.summary()
                );
            }
        }
        self.moves(count).await
    }

    /// How often each call moved, as the edge says at its end.
    async fn moves(&self, calls: usize) -> Vec<u64> {
        let ended = || {
            let said = self.edge.said();
            let lines = said
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            let ended = lines.filter(|line: &Value| line["message"] == "call ended");
            ended
                .filter_map(|line| line["handoffs"].as_u64())
                .collect::<Vec<_>>()
        };
        let looking = async {
            while ended().len() < calls {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        soon("the ends of all calls", looking).await;
        ended()
    }

    /// Waits until the edge knows a pod that is new, which proves that it looks.
    pub(crate) async fn is_followed(&mut self, name: &str) {
        let address = ([127, 77, 0, self.next()], NOBODY).into();
        self.workload.add(name, address);
        self.workload.ready(name);
        let known = |rows: &[Value]| rows.iter().any(|row| row["pod"]["name"] == name);
        self.until(&format!("a pod called {name}"), known).await;
        self.workload.remove(name);
        let gone = |rows: &[Value]| !known(rows);
        self.until(&format!("no pod called {name}"), gone).await;
    }

    /// A slice without ports and endpoints, as the controller keeps one for a Service without pods.
    pub(crate) fn put_placeholder(&self, name: &str) {
        self.cluster.apply(json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": NAMESPACE,
                "labels": {"kubernetes.io/service-name": SERVICE}},
            "addressType": "IPv4",
            "ports": null,
            "endpoints": null,
        }));
    }

    /// A slice that no one can read.
    pub(crate) fn put_malformed_slice(&self) {
        self.cluster.apply(json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "broken", "namespace": NAMESPACE,
                "labels": {"kubernetes.io/service-name": SERVICE}},
            "addressType": "IPv4",
            "endpoints": "none",
        }));
    }

    pub(crate) fn put_token(&self, token: &str) {
        std::fs::write(token_file(&self.folder), token).unwrap();
    }

    /// What `/workers` says.
    pub(crate) async fn workers(&self) -> Vec<Value> {
        let text = crate::stage::get(self.edge.admin(), "/workers").await;
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until `/workers` is like this.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&[Value]) -> bool) {
        let looking = async {
            while !wanted(&self.workers().await) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        soon(what, looking).await;
    }

    /// How many calls are with workers of a version.
    pub(crate) async fn calls_of(&self, version: &str) -> u64 {
        let workers = self.workers().await;
        let of_version = workers.iter().filter(|row| row["version"] == version);
        of_version.filter_map(|row| row["sessions"].as_u64()).sum()
    }

    /// Waits until so many workers are ready.
    pub(crate) async fn until_ready(&self, count: usize) {
        let ready = |row: &&Value| row["state"] == "ready";
        let what = format!("{count} ready workers");
        self.until(&what, |rows| rows.iter().filter(ready).count() == count)
            .await;
    }

    pub(crate) async fn failing(&self) -> f64 {
        self.edge.counter("holdline_discovery_failing", &[]).await
    }

    /// Waits for so many failed searches.
    pub(crate) async fn failures(&self, count: f64) {
        let looking = async {
            while self
                .edge
                .counter("holdline_discovery_failures_total", &[])
                .await
                < count
            {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        soon("failed searches", looking).await;
    }

    /// How often the edge said this so far.
    pub(crate) fn count(&self, message: &str) -> usize {
        self.edge.said().matches(message).count()
    }

    /// The line of the log with these words as its `why`.
    pub(crate) async fn told_why(&self, words: &str) -> Value {
        let wanted = |line: &Value| line["why"].as_str().is_some_and(|why| why.contains(words));
        self.edge.logged(words, wanted).await
    }

    fn start(&mut self, version: &str) -> String {
        let number = self.next();
        let name = format!("workers-{version}-{number}");
        let place = Place::reserve();
        let process = self.process(version, &place);
        self.pods.insert(name.clone(), Pod { place, process });
        name
    }

    fn process(&self, version: &str, place: &Place) -> Running {
        let listen = place.address.to_string();
        let file = bridge_file(&self.folder);
        let arguments = [
            "bridge",
            "--config",
            file.to_str().unwrap(),
            "--listen",
            &listen,
            "--version-label",
            version,
            "--grace",
            self.grace,
        ];
        Running::start(&arguments, &[])
    }

    fn next(&mut self) -> u8 {
        self.launched += 1;
        u8::try_from(self.launched).unwrap()
    }
}

fn token_file(folder: &TempDir) -> PathBuf {
    folder.path().join("token")
}

fn bridge_file(folder: &TempDir) -> PathBuf {
    folder.path().join("bridge.yaml")
}

fn config(model: &OpenAiSim) -> String {
    let front = listener_and_model(model.local_addr());
    format!(
        r#"{front}
workers:
  default: {{discovery: {{kubernetes: {{service: {SERVICE}, port: grpc, watch: 2s}}}}}}
# What callers hear is the model alone; and a worker that is slow because the machine is busy is not
# what these tests are about.
session: {{progress_timeout: 10s, hold: {{sound: off}}}}
"#
    )
}
