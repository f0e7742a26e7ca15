//! `wss` as in production: behind a proxy that terminates TLS, and on the edge's own listener while
//! its certificate is renewed.

use std::path::Path;

use holdline_testkit::{
    tls,
    twilio::{CallerError, CallerOptions, Secret, Signing, TwilioCaller},
};
use serde_json::Value;

use crate::{
    exchange::{Edge, Voice},
    stage::{API_KEY, AUTH_TOKEN, Place},
    support::soon,
};

pub(crate) mod certificates;
mod nginx;

use certificates::Authority;
use nginx::Nginx;

/// Further frames that a call must carry in both directions after something happened.
const FURTHER: u64 = 100;

/// A caller who trusts this authority alone, and whose upgrade is signed over the URL it dials.
fn caller(url: &str, number: u32, authority: &Authority) -> CallerOptions {
    let mut options = CallerOptions::new(url, number);
    options.signing = Signing::AuthToken(Secret::new(AUTH_TOKEN));
    options.tls = Some(tls::client(authority.pem()).unwrap());
    options
}

/// A `twilio` route, as part of a listener.
fn route(public_url: &str) -> String {
    format!(
        r#"    routes:
      - path: /twilio/media
        profile: twilio
        signature: {{public_url: "{public_url}", auth_token: {{env: TWILIO_AUTH_TOKEN}}}}
        legs: [{{name: model, upstream: openai}}]
        workers: voice
"#
    )
}

fn variables() -> [(&'static str, &'static str); 2] {
    [
        ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
        ("OPENAI_API_KEY", API_KEY),
    ]
}

#[tokio::test]
async fn a_whole_call_goes_through_nginx() {
    let authority = Authority::new();
    let place = Place::reserve();
    let url = format!("wss://localhost:{}/twilio/media", place.address.port());
    let voice = Voice::start().await;
    let config = format!(
        "listeners:\n  - name: twilio\n    address: 127.0.0.1:0\n    trusted_proxies: [{}/32]\n{}{}",
        nginx::SOURCE,
        route(&url),
        voice.sections()
    );
    let edge = Edge::start(&config, &variables()).await;
    let nginx = Nginx::start(place, &authority.issue(), edge.address("twilio").await).await;

    let mut call = voice.converse(caller(&url, 1, &authority)).await;
    let began = edge.told("call began").await;
    // Not nginx, which is the peer on the wire, but whom it vouches for.
    assert_eq!(began["peer"], "127.0.0.1", "{began}");
    call.goes_on(FURTHER).await;
    voice.judge(call).await;
    let ended = edge.told("call ended").await;
    assert_eq!(ended["reason"], "caller_hung_up", "{ended}");

    // The proxy's word is no signature.
    let mut unsigned = caller(&url, 2, &authority);
    unsigned.signing = Signing::None;
    let refused = soon("an answer", TwilioCaller::connect(unsigned)).await;
    let refused = refused.map(|_| ()).unwrap_err();
    assert!(
        matches!(refused, CallerError::Refused { status: 403, .. }),
        "{refused}"
    );
    nginx.end().await;
    edge.end().await;
}

#[tokio::test]
async fn a_renewed_certificate_is_for_new_calls_and_hurts_no_old_one() {
    let (before, after) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    before.issue().put(folder.path());
    let url = |port: u16| format!("wss://localhost:{port}/twilio/media");
    let voice = Voice::start().await;
    // What is signed is the URL in the TwiML; the port is this test's own.
    let public_url = "wss://localhost/twilio/media";
    let config = format!(
        "listeners:\n  - name: twilio\n    address: 127.0.0.1:0\n{}{}{}",
        tls_files(folder.path()),
        route(public_url),
        voice.sections()
    );
    let edge = Edge::start(&config, &variables()).await;
    let url = url(edge.address("twilio").await.port());
    let caller = |number, authority| {
        let mut options = caller(&url, number, authority);
        options.public_url = Some(public_url.to_owned());
        options
    };

    let mut old = voice.converse(caller(1, &before)).await;
    after.issue().put(folder.path());
    edge.told("certificate reloaded").await;
    let mut new = voice.converse(caller(2, &after)).await;
    let stranger = soon("an answer", TwilioCaller::connect(caller(3, &before))).await;
    let stranger = stranger.map(|_| ()).unwrap_err();
    assert!(matches!(stranger, CallerError::Tls { .. }), "{stranger}");
    edge.logged("the refused certificate", |line: &Value| {
        line["why"] == "tls"
    })
    .await;
    old.goes_on(FURTHER).await;
    new.goes_on(FURTHER).await;
    voice.judge(old).await;
    voice.judge(new).await;
    edge.end().await;
}

/// The listener's certificate, in the folder that [`certificates::Issued::put`] fills.
fn tls_files(folder: &Path) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    let (certificate, key) = (path(certificates::CHAIN), path(certificates::KEY));
    format!("    tls: {{certificate: \"{certificate}\", key: \"{key}\"}}\n")
}
