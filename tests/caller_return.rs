//! A caller whose stream is gone in mid-call, and who comes back by the edge's own webhook: one
//! session, one model leg, and the conversation goes on.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use holdline_testkit::{
    judge::{self, Account, Way},
    speech::Utterance,
    twilio::{
        Action, CallHandle, CallRecord, CallerOptions, Progress, Redirect, Script, StreamEnd,
        TwilioCaller,
    },
};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::task::JoinHandle;

use crate::{
    exchange::{Edge, Voice},
    support::{SETTLE, soon},
};

/// The webhook's round trip, in which the caller has no stream.
const AWAY: Duration = Duration::from_millis(300);
/// What may pass between an event and its record, on a machine with much to do.
const SLACK: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_whose_connection_is_reset_while_speaking_comes_back() {
    let mut call = Conversation::begin(true).await;
    call.asks(Utterance::YOUNG_MAN, 1).await;
    call.caller.act(Action::Reset).unwrap();
    call.has_streams(2).await;
    call.is_answered(2).await;
    call.goes_on(2).await;
    let (record, account) = call.over(2).await;
    assert_eq!(record.streams[0].end, StreamEnd::Reset);
    assert_lost_only_while_away(&record, &account);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_whose_connection_is_reset_while_listening_comes_back() {
    let mut call = Conversation::begin(true).await;
    call.asks(Utterance::YOUNG_MAN, 1).await;
    let before = call.caller.progress().frames_received;
    call.caller_until("the answer", |it| it.frames_received > before + 5)
        .await;
    call.caller.act(Action::Reset).unwrap();
    call.has_streams(2).await;
    call.goes_on(2).await;
    let (record, account) = call.over(2).await;
    assert_eq!(record.streams[0].end, StreamEnd::Reset);
    assert_lost_only_while_away(&record, &account);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_stream_takes_over_while_the_first_still_stands() {
    let mut call = Conversation::begin(false).await;
    call.asks(Utterance::YOUNG_MAN, 1).await;
    let url = Some(call.second.clone());
    let keep_old = true;
    call.caller.act(Action::Replace { url, keep_old }).unwrap();
    call.has_streams(2).await;
    call.is_answered(2).await;
    call.goes_on(2).await;
    let (record, account) = call.over(2).await;
    let closed = &record.streams[0].end;
    assert!(
        matches!(closed, StreamEnd::Closed { code: 1000, .. }),
        "{closed:?}"
    );
    assert_lost_only_while_away(&record, &account);
    assert_eq!(account.to_model.lost, 0, "{:?}", account.to_model.summary());
}

/// A call at an edge that has its webhook, and the model's greeting behind it.
struct Conversation {
    voice: Voice,
    edge: Edge,
    address: SocketAddr,
    call_sid: String,
    /// The URL of the stream that the webhook allows next.
    second: String,
    caller: CallHandle,
    task: JoinHandle<CallRecord>,
}

impl Conversation {
    async fn begin(redirected: bool) -> Self {
        let voice = Voice::start().await;
        let edge = Edge::start(&config(&voice), &Voice::variables()).await;
        let address = edge.address("twilio").await;
        let mut options = CallerOptions::new("", 1);
        let call_sid = options.call_sid.clone();
        options.url = stream_url(address, &call_sid).await;
        let second = stream_url(address, &call_sid).await;
        options.redirect = redirected.then(|| Redirect {
            url: second.clone(),
            after: AWAY,
            limit: 1,
        });
        let caller = soon("an upgrade", TwilioCaller::connect(options)).await;
        let caller = caller.unwrap();
        let conversation = Self {
            voice,
            edge,
            address,
            call_sid,
            second,
            caller: caller.handle(),
            task: tokio::spawn(caller.run(Script::new())),
        };
        conversation.is_answered(1).await;
        conversation
    }

    /// Says something, and is noticed by the model: so many turns it was then.
    async fn asks(&self, utterance: Utterance, turns: u64) {
        self.caller.act(Action::Say(utterance)).unwrap();
        let model = self.voice.model();
        let noticed = model.wait_for(|it| it.turns_started >= turns);
        soon("a turn to be noticed", noticed).await;
    }

    /// Waits for so many responses of the model, the greeting among them.
    async fn is_answered(&self, responses: u64) {
        let model = self.voice.model();
        let answered = model.wait_for(|it| it.responses_done >= responses);
        soon("an answer", answered).await;
    }

    /// Another turn, with its answer.
    async fn goes_on(&mut self, turns: u64) {
        self.asks(Utterance::QUEEN_OF_CLUBS, turns).await;
        let before = self.caller.progress().frames_received;
        self.caller_until("an answer on the new stream", |it| {
            it.frames_received > before + 20
        })
        .await;
        let model = self.voice.model();
        let all = model.wait_for(|it| it.responses_done == it.responses_started);
        soon("the end of the answer", all).await;
    }

    async fn has_streams(&mut self, streams: u64) {
        self.caller_until("a new stream", |it| it.streams == streams)
            .await;
    }

    async fn caller_until(&mut self, what: &str, wanted: impl Fn(&Progress) -> bool) {
        let reached = soon(what, self.caller.wait_for(wanted)).await;
        assert!(reached.is_some(), "the call ended before {what}");
    }

    /// Hangs up. It was one session with one worker and one model leg all the time.
    async fn over(self, streams: usize) -> (CallRecord, Account) {
        self.caller.act(Action::HangUp { settle: SETTLE }).unwrap();
        let record = soon("the end of a call", self.task).await.unwrap();
        let ended = self.edge.told("call ended").await;
        assert_eq!(ended["reason"], "caller_hung_up", "{ended}");
        assert_eq!(
            (&ended["resumes"], &ended["attachments"]),
            (&1.into(), &1.into()),
            "{ended}"
        );
        let report = self.voice.model().report();
        assert_eq!(report.connections.len(), 1);
        assert_eq!(record.streams.len(), streams);
        assert!(
            record.failed_connects.is_empty(),
            "{:?}",
            record.failed_connects
        );
        let answer = ask_webhook(self.address, &self.call_sid).await;
        assert!(answer.contains("<Hangup/>"), "{answer}");
        self.edge.end().await;
        let account = judge::account(&record, &report.connections);
        (record, account)
    }
}

/// Nothing is doubled or out of order, and what is lost was sent when there was no stream, or so
/// shortly before that it was under way when the connection broke.
pub(crate) fn assert_lost_only_while_away(record: &CallRecord, account: &Account) {
    let gone = record.streams[0].ended.min(record.streams[1].opened);
    let (from, back) = (gone - SLACK, record.streams[1].opened);
    // What the caller says on the new stream has no excuse.
    for (way, until) in [
        (&account.to_model, back),
        (&account.to_caller, back + SLACK),
    ] {
        assert_in_order(way);
        let away = |sent: Instant| from <= sent && sent <= until;
        assert!(
            way.lost_frames.iter().all(|it| away(it.sent)),
            "{:?}",
            way.summary()
        );
        assert_eq!(way.lost, way.lost_frames.len() as u64);
    }
    assert_eq!(account.violations, 0);
}

fn assert_in_order(way: &Way) {
    let doubled = (way.duplicated, way.reordered, way.unreadable_bytes);
    assert_eq!(doubled, (0, 0, 0), "{:?}", way.summary());
    assert!(way.received > 0, "{:?}", way.summary());
}

fn config(voice: &Voice) -> String {
    format!(
        r#"
listeners:
  - name: twilio
    address: 127.0.0.1:0
    routes:
      - path: /twilio/media/{{token}}
        profile: twilio
        signature: off
        webhook: {{path: /twilio/voice, public_url: "https://voice.example.com/twilio/voice"}}
        legs: [{{name: model, upstream: openai}}]
        workers: voice
{}"#,
        voice.sections()
    )
}

/// Asks as Twilio does, and takes from the TwiML where the stream is to go.
pub(crate) async fn stream_url(address: SocketAddr, call_sid: &str) -> String {
    let twiml = ask_webhook(address, call_sid).await;
    let (_, url) = twiml
        .split_once("<Stream url=\"wss://voice.example.com/")
        .unwrap_or_else(|| panic!("{twiml}"));
    let path = url.split('"').next().unwrap();
    format!("ws://{address}/{path}")
}

pub(crate) async fn ask_webhook(address: SocketAddr, call_sid: &str) -> String {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = Request::post(format!("http://{address}/twilio/voice"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("CallSid={call_sid}&From=%2B14158675309&CallStatus=in-progress").into())
        .unwrap();
    let answer = soon("the webhook's answer", client.request(request)).await;
    let body = answer.unwrap().into_body().collect().await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}
