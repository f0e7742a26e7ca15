//! The model is aimock, which others made: control events and text, no audio.

use serde_json::Value;
use std::time::Duration;
use tokio::process::Command;

use holdline_testkit::twilio::Action;

use super::call::{Call, Plan};
use crate::{
    stage::{Running, get},
    support::{soon, tool, workspace},
};

/// Time between two looks at aimock's journal.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A running aimock.
struct Aimock {
    process: Running,
    host: String,
}

impl Aimock {
    async fn start(mode: &str) -> Self {
        let node = Command::new("node").arg("--version").output().await;
        assert!(
            node.is_ok(),
            "node is not there: install Node.js 20 or later"
        );
        let package = tool("../node_modules/@copilotkit/aimock");
        let mut node = Command::new("node");
        node.arg(workspace().join("tests/tools/aimock.mjs"));
        node.arg(package).arg(mode);
        let process = Running::of(node);
        process.line("listening ").await;
        let said = process.said();
        let line = said.lines().find_map(|it| it.strip_prefix("listening "));
        let host = line.unwrap().to_owned();
        Self { process, host }
    }

    /// A call whose caller speaks first, by keys.
    async fn call(&self, link: &str) -> Call {
        let mut plan = Plan::new();
        plan.model_at = Some(format!("ws://{}", self.host));
        plan.link = link.to_owned();
        plan.greeting = "off";
        Call::begin(plan).await
    }

    /// All answers that it was asked for, once they are so many.
    async fn asked(&self, count: usize) -> Vec<Value> {
        let address = self.host.parse().unwrap();
        let looking = async {
            loop {
                let journal = get(address, "/__aimock/journal").await;
                let entries: Vec<Value> = serde_json::from_str(&journal).unwrap();
                if entries.len() >= count {
                    return entries;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let what = format!("{count} answers to be asked for: {}", self.process.said());
        soon(&what, looking).await
    }
}

fn press(call: &Call, keys: &str) {
    for key in keys.chars() {
        call.caller.act(Action::Dtmf(key)).unwrap();
    }
}

/// Who tries again is not through with it within these tests: only what is given up at once is.
const PATIENT: &str = "  give_up: 10m\n  attempts: 100\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let model = Aimock::start("cut").await;
    let call = model.call("").await;
    press(&call, "42#");
    let asked = model.asked(2).await;
    assert_eq!(asked[0]["response"]["interrupted"], true, "{}", asked[0]);
    let told = asked[1]["body"]["messages"].as_array().unwrap();
    let place = |words: &str| {
        let says = |it: &Value| it["content"].to_string().contains(words);
        told.iter().position(says)
    };
    let note = place("go on where you stopped");
    let keys = place("The caller pressed 42.");
    assert!(note.is_some() && note < keys, "{told:?}");
    press(&call, "7#");
    let asked = model.asked(3).await;
    assert!(
        asked[2]["response"]["interrupted"].is_null(),
        "{}",
        asked[2]
    );
    call.hang_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_refused_hands_the_call_back() {
    let model = Aimock::start("key").await;
    model.call(PATIENT).await.over("handed_back").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_closes_with_1008_again_and_again_hands_the_call_back() {
    let model = Aimock::start("strict").await;
    let call = model.call("  attempts: 3\n").await;
    press(&call, "1#");
    call.over("handed_back").await;
    assert_eq!(model.asked(4).await.len(), 4, "once, and three attempts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_4000_hands_the_call_back() {
    let model = Aimock::start("beta").await;
    model.call(PATIENT).await.over("handed_back").await;
}
