#![allow(clippy::unwrap_used)]

use holdline_config::{Secret, SecretSource, SharedKey, Signature};
use http::{HeaderMap, HeaderValue};

use super::{SETTINGS, SIGNATURE, SignatureError, Verifier};

const LONG_TOKEN: &str = "0123456789abcdef0123456789abcdef";
const SHORT_TOKEN: &str = "12345";
const SHA256_SETTINGS: &str = "key=SK1,algorithm=HMAC_SHA256";
const SHA256: &str = "QYby7AVbC1C5SsO+6HWN2IprUhWfSRikfea7ED2h6O8=";
const MEDIA_STREAM: &str = "wss://voice.example.test/media-stream";

fn secret(value: &str) -> Secret {
    Secret::new(SecretSource::Env("TOKEN".to_owned()), value)
}

fn verifier(public_url: &str, token: &str, secondary: Option<&str>) -> Verifier {
    Verifier::new(&Signature {
        public_url: public_url.to_owned(),
        auth_token: secret(token),
        secondary_auth_token: secondary.map(secret),
        shared_keys: vec![SharedKey {
            id: "SK1".to_owned(),
            secret: secret("12345"),
        }],
    })
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn check(public_url: &str, token: &str, signature: &str) -> Result<(), SignatureError> {
    verifier(public_url, token, None).verify(&headers(&[(SIGNATURE, signature)]), "")
}

/// Values that Twilio's own Python and Node libraries compute.
#[test]
fn signatures_of_twilios_libraries_are_accepted() {
    let vectors = [
        (
            LONG_TOKEN,
            "wss://proxy.example.com/twilio/media",
            "JgT9TL5uZaFP6XwWYeyV+NmV7Ec=",
        ),
        (
            LONG_TOKEN,
            "wss://proxy.example.com:443/twilio/media",
            "loUFpP1k8XpbVzhHGOoVssmPYZA=",
        ),
        (SHORT_TOKEN, MEDIA_STREAM, "DHPH2SL3lKg3A5s23PxpPrANQVg="),
        (
            SHORT_TOKEN,
            "wss://voice.example.test:443/media-stream",
            "dlmAgw8SzsDKYFL8C0qIAS3iZSI=",
        ),
        (
            SHORT_TOKEN,
            "wss://voice.example.test:8443/media-stream",
            "dwOIZ5wu/hG0X9wU1YiNczDTHbM=",
        ),
        (
            SHORT_TOKEN,
            "wss://voice.example.test/media-stream/",
            "K0deaDmCtJ9SxxG1+/835CUqEug=",
        ),
        (
            SHORT_TOKEN,
            "wss://voice.example.test/media-stream?a=1&b=2",
            "7pM2qBL58+K57k+jdSERTvD/Rnc=",
        ),
        (
            SHORT_TOKEN,
            "wss://voice.example.test/média",
            "RmXj5VZN5p6tcTaT9uUniUVnCXU=",
        ),
        (
            SHORT_TOKEN,
            "https://voice.example.test/incoming-call",
            "+Zsmh2fRiaNX+/8Xp5KK3ofuUSk=",
        ),
    ];
    for (token, url, signature) in vectors {
        assert_eq!(check(url, token, signature), Ok(()), "{url}");
        assert_eq!(
            check(url, "another", signature),
            Err(SignatureError::Mismatch),
            "{url}"
        );
    }
}

#[test]
fn another_scheme_slash_or_path_is_another_url() {
    let https = "PlWyRdx0M22l4gHx9i4SEVMedHw=";
    let wss = "wss://proxy.example.com/twilio/media";
    assert_eq!(check(wss, LONG_TOKEN, https), Err(SignatureError::Mismatch));
    let plain = "DHPH2SL3lKg3A5s23PxpPrANQVg=";
    for url in [
        "wss://voice.example.test/media-stream/",
        "wss://voice.example.test/other",
        "wss://other.example.test/media-stream",
        "https://voice.example.test/media-stream",
    ] {
        assert_eq!(
            check(url, SHORT_TOKEN, plain),
            Err(SignatureError::Mismatch),
            "{url}"
        );
    }
}

#[test]
fn a_named_port_may_be_left_out_but_none_is_made_up() {
    let with_port = "wss://voice.example.test:443/media-stream";
    assert_eq!(
        check(with_port, SHORT_TOKEN, "DHPH2SL3lKg3A5s23PxpPrANQVg="),
        Ok(())
    );
    let signed_with_port = "dlmAgw8SzsDKYFL8C0qIAS3iZSI=";
    assert_eq!(
        check(MEDIA_STREAM, SHORT_TOKEN, signed_with_port),
        Err(SignatureError::Mismatch)
    );
}

#[test]
fn both_tokens_are_good_while_they_are_rotated() {
    let rotating = verifier(MEDIA_STREAM, "new", Some(SHORT_TOKEN));
    let signed = headers(&[(SIGNATURE, "DHPH2SL3lKg3A5s23PxpPrANQVg=")]);
    assert_eq!(rotating.verify(&signed, ""), Ok(()));
}

#[test]
fn a_shared_key_signs_with_sha256() {
    let verifier = verifier(MEDIA_STREAM, LONG_TOKEN, None);
    let verify = |settings, signature| {
        verifier.verify(
            &headers(&[(SETTINGS, settings), (SIGNATURE, signature)]),
            "",
        )
    };
    assert_eq!(verify(SHA256_SETTINGS, SHA256), Ok(()));
    assert_eq!(verify("algorithm=HMAC_SHA256, key=SK1", SHA256), Ok(()));
    let unknown = verify("key=SK2,algorithm=HMAC_SHA256", SHA256);
    assert_eq!(unknown, Err(SignatureError::UnknownKey));
    let no_key = verify("algorithm=HMAC_SHA256", SHA256);
    assert_eq!(no_key, Err(SignatureError::Settings));
    let unknown_algorithm = verify("key=SK1,algorithm=NONE", SHA256);
    assert_eq!(unknown_algorithm, Err(SignatureError::Settings));
    // Without an algorithm the token's SHA-1 is meant, and the shared key is of no use.
    assert_eq!(verify("key=SK1", SHA256), Err(SignatureError::Mismatch));
}

#[test]
fn missing_and_repeated_signatures_are_refused() {
    let verifier = verifier(MEDIA_STREAM, SHORT_TOKEN, None);
    assert_eq!(
        verifier.verify(&HeaderMap::new(), ""),
        Err(SignatureError::Missing)
    );
    let good = (SIGNATURE, "DHPH2SL3lKg3A5s23PxpPrANQVg=");
    assert_eq!(
        verifier.verify(&headers(&[good, good]), ""),
        Err(SignatureError::Missing)
    );
    assert_eq!(
        verifier.verify(&headers(&[(SIGNATURE, "")]), ""),
        Err(SignatureError::Mismatch)
    );
}

#[test]
fn on_a_prefix_route_the_whole_path_is_signed() {
    let verifier = verifier("wss://voice.example.test/*", SHORT_TOKEN, None);
    let signed = headers(&[(SIGNATURE, "DHPH2SL3lKg3A5s23PxpPrANQVg=")]);
    assert_eq!(verifier.verify(&signed, "media-stream"), Ok(()));
    assert_eq!(
        verifier.verify(&signed, "media-stream2"),
        Err(SignatureError::Mismatch)
    );
    assert_eq!(verifier.verify(&signed, ""), Err(SignatureError::Mismatch));
}
