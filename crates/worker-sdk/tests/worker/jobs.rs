//! Outside work: begun after its commit, never twice done, and not lost with its worker.

use holdline_wire::v1::{self, serve_request::Message as Request, serve_response::Message};

use crate::{
    edge::{SESSION, Served, frame, fresh, puts, texts, with_state},
    script::Script,
};

fn key(rest: &str) -> String {
    format!("{SESSION}/{rest}")
}

#[tokio::test]
async fn a_result_comes_back_as_an_input_of_its_own() {
    let script = Script::new();
    let served = Served::start(script.clone()).await;
    let mut stream = served.attach(fresh()).await;
    stream.inputs(vec![frame(1, "spawn return hello")]).await;

    let commit = stream.commit().await;
    assert_eq!(texts(&commit), [format!("spawned {}", key("1/0"))]);
    let kept = [("holdline/job/1/0", "1 return\nhello".to_owned())];
    assert_eq!(puts(&commit), kept);

    let commit = stream.commit().await;
    assert_eq!(commit.through_seq, 1, "the position is repeated");
    assert_eq!(texts(&commit), [format!("return {}: hello", key("1/0"))]);
    assert_eq!(commit.delete, ["holdline/job/1/0"]);
    assert_eq!(script.begun(), [(key("1/0"), 1, 1)]);
}

#[tokio::test]
async fn failures_are_results_too() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.attach(fresh()).await;
    for (seq, name, words) in [
        (1, "fail", "as told"),
        (2, "panic", "the job panicked: as told"),
        (3, "odd", "this worker has no job named \"odd\""),
    ] {
        let spawn = format!("spawn {name} x");
        stream.inputs(vec![frame(seq, &spawn)]).await;
        stream.commit().await;
        let expected = format!("{name} {}: {words}", key(&format!("{seq}/0")));
        assert_eq!(texts(&stream.commit().await), [expected]);
    }
}

#[tokio::test]
async fn a_job_that_a_result_leads_to_has_a_key_derived_from_it() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.attach(fresh()).await;
    stream
        .inputs(vec![frame(1, "spawn return do spawn return end")])
        .await;
    stream.commit().await;
    let spawned = texts(&stream.commit().await).pop();
    assert_eq!(spawned, Some(format!("spawned {}", key("1/0.0"))));
    let done = format!("return {}: end", key("1/0.0"));
    assert_eq!(texts(&stream.commit().await), [done]);
}

#[tokio::test]
async fn handlers_and_release_do_not_wait_for_jobs() {
    let script = Script::new();
    let served = Served::start(script.clone()).await;
    let mut stream = served.attach(fresh()).await;
    stream.inputs(vec![frame(1, "spawn wait x")]).await;
    let kept = puts(&stream.commit().await)[0].1.clone();
    stream.inputs(vec![frame(2, "say on")]).await;
    assert_eq!(texts(&stream.commit().await), ["on"]);
    stream.say(Request::Release(v1::Release::default())).await;
    assert_eq!(stream.hear().await, Message::Released(v1::Released {}));
    drop(stream);

    // The next attachment finds the job and does it; as it was no loss, it is the same attempt.
    let mut attach = with_state(&[("holdline/job/1/0", kept.as_bytes())], 3);
    attach.reason = v1::AttachReason::Handoff.into();
    let mut stream = served.attach_as(2, attach).await;
    script.waiting.add_permits(2);
    let commit = stream.commit().await;
    assert_eq!(commit.through_seq, 2);
    assert_eq!(texts(&commit), [format!("wait {}: waited", key("1/0"))]);
    assert_eq!(commit.delete, ["holdline/job/1/0"]);
    let last = script.begun().pop();
    assert_eq!(last, Some((key("1/0"), 2, 1)));
}

#[tokio::test]
async fn attempts_are_counted_when_workers_are_lost_and_have_an_end() {
    let script = Script::new();
    let served = Served::start(script.clone()).await;
    let attach = with_state(&[("holdline/job/1/0", b"1 return\nx")], 3);
    let mut stream = served.attach(attach).await;
    let counted = [("holdline/job/1/0", "2 return\nx".to_owned())];
    assert_eq!(puts(&stream.commit().await), counted);
    assert_eq!(stream.commit().await.delete, ["holdline/job/1/0"]);
    assert_eq!(script.begun(), [(key("1/0"), 1, 2)]);

    let attach = with_state(&[("holdline/job/1/0", b"10 return\nx")], 3);
    let mut stream = served.attach(attach).await;
    stream.commit().await;
    let given_up = texts(&stream.commit().await).remove(0);
    assert!(
        given_up.contains("given up after 10 attempts"),
        "{given_up}"
    );
    assert_eq!(script.begun().len(), 1, "it was begun once more");
}

#[tokio::test]
async fn a_job_is_not_begun_where_its_input_fails() {
    let script = Script::new();
    let served = Served::start(script.clone()).await;
    let mut stream = served.attach(fresh()).await;
    stream
        .inputs(vec![
            frame(1, "spawn return kept"),
            frame(2, "spawn return undone\nfail"),
        ])
        .await;
    let commit = stream.commit().await;
    let keys: Vec<_> = puts(&commit).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["holdline/job/1/0"]);
    stream.hear_any().await.unwrap_err();
    let begun = script.begun();
    assert!(begun.iter().all(|begun| begun.0 == key("1/0")), "{begun:?}");
}

#[tokio::test]
async fn the_bounds_of_jobs_are_told_by_name() {
    let served = Served::start(Script::new()).await;
    let many = "spawn wait x\n".repeat(33);
    let big = format!("spawn wait {}", "x".repeat((64 << 10) + 1));
    let cases = [
        (many.as_str(), "32 jobs"),
        (&big, "65536"),
        ("spawn  x", "name a job"),
    ];
    for (script, words) in cases {
        let mut stream = served.attach(fresh()).await;
        stream.inputs(vec![frame(1, script)]).await;
        let (_, status) = stream.status().await;
        assert!(status.contains(words), "{status}");
    }
}
