//! Signatures that Twilio's own Python and Node libraries compute.

pub(crate) const LONG_TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const SHORT_TOKEN: &str = "12345";
/// The secret of the shared key `SK1`.
pub(crate) const SHARED_KEY: &str = "12345";

const SHA256: &str = "key=SK1,algorithm=HMAC_SHA256";

/// A URL and its signature.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) token: &'static str,
    pub(crate) url: &'static str,
    signature: &'static str,
    settings: Option<&'static str>,
}

impl Signed {
    /// What a request with this signature says.
    pub(crate) fn headers(&self) -> Vec<(&'static str, &'static str)> {
        let settings = self.settings.into_iter();
        let settings = settings.map(|it| ("x-twilio-webhooks-signature-settings", it));
        [("x-twilio-signature", self.signature)]
            .into_iter()
            .chain(settings)
            .collect()
    }

    pub(crate) fn is_sha256(&self) -> bool {
        self.settings.is_some()
    }
}

const fn sha1(token: &'static str, url: &'static str, signature: &'static str) -> Signed {
    Signed {
        token,
        url,
        signature,
        settings: None,
    }
}

/// URLs that a stream can have.
pub(crate) const VECTORS: &[Signed] = &[
    sha1(
        LONG_TOKEN,
        "wss://proxy.example.com/twilio/media",
        "JgT9TL5uZaFP6XwWYeyV+NmV7Ec=",
    ),
    sha1(
        LONG_TOKEN,
        "wss://proxy.example.com:443/twilio/media",
        "loUFpP1k8XpbVzhHGOoVssmPYZA=",
    ),
    sha1(
        SHORT_TOKEN,
        "wss://voice.example.test/media-stream",
        "DHPH2SL3lKg3A5s23PxpPrANQVg=",
    ),
    sha1(
        SHORT_TOKEN,
        "wss://voice.example.test:443/media-stream",
        "dlmAgw8SzsDKYFL8C0qIAS3iZSI=",
    ),
    sha1(
        SHORT_TOKEN,
        "wss://voice.example.test:8443/media-stream",
        "dwOIZ5wu/hG0X9wU1YiNczDTHbM=",
    ),
    sha1(
        SHORT_TOKEN,
        "wss://voice.example.test/media-stream/",
        "K0deaDmCtJ9SxxG1+/835CUqEug=",
    ),
    Signed {
        token: SHORT_TOKEN,
        url: "wss://voice.example.test/media-stream",
        signature: "QYby7AVbC1C5SsO+6HWN2IprUhWfSRikfea7ED2h6O8=",
        settings: Some(SHA256),
    },
];

/// URLs that no stream of Twilio's has, and that the edge's configuration refuses: other schemes, a
/// query, letters that are not percent-encoded.
pub(crate) const REFUSED: &[Signed] = &[
    sha1(
        LONG_TOKEN,
        "https://proxy.example.com/twilio/media",
        "PlWyRdx0M22l4gHx9i4SEVMedHw=",
    ),
    sha1(
        SHORT_TOKEN,
        "wss://voice.example.test/media-stream?a=1&b=2",
        "7pM2qBL58+K57k+jdSERTvD/Rnc=",
    ),
    sha1(
        SHORT_TOKEN,
        "wss://voice.example.test/média",
        "RmXj5VZN5p6tcTaT9uUniUVnCXU=",
    ),
    sha1(
        SHORT_TOKEN,
        "https://voice.example.test/incoming-call",
        "+Zsmh2fRiaNX+/8Xp5KK3ofuUSk=",
    ),
    // With the parameters of a POST, which an upgrade has not.
    sha1(
        SHORT_TOKEN,
        "https://mycompany.com/myapp.php?foo=1&bar=2",
        "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
    ),
];
