//! The way out: nobody is hurt who can be moved.

use std::time::Duration;

use holdline_wire::v1::{self, serve_request::Message as Request, serve_response::Message};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    edge::{Served, Stream, frame, fresh, texts},
    script::Script,
};

async fn hears_draining(stream: &mut Stream) -> Duration {
    match stream.hear().await {
        Message::Draining(draining) => Duration::from_micros(draining.within_us),
        other => panic!("no Draining but {other:?}"),
    }
}

#[tokio::test]
async fn a_draining_worker_serves_until_its_sessions_have_moved() {
    let mut served = Served::start(Script::new()).await;
    let mut health = HealthClient::new(served.channel.clone());
    let service = "holdline.worker.v1.Worker".to_owned();
    let watch = health.watch(HealthCheckRequest { service }).await;
    let mut watch = watch.unwrap().into_inner();
    let status = watch.message().await.unwrap().unwrap().status();
    assert_eq!(status, ServingStatus::Serving);
    let mut streams = Vec::new();
    for _ in 0..2 {
        streams.push(served.attach(fresh()).await);
    }

    served.terminate();

    let status = watch.message().await.unwrap().unwrap().status();
    assert_eq!(status, ServingStatus::NotServing);
    for stream in &mut streams {
        let within = hears_draining(stream).await;
        assert!(within > Duration::from_secs(20) && within <= Duration::from_secs(30));
    }
    let Message::Reject(reject) = served.offer(2, 0).await.hear().await else {
        panic!("a draining worker took a session");
    };
    assert!(reject.retry);

    for mut stream in streams {
        stream.inputs(vec![frame(1, "say still_here")]).await;
        assert_eq!(texts(&stream.commit().await), ["still_here"]);
        stream.say(Request::Release(v1::Release::default())).await;
        assert_eq!(stream.hear().await, Message::Released(v1::Released {}));
    }
    served.ended().await.unwrap();
}

#[tokio::test]
async fn a_session_that_attaches_while_draining_is_told() {
    let mut served = Served::start(Script::new()).await;
    let mut stream = served.offer(1, 0).await;
    assert_eq!(stream.hear().await, Message::Accept(v1::Accept {}));
    served.terminate();
    stream.say(Request::Attach(fresh())).await;
    hears_draining(&mut stream).await;
    drop(stream);
    served.ended().await.unwrap();
}

#[tokio::test]
async fn the_grace_has_an_end() {
    let mut served = Served::with_grace(Script::new(), Duration::from_millis(50)).await;
    let mut stream = served.attach(fresh()).await;
    // Attached for certain: it has answered.
    stream.inputs(vec![frame(1, "say here")]).await;
    stream.commit().await;
    served.terminate();
    hears_draining(&mut stream).await;
    assert_eq!(stream.status().await.0, Code::Unavailable);
    served.ended().await.unwrap();
}

#[tokio::test]
async fn an_idle_worker_leaves_at_once() {
    let mut served = Served::start(Script::new()).await;
    served.terminate();
    served.ended().await.unwrap();
}
