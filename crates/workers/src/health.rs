//! A worker's health, by grpc.health.v1.
//!
//! Only `NOT_SERVING` means something here: *draining*. A worker that does not implement the
//! service, or does not know the name asked for, is taken to serve: a missing convenience is no
//! reason to drop calls.

use std::{convert::Infallible, future::pending, time::Duration};

use tokio::{sync::watch, time::sleep};
use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

use crate::connections::Connections;

/// The service that is asked about.
const SERVICE: &str = "holdline.worker.v1.Worker";
/// Before the watch is taken up again where a worker ended it.
const WATCH_AGAIN: Duration = Duration::from_secs(1);

/// What is known of a worker's health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Health {
    Unknown,
    Serving,
    NotServing,
}

/// Follows a worker's health for as long as it is polled.
pub(crate) async fn watch(connections: &Connections, health: &watch::Sender<Health>) -> Infallible {
    loop {
        match follow(connections, health).await {
            Err(status) if matches!(status.code(), Code::Unimplemented | Code::NotFound) => {
                health.send_replace(Health::Serving);
                return pending().await;
            }
            Err(error) => tracing::debug!(%error, "health watch of a worker failed"),
            Ok(()) => {}
        }
        sleep(WATCH_AGAIN).await;
    }
}

async fn follow(connections: &Connections, health: &watch::Sender<Health>) -> Result<(), Status> {
    let (link, _lease) = connections
        .lease()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let mut client = HealthClient::with_origin(link, connections.origin());
    let request = HealthCheckRequest {
        service: SERVICE.to_owned(),
    };
    let mut stream = client.watch(request).await?.into_inner();
    while let Some(response) = stream.message().await? {
        health.send_replace(understood(&response));
    }
    Ok(())
}

fn understood(response: &HealthCheckResponse) -> Health {
    if response.status() == ServingStatus::NotServing {
        Health::NotServing
    } else {
        Health::Serving
    }
}
