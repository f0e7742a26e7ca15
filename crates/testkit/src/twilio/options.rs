//! How a simulated caller behaves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::playback;
use super::signature::Signing;
use crate::prng::random_hex;

/// What the carrier does when a stream ends without a hang-up: the TwiML after `<Connect>`
/// opens a new one, with the same callSid and a new streamSid.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// The URL of the new stream.
    pub url: String,
    /// The webhook round trip before it.
    pub after: Duration,
    /// How often in one call.
    pub limit: u32,
}

/// All that can be set on a caller. [`CallerOptions::new`] fills in what Twilio does.
#[derive(Debug, Clone)]
pub struct CallerOptions {
    /// `ws://` or `wss://`, with a path.
    pub url: String,
    /// The URL as it stands in the TwiML, which is what is signed; `None` for `url` itself.
    pub public_url: Option<String>,
    /// The number that this call's frames carry; must differ among the calls of a run.
    pub call: u32,
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// `CA` and 32 hexadecimal digits.
    pub call_sid: String,
    /// Given to the server in `start`.
    pub parameters: BTreeMap<String, String>,
    /// The signature on the upgrade request.
    pub signing: Signing,
    /// Verifies the server of a `wss://` URL.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// For the TCP connection, TLS and the upgrade together.
    pub connect_timeout: Duration,
    /// The longest delay of a frame behind its 20 ms deadline (the network between phone and
    /// Twilio); zero sends each on its deadline.
    pub jitter: Duration,
    /// Bytes waiting for a server that does not read, beyond which audio is discarded (31930).
    pub send_limit: usize,
    /// Size of the kernel's send buffer; small, so that a slow reader is noticed within
    /// seconds. `None` leaves the system's default.
    pub kernel_send_buffer: Option<u32>,
    /// Longest message that is accepted from the server, in bytes.
    pub max_message: usize,
    /// From the first media of a quiet line until the caller hears it.
    pub start_delay: Duration,
    /// Follows a lost or closed stream.
    pub redirect: Option<Redirect>,
    /// Longest call; then it hangs up at once.
    pub max_length: Duration,
    /// The sound that the server plays while it has nobody to talk to, in frames of 160 bytes of
    /// mu-law: recognised by its bytes, measured, and no damage.
    pub hold_sound: Option<Arc<[u8]>>,
    /// Keep all audio for a WAV file: 16 KB a second in all.
    pub keep_audio: bool,
}

impl CallerOptions {
    /// A caller who behaves, with fresh random SIDs.
    #[must_use]
    pub fn new(url: impl Into<String>, call: u32) -> Self {
        Self {
            url: url.into(),
            public_url: None,
            call,
            account_sid: format!("AC{}", random_hex()),
            call_sid: format!("CA{}", random_hex()),
            parameters: BTreeMap::new(),
            signing: Signing::None,
            tls: None,
            connect_timeout: Duration::from_secs(10),
            jitter: Duration::ZERO,
            send_limit: 64 * 1024,
            kernel_send_buffer: Some(32 * 1024),
            max_message: 8 * 1024 * 1024,
            start_delay: playback::START_DELAY,
            redirect: None,
            // Twilio's own limit for a call.
            max_length: Duration::from_secs(4 * 3_600),
            hold_sound: None,
            keep_audio: false,
        }
    }
}
