//! The files that the processes read.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{PUBLIC_URL, Plan};

/// Where the edge's file is.
pub(super) fn edge(folder: &Path) -> PathBuf {
    folder.join("edge.yaml")
}

/// Where the workers' file is.
pub(super) fn bridge(folder: &Path) -> PathBuf {
    folder.join("bridge.yaml")
}

/// Writes both.
pub(super) fn write(
    plan: &Plan,
    callers: u16,
    admin: u16,
    workers: &[SocketAddr],
) -> io::Result<()> {
    let addresses: Vec<_> = workers.iter().map(ToString::to_string).collect();
    let (model, sections) = (plan.model, &plan.sections);
    let text = format!(
        "# Everything that is not here has its shipped default.\n\
         listeners:\n\
         \x20 - name: twilio\n\
         \x20   address: 127.0.0.1:{callers}\n\
         \x20   routes:\n\
         \x20     - path: /twilio/media\n\
         \x20       profile: twilio\n\
         \x20       signature:\n\
         \x20         public_url: {PUBLIC_URL}\n\
         \x20         auth_token: {{env: TWILIO_AUTH_TOKEN}}\n\
         \x20       legs:\n\
         \x20         - {{name: model, upstream: openai}}\n\
         \x20       workers: default\n\
         upstreams:\n\
         \x20 openai:\n\
         \x20   profile: openai-realtime\n\
         \x20   url: ws://{model}/v1/realtime?model=gpt-realtime-2.1\n\
         \x20   api_key: {{env: OPENAI_API_KEY}}\n\
         workers:\n\
         \x20 default:\n\
         \x20   discovery: {{static: {{addresses: {addresses:?}}}}}\n\
         admin: {{address: \"127.0.0.1:{admin}\"}}\n\
         log: {{format: json, level: info}}\n\
         {sections}"
    );
    std::fs::write(edge(&plan.folder), text)?;
    std::fs::write(bridge(&plan.folder), BRIDGE)
}

const BRIDGE: &str = "\
# The worker: greets, listens, and may be interrupted.
instructions: You are the receptionist of a dentist. Be brief.
greeting: {}
";
