//! `signature`: the proof that an upgrade comes from Twilio.

use crate::{Secret, reader::At, section::section, text};

section! {
    /// What `X-Twilio-Signature` is checked with.
    pub struct Signature {
        /// The URL as TwiML names it: `wss://`, no query. For a route that ends in `/*` it does too.
        pub public_url: String [&text::PUBLIC_URL],
        /// The account's auth token.
        pub auth_token: Secret,
        /// The account's secondary auth token, while tokens are being rotated.
        pub secondary_auth_token: Option<Secret> = None,
        /// Shared keys of the SHA-256 form.
        pub shared_keys: Vec<SharedKey> [0..=16] = Vec::new(),
    }
    checked by check_signature
}

fn check_signature(at: &At<'_>) {
    if let Some(keys) = at.get("shared_keys") {
        keys.check_unique("id");
    }
}

section! {
    /// One shared key, as `X-Twilio-Webhooks-Signature-Settings` names it.
    pub struct SharedKey {
        /// Its id.
        pub id: String,
        /// Its secret.
        pub secret: Secret,
    }
}
