//! A worker that fails, fails one session, and says why.

use tonic::Code;

use crate::{
    edge::{SESSION, Served, frame, fresh, puts, texts, with_state},
    script::Script,
};

#[tokio::test]
async fn a_failing_input_leaves_nothing_behind() {
    let served = Served::start(Script::new()).await;
    for (how, words) in [("fail", "failed"), ("panic", "panicked")] {
        let mut stream = served.attach(fresh()).await;
        let bad = format!("put a bad\nput b bad\nsay bad\n{how}");
        stream
            .inputs(vec![frame(1, "put a good\nsay good"), frame(2, &bad)])
            .await;

        let commit = stream.commit().await;
        assert_eq!(commit.through_seq, 1);
        assert_eq!(puts(&commit), [("a", "\"good\"".to_owned())]);
        assert_eq!(texts(&commit), ["good"]);
        let expected = format!("the worker {words}: as told (at {SESSION}/2)");
        assert_eq!(stream.status().await, (Code::Internal, expected));
    }
}

#[tokio::test]
async fn sessions_beside_it_go_on() {
    let served = Served::start(Script::new()).await;
    let mut healthy = served.attach(fresh()).await;
    let mut failing = served.attach(fresh()).await;
    failing.inputs(vec![frame(1, "panic")]).await;
    assert_eq!(failing.status().await.0, Code::Internal);
    healthy.inputs(vec![frame(1, "say on")]).await;
    assert_eq!(texts(&healthy.commit().await), ["on"]);
}

#[tokio::test]
async fn a_failing_attach_is_told() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.attach(with_state(&[("poison", b"1")], 2)).await;
    let (code, words) = stream.status().await;
    assert_eq!(code, Code::Internal);
    assert!(words.contains("poisoned state"), "{words}");
}

#[tokio::test]
async fn limits_are_errors_before_the_edge_refuses() {
    let served = Served::start(Script::new()).await;
    let fill = (0..5)
        .map(|n| format!("fill key{n} 250000\n"))
        .collect::<String>();
    let long_key = format!("put {} x", "k".repeat(257));
    let keys = (0..=1024)
        .map(|n| format!("put k{n} x\n"))
        .collect::<String>();
    let timers = (0..65)
        .map(|n| format!("timer t{n} 9\n"))
        .collect::<String>();
    let cases = [
        (fill.as_str(), "1048576"),
        ("fill big 262145", "\"big\" has 262145 bytes"),
        (&long_key, "257 bytes"),
        (&keys, "1024 keys"),
        (&timers, "64 timers"),
        ("put holdline/x y", "reserved"),
        ("timer  9", "name a timer"),
        ("timer t 86400001", "limit of 86400s"),
    ];
    for (script, words) in cases {
        let mut stream = served.attach(fresh()).await;
        stream.inputs(vec![frame(1, script)]).await;
        let (code, status) = stream.status().await;
        assert_eq!(code, Code::Internal);
        assert!(status.contains(words), "{status}");
    }
}
