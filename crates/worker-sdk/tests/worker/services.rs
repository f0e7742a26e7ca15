//! What tools and edges ask before any session: description, health, reflection.

use holdline_wire::v1;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1 as reflection, v1alpha};

use crate::{edge::Served, script::Script};

#[tokio::test]
async fn the_description_is_told() {
    let served = Served::start(Script::new()).await;
    let request = v1::DescribeRequest {
        protocol_revision: 1,
    };
    let described = served.client().describe(request).await.unwrap();
    let expected = v1::DescribeResponse {
        version: "script-1".to_owned(),
        reads_schemas: vec![1],
        writes_schema: 1,
        max_sessions: 0,
        max_message_bytes: 17 << 20,
        needs_revision: 1,
        needs_commands: Vec::new(),
    };
    assert_eq!(described.into_inner(), expected);
}

#[tokio::test]
async fn health_answers_for_the_worker_and_for_the_server() {
    let served = Served::start(Script::new()).await;
    let mut health = HealthClient::new(served.channel.clone());
    for service in ["", "holdline.worker.v1.Worker"] {
        let service = service.to_owned();
        let answer = health.check(HealthCheckRequest { service }).await.unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    }
}

const NAMES: [&str; 2] = ["grpc.health.v1.Health", "holdline.worker.v1.Worker"];

#[tokio::test]
async fn reflection_lists_the_services_in_both_versions() {
    let served = Served::start(Script::new()).await;

    let ask = reflection::ServerReflectionRequest {
        message_request: Some(
            reflection::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
        ..Default::default()
    };
    let mut client =
        reflection::server_reflection_client::ServerReflectionClient::new(served.channel.clone());
    let answers = client.server_reflection_info(tokio_stream::once(ask)).await;
    let answer = answers.unwrap().into_inner().message().await.unwrap();
    let Some(reflection::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.unwrap().message_response
    else {
        panic!("no list");
    };
    for name in NAMES {
        assert!(list.service.iter().any(|service| service.name == name));
    }

    let ask = v1alpha::ServerReflectionRequest {
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
        ..Default::default()
    };
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(served.channel.clone());
    let answers = client.server_reflection_info(tokio_stream::once(ask)).await;
    let answer = answers.unwrap().into_inner().message().await.unwrap();
    let Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.unwrap().message_response
    else {
        panic!("no list");
    };
    for name in NAMES {
        assert!(list.service.iter().any(|service| service.name == name));
    }
}
