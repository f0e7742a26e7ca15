//! What a worker is, and whether this edge can work with it.

use std::time::Duration;

use holdline_wire::v1::{self, worker_client::WorkerClient};
use tokio::time::timeout;

use crate::{connections::Connections, link::LinkError, loss, roster::entry::About};

/// The largest message that a worker takes where it says nothing: the default of most gRPC
/// libraries.
const MESSAGE_BYTES_DEFAULT: u64 = 4 << 20;
/// Longest version taken over from a worker, in bytes.
const VERSION_MAX: usize = 128;

/// Why a worker did not describe itself. It is asked again, on a new connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DescribeError {
    #[error("{0}")]
    Link(#[from] LinkError),
    #[error("did not describe itself: {0}")]
    Status(String),
    #[error("{0}")]
    Closed(String),
    #[error("did not describe itself within {0:?}")]
    Timeout(Duration),
}

impl DescribeError {
    /// The word used in metric labels.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Link(error) => error.as_str(),
            Self::Status(_) => "describe",
            Self::Closed(_) => "closed",
            Self::Timeout(_) => "describe_timeout",
        }
    }
}

/// Asks a worker what it is.
pub(crate) async fn describe(
    connections: &Connections,
    within: Duration,
) -> Result<v1::DescribeResponse, DescribeError> {
    let asking = async {
        let (link, _lease) = connections.lease().await?;
        WorkerClient::with_origin(link.clone(), connections.origin())
            .describe(v1::DescribeRequest {
                protocol_revision: holdline_wire::PROTOCOL_REVISION,
            })
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| match link.state().cause() {
                Some(cause) => DescribeError::Closed(cause.to_owned()),
                None => DescribeError::Status(loss::in_words(&status)),
            })
    };
    timeout(within, asking)
        .await
        .map_err(|_| DescribeError::Timeout(within))?
}

/// What matters of a description.
pub(crate) fn about(response: &v1::DescribeResponse) -> About {
    let version = &response.version;
    About {
        version: version[..version.floor_char_boundary(VERSION_MAX)].into(),
        reads: response.reads_schemas.clone(),
        writes: response.writes_schema,
        capacity: (response.max_sessions > 0).then_some(response.max_sessions),
    }
}

/// What such a worker needs and this edge has not; `None`: nothing.
pub(crate) fn misfit(response: &v1::DescribeResponse, required_bytes: u64) -> Option<String> {
    let revision = holdline_wire::PROTOCOL_REVISION;
    if response.needs_revision > revision {
        return Some(format!(
            "it needs protocol revision {}, this edge speaks {revision}: upgrade the edge",
            response.needs_revision
        ));
    }
    let unknown = response
        .needs_commands
        .iter()
        .find(|name| !holdline_wire::COMMANDS.contains(&name.as_str()));
    if let Some(name) = unknown {
        return Some(format!(
            "it needs the command {name:?}, which this edge has not: upgrade the edge"
        ));
    }
    let takes = match response.max_message_bytes {
        0 => MESSAGE_BYTES_DEFAULT,
        bytes => bytes,
    };
    (takes < required_bytes).then(|| {
        format!(
            "it takes messages up to {takes} bytes, its routes and upstreams need \
             {required_bytes}: raise the worker's limit, or lower max_frame"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> v1::DescribeResponse {
        v1::DescribeResponse {
            version: "v1".to_owned(),
            ..v1::DescribeResponse::default()
        }
    }

    #[test]
    fn silence_about_sizes_means_four_mebibytes() {
        assert_eq!(misfit(&response(), 4 << 20), None);
        assert!(misfit(&response(), (4 << 20) + 1).is_some());
        let large = v1::DescribeResponse {
            max_message_bytes: 17 << 20,
            ..response()
        };
        assert_eq!(misfit(&large, 16 << 20), None);
    }

    #[test]
    fn a_newer_protocol_or_an_unknown_command_does_not_fit() {
        let revision = v1::DescribeResponse {
            needs_revision: holdline_wire::PROTOCOL_REVISION + 1,
            ..response()
        };
        assert!(misfit(&revision, 0).is_some_and(|why| why.contains("revision 2")));
        let command = v1::DescribeResponse {
            needs_commands: vec!["Send".to_owned(), "Juggle".to_owned()],
            ..response()
        };
        assert!(misfit(&command, 0).is_some_and(|why| why.contains("Juggle")));
    }

    #[test]
    fn versions_are_cut_and_zero_sessions_mean_no_limit() {
        let long = v1::DescribeResponse {
            version: "é".repeat(100),
            ..response()
        };
        let about = about(&long);
        assert_eq!(about.version.len(), VERSION_MAX);
        assert_eq!(about.capacity, None);
    }
}
