//! `upstreams`: the services that outbound legs are dialled to.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::{ByteSize, Secret, defaults, reader::At, section::section, shape::words, text};

section! {
    /// One service that legs are dialled to.
    pub struct Upstream {
        /// The service's dialect: `openai-realtime` or `raw`.
        pub profile: UpstreamProfile,
        /// `wss://` or `ws://` URL.
        pub url: String [&text::UPSTREAM_URL],
        /// Sent as `Authorization: Bearer`; `off` sends none.
        pub api_key: Option<Secret> = None,
        /// Further headers of the upgrade; they are no place for secrets.
        pub headers: BTreeMap<String, String> [(&text::HEADER, 0)] = BTreeMap::new(),
        /// PEM file with certificates to trust besides the system's.
        pub ca: Option<PathBuf> = None,
        /// Longest time from the name's resolution to the upgraded WebSocket.
        pub connect_timeout: Duration = defaults::DIAL_TIMEOUT,
        /// A service silent for so long is closed; `off` for never.
        pub idle_timeout: Option<Duration> = defaults::UPSTREAM_IDLE_TIMEOUT,
        /// Largest WebSocket message taken from the service.
        pub max_frame: ByteSize [ByteSize::bytes(1)..=ByteSize::mib(64)] = defaults::UPSTREAM_MAX_FRAME,
        /// How often a ping is sent; `off` for never.
        pub ping_interval: Option<Duration> = defaults::PING_INTERVAL,
    }
    checked by check_upstream
}

fn check_upstream(at: &At<'_>) {
    let openai = at.text_of("profile") == Some(UpstreamProfile::OpenaiRealtime.as_str());
    if openai && !at.has("api_key") {
        at.wrong(
            "lacks `api_key`: OpenAI refuses to talk without; write `api_key: {env: OPENAI_API_KEY}`, \
             or `api_key: off` where something in front adds it",
        );
    }
    let headers = at.get("headers").map_or_else(Vec::new, |at| at.entries());
    for (_, value) in headers {
        if value
            .text()
            .is_some_and(|text| !text::is_header_value(text))
        {
            value.wrong("must be visible ASCII to be sent as a header");
        }
    }
}

words! {
    /// What the edge knows of an upstream's dialect.
    pub enum UpstreamProfile {
        /// OpenAI Realtime.
        OpenaiRealtime = "openai-realtime",
        /// Any WebSocket server; nothing is read out of its messages.
        Raw = "raw",
    }
}
