//! What people say, and what opens doors, is in no log and on no page, however much is logged.

use futures_util::future::join;
use holdline_testkit::{
    openai::{SimOptions, ToolScript, ToolTime},
    speech::Utterance,
    twilio::{Action, CallerOptions, Script, TwilioCaller},
};
use serde_json::{Value, json};

use crate::{
    stage::{API_KEY, AUTH_TOKEN, Ending, HOOK_SECRET, Plan, Stage, Webhook},
    support::{SETTLE, soon},
};

/// Pressed by the caller.
const KEYS: &str = "8675309";
/// In the TwiML's `<Parameter>`.
const PARAMETER: &str = "patient-file-77120";
/// What the function is called with, and what it answers.
const ARGUMENT: &str = "root-canal-at-eleven";
const OUTPUT: &str = "booked-with-doctor-quill";

/// Pages of the admin port, which come first.
const PAGES: usize = 6;

/// What was said in a call, and everything that our processes said of it.
struct Told {
    /// Log of the edge, logs of the workers, pages of the admin port.
    pages: Vec<(&'static str, String)>,
    webhooks: usize,
}

/// Secrets of the operator.
fn secrets() -> Vec<String> {
    let hook = HOOK_SECRET.trim_start_matches("Bearer ");
    [AUTH_TOKEN, API_KEY, hook].map(str::to_owned).into()
}

/// What the call was about.
fn content() -> Vec<String> {
    let words = |utterance: Utterance| {
        let transcript = utterance.recording().transcript;
        // The middle: quotes and marks around it may be written differently.
        transcript[3..transcript.len() - 3].to_owned()
    };
    vec![
        words(Utterance::YOUNG_MAN),
        words(Utterance::AMIABLE),
        KEYS.to_owned(),
        PARAMETER.to_owned(),
        ARGUMENT.to_owned(),
        OUTPUT.to_owned(),
        // Base64 of the caller's audio: silence, and what is said.
        "\"payload\":\"".to_owned(),
        "\"delta\":\"".to_owned(),
        "\"digit\":\"".to_owned(),
    ]
}

async fn call(content: bool) -> Told {
    let webhook = Webhook::start(r#"{"answer":"booked-with-doctor-quill"}"#, 0).await;
    let mut plan = Plan::new();
    plan.log_level = "trace";
    plan.content = content;
    plan.agent = agent(&webhook, content);
    plan.spares = 1;
    plan.model = SimOptions {
        answers: vec![vec![Utterance::AMIABLE]],
        tools: vec![ToolScript {
            time: ToolTime::Turn(1),
            name: "book_slot".to_owned(),
            arguments: json!({"what": ARGUMENT}),
        }],
        ..SimOptions::default()
    };
    let mut stage = Stage::set(plan).await;
    let caller = dial(&stage).await;
    let mut handle = caller.handle();
    let running = tokio::spawn(caller.run(Script::new()));
    let greeted = handle.wait_for(|progress| progress.marks_echoed > 2);
    soon("the greeting", greeted).await.unwrap();
    handle.act(Action::Say(Utterance::YOUNG_MAN)).unwrap();
    let answered = stage.model.wait_for(|it| it.responses_done >= 3);
    soon("the answer after the function's", answered).await;
    for key in KEYS.chars().chain(['#']) {
        handle.act(Action::Dtmf(key)).unwrap();
    }
    let answered = stage.model.wait_for(|it| it.responses_done >= 4);
    soon("the answer to the keys", answered).await;
    // A handoff carries all of it in the state; a malformed message is complained about.
    stage.replace_serving(Ending::Terminate).await;
    let broken = format!(r#"{{"event":"dtmf","dtmf":{{"digit":"{KEYS}"#);
    handle.act(Action::RawText(broken)).unwrap();

    let mut pages = Vec::new();
    for path in ["/sessions", "/workers", "/metrics", "/rollout"] {
        pages.push((path, stage.ask(path).await));
    }
    let list: Value = serde_json::from_str(&pages[0].1).unwrap();
    let session = format!("/sessions/{}", list["sessions"][0]["id"].as_str().unwrap());
    pages.push(("the session", stage.ask(&session).await));
    handle.act(Action::HangUp { settle: SETTLE }).unwrap();
    soon("the end of the call", running).await.unwrap();
    stage.edge.told("call ended").await;
    pages.push(("the session that ended", stage.ask(&session).await));
    stage.edge.end(Ending::Terminate).await;
    pages.push(("the edge's log", stage.edge.said()));
    let workers: Vec<_> = stage.bridges.iter().map(|it| it.said()).collect();
    pages.push(("the workers' logs", workers.join("\n")));
    Told {
        pages,
        webhooks: webhook.asked(1).await.len(),
    }
}

async fn dial(stage: &Stage) -> TwilioCaller {
    let options = CallerOptions {
        parameters: [("file".to_owned(), PARAMETER.to_owned())].into(),
        ..stage.caller(1)
    };
    soon("an upgrade", TwilioCaller::connect(options))
        .await
        .unwrap()
}

fn agent(webhook: &Webhook, content: bool) -> String {
    let address = webhook.address;
    format!(
        r#"
instructions: Be brief.
greeting: {{}}
tools:
  - name: book_slot
    description: Books an appointment.
    parameters: {{type: object, properties: {{what: {{type: string}}}}}}
    webhook:
      url: http://{address}/slots
      headers: {{Authorization: {{env: BOOKING_TOKEN}}}}
log: {{level: trace, content: {content}}}
"#
    )
}

/// Which of these occur, and where. Escapes of JSON in JSON are undone first.
fn found(told: &Told, needles: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (page, text) in &told.pages {
        let text = text.replace('\\', "");
        let there = needles.iter().filter(|it| text.contains(it.as_str()));
        found.extend(there.map(|it| format!("`{it}` in {page}")));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_and_secrets_are_told_to_nobody_unless_asked_for() {
    let (silent, open) = join(call(false), call(true)).await;
    for told in [&silent, &open] {
        assert_eq!(told.webhooks, 1);
        for (page, log) in &told.pages[PAGES..] {
            let traced = log.matches("\"level\":\"TRACE\"").count();
            assert!(traced > 1_000, "{traced} traces in {page}");
        }
        assert_eq!(found(told, &secrets()), [""; 0]);
    }
    assert_eq!(found(&silent, &content()), [""; 0]);

    // Asked for, it is there: this test can fail.
    let shown = found(&open, &content());
    let mut expected: Vec<_> = content()[..3]
        .iter()
        .map(|words| format!("`{words}` in the workers' logs"))
        .collect();
    expected.push(format!("`{PARAMETER}` in the session"));
    for place in expected {
        assert!(shown.contains(&place), "no {place}: {shown:?}");
    }
}

/// Errors at start quote what is wrong, but never a secret.
#[tokio::test]
async fn a_refused_configuration_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("edge.yaml");
    let text = r#"
listeners:
  - name: twilio
    address: 127.0.0.1:0
    routes:
      - path: /twilio/media
        profile: twilio
        signature: {public_url: "wss://example.com/m", auth_token: {env: TWILIO_AUTH_TOKEN}}
        workers: nowhere
upstreams:
  openai: {profile: openai-realtime, url: "gopher://x", api_key: {env: OPENAI_API_KEY}}
"#;
    std::fs::write(&file, text).unwrap();
    for command in ["check", "run"] {
        let output = crate::support::holdline()
            .args([command, "--config", file.to_str().unwrap()])
            .env("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
            .env("OPENAI_API_KEY", API_KEY)
            .output();
        let output = soon("a refusal", output).await.unwrap();
        assert!(!output.status.success());
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("gopher"), "{said}");
        for secret in secrets() {
            assert!(!said.contains(&secret), "`{secret}` in:\n{said}");
        }
    }
}
