//! A whole voice call through real processes, its worker ended at a chosen moment: the caller and
//! the model, laid side by side, must not be able to tell.

use std::time::Duration;

use futures_util::future::join_all;
use holdline_testkit::{
    judge::{self, Account},
    openai::{ConnectionRecord, SimOptions, ToolScript, ToolTime},
    speech::Utterance,
    twilio::{Action, CallHandle, CallRecord, Script, StreamEnd},
};
use serde_json::json;

use crate::{
    stage::{Asked, Ending, HOOK_SECRET, Plan, Stage, Webhook},
    support::{SETTLE, soon},
};

/// No media for so long, while the model believes that the caller speaks.
const GAP: Duration = Duration::from_millis(2_500);

/// When the worker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Never,
    /// While the greeting is generated.
    Greeting,
    /// In the middle of what the caller says.
    Speech,
    /// As soon as the model has noticed that it is interrupted.
    BargeIn,
    /// While the webhook works.
    ToolCall,
    /// While keys are collected.
    Keys,
    /// While silence is sent in place of missing media.
    Gap,
}

const MOMENTS: [Moment; 7] = [
    Moment::Never,
    Moment::Greeting,
    Moment::Speech,
    Moment::BargeIn,
    Moment::ToolCall,
    Moment::Keys,
    Moment::Gap,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_at_any_moment_of_a_conversation_is_not_noticed() {
    let calls = MOMENTS.map(|moment| Conversation::hold(moment, Ending::Kill));
    join_all(calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_replaced_at_any_moment_of_a_conversation_is_not_noticed() {
    let calls = MOMENTS.map(|moment| Conversation::hold(moment, Ending::Terminate));
    join_all(calls).await;
}

/// One call with all that a conversation has.
struct Conversation {
    moment: Moment,
    ending: Ending,
    stage: Stage,
    webhook: Webhook,
    caller: CallHandle,
}

impl Conversation {
    async fn hold(moment: Moment, ending: Ending) {
        // The old worker's request is never answered: the next one has to ask again.
        let held = usize::from(moment == Moment::ToolCall);
        let webhook = Webhook::start(r#"{"booked":"11:15"}"#, held).await;
        let mut plan = Plan::new();
        plan.agent = agent(&webhook);
        plan.model = model();
        let stage = Stage::set(plan).await;
        let caller = stage.call(1).await;
        let mut conversation = Self {
            moment,
            ending,
            stage,
            webhook,
            caller: caller.handle(),
        };
        let call = tokio::spawn(caller.run(Script::new()));
        conversation.talk().await;
        let record = soon("the end of the call", call).await.unwrap();
        conversation.judge(&record).await;
    }

    async fn talk(&mut self) {
        self.heard("the greeting", 20).await;
        self.now(Moment::Greeting).await;
        self.silent("the end of the greeting").await;

        self.caller.act(Action::Say(Utterance::YOUNG_MAN)).unwrap();
        self.model("the first turn", 1, 1).await;
        self.now(Moment::Speech).await;
        self.answer("the first answer", 2).await;

        // Over the answer, which is queued at the caller by now.
        self.caller
            .act(Action::Say(Utterance::QUEEN_OF_CLUBS))
            .unwrap();
        self.model("the barge-in", 2, 2).await;
        self.now(Moment::BargeIn).await;
        self.cleared(1).await;
        self.webhook.asked(1).await;
        self.now(Moment::ToolCall).await;
        self.answer("what follows the function's output", 4).await;

        self.caller.act(Action::Dtmf('4')).unwrap();
        self.cleared(2).await;
        self.now(Moment::Keys).await;
        self.caller.act(Action::Dtmf('2')).unwrap();
        self.caller.act(Action::Dtmf('#')).unwrap();
        self.answer("an answer to the keys", 5).await;
        self.silent("the end of that answer").await;

        self.caller
            .act(Action::Say(Utterance::SEVEN_OF_HEARTS))
            .unwrap();
        self.model("the third turn", 3, 5).await;
        self.caller.act(Action::Hush).unwrap();
        self.caller.act(Action::Gap(GAP)).unwrap();
        self.now(Moment::Gap).await;
        self.answer("an answer in spite of the gap", 6).await;
        self.silent("the end of the last answer").await;
        self.caller.act(Action::HangUp { settle: SETTLE }).unwrap();
    }

    /// Ends the serving worker if this is its moment.
    async fn now(&mut self, moment: Moment) {
        if moment == self.moment {
            let serving = self.stage.serving().await;
            self.stage.bridges[serving].signal(self.ending);
            self.stage.bridges[serving].ended(self.ending).await;
        }
    }

    /// Waits until the model has noticed this turn and has begun so many responses.
    async fn model(&self, what: &str, turns: u64, responses: u64) {
        let wanted = self.stage.model.wait_for(|progress| {
            progress.turns_started >= turns && progress.responses_started >= responses
        });
        soon(what, wanted).await;
    }

    /// Waits until a response is with the caller, who has heard two pieces more of it.
    async fn answer(&mut self, what: &str, number: u64) {
        let model = &self.stage.model;
        let done = model.wait_for(|progress| progress.responses_done >= number);
        soon(what, done).await;
        // So much later everybody knows that it is whole.
        let marks = self.caller.progress().marks_echoed;
        let hearing = self
            .caller
            .wait_for(|progress| progress.playing && progress.marks_echoed >= marks + 2);
        assert!(
            soon(what, hearing).await.is_some(),
            "the call ended before {what}"
        );
    }

    async fn heard(&mut self, what: &str, frames: u64) {
        let hearing = self
            .caller
            .wait_for(|progress| progress.frames_received >= frames);
        assert!(
            soon(what, hearing).await.is_some(),
            "the call ended before {what}"
        );
    }

    async fn cleared(&mut self, times: u64) {
        let clearing = self.caller.wait_for(|progress| progress.clears >= times);
        assert!(soon("`clear`", clearing).await.is_some());
    }

    async fn silent(&mut self, what: &str) {
        let quiet = self
            .caller
            .wait_for(|progress| !progress.playing && !progress.speaking);
        assert!(
            soon(what, quiet).await.is_some(),
            "the call ended before {what}"
        );
    }

    #[allow(
        clippy::print_stdout,
        reason = "the table of moments, for who asks for it"
    )]
    async fn judge(mut self, record: &CallRecord) {
        let ended = self.stage.edge.told("call ended").await;
        let report = self.stage.model.report();
        let account = judge::account(record, &report.connections);
        let name = format!("{:?} at {:?}", self.ending, self.moment);
        println!("{name}: {}", line(&account, &ended));

        assert!(
            account.to_model.is_perfect(),
            "{name}: {:?}",
            account.to_model.summary()
        );
        assert!(
            account.to_caller.is_perfect(),
            "{name}: {:?}",
            account.to_caller.summary()
        );
        assert!(account.to_model.sent > 800 && account.to_caller.received > 1_000);
        assert!(account.cleared > 0, "{name}: nothing was interrupted");
        assert!(
            account.to_model.silence_bytes >= 8_000,
            "{name}: the gap was not filled"
        );
        assert_eq!(account.violations, 0, "{name}");
        assert_eq!(record.streams.len(), 1, "{name}");
        assert_eq!(record.streams[0].end, StreamEnd::Ours, "{name}");
        assert_eq!(record.streams[0].clears.len(), 2, "{name}");

        assert_eq!(
            report.connections.len(),
            1,
            "{name}: the model was dialled again"
        );
        told_the_model(&name, record, &report.connections[0]);
        let times = 1 + usize::from(self.moment == Moment::ToolCall);
        asked_outside(&name, &self.webhook.asked(times).await, times);

        let replaced = u64::from(self.moment != Moment::Never);
        assert_eq!(ended["reason"], "caller_hung_up", "{name}");
        assert_eq!(ended["handoffs"], replaced, "{name}: {ended}");
        assert_eq!(ended["media_lost"], 0, "{name}");
        self.stage.edge.end(Ending::Terminate).await;
    }
}

fn agent(webhook: &Webhook) -> String {
    let address = webhook.address;
    format!(
        r#"
instructions: You are the receptionist of a dentist. Be brief.
greeting: {{}}
tools:
  - name: book_slot
    description: Books an appointment.
    parameters: {{type: object, properties: {{time: {{type: string}}}}, required: [time]}}
    webhook:
      url: http://{address}/slots
      headers: {{Authorization: {{env: BOOKING_TOKEN}}}}
"#
    )
}

/// A model that calls the function in its second turn.
fn model() -> SimOptions {
    SimOptions {
        answers: vec![
            vec![Utterance::AMIABLE],
            vec![Utterance::PRUDENTLY],
            // In place of this one it calls the function.
            vec![],
            vec![Utterance::RESPECTABLE],
            vec![Utterance::AMIABLE],
            vec![Utterance::YOUNG_MAN],
        ],
        tools: vec![ToolScript {
            time: ToolTime::Turn(2),
            name: "book_slot".to_owned(),
            arguments: json!({"time": "11:15"}),
        }],
        ..SimOptions::default()
    }
}

/// What the model was told is what happened, each thing once.
fn told_the_model(name: &str, record: &CallRecord, model: &ConnectionRecord) {
    assert_eq!(model.turns.len(), 3, "{name}: {:?}", model.turns);
    assert_eq!(model.responses.len(), 6, "{name}");
    assert!(model.errors.is_empty(), "{name}: {:?}", model.errors);
    let told: Vec<_> = model
        .seeded
        .iter()
        .map(|item| (item.kind.as_str(), item.text.as_str()))
        .collect();
    let expected = [
        ("function_call_output", r#"{"booked":"11:15"}"#),
        ("message", "The caller pressed 42."),
    ];
    assert_eq!(told, expected, "{name}");
    assert_eq!(model.truncates.len(), 2, "{name}: {:?}", model.truncates);
    for (truncate, clear) in model.truncates.iter().zip(&record.streams[0].clears) {
        assert!(truncate.accepted, "{name}: {truncate:?}");
        let response = model
            .responses
            .iter()
            .find(|it| it.item_id == truncate.item_id)
            .unwrap();
        let heard = record.streams[0]
            .heard
            .iter()
            .filter(|frame| frame.id.stream.part == response.part && frame.plays_at <= *clear);
        let heard_ms = heard.count() as u64 * 20;
        // The worker knows by marks and by time of receipt; the ear knows better.
        assert!(
            truncate.audio_end_ms.abs_diff(heard_ms) <= 150,
            "{name}: {} ms were said to be heard, {heard_ms} ms were",
            truncate.audio_end_ms
        );
    }
}

/// One call of the function: one key, whoever asked with it.
fn asked_outside(name: &str, asked: &[Asked], times: usize) {
    assert_eq!(asked.len(), times, "{name}: {asked:?}");
    for request in asked {
        assert_eq!(request.key, asked[0].key, "{name}");
        assert_eq!(request.authorization, HOOK_SECRET);
        assert_eq!(request.body["arguments"]["time"], "11:15");
    }
}

fn line(account: &Account, ended: &serde_json::Value) -> String {
    let way = |way: &judge::Way| {
        let sum = way.summary();
        format!(
            "sent {} received {} discarded {} lost {} duplicated {} reordered {} max {:.0} ms",
            sum.sent,
            sum.received,
            sum.discarded,
            sum.lost,
            sum.duplicated,
            sum.reordered,
            sum.delay_max_ms
        )
    };
    format!(
        "to model: {}; to caller: {}; gap {} us",
        way(&account.to_model),
        way(&account.to_caller),
        ended["gap_max_us"]
    )
}
