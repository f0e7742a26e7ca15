//! A Twilio caller that no one here wrote: `streamdouble`, with Twilio's own library signing.

use std::{fs, path::Path, process::Output};

use holdline_testkit::{openai::SimOptions, speech::Utterance};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{process::Command, task::JoinHandle};

use crate::{
    stage::{AUTH_TOKEN, Ending, PUBLIC_URL, Plan, Stage},
    support::{soon, tool, workspace},
};

/// What streamdouble says when nothing is wrong; see its README.
const GOOD: i32 = 0;

async fn stage() -> Stage {
    let mut plan = Plan::new();
    plan.spares = 1;
    plan.model = SimOptions {
        answers: vec![vec![Utterance::RESPECTABLE], vec![Utterance::AMIABLE]],
        ..SimOptions::default()
    };
    Stage::set(plan).await
}

/// A scenario that runs beside the test.
struct Caller {
    running: JoinHandle<std::io::Result<Output>>,
    _folder: TempDir,
}

impl Caller {
    fn dial(stage: &Stage, scenario: &str) -> Self {
        let tools = workspace().join("tests/tools/streamdouble");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(scenario);
        fs::copy(tools.join(scenario), &file).unwrap();
        write_wav(&folder.path().join("speech.wav"), Utterance::QUEEN_OF_CLUBS);
        // `streamdouble` itself, so that a missing tool is named; then its own interpreter.
        tool("streamdouble");
        let mut command = Command::new(tool("python"));
        command
            .arg(tools.join("signed.py"))
            .arg(PUBLIC_URL)
            .arg("scenario")
            .arg(&file)
            .arg(stage.url())
            .arg("--json")
            .arg("--trace")
            .arg(folder.path().join("trace.jsonl"))
            .env("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
            .kill_on_drop(true);
        Self {
            running: tokio::spawn(async move { command.output().await }),
            _folder: folder,
        }
    }

    /// What it reports. Fails unless its verdict is good.
    async fn report(self) -> Value {
        let Output {
            status,
            stdout,
            stderr,
        } = soon("streamdouble", self.running).await.unwrap().unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr),
        );
        assert_eq!(status.code(), Some(GOOD), "{out}\n{err}");
        let report: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(report["violations"], Value::Array(vec![]), "{report}");
        assert_eq!(report["unknown_events"], Value::Array(vec![]), "{report}");
        report
    }
}

/// streamdouble reads WAV files alone.
fn write_wav(path: &Path, utterance: Utterance) {
    let audio = utterance.recording().audio;
    let mut file = fs::File::create(path).unwrap();
    holdline_testkit::wav::write_stereo(&mut file, audio, audio).unwrap();
}

/// Waits until the caller has interrupted the greeting and is still speaking.
async fn barge_in(stage: &Stage) {
    let speaking = stage.model.wait_for(|progress| progress.truncates >= 1);
    soon("a barge-in", speaking).await;
}

fn conversed(report: &Value) {
    assert_eq!(report["closed_by"], Value::Null, "{report}");
    assert_eq!(report["clears_received"], 3, "{report}");
    assert!(report["marks_echoed"].as_u64().unwrap() > 20, "{report}");
    // What was received, heard or not: the greeting and three answers.
    assert!(
        report["audio_received_ms"].as_f64().unwrap() > 12_000.0,
        "{report}"
    );
}

/// What the model and the edge saw of the same call.
async fn seen_behind(mut stage: Stage, handoffs: u64) {
    let ended = stage.edge.told("call ended").await;
    assert_eq!(ended["reason"], "caller_hung_up");
    assert_eq!(ended["handoffs"], handoffs, "{ended}");
    assert_eq!(ended["media_lost"], 0);
    let report = stage.model.report();
    let [model] = &report.connections[..] else {
        panic!("{} connections to the model", report.connections.len());
    };
    assert_eq!((model.turns.len(), model.responses.len()), (2, 4));
    assert!(model.errors.is_empty(), "{:?}", model.errors);
    assert_eq!(model.seeded.len(), 1);
    assert_eq!(model.seeded[0].text, "The caller pressed 42.");
    stage.edge.end(Ending::Terminate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_has_no_violations() {
    let stage = stage().await;
    let report = Caller::dial(&stage, "conversation.yaml").report().await;
    conversed(&report);
    seen_behind(stage, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_has_one_whose_worker_is_replaced() {
    let mut stage = stage().await;
    let caller = Caller::dial(&stage, "conversation.yaml");
    barge_in(&stage).await;
    stage.replace_serving(Ending::Terminate).await;
    conversed(&caller.report().await);
    seen_behind(stage, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_has_one_whose_worker_is_killed() {
    let mut stage = stage().await;
    let caller = Caller::dial(&stage, "conversation.yaml");
    barge_in(&stage).await;
    stage.replace_serving(Ending::Kill).await;
    conversed(&caller.report().await);
    seen_behind(stage, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_line_was_dropped_by_the_caller() {
    let mut stage = stage().await;
    let report = Caller::dial(&stage, "dropped.yaml").report().await;
    assert_eq!(report["closed_by"], "caller");
    assert!(report["audio_received_ms"].as_f64().unwrap() > 0.0);
    stage.edge.end(Ending::Terminate).await;
}
