//! A configuration that changes while calls are up: over real processes, with real calls.

use std::{
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    stage::get,
    support::{Caller, EdgeProcess, WorkerProcess, raw_edge_config, soon},
};

/// As many seconds a planned move of all would take, at one a second.
const CALLS: usize = 40;
/// A disabled version is empty by then; that is promised.
const EMPTY_WITHIN: Duration = Duration::from_secs(5);

/// Two workers, an edge, and the folder with the file that it runs with.
struct Ground {
    folder: tempfile::TempDir,
    _workers: [WorkerProcess; 2],
    edge: EdgeProcess,
    /// The file without rules.
    plain: String,
}

impl Ground {
    async fn start() -> Self {
        Self::with("").await
    }

    /// With these routes besides.
    async fn with(routes: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (workers, plain) = workers(folder.path()).await;
        let plain = plain.replace("routes: [", &format!("routes: [{routes}"));
        let file = folder.path().join("holdline.yaml");
        std::fs::write(&file, &plain).unwrap();
        let mut edge = EdgeProcess::of(&file).await;
        ready(&mut edge).await;
        Self {
            folder,
            _workers: workers,
            edge,
            plain,
        }
    }

    fn write(&self, rules: &str) {
        // In one step, as every careful program does.
        let new = self.folder.path().join("new.yaml");
        std::fs::write(&new, with(&self.plain, rules)).unwrap();
        std::fs::rename(&new, self.folder.path().join("holdline.yaml")).unwrap();
    }

    async fn rules(&mut self, rules: &str) -> String {
        self.write(rules);
        let told = self.edge.logged("configuration taken up").await;
        told["applied"].as_str().unwrap().to_owned()
    }

    async fn call(&self) -> Caller {
        Caller::connect(self.edge.callers).await
    }
}

async fn workers(folder: &Path) -> ([WorkerProcess; 2], String) {
    let workers = [
        WorkerProcess::start("v1").await,
        WorkerProcess::start("v2").await,
    ];
    let file = raw_edge_config(folder, workers.iter().map(|it| it.address));
    let plain = std::fs::read_to_string(file).unwrap();
    (workers, plain)
}

fn with(plain: &str, rules: &str) -> String {
    plain.replace(
        "default: {discovery",
        &format!("default: {{{rules} discovery"),
    )
}

/// Waits until both workers take calls.
async fn ready(edge: &mut EdgeProcess) {
    let admin = edge.logged("listening").await;
    let admin = admin["address"].as_str().unwrap().parse().unwrap();
    let asking = async {
        let ready = |body: String| body.matches(r#""state": "ready""#).count();
        while ready(get(admin, "/workers").await) < 2 {
            tokio::task::yield_now().await;
        }
    };
    soon("two workers", asking).await;
}

/// The version that answers a call now.
async fn version(caller: &mut Caller) -> String {
    caller.say("who").await;
    let answer = caller.hear().await;
    let version = answer.split(' ').nth(1).unwrap();
    version.to_owned()
}

/// Talks until this version answers. Answers are numbered, from `next`: none is lost or given twice.
async fn moved(caller: &mut Caller, to: &str, next: usize) {
    let talking = async {
        for number in next.. {
            caller.say("who").await;
            let answer = caller.hear().await;
            let (said, rest) = answer.split_once(' ').unwrap();
            assert_eq!(said, number.to_string());
            if rest.starts_with(to) {
                return;
            }
        }
    };
    soon("another version", talking).await;
}

#[tokio::test]
async fn a_disabled_version_is_empty_whatever_the_pace_of_handoffs_and_no_call_notices() {
    let mut ground = Ground::start().await;
    let applied = ground.rules("rollout: {weights: {v2: 1}},").await;
    assert_eq!(applied, "workers.default.rollout.weights.v2");
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let mut caller = ground.call().await;
        assert_eq!(version(&mut caller).await, "v2");
        calls.push(caller);
    }

    let since = Instant::now();
    let slow = "handoffs_per_second: 1, rollout: {disabled: [v2]},";
    ground.rules(slow).await;
    for caller in &mut calls {
        moved(caller, "v1", 2).await;
    }
    assert!(since.elapsed() < EMPTY_WITHIN, "{:?}", since.elapsed());
    assert_eq!(version(&mut ground.call().await).await, "v1");
}

#[tokio::test]
async fn weights_decide_who_answers_and_eager_moves_those_that_are_there() {
    let mut ground = Ground::start().await;
    ground.write("rollout: {weights: {v1: 1}},");
    let told = ground
        .edge
        .logged("ready version without a weight: it gets calls only where no other can take them")
        .await;
    assert_eq!(
        (&told["level"], &told["version"]),
        (&"WARN".into(), &"v2".into())
    );
    ground.edge.logged("configuration taken up").await;
    let mut caller = ground.call().await;
    assert_eq!(version(&mut caller).await, "v1");

    ground.rules("rollout: {weights: {v2: 1}},").await;
    assert_eq!(version(&mut ground.call().await).await, "v2");
    assert_eq!(version(&mut caller).await, "v1", "existing calls stay");

    ground
        .rules("existing: eager, rollout: {weights: {v2: 1}},")
        .await;
    moved(&mut caller, "v2", 3).await;
    let handoff = ground.edge.logged("handoff").await;
    assert_eq!(handoff["kind"], "rollout", "{handoff}");
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_says_all_that_is_wrong() {
    let mut ground = Ground::start().await;
    ground.rules("rollout: {weights: {v1: 1}},").await;
    let mut caller = ground.call().await;
    assert_eq!(version(&mut caller).await, "v1");

    ground.write("rollout: {wieghts: {v2: 1}, disabled: v1}, existing: now,");
    let told = ground
        .edge
        .logged("configuration refused: the one in force stays")
        .await;
    assert_eq!(told["level"], "ERROR");
    let errors = told["errors"].as_str().unwrap();
    for part in ["wieghts", "`weights`", "existing"] {
        assert!(errors.contains(part), "{errors}");
    }
    assert_eq!(version(&mut caller).await, "v1");
    assert_eq!(version(&mut ground.call().await).await, "v1");

    ground.write("rollout: {weights: {v2: 1}}, connect_timeout: 9s,");
    let told = ground
        .edge
        .logged("configuration: these changes need a restart; until then the old values hold")
        .await;
    assert_eq!(told["keys"], "workers.default.connect_timeout");
    assert_eq!(version(&mut ground.call().await).await, "v2");
}

/// All edges mount one ConfigMap, and the old ones hold the calls while an upgrade brings a file that names
/// what only the new ones have.
#[tokio::test]
async fn secrets_and_files_that_an_edge_lacks_keep_no_rule_from_it() {
    // A variable that every process has.
    let mut ground = Ground::with(
        r#"{path: /signed, profile: twilio, workers: default, signature: {
            public_url: "wss://voice.example.com/signed", auth_token: {env: PATH}}}, "#,
    )
    .await;
    ground.rules("rollout: {weights: {v2: 1}},").await;
    let mut caller = ground.call().await;
    assert_eq!(version(&mut caller).await, "v2");

    let secondary = "{env: PATH}, secondary_auth_token: {env: HOLDLINE_NOT_HERE}";
    ground.plain = ground.plain.replace("{env: PATH}", secondary)
        + "session: {hold: {sound: not-here.ulaw}}\n"
        + "upstreams: {model: {profile: raw, url: \"wss://h/\", ca: not-here.pem}}\n";
    let applied = ground.rules("rollout: {disabled: [v2]},").await;
    assert_eq!(
        applied,
        "workers.default.rollout.weights.v2 workers.default.rollout.disabled"
    );
    let told = ground
        .edge
        .logged("configuration: these changes need a restart; until then the old values hold")
        .await;
    let keys = [
        "listeners[0].routes[0].signature.secondary_auth_token",
        "upstreams.model",
        "session.hold.sound",
    ];
    assert_eq!(told["keys"], keys.join(" "));
    moved(&mut caller, "v1", 2).await;
}

/// A ConfigMap in a pod: `holdline.yaml` is a link to `..data/holdline.yaml`, `..data` one to a folder,
/// and an update puts a new `..data` in the place of the old one.
#[tokio::test]
async fn a_config_map_that_is_swapped_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (_workers, plain) = workers(folder.path()).await;
    std::fs::remove_file(folder.path().join("holdline.yaml")).unwrap();
    let publish = |name: &str, rules: &str| {
        let data = folder.path().join(name);
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("holdline.yaml"), with(&plain, rules)).unwrap();
        symlink(name, folder.path().join("..data_tmp")).unwrap();
        std::fs::rename(
            folder.path().join("..data_tmp"),
            folder.path().join("..data"),
        )
        .unwrap();
    };
    publish("..1", "");
    let file = folder.path().join("holdline.yaml");
    symlink("..data/holdline.yaml", &file).unwrap();
    let mut edge = EdgeProcess::of(&file).await;
    ready(&mut edge).await;
    let mut before = Caller::connect(edge.callers).await;
    let old = version(&mut before).await;
    let new = if old == "v1" { "v2" } else { "v1" };

    publish("..2", &format!("rollout: {{weights: {{{new}: 1}}}},"));
    edge.logged("configuration taken up").await;
    let mut caller = Caller::connect(edge.callers).await;
    assert_eq!(version(&mut caller).await, new);
    before.say("still").await;
    assert_eq!(before.hear().await, format!("2 {old} still"));

    publish(
        "..3",
        &format!("existing: eager, rollout: {{weights: {{{new}: 1}}}},"),
    );
    moved(&mut before, new, 3).await;
}

#[tokio::test]
async fn the_log_level_changes_under_a_call() {
    let mut ground = Ground::start().await;
    let mut caller = ground.call().await;
    version(&mut caller).await;
    let text = format!("{}log: {{level: debug}}\n", ground.plain);
    std::fs::write(ground.folder.path().join("holdline.yaml"), text).unwrap();
    let told = ground.edge.logged("configuration taken up").await;
    assert_eq!(told["applied"], "log.level");
    let _second = ground.call().await;
    let told = ground.edge.logged("attached").await;
    assert_eq!(told["level"], "DEBUG");
    assert!(!version(&mut caller).await.is_empty());
}

#[tokio::test]
async fn sighup_reads_the_file_again_even_if_it_is_the_same() {
    let mut ground = Ground::start().await;
    ground.edge.signal("HUP").await;
    let told = ground.edge.logged("configuration taken up").await;
    assert_eq!(told["applied"], "");
    assert_eq!(ground.edge.terminate().await.code(), Some(0));
}
