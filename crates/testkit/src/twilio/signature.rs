//! The signature on Twilio's upgrade request.
//!
//! It covers the URL of the TwiML and nothing else, `wss://` included, exactly as written
//! there: whoever validates must know its public URL (facts of Twilio's webhooks-security
//! page; the SHA-256 form is read from twilio-python 9.13.0).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};

/// A token that never shows itself in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the token.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How the upgrade request is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signing {
    /// No signature header at all.
    None,
    /// HMAC-SHA1 with the account's auth token: Twilio's default.
    AuthToken(Secret),
    /// HMAC-SHA256 with a shared key, named in a second header.
    SharedKey {
        /// The public id of the key.
        id: String,
        /// The key.
        key: Secret,
    },
    /// This literal header value: for tests with a wrong or replayed signature.
    Literal(String),
}

impl Signing {
    /// The headers for a stream with this URL, as name and value.
    #[must_use]
    pub fn headers(&self, url: &str) -> Vec<(&'static str, String)> {
        match self {
            Self::None => Vec::new(),
            Self::AuthToken(token) => vec![("x-twilio-signature", sha1(token, url))],
            Self::SharedKey { id, key } => vec![
                ("x-twilio-signature", sha256(key, url)),
                (
                    "x-twilio-webhooks-signature-settings",
                    format!("key={id},algorithm=HMAC_SHA256"),
                ),
            ],
            Self::Literal(value) => vec![("x-twilio-signature", value.clone())],
        }
    }
}

fn sha1(token: &Secret, url: &str) -> String {
    mac::<Hmac<sha1::Sha1>>(token, url)
}

fn sha256(key: &Secret, url: &str) -> String {
    mac::<Hmac<sha2::Sha256>>(key, url)
}

fn mac<M: Mac + KeyInit>(key: &Secret, data: &str) -> String {
    // HMAC takes a key of any length, so the error cannot happen.
    <M as KeyInit>::new_from_slice(key.0.as_bytes()).map_or_else(
        |_| String::new(),
        |mut mac| {
            mac.update(data.as_bytes());
            STANDARD.encode(mac.finalize().into_bytes())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(token: &str, url: &str) -> String {
        Signing::AuthToken(Secret::new(token)).headers(url)[0]
            .1
            .clone()
    }

    /// The values are the ones that Twilio's own Python and Node libraries compute.
    #[test]
    fn the_official_libraries_agree() {
        let hex = "0123456789abcdef0123456789abcdef";
        for (token, url, wanted) in [
            (
                hex,
                "wss://proxy.example.com/twilio/media",
                "JgT9TL5uZaFP6XwWYeyV+NmV7Ec=",
            ),
            (
                hex,
                "wss://proxy.example.com:443/twilio/media",
                "loUFpP1k8XpbVzhHGOoVssmPYZA=",
            ),
            (
                hex,
                "https://proxy.example.com/twilio/media",
                "PlWyRdx0M22l4gHx9i4SEVMedHw=",
            ),
            (
                "12345",
                "wss://voice.example.test/media-stream",
                "DHPH2SL3lKg3A5s23PxpPrANQVg=",
            ),
            (
                "12345",
                "wss://voice.example.test:8443/media-stream",
                "dwOIZ5wu/hG0X9wU1YiNczDTHbM=",
            ),
            (
                "12345",
                "wss://voice.example.test/média",
                "RmXj5VZN5p6tcTaT9uUniUVnCXU=",
            ),
        ] {
            assert_eq!(signature(token, url), wanted, "{url}");
        }
    }

    #[test]
    fn the_shared_key_form_names_its_algorithm() {
        let signing = Signing::SharedKey {
            id: "SK1".into(),
            key: Secret::new("12345"),
        };
        let headers = signing.headers("wss://voice.example.test/media-stream");
        assert_eq!(headers[0].1, "QYby7AVbC1C5SsO+6HWN2IprUhWfSRikfea7ED2h6O8=");
        assert_eq!(headers[1].1, "key=SK1,algorithm=HMAC_SHA256");
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert!(!format!("{:?}", Signing::AuthToken(Secret::new("hush"))).contains("hush"));
    }
}
