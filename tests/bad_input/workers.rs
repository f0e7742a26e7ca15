//! Workers that break the worker protocol.

use serde_json::Value;

use super::{Scene, line::Line, misdeeds::MISDEEDS, scripted::BEFORE_ATTACH};

#[tokio::test]
async fn a_worker_that_breaks_the_protocol_is_told_and_its_call_goes_on() {
    let scene = Scene::set().await;
    for misdeed in MISDEEDS {
        let mut line = Line::start(scene.callers, misdeed.name, Some(misdeed.name)).await;
        let call_sid = line.call_sid.clone();
        let lost = |it: &Value| it["message"] == "worker lost" && it["call_sid"] == *call_sid;
        let lost = scene.edge.logged(misdeed.name, lost).await;
        assert_eq!(lost["kind"], misdeed.kind, "{lost}");
        let detail = lost["detail"].as_str().unwrap();
        assert!(detail.contains(misdeed.told), "{lost}");
        // The next attachment has it from the last commit on.
        line.is_alive(1).await;
        line.hang_up().await;
        let ended = |it: &Value| it["message"] == "call ended" && it["call_sid"] == *call_sid;
        let ended = scene.edge.logged("the end of a call", ended).await;
        assert_eq!(ended["reason"], "caller_hung_up", "{ended}");
        assert_eq!(ended["losses"], 1, "{ended}");
    }
    speaking_before_attach_fails_the_offer(&scene).await;
    one_that_never_stops_ends_its_call(&scene).await;
    scene.judge().await;
}

async fn speaking_before_attach_fails_the_offer(scene: &Scene) {
    let talk = async {
        let mut line = Line::start(scene.callers, "early", Some(BEFORE_ATTACH)).await;
        line.is_alive(1).await;
        line.hang_up().await;
    };
    let failures = "holdline_attach_failures_total";
    let counted = scene.grows(failures, &["why=\"offer\""], talk).await;
    assert_eq!(counted, 1.0);
}

async fn one_that_never_stops_ends_its_call(scene: &Scene) {
    let line = Line::start(scene.callers, "always", Some("always:ahead")).await;
    let told = (1011, "this call made its workers fail".to_owned());
    assert_eq!(line.closed().await, told);
    let ended = |it: &Value| it["message"] == "call ended" && it["call_sid"] == "CA-always";
    let ended = scene.edge.logged("the end of a call", ended).await;
    assert_eq!(ended["reason"], "poisoned", "{ended}");
    assert_eq!(ended["refused"], 3, "{ended}");
}
