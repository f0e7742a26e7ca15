//! The two simulators against each other over real sockets, with a small bridge between.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use holdline_testkit::identity::FRAME_TIME;
use holdline_testkit::judge;
use holdline_testkit::openai::{Fault, FaultRule, OpenAiSim, Outcome, SimOptions, When};
use holdline_testkit::speech::Utterance;
use holdline_testkit::tls;
use holdline_testkit::twilio::{
    Action, CallerError, CallerOptions, Fate, Redirect, Script, StreamEnd, TwilioCaller, Violation,
};
use tokio::net::TcpListener;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

const MS: Duration = Duration::from_millis(1);
const SETTLE: Duration = Duration::from_millis(500);

async fn sim(options: SimOptions) -> OpenAiSim {
    OpenAiSim::bind(loopback(), options).await.unwrap()
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn caller(address: SocketAddr, call: u32) -> CallerOptions {
    CallerOptions::new(format!("ws://{address}/twilio/media"), call)
}

/// Greeting, barge-in into the greeting, answer; then every frame is accounted for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_frame_of_a_call_with_a_barge_in_is_accounted_for() {
    let sim = sim(SimOptions::default()).await;
    let (address, _bridge) = support::bridge(&sim).await;
    let mut options = caller(address, 42);
    options.keep_audio = true;
    let script = Script::new()
        .say(1_500 * MS, Utterance::QUEEN_OF_CLUBS)
        .hang_up(6_000 * MS, SETTLE);
    let call = TwilioCaller::connect(options)
        .await
        .unwrap()
        .run(script)
        .await;
    let report = sim.shutdown().await;

    let account = judge::account(&call, report.of_call(42));
    assert!(
        account.to_model.is_perfect(),
        "{:?}",
        account.to_model.summary()
    );
    assert!(
        account.to_caller.is_perfect(),
        "{:?}",
        account.to_caller.summary()
    );
    assert_eq!(account.to_model.received, account.to_model.sent);
    assert!(
        (250..=300).contains(&account.to_model.sent),
        "{}",
        account.to_model.sent
    );
    assert!(account.to_model.delay_quantile(0.5) < 5 * FRAME_TIME);
    assert_eq!(account.violations, 0);

    let stream = &call.streams[0];
    assert_eq!(stream.end, StreamEnd::Ours);
    assert_eq!(stream.clears.len(), 1);
    assert!(
        account.cleared > 50,
        "{} frames of the greeting were not heard",
        account.cleared
    );
    assert!(
        stream
            .marks
            .iter()
            .all(|mark| mark.echoed.is_some() || mark.received > stream.clears[0])
    );
    let model = &report.connections[0];
    assert_eq!((model.turns.len(), model.truncates.len()), (1, 1));
    assert!(model.truncates[0].accepted);
    // The bridge said what was heard by marks; the ear knows better, to one delta.
    let heard = stream.heard.iter().filter(|frame| {
        frame.id.stream.part == model.responses[0].part && frame.fate == Fate::Played
    });
    let heard_ms = heard.count() as u64 * 20;
    let said_ms = model.truncates[0].audio_end_ms;
    assert!(
        said_ms <= heard_ms && heard_ms <= said_ms + 300,
        "{said_ms} of {heard_ms}"
    );
    assert!(model.client_events["input_audio_buffer.append"] > 250);
    let (said, listened) = call.tracks();
    assert!(said.len() > 5_800 * 8 && listened.len() > 3_000 * 8);
}

/// Many calls at once in one process: nothing is lost, frames stay on their deadlines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_calls_at_once_are_kept_apart() {
    let sim = sim(SimOptions::default()).await;
    let (address, _bridge) = support::bridge(&sim).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..20 {
        let script = Script::new().hang_up(2_000 * MS, SETTLE);
        calls.spawn(async move {
            TwilioCaller::connect(caller(address, number))
                .await
                .unwrap()
                .run(script)
                .await
        });
    }
    let calls = calls.join_all().await;
    let report = sim.shutdown().await;
    for call in &calls {
        assert_eq!(report.of_call(call.call).count(), 1);
        let account = judge::account(call, report.of_call(call.call));
        assert!(
            account.to_model.is_perfect() && account.to_caller.is_perfect(),
            "{account:?}"
        );
        assert!(account.to_caller.received > 100);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_call_comes_back_on_a_new_stream() {
    let sim = sim(SimOptions::default()).await;
    let (address, _bridge) = support::bridge(&sim).await;
    let mut options = caller(address, 7);
    options.redirect = Some(Redirect {
        url: options.url.clone(),
        after: 100 * MS,
        limit: 1,
    });
    let script = Script::new()
        .at(500 * MS, Action::Reset)
        .hang_up(1_500 * MS, SETTLE);
    let call = TwilioCaller::connect(options)
        .await
        .unwrap()
        .run(script)
        .await;
    let report = sim.shutdown().await;
    assert_eq!(call.streams.len(), 2);
    assert_eq!(
        (&call.streams[0].end, &call.streams[1].end),
        (&StreamEnd::Reset, &StreamEnd::Ours)
    );
    assert_ne!(call.streams[0].stream_sid, call.streams[1].stream_sid);
    // This bridge opens a new model session; both belong to the call.
    assert_eq!(report.of_call(7).count(), 2);
    let account = judge::account(&call, report.of_call(7));
    assert_eq!(
        account.to_model.repeated + account.to_model.duplicated + account.to_model.reordered,
        0
    );
    // Of the first stream the last few frames may have died with the connection.
    let lost_of_second = account
        .to_model
        .lost_frames
        .iter()
        .filter(|frame| frame.part == 1)
        .count();
    assert_eq!(lost_of_second, 0);
}

/// `wss`, and an end by the server, in one: the caller dials the model, which does not like
/// it and says so in a way that is no Media Streams message.
#[tokio::test]
async fn tls_works_and_a_close_of_the_server_is_recorded() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let pem = certified.cert.pem();
    let server = tls::server(&pem, &certified.signing_key.serialize_pem()).unwrap();
    let sim = sim(SimOptions {
        tls: Some(server),
        ..SimOptions::default()
    })
    .await;
    let port = sim.local_addr().port();
    let mut options = CallerOptions::new(format!("wss://localhost:{port}/v1/realtime?model=x"), 1);
    options.tls = Some(tls::client(&pem).unwrap());
    let call = TwilioCaller::connect(options.clone())
        .await
        .unwrap()
        .run(Script::new())
        .await;
    let stream = &call.streams[0];
    let StreamEnd::Closed { code, reason } = &stream.end else {
        panic!("{:?}", stream.end)
    };
    assert_eq!(
        (*code, reason.as_str()),
        (3_000, "invalid_request_error.invalid_api_key")
    );
    assert!(matches!(stream.violations[..], [Violation::NotConform(_)]));

    let stranger = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    options.tls = Some(tls::client(&stranger.cert.pem()).unwrap());
    let error = TwilioCaller::connect(options).await.unwrap_err();
    assert!(matches!(error, CallerError::Tls { .. }), "{error}");
}

#[tokio::test]
async fn a_refused_upgrade_names_its_status() {
    let faults = vec![FaultRule::on(1, When::Upgrade, Fault::Http(503))];
    let sim = sim(SimOptions {
        faults,
        ..SimOptions::default()
    })
    .await;
    let error = TwilioCaller::connect(caller(sim.local_addr(), 1))
        .await
        .unwrap_err();
    assert!(
        matches!(error, CallerError::Refused { status: 503, .. }),
        "{error}"
    );
    // The fault was for the first one only; the path is wrong for the second.
    let error = TwilioCaller::connect(caller(sim.local_addr(), 1))
        .await
        .unwrap_err();
    assert!(
        matches!(error, CallerError::Refused { status: 404, .. }),
        "{error}"
    );
    assert_eq!(sim.report().refused_upgrades, 2);
}

#[tokio::test]
async fn a_server_that_does_not_read_loses_the_callers_audio() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    socket.bind(loopback()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let deaf = accept_async(tcp).await.unwrap();
        std::future::pending::<()>().await;
        drop(deaf);
    });
    let mut options = caller(address, 1);
    (options.send_limit, options.kernel_send_buffer) = (2_048, Some(2_048));
    let script = Script::new().at(2_500 * MS, Action::Reset);
    let call = TwilioCaller::connect(options)
        .await
        .unwrap()
        .run(script)
        .await;
    server.abort();
    let unsent = call.streams[0].unsent_frames();
    assert!(
        unsent > 20 && unsent < call.streams[0].sent.len() as u64,
        "{unsent}"
    );
}

/// Marks, clear and violations as a server that misbehaves sees them, and a second stream.
#[tokio::test]
async fn what_the_server_does_wrong_is_counted_and_ignored() {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut ws = accept_async(tcp).await.unwrap();
        let mut seen = Vec::new();
        while let Some(Ok(message)) = ws.next().await {
            let Message::Text(text) = message else {
                continue;
            };
            let event: serde_json::Value = serde_json::from_str(&text).unwrap();
            let kind = event["event"].as_str().unwrap().to_owned();
            if kind == "start" {
                let sid = event["streamSid"].as_str().unwrap();
                for text in [
                    r#"{"event":"sing"}"#.to_owned(),
                    r#"{"event":"clear","streamSid":"MZother"}"#.to_owned(),
                    format!(r#"{{"event":"mark","streamSid":"{sid}","mark":{{"name":"early"}}}}"#),
                ] {
                    ws.send(Message::text(text)).await.unwrap();
                }
                ws.send(Message::Binary(vec![1, 2].into())).await.unwrap();
            }
            seen.push(kind);
        }
        seen
    });
    let caller = TwilioCaller::connect(caller(address, 1)).await.unwrap();
    let mut handle = caller.handle();
    let running = tokio::spawn(caller.run(Script::new()));
    handle
        .wait_for(|progress| progress.violations == 3 && progress.marks_echoed == 1)
        .await
        .unwrap();
    handle.act(Action::Dtmf('9')).unwrap();
    handle
        .act(Action::HangUp {
            settle: Duration::ZERO,
        })
        .unwrap();
    let call = running.await.unwrap();
    let seen = server.await.unwrap();
    assert_eq!(seen[..2], ["connected", "start"]);
    assert_eq!(seen.last().unwrap(), "stop");
    assert!(seen.contains(&"mark".to_owned()) && seen.contains(&"dtmf".to_owned()));
    assert_eq!(call.streams[0].violation_count, 3);
    assert!(handle.act(Action::Hush).is_err(), "the call is over");
}

#[tokio::test]
async fn a_second_stream_takes_the_call_while_the_first_stays_open() {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let mut streams = Vec::new();
        for _ in 0..2 {
            let (tcp, _) = listener.accept().await.unwrap();
            streams.push(tokio::spawn(async move {
                let mut ws = accept_async(tcp).await.unwrap();
                let mut start = serde_json::Value::Null;
                while let Some(Ok(message)) = ws.next().await {
                    if let Message::Text(text) = message
                        && text.contains(r#""event":"start""#)
                    {
                        start = serde_json::from_str(&text).unwrap();
                    }
                }
                start
            }));
        }
        (
            streams.remove(0).await.unwrap(),
            streams.remove(0).await.unwrap(),
        )
    });
    let caller = TwilioCaller::connect(caller(address, 1)).await.unwrap();
    let mut handle = caller.handle();
    let running = tokio::spawn(caller.run(Script::new()));
    handle
        .wait_for(|progress| progress.frames_sent > 3)
        .await
        .unwrap();
    handle
        .act(Action::Replace {
            url: None,
            keep_old: true,
        })
        .unwrap();
    let sent = handle
        .wait_for(|progress| progress.streams == 2)
        .await
        .unwrap()
        .frames_sent;
    handle
        .wait_for(|progress| progress.frames_sent > sent + 5)
        .await
        .unwrap();
    handle
        .act(Action::HangUp {
            settle: Duration::ZERO,
        })
        .unwrap();
    let call = running.await.unwrap();
    let (first, second) = server.await.unwrap();
    assert_eq!(first["start"]["callSid"], second["start"]["callSid"]);
    assert_ne!(first["streamSid"], second["streamSid"]);
    assert_eq!(call.streams.len(), 2);
    assert!(call.streams[1].sent.len() > 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_cut_in_mid_reply_is_told_apart_from_loss() {
    let sim = sim(SimOptions::default()).await;
    let (address, _bridge) = support::bridge(&sim).await;
    let caller = TwilioCaller::connect(caller(address, 3)).await.unwrap();
    let mut handle = caller.handle();
    let running = tokio::spawn(caller.run(Script::new().hang_up(5_000 * MS, SETTLE)));
    handle
        .wait_for(|progress| progress.frames_received > 20)
        .await
        .unwrap();
    assert_eq!(sim.inject(Some(3), &Fault::Reset), 1);
    let call = running.await.unwrap();
    let report = sim.shutdown().await;
    assert_eq!(report.connections[0].responses[0].outcome, Outcome::Cut);
    let account = judge::account(&call, report.of_call(3));
    assert_eq!(
        account.to_caller.lost,
        0,
        "{:?}",
        account.to_caller.summary()
    );
    assert_eq!(
        account.to_caller.received + account.to_caller.cut,
        account.to_caller.sent
    );
}
