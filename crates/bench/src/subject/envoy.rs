//! Envoy: as a plain relay, and with every frame through an external processor over gRPC, which is
//! the nearest that a stock proxy comes to a worker behind the edge.

use std::{fs, io, net::SocketAddr, path::Path, process::Command};

use super::Ground;
use crate::proc::{Program, Role};

/// Envoy as a relay, or with this processor.
///
/// # Errors
/// If it cannot be started.
pub(super) fn envoy(
    program: &Path,
    ground: &Ground,
    entry: SocketAddr,
    model: SocketAddr,
    processor: Option<SocketAddr>,
) -> io::Result<Program> {
    let file = ground.folder.join("envoy.yaml");
    fs::write(&file, text(ground, entry, model, processor))?;
    let mut command = Command::new(program);
    command.arg("--config-path").arg(&file);
    command.args(["--concurrency", "1", "--log-level", "warn"]);
    // Two of them at once would otherwise share memory.
    command.arg("--disable-hot-restart");
    Program::start("envoy", command, Role::Tested, ground.cores, &ground.folder)
}

fn text(
    ground: &Ground,
    entry: SocketAddr,
    model: SocketAddr,
    processor: Option<SocketAddr>,
) -> String {
    let filter = if processor.is_some() { EXT_PROC } else { "" };
    let tls = ground.tls.as_ref().map(|tls| transport_socket(&tls.ca));
    let mut clusters = cluster("model", model, &tls.unwrap_or_default());
    if let Some(processor) = processor {
        clusters += &cluster("processor", processor, HTTP2);
    }
    let address = socket_address(entry);
    format!(
        "static_resources:
  listeners:
  - name: callers
    address: {address}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: callers
          stream_idle_timeout: 0s
          upgrade_configs: [{{upgrade_type: websocket}}]
          http_filters:
{filter}          - name: envoy.filters.http.router
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            virtual_hosts:
            - name: all
              domains: [\"*\"]
              routes:
              - match: {{prefix: /}}
                route: {{cluster: model, timeout: 0s, host_rewrite_literal: localhost}}
  clusters:
{clusters}"
    )
}

/// Frames of callers as they come, and what comes back in their place.
const EXT_PROC: &str = "          - name: envoy.filters.http.ext_proc
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
              grpc_service: {envoy_grpc: {cluster_name: processor}}
              message_timeout: 10s
              processing_mode:
                request_header_mode: SKIP
                response_header_mode: SKIP
                request_body_mode: STREAMED
                response_body_mode: NONE
";

const HTTP2: &str = "    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {max_concurrent_streams: 100000}}
";

fn transport_socket(ca: &Path) -> String {
    let ca = ca.display();
    format!(
        "    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: localhost
        common_tls_context: {{validation_context: {{trusted_ca: {{filename: {ca}}}}}}}
"
    )
}

fn cluster(name: &str, to: SocketAddr, more: &str) -> String {
    let address = socket_address(to);
    format!(
        "  - name: {name}
    type: STATIC
    connect_timeout: 5s
    circuit_breakers:
      thresholds:
      - {{max_connections: 100000, max_pending_requests: 100000, max_requests: 100000}}
    load_assignment:
      cluster_name: {name}
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {address}}}}}]}}]
{more}"
    )
}

fn socket_address(of: SocketAddr) -> String {
    let (host, port) = (of.ip(), of.port());
    format!("{{socket_address: {{address: {host}, port_value: {port}}}}}")
}
